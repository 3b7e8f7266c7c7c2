//! Checks the configuration that was given, and the result of this agent's last run.

use anyhow::{Result, anyhow};

use super::finding::{Check, Finding, Verdict};
use super::subject::Configured;
use crate::config::HookPoint;
use crate::host::Host;
use crate::report::{Outcome, Report};
use crate::well_known::REPORT_FILE;

/// The words for a run that ended without a failure.
const SUCCEEDED: &str = "succeeded";
/// As [`SUCCEEDED`], for an instance that is not, or no longer, a member of its cluster.
const ENDED: &str = "ended without a failure";

/// Checks whether there is a configuration that a run accepts.
pub(super) fn configuration(configured: &Configured) -> Finding {
    let check = Check::Configuration;
    let why = "without a valid configuration, nothing is set up or started";
    match configured {
        Configured::Right => Finding::ok(check, "there are no mistakes in it"),
        Configured::Others => Finding::ok(
            check,
            "there is no ecs-firstrun configuration: Docker and the ECS agent start as on an image without ecs-firstrun",
        ),
        Configured::Missing => Finding::problem(
            check,
            "there is no ecs-firstrun configuration, but the user data names ecs-firstrun",
            why,
            "put a document into the user data; its first line is `#ecs-firstrun`",
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

/// Checks the result of the last run.
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
    let failed = report
        .steps
        .iter()
        .rev()
        .find(|step| step.outcome == Outcome::Failure && !["signal", "health"].contains(&step.name.as_str()));
    match report.outcome {
        Outcome::Success => Finding::ok(check, format!("the run of {began} {SUCCEEDED}")),
        Outcome::Running => Finding::ok(check, format!("the run of {began} is still going, or was killed")),
        Outcome::Interrupted => Finding::problem(
            check,
            format!("the run of {began} was stopped before it was complete"),
            "the steps after that were not done, and no signal was sent",
            "`systemctl restart ecs-firstrun`, or reboot: the next run continues",
        ),
        Outcome::Failure | Outcome::Refused => {
            let reason = report.reason.as_deref().unwrap_or_default();
            let found = match failed {
                Some(step) => format!("the run of {began} failed in the step `{}`: {reason}", step.name),
                None => format!("the run of {began} failed: {reason}"),
            };
            let why = "the steps after the failed one are not done, and a FAILURE that was signalled is final";
            let remedy = "remove the cause, then `systemctl restart ecs-firstrun`";
            let finding = Finding::problem(check, found, why, remedy);
            // A later member of the cluster is no proof that a hook after the registration has run.
            let is_after = failed.is_some_and(|step| step.name == HookPoint::AfterRegistration.key());
            let finding = if is_after { finding } else { finding.of_the_past() };
            // A failed wait is a consequence, and a refused configuration has its own finding.
            let has_another = report.outcome == Outcome::Refused || failed.is_some_and(|step| step.name == "wait");
            if has_another { finding.ranked(Check::State) } else { finding }
        }
    }
}

/// Corrects the findings about earlier runs by the instance's present cluster. Once the instance is a member, a failed run
/// is history. If the instance is in another cluster, a successful run is no success. In a warm pool the instance is rightly
/// no member yet, so a failed run still counts.
pub(super) fn weigh(findings: &mut [Finding], cluster: &[Finding], is_warming: bool) {
    let Some(now) = cluster.first() else { return };
    for finding in findings {
        match (now.verdict, finding.verdict) {
            (Verdict::Ok, Verdict::Problem) if finding.is_past && !is_warming => {
                finding.verdict = Verdict::Ok;
                finding.found.push_str("; that is history: the instance has become a member of its cluster since");
                finding.why.clear();
                finding.remedy.clear();
            }
            (Verdict::Problem, Verdict::Ok) if finding.check == Check::LastRun => {
                finding.found = finding.found.replace(SUCCEEDED, ENDED);
            }
            _ => {}
        }
    }
}
