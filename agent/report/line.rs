//! A finished run in one line of JSON, for people who look at many instances at once.

use std::time::SystemTime;

use serde::Serialize;
use serde_json::{Map, Value};

use super::contents::{Boot, DeliveryState, Outcome, Report, SignalReport};
use crate::document::problem::cut;

/// Most characters of a reason; the report has the whole reason.
const REASON: usize = 2000;

/// A finished run, as a line of the log of runs. Values that are not known are left out.
///
/// Secrets are masked, since the line is made from a [`Report`] alone. The keys are an interface: `docs/status.md` lists
/// them.
#[derive(Clone, Debug, Serialize)]
pub struct Line<'a> {
    /// The time of the line, at the end of the run: RFC 3339 in UTC, whole seconds. The time comes first, where a log agent
    /// looks for it.
    pub time: String,
    /// The instance, as the instance metadata or the firmware name it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance_id: Option<&'a str>,
    /// The image (AMI), as the instance identity document names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_id: Option<&'a str>,
    /// Name of the stack, from the configuration or the instance's tags.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stack: Option<&'a str>,
    /// Logical id in the stack, from the configuration or the instance's tags.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource: Option<&'a str>,
    /// The cluster, from the configuration, else from the ECS agent's settings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<&'a str>,
    /// The kind of the run in the life of the instance, from the records of earlier runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub boot: Option<Boot>,
    /// The outcome of the run.
    pub outcome: Outcome,
    /// The reason for a failure, or information for a person; at most 2000 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Name of the step that failed, or that a panic cut off; none if no step failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed_step: Option<&'a str>,
    /// Seconds that the run took, with milliseconds.
    pub seconds: f64,
    /// Seconds of each step, by its name.
    pub steps: Map<String, Value>,
    /// Name of the step that took longest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slowest_step: Option<&'a str>,
    /// Seconds of the slowest step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slowest_step_seconds: Option<f64>,
    /// The delivery of the signal to CloudFormation; none if no signal was to be sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signal: Option<DeliveryState>,
    /// The delivery of the lifecycle action's completion; none if there is no hook.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lifecycle_hook: Option<DeliveryState>,
    /// Version of ecs-firstrun.
    pub version: &'a str,
}

impl<'a> Line<'a> {
    /// Makes the line of a finished run.
    pub fn of(report: &'a Report, now: SystemTime) -> Self {
        let mut times: Vec<(&str, u64)> = Vec::new();
        for step in &report.steps {
            match times.iter_mut().find(|(name, _)| *name == step.name) {
                Some((_, ms)) => *ms = ms.saturating_add(step.duration_ms),
                None => times.push((&step.name, step.duration_ms)),
            }
        }
        // Of equally slow steps, the first counts.
        let slowest = times.iter().rev().max_by_key(|(_, ms)| *ms);
        let delivery = |told: &Option<SignalReport>| told.as_ref().map(|told| told.delivery);
        Line {
            time: humantime::format_rfc3339_seconds(now).to_string(),
            instance_id: report.instance_id.as_deref(),
            image_id: report.image_id.as_deref(),
            stack: report.stack.as_deref(),
            resource: report.resource.as_deref(),
            cluster: report.cluster.as_deref(),
            boot: report.boot,
            outcome: report.outcome,
            reason: report.reason.as_deref().map(|reason| cut(reason, REASON)),
            failed_step: failed_step(report),
            seconds: seconds(report.duration_ms),
            steps: times.iter().map(|(name, ms)| ((*name).to_owned(), seconds(*ms).into())).collect(),
            slowest_step: slowest.map(|(name, _)| *name),
            slowest_step_seconds: slowest.map(|(_, ms)| seconds(*ms)),
            signal: delivery(&report.signal),
            lifecycle_hook: delivery(&report.lifecycle_hook),
            version: &report.agent,
        }
    }

