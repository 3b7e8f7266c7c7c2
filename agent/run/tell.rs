//! The telling of a run: what was decided, sent to CloudFormation and Auto Scaling until it is accepted.

use std::cell::RefCell;
use std::time::Duration;

use tokio::time::Instant;

use super::decide::Conclusion;
use super::known::Known;
use super::lifecycle;
use super::one_run::Run;
use super::recipients::{HookRecipient, NO_GROUP, Recipients};
use super::record::{Record, step};
use super::state::Decision;
use crate::aws::auto_scaling::ActionResult;
use crate::aws::cloudformation::{self, SignalRequest, Status, Target};
use crate::aws::delivery::{ALREADY_THERE, Delivery, Over, TOO_LATE};
use crate::config::Config;
use crate::host::Host;
use crate::report::{DeliveryState, Report, SignalReport};

/// The least time that a signal is given.
const LEAST: Duration = Duration::from_secs(10);

/// The answers of those who were to be told; none where nobody was.
#[derive(Clone, Debug, Default)]
pub(super) struct Deliveries {
    pub(super) signal: Option<SignalReport>,
    pub(super) lifecycle_hook: Option<SignalReport>,
    /// The report of the instance's health, after the others.
    pub(super) health: Option<SignalReport>,
}

impl Deliveries {
    /// Gives every recipient the same delivery state and message.
    fn all(recipients: &Recipients, status: Status, delivery: DeliveryState, message: &str) -> Self {
        let of =
            |target: String, status: String| SignalReport { target, status, delivery, message: message.to_owned() };
        let (target, hook) = (recipients.target.as_ref(), recipients.hook.as_ref());
        Deliveries {
            signal: target.map(|target| of(target.to_string(), status.to_string())),
            lifecycle_hook: hook.map(|hook| of(hook.to_string(), ActionResult::from(status).to_string())),
            health: None,
        }
    }

    /// Tells whether no delivery was refused or is undelivered.
    pub(super) fn are_told(&self) -> bool {
        !self.signal.iter().chain(&self.lifecycle_hook).chain(&self.health).any(|told| told.delivery.is_lost())
    }
}

/// Tells what was decided to whoever waits for it and doesn't know yet.
pub(super) async fn tell(run: &Run<'_>, record: &mut Record, known: &Known, conclusion: &Conclusion) -> Deliveries {
    fail_point!("tell");
    let Conclusion { recipients, config, .. } = conclusion;
    if recipients.nobody() {
        return Deliveries::default();
    }
    let Some(decision) = record.state.decided(known.stage()).cloned() else {
        // Without the instance's id there is no decision, and nothing that could be told.
        let message = "the instance ID is not known, so no signal can be sent";
        tracing::error!("{message}");
        return Deliveries::all(recipients, Status::Failure, DeliveryState::Undelivered, message);
    };
    let began = Instant::now();
    let signals = recipients.target.is_some() && decision.settled.is_none();
    let completes = recipients.hook.is_some() && decision.hook_settled.is_none();
    match (signals, completes) {
        (true, _) => run.status("signalling CloudFormation"),
        (false, true) => run.status("completing the lifecycle action"),
        (false, false) => {}
    }
    let pending = Deliveries::all(recipients, decision.status, DeliveryState::Pending, "not answered yet");
    (record.report.signal, record.report.lifecycle_hook) = (pending.signal, pending.lifecycle_hook);
    record.save(run);
    // Boxed: it is deep, and the compiler looks only so deep into a future.
    let deliveries = Box::pin(send(run, record, known, (recipients, config), decision)).await;
    if signals || completes {
        record.report.steps.push(step("signal", run.began, began, deliveries.are_told()));
    }
    deliveries
}

/// Returns the deliveries of a run that was told to stop: pending ones become undelivered, and the next run sends them.
pub(super) fn deliveries_of_stopped_run(host: &Host, report: &Report) -> Deliveries {
    let given_up = |told: &SignalReport| {
        let mut told = told.clone();
        if told.delivery == DeliveryState::Pending {
            told.delivery = DeliveryState::Undelivered;
            told.message = "not delivered, because the run was stopped: the next run tries again".to_owned();
            say(host, "signal", &told);
        }
        told
    };
    Deliveries {
        signal: report.signal.as_ref().map(given_up),
        lifecycle_hook: report.lifecycle_hook.as_ref().map(given_up),
        health: None,
    }
}

/// Returns the time until which a delivery is tried. However late it is, and however long the certificates took to read, there
/// is time for some tries.
pub(super) fn deadline(run: &Run<'_>, known: &Known, config: &Config) -> Instant {
    (run.began + config.time_left(known.uptime)).max(Instant::now() + LEAST)
}

