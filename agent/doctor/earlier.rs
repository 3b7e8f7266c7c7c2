//! What was before: the configuration that was given, and how the last run of this agent went.

use anyhow::{Result, anyhow};

use super::{Check, Finding};
use crate::host::Host;
use crate::report::{Outcome, Report};
use crate::well_known::REPORT_FILE;

/// What became of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Configured {
    /// There is one, without mistakes.
    Right,
    /// There is none.
    Missing,
    /// There are mistakes in it; the first in words.
    Refused(String),
    /// It could not be read, for this reason.
    Unknown(String),
}

/// Whether there is a configuration that a run accepts.
pub(super) fn configuration(configured: &Configured) -> Finding {
    let check = Check::Configuration;
    let why = "nothing is set up or started without it";
    match configured {
        Configured::Right => Finding::ok(check, "there are no mistakes in it"),
        Configured::Missing => Finding::problem(
            check,
            "there is no ecs-firstrun configuration",
            why,
            "put one into the user data; its first line is `#ecs-firstrun`",
        ),
        Configured::Refused(summary) => Finding::problem(
            check,
            format!("the configuration is refused: {summary}"),
            why,
            "correct the user data; `ecs-firstrun validate FILE` shows every mistake",
        ),
        Configured::Unknown(reason) => Finding::unknown(check, reason),
    }
}

/// How the last run went.
pub(super) fn last_run(host: &Host) -> Finding {
    let path = host.state_path(REPORT_FILE);
    let parse = |text: String| Report::parse(&text).map_err(|error| anyhow!("{path}: {error}"));
    let read = || -> Result<Option<Report>> { host.read(&path)?.map(parse).transpose() };
    match read() {
        Err(error) => Finding::not_made(Check::LastRun, &error),
        Ok(None) => Finding::unknown(Check::LastRun, "there was no run on this host yet"),
        Ok(Some(report)) => of_report(&report),
    }
}

fn of_report(report: &Report) -> Finding {
    let check = Check::LastRun;
    let began = &report.started;
    let failed = report.steps.iter().rev().find(|step| step.outcome == Outcome::Failure && step.name != "signal");
    let step = failed.map_or("start", |step| step.name.as_str());
    match report.outcome {
        Outcome::Success => Finding::ok(check, format!("the run of {began} succeeded")),
        Outcome::Running => Finding::ok(check, format!("the run of {began} is still going, or was killed")),
        Outcome::Interrupted => Finding::problem(
            check,
            format!("the run of {began} was stopped before it was complete"),
            "the steps after that were not done, and nothing was signalled",
            "`systemctl restart ecs-firstrun`, or reboot: the next run continues",
        ),
        Outcome::Failure | Outcome::Refused => {
            let reason = report.reason.as_deref().unwrap_or_default();
            let waited = step == "wait" || report.outcome == Outcome::Refused;
            let found = match waited {
                true => format!("the run of {began} failed: `ecs-firstrun status` shows it"),
                false => format!("the run of {began} failed in the step `{step}`: {reason}"),
            };
            let why = "the steps after the failed one are not done, and a FAILURE that was signalled is final";
            let remedy = "remove the cause, then `systemctl restart ecs-firstrun`";
            let finding = Finding::problem(check, found, why, remedy);
            // That the wait failed is a consequence, and that a configuration was refused has its own finding.
            if waited { finding.ranked(Check::State) } else { finding }
        }
    }
}
