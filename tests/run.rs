//! Runs of the real binary on a scratch host: `run`, from the user data to the signal.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::Stdio;

use ecs_firstrun::rehearse::Scenario;
use ecs_firstrun::rehearse::cloud::{CfnAnswer, ImdsFaults, Server, SignalAuth};
use ecs_firstrun::report::{Change, DeliveryState, Outcome};

use crate::support::host::{BINARY, Host, INSTANCE, beside_the_root, until};
use crate::support::user_data::{COMPLETE, SMALLEST, misspelt, with_signal};

#[test]
fn when_all_goes_well_the_host_is_set_up_and_success_is_signalled() {
    let host = Host::of(Scenario::Success, COMPLETE);
    std::fs::write(host.folder.path().join("sibling"), "not ours").unwrap();
    let before = beside_the_root(&host);
    let ended = host.run();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(!host.one_signal("SUCCESS").proxied);

    let report = host.report();
    assert_eq!((report.outcome, report.instance_id.as_deref()), (Outcome::Success, Some(INSTANCE)));
    assert_eq!(report.reason, None);
    let steps: Vec<_> = report.steps.iter().map(|step| step.name.as_str()).collect();
    assert_eq!(steps, ["fetch", "logs", "ecs", "storage", "docker", "start", "wait", "signal"]);
    assert!(report.steps.iter().all(|step| step.outcome == Outcome::Success));
    assert_eq!(report.signal.unwrap().delivery, DeliveryState::Accepted);

    let config = host.text("/etc/ecs/ecs.config");
    assert!(config.starts_with("# BEGIN ecs-firstrun\nECS_CLUSTER=production\n"), "{config}");
    assert!(host.text("/etc/systemd/system/data.mount").contains("What=/dev/disk/by-label/docker\n"));
    assert!(host.text("/etc/docker/daemon.json").contains("\"data-root\": \"/data/docker\""));
    assert!(host.at("/data/public").is_dir());
    let proxies = host
        .tree()
        .into_iter()
        .filter(|(_, (_, bytes))| String::from_utf8_lossy(bytes).to_lowercase().contains("proxy="));
    assert_eq!(proxies.map(|(path, _)| path).collect::<Vec<_>>(), Vec::<String>::new());
    let started = host.started();
    assert_eq!(started, ["amazon-cloudwatch-agent.service", "data.mount", "docker.service", "ecs.service"]);

    assert!(before == beside_the_root(&host), "something outside of the root was touched");
}

#[test]
fn the_instance_metadata_are_read_with_one_token_and_each_once() {
    let host = Host::in_cloud(SMALLEST, |_| {});
    assert_eq!(host.run().code, Some(0));
    let requests = host.requests(Server::Imds);
    let mut sequence: Vec<_> =
        requests.iter().map(|request| format!("{} {}", request.method, request.path_and_query)).collect();
    // What follows the identity document is asked for at once, in no order.
    sequence[2..8].sort();
    assert_eq!(
        sequence,
        [
            "PUT /latest/api/token",
            "GET /latest/dynamic/instance-identity/document",
            "GET /latest/dynamic/instance-identity/signature",
            "GET /latest/meta-data/ami-launch-index",
            "GET /latest/meta-data/autoscaling/target-lifecycle-state",
            "GET /latest/meta-data/services/domain",
            "GET /latest/meta-data/tags/instance",
            "GET /latest/user-data",
        ]
    );
    assert!(requests[0].header("x-aws-ec2-metadata-token-ttl-seconds").is_some());
    let tokens: BTreeSet<_> = requests[1..].iter().map(|request| request.header("x-aws-ec2-metadata-token")).collect();
    assert!(tokens.len() == 1 && tokens.iter().all(Option::is_some), "{tokens:?}");
}

#[test]
fn a_second_run_changes_nothing_and_signals_nothing() {
    let host = Host::of(Scenario::Success, COMPLETE);
    assert_eq!(host.run().code, Some(0));
    let (before, started) = (host.tree(), host.started());
    let ended = host.run();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let report = host.report();
    let steps: Vec<_> = report.steps.iter().map(|step| step.name.as_str()).collect();
    assert_eq!(steps, ["fetch", "logs", "ecs", "storage", "docker", "start"]);
    let made = report.steps.iter().flat_map(|step| &step.actions).filter(|action| action.change == Change::Made);
    let made: Vec<_> = made
        .map(|action| action.action.as_str())
        .filter(|action| *action != "tell systemd that the host is configured")
        .collect();
    assert_eq!(made, Vec::<&str>::new());
    assert_eq!(host.started(), started);
    let after = host.tree();
    let differing: Vec<_> =
        before.keys().chain(after.keys()).filter(|path| before.get(*path) != after.get(*path)).collect();
    assert!(differing.is_empty(), "{differing:?}");
    assert_eq!(report.signal.unwrap().delivery, DeliveryState::AcceptedEarlier);
    host.one_signal("SUCCESS");
}

