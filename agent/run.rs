//! The boot job, from the user data to the signal: the one module that knows all the others.
//!
//! Each phase is a function: gather, prepare, apply, decide, tell, close. Reporting stands outside what can fail: whatever
//! happens up to the last action, a panic included, becomes an outcome. The outcome is decided once, kept, and told to
//! CloudFormation and Auto Scaling.

mod after_failure;
mod apply;
mod cause;
mod close;
mod decide;
mod diagnose;
mod dry_run;
mod ended;
mod ending;
mod gather;
mod hand_over;
mod known;
mod lifecycle;
mod log_agent;
mod one_run;
mod options;
mod panics;
mod prepare;
mod pulls;
mod recipients;
mod record;
mod resolve;
mod stage;
mod started;
mod state;
mod supervise;
mod tell;

use tokio::task::LocalSet;

use self::apply::apply;
use self::close::{end_decided, end_interrupted, end_without_telling};
use self::decide::decide;
pub use self::diagnose::{diagnose, diagnose_image};
pub use self::dry_run::{DryRun, dry_run};
use self::ended::Ended;
pub use self::ending::Ending;
use self::gather::gather;
pub use self::gather::{Gathered, documents, instance_facts};
#[cfg(feature = "fuzzing")]
pub(crate) use self::hand_over::HandedOver;
use self::known::Known;
use self::one_run::Run;
pub use self::options::Options;
pub use self::panics::print_panics_without_values;
use self::panics::{caught, caught_call, reason_of_panic};
use self::prepare::prepare;
use self::record::Record;
use self::state::Stage;
#[cfg(feature = "fuzzing")]
pub(crate) use self::state::State;
use self::supervise::{Stop, keep_alive};
use self::tell::{deliveries_of_stopped_run, tell};
use crate::host::Host;
use crate::report::Outcome;

/// Runs the whole run. It always ends, with an [`Ending`] that says how.
pub async fn run(options: &Options) -> Ending {
    let host = Host::rooted_at(&options.root);
    // Pulls go on beside the run as tasks of this thread.
    match LocalSet::new().run_until(caught(run_or_hand_over(options, &host))).await {
        Ok(ending) => ending,
        Err(panic) => {
            // Only a panic outside a run's phases gets here. Nobody is signalled: it goes to the journal, the console and the
            // log of runs.
            let line = format!("FAILURE: {}", reason_of_panic(&panic));
            tracing::error!("{line}");
            host.say_on_console(&line);
            record::add_that_of_a_panic(&host, &panic);
            Ending::Unreported
        }
    }
}

/// Runs the job here, or hands it over to the unit if this process is a script inside cloud-init. An instance that leaves its
/// warm pool without a boot has a second run, for service.
async fn run_or_hand_over(options: &Options, host: &Host) -> Ending {
    let mut hand_over_error = None;
    if let Some(stage) = hand_over::stage(host) {
        match hand_over::hand_over(host, options, stage).await {
            Ok(()) => return Ending::Done,
            Err(error) => hand_over_error = Some(format!("{error:#}")),
        }
    }
    let watchdog = tokio::spawn(keep_alive());
    let mut stop = Stop::listen();
    host.remove_unfinished();
    let mut has_left_the_pool = false;
    let ending = loop {
        let (mut record, mut known) = (Record::begin(host), Known::default());
        let run = Run::begin(options, host, hand_over_error.take(), has_left_the_pool);
        let ending = go_through(&run, &mut record, &mut known, &mut stop).await;
        let is_interrupted = record.report.outcome == Outcome::Interrupted;
        if is_interrupted || !known.is_configured || known.stage() == Stage::Service {
            break ending;
        }
        // An instance that the pool keeps running or hibernated goes into service without a boot.
        if stop.unless_told(lifecycle::leaves_the_warm_pool(options)).await.is_none() {
            break ending;
        }
        has_left_the_pool = true;
    };
    watchdog.abort();
    ending
}

/// Goes through the phases of one run. `record` and `known` belong to the caller, so that a panic in a phase loses nothing of
/// them.
async fn go_through(run: &Run<'_>, record: &mut Record, known: &mut Known, stop: &mut Stop) -> Ending {
    let worked = stop.unless_told(caught(work(run, record, known))).await;
    pulls::note_ended(run, record, known).await;
    let ended = match worked {
        Some(result) => result.unwrap_or_else(Ended::Panicked),
        None => return end_interrupted(run, record, "the run was stopped, for example by a shutdown"),
    };
    // A failure that a shutdown caused says nothing about the instance.
    if let Ended::Failed { reason, .. } = &ended
        && run.host.is_shutting_down(reason).await
    {
        return end_interrupted(run, record, &format!("the host shuts down while the run goes on ({reason})"));
    }
    // If the decision panics, that panic is decided as the outcome. If that panics too, nothing is told.
    let decided = caught_call(|| decide(run, record, known, ended));
    let decided = decided.or_else(|panic| caught_call(|| decide(run, record, known, Ended::Panicked(panic))));
    let conclusion = match decided {
        Ok(conclusion) => conclusion,
        Err(panic) => return end_without_telling(run, record, known.stage(), &panic),
    };
    // The scripts of the user data have waited for this run; they don't wait for CloudFormation too.
    run.host.say_up();
    // A stop ends the telling, since an answer may never come. The next run sends what is not answered.
    let mut deliveries = match stop.unless_told(caught(tell(run, record, known, &conclusion))).await {
        Some(Ok(deliveries)) => deliveries,
        Some(Err(panic)) => return end_without_telling(run, record, known.stage(), &panic),
        None => {
            pulls::note_ended(run, record, known).await;
            let deliveries = deliveries_of_stopped_run(run.host, &record.report);
            return end_decided(run, record, &conclusion, deliveries);
        }
    };
    let due = after_failure::due(record, known, &conclusion);
    deliveries.health = after_failure::report_health(run, record, known, &conclusion.config, (due, stop)).await;
    // The log agent is looked at last, so that this delays nobody who is told.
    if let Err(panic) = caught(log_agent::look_at(run.host, &mut record.report, &known.started)).await {
        tracing::warn!("{}", reason_of_panic(&panic));
    }
    pulls::note_ended(run, record, known).await;
    after_failure::prepare_power_off(run, record, due);
    let ending = end_decided(run, record, &conclusion, deliveries);
    pulls::wait_for_the_rest(run, record, known, stop).await;
    after_failure::power_off(run, record, known, stop).await;
    ending
}

/// Brings the host to what its configuration asks for: the part of a run that can fail.
async fn work(run: &Run<'_>, record: &mut Record, known: &mut Known) -> Ended {
    gather(run, record, &mut known.gathered).await;
    match prepare(run, record, known).await {
        Ok(prepared) => apply(run, record, known, prepared).await,
        Err(ended) => ended,
    }
}