    /// Returns the line as it is in the file, with the newline.
    ///
    /// # Errors
    /// No error is known: all keys are text.
    pub fn render(&self) -> serde_json::Result<String> {
        serde_json::to_string(self).map(|line| line + "\n")
    }
}

fn failed_step(report: &Report) -> Option<&str> {
    let failed = |outcome| match report.outcome {
        Outcome::Failure | Outcome::Refused => matches!(outcome, Outcome::Failure | Outcome::Running),
        _ => outcome == Outcome::Failure,
    };
    // The first failed step is the cause: a later failure to send the signal is not.
    report.steps.iter().find(|step| failed(step.outcome)).map(|step| step.name.as_str())
}

#[expect(clippy::cast_precision_loss, reason = "a run takes no 2^53 milliseconds")]
fn seconds(ms: u64) -> f64 {
    ms as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use crate::report::StepReport;

    fn step(name: &str, duration_ms: u64, outcome: Outcome) -> StepReport {
        StepReport { name: name.to_owned(), outcome, start_ms: 0, duration_ms, actions: Vec::new() }
    }

    fn rendered(report: &Report) -> String {
        Line::of(report, UNIX_EPOCH + Duration::from_secs(1_796_000_523)).render().unwrap()
    }

    #[test]
    fn a_run_is_one_line_that_begins_with_its_time() {
        let mut report = Report::begin();
        report.outcome = Outcome::Failure;
        report.reason = Some("wait: it said\n2026-01-02T03:04:05Z \"no\"".to_owned());
        report.boot = Some(Boot::First);
        report.duration_ms = 61_002;
        report.steps = vec![
            step("fetch", 5, Outcome::Success),
            step("docker", 30_500, Outcome::Success),
            step("wait", 30_500, Outcome::Failure),
            step("signal", 2, Outcome::Failure),
        ];
        let expected = concat!(
            r#"{"time":"2026-11-30T01:02:03Z","boot":"first","outcome":"failure","#,
            r#""reason":"wait: it said\n2026-01-02T03:04:05Z \"no\"","failed_step":"wait","seconds":61.002,"#,
            r#""steps":{"fetch":0.005,"docker":30.5,"wait":30.5,"signal":0.002},"#,
            r#""slowest_step":"docker","slowest_step_seconds":30.5,"version":""#,
            env!("CARGO_PKG_VERSION"),
            "\"}\n"
        );
        assert_eq!(rendered(&report), expected);
    }

    #[test]
    fn steps_of_one_name_count_together_and_what_is_not_known_is_left_out() {
        let mut report = Report::begin();
        report.outcome = Outcome::Success;
        report.steps = vec![step("hook", 1_000, Outcome::Success), step("hook", 500, Outcome::Success)];
        let value: Value = serde_json::from_str(&rendered(&report)).unwrap();
        assert_eq!((&value["steps"], &value["slowest_step_seconds"]), (&serde_json::json!({"hook": 1.5}), &1.5.into()));
        let keys: Vec<_> = value.as_object().unwrap().keys().map(String::as_str).collect();
        let known = ["time", "outcome", "seconds", "steps", "slowest_step", "slowest_step_seconds", "version"];
        assert_eq!(keys, known);
    }

    #[test]
    fn a_step_that_a_panic_cut_off_has_failed_and_one_that_a_shutdown_cut_off_has_not() {
        let mut report = Report::begin();
        for (outcome, of_step, expected) in [
            (Outcome::Failure, Outcome::Running, Some("docker")),
            (Outcome::Interrupted, Outcome::Interrupted, None),
            (Outcome::Success, Outcome::Success, None),
        ] {
            report.outcome = outcome;
            report.steps = vec![step("fetch", 1, Outcome::Success), step("docker", 1, of_step)];
            assert_eq!(failed_step(&report), expected, "{outcome}");
        }
    }

    #[test]
    fn a_long_reason_is_cut() {
        let mut report = Report::begin();
        report.reason = Some("\u{1}".repeat(1 << 20));
        assert!(rendered(&report).len() < 16 << 10);
    }
}