#[test]
fn user_data_with_a_mistake_is_refused_and_failure_is_signalled_at_once() {
    let host = Host::of(Scenario::BadUserData, misspelt(COMPLETE));
    let before = host.tree();
    let ended = host.run();
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    host.one_signal("FAILURE");
    assert_eq!(host.report().outcome, Outcome::Refused);
    assert!(
        host.reason().contains("unknown key `clusterr`") && host.reason().contains("did you mean `cluster`?"),
        "{}",
        host.reason()
    );
    assert_eq!(host.started(), Vec::<String>::new());
    assert!(before == host.tree(), "a refused configuration changed the host");
    assert!(host.text("/dev/console").contains("clusterr"));
}

#[test]
fn user_data_that_breaks_off_half_way_still_signals_on_the_stack() {
    let host = Host::of(Scenario::BadUserData, format!("{SMALLEST}  attributes: {{a: [b\n"));
    assert_eq!(host.run().code, Some(2));
    host.one_signal("FAILURE");
}

#[test]
fn an_ecs_agent_that_never_registers_fails_the_run_when_the_wait_is_over() {
    let host = Host::of(Scenario::Never, COMPLETE);
    let ended = host.run();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    host.one_signal("FAILURE");
    let report = host.report();
    let wait = report.steps.iter().find(|step| step.name == "wait").unwrap();
    assert_eq!(wait.outcome, Outcome::Failure);
    assert!((3_000..5_000).contains(&wait.duration_ms), "{}", wait.duration_ms);
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
    assert!(host.reason().contains('5'), "{}", host.reason());
    assert!(host.report().duration_ms < 10_000);
}

#[test]
fn a_disk_with_a_filesystem_of_somebody_else_is_left_alone_and_nothing_is_started_on_it() {
    let host = Host::of(Scenario::ForeignDisk, COMPLETE);
    assert_eq!(host.run().code, Some(1));
    host.one_signal("FAILURE");
    assert!(host.reason().contains("somebody-else"), "{}", host.reason());
    let calls = host.rehearsal.programs.calls();
    assert!(!calls.iter().any(|call| call.program.starts_with("mkfs")), "{calls:?}");
    assert_eq!(host.started(), ["amazon-cloudwatch-agent.service"]);
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
fn a_systemd_that_does_not_answer_keeps_no_wait_from_saying_what_was_seen() {
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
        until(|| looks(&host, "ecs.service").len() > 2);
        assert!(host.rehearsal.cloud.signals().is_empty());
        std::fs::remove_file(bin.join("queued")).unwrap();
    });
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("not registered yet: it is about to be restarted"), "{}", ended.stderr);
    host.one_signal("SUCCESS");
    let looks = looks(&host, "ecs.service");
    assert!(looks.windows(2).all(|pair| pair[1] - pair[0] >= 500), "the job was looked at, in ms: {looks:?}");
}

#[test]
fn a_unit_that_starts_slowly_is_looked_at_less_and_less() {
    let host = Host::in_cloud("#ecs-firstrun\ndocker: {}\nwait: {timeout: 3s}\n", |_| {});
    host.rehearsal.programs.starts_without_end("docker.service").unwrap();
    host.run();
    let reason = host.report().reason.unwrap();
    assert!(reason.contains("docker.service is not active after 3s, but activating"), "{reason}");
    // At 0 ms, 200, 500, 950, 1,625, 2,638 and at the end.
    let looks = looks(&host, "docker.service");
    assert!((3..=7).contains(&looks.len()), "docker.service was looked at, in ms: {looks:?}");
}

/// When this unit alone was looked at since its start was queued, in milliseconds.
fn looks(host: &Host, unit: &str) -> Vec<u64> {
    let calls = host.rehearsal.programs.calls();
    let of_systemctl = calls.iter().filter(|call| call.program == "systemctl");
    let since =
        of_systemctl.skip_while(|call| !(call.args[0] == "start" && call.args.last().is_some_and(|arg| arg == unit)));
    since.filter(|call| call.args.len() == 3 && call.args[..2] == ["show", unit]).map(|call| call.start).collect()
}

