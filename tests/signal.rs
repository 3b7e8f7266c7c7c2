//! The signal: whom it is for, when it is due, and the command `signal`, which stands in for cfn-signal.

use std::time::Duration;

use ecs_firstrun::rehearse::Scenario;
use ecs_firstrun::rehearse::cloud::{CfnAnswer, Server, SignalAuth};
use ecs_firstrun::report::{DeliveryState, Outcome};
use nix::sys::signal::Signal;

use crate::support::host::{BINARY, Ended, Host, kill, until};
use crate::support::user_data::{SMALLEST, misspelt};

#[test]
fn a_run_that_is_told_to_stop_decides_nothing_and_the_next_one_goes_on() {
    let host = Host::of(Scenario::Never, SMALLEST);
    let stop = |pid: u32| {
        until(|| host.rehearsal.programs.started_marker("ecs.service").exists());
        kill(pid, Signal::SIGTERM);
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
fn a_run_that_is_told_to_stop_while_it_signals_leaves_that_to_the_next_one() {
    let host = Host::in_cloud(SMALLEST, |options| options.cloudformation = vec![CfnAnswer::Throttle; 40].into());
    let mut running = None;
    let stop = |pid: u32| {
        until(|| host.requests(Server::CloudFormation).len() > 1);
        running = Some(host.report());
        kill(pid, Signal::SIGTERM);
    };
    let ended = host.run_and(stop);
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    let running = running.unwrap();
    assert_eq!((running.outcome, running.signal.unwrap().delivery), (Outcome::Running, DeliveryState::Pending));
    let report = host.report();
    assert_eq!((report.outcome, report.signal.unwrap().delivery), (Outcome::Success, DeliveryState::Undelivered));
    assert!(host.rehearsal.cloud.signals().is_empty());
}

#[test]
fn the_time_since_the_boot_counts_against_the_stacks_timeout() {
    let host = Host::of(Scenario::Never, SMALLEST);
    std::fs::remove_file(host.at("/etc/ecs-firstrun/conf.d/50-rehearsal.yaml")).unwrap();
    // The timeout is 15 minutes; six seconds are left of it, and half of them for the signal.
    host.put("/proc/uptime", "894.02 1700.33\n");
    let ended = host.run();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let (_, most) = ended.stderr.split_once("registered with `production`, at most ").unwrap();
    let most = humantime::parse_duration(most.lines().next().unwrap()).unwrap();
    assert!(most <= Duration::from_secs(6), "{most:?}");
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

/// Whatever else is wrong with the user data, the stack is told, and through the proxy where there is one.
#[test]
fn the_stack_is_found_in_user_data_that_are_wrong_elsewhere() {
    let good = "signal: {stack: web, resource: Instances}\n";
    let mime = |second: &str| {
        format!(
            "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"b\"\n\n--b\nContent-Type: \
             application/vnd.ecs-firstrun+yaml\n\n{good}ecs: {{cluster: production}}\n--b\nContent-Type: \
             application/vnd.ecs-firstrun+yaml\n\n{second}\n--b--\n"
        )
    };
    let table = [
        ("an unknown key", format!("#ecs-firstrun\n{good}ecs: {{cluster: production, clusterr: x}}\n")),
        ("an unknown section", format!("#ecs-firstrun\n{good}ecss: {{cluster: production}}\n")),
        ("wrong kinds", format!("#ecs-firstrun\n{good}ecs: [production]\nstorage: 3\nlogs: yes please\n")),
        ("a wrong kind beside the target", format!("#ecs-firstrun\n{}", good.replace("}", ", timeout: [1]}"))),
        ("no more YAML half way", format!("#ecs-firstrun\n{good}ecs: {{cluster: production, tags: [\n")),
        ("a broken document beside a good one", mime("ecs: {cluster: [")),
        ("a document that is a list beside a good one", mime("- ecs")),
        ("a document that is text beside a good one", mime("production")),
    ];
    for (what, user_data) in table {
        let host = Host::in_cloud(&user_data, |_| {});
        let proxy = host.rehearsal.cloud.proxy_endpoint();
        host.put("/etc/ecs-firstrun/conf.d/70-proxy.yaml", &format!("proxy: {{url: \"{proxy}\"}}\n"));
        let beyond = [("AWS_ENDPOINT_URL_CLOUDFORMATION", "http://cloudformation.eu-central-1.amazonaws.com")];
        let ended = host.run_with(&beyond);
        assert_eq!(ended.code, Some(2), "{what}: {}", ended.stderr);
        assert!(host.one_signal("FAILURE").proxied, "{what}");
        assert_eq!(host.started(), Vec::<String>::new(), "{what}");
    }
}

#[test]
fn a_wait_condition_is_told_why_the_run_failed() {
    let host = Host::in_cloud("", |_| {});
    let handle = host.rehearsal.cloud.wait_handle_url();
    host.put(
        "/etc/ecs-firstrun/conf.d/10.yaml",
        &format!("signal: {{wait_handle: \"{handle}\"}}\necs: {{clusterr: x}}\n"),
    );
    let ended = host.run();
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    let signals = host.rehearsal.cloud.signals();
    assert_eq!(signals.len(), 1);
    assert_eq!((signals[0].status.as_str(), signals[0].auth), ("FAILURE", SignalAuth::WaitHandle));
    let reason = signals[0].reason.as_deref().unwrap_or_default();
    assert!(reason.contains("unknown key `clusterr`"), "{reason}");
}

#[test]
fn a_host_that_failed_once_signals_no_success_later() {
    let host = Host::of(Scenario::BadUserData, misspelt(SMALLEST));
    assert_eq!(host.run().code, Some(2));
    host.put("/etc/ecs-firstrun/conf.d/60-nothing.yaml", "wait: {timeout: 5s}\n");
    assert_eq!(host.run().code, Some(2));
    host.one_signal("FAILURE");
}

#[test]
fn signal_stands_in_for_cfn_signal() {
    let host = Host::in_cloud("", |_| {});
    let cfn_signal = host.folder.path().join("cfn-signal");
    std::os::unix::fs::symlink(BINARY, &cfn_signal).unwrap();
    let send = |arguments: &[&str]| {
        let mut command = std::process::Command::new(&cfn_signal);
        command.env("AWS_EC2_METADATA_SERVICE_ENDPOINT", host.rehearsal.cloud.imds_endpoint());
        command.env("AWS_ENDPOINT_URL_CLOUDFORMATION", host.rehearsal.cloud.cloudformation_endpoint());
        Ended::from(command.args(arguments).output().unwrap())
    };
    let to_stack = ["--stack", "web", "--resource", "Instances", "--region", "eu-central-1"];
    for (arguments, status) in [
        (&["-e", "0"][..], "SUCCESS"),
        (&["-e", "7"], "FAILURE"),
        (&["-e", "0", "-s", "false"], "FAILURE"),
        (&["--success", "true", "--id", "i-another"], "SUCCESS"),
    ] {
        let ended = send(&[arguments, &to_stack].concat());
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), ""), "{arguments:?}: {}", ended.stderr);
        assert_eq!(host.rehearsal.cloud.signals().last().unwrap().status, status, "{arguments:?}");
    }
    assert_eq!(host.rehearsal.cloud.signals().last().unwrap().unique_id, "i-another");
    // One that is there already is no news.
    let ended = send(&[&["-e", "0"], &to_stack[..]].concat());
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stdout.contains("already has a signal with this ID"), "{}", ended.stdout);
    assert_eq!(host.rehearsal.cloud.signals().len(), 4);
    let handle = host.rehearsal.cloud.wait_handle_url();
    let ended = send(&["-e", "1", "-r", "no disk", "-d", "more", &handle]);
    assert_eq!(
        (ended.code, ended.stdout.as_str()),
        (Some(0), "CloudFormation accepted the signal FAILURE\n"),
        "{}",
        ended.stderr
    );
    let told = host.requests(Server::CloudFormation).pop().unwrap();
    assert_eq!(
        String::from_utf8(told.body).unwrap(),
        r#"{"Status":"FAILURE","Reason":"no disk","UniqueId":"i-0f1e2d3c4b5a69788","Data":"more"}"#
    );
    for (arguments, code, message) in [
        (&["--stack", "web"][..], 1, "--stack needs --resource"),
        (&["no-url"], 1, "not an http:// or https:// URL"),
        (&["--success", "maybe"], 2, "invalid value 'maybe'"),
        (&["--credential-file", "/no/such", "--stack", "web", "--resource", "R"], 1, "read /no/such"),
    ] {
        let ended = send(arguments);
        assert_eq!(ended.code, Some(code), "{arguments:?}");
        assert!(ended.stderr.contains(message), "{arguments:?}: {}", ended.stderr);
    }
}

#[test]
fn the_address_that_is_given_for_all_of_aws_is_that_of_cloudformation_too() {
    let host = Host::in_cloud("", |_| {});
    let mut command = std::process::Command::new(BINARY);
    command.args(["signal", "--stack", "web", "--resource", "Instances", "--region", "eu-central-1", "-e", "0"]);
    command.env("AWS_EC2_METADATA_SERVICE_ENDPOINT", host.rehearsal.cloud.imds_endpoint());
    // An empty variable counts as unset.
    command.env("AWS_ENDPOINT_URL_CLOUDFORMATION", "");
    command.env("AWS_ENDPOINT_URL", host.rehearsal.cloud.cloudformation_endpoint());
    let mut signal = command.spawn().unwrap();
    let began = std::time::Instant::now();
    while host.rehearsal.cloud.signals().is_empty() && began.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(1));
    }
    let told = host.rehearsal.cloud.signals().len();
    if told == 0 {
        signal.kill().unwrap();
    }
    assert_eq!((told, signal.wait().unwrap().code()), (1, Some(0)));
}
