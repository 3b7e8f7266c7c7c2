//! The end of an instance whose first run has failed: the report of its health, and its power.
//!
//! Both come after the outcome was told. Each acts once in the life of an instance, so that a person can start a machine
//! that was powered off, and look at it. A run that fails after a success does neither: tasks may run on the instance.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::decide::Conclusion;
use super::known::Known;
use super::one_run::Run;
use super::record::{Record, step};
use super::supervise::Stop;
use super::tell;
use crate::aws::auto_scaling::{Member, report_unhealthy};
use crate::aws::cloudformation::Status;
use crate::aws::delivery::{Delivery, Refusal};
use crate::config::{AfterFailure, Config, Health, Power};
use crate::report::{DeliveryState, Outcome, SignalReport};
use crate::well_known::{AWSLOGS_UNIT, CLOUDWATCH_UNIT};

/// The health status that Auto Scaling is told, in its words.
const UNHEALTHY: &str = "Unhealthy";
/// Time for the log agent to send the last lines before the machine is powered off. The CloudWatch agent and the awslogs
/// agent both send what they have every 5 s.
const LAST_LINES: Duration = Duration::from_secs(10);
/// Time for systemd to take the order to power off. systemctl does not wait for the shutdown itself.
const SHUTDOWN: Duration = Duration::from_secs(30);

/// Returns the steps that this run has to take: none after a success, or if an earlier boot has taken them.
pub(super) fn due(record: &Record, known: &Known, conclusion: &Conclusion) -> AfterFailure {
    let (asked, none) = (conclusion.config.on_failure, AfterFailure::default());
    let has_failed = matches!(conclusion.outcome, Outcome::Failure | Outcome::Refused);
    if !has_failed || asked == none {
        return none;
    }
    let state = &record.state;
    let first = state.decided(known.stage()).map(|decision| decision.status);
    let why_not = if state.is_out {
        "it has acted on an earlier boot of this instance"
    } else if state.has_recovered || first == Some(Status::Success) {
        "an earlier run of this instance has succeeded, so tasks may run on it"
    } else if state.instance_id.is_empty() {
        // Nothing could be kept for the next boot, either.
        "the instance ID is not known"
    } else {
        return asked;
    };
    tracing::warn!("on_failure does not act: {why_not}");
    none
}

/// Reports the instance as unhealthy if that is due. A run that is told to stop meanwhile leaves it to the next one.
pub(super) async fn report_health(
    run: &Run<'_>,
    record: &mut Record,
    known: &Known,
    config: &Config,
    (due, stop): (AfterFailure, &mut Stop),
) -> Option<SignalReport> {
    let Health::Unhealthy = due.health?;
    let began = Instant::now();
    run.status("reporting the instance to Auto Scaling as unhealthy");
    let target = format!("instance {}", record.state.instance_id);
    let report =
        |delivery, message| SignalReport { target: target.clone(), status: UNHEALTHY.to_owned(), delivery, message };
    record.report.health = Some(report(DeliveryState::Pending, "not answered yet".to_owned()));
    record.save(run);
    let deadline = tell::deadline(run, known, config);
    let instance_id = &record.state.instance_id;
    let health = match stop.unless_told(Box::pin(deliver(run, known, config, (instance_id, deadline)))).await {
        Some(Delivery::Accepted { by, .. }) => report(DeliveryState::Accepted, format!("accepted (auth: {by})")),
        Some(Delivery::Over(_, text)) => report(DeliveryState::NotWaitedFor, text),
        Some(Delivery::Refused(refusal)) => report(DeliveryState::Refused, format!("refused: {refusal}")),
        Some(Delivery::Undelivered(why)) => report(DeliveryState::Undelivered, format!("not delivered: {why}")),
        None => report(DeliveryState::Undelivered, "not delivered, because the run was stopped".to_owned()),
    };
    if tell::is_settled(&health) {
        record.state.is_out = true;
        record.state.save(run.host);
    }
    tell::say(run.host, "health", &health);
    record.report.steps.push(step("health", run.began, began, !health.delivery.is_lost()));
    Some(health)
}

async fn deliver(run: &Run<'_>, known: &Known, config: &Config, (instance_id, deadline): (&str, Instant)) -> Delivery {
    let identity = known.identity();
    if identity.region.is_empty() {
        return Delivery::Refused(Refusal {
            why: "the region of the instance is not known".to_owned(),
            remedy: "enable the instance metadata service".to_owned(),
        });
    }
    let member = Member {
        instance_id: instance_id.to_owned(),
        region: identity.region.clone(),
        partition_domain: identity.partition_domain.clone(),
        aws: config.aws,
    };
    match run.client(config) {
        Ok(client) => report_unhealthy(&member, &client, &run.options.credentials(), deadline).await,
        Err(why) => Delivery::Undelivered(why),
    }
}

/// Keeps in the state that the machine is about to be powered off, if that is due.
pub(super) fn prepare_power_off(run: &Run<'_>, record: &mut Record, due: AfterFailure) {
    let Some(Power::Off) = due.power else { return };
    record.state.is_out = true;
    record.report.powers_off = record.state.save(run.host);
    if !record.report.powers_off {
        stays_on(run, record, "the state can't be saved on the disk, so each boot would power it off again");
    }
}

/// Powers the machine off if the report says so. All else is over by then: the report is written, and the log agent has its
/// time here.
pub(super) async fn power_off(run: &Run<'_>, record: &mut Record, known: &Known, stop: &mut Stop) {
    if !record.report.powers_off {
        return;
    }
    let line = "powering off: the first run of this instance has failed, and on_failure.power asks for this; a later boot \
                does not power it off again";
    tracing::error!("{line}");
    run.host.say_on_console(line);
    let has_log_agent = [CLOUDWATCH_UNIT, AWSLOGS_UNIT].iter().any(|unit| known.started.has(unit));
    let is_shutting_down = async {
        sleep(if has_log_agent { LAST_LINES } else { Duration::ZERO }).await;
        run.host.is_shutting_down("").await
    };
    if stop.unless_told(is_shutting_down).await != Some(false) {
        return leave_to_next_boot(run, record, "the run was stopped, for example by a shutdown");
    }
    let asked = timeout(SHUTDOWN, run.host.run("systemctl", &["poweroff"]));
    match stop.unless_told(asked).await {
        // A stop from here on comes from this itself.
        None | Some(Ok(Ok(_))) => {}
        Some(Ok(Err(error))) => leave_to_next_boot(run, record, &format!("{error:#}")),
        Some(Err(_)) => {
            let why = format!("`systemctl poweroff` has not ended within {} s", SHUTDOWN.as_secs());
            leave_to_next_boot(run, record, &why);
        }
    }
}

/// Says why the machine is not powered off, and lets the next boot that fails do so.
fn leave_to_next_boot(run: &Run<'_>, record: &mut Record, why: &str) {
    record.state.is_out = record.report.health.as_ref().is_some_and(tell::is_settled);
    record.state.save(run.host);
    stays_on(run, record, why);
}

/// Says why the machine is not powered off, and corrects the report.
fn stays_on(run: &Run<'_>, record: &mut Record, why: &str) {
    let line = format!("the machine is not powered off, although on_failure.power asks for this: {why}");
    tracing::error!("{line}");
    run.host.say_on_console(&line);
    record.report.powers_off = false;
    record.report.warnings.push(line);
    record.save(run);
}
