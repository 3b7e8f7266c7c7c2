//! The parts of Auto Scaling for lifecycle actions, their completion and their heartbeats, and for the health of instances.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use super::cloudformation::page;
use super::http::{CloudLog, Double, Reply, Request, Server, held};
use super::query::{ApiError, Parameters, REQUEST_ID, action, error_in_xml, parameters, path_of, required, signed_for};
use super::received::{HealthCall, LifecycleCall};

const API_VERSION: &str = "2011-01-01";
const COMPLETE: &str = "CompleteLifecycleAction";
const HEARTBEAT: &str = "RecordLifecycleActionHeartbeat";
const HEALTH: &str = "SetInstanceHealth";
const NAMESPACE: &str = "http://autoscaling.amazonaws.com/doc/2011-01-01/";

/// Auto Scaling's answer to a call that is well-formed and signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AutoScalingAnswer {
    /// The call is accepted.
    Accept,
    /// No hook holds the instance: none at all, not yet, or no longer.
    NoActiveAction,
    /// There is no such group.
    NoSuchGroup,
    /// The instance is in no group.
    NotInGroup,
    /// The role may not make the call.
    AccessDenied,
    /// Too many calls at once.
    Throttle,
    /// Another change of the group is under way.
    Contention,
    /// The connection is reset.
    Reset,
}

/// Auto Scaling.
pub(super) struct AutoScaling {
    /// The answers to completions. Heartbeats are accepted, unless the next answer is a refusal of the role.
    answers: Mutex<VecDeque<AutoScalingAnswer>>,
    /// The answers to reports of health.
    health: Mutex<VecDeque<AutoScalingAnswer>>,
    log: Arc<CloudLog>,
}

impl AutoScaling {
    pub(super) fn new(
        answers: VecDeque<AutoScalingAnswer>,
        health: VecDeque<AutoScalingAnswer>,
        log: Arc<CloudLog>,
    ) -> Self {
        Self { answers: Mutex::new(answers), health: Mutex::new(health), log }
    }

    /// Answers a call, which must be signed and known to the API.
    fn reply(&self, request: &Request, peer: SocketAddr) -> Result<Option<Reply>, ApiError> {
        let given = parameters(&request.body);
        let action = action(&given, API_VERSION, &[COMPLETE, HEARTBEAT, HEALTH])?;
        match request.header("authorization") {
            Some(header) if signed_for(header, "autoscaling") => {}
            Some(_) => return Err(ApiError::signature()),
            None => return Err(ApiError::unsigned()),
        }
        let proxied = self.log.is_proxy(peer);
        match action {
            HEALTH => self.report(HealthCall::read(&given, (request, proxied))?),
            _ => self.take(LifecycleCall::read(&given, action == COMPLETE, (request, proxied))?),
        }
    }

    fn take(&self, call: LifecycleCall) -> Result<Option<Reply>, ApiError> {
        let mut answers = held(&self.answers);
        let scripted = match (&call.result, answers.front()) {
            // A role that may not complete an action may not keep it waiting either.
            (None, Some(AutoScalingAnswer::AccessDenied)) => AutoScalingAnswer::AccessDenied,
            (None, _) => AutoScalingAnswer::Accept,
            (Some(_), _) => answers.pop_front().unwrap_or(AutoScalingAnswer::Accept),
        };
        let operation = if call.result.is_some() { COMPLETE } else { HEARTBEAT };
        scripted.given(operation, &call.instance_id, &call.group.clone(), || self.log.called(call.clone()))
    }

    fn report(&self, call: HealthCall) -> Result<Option<Reply>, ApiError> {
        let scripted = held(&self.health).pop_front().unwrap_or(AutoScalingAnswer::Accept);
        scripted.given(HEALTH, &call.instance_id, "", || self.log.reported(call.clone()))
    }
}

impl AutoScalingAnswer {
    /// Gives this answer to a call about an instance. An accepted call is noted; a connection that is reset gets no reply.
    fn given(
        self,
        operation: &str,
        instance_id: &str,
        group: &str,
        note: impl FnOnce(),
    ) -> Result<Option<Reply>, ApiError> {
        Err(match self {
            Self::Accept => {
                note();
                return Ok(Some(accepted(operation)));
            }
            Self::Reset => return Ok(None),
            Self::NoActiveAction => {
                ApiError::invalid(format!("No active Lifecycle Action found with instance ID {instance_id}"))
            }
            Self::NoSuchGroup => ApiError::invalid(format!("AutoScalingGroup name not found - no such group: {group}")),
            Self::NotInGroup => ApiError::invalid(format!(
                "Instance Id not found - No managed instance found for instance ID {instance_id}"
            )),
            Self::AccessDenied => {
                ApiError::denied(format!("User is not authorized to perform: autoscaling:{operation}"))
            }
            Self::Throttle => ApiError::new(400, "Throttling", "Rate exceeded"),
            Self::Contention => {
                let message = "You already have a pending update to an Amazon EC2 Auto Scaling resource";
                ApiError::new(500, "ResourceContention", message)
            }
        })
    }
}

impl LifecycleCall {
    fn read(given: &Parameters, completes: bool, (request, proxied): (&Request, bool)) -> Result<Self, ApiError> {
        let result = completes.then(|| required(given, "LifecycleActionResult")).transpose()?;
        if result.as_ref().is_some_and(|result| !matches!(result.as_str(), "CONTINUE" | "ABANDON")) {
            return Err(ApiError::invalid("Lifecycle action result must be either CONTINUE or ABANDON"));
        }
        Ok(LifecycleCall {
            result,
            hook: required(given, "LifecycleHookName")?,
            group: required(given, "AutoScalingGroupName")?,
            instance_id: required(given, "InstanceId")?,
            at: request.at,
            proxied,
        })
    }
}

impl HealthCall {
    fn read(given: &Parameters, (request, proxied): (&Request, bool)) -> Result<Self, ApiError> {
        let status = required(given, "HealthStatus")?;
        if !matches!(status.as_str(), "Healthy" | "Unhealthy") {
            return Err(ApiError::invalid("Valid instance health states are: [Healthy, Unhealthy]"));
        }
        Ok(HealthCall {
            status,
            respects_grace_period: given.get("ShouldRespectGracePeriod").is_none_or(|given| given != "false"),
            instance_id: required(given, "InstanceId")?,
            at: request.at,
            proxied,
        })
    }
}

impl Double for AutoScaling {
    fn server(&self) -> Server {
        Server::AutoScaling
    }

    async fn answer(&self, request: &Request, peer: SocketAddr) -> Option<Reply> {
        if request.method != "POST" || path_of(request).0 != "/" {
            return Some(page(405));
        }
        self.reply(request, peer).unwrap_or_else(|refusal| Some(error_in_xml(NAMESPACE, &refusal)))
    }
}

fn accepted(operation: &str) -> Reply {
    let text = format!(
        "<{operation}Response xmlns=\"{NAMESPACE}\">\n  <{operation}Result/>\n  <ResponseMetadata>\n    \
         <RequestId>{REQUEST_ID}</RequestId>\n  </ResponseMetadata>\n</{operation}Response>\n"
    );
    Reply::new(200, "text/xml", text)
}
