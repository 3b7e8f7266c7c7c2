//! Checks the units: whether they run, how they ended, and what they wait for.

use anyhow::Result;

use super::finding::{Check, Finding};
use super::local::{log_tail, since};
use super::{agent_exit, docker_log};
use crate::aws::imds::Identity;
use crate::config::Config;
use crate::ecs_agent::{EcsAgent, Seen};
use crate::host::{HELD_UP, Host, Life, UnitState};
use crate::well_known::{
    CLOUD_FINAL_UNIT, DOCKER_UNIT, ECS_AGENT_LOG, ECS_EXIT_TERMINAL, ECS_INIT_LOG, ECS_LOGS, ECS_UNIT, OUR_UNIT,
};

/// Returns a finding for each unit, and one on whether `ecs.service` waits for a cloud-init that doesn't end.
pub(super) async fn findings(
    host: &Host,
    ecs_agent: &EcsAgent,
    config: Option<&Config>,
    identity: &Identity,
) -> Result<Vec<Finding>> {
    let has_ecs = config.is_none_or(|config| config.ecs.is_some());
    let wants_docker = has_ecs || config.is_some_and(|config| config.docker.is_some());
    // In a warm pool the ECS agent need not run yet.
    let wants_ecs = has_ecs && !identity.is_warming();
    let [docker, ecs, ours, cloud_final] = match host
        .unit_states([DOCKER_UNIT, ECS_UNIT, OUR_UNIT, CLOUD_FINAL_UNIT])
        .await
    {
        Ok(states) => states,
        Err(error) => {
            let not_known = "systemd doesn't answer, so it is not known whether cloud-init holds ecs.service up";
            return Ok(vec![Finding::not_made(Check::Units, &error), Finding::unknown(Check::CloudInit, not_known)]);
        }
    };
    let is_down = |state: &UnitState| !matches!(state.life(), Life::Running | Life::Starting);
    let said = if wants_docker && is_down(&docker) { docker_log::last_error(host).await } else { None };
    // Only systemd can say why a unit was never started.
    let said = said.filter(|said| docker.life() != Life::NeverStarted || said.contains("Dependency failed"));
    let mut findings = vec![
        judge(DOCKER_UNIT, wants_docker, &docker, said.as_deref()),
        judge(ECS_UNIT, wants_ecs, &ecs, None),
        judge(OUR_UNIT, true, &ours, None),
        cloud_init(ecs.is_held_up_by(&cloud_final)),
    ];
    if wants_ecs && matches!(ecs.life(), Life::Running | Life::NeverStarted) {
        findings.extend(exit_of_agent(host, ecs_agent, ecs.life()).await);
    }
    Ok(findings)
}

/// Finds how an ECS agent ended that does not run. Its unit may still run, or systemd may have forgotten how the unit ended.
async fn exit_of_agent(host: &Host, ecs_agent: &EcsAgent, unit: Life) -> Option<Finding> {
    if ecs_agent.look("").await != Seen::Refused {
        return None;
    }
    let words = agent_exit::last(&log_tail(host, ECS_INIT_LOG).ok()?, &since(host))?;
    let why = match unit {
        Life::Running => "ecs.service is active as long as ecs-init runs, whatever the ECS agent does",
        _ => "systemd forgets how a unit ended if the unit is not enabled",
    };
    let remedy =
        format!("{ECS_AGENT_LOG} says what it did last; remove the cause, then `systemctl restart {ECS_UNIT}`");
    Some(Finding::problem(Check::Units, words, why, remedy).ranked(Check::Endpoints))
}

/// Judges a unit by its state, and quotes what the program itself has `said` last.
fn judge(unit: &str, wanted: bool, state: &UnitState, said: Option<&str>) -> Finding {
    let ok = |words: String| Finding::ok(Check::Units, words);
    let life = state.life();
    if state.load == "not-found" && unit == OUR_UNIT {
        let words = format!("{unit} is not installed, so whether it runs at boot is not known");
        return Finding::unknown(Check::Units, words);
    }
    match life {
        Life::Running => return ok(format!("{unit} is active ({})", state.sub)),
        Life::Starting if state.has_job => return ok(format!("{unit} is queued to be started")),
        Life::Starting => return ok(format!("{unit} is starting")),
        // A unit that is not wanted need not run, but must not have failed.
        Life::Failed => {}
        _ if !wanted => return ok(format!("{unit} is {}", state.active)),
        Life::Ended | Life::Stopped | Life::NeverStarted if unit == OUR_UNIT => {
            return ok(format!("{unit} is {}", state.active));
        }
        _ => {}
    }
    let (found, why, remedy) = trouble(unit, state, said);
    let finding = Finding::problem(Check::Units, found, why, remedy);
    match unit {
        // The ECS agent's failures follow from everything else.
        ECS_UNIT => finding.ranked(Check::Endpoints),
        // These are the exit codes of a run, whose report tells more.
        OUR_UNIT if life == Life::Failed && (1..=3).any(|code| state.exited_with(code)) => {
            finding.ranked(Check::State).of_the_past()
        }
        _ => finding,
    }
}

