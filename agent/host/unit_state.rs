//! The state of units, as `systemctl show` tells it, and what that state means.

use std::time::Duration;

use anyhow::Result;
use tokio::time::timeout;

use super::Host;

/// The properties that are asked for (org.freedesktop.systemd1(5)).
const PROPERTIES: &str = "--property=LoadState,ActiveState,SubState,Result,ExecMainCode,ExecMainStatus,Job,NRestarts,\
    InactiveExitTimestampMonotonic,ActiveEnterTimestampMonotonic,ActiveExitTimestampMonotonic,ExecMainExitTimestampMonotonic";
/// Time allowed for systemd to say whether it shuts the host down.
const ANSWER: Duration = Duration::from_secs(2);

/// The state of a unit, as systemd tells it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UnitState {
    /// `LoadState`, such as `loaded` or `not-found`.
    pub load: String,
    /// `ActiveState`, such as `active`, `activating` or `failed`.
    pub active: String,
    /// `SubState`.
    pub sub: String,
    /// `Result`, such as `success` or `exit-code`.
    pub result: String,
    /// Set where systemd still has a job for the unit, such as a start that was queued.
    pub has_job: bool,
    /// `ExecMainStatus`: the exit code of the main process, or the signal that ended it.
    pub exit: String,
    /// True where a signal ended the main process (`ExecMainCode`).
    pub is_killed: bool,
    /// `NRestarts`: the number of restarts by systemd itself; empty before systemd 235.
    pub restarts: String,
    /// True once the unit has left the state `inactive` on this boot.
    pub was_started: bool,
    /// The host's uptime when the unit last became active; zero if not known.
    pub active_since: Duration,
    /// True where the main process ended before systemd began to stop the unit.
    pub ended_by_itself: bool,
}

/// The stage of a unit's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// The unit runs.
    Running,
    /// The unit starts, or is queued to be started.
    Starting,
    /// The unit has failed, and systemd starts it again after a pause: `activating (auto-restart)`.
    Repeating,
    /// The unit has failed, and stays so.
    Failed,
    /// The unit has ended by itself, which systemd takes for a success.
    Ended,
    /// The unit was stopped, or is being stopped.
    Stopped,
    /// The unit has not been started on this boot.
    NeverStarted,
}

impl UnitState {
    fn read(properties: &str) -> Self {
        let value = |name: &str| {
            let line = properties.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
            line.unwrap_or_default().to_owned()
        };
        let time = |name: &str| value(name).parse::<u64>().unwrap_or_default();
        let (stopped, main_ended) = (time("ActiveExitTimestampMonotonic"), time("ExecMainExitTimestampMonotonic"));
        UnitState {
            load: value("LoadState"),
            active: value("ActiveState"),
            sub: value("SubState"),
            result: value("Result"),
            has_job: !matches!(value("Job").as_str(), "" | "0"),
            exit: value("ExecMainStatus"),
            // CLD_KILLED and CLD_DUMPED of waitid(2).
            is_killed: matches!(value("ExecMainCode").as_str(), "2" | "3"),
            restarts: value("NRestarts"),
            was_started: time("InactiveExitTimestampMonotonic") > 0,
            active_since: Duration::from_micros(time("ActiveEnterTimestampMonotonic")),
            // `systemctl stop` makes the unit leave `active` first, and then ends its process.
            ended_by_itself: main_ended > 0 && main_ended <= stopped,
        }
    }

    /// Returns the stage of the unit's life.
    pub fn life(&self) -> Life {
        match self.active.as_str() {
            "active" | "reloading" => Life::Running,
            "activating" if self.sub.starts_with("auto-restart") => Life::Repeating,
            "activating" => Life::Starting,
            // A start is queued, so the failure is from an earlier start.
            _ if self.has_job => Life::Starting,
            "failed" => Life::Failed,
            "inactive" if !self.was_started => Life::NeverStarted,
            "inactive" if self.ended_by_itself => Life::Ended,
            // The unit's stop commands run; then systemd starts the unit again or gives it up.
            "deactivating" if self.ended_by_itself => Life::Repeating,
            "inactive" | "deactivating" => Life::Stopped,
            _ => Life::NeverStarted,
        }
    }

    /// Says how the unit ended, in words that follow its name.
    pub fn ending(&self) -> String {
        match (self.result.as_str(), self.exit.as_str()) {
            ("success", code) => format!("ended with exit code {code}"),
            (_, signal) if self.is_killed => format!("failed ({}, killed by signal {signal})", self.result),
            ("exit-code", "0") => "failed (exit-code, in a command before its start)".to_owned(),
            (result, code) => format!("failed ({result}, exit code {code})"),
        }
    }

