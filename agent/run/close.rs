//! The last step of a run: its report closed, and its ending.

use super::decide::Concluded;
use super::ending::Ending;
use super::job::Job;
use super::panics::bug;
use super::record::Record;
use super::state::Stage;
use super::tell::Deliveries;
use crate::report::Outcome;

/// Ends a run whose outcome is decided, with its report.
pub(super) fn close(job: &Job<'_>, record: &mut Record, concluded: &Concluded, deliveries: Deliveries) -> Ending {
    let Concluded { outcome, line, recipients, .. } = concluded;
    // Where nothing was to be signalled, the report and the console are told, and that is all that was asked for.
    // What was refused, or could not be read, may have named somebody.
    let is_unknown = recipients.nobody() && (recipients.may_be_others || !record.is_fetched());
    let ending = Ending::of(*outcome, deliveries.are_told() && !is_unknown);
    record.report.outcome = *outcome;
    (record.report.signal, record.report.lifecycle_hook) = (deliveries.signal, deliveries.lifecycle_hook);
    record.finish(job);
    let told_whom: String = record.report.told().map(|told| format!("; {told}")).collect();
    job.host.say_status(&format!("{line}{told_whom}"));
    ending
}

/// Ends a run that a panic kept from telling its outcome: the console alone has it. The next run sends what was decided.
pub(super) fn give_up(job: &Job<'_>, record: &mut Record, stage: Stage, panic: &str) -> Ending {
    let decided = record.state.decided(stage).filter(|decision| decision.settled.is_none());
    let next = decided.map(|decision| format!("; {} was decided, and the next run sends it", decision.status));
    end(job, record, Outcome::Failure, format!("{}{}", bug(panic), next.unwrap_or_default()))
}

/// Ends a run that was stopped from outside. Nothing is decided, and the next run goes on where this one was.
pub(super) fn interrupt(job: &Job<'_>, record: &mut Record, why: &str) -> Ending {
    for step in record.report.steps.iter_mut().filter(|step| step.outcome != Outcome::Success) {
        step.outcome = Outcome::Interrupted;
    }
    let reason = format!("{why}; nothing was signalled, and the next run continues");
    end(job, record, Outcome::Interrupted, reason)
}

fn end(job: &Job<'_>, record: &mut Record, outcome: Outcome, reason: String) -> Ending {
    job.say(outcome, Some(&reason));
    record.report.outcome = outcome;
    record.report.reason = Some(reason);
    record.finish(job);
    Ending::Unreported
}