/// Says what is wrong with a unit that does not run, why that matters, and what to do.
fn trouble(unit: &str, state: &UnitState, said: Option<&str>) -> (String, &'static str, String) {
    let why = match unit {
        DOCKER_UNIT => "the ECS agent is a container of Docker",
        ECS_UNIT => "it runs the ECS agent, which registers the instance",
        _ => "it configures the host, and starts Docker and the ECS agent",
    };
    let ended = format!("{unit} {}", state.ending());
    let ending = said.map_or_else(|| ended.clone(), |said| format!("{ended}: Docker says `{said}`"));
    let remedy = match (unit, said) {
        (DOCKER_UNIT, Some(said)) => of_docker(said),
        (ECS_UNIT, _) => format!("{ECS_INIT_LOG} says why"),
        _ => format!("`journalctl -u {unit}` says why"),
    };
    match state.life() {
        _ if state.load == "not-found" => {
            let remedy = "build from an image with Docker and the ECS agent (ecs-init), such as the ECS-optimized ones";
            (format!("{unit} is not installed"), why, remedy.to_owned())
        }
        Life::Failed if unit == ECS_UNIT && state.exited_with(ECS_EXIT_TERMINAL) => (
            format!("{unit} failed with exit code {ECS_EXIT_TERMINAL}, so the ECS agent gave up for good"),
            "systemd doesn't start it again after this code",
            format!("remove the cause that {ECS_AGENT_LOG} names, then `systemctl start ecs.service`"),
        ),
        Life::Failed => (ending, why, remedy),
        Life::Ended => (
            format!("{ended}: the ECS agent ended by itself"),
            "systemd takes this code for a success, and doesn't start it again",
            format!(
                "`journalctl -u {unit}` and {ECS_LOGS} say what it did last; `systemctl start {unit}` starts it again"
            ),
        ),
        Life::Stopped => (
            format!("{unit} was stopped on this boot, by hand or by a script"),
            why,
            format!("`systemctl start {unit}` starts it again"),
        ),
        Life::NeverStarted if said.is_some() => {
            (format!("{unit} did not start: its journal says `{}`", said.unwrap_or_default()), why, remedy)
        }
        Life::NeverStarted => (
            format!("{unit} is {}: it has not been started on this boot", state.active),
            why,
            format!(
                "`systemctl restart {OUR_UNIT}` starts it once the host is configured; `journalctl -u {OUR_UNIT}` says how far \
                the last run came"
            ),
        ),
        Life::Repeating | Life::Running | Life::Starting => {
            let times = Some(state.restarts.as_str()).filter(|times| !times.is_empty());
            let times = times.map(|times| format!(", {times} times so far")).unwrap_or_default();
            (format!("{ending}; systemd starts it again and again{times}"), why, remedy)
        }
    }
}

/// Chooses the remedy for what Docker says.
fn of_docker(said: &str) -> String {
    let what = match said {
        _ if said.contains("daemon.json") => {
            "correct that in `docker.daemon`, or in the image's /etc/docker/daemon.json"
        }
        _ if said.contains("no space left") => "make room on that disk, or give it a larger volume",
        _ => "remove the cause that Docker names",
    };
    format!("{what}; then `systemctl restart {OUR_UNIT}`")
}

