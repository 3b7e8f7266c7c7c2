//! Carries out a plan: in order, within a deadline, until the first failure.

use anyhow::{Result, anyhow};
use tokio::time::{Instant, timeout_at};

use crate::plan::{Action, Plan};
use crate::report::{ActionReport, Change, Outcome, StepReport};

/// The result of carrying out a plan.
#[derive(Debug)]
pub struct Applied {
    /// The steps that were begun.
    pub steps: Vec<StepReport>,
    /// The first failure, if any.
    pub result: Result<()>,
}

/// Runs `perform` for each action, in order, and calls `progress` whenever a step begins or ends.
///
/// The first failure ends the work. An action that has not ended by `deadline` is dropped, and counts as a failure.
pub async fn apply(
    plan: &Plan,
    began: Instant,
    deadline: Instant,
    mut perform: impl AsyncFnMut(&Action, Instant) -> Result<Change>,
    mut progress: impl FnMut(&[StepReport]),
) -> Applied {
    let mut steps: Vec<StepReport> = Vec::new();
    for step in &plan.steps {
        let start = Instant::now();
        let mut report = StepReport {
            name: step.name.to_owned(),
            outcome: Outcome::Running,
            start_ms: millis(start - began),
            duration_ms: 0,
            actions: Vec::new(),
        };
        steps.push(report.clone());
        progress(&steps);
        let mut result = Ok(());
        for planned in &step.actions {
            let action_start = Instant::now();
            let performed = timeout_at(deadline, perform(&planned.action, deadline)).await;
            let performed = performed.unwrap_or_else(|_| Err(anyhow!("there was no time left for it")));
            let change = *performed.as_ref().unwrap_or(&Change::Failed);
            let duration_ms = millis(action_start.elapsed());
            report.actions.push(ActionReport { action: planned.action.to_string(), change, duration_ms });
            if let Err(error) = performed {
                // The error of a wait names its condition, and some errors already are the action's words: these need no
                // second mention.
                let action = planned.action.to_string();
                result = Err(match planned.action {
                    Action::WaitFor(_) => error.context(step.name),
                    _ if error.to_string() == action => error.context(step.name),
                    _ => error.context(format!("{}: {action}", step.name)),
                });
                break;
            }
        }
        report.duration_ms = millis(start.elapsed());
        report.outcome = if result.is_ok() { Outcome::Success } else { Outcome::Failure };
        if let Some(last) = steps.last_mut() {
            *last = report;
        }
        progress(&steps);
        if result.is_err() {
            return Applied { steps, result };
        }
    }
    Applied { steps, result: Ok(()) }
}

/// Returns a duration in whole milliseconds.
pub fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::Config;
    use crate::instance::Instance;

    fn a_plan() -> Plan {
        crate::plan::plan(&Config::default(), &Instance::example())
    }

    #[tokio::test]
    async fn it_stops_at_the_first_failure_and_names_it() {
        let plan = a_plan();
        let mut seen = Vec::new();
        let deadline = Instant::now() + Duration::from_secs(60);
        let perform = async |action: &Action, _| {
            seen.push(action.to_string());
            if seen.len() == 2 { Err(anyhow!("no such thing")) } else { Ok(Change::Made) }
        };
        let applied = apply(&plan, Instant::now(), deadline, perform, |_| {}).await;
        assert_eq!(seen.len(), 2);
        assert_eq!(applied.steps.len(), 1);
        assert_eq!(applied.steps[0].outcome, Outcome::Failure);
        let error = format!("{:#}", applied.result.unwrap_err());
        assert_eq!(error, format!("logs: {}: no such thing", plan.steps[0].actions[1].action));
    }

    #[tokio::test]
    async fn what_an_action_says_of_itself_is_not_said_twice() {
        let perform = async |action: &Action, _| Err(anyhow!("no space").context(action.to_string()));
        let deadline = Instant::now() + Duration::from_secs(60);
        let applied = apply(&a_plan(), Instant::now(), deadline, perform, |_| {}).await;
        let error = format!("{:#}", applied.result.unwrap_err());
        assert_eq!(error.matches("write /opt/").count(), 1, "{error}");
    }

    #[tokio::test(start_paused = true)]
    async fn the_deadline_ends_an_action_that_hangs() {
        let deadline = Instant::now() + Duration::from_secs(60);
        let perform = async |_: &Action, _| std::future::pending().await;
        let applied = apply(&a_plan(), Instant::now(), deadline, perform, |_| {}).await;
        assert!(format!("{:#}", applied.result.unwrap_err()).ends_with("there was no time left for it"));
        assert_eq!(applied.steps[0].duration_ms, 60_000);
    }
}
