//! The units: whether they run, how they ended, and what they wait for.

use super::{Check, Finding};
use crate::config::Config;
use crate::host::{HELD_UP, Host, UnitState};
use crate::imds::Identity;
use crate::well_known::{CLOUD_FINAL_UNIT, DOCKER_UNIT, ECS_EXIT_TERMINAL, ECS_UNIT, OUR_UNIT};

/// A finding for each of the units, and whether `ecs.service` waits for a cloud-init that doesn't end.
pub(super) async fn findings(host: &Host, config: Option<&Config>, identity: &Identity) -> Vec<Finding> {
    let has_ecs = config.is_none_or(|config| config.ecs.is_some());
    let wants_docker = has_ecs || config.is_some_and(|config| config.docker.is_some());
    // In a warm pool it need not run yet.
    let wants_ecs = has_ecs && !identity.is_warming();
    let [docker, ecs, ours, cloud_final] =
        match host.unit_states([DOCKER_UNIT, ECS_UNIT, OUR_UNIT, CLOUD_FINAL_UNIT]).await {
            Ok(states) => states,
            Err(error) => {
                let not_known = "systemd doesn't answer, so whether it holds ecs.service up is not known";
                return vec![Finding::not_made(Check::Units, &error), Finding::unknown(Check::CloudInit, not_known)];
            }
        };
    vec![
        judge(DOCKER_UNIT, wants_docker, &docker),
        judge(ECS_UNIT, wants_ecs, &ecs),
        judge(OUR_UNIT, true, &ours),
        cloud_init(ecs.is_held_up_by(&cloud_final)),
    ]
}

/// What a unit's state means.
fn judge(unit: &str, wanted: bool, state: &UnitState) -> Finding {
    let problem = |found: String, why: &str, remedy: String| {
        let finding = Finding::problem(Check::Units, found, why, remedy);
        // What the ECS agent does follows from everything else.
        if unit == ECS_UNIT { finding.ranked(Check::Endpoints) } else { finding }
    };
    let why = match unit {
        DOCKER_UNIT => "the ECS agent is a container of Docker",
        ECS_UNIT => "it runs the ECS agent, which registers the instance",
        _ => "it configures the host, and starts Docker and the ECS agent",
    };
    match state.active.as_str() {
        _ if state.load == "not-found" && unit == OUR_UNIT => {
            Finding::unknown(Check::Units, format!("{unit} is not installed, so whether it runs at boot is not known"))
        }
        _ if state.load == "not-found" && wanted => problem(
            format!("{unit} is not installed"),
            why,
            "build from an image with Docker and the ECS agent (ecs-init), such as the ECS-optimized ones".to_owned(),
        ),
        "failed" if unit == ECS_UNIT && state.exit == ECS_EXIT_TERMINAL.to_string() => problem(
            format!("{unit} failed with exit code {ECS_EXIT_TERMINAL}, so the ECS agent gave up for good"),
            "systemd doesn't start it again after this code",
            "remove the cause that /var/log/ecs/ecs-agent.log names, then `systemctl start ecs.service`".to_owned(),
        ),
        "failed" => problem(
            format!("{unit} failed ({}, exit code {})", state.result, state.exit),
            why,
            format!("`journalctl -u {unit}` says why"),
        ),
        "active" | "reloading" => Finding::ok(Check::Units, format!("{unit} is active ({})", state.sub)),
        "activating" => Finding::ok(Check::Units, format!("{unit} is starting")),
        _ if state.has_job => Finding::ok(Check::Units, format!("{unit} is queued to be started")),
        _ if !wanted || unit == OUR_UNIT => Finding::ok(Check::Units, format!("{unit} is {}", state.active)),
        active => problem(
            format!("{unit} is {active}: it has not been started on this boot"),
            why,
            format!(
                "`systemctl restart {OUR_UNIT}` starts it once the host is configured; `journalctl -u {OUR_UNIT}` says how far \
                the last run came"
            ),
        ),
    }
}

fn cloud_init(holds_up: bool) -> Finding {
    if !holds_up {
        return Finding::ok(Check::CloudInit, "it doesn't hold ecs.service up");
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
    use super::super::Verdict;
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
        }
    }

    #[test]
    fn a_unit_that_does_not_run_is_a_problem_only_where_it_is_wanted() {
        for (unit, wanted, state, verdict, words) in [
            (ECS_UNIT, true, state("loaded", "active", "0", false), Verdict::Ok, "is active"),
            (ECS_UNIT, true, state("loaded", "failed", "5", false), Verdict::Problem, "gave up for good"),
            (ECS_UNIT, true, state("loaded", "failed", "255", false), Verdict::Problem, "exit code 255"),
            (ECS_UNIT, true, state("loaded", "inactive", "0", true), Verdict::Ok, "queued"),
            (ECS_UNIT, true, state("loaded", "inactive", "0", false), Verdict::Problem, "it has not been started"),
            (ECS_UNIT, false, state("loaded", "inactive", "0", false), Verdict::Ok, "is inactive"),
            (DOCKER_UNIT, true, state("not-found", "inactive", "0", false), Verdict::Problem, "not installed"),
            (DOCKER_UNIT, true, state("loaded", "failed", "5", false), Verdict::Problem, "exit code 5"),
            (OUR_UNIT, true, state("not-found", "inactive", "0", false), Verdict::Unknown, "not installed"),
            (OUR_UNIT, true, state("loaded", "activating", "0", false), Verdict::Ok, "is starting"),
        ] {
            let finding = judge(unit, wanted, &state);
            assert_eq!(finding.verdict, verdict, "{unit} {state:?}");
            assert!(finding.found.contains(words), "{}", finding.found);
        }
    }
}
