//! The boot job, from the user data to the signal: the one module that knows all the others.
//!
//! Reporting stands outside what can fail. Whatever happens between the first byte of the user data and the last action,
//! a panic included, becomes an outcome; the outcome is decided once, kept, and told to CloudFormation and Auto Scaling.

mod conclude;
mod diagnose;
mod dry_run;
mod gather;
mod hand_over;
mod lifecycle;
mod panics;
mod signal;
mod state;
mod supervise;

use std::cell::OnceCell;
use std::path::PathBuf;
use std::pin::pin;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use tokio::time::Instant;

pub use self::diagnose::{diagnose, diagnose_image};
pub use self::dry_run::{DryRun, dry_run};
pub use self::gather::{Gathered, documents, instance_facts, read_user_data};
#[cfg(feature = "fuzzing")]
pub(crate) use self::hand_over::HandedOver;
pub use self::panics::print_panics_without_values;
use self::panics::{caught, net};
pub(crate) use self::state::State;
use self::state::{Decision, Stage};
use self::supervise::{Stop, keep_alive};
use crate::apply::{apply, millis};
use crate::config::decode::Note;
use crate::config::{self, Config, Parsed};
use crate::delivery::CredentialsSource;
use crate::host::Host;
use crate::plan::{Action, Condition, Plan, obstacle, plan};
use crate::report::{Outcome, Report, StepReport};
use crate::well_known::REPORT_FILE;

/// What a run is given.
#[derive(Clone, Debug)]
pub struct Options {
    /// Every path of the host lies under it.
    pub root: PathBuf,
    /// User data from a file instead of the instance metadata.
    pub user_data: Option<PathBuf>,
    /// Where the instance metadata service answers; the service's own addresses unless given.
    pub imds_endpoint: Option<String>,
    /// Where the ECS agent answers.
    pub ecs_endpoint: String,
    /// Where CloudFormation answers; by region and partition unless given.
    pub cloudformation_endpoint: Option<String>,
}

impl Options {
    /// Credentials of the host, those of its role from where the options have the instance metadata.
    fn credentials(&self) -> CredentialsSource {
        CredentialsSource::Host { imds_endpoint: self.imds_endpoint.clone() }
    }
}

/// How a run ends, for the shell and for systemd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// All is done: 0.
    Done,
    /// Something failed, and that was reported: 1.
    Failed,
    /// The configuration was refused, and that was reported: 2.
    Refused,
    /// The outcome could not be reported: 3.
    Unreported,
}

