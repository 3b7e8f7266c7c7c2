//! The wait for the ECS agent's registration, and for the units before it: how it ends, and what it looks at meanwhile.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::Stdio;

use ecs_firstrun::rehearse::Scenario;
use ecs_firstrun::rehearse::cloud::Server;
use ecs_firstrun::report::Outcome;

use crate::support::host::{BINARY, Host, until};
use crate::support::user_data::{COMPLETE, SMALLEST};

#[test]
fn an_ecs_agent_that_never_registers_fails_the_run_when_the_wait_is_over() {
    let host = Host::of(Scenario::Never, COMPLETE);
    let ended = host.run();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    host.one_signal("FAILURE");
    let report = host.report();
    let wait = report.steps.iter().find(|step| step.name == "wait").unwrap();
    assert_eq!(wait.outcome, Outcome::Failure);
    assert!(ended.stderr.contains("registered with `production`, at most 3s"), "{}", ended.stderr);
    assert!(host.reason().contains("registered with `production`"), "{}", host.reason());
}

#[test]
fn an_ecs_agent_in_another_cluster_fails_the_run_and_names_that_cluster() {
    let host = Host::of(Scenario::WrongCluster, SMALLEST);
    assert_eq!(host.run().code, Some(1));
    host.one_signal("FAILURE");
    assert!(host.reason().contains("`default`") && host.reason().contains("`production`"), "{}", host.reason());
}

#[test]
fn an_ecs_agent_that_gives_up_fails_the_run_with_its_exit_code() {
    let host = Host::of(Scenario::AgentExits5, SMALLEST);
    assert_eq!(host.run().code, Some(1));
    host.one_signal("FAILURE");
    let reason = host.reason();
    assert!(reason.contains("exit code 5") && !reason.contains("was not registered"), "{reason}");
}

/// Puts a script in the place of the stub of systemctl, which lies in `$bin/real` then.
fn wrap_systemctl(host: &Host, script: &str) {
    let bin = &host.rehearsal.bin;
    std::fs::create_dir(bin.join("real")).unwrap();
    std::fs::rename(bin.join("systemctl"), bin.join("real/systemctl")).unwrap();
    std::fs::write(bin.join("systemctl"), format!("#!/bin/sh\nbin=${{0%/*}}\n{script}\n")).unwrap();
    std::fs::set_permissions(bin.join("systemctl"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
}

#[test]
fn a_wait_ends_with_what_was_seen_though_systemd_does_not_answer() {
    let host = Host::of(Scenario::Never, SMALLEST);
    let bin = &host.rehearsal.bin;
    wrap_systemctl(
        &host,
        "if [ \"$1\" = show ] && [ -e \"$bin/stuck\" ]; then exec sleep 20; fi\n\"$bin/real/systemctl\" \"$@\"",
    );
    let ended = host.run_and(|_| {
        until(|| host.rehearsal.programs.started_marker("ecs.service").exists());
        std::fs::write(bin.join("stuck"), "").unwrap();
    });
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let reason = host.report().reason.unwrap();
    assert!(reason.contains("the ECS agent was not registered with `production` within 3s"), "{reason}");
    host.one_signal("FAILURE");
}

#[test]
fn the_answer_of_an_ecs_agent_that_is_to_be_restarted_does_not_count() {
    let host = Host::in_cloud(SMALLEST, |_| {});
    let bin = &host.rehearsal.bin;
    // With a job in systemd's queue as long as there is the file.
    wrap_systemctl(
        &host,
        "\"$bin/real/systemctl\" \"$@\" || exit\nif [ \"$1\" = show ] && [ -e \"$bin/queued\" ]; then echo Job=77; fi",
    );
    std::fs::write(bin.join("queued"), "").unwrap();
    let ended = host.run_and(|_| {
        until(|| looks(&host, "ecs.service") > 2);
        assert!(host.rehearsal.cloud.signals().is_empty());
        std::fs::remove_file(bin.join("queued")).unwrap();
    });
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("not registered yet: it is about to be restarted"), "{}", ended.stderr);
    host.one_signal("SUCCESS");
    // Each look at the job runs systemctl; the agent is asked more often.
    let (asked, looks) = (host.requests(Server::Ecs).len(), looks(&host, "ecs.service"));
    assert!(asked > looks + 2, "the agent was asked {asked} times, and its job looked at {looks} times");
}

#[test]
fn a_unit_that_starts_slowly_is_looked_at_a_few_times() {
    let host = Host::in_cloud("#ecs-firstrun\ndocker: {}\nwait: {timeout: 3s}\n", |_| {});
    host.rehearsal.programs.starts_without_end("docker.service").unwrap();
    host.run();
    let reason = host.report().reason.unwrap();
    assert!(reason.contains("docker.service is not active after 3s, but activating"), "{reason}");
    // At 0 ms, 200, 500, 950, 1,625, 2,638 and at the end.
    let looks = looks(&host, "docker.service");
    assert!((3..=7).contains(&looks), "docker.service was looked at {looks} times");
}

/// The number of looks at this unit alone since its start was queued.
fn looks(host: &Host, unit: &str) -> usize {
    let calls = host.rehearsal.programs.calls();
    let of_systemctl = calls.iter().filter(|call| call.program == "systemctl");
    let since =
        of_systemctl.skip_while(|call| !(call.args[0] == "start" && call.args.last().is_some_and(|arg| arg == unit)));
    since.filter(|call| call.args.len() == 3 && call.args[..2] == ["show", unit]).count()
}

#[test]
fn the_ca_bundle_is_read_before_the_wait_and_not_after_it() {
    let host = Host::in_cloud(SMALLEST, |_| {});
    // A pipe, which shows when it is read.
    let bundle = host.folder.path().join("bundle.pem");
    nix::unistd::mkfifo(&bundle, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let mut command = host.rehearsal.command(Path::new(BINARY)).into_std();
    let mut run = command.env("AWS_CA_BUNDLE", &bundle).stderr(Stdio::null()).spawn().unwrap();
    let open = || OpenOptions::new().write(true).custom_flags(nix::libc::O_NONBLOCK).open(&bundle);
    until(|| open().is_ok_and(|mut pipe| pipe.write_all(include_bytes!("../agent/http/testdata/ca.pem")).is_ok()));
    assert_eq!(host.requests(Server::Ecs).len(), 0);
    assert_eq!(run.wait().unwrap().code(), Some(0));
    host.one_signal("SUCCESS");
}
