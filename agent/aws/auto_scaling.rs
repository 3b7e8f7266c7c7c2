//! The Auto Scaling group of this instance: its lifecycle hook, which waits for the instance, and the instance's health.
//!
//! A hook on `autoscaling:EC2_INSTANCE_LAUNCHING` keeps a new instance in `Pending:Wait` until its lifecycle action is
//! completed: with CONTINUE it goes into service, with ABANDON it is terminated. With a warm pool the same hook fires
//! twice: in `Warmed:Pending:Wait`, and in `Pending:Wait` when the instance leaves the pool for service.
//! <https://docs.aws.amazon.com/autoscaling/ec2/userguide/warm-pool-instance-lifecycle.html>
//!
//! This API takes IAM credentials: the instance identity document does not authenticate a request here.

use std::fmt;
use std::time::Duration;

use anyhow::Result;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep, timeout};

use crate::aws::cloudformation::Status;
use crate::aws::delivery::answer::Attempt;
use crate::aws::delivery::{CredentialsSource, Delivery, Method, TRY, persist};
use crate::aws::endpoint::Service;
use crate::aws::sdk::Sdk;
use crate::config::Aws;

/// Time between two heartbeats. The shortest timeout that a hook can have is 30 s (PutLifecycleHook), and the hook's own is
/// not known here: a third of those 30 s is left for a slow heartbeat.
const HEARTBEAT: Duration = Duration::from_secs(20);
/// The version of the API.
const VERSION: &str = "2011-01-01";

/// The result with which the lifecycle action is completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ActionResult {
    /// The instance goes on, into service or into the warm pool.
    Continue,
    /// Auto Scaling terminates the instance, and launches another.
    Abandon,
}

impl From<Status> for ActionResult {
    fn from(status: Status) -> Self {
        match status {
            Status::Success => Self::Continue,
            Status::Failure => Self::Abandon,
        }
    }
}

impl fmt::Display for ActionResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// A lifecycle hook, and the instance that it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    /// The hook's name.
    pub name: String,
    /// The name of the Auto Scaling group.
    pub group: String,
    /// The instance's id.
    pub instance_id: String,
    /// The region of the instance, and so of its group.
    pub region: String,
    /// The domain of the partition, as the instance metadata names the domain; empty if not known.
    pub partition_domain: String,
    /// The variant of the endpoint that the configuration asks for.
    pub aws: Aws,
}

impl fmt::Display for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "lifecycle hook {} of group {}", self.name, self.group)
    }
}

/// An instance as Auto Scaling knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The instance's id.
    pub instance_id: String,
    /// The region of the instance, and so of its group.
    pub region: String,
    /// The domain of the partition, as the instance metadata names the domain; empty if not known.
    pub partition_domain: String,
    /// The variant of the endpoint.
    pub aws: Aws,
}

/// Reports an instance as unhealthy: repeats the request until a final answer or the deadline.
///
/// The group's grace period is not respected, since the group would forget the report within that time.
/// <https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_SetInstanceHealth.html>
pub async fn report_unhealthy(
    member: &Member,
    client: &reqwest::Client,
    credentials: &CredentialsSource,
    deadline: Instant,
) -> Delivery {
    let Member { instance_id, region, partition_domain, aws } = member;
    let endpoint = Service::AutoScaling.endpoint(region, partition_domain, *aws);
    let sdk = match Sdk::new(region, client, credentials) {
        Ok(sdk) => sdk,
        Err(error) => return Delivery::Undelivered(format!("{error:#}")),
    };
    let parameters = [
        ("Action", "SetInstanceHealth"),
        ("Version", VERSION),
        ("InstanceId", instance_id.as_str()),
        ("HealthStatus", "Unhealthy"),
        ("ShouldRespectGracePeriod", "false"),
    ];
    persist(Method::InstanceHealth, deadline, async || {
        sdk.query(Method::InstanceHealth, (Service::AutoScaling, region), &endpoint, &parameters).await
    })
    .await
}

/// Speaks to Auto Scaling for the instance.
pub struct Caller {
    sdk: Sdk,
    hook: Hook,
    /// The time until which the lifecycle action may not have begun yet.
    begins_by: Instant,
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caller").field("hook", &self.hook).finish_non_exhaustive()
    }
}

impl Caller {
    /// Makes a caller that speaks through `client`, the outbound client.
    ///
    /// Until `begins_by`, an answer that no lifecycle action is active does not count. Auto Scaling begins the action once
    /// EC2 has reported that the instance runs, and an instance that boots fast may ask before.
    ///
    /// # Errors
    /// The SDK can't be set up.
    pub fn new(
        hook: Hook,
        client: &reqwest::Client,
        credentials: &CredentialsSource,
        begins_by: Instant,
    ) -> Result<Self> {
        Ok(Self { sdk: Sdk::new(&hook.region, client, credentials)?, hook, begins_by })
    }

    /// Completes the lifecycle action: repeats the request until a final answer or the deadline.
    pub async fn complete(&self, result: ActionResult, deadline: Instant) -> Delivery {
        let result = result.to_string();
        persist(Method::LifecycleHook, deadline, async || {
            let parameters = [("LifecycleActionResult", result.as_str())];
            self.not_too_early(self.call("CompleteLifecycleAction", &parameters).await)
        })
        .await
    }

    /// Keeps the hook from timing out, for as long as this future is polled. A lost heartbeat is logged and is no failure:
    /// only the completion counts.
    pub async fn keep_waiting(&self) {
        let mut last = None;
        loop {
            let sent = timeout(TRY, self.call("RecordLifecycleActionHeartbeat", &[])).await;
            let outcome = sent.unwrap_or_else(|_| Attempt::again("no answer in time".to_owned()));
            let (why, ends) = match self.not_too_early(outcome) {
                Attempt::Accepted => (None, false),
                Attempt::Again { why, .. } => (Some(why), false),
                Attempt::Over(_, why) => (Some(why), true),
                Attempt::Refused(refusal) => (Some(refusal.to_string()), true),
            };
            if let Some(why) = why.as_ref().filter(|_| why != last) {
                tracing::warn!("no heartbeat for {}: {why}", self.hook);
            }
            if ends {
                return;
            }
            last = why;
            sleep(HEARTBEAT).await;
        }
    }

    /// Sends a request: <https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_CompleteLifecycleAction.html>
    async fn call(&self, action: &str, more: &[(&str, &str)]) -> Attempt {
        let Hook { name, group, instance_id, region, partition_domain, aws } = &self.hook;
        let of_hook = [("LifecycleHookName", name), ("AutoScalingGroupName", group), ("InstanceId", instance_id)];
        let parameters: Vec<(&str, &str)> = [("Action", action), ("Version", VERSION)]
            .into_iter()
            .chain(of_hook.map(|(key, value)| (key, value.as_str())))
            .chain(more.iter().copied())
            .collect();
        let endpoint = Service::AutoScaling.endpoint(region, partition_domain, *aws);
        self.sdk.query(Method::LifecycleHook, (Service::AutoScaling, region), &endpoint, &parameters).await
    }

    fn not_too_early(&self, outcome: Attempt) -> Attempt {
        match outcome {
            Attempt::Over(_, why) if Instant::now() < self.begins_by => Attempt::again(why),
            outcome => outcome,
        }
    }
}
