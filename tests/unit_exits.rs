//! The exits of `ecs.service` and `docker.service`: each told apart by a run that waits, and by `doctor`.

use std::time::Duration;

use ecs_firstrun::rehearse::cloud::Registration;

use crate::support::doctor::{SHORT_WAIT, assert_has, doctor, host_with};
use crate::support::host::{Ended, Host};

const BOOTED: &str = "cpu 1 2 3\nbtime 1790000000\n";

/// A host whose ECS agent does not register.
fn unregistered() -> Host {
    host_with(|options| options.registration = Registration::Never)
}

fn ends_with(unit: &str, code: i32) -> Host {
    let host = unregistered();
    host.rehearsal.programs.fail_after(unit, Duration::from_millis(100), code).unwrap();
    host
}

/// The reason of a run that fails, and the first line of `doctor` after it.
fn reason_and_cause(host: &Host) -> [String; 2] {
    let ended = host.run();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    host.one_signal("FAILURE");
    [host.reason(), first_line(&doctor(host))]
}

fn first_line(ended: &Ended) -> String {
    ended.stdout.lines().next().unwrap_or_default().to_owned()
}

fn systemctl(host: &Host, arguments: &[&str]) {
    let mut command = host.rehearsal.command_of(&host.rehearsal.bin.join("systemctl")).into_std();
    assert!(command.args(arguments).status().unwrap().success());
}

#[test]
fn an_ecs_agent_that_exits_with_0_is_not_waited_for() {
    let host = ends_with("ecs.service", 0);
    for text in reason_and_cause(&host) {
        assert_has(&text, &["ecs.service ended with exit code 0: the ECS agent ended by itself"]);
        assert!(!text.contains("was not registered"), "{text}");
    }
}

#[test]
fn a_unit_that_systemd_restarts_again_and_again_is_a_failure() {
    let host = ends_with("ecs.service", 255);
    host.put("/etc/ecs-firstrun/conf.d/50.yaml", SHORT_WAIT);
    for text in reason_and_cause(&host) {
        assert_has(
            &text,
            &["ecs.service failed (exit-code, exit code 255); systemd starts it again and again, 3 times"],
        );
    }
    assert_has(&host.text("/var/log/ecs-firstrun.log"), &["exit code 255), and systemd starts it again"]);
}

#[test]
fn a_unit_that_was_stopped_is_told_from_one_that_was_never_started() {
    let host = unregistered();
    assert_has(&first_line(&doctor(&host)), &["docker.service is inactive: it has not been started on this boot"]);
    let host = host_with(|_| {});
    assert_eq!(host.run().code, Some(0));
    systemctl(&host, &["stop", "ecs.service"]);
    let ended = doctor(&host);
    assert_eq!(ended.code, Some(1), "{}", ended.stdout);
    assert_has(
        &ended.stdout,
        &["ecs.service was stopped on this boot, by hand or by a script", "`systemctl start ecs.service`"],
    );
    assert!(!ended.stdout.contains("has not been started"), "{}", ended.stdout);
}

#[test]
fn the_exit_code_that_ecs_init_logs_is_told_where_the_unit_has_none() {
    let line = |code| format!("level=info time=2026-11-29T14:35:04Z msg=\"Agent exited with code {code}\"\n");
    // The unit runs, and its agent does not; then a unit that systemd has forgotten, as it does where nothing refers to it.
    for (started, code, words) in [
        (true, 2, "the ECS agent ended with exit code 2: its container failed"),
        (true, 137, "the ECS agent ended with exit code 137: it was killed"),
        (false, 0, "the ECS agent ended with exit code 0: the ECS agent ended by itself"),
    ] {
        let host = unregistered();
        host.put("/proc/stat", BOOTED);
        host.put("/var/log/ecs/ecs-init.log", &line(code));
        host.put("/etc/ecs-firstrun/conf.d/50.yaml", SHORT_WAIT);
        if started {
            for text in reason_and_cause(&host) {
                assert_has(&text, &[words]);
            }
        } else {
            systemctl(&host, &["start", "docker.service"]);
            assert_has(&doctor(&host).stdout, &[words]);
        }
    }
    let host = host_with(|_| {});
    host.put("/proc/stat", BOOTED);
    host.put("/var/log/ecs/ecs-init.log", &line(1));
    assert_eq!(host.run().code, Some(0));
    assert_eq!(doctor(&host).code, Some(0), "it has registered since");
}

#[test]
fn the_last_error_of_docker_is_the_reason() {
    let said = "unable to configure the Docker daemon with file /etc/docker/daemon.json: the following directives don't \
        match any configuration option: log-drivers";
    let journal = format!(
        "Starting docker.service - Docker Application Container Engine...\n{said}\n\
         docker.service: Main process exited, code=exited, status=1/FAILURE\n"
    );
    let host = ends_with("docker.service", 1);
    host.rehearsal.programs.journal("docker.service", &journal).unwrap();
    for text in reason_and_cause(&host) {
        assert_has(
            &text,
            &["docker.service failed", "Docker says `unable to configure", "log-drivers`; correct that in"],
        );
        assert!(!text.contains("journalctl"), "{text}");
    }

    let host = Host::in_cloud("#ecs-firstrun\ndocker: {}\nsignal: {stack: web, resource: Instances}\n", |_| {});
    host.rehearsal.programs.fail_after("docker.service", Duration::ZERO, 1).unwrap();
    let secret = "failed to start daemon: proxy http://me:hunter2canary@proxy:3128 refused\n";
    host.rehearsal.programs.journal("docker.service", secret).unwrap();
    let [reason, cause] = reason_and_cause(&host);
    assert_has(&reason, &["Docker says `failed to start daemon: proxy http://***@proxy:3128 refused`"]);
    assert!(!cause.contains("hunter") && !reason.contains("hunter"), "{reason}");
}