impl Ending {
    /// The exit code.
    pub fn code(self) -> u8 {
        match self {
            Ending::Done => 0,
            Ending::Failed => 1,
            Ending::Refused => 2,
            Ending::Unreported => 3,
        }
    }
}

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
    /// There was no configuration.
    Nothing,
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
        Run {
            options,
            host,
            began: Instant::now(),
            report: Report::begin(),
            state,
            gathered: Gathered::default(),
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
            Some(Ok(ending)) => self.close(concluded, ending),
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

    async fn provision(&mut self) -> Result<Provisioned, Failure> {
        let failed = |error: anyhow::Error, config: Box<Config>| Failure {
            outcome: Outcome::Failure,
            reason: format!("{error:#}"),
            config,
        };
        self.status("reading the instance metadata and the user data");
        let began = Instant::now();
        // Kept as it comes, before anything is made of it: whatever happens then, there is something to report by.
        gather::gather(&self.host, self.options, &self.state, &mut self.gathered).await;
        let gathered = &self.gathered;
        self.report.steps.push(StepReport {
            name: "fetch".to_owned(),
            outcome: if gathered.error.is_none() { Outcome::Success } else { Outcome::Failure },
            start_ms: millis(began - self.began),
            duration_ms: millis(began.elapsed()),
            actions: Vec::new(),
        });
        let instance_id = gathered.instance_id();
        self.stage = Stage::of(&gathered.identity);
        self.report.instance_id = Some(instance_id.clone()).filter(|id| !id.is_empty());
        self.state.begin_instance(&instance_id);
        let parsed = self.gathered.parse();
        self.known = Some(Box::new(parsed.config.clone()));
        self.is_configured = parsed.found || !parsed.problems.is_empty();
        if parsed.config.signal.is_some() {
            self.state.forget_what_nobody_waited_for(self.stage);
        }
        if self.decision().is_none() && !self.has_left_the_pool {
            self.uptime = self.host.uptime();
        }
        self.save();
        if self.gathered.identity.is_terminating() {
            return Ok(Provisioned::Terminating);
        }
        if let Some(error) = self.gathered.error.take().or_else(|| self.obstacle.take()) {
            return Err(failed(error, Box::new(parsed.config)));
        }
        let config = accepted(parsed)?;
        let Some(config) = config else { return Ok(Provisioned::Nothing) };
        self.report.cluster = config.ecs.as_ref().map(|ecs| ecs.cluster.to_string());
        let instance = match self.host.instance(&self.gathered.identity) {
            Ok(instance) => instance,
            Err(error) => return Err(failed(error, config)),
        };
        if let Some(obstacle) = obstacle(&config, &instance) {
            return Err(failed(anyhow!(obstacle), config));
        }
        let plan = self.plan_for_this_boot(&config, &instance);
        plan.notes.iter().for_each(|note| tracing::info!("{note}"));
        let heartbeats = self.heartbeats(&config);
        let applied = self.apply(&plan, &config).await;
        drop(heartbeats);
        match applied {
            Ok(()) => {
                // The user data may have changed since the first boot.
                if self.decision().is_some() {
                    self.state.keep_documents(&self.gathered);
                    self.state.save(&self.host);
                    if let Some(finding) = self.another_cluster(&config).await {
                        return Err(failed(anyhow!(finding), config));
                    }
                }
                Ok(Provisioned::Complete(config))
            }
            Err(error) => Err(failed(self.with_cause(error, &config).await, config)),
        }
    }

    /// The plan, without the wait if that is over.
    fn plan_for_this_boot(&self, config: &Config, instance: &crate::instance::Instance) -> Plan {
        fail_point!("plan");
        let mut plan = plan(config, instance);
        if self.decision().is_some() {
            plan.leave_out_the_wait();
        }
        plan
    }

    async fn apply(&mut self, plan: &Plan, config: &Config) -> Result<()> {
        let allowed = config.time_allowed(self.uptime);
        tracing::debug!("{} are left for the run", humantime::format_duration(allowed));
        let deadline = self.began + allowed;
        let tells = self.decision().is_none() && !self.waiting(config, Outcome::Success).nobody();
        let (host, client, report) = (&self.host, &self.client, &mut self.report);
        let before = report.steps.clone();
        let mut announced = 0;
        let progress = |steps: &[StepReport]| {
            report.steps = before.iter().chain(steps).cloned().collect();
            save_report(host, report, self.began);
            let Some(step) = steps.last() else { return };
            if steps.len() > announced {
                announced = steps.len();
                tracing::info!("{}: started", step.name);
                host.say_status(&step.name);
            } else {
                let changed = step.actions.iter().filter(|action| action.change == crate::report::Change::Made).count();
                tracing::info!(
                    "{}: {}, {changed} of {} changed, {} ms",
                    step.name,
                    if step.outcome == Outcome::Success { "done" } else { "failed" },
                    step.actions.len(),
                    step.duration_ms
                );
            }
        };
        let perform = async |action: &Action, deadline| {
            // What is read for it takes time, which there is before the ECS agent has registered and not after it.
            if tells && matches!(action, Action::WaitFor(Condition::Registered { .. })) {
                let _ = signal::client(client, config);
            }
            fail_point!("action");
            host.perform(action, deadline).await
        };
        let applied = apply(plan, self.began, deadline, perform, progress).await;
        self.report.steps = before.into_iter().chain(applied.steps).collect();
        applied.result
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

/// The configuration, if there is one and nothing is wrong with it.
fn accepted(parsed: Parsed) -> Result<Option<Box<Config>>, Failure> {
    for note in &parsed.notes {
        match note {
            // Of a part of others nobody needs to know where there is one of ours.
            Note::Left(_) if parsed.found => tracing::debug!("{note}"),
            _ => tracing::warn!("{note}"),
        }
    }
    parsed.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    if !parsed.problems.is_empty() {
        for problem in &parsed.problems {
            tracing::error!("{problem}");
        }
        let reason = config::summary(&parsed.problems);
        return Err(Failure { outcome: Outcome::Refused, reason, config: Box::new(parsed.config) });
    }
    Ok(parsed.found.then(|| Box::new(parsed.config)))
}
