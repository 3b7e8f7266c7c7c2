//! A finished run in one line of JSON, for people who look at many instances at once.

use std::time::SystemTime;

use serde_json::{Map, Value, json};

use super::contents::{Outcome, Report, SignalReport};
use crate::document::problem::cut;

/// Most characters of a reason; the report has the whole reason.
const REASON: usize = 2000;

/// Returns a finished run as a line of the log of runs, with the newline. Values that are not known are left out.
///
/// Secrets are masked, since the line is made from a [`Report`] alone. The keys are an interface: `docs/status.md` lists
/// them.
pub fn line(report: &Report, now: SystemTime) -> String {
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
    let mut line = json!({
        // The end of the run, where a log agent looks for the time of a line.
        "time": humantime::format_rfc3339_seconds(now).to_string(),
        "instance_id": report.instance_id,
        "image_id": report.image_id,
        "stack": report.stack,
        "resource": report.resource,
        "cluster": report.cluster,
        "boot": report.boot,
        "outcome": report.outcome,
        "reason": report.reason.as_deref().map(|reason| cut(reason, REASON)),
        "failed_step": failed_step(report),
        "seconds": seconds(report.duration_ms),
        "steps": times.iter().map(|(name, ms)| ((*name).to_owned(), seconds(*ms).into())).collect::<Map<_, Value>>(),
        "slowest_step": slowest.map(|(name, _)| *name),
        "slowest_step_seconds": slowest.map(|(_, ms)| seconds(*ms)),
        "signal": delivery(&report.signal),
        "lifecycle_hook": delivery(&report.lifecycle_hook),
        "health": delivery(&report.health),
        "powers_off": report.powers_off.then_some(true),
        "version": report.agent,
    });
    if let Some(values) = line.as_object_mut() {
        values.retain(|_, value| !value.is_null());
    }
    format!("{line}\n")
}

/// Returns the name of the step that failed, or that a panic cut off.
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
    use crate::report::{Boot, StepReport};

    fn step(name: &str, duration_ms: u64, outcome: Outcome) -> StepReport {
        StepReport { name: name.to_owned(), outcome, start_ms: 0, duration_ms, actions: Vec::new() }
    }

    fn rendered(report: &Report) -> String {
        line(report, UNIX_EPOCH + Duration::from_secs(1_796_000_523))
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
