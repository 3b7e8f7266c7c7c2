//! The signal of a run: what was decided, sent until it is accepted.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use tokio::time::Instant;

use super::state::Decision;
use super::{Ending, Run};
use crate::apply::millis;
use crate::cloudformation::{self, Delivery, Signal, Status, Target};
use crate::config::problem::redact;
use crate::config::{self, Config};
use crate::http;
use crate::report::{DeliveryState, Outcome, SignalReport, StepReport};

/// The least time that a signal is given.
const LEAST: Duration = Duration::from_secs(10);

impl Run<'_> {
    /// Tells CloudFormation what was decided, unless it knows.
    pub(super) async fn signal(&mut self, target: Target, config: &Config) -> Ending {
        let decision = self.state.decision.clone();
        let words = target.to_string();
        let Some(decision) = decision else {
            let message = "the instance's id is not known, so that no signal can be sent".to_owned();
            tracing::error!("{message}");
            let (status, delivery) = (Status::Failure.to_string(), DeliveryState::Undelivered);
            self.report.signal = Some(SignalReport { target: words, status, delivery, message });
            return Ending::Unreported;
        };
        let began = Instant::now();
        let (delivery, message) = match decision.settled {
            Some(message) => (DeliveryState::AcceptedEarlier, message),
            None => {
                self.status("signalling CloudFormation");
                let (delivery, message) = self.send(&target, config, &decision).await;
                if matches!(delivery, DeliveryState::Accepted | DeliveryState::NotWaitedFor) {
                    self.state.decision = Some(Decision { settled: Some(message.clone()), ..decision.clone() });
                    self.state.save(&self.host);
                }
                let outcome = if matches!(delivery, DeliveryState::Accepted | DeliveryState::NotWaitedFor) {
                    Outcome::Success
                } else {
                    Outcome::Failure
                };
                let (start_ms, duration_ms) = (millis(began - self.began), millis(began.elapsed()));
                self.report.steps.push(StepReport {
                    name: "signal".to_owned(),
                    outcome,
                    start_ms,
                    duration_ms,
                    actions: Vec::new(),
                });
                (delivery, message)
            }
        };
        let reported = !matches!(delivery, DeliveryState::Refused | DeliveryState::Undelivered);
        self.report.signal =
            Some(SignalReport { target: words, status: decision.status.to_string(), delivery, message });
        if reported { Ending::Done } else { Ending::Unreported }
    }

    async fn send(&self, target: &Target, config: &Config, decision: &Decision) -> (DeliveryState, String) {
        let delivered = match outbound(config) {
            Ok(client) => {
                // However late it is, and however long the certificates took to read, there is time for some tries.
                let deadline = (self.began + config.time_left(self.uptime)).max(Instant::now() + LEAST);
                let signal = self.signal_request(target, config, decision);
                let identity = &self.gathered.identity;
                let proof = (!identity.document.is_empty())
                    .then_some((identity.document.as_str(), identity.signature.as_str()));
                cloudformation::send(&signal, proof, None, &client, deadline).await
            }
            Err(error) => Delivery::Undelivered(format!("{error:#}")),
        };
        let status = decision.status;
        let (state, message) = match delivered {
            Delivery::Accepted { by, .. } => (DeliveryState::Accepted, format!("accepted, proved by {by}")),
            Delivery::NotWaitedFor(message) => {
                (DeliveryState::NotWaitedFor, format!("the stack does not wait for it: {message}"))
            }
            Delivery::Refused(message) => (DeliveryState::Refused, format!("refused: {}", redact(&message))),
            Delivery::Undelivered(message) => {
                (DeliveryState::Undelivered, format!("not delivered, the next run tries again: {}", redact(&message)))
            }
        };
        match state {
            DeliveryState::Refused | DeliveryState::Undelivered => {
                tracing::error!("signal {status} for {target}: {message}");
                self.host.say_on_console(&format!("signal {status} for {target}: {message}"));
            }
            _ => tracing::info!("signal {status} for {target}: {message}"),
        }
        (state, message)
    }

    fn signal_request(&self, target: &Target, config: &Config, decision: &Decision) -> Signal {
        let wanted = config.signal.clone().unwrap_or_default();
        let of_stack = wanted.stack.as_ref().and_then(|stack| stack.region().map(str::to_owned));
        let identity = &self.gathered.identity;
        let region =
            wanted.region.map(|region| region.to_string()).or(of_stack).unwrap_or_else(|| identity.region.clone());
        Signal {
            target: target.clone(),
            status: decision.status,
            unique_id: self.state.instance_id.clone(),
            reason: decision.reason.clone(),
            region,
            partition_domain: identity.partition_domain.clone(),
            endpoint: self.options.cloudformation_endpoint.clone(),
            auth: wanted.auth,
            data: String::new(),
        }
    }
}

/// Whom to signal.
pub(super) fn target(signal: &config::Signal) -> Option<Target> {
    let resource = || {
        let (stack, resource) = (signal.stack.as_ref()?, signal.resource.as_ref()?);
        Some(Target::Resource { stack: stack.to_string(), resource: resource.to_string() })
    };
    signal.wait_handle.as_ref().map(|handle| Target::WaitHandle(handle.0.reveal().clone())).or_else(resource)
}

/// Whom to signal by the instance's own tags, where the instance metadata show them: those that CloudFormation puts on
/// what it makes, with the stack's ARN and the logical id.
pub(super) fn target_in_tags(tags: &BTreeMap<String, String>) -> Option<Target> {
    let tag = |name: &str| tags.get(&format!("aws:cloudformation:{name}")).cloned();
    Some(Target::Resource { stack: tag("stack-id").or_else(|| tag("stack-name"))?, resource: tag("logical-id")? })
}

fn outbound(config: &Config) -> Result<reqwest::Client> {
    let proxy = config
        .proxy
        .as_ref()
        .map(|proxy| http::Proxy { url: proxy.url.0.reveal().clone(), no_proxy: proxy.no_proxy() });
    http::outbound(proxy.as_ref())
}
