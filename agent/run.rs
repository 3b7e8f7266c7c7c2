//! The boot job, from the user data to the signal: the one module that knows all the others.
//!
//! Reporting stands outside what can fail. Whatever happens between the first byte of the user data and the last action,
//! a panic included, becomes an outcome; the outcome is decided once, kept, and told to CloudFormation and Auto Scaling.

mod cause;
mod conclude;
mod diagnose;
mod dry_run;
mod ending;
mod gather;
mod hand_over;
mod lifecycle;
mod log_agent;
mod options;
mod panics;
mod provision;
mod record;
mod signal;
mod started;
mod state;
mod supervise;

use std::cell::OnceCell;
use std::pin::pin;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::time::Instant;

pub use self::diagnose::{diagnose, diagnose_image};
pub use self::dry_run::{DryRun, dry_run};
pub use self::ending::Ending;
pub use self::gather::{Gathered, documents, instance_facts};
#[cfg(feature = "fuzzing")]
pub(crate) use self::hand_over::HandedOver;
pub use self::options::Options;
pub use self::panics::print_panics_without_values;
use self::panics::{caught, net};
use self::started::Started;
pub(crate) use self::state::State;
use self::state::{Decision, Stage};
use self::supervise::{Stop, keep_alive};
use crate::apply::millis;
use crate::config::Config;
use crate::host::Host;
use crate::report::{Outcome, Report};
use crate::well_known::REPORT_FILE;

/// Runs the whole job. It always ends, with an [`Ending`] that says how.
///
/// # Errors
/// Only a root or an endpoint that makes no sense; nothing was done then.
pub async fn run(options: &Options) -> Result<Ending> {
    let host = Host::rooted_at(&options.root, &options.ecs_endpoint)?;
    match caught(job(options, host)).await {
        Ok(ending) => Ok(ending),
        Err(panic) => {
            // Only a panic outside of a run's phases comes as far as this: it reaches the console alone.
            let host = Host::rooted_at(&options.root, &options.ecs_endpoint)?;
            let line = format!("FAILURE: {}", conclude::bug(&panic));
            tracing::error!("{line}");
            host.say_on_console(&line);
            record::add_that_of_a_panic(&host, &panic);
            Ok(Ending::Unreported)
        }
    }
}

async fn job(options: &Options, host: Host) -> Ending {
    let obstacle = match hand_over::stage(&host) {
        Some(stage) => match hand_over::hand_over(&host, options, stage).await {
            Ok(()) => return Ending::Done,
            Err(error) => Some(error),
        },
        None => None,
    };
    let alive = tokio::spawn(keep_alive());
    let mut stop = Stop::listen();
    host.remove_unfinished();
    let mut run = Run { obstacle, ..Run::begin(options, host) };
    let ending = loop {
        let ending = run.go_through(&mut stop).await;
        if !run.goes_on_in_service() {
            break ending;
        }
        // Where the pool keeps its instances running or hibernated, they go into service without a boot.
        tokio::select! {
            () = lifecycle::leaves_the_warm_pool(options) => {}
            () = stop.told() => break ending,
        }
        run = Run { has_left_the_pool: true, ..Run::begin(options, run.host) };
    };
    alive.abort();
    ending
}

/// How a provisioning can end without an error.
enum Provisioned {
    /// The host is as it should be.
    Complete(Box<Config>),
    /// There was no configuration; Docker and the ECS agent were started, unless the user data names us.
    Nothing { started: bool },
    /// Auto Scaling terminates the instance, so that nothing was begun.
    Terminating,
}

/// A failure, and whatever of the configuration can still be used to report it.
struct Failure {
    outcome: Outcome,
    reason: String,
    config: Box<Config>,
}

