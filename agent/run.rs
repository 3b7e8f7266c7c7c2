//! The boot job, from the user data to the signal: the one module that knows all the others.
//!
//! Each phase is a function: gather, prepare, apply, decide, tell. Reporting stands outside what can fail: whatever happens
//! between the first byte of the user data and the last action, a panic included, becomes an outcome. The outcome is decided
//! once, kept, and told to CloudFormation and Auto Scaling.

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
mod job;
mod known;
mod lifecycle;
mod log_agent;
mod options;
mod panics;
mod prepare;
mod recipients;
mod record;
mod started;
mod state;
mod supervise;
mod tell;

use anyhow::Result;

use self::apply::apply;
use self::close::{close, give_up, interrupt};
use self::decide::decide;
pub use self::diagnose::{diagnose, diagnose_image};
pub use self::dry_run::{DryRun, dry_run};
use self::ended::Ended;
pub use self::ending::Ending;
use self::gather::gather;
pub use self::gather::{Gathered, documents, instance_facts};
#[cfg(feature = "fuzzing")]
pub(crate) use self::hand_over::HandedOver;
use self::job::Job;
use self::known::Known;
pub use self::options::Options;
pub use self::panics::print_panics_without_values;
use self::panics::{bug, caught, net};
use self::prepare::prepare;
use self::record::Record;
use self::state::Stage;
#[cfg(feature = "fuzzing")]
pub(crate) use self::state::State;
use self::supervise::{Stop, keep_alive};
use self::tell::{tell, untold};
use crate::host::Host;
use crate::report::Outcome;

/// Runs the whole job. It always ends, with an [`Ending`] that says how.
///
/// # Errors
/// Only a root or an endpoint that makes no sense; nothing was done then.
pub async fn run(options: &Options) -> Result<Ending> {
    let host = Host::rooted_at(&options.root, &options.ecs_endpoint)?;
    match caught(boot(options, &host)).await {
        Ok(ending) => Ok(ending),
        Err(panic) => {
            // Only a panic outside of a run's phases comes as far as this: it reaches the console alone.
            let line = format!("FAILURE: {}", bug(&panic));
            tracing::error!("{line}");
            host.say_on_console(&line);
            record::add_that_of_a_panic(&host, &panic);
            Ok(Ending::Unreported)
        }
    }
}

/// Runs the job here, or hands it over to the unit where this is a script inside cloud-init. An instance of a warm pool has
/// a run for the pool, and one for service when it leaves the pool without a boot.
async fn boot(options: &Options, host: &Host) -> Ending {
    let mut obstacle = None;
    if let Some(stage) = hand_over::stage(host) {
        match hand_over::hand_over(host, options, stage).await {
            Ok(()) => return Ending::Done,
            Err(error) => obstacle = Some(format!("{error:#}")),
        }
    }
    let alive = tokio::spawn(keep_alive());
    let mut stop = Stop::listen();
    host.remove_unfinished();
    let mut job = Job::begin(options, host);
    job.obstacle = obstacle;
    let ending = loop {
        let (mut record, mut known) = (Record::begin(host), Known::default());
        let ending = go_through(&job, &mut record, &mut known, &mut stop).await;
        let is_interrupted = record.report.outcome == Outcome::Interrupted;
        if is_interrupted || !known.is_configured || known.stage() == Stage::Service {
            break ending;
        }
        // Where the pool keeps its instances running or hibernated, they go into service without a boot.
        if stop.or(lifecycle::leaves_the_warm_pool(options)).await.is_none() {
            break ending;
        }
        job = Job::begin(options, host);
        job.has_left_the_pool = true;
    };
    alive.abort();
    ending
}

/// Goes through the phases of one run. What is known and recorded stands outside of what may panic.
async fn go_through(job: &Job<'_>, record: &mut Record, known: &mut Known, stop: &mut Stop) -> Ending {
    let worked = stop.or(caught(work(job, record, known))).await;
    let ended = match worked {
        Some(result) => result.unwrap_or_else(Ended::Panicked),
        None => return interrupt(job, record, "the run was stopped, for example by a shutdown"),
    };
    // What a shutdown stops or refuses to start says nothing of the instance.
    if let Ended::Failed { reason, .. } = &ended
        && job.host.is_shutting_down(reason).await
    {
        return interrupt(job, record, &format!("the host shuts down while the run goes on ({reason})"));
    }
    // A panic in the decision is decided like any other; nothing is told where that panics, too.
    let decided = net(|| decide(job, record, known, ended));
    let decided = decided.or_else(|panic| net(|| decide(job, record, known, Ended::Panicked(panic))));
    let concluded = match decided {
        Ok(concluded) => concluded,
        Err(panic) => return give_up(job, record, known.stage(), &panic),
    };
    // The scripts of the user data have waited for this run; they don't wait for CloudFormation too.
    job.host.say_up();
    // Being told to stop must not take the time of a signal that no one answers: the next run sends it.
    let deliveries = match stop.or(caught(tell(job, record, known, &concluded))).await {
        Some(Ok(deliveries)) => {
            // Nobody who was to be told had to wait for that.
            if let Err(panic) = caught(log_agent::look_at(job.host, &mut record.report, &known.started)).await {
                tracing::warn!("{}", bug(&panic));
            }
            deliveries
        }
        Some(Err(panic)) => return give_up(job, record, known.stage(), &panic),
        None => untold(job.host, &record.report),
    };
    close(job, record, &concluded, deliveries)
}

/// Brings the host to what its configuration asks for: the part of a run that can fail.
async fn work(job: &Job<'_>, record: &mut Record, known: &mut Known) -> Ended {
    gather(job, record, &mut known.gathered).await;
    match prepare(job, record, known).await {
        Ok(prepared) => apply(job, record, known, prepared).await,
        Err(ended) => ended,
    }
}
