//! The record of a run: its report, the state of the instance, and its line in the log of runs.

use std::time::SystemTime;

use anyhow::Context as _;
use tokio::time::Instant;

use super::one_run::Run;
use super::panics::{caught_call, reason_of_panic};
use super::state::{Stage, State};
use crate::apply::millis;
use crate::aws::imds::Identity;
use crate::config::Config;
use crate::host::Host;
use crate::report::{Boot, Outcome, Report, StepReport, line};
use crate::well_known::{REPORT_FILE, RUNS_FILE};

/// The report of a run, and the saved state of its instance. The phases add to it, and a panic in one of them loses nothing
/// of it.
pub(super) struct Record {
    pub(super) report: Report,
    pub(super) state: State,
}

impl Record {
    /// Begins the record of a run, and makes up for what an earlier one could not write.
    pub(super) fn begin(host: &Host) -> Self {
        fail_point!("begin");
        let mut state = State::load(host);
        state.put_in_place(host);
        add_that_of_a_killed_run(host);
        Record { report: Report::begin(), state }
    }

    /// Saves the report as it is.
    pub(super) fn save(&mut self, run: &Run<'_>) {
        save(run, &mut self.report);
    }

    /// Saves the report for the last time, and adds its line to the log of runs.
    pub(super) fn finish(&mut self, run: &Run<'_>) {
        self.save(run);
        add(run.host, &self.report);
    }

    /// Adds a warning to the report of a run that has ended.
    pub(super) fn add_warning(&mut self, run: &Run<'_>, warning: String) {
        self.report.warnings.push(warning);
        write(run, &self.report);
    }

    /// Tells whether the instance metadata and the user data could be read.
    pub(super) fn is_fetched(&self) -> bool {
        self.report.steps.first().is_some_and(|step| step.outcome == Outcome::Success)
    }

    /// Names the stack and the resource in the report: those of the configuration, else those of the instance's tags.
    pub(super) fn name_the_stack(&mut self, config: &Config, identity: &Identity) {
        let tag = |name: &str| identity.tags.get(&format!("aws:cloudformation:{name}")).cloned();
        let signal = config.signal.as_ref();
        let stack = signal.and_then(|signal| Some(signal.stack.as_ref()?.name().to_owned()));
        let resource = signal.and_then(|signal| Some(signal.resource.as_ref()?.to_string()));
        (self.report.stack, self.report.resource) =
            (stack.or_else(|| tag("stack-name")), resource.or_else(|| tag("logical-id")));
    }

    /// Tells which run of the instance this is, before its report takes the place of the one before. If an outcome was
    /// decided and then forgotten, this still is the first run.
    pub(super) fn boot(&self, host: &Host, stage: Stage, was_decided: bool) -> Boot {
        match self.state.decided(stage) {
            _ if stage == Stage::WarmPool => Boot::WarmPool,
            None if was_decided || !self.had_an_outcome(host) => Boot::First,
            _ => Boot::Later,
        }
    }

    /// Tells whether the run before was of this instance, for service, and came to an outcome. If nobody waits for an
    /// outcome, only the report has it.
    fn had_an_outcome(&self, host: &Host) -> bool {
        let Some(before) = before(host) else { return false };
        let has_ended = matches!(before.outcome, Outcome::Success | Outcome::Failure | Outcome::Refused);
        let is_of_this_instance = before.instance_id.is_some() && before.instance_id == self.report.instance_id;
        has_ended && is_of_this_instance && before.boot != Some(Boot::WarmPool)
    }
}

/// Saves a report as it is now, with the time since the run began. One that can't be written must not keep the signal from being sent.
pub(super) fn save(run: &Run<'_>, report: &mut Report) {
    report.duration_ms = millis(run.began.elapsed());
    write(run, report);
}

fn write(run: &Run<'_>, report: &Report) {
    let saved = serde_json::to_string_pretty(report).context("render the report");
    let path = run.host.state_path(REPORT_FILE);
    // It changes a dozen times in a run; that the name of the last one is on the disk is enough.
    let write = if report.outcome == Outcome::Running { Host::write_for_now } else { Host::write };
    if let Err(error) = saved.and_then(|text| write(run.host, &path, format!("{text}\n").as_bytes(), 0o644)) {
        tracing::warn!("the report can't be saved: {error:#}");
    }
}

/// Makes the report of a step of the run itself, which began at `start` and ends now.
pub(super) fn step(name: &str, run_began: Instant, start: Instant, is_done: bool) -> StepReport {
    StepReport {
        name: name.to_owned(),
        outcome: if is_done { Outcome::Success } else { Outcome::Failure },
        start_ms: millis(start - run_began),
        duration_ms: millis(start.elapsed()),
        actions: Vec::new(),
    }
}

/// Reads the report of the run before; none where it can't be read.
fn before(host: &Host) -> Option<Report> {
    let text = host.read(&host.state_path(REPORT_FILE)).ok()??;
    Report::parse(&text).ok()
}

/// Makes up for the line of a run that was killed: its report says that it still goes.
fn add_that_of_a_killed_run(host: &Host) {
    let Some(mut report) = before(host).filter(|report| report.outcome == Outcome::Running) else { return };
    report.outcome = Outcome::Interrupted;
    report.reason =
        Some("the run was killed, or the host lost its power, before it ended; the next run continued".to_owned());
    add(host, &report);
}

/// Adds the line of a run that had no report when a panic ended it.
pub(super) fn add_that_of_a_panic(host: &Host, panic: &str) {
    let report = Report {
        instance_id: host.local_instance_id(),
        outcome: Outcome::Failure,
        reason: Some(reason_of_panic(panic)),
        ..Report::begin()
    };
    if let Err(panic) = caught_call(|| add(host, &report)) {
        tracing::warn!("{RUNS_FILE} lacks the line of this run: {panic}");
    }
}

/// Adds a run's line to the log of runs. A line that can't be added keeps nobody from being told.
fn add(host: &Host, report: &Report) {
    if let Err(error) = host.append_line(RUNS_FILE, &line(report, SystemTime::now())) {
        tracing::warn!("{RUNS_FILE} lacks the line of this run: {error:#}");
    }
}