    /// Tells whether the main process exited with this code.
    pub fn exited_with(&self, code: i32) -> bool {
        !self.is_killed && self.exit == code.to_string()
    }

    /// Tells whether the unit's start is queued until the other unit, which still runs, has ended.
    pub fn is_held_up_by(&self, other: &UnitState) -> bool {
        self.has_job && !self.is_active() && other.active == "activating"
    }

    /// Tells whether the unit runs.
    pub fn is_active(&self) -> bool {
        self.life() == Life::Running
    }
}

impl Host {
    /// Asks systemd for the state of a unit.
    ///
    /// # Errors
    /// systemctl fails.
    pub async fn unit_state(&self, unit: &str) -> Result<UnitState> {
        let [state] = self.unit_states([unit]).await?;
        Ok(state)
    }

    /// Asks systemd once for the states of several units.
    ///
    /// # Errors
    /// systemctl fails.
    pub async fn unit_states<const N: usize>(&self, units: [&str; N]) -> Result<[UnitState; N]> {
        let shown = self.run("systemctl", &[&["show"], units.as_slice(), &[PROPERTIES]].concat()).await?;
        let mut blocks = shown.split("\n\n");
        Ok(units.map(|_| UnitState::read(blocks.next().unwrap_or_default())))
    }

    /// Tells whether the host is shutting down, as systemd says or as this error of systemctl shows. During a shutdown,
    /// systemctl refuses to start what the shutdown is to stop.
    pub async fn is_shutting_down(&self, error: &str) -> bool {
        if error.contains("Transaction for ") && error.contains(" is destructive") {
            return true;
        }
        let asked = timeout(ANSWER, self.run("systemctl", &["show", "--property=SystemState"])).await;
        matches!(asked, Ok(Ok(shown)) if shown.trim() == "SystemState=stopping")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads an answer with these properties, in the order in which systemd 252 prints them.
    fn shown(active: &str, sub: &str, result: &str, main: [u64; 3], times: [u64; 2]) -> UnitState {
        let ([code, status, main_ended], [started, stopped]) = (main, times);
        UnitState::read(&format!(
            "NRestarts=0\nResult={result}\nExecMainExitTimestampMonotonic={main_ended}\nExecMainCode={code}\n\
             ExecMainStatus={status}\nLoadState=loaded\nActiveState={active}\nSubState={sub}\n\
             InactiveExitTimestampMonotonic={started}\nActiveExitTimestampMonotonic={stopped}\n"
        ))
    }

    #[test]
    fn the_ends_of_a_unit_are_told_apart() {
        for (state, life, ending) in [
            (shown("active", "running", "success", [0, 0, 0], [7, 0]), Life::Running, "ended with exit code 0"),
            (
                shown("failed", "failed", "exit-code", [1, 5, 9], [7, 9]),
                Life::Failed,
                "failed (exit-code, exit code 5)",
            ),
            (
                shown("failed", "failed", "signal", [2, 9, 9], [7, 9]),
                Life::Failed,
                "failed (signal, killed by signal 9)",
            ),
            (
                shown("activating", "auto-restart", "exit-code", [0, 0, 0], [7, 0]),
                Life::Repeating,
                "failed (exit-code, in a command before its start)",
            ),
            (
                shown("activating", "auto-restart", "exit-code", [1, 255, 9], [7, 9]),
                Life::Repeating,
                "failed (exit-code, exit code 255)",
            ),
            (shown("inactive", "dead", "success", [1, 0, 8], [7, 9]), Life::Ended, "ended with exit code 0"),
            // The same exit code, of an agent that `systemctl stop` stops.
            (shown("inactive", "dead", "success", [1, 0, 10], [7, 9]), Life::Stopped, "ended with exit code 0"),
            (shown("deactivating", "stop", "success", [0, 0, 0], [7, 9]), Life::Stopped, "ended with exit code 0"),
            (
                shown("deactivating", "stop-post", "exit-code", [1, 255, 9], [7, 9]),
                Life::Repeating,
                "failed (exit-code, exit code 255)",
            ),
            (shown("inactive", "dead", "success", [0, 0, 0], [0, 0]), Life::NeverStarted, "ended with exit code 0"),
        ] {
            assert_eq!((state.life(), state.ending().as_str()), (life, ending), "{state:?}");
        }
    }

    #[test]
    fn a_unit_with_a_job_is_about_to_start_whatever_it_was_before() {
        for active in ["inactive", "failed"] {
            let queued = UnitState { active: active.to_owned(), has_job: true, ..UnitState::default() };
            assert_eq!(queued.life(), Life::Starting);
        }
    }
}
