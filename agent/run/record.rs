//! The end of a run's report, and its line in the log of runs.

use std::time::SystemTime;

use anyhow::{Context as _, Result};

use super::panics::net;
use super::state::Stage;
use super::{Run, conclude};
use crate::config::Config;
use crate::host::Host;
use crate::report::{Boot, Line, Outcome, Report};
use crate::well_known::{REPORT_FILE, RUNS_FILE};

impl Run<'_> {
    /// Saves the report for the last time, and adds its line to the log of runs.
    pub(super) fn finish(&mut self) {
        self.save();
        add(&self.host, &self.report);
    }

    /// Names the stack and the resource in the report: those of the configuration, else those of the instance's tags.
    pub(super) fn name_the_stack(&mut self, config: &Config) {
        let tag = |name: &str| self.gathered.identity.tags.get(&format!("aws:cloudformation:{name}")).cloned();
        let signal = config.signal.as_ref();
        let stack = signal.and_then(|signal| Some(signal.stack.as_ref()?.name().to_owned()));
        let resource = signal.and_then(|signal| Some(signal.resource.as_ref()?.to_string()));
        (self.report.stack, self.report.resource) =
            (stack.or_else(|| tag("stack-name")), resource.or_else(|| tag("logical-id")));
    }

    /// Tells which run of the instance this is, before its report takes the place of the one before. An outcome that was
    /// decided and is forgotten was that of no first run.
    pub(super) fn boot(&self, was_decided: bool) -> Boot {
        match self.decision() {
            _ if self.stage == Stage::WarmPool => Boot::WarmPool,
            None if was_decided || !self.had_an_outcome() => Boot::First,
            _ => Boot::Later,
        }
    }

    /// Tells whether the run before was of this instance, for service, and came to an outcome: where nobody waits for one,
    /// the report alone has it.
    fn had_an_outcome(&self) -> bool {
        let Some(before) = before(&self.host) else { return false };
        let has_ended = matches!(before.outcome, Outcome::Success | Outcome::Failure | Outcome::Refused);
        let is_of_this_instance = before.instance_id.is_some() && before.instance_id == self.report.instance_id;
        has_ended && is_of_this_instance && before.boot != Some(Boot::WarmPool)
    }
}

/// The report of the run before; none where it can't be read.
fn before(host: &Host) -> Option<Report> {
    let text = host.read(&host.state_path(REPORT_FILE)).ok()??;
    Report::parse(&text).ok()
}

/// Makes up for the line of a run that was killed: its report says that it still goes.
pub(super) fn add_that_of_a_killed_run(host: &Host) {
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
        reason: Some(conclude::bug(panic)),
        ..Report::begin()
    };
    if let Err(panic) = net(|| add(host, &report)) {
        tracing::warn!("{RUNS_FILE} lacks the line of this run: {panic}");
    }
}

/// A line that can't be added keeps nobody from being told.
fn add(host: &Host, report: &Report) {
    let added = || -> Result<()> {
        let line = Line::of(report, SystemTime::now()).render().context("render the line of this run")?;
        host.append_line(RUNS_FILE, &line)
    };
    if let Err(error) = added() {
        tracing::warn!("{RUNS_FILE} lacks the line of this run: {error:#}");
    }
}
