//! The signal, whatever goes wrong on its way: one decided status, delivered once.

use std::time::Duration;

use ecs_firstrun::rehearse::Scenario;
use ecs_firstrun::rehearse::cloud::Server;
use ecs_firstrun::report::Outcome;

use crate::support::host::{Host, until};

const SMALLEST: &str = include_str!("../examples/user-data/smallest.yaml");

#[test]
fn a_run_that_is_told_to_stop_decides_nothing_and_the_next_one_goes_on() {
    let host = Host::of(Scenario::Never, SMALLEST);
    let stop = |pid: u32| {
        until(|| host.rehearsal.programs.started_marker("ecs.service").exists());
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid as i32), nix::sys::signal::SIGTERM).unwrap();
    };
    let ended = host.run_and(stop);
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    let report = host.report();
    assert_eq!(report.outcome, Outcome::Interrupted);
    assert_eq!(report.steps.last().unwrap().outcome, Outcome::Interrupted);
    assert!(host.requests(Server::CloudFormation).is_empty());
    assert_eq!(host.run().code, Some(1));
    host.one_signal("FAILURE");
}

#[test]
fn the_time_since_the_boot_counts_against_the_stacks_timeout() {
    let host = Host::of(Scenario::Never, SMALLEST);
    std::fs::remove_file(host.at("/etc/ecs-firstrun/conf.d/50-rehearsal.yaml")).unwrap();
    // The timeout is 15 minutes; six seconds are left of it, and half of them for the signal.
    host.put("/proc/uptime", "894.02 1700.33\n");
    let began = std::time::Instant::now();
    assert_eq!(host.run().code, Some(1));
    assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
    host.one_signal("FAILURE");
}

#[test]
fn user_data_that_hide_the_stack_are_reported_to_that_of_the_instances_tags() {
    let stack = "arn:aws:cloudformation:eu-central-1:123456789012:stack/web/8a6f2c50";
    let tags = [("aws:cloudformation:stack-id", stack), ("aws:cloudformation:logical-id", "Instances")];
    let host = Host::in_cloud("#ecs-firstrun\nsignal: [stack\n", |options| {
        options.tags = tags.map(|(key, value)| (key.into(), value.into())).into();
    });
    let ended = host.run();
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    let signals = host.rehearsal.cloud.signals();
    let told: Vec<_> =
        signals.iter().map(|told| (told.status.as_str(), told.stack.as_str(), told.resource.as_str())).collect();
    assert_eq!(told, [("FAILURE", stack, "Instances")]);
}