#[test]
fn the_roots_are_read_before_the_wait_and_not_after_it() {
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

#[test]
fn the_variables_of_the_shell_original_stand_in_for_user_data() {
    let host = Host::in_cloud("", |options| options.user_data = None);
    let ended =
        host.run_with(&[("ECS_CLUSTER", "production"), ("STACK_NAME", "web"), ("AUTOSCALING_GROUP", "Instances")]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    host.one_signal("SUCCESS");
    assert!(host.text("/etc/ecs/ecs.config").contains("\nECS_CLUSTER=production\n"));
}

#[test]
fn instance_metadata_that_are_not_ready_are_asked_again() {
    let host = Host::in_cloud(SMALLEST, |options| {
        options.imds_faults = ImdsFaults { unavailable: 3, ..ImdsFaults::default() }
    });
    assert_eq!(host.run().code, Some(0));
    host.one_signal("SUCCESS");
    assert_eq!(host.requests(Server::Imds).iter().filter(|request| request.status == 503).count(), 3);
}

#[test]
fn what_a_run_can_do_without_keeps_nobody_from_being_told() {
    let host = Host::in_cloud(SMALLEST, |options| {
        let refused = vec!["/latest/meta-data/autoscaling", "/latest/meta-data/services", "/latest/meta-data/tags"];
        options.imds_faults = ImdsFaults { refused, ..ImdsFaults::default() }
    });
    let ended = host.run();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    host.one_signal("SUCCESS");
    assert!(ended.stderr.contains("going on without /latest/meta-data/tags/instance: "), "{}", ended.stderr);
}

#[test]
fn a_token_that_expires_is_replaced() {
    let host = Host::in_cloud(SMALLEST, |options| {
        options.imds_faults = ImdsFaults { first_token_uses: Some(2), ..ImdsFaults::default() }
    });
    assert_eq!(host.run().code, Some(0));
    host.one_signal("SUCCESS");
    let requests = host.requests(Server::Imds);
    assert!(requests.iter().any(|request| request.status == 401));
    assert_eq!(requests.iter().filter(|request| request.method == "PUT").count(), 2);
}

#[test]
fn a_cloudformation_that_throttles_is_signalled_until_it_accepts() {
    let host =
        Host::in_cloud(SMALLEST, |options| options.cloudformation = [CfnAnswer::Throttle, CfnAnswer::Throttle].into());
    let ended = host.run();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(ended.stderr.matches("CloudFormation has not accepted the request yet").count(), 2, "{}", ended.stderr);
    host.one_signal("SUCCESS");
    assert_eq!(host.requests(Server::CloudFormation).len(), 3);
}

#[test]
fn a_stack_that_does_not_wait_is_no_failure() {
    let host = Host::in_cloud(SMALLEST, |options| options.cloudformation = [CfnAnswer::CannotBeSignaled].into());
    let ended = host.run();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(host.report().signal.unwrap().delivery, DeliveryState::NotWaitedFor);
    assert!(host.rehearsal.cloud.signals().is_empty());
    assert_eq!(host.run().code, Some(0));
    assert_eq!(host.requests(Server::CloudFormation).len(), 1);
}

#[test]
fn a_signal_that_cloudformation_refuses_ends_with_exit_code_3() {
    let user_data = with_signal("auth: instance_identity");
    let host = Host::in_cloud(&user_data, |options| options.cloudformation = [CfnAnswer::NoSuchStack].into());
    assert_eq!(host.run().code, Some(3));
    assert_eq!(host.report().signal.unwrap().delivery, DeliveryState::Refused);
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
fn a_document_of_the_image_is_merged_under_the_user_data() {
    let host = Host::in_cloud(SMALLEST, |_| {});
    host.put("/etc/ecs-firstrun/conf.d/10.yaml", "ecs: {cluster: default, attributes: {image: golden}}\n");
    assert_eq!(host.run().code, Some(0));
    let expected = "ECS_CLUSTER=production\nECS_INSTANCE_ATTRIBUTES={\"image\":\"golden\"}\n";
    assert_eq!(host.text("/etc/ecs/ecs.config"), format!("# BEGIN ecs-firstrun\n{expected}# END ecs-firstrun\n"));
}

#[test]
fn a_signal_that_could_not_be_sent_is_sent_by_the_next_run() {
    let user_data = with_signal("timeout: 20s");
    let host = Host::in_cloud(&user_data, |_| {});
    let ended = host.run_with(&[("AWS_ENDPOINT_URL_CLOUDFORMATION", "http://127.0.0.1:9")]);
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    assert_eq!(host.report().signal.unwrap().delivery, DeliveryState::Undelivered);
    assert_eq!(host.run().code, Some(0));
    host.one_signal("SUCCESS");
}

#[test]
fn the_reason_of_a_refusal_is_told_whole() {
    for (line, reason) in [
        (
            "  tags: {Cost: \"a,b\"}",
            "user data:5:16: ecs.tags.Cost: `a,b` is not a value that AWS allows for a tag (up to 256 letters, digits, \
             spaces and + - = . _ : / @)",
        ),
        (
            "  config: {ECS_ENGINE_AUTH_DATA: hunter2canary}",
            "user data:5:34: ecs.config.ECS_ENGINE_AUTH_DATA: the value is not a mapping (write a mapping, or a JSON object \
             as a string)",
        ),
        (
            "  config: {ECS_LOGLEVEL: info",
            "user data:6:1: this isn't valid YAML: while parsing a flow mapping, did not find expected ',' or '}' (close the \
             brackets, and separate their items by commas; the innermost open bracket is in line 5)",
        ),
    ] {
        let signal = "signal: {stack: web, resource: Instances}";
        let host = Host::in_cloud(&format!("#ecs-firstrun\n{signal}\necs:\n  cluster: production\n{line}\n"), |_| {});
        assert_eq!(host.run().code, Some(2));
        host.one_signal("FAILURE");
        assert_eq!(host.report().reason.as_deref(), Some(reason));
        assert!(host.text("/dev/console").contains(reason));
    }
}
