//! `rehearse`: its scenarios as a person runs them, and what is seen of them.

use std::process::Command;

use crate::support::host::{BINARY, Ended};
use crate::support::terminal::{OnTerminal, without_codes};

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    command.arg("rehearse").args(arguments).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command
}

fn rehearse(arguments: &[&str]) -> Ended {
    Ended::from(command(arguments).output().unwrap())
}

#[test]
fn each_scenario_shows_what_it_is_about() {
    for (scenario, code, words) in [
        ("reboot", 0, "second boot\n\nsuccess on i-"),
        ("no-user-data", 0, "note: there is no ecs-firstrun configuration"),
        ("slow-imds", 0, "critical path: "),
        ("late-device", 0, "waiting until /dev/xvdcy is attached"),
        ("warm-pool", 0, "SUCCESS for web Instances"),
        ("throttled", 0, "CloudFormation  400  GET /?Action=SignalResource (3 times)\n"),
        ("not-waited-for", 0, "the stack does not wait for this signal"),
        ("foreign-disk", 1, "somebody-else"),
    ] {
        let ended = rehearse(&["--scenario", scenario]);
        assert_eq!(ended.code, Some(code), "{scenario}: {}", ended.stderr);
        assert!(ended.stderr.starts_with(&format!("{scenario}: ")), "{scenario}: {}", ended.stderr);
        let shown = format!("{}{}", ended.stderr, ended.stdout);
        assert!(shown.contains(words), "{scenario}: no {words} in {shown}");
        if scenario == "slow-imds" {
            // On a busy machine other steps may be slow as well.
            let path = ended.stdout.lines().find(|line| line.starts_with(words)).unwrap();
            assert!(path.contains("fetch "), "{path}");
        }
        assert!(ended.stdout.lines().all(|line| line.chars().count() <= 80), "{scenario}: {}", ended.stdout);
        assert!(!ended.stdout.contains('\x1b') && !ended.stderr.contains('\x1b'), "{scenario} is coloured");
    }
}

/// The user data is that of a scenario of the virtual machine, too.
#[test]
fn commands_references_and_pulls_are_rehearsed_together() {
    let ended = rehearse(&["--user-data", "tests/e2e/users_own.yaml"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    for words in [
        "SUCCESS for web Instances from",
        "  systemd-run ",
        "  SSM             200  POST / AmazonSSM.GetParameter\n",
        "  SecretsManager  200  POST / secretsmanager.GetSecretValue\n",
        "  Docker          200  POST /v1.44/images/create\n",
    ] {
        assert!(ended.stdout.contains(words), "no {words} in {}", ended.stdout);
    }
    assert!(!format!("{}{}", ended.stdout, ended.stderr).contains("rehearsal-secret"), "{}", ended.stdout);
}

#[test]
fn after_a_reboot_docker_and_ecs_are_started_again_and_nothing_is_signalled_again() {
    let ended = rehearse(&["--scenario", "reboot"]);
    let count = |words: &str| ended.stdout.matches(words).count();
    assert_eq!(count("  systemctl start --no-block ecs.service\n"), 2, "{}", ended.stdout);
    assert_eq!(count("  systemctl start data.mount\n"), 2, "{}", ended.stdout);
    assert_eq!(count("  mkfs.xfs "), 1, "{}", ended.stdout);
    assert_eq!(count("SUCCESS for web Instances from"), 1, "{}", ended.stdout);
    assert_eq!(count("sent by an earlier run"), 1, "{}", ended.stdout);
}

#[test]
fn in_a_warm_pool_the_ecs_agent_is_started_when_the_instance_goes_into_service() {
    let ended = rehearse(&["--scenario", "warm-pool"]);
    let log = &ended.stderr;
    let at = |words: &str| log.find(words).unwrap_or_else(|| panic!("no {words} in {log}"));
    let order = ["the instance is in a warm pool", "leaves the warm pool", "wait: started", "signal SUCCESS"].map(at);
    assert!(order.is_sorted(), "{log}");
    assert_eq!(ended.stdout.matches("  systemctl start --no-block ecs.service\n").count(), 1, "{}", ended.stdout);
}

#[test]
fn the_wait_is_as_long_as_the_time_scale_says() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("user-data");
    let own = "#ecs-firstrun\nsignal: {stack: web, resource: Instances, timeout: 30m}\necs: {cluster: c}\nwait: {timeout: 20m}\n";
    std::fs::write(&file, own).unwrap();
    for (scale, note, wait) in [
        (&[][..], "`wait.timeout` is 3s, not 20m\n", "3s"),
        (&["--time-scale", "0.001"], "`wait.timeout` is 1s 200ms, not\n20m\n", "1s"),
    ] {
        let ended = rehearse(&[&["--scenario", "never", "--user-data", file.to_str().unwrap()], scale].concat());
        assert_eq!(ended.code, Some(1), "{}", ended.stderr);
        assert!(ended.stderr.contains(note), "{}", ended.stderr);
        assert!(ended.stderr.contains(&format!("registered with `c`, at most {wait}\n")), "{}", ended.stderr);
        assert!(ended.stdout.contains("FAILURE for web Instances"), "{}", ended.stdout);
    }
    assert_eq!(rehearse(&["--time-scale", "2"]).code, Some(2));
}

#[test]
fn on_a_terminal_the_step_and_what_is_waited_for_are_kept_current() {
    let (shown, code) = OnTerminal::spawn(command(&["--scenario", "throttled"])).ended();
    assert_eq!(code, Some(0));
    assert!(shown.starts_with("\x1b[1mthrottled:\x1b[0m"), "{shown}");
    assert!(shown.contains("\r\x1b[J\x1b[33mwait      \x1b[0m") || shown.contains("\x1b[A\r\x1b[J"), "{shown}");
    let plain = without_codes(&shown);
    assert!(plain.contains("waiting for the ECS agent to register with `production`\n"), "{plain}");
    assert!(plain.contains(" WARN CloudFormation has not accepted the request yet"), "{plain}");
    assert!(!plain.contains(" INFO "), "{plain}");
    assert!(plain.contains("\nsuccess on i-0f1e2d3c4b5a69788"), "{plain}");
}

#[test]
fn the_scratch_host_is_kept_where_that_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let keep = folder.path().join("host");
    let arguments = ["--keep", keep.to_str().unwrap()];
    let ended = rehearse(&arguments);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stdout.contains(&format!("The scratch host is in {}.", keep.display())), "{}", ended.stdout);
    assert!(keep.join("root/etc/ecs/ecs.config").is_file());
    let again = rehearse(&arguments);
    assert_eq!(again.code, Some(2));
    assert!(again.stderr.contains("is not empty; choose another folder"), "{}", again.stderr);
}

#[test]
fn a_failed_instance_is_shown_to_be_reported_and_powered_off() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("user-data");
    let mistake = "#ecs-firstrun\nlogs: {agent: none}\necs: {clusterr: production}\non_failure: {health: unhealthy, power: off}\n";
    std::fs::write(&path, mistake).unwrap();
    let ended = rehearse(&["--user-data", path.to_str().unwrap()]);
    for words in ["  systemctl poweroff\n", "Auto Scaling received\n  Unhealthy for i-", "?Action=SetInstanceHealth\n"]
    {
        assert!(ended.stdout.contains(words), "no {words} in {}", ended.stdout);
    }
}
