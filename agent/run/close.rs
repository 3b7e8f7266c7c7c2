//! The last step of a run: its report closed, and its ending.

use super::decide::Conclusion;
use super::ending::Ending;
use super::one_run::Run;
use super::panics::reason_of_panic;
use super::record::Record;
use super::state::Stage;
use super::tell::Deliveries;
use crate::report::Outcome;

/// Ends a run whose outcome is decided, with its report.
pub(super) fn end_decided(
    run: &Run<'_>,
    record: &mut Record,
    conclusion: &Conclusion,
    deliveries: Deliveries,
) -> Ending {
    let Conclusion { outcome, line, recipients, .. } = conclusion;
    // Where nothing was to be signalled, the report and the console are told, and that is all that was asked for.
    // What was refused, or could not be read, may have named somebody.
    let is_unknown = recipients.nobody() && (recipients.may_be_others || !record.is_fetched());
    let ending = Ending::of(*outcome, deliveries.are_told() && !is_unknown);
    record.report.outcome = *outcome;
    record.report.health = deliveries.health;
    (record.report.signal, record.report.lifecycle_hook) = (deliveries.signal, deliveries.lifecycle_hook);
    record.finish(run);
    let told_whom: String = record.report.told().map(|told| format!("; {told}")).collect();
    run.host.say_status(&format!("{line}{told_whom}"));
    ending
}

/// Ends a run that a panic kept from telling its outcome: nobody is signalled. The next run sends what was decided.
pub(super) fn end_without_telling(run: &Run<'_>, record: &mut Record, stage: Stage, panic: &str) -> Ending {
    let decided = record.state.decided(stage).filter(|decision| decision.settled.is_none());
    let next = decided.map(|decision| format!("; {} was decided, and the next run sends it", decision.status));
    end(run, record, Outcome::Failure, format!("{}{}", reason_of_panic(panic), next.unwrap_or_default()))
}

/// Ends a run that was stopped from outside. Nothing is decided, and the next run goes on where this one was.
pub(super) fn end_interrupted(run: &Run<'_>, record: &mut Record, why: &str) -> Ending {
    for step in record.report.steps.iter_mut().filter(|step| step.outcome != Outcome::Success) {
        step.outcome = Outcome::Interrupted;
    }
    let reason = format!("{why}; no signal was sent, and the next run continues");
    end(run, record, Outcome::Interrupted, reason)
}

fn end(run: &Run<'_>, record: &mut Record, outcome: Outcome, reason: String) -> Ending {
    run.say(outcome, Some(&reason));
    record.report.outcome = outcome;
    record.report.reason = Some(reason);
    record.finish(run);
    Ending::Unreported
}