fn cloud_init(holds_up: bool) -> Finding {
    if !holds_up {
        return Finding::ok(Check::CloudInit, "cloud-init doesn't hold ecs.service up");
    }
    Finding::problem(
        Check::CloudInit,
        HELD_UP,
        "on Amazon Linux ecs.service is ordered after cloud-init's end; a script of the user data that waits for the \
         ECS agent waits for itself",
        "let no script of the user data wait for ECS; `systemctl status cloud-final.service` shows what it runs",
    )
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::*;

    fn state(load: &str, active: &str, exit: &str, has_job: bool) -> UnitState {
        let text = str::to_owned;
        UnitState {
            load: text(load),
            active: text(active),
            sub: text("running"),
            result: text("exit-code"),
            has_job,
            exit: text(exit),
            ..UnitState::default()
        }
    }

    #[test]
    fn a_unit_that_does_not_run_is_a_problem_only_where_it_is_wanted() {
        let repeating = UnitState {
            sub: "auto-restart".to_owned(),
            restarts: "7".to_owned(),
            ..state("loaded", "activating", "255", false)
        };
        let of_ours = UnitState { is_killed: true, exit: "6".to_owned(), restarts: String::new(), ..repeating.clone() };
        let stopped = UnitState { was_started: true, ..state("loaded", "inactive", "0", false) };
        let ended = UnitState { ended_by_itself: true, result: "success".to_owned(), ..stopped.clone() };
        for (unit, wanted, state, verdict, words) in [
            (ECS_UNIT, true, state("loaded", "active", "0", false), Verdict::Ok, "is active"),
            (ECS_UNIT, true, state("loaded", "failed", "5", false), Verdict::Problem, "gave up for good"),
            (ECS_UNIT, true, state("loaded", "failed", "255", false), Verdict::Problem, "exit code 255"),
            (ECS_UNIT, true, repeating, Verdict::Problem, "exit code 255); systemd starts it again and again, 7 times"),
            (ECS_UNIT, true, ended, Verdict::Problem, "ended with exit code 0: the ECS agent ended by itself"),
            (ECS_UNIT, true, stopped.clone(), Verdict::Problem, "was stopped on this boot"),
            (ECS_UNIT, false, stopped, Verdict::Ok, "is inactive"),
            (ECS_UNIT, true, state("loaded", "inactive", "0", true), Verdict::Ok, "queued"),
            (ECS_UNIT, true, state("loaded", "inactive", "0", false), Verdict::Problem, "it has not been started"),
            (ECS_UNIT, false, state("loaded", "inactive", "0", false), Verdict::Ok, "is inactive"),
            (DOCKER_UNIT, true, state("not-found", "inactive", "0", false), Verdict::Problem, "not installed"),
            (DOCKER_UNIT, true, state("loaded", "failed", "5", false), Verdict::Problem, "exit code 5"),
            (OUR_UNIT, true, state("not-found", "inactive", "0", false), Verdict::Unknown, "not installed"),
            (OUR_UNIT, true, state("loaded", "activating", "0", false), Verdict::Ok, "is starting"),
            (OUR_UNIT, true, state("loaded", "inactive", "0", false), Verdict::Ok, "is inactive"),
            (OUR_UNIT, true, of_ours, Verdict::Problem, "killed by signal 6); systemd starts it again and again"),
        ] {
            let finding = judge(unit, wanted, &state, None);
            assert_eq!(finding.verdict, verdict, "{unit} {state:?}");
            assert!(finding.found.contains(words), "{}", finding.found);
        }
    }

    #[test]
    fn a_run_that_failed_is_told_by_its_report_and_after_the_causes() {
        let finding = judge(OUR_UNIT, true, &state("loaded", "failed", "1", false), None);
        assert!(finding.is_past && finding.rank > Finding::ok(Check::Endpoints, "").rank, "{finding:?}");
        let crashed = UnitState { is_killed: true, ..state("loaded", "failed", "11", false) };
        assert!(!judge(OUR_UNIT, true, &crashed, None).is_past);
    }

    #[test]
    fn what_docker_says_is_the_reason_and_decides_the_remedy() {
        for (said, remedy) in [
            ("unable to configure the Docker daemon with file /etc/docker/daemon.json: x", "`docker.daemon`"),
            ("failed to start daemon: write /data/docker/x: no space left on device", "make room"),
            ("failed to start daemon: y", "remove the cause that Docker names"),
        ] {
            let finding = judge(DOCKER_UNIT, true, &state("loaded", "failed", "1", false), Some(said));
            assert_eq!(finding.found, format!("docker.service failed (exit-code, exit code 1): Docker says `{said}`"));
            assert!(finding.remedy.contains(remedy) && !finding.remedy.contains("journalctl"), "{}", finding.remedy);
        }
    }
}
