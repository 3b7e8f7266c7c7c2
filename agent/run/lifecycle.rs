//! The lifecycle hook of a run, and the wait in a warm pool.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::signal::client;
use super::{Options, Run};
use crate::aws::auto_scaling::{Caller, Hook};
use crate::aws::imds::{Imds, is_of_a_warm_pool};
use crate::config::Config;

/// Time after the boot within which Auto Scaling begins the lifecycle action: EC2 first tells it that the instance runs, or has
/// a new root volume. Too short a time would have a sound instance terminated once the hook has timed out.
const BEGINS: Duration = Duration::from_secs(5 * 60);
/// How often an instance in a warm pool looks whether it goes into service. It may do so for weeks.
const POLL: Duration = Duration::from_secs(5);
/// How long the instance metadata may take to tell.
const LOOK: Duration = Duration::from_secs(2);
/// The tag that Auto Scaling puts on its instances.
const GROUP_TAG: &str = "aws:autoscaling:groupName";

impl Run<'_> {
    /// The lifecycle hook of the configuration; as an error, its name and why nothing can be told to it.
    pub(super) fn hook(&self, config: &Config) -> Option<Result<Hook, (String, String)>> {
        let wanted = config.signal.as_ref()?.lifecycle_hook.as_ref()?;
        let identity = &self.gathered.identity;
        let group = wanted.group.as_ref().map(ToString::to_string).or_else(|| identity.tags.get(GROUP_TAG).cloned());
        let name = wanted.name.to_string();
        Some(match group {
            Some(group) => Ok(Hook {
                name,
                group,
                instance_id: self.state.instance_id.clone(),
                region: identity.region.clone(),
                partition_domain: identity.partition_domain.clone(),
            }),
            None => {
                let why = "the name of its Auto Scaling group is not known (set signal.lifecycle_hook.group, or \
                           InstanceMetadataTags: enabled in the metadata options of the launch template)";
                Err((format!("lifecycle hook {name}"), why.to_owned()))
            }
        })
    }

    /// Keeps the hook from timing out until this is dropped. Nothing is to be kept where the outcome is known already.
    pub(super) fn heartbeats(&self, config: &Config) -> JoinSet<()> {
        let mut task = JoinSet::new();
        let (Some(Ok(hook)), None) = (self.hook(config), self.decision()) else { return task };
        let (client, begins_by) = (client(&self.client, config), self.lifecycle_action_begins_by());
        let credentials = self.options.credentials();
        task.spawn(async move {
            let caller = match client {
                Ok(client) => Caller::new(hook, &client, &credentials, begins_by),
                Err(why) => Err(anyhow::Error::msg(why)),
            };
            match caller {
                Ok(caller) => caller.keep_waiting().await,
                Err(error) => tracing::warn!("no heartbeat goes to the lifecycle hook: {error:#}"),
            }
        });
        task
    }

    /// Until when it may be too early for the lifecycle action.
    pub(super) fn lifecycle_action_begins_by(&self) -> Instant {
        let past = if self.has_left_the_pool { Duration::ZERO } else { self.host.uptime() };
        self.began + BEGINS.saturating_sub(past)
    }
}

/// Returns when Auto Scaling brings the instance somewhere else than to a warm pool. As long as the instance metadata
/// don't say so, it is in the pool.
pub(super) async fn leaves_the_warm_pool(options: &Options) {
    loop {
        sleep(POLL).await;
        let state = match Imds::new(options.imds_endpoint.as_deref(), Instant::now() + LOOK) {
            Ok(imds) => imds.target_lifecycle_state().await,
            Err(error) => return tracing::error!("the instance metadata can't be read: {error:#}"),
        };
        match state {
            Ok(Some(state)) if !is_of_a_warm_pool(Some(&state)) => {
                return tracing::info!("the instance leaves the warm pool: its target is {state}");
            }
            Ok(_) => {}
            Err(error) => tracing::debug!("whether the instance leaves the warm pool is not known: {error}"),
        }
    }
}
