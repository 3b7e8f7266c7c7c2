//! A root volume that was replaced: the instance id, the metadata and what AWS knows stay, all that a run has kept is gone.

use ecs_firstrun::report::{DeliveryState, Outcome};

use crate::support::host::Host;

const USER_DATA: &str = "#ecs-firstrun\nsignal: {stack: web, resource: Instances, lifecycle_hook: {name: launch, group: web}}\n\
    ecs: {cluster: production}\n";

/// A host in a group, whose instances have a role.
fn host() -> Host {
    Host::in_cloud(USER_DATA, |options| options.iam_role = Some("web-instances".into()))
}

/// Takes away what runs have written to the root volume.
fn replace_root_volume(host: &Host) {
    for folder in ["/var", "/etc", "/run"] {
        std::fs::remove_dir_all(host.at(folder)).unwrap();
    }
}

/// The statuses that CloudFormation has taken, and the results that Auto Scaling has.
fn told(host: &Host) -> (Vec<String>, Vec<String>) {
    let results = host.rehearsal.cloud.lifecycle_calls().into_iter().filter_map(|call| call.result);
    (host.statuses(), results.collect())
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

#[test]
fn an_instance_on_a_new_root_volume_is_set_up_anew_and_its_second_success_is_no_failure() {
    let host = host();
    assert_eq!(host.run().code, Some(0));
    replace_root_volume(&host);
    let ended = host.run();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let report = host.report();
    assert_eq!(report.outcome, Outcome::Success);
    assert!(report.steps.iter().any(|step| step.name == "wait"), "its registration was not waited for: {report}");
    assert!(host.text("/etc/ecs/ecs.config").contains("ECS_CLUSTER=production"));
    let signal = report.signal.unwrap();
    assert_eq!(signal.delivery, DeliveryState::Accepted);
    assert!(signal.message.starts_with("accepted before: "), "{}", signal.message);
    assert_eq!(told(&host), (words(&["SUCCESS"]), words(&["CONTINUE", "CONTINUE"])));
}

#[test]
fn a_failure_on_a_new_root_volume_is_told_and_a_first_failure_stays() {
    let fails_later = host();
    assert_eq!(fails_later.run().code, Some(0));
    replace_root_volume(&fails_later);
    fails_later.put_mistake();
    assert_eq!(fails_later.run().code, Some(2));
    assert_eq!(told(&fails_later), (words(&["SUCCESS", "FAILURE"]), words(&["CONTINUE", "ABANDON"])));

    let failed = host();
    failed.put_mistake();
    assert_eq!(failed.run().code, Some(2));
    replace_root_volume(&failed);
    let ended = failed.run();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(failed.report().signal.unwrap().message.contains("perhaps with another status"));
    assert_eq!(told(&failed), (words(&["FAILURE"]), words(&["ABANDON", "CONTINUE"])));
}

/// The instance metadata may name any of them while a root volume is replaced; what is new is for service, too.
#[test]
fn a_lifecycle_state_that_is_of_no_warm_pool_is_one_of_service() {
    for state in [
        "ReplacingRootVolume",
        "ReplacingRootVolume:Wait",
        "ReplacingRootVolume:Proceed",
        "RootVolumeReplaced",
        "Pending:Wait",
        "Quarantined",
        "Standby",
        "Detached",
        "Warming",
        "of another year",
    ] {
        let host = Host::in_cloud(USER_DATA, |options| {
            options.iam_role = Some("web-instances".into());
            options.target_lifecycle_state = Some(state.to_owned());
        });
        let ended = host.run();
        assert_eq!(ended.code, Some(0), "{state}: {}", ended.stderr);
        assert_eq!(told(&host), (words(&["SUCCESS"]), words(&["CONTINUE"])), "{state}");
        assert!(host.started().contains(&"ecs.service".to_owned()), "{state}");
    }
}
