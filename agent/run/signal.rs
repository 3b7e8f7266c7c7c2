//! What a run tells CloudFormation and Auto Scaling: what was decided, sent until it is accepted.

use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::conclude::Concluded;
use super::state::Decision;
use super::{Ending, Run};
use crate::apply::millis;
use crate::aws::auto_scaling::{ActionResult, Caller, Hook};
use crate::aws::cloudformation::{self, SignalRequest, Status, Target};
use crate::aws::delivery::{ALREADY_THERE, Delivery, Over, TOO_LATE};
use crate::config::{self, Config};
use crate::host::Host;
use crate::http;
use crate::report::{DeliveryState, Outcome, SignalReport, StepReport};

/// The least time that a signal is given.
const LEAST: Duration = Duration::from_secs(10);

/// Who waits for the outcome of a run.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// A resource of a stack, or a wait condition.
    pub(super) target: Option<Target>,
    /// A lifecycle hook, or its name and why nothing can be told to it.
    pub(super) hook: Option<Result<Hook, (String, String)>>,
}

impl Waiting {
    pub(super) fn nobody(&self) -> bool {
        self.target.is_none() && self.hook.is_none()
    }
}

impl Run<'_> {
    /// Tells what was decided to whoever waits for it and doesn't know yet.
    pub(super) async fn tell(&mut self, concluded: &Concluded) -> Ending {
        fail_point!("tell");
        let Concluded { waiting, config, .. } = concluded;
        if waiting.nobody() {
            return Ending::Done;
        }
        let Some(decision) = self.decision().cloned() else {
            return self.nobody_to_speak_for(waiting);
        };
        let began = Instant::now();
        let signals = waiting.target.is_some() && decision.settled.is_none();
        let completes = waiting.hook.is_some() && decision.hook_settled.is_none();
        match (signals, completes) {
            (true, _) => self.status("signalling CloudFormation"),
            (false, true) => self.status("completing the lifecycle action"),
            (false, false) => {}
        }
        self.report_all(waiting, &decision, DeliveryState::Pending, "not answered yet");
        self.save();
        // Boxed: it is deep, and the compiler looks only so deep into a future.
        Box::pin(self.send(waiting, config, decision)).await;
        let reported = !self.report.deliveries().any(|told| told.delivery.is_lost());
        if signals || completes {
            self.report.steps.push(StepReport {
                name: "signal".to_owned(),
                outcome: if reported { Outcome::Success } else { Outcome::Failure },
                start_ms: millis(began - self.began),
                duration_ms: millis(began.elapsed()),
                actions: Vec::new(),
            });
        }
        if reported { Ending::Done } else { Ending::Unreported }
    }

    /// The run was told to stop before all was told: what was not answered is sent by the next one.
    pub(super) fn untold(&mut self) -> Ending {
        for told in self.report.deliveries_mut().filter(|told| told.delivery == DeliveryState::Pending) {
            told.delivery = DeliveryState::Undelivered;
            told.message = "not delivered, because the run was stopped: the next run tries again".to_owned();
            say(&self.host, "signal", told);
        }
        Ending::Unreported
    }

    /// Puts the same word into the report for all who are to be told.
    fn report_all(&mut self, waiting: &Waiting, decision: &Decision, delivery: DeliveryState, message: &str) {
        let of =
            |target: String, status: String| SignalReport { target, status, delivery, message: message.to_owned() };
        let result = ActionResult::from(decision.status);
        self.report.signal = waiting.target.as_ref().map(|target| of(target.to_string(), decision.status.to_string()));
        self.report.lifecycle_hook = waiting.hook.as_ref().map(|hook| of(name_of(hook), result.to_string()));
    }

    /// Both at once: one that is slow, or can't be reached, must not use up the other's time.
    async fn send(&mut self, waiting: &Waiting, config: &Config, decision: Decision) {
        // However late it is, and however long the certificates took to read, there is time for some tries.
        let deadline = (self.began + config.time_left(self.uptime)).max(Instant::now() + LEAST);
        let begins_by = self.lifecycle_action_begins_by();
        let signal = waiting.target.clone().map(|target| self.signal_request(target, config, &decision));
        let (host, identity, stage) = (&self.host, &self.gathered.identity, self.stage);
        let client = || client(&self.client, config).map_err(Delivery::Undelivered);
        let credentials = self.options.credentials();
        let state = RefCell::new(&mut self.state);
        let keep = |settle: &dyn Fn(&mut Decision)| {
            let mut state = state.borrow_mut();
            if let Some(decision) = state.decided_mut(stage) {
                settle(decision);
            }
            state.save(host);
        };
        let to_the_stack = async {
            let signal = signal?;
            let (target, status) = (signal.target.to_string(), decision.status.to_string());
            if let Some(message) = &decision.settled {
                return Some(told_earlier(target, status, message));
            }
            let proof =
                (!identity.document.is_empty()).then_some((identity.document.as_str(), identity.signature.as_str()));
            let delivery = match client() {
                Ok(client) => cloudformation::send(&signal, proof, &credentials, &client, deadline).await,
                Err(undelivered) => undelivered,
            };
            let report = told(delivery, target, status, "the stack does not wait for it");
            if is_settled(&report) {
                keep(&|decision| decision.settled = Some(report.message.clone()));
            }
            say(host, "signal", &report);
            Some(report)
        };
        let to_the_hook = async {
            let (hook, result) = (waiting.hook.as_ref()?, ActionResult::from(decision.status));
            let target = name_of(hook);
            if let Some(message) = &decision.hook_settled {
                return Some(told_earlier(target, result.to_string(), message));
            }
            let delivery = match (hook, client()) {
                (Err((_, why)), _) => Delivery::Refused(why.clone().into()),
                (_, Err(undelivered)) => undelivered,
                (Ok(hook), Ok(client)) => match Caller::new(hook.clone(), &client, &credentials, begins_by) {
                    Ok(caller) => caller.complete(result, deadline).await,
                    Err(error) => Delivery::Undelivered(format!("{error:#}")),
                },
            };
            let report = told(delivery, target, result.to_string(), "no lifecycle action waits for it");
            if is_settled(&report) {
                keep(&|decision| decision.hook_settled = Some(report.message.clone()));
            }
            say(host, "lifecycle action", &report);
            Some(report)
        };
        let (signal, hook) = tokio::join!(to_the_stack, to_the_hook);
        (self.report.signal, self.report.lifecycle_hook) = (signal, hook);
    }

    /// Without the instance's id there is no decision, and nothing that could be told.
    fn nobody_to_speak_for(&mut self, waiting: &Waiting) -> Ending {
        let message = "the instance's id is not known, so that no signal can be sent";
        tracing::error!("{message}");
        let undecided = Decision::of(Status::Failure, String::new());
        self.report_all(waiting, &undecided, DeliveryState::Undelivered, message);
        Ending::Unreported
    }

    fn signal_request(&self, target: Target, config: &Config, decision: &Decision) -> SignalRequest {
        let wanted = config.signal.clone().unwrap_or_default();
        let of_stack = wanted.stack.as_ref().and_then(|stack| stack.region().map(str::to_owned));
        let identity = &self.gathered.identity;
        let region =
            wanted.region.map(|region| region.to_string()).or(of_stack).unwrap_or_else(|| identity.region.clone());
        SignalRequest {
            target,
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

/// The hook, or what is known of it, in words.
fn name_of(hook: &Result<Hook, (String, String)>) -> String {
    hook.as_ref().map_or_else(|(name, _)| name.clone(), ToString::to_string)
}

fn told_earlier(target: String, status: String, message: &str) -> SignalReport {
    SignalReport { target, status, delivery: DeliveryState::AcceptedEarlier, message: message.to_owned() }
}

fn told(delivery: Delivery, target: String, status: String, not_waited_for: &str) -> SignalReport {
    let (delivery, message) = match delivery {
        Delivery::Accepted { by, .. } => (DeliveryState::Accepted, format!("accepted (auth: {by})")),
        Delivery::Over(Over::NotWaitedFor, text) => (DeliveryState::NotWaitedFor, format!("{not_waited_for}: {text}")),
        Delivery::Over(Over::AlreadyThere, text) => (DeliveryState::Accepted, format!("{ALREADY_THERE}: {text}")),
        Delivery::Over(Over::TooLate, text) => (DeliveryState::TooLate, format!("{TOO_LATE}: {text}")),
        Delivery::Refused(refusal) => (DeliveryState::Refused, format!("refused: {refusal}")),
        Delivery::Undelivered(message) => {
            (DeliveryState::Undelivered, format!("not delivered, the next run tries again: {message}"))
        }
    };
    SignalReport { target, status, delivery, message }
}

/// Whether it need not be sent again.
fn is_settled(report: &SignalReport) -> bool {
    matches!(report.delivery, DeliveryState::Accepted | DeliveryState::NotWaitedFor | DeliveryState::TooLate)
}

fn say(host: &Host, what: &str, report: &SignalReport) {
    let line = format!("{what} {report}");
    match is_settled(report) {
        true if report.delivery == DeliveryState::TooLate => tracing::warn!("{line}"),
        true => tracing::info!("{line}"),
        false => {
            tracing::error!("{line}");
            host.say_on_console(&line);
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

/// The client for AWS of a run, kept in `made`: to make it reads the host's certificates.
///
/// # Errors
/// Why there is none, in words.
pub(super) fn client(
    made: &OnceCell<Result<reqwest::Client, String>>,
    config: &Config,
) -> Result<reqwest::Client, String> {
    let make = || {
        let proxy = config.proxy.as_ref();
        let proxy = proxy.map(|proxy| http::Proxy { url: proxy.url.0.reveal().clone(), no_proxy: proxy.no_proxy() });
        http::outbound(proxy.as_ref()).map_err(|error| format!("{error:#}"))
    };
    made.get_or_init(make).clone()
}