struct Run<'a> {
    options: &'a Options,
    host: Host,
    began: Instant,
    report: Report,
    state: State,
    gathered: Gathered,
    /// The units that this run has started.
    started: Started,
    /// The configuration as far as it is right; nothing until the user data is parsed.
    known: Option<Box<Config>>,
    /// What the instance is brought to.
    stage: Stage,
    /// Whether there is a configuration, right or wrong.
    is_configured: bool,
    /// Why this run can do nothing but report that.
    obstacle: Option<anyhow::Error>,
    /// Whether it goes into service without a boot, after it was in a warm pool.
    has_left_the_pool: bool,
    /// How long the host had been up when the run began, as far as the stack's timeout counts for it.
    uptime: Duration,
    /// The client for AWS, or why there is none.
    client: OnceCell<Result<reqwest::Client, String>>,
}

impl<'a> Run<'a> {
    fn begin(options: &'a Options, host: Host) -> Self {
        fail_point!("begin");
        let mut state = State::load(&host);
        state.put_in_place(&host);
        record::add_that_of_a_killed_run(&host);
        Run {
            options,
            host,
            began: Instant::now(),
            report: Report::begin(),
            state,
            gathered: Gathered::default(),
            started: Started::default(),
            known: None,
            stage: Stage::Service,
            is_configured: false,
            obstacle: None,
            has_left_the_pool: false,
            uptime: Duration::ZERO,
            client: OnceCell::new(),
        }
    }

    async fn go_through(&mut self, stop: &mut Stop) -> Ending {
        let result = tokio::select! {
            result = caught(self.provision()) => Some(result),
            () = stop.told() => None,
        };
        let Some(result) = result else {
            return self.interrupted("the run was stopped, for example by a shutdown");
        };
        // What a shutdown stops or refuses to start says nothing of the instance.
        if let Ok(Err(failure)) = &result
            && failure.outcome == Outcome::Failure
            && self.host.is_shutting_down(&failure.reason).await
        {
            return self.interrupted(&format!("the host shuts down while the run goes on ({})", failure.reason));
        }
        // A panic in the conclusion is concluded like any other; nothing is told where that panics, too.
        let concluded = net(|| self.conclude(result)).or_else(|panic| net(|| self.conclude(Err(panic))));
        let concluded = match concluded {
            Ok(concluded) => concluded,
            Err(panic) => return self.given_up(&panic),
        };
        // The scripts of the user data have waited for this run; they don't wait for CloudFormation too.
        self.host.say_up();
        let told = {
            let mut telling = pin!(caught(self.tell(&concluded)));
            // Being told to stop must not take the time of a signal that no one answers: the next run sends it.
            tokio::select! {
                biased;
                ending = &mut telling => Some(ending),
                () = stop.told() => None,
            }
        };
        match told {
            Some(Ok(ending)) => {
                // Nobody who was to be told had to wait for that.
                if let Err(panic) = caught(self.look_at_log_agent()).await {
                    tracing::warn!("{}", conclude::bug(&panic));
                }
                self.close(concluded, ending)
            }
            Some(Err(panic)) => self.given_up(&panic),
            None => {
                let ending = self.untold();
                self.close(concluded, ending)
            }
        }
    }

    /// Whether this was the part of a run that belongs to a warm pool.
    fn goes_on_in_service(&self) -> bool {
        self.stage == Stage::WarmPool && self.is_configured && self.report.outcome != Outcome::Interrupted
    }

    fn decision(&self) -> Option<&Decision> {
        self.state.decided(self.stage)
    }

    fn status(&self, what: &str) {
        tracing::info!("{what}");
        self.host.say_status(what);
    }

    fn save(&mut self) {
        save_report(&self.host, &mut self.report, self.began);
    }
}

/// A report that can't be written must not keep the signal from being sent.
fn save_report(host: &Host, report: &mut Report, began: Instant) {
    report.duration_ms = millis(began.elapsed());
    let saved = serde_json::to_string_pretty(report).context("render the report");
    let path = host.state_path(REPORT_FILE);
    // It changes a dozen times in a run; that the name of the last one is on the disk is enough.
    let write = if report.outcome == Outcome::Running { Host::write_for_now } else { Host::write };
    if let Err(error) = saved.and_then(|text| write(host, &path, format!("{text}\n").as_bytes(), 0o644)) {
        tracing::warn!("the report can't be saved: {error:#}");
    }
}
