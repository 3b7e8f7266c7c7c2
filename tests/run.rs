//! Runs of the real binary on a scratch host: `run`, from the user data to the signal.

use ecs_firstrun::rehearse::Scenario;
use ecs_firstrun::report::{Change, DeliveryState, Outcome};

use crate::support::host::{Host, INSTANCE, beside_the_root};
use crate::support::user_data::{COMPLETE, SMALLEST, misspelt};

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

#[test]
fn a_document_of_the_image_is_merged_under_the_user_data() {
    let host = Host::in_cloud(SMALLEST, |_| {});
    host.put("/etc/ecs-firstrun/conf.d/10.yaml", "ecs: {cluster: default, attributes: {image: golden}}\n");
    assert_eq!(host.run().code, Some(0));
    let expected = "ECS_CLUSTER=production\nECS_INSTANCE_ATTRIBUTES={\"image\":\"golden\"}\n";
    assert_eq!(host.text("/etc/ecs/ecs.config"), format!("# BEGIN ecs-firstrun\n{expected}# END ecs-firstrun\n"));
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
fn a_disk_with_a_filesystem_of_somebody_else_is_left_alone_and_nothing_is_started_on_it() {
    let host = Host::of(Scenario::ForeignDisk, COMPLETE);
    assert_eq!(host.run().code, Some(1));
    host.one_signal("FAILURE");
    assert!(host.reason().contains("somebody-else"), "{}", host.reason());
    let calls = host.rehearsal.programs.calls();
    assert!(!calls.iter().any(|call| call.program.starts_with("mkfs")), "{calls:?}");
    assert_eq!(host.started(), ["amazon-cloudwatch-agent.service"]);
}

#[test]
fn a_program_that_the_kernel_kills_for_want_of_memory_is_an_outcome_that_says_so() {
    let host = Host::of(Scenario::Success, COMPLETE);
    let mkfs = host.rehearsal.bin.join("mkfs.xfs");
    std::fs::remove_file(&mkfs).unwrap();
    std::fs::write(&mkfs, "#!/bin/sh\nkill -KILL $$\n").unwrap();
    std::fs::set_permissions(&mkfs, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let ended = host.run();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    host.one_signal("FAILURE");
    let reason = host.report().reason.unwrap();
    assert!(reason.contains("mkfs.xfs") && reason.contains("when memory runs out"), "{reason}");
}