/// Sends to both at once: one that is slow, or can't be reached, must not use up the other's time.
async fn send(
    run: &Run<'_>,
    record: &mut Record,
    known: &Known,
    (recipients, config): (&Recipients, &Config),
    decision: Decision,
) -> Deliveries {
    let deadline = deadline(run, known, config);
    let (host, stage) = (run.host, known.stage());
    let of_target = |target: &Target| signal_request(run, known, &record.state.instance_id, target, config, &decision);
    let signal = recipients.target.as_ref().map(of_target);
    let state = RefCell::new(&mut record.state);
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
        let delivery = send_signal(run, known, config, &signal, deadline).await;
        let report = told(delivery, target, status, "the stack does not wait for this signal");
        if is_settled(&report) {
            keep(&|decision| decision.settled = Some(report.message.clone()));
        }
        say(host, "signal", &report);
        Some(report)
    };
    let to_the_hook = async {
        let (hook, result) = (recipients.hook.as_ref()?, ActionResult::from(decision.status));
        let target = hook.to_string();
        if let Some(message) = &decision.hook_settled {
            return Some(told_earlier(target, result.to_string(), message));
        }
        let delivery = complete(run, config, hook, result, deadline).await;
        let report = told(delivery, target, result.to_string(), "no lifecycle action waits for this instance");
        if is_settled(&report) {
            keep(&|decision| decision.hook_settled = Some(report.message.clone()));
        }
        say(host, "lifecycle action", &report);
        Some(report)
    };
    let (signal, lifecycle_hook) = tokio::join!(to_the_stack, to_the_hook);
    Deliveries { signal, lifecycle_hook, health: None }
}

async fn send_signal(
    run: &Run<'_>,
    known: &Known,
    config: &Config,
    signal: &SignalRequest,
    deadline: Instant,
) -> Delivery {
    let identity = known.identity();
    let proof = (!identity.document.is_empty()).then_some((identity.document.as_str(), identity.signature.as_str()));
    match run.client(config) {
        Ok(client) => cloudformation::send(signal, proof, &run.options.credentials(), &client, deadline).await,
        Err(why) => Delivery::Undelivered(why),
    }
}

async fn complete(
    run: &Run<'_>,
    config: &Config,
    hook: &HookRecipient,
    result: ActionResult,
    deadline: Instant,
) -> Delivery {
    let HookRecipient::Known(hook) = hook else { return Delivery::Refused(NO_GROUP.to_owned().into()) };
    match lifecycle::caller(run, config, hook.clone()) {
        Ok(caller) => caller.complete(result, deadline).await,
        Err(error) => Delivery::Undelivered(format!("{error:#}")),
    }
}

fn signal_request(
    run: &Run<'_>,
    known: &Known,
    instance_id: &str,
    target: &Target,
    config: &Config,
    decision: &Decision,
) -> SignalRequest {
    let wanted = config.signal.clone().unwrap_or_default();
    let of_stack = wanted.stack.as_ref().and_then(|stack| stack.region().map(str::to_owned));
    let identity = known.identity();
    let region = wanted.region.map(|region| region.to_string()).or(of_stack).unwrap_or_else(|| identity.region.clone());
    SignalRequest {
        target: target.clone(),
        status: decision.status,
        unique_id: instance_id.to_owned(),
        reason: decision.reason.clone(),
        region,
        partition_domain: identity.partition_domain.clone(),
        aws: config.aws,
        endpoint: run.options.cloudformation_endpoint.clone(),
        auth: wanted.auth,
        data: String::new(),
    }
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

/// Tells whether the outcome need not be sent again.
pub(super) fn is_settled(report: &SignalReport) -> bool {
    matches!(report.delivery, DeliveryState::Accepted | DeliveryState::NotWaitedFor | DeliveryState::TooLate)
}

pub(super) fn say(host: &Host, what: &str, report: &SignalReport) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::scratch;

    fn recipients() -> Recipients {
        let target = Target::Resource { stack: "web".to_owned(), resource: "Instances".to_owned() };
        let hook = HookRecipient::Unknown("ready".to_owned());
        Recipients { target: Some(target), hook: Some(hook), may_be_others: false }
    }

    #[test]
    fn nobody_lacks_anything_where_nobody_waits_and_one_who_lacks_it_counts() {
        assert!(Deliveries::default().are_told());
        let mut deliveries = Deliveries::all(&recipients(), Status::Failure, DeliveryState::Accepted, "");
        assert!(deliveries.are_told());
        let hook = deliveries.lifecycle_hook.as_mut().unwrap();
        assert_eq!((hook.target.as_str(), hook.status.as_str()), ("lifecycle hook ready", "ABANDON"));
        hook.delivery = DeliveryState::Undelivered;
        assert!(!deliveries.are_told());
    }

    #[test]
    fn what_was_pending_when_the_run_was_stopped_is_undelivered_and_the_rest_stays() {
        let (_root, host) = scratch();
        let Deliveries { signal, .. } = Deliveries::all(&recipients(), Status::Success, DeliveryState::Pending, "");
        let Deliveries { lifecycle_hook, .. } =
            Deliveries::all(&recipients(), Status::Success, DeliveryState::Accepted, "");
        let deliveries_of_stopped_run = deliveries_of_stopped_run(
            &host,
            &Report { signal, lifecycle_hook: lifecycle_hook.clone(), ..Report::begin() },
        );
        assert_eq!(deliveries_of_stopped_run.signal.as_ref().unwrap().delivery, DeliveryState::Undelivered);
        assert_eq!(deliveries_of_stopped_run.lifecycle_hook, lifecycle_hook);
        assert!(!deliveries_of_stopped_run.are_told());
    }
}
