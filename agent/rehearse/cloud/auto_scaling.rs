//! The part of Auto Scaling for lifecycle actions: their completion and their heartbeats.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use super::cloudformation::page;
use super::http::{CloudLog, Double, Reply, Request, Server, held};
use super::query::{ApiError, REQUEST_ID, action, error_in_xml, parameters, path_of, required, signed_for};
use super::received::LifecycleCall;

const API_VERSION: &str = "2011-01-01";
const COMPLETE: &str = "CompleteLifecycleAction";
const HEARTBEAT: &str = "RecordLifecycleActionHeartbeat";
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
    log: Arc<CloudLog>,
}

impl AutoScaling {
    pub(super) fn new(answers: VecDeque<AutoScalingAnswer>, log: Arc<CloudLog>) -> Self {
        Self { answers: Mutex::new(answers), log }
    }

    /// Reads a call, which must be signed and known to the API.
    fn read(request: &Request, peer: SocketAddr, log: &CloudLog) -> Result<LifecycleCall, ApiError> {
        let given = parameters(&request.body);
        let completes = action(&given, API_VERSION, &[COMPLETE, HEARTBEAT])? == COMPLETE;
        match request.header("authorization") {
            Some(header) if signed_for(header, "autoscaling") => {}
            Some(_) => return Err(ApiError::signature()),
            None => return Err(ApiError::unsigned()),
        }
        let parameter = |name: &str| required(&given, name);
        let result = completes.then(|| parameter("LifecycleActionResult")).transpose()?;
        if result.as_ref().is_some_and(|result| !matches!(result.as_str(), "CONTINUE" | "ABANDON")) {
            return Err(ApiError::invalid("Lifecycle action result must be either CONTINUE or ABANDON"));
        }
        Ok(LifecycleCall {
            result,
            hook: parameter("LifecycleHookName")?,
            group: parameter("AutoScalingGroupName")?,
            instance_id: parameter("InstanceId")?,
            at: request.at,
            proxied: log.is_proxy(peer),
        })
    }

    fn take(&self, call: LifecycleCall) -> Option<Reply> {
        let mut answers = held(&self.answers);
        let scripted = match (&call.result, answers.front()) {
            // A role that may not complete an action may not keep it waiting either.
            (None, Some(AutoScalingAnswer::AccessDenied)) => AutoScalingAnswer::AccessDenied,
            (None, _) => AutoScalingAnswer::Accept,
            (Some(_), _) => answers.pop_front().unwrap_or(AutoScalingAnswer::Accept),
        };
        let operation = if call.result.is_some() { COMPLETE } else { HEARTBEAT };
        let refusal = match scripted {
            AutoScalingAnswer::Accept => {
                self.log.called(call);
                return Some(accepted(operation));
            }
            AutoScalingAnswer::Reset => return None,
            AutoScalingAnswer::NoActiveAction => {
                ApiError::invalid(format!("No active Lifecycle Action found with instance ID {}", call.instance_id))
            }
            AutoScalingAnswer::NoSuchGroup => {
                ApiError::invalid(format!("AutoScalingGroup name not found - no such group: {}", call.group))
            }
            AutoScalingAnswer::AccessDenied => {
                ApiError::denied(format!("User is not authorized to perform: autoscaling:{operation}"))
            }
            AutoScalingAnswer::Throttle => ApiError::new(400, "Throttling", "Rate exceeded"),
            AutoScalingAnswer::Contention => {
                let message = "You already have a pending update to an Amazon EC2 Auto Scaling resource";
                ApiError::new(500, "ResourceContention", message)
            }
        };
        Some(error_in_xml(NAMESPACE, &refusal))
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
        match Self::read(request, peer, &self.log) {
            Ok(call) => self.take(call),
            Err(refusal) => Some(error_in_xml(NAMESPACE, &refusal)),
        }
    }
}

fn accepted(operation: &str) -> Reply {
    let text = format!(
        "<{operation}Response xmlns=\"{NAMESPACE}\">\n  <{operation}Result/>\n  <ResponseMetadata>\n    \
         <RequestId>{REQUEST_ID}</RequestId>\n  </ResponseMetadata>\n</{operation}Response>\n"
    );
    Reply::new(200, "text/xml", text)
}
