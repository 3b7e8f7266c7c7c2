//! A run inside cloud-init, and the unit that it hands its configuration over to.

use ecs_firstrun::rehearse::cloud::{Registration, Server};
use ecs_firstrun::report::Outcome;

use crate::support::host::{Ended, Host};
use crate::support::user_data::SMALLEST;

/// Variables that a script of the user data sets for the shell original.
const VARIABLES: [(&str, &str); 3] =
    [("ECS_CLUSTER", "production"), ("STACK_NAME", "web"), ("AUTOSCALING_GROUP", "Instances")];

/// Runs as the script does.
fn hands_over(host: &Host) -> Ended {
    host.put("/etc/systemd/system/ecs-firstrun.service", "");
    host.put("/proc/self/cgroup", "0::/system.slice/cloud-final.service\n");
    host.run_with(&VARIABLES)
}

/// From here on runs are those of the unit.
fn in_the_unit(host: &Host) {
    host.put("/proc/self/cgroup", "0::/system.slice/ecs-firstrun.service\n");
}

#[test]
fn a_run_inside_cloud_init_hands_its_variables_over_to_the_unit() {
    let host = Host::in_cloud("", |options| options.user_data = None);
    let ended = hands_over(&host);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(
        ended
            .stderr
            .contains("called inside cloud-final.service, so ecs-firstrun.service does the work in the background"),
        "{}",
        ended.stderr
    );
    assert_eq!(host.started(), ["ecs-firstrun.service"]);
    assert!(host.requests(Server::Imds).is_empty() && host.requests(Server::CloudFormation).is_empty());

    // The unit, which has none of the variables, on this boot and on the next.
    in_the_unit(&host);
    for _ in 0..2 {
        let ended = host.run();
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert!(host.text("/etc/ecs/ecs.config").contains("\nECS_CLUSTER=production\n"));
    }
    host.one_signal("SUCCESS");
}

#[test]
fn what_was_handed_over_on_another_instance_is_not_used() {
    let host = Host::in_cloud("", |options| options.user_data = None);
    host.put("/etc/systemd/system/ecs-firstrun.service", "");
    host.put("/proc/self/cgroup", "12:pids:/\n1:name=systemd:/system.slice/cloud-config.service\n");
    host.put("/sys/class/dmi/id/board_asset_tag", "i-00000000000000001\n");
    assert_eq!(host.run_with(&[("ECS_CLUSTER", "production")]).code, Some(0));
    host.put("/proc/self/cgroup", "0::/\n");
    host.put("/sys/class/dmi/id/board_asset_tag", "i-0f1e2d3c4b5a69788\n");
    assert_eq!(host.run().code, Some(0));
    assert_eq!(host.text("/etc/ecs/ecs.config"), "");
}

#[test]
fn a_run_inside_cloud_init_without_the_unit_says_what_to_install() {
    let host = Host::in_cloud(SMALLEST, |_| {});
    host.put("/proc/self/cgroup", "0::/system.slice/cloud-final.service\n");
    let ended = host.run();
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("install the unit into the image"), "{}", ended.stderr);
    host.one_signal("FAILURE");
}

/// The unit ran before the script, by what the image alone says; that decides nothing for the stack that the script names.
#[test]
fn what_an_images_own_configuration_came_to_is_not_told_to_the_stack_that_a_script_names() {
    let host = Host::in_cloud("", |options| {
        options.user_data = Some("#!/bin/sh\n".into());
        options.registration = Registration::Never;
    });
    host.put(
        "/etc/ecs-firstrun/conf.d/10-image.yaml",
        "#ecs-firstrun\nlogs: {retention_days: 30}\nwait: {timeout: 2s}\n",
    );
    in_the_unit(&host);
    assert_eq!(host.run().code, Some(0));
    assert_eq!(host.report().outcome, Outcome::Success);

    assert_eq!(hands_over(&host).code, Some(0));
    in_the_unit(&host);
    let ended = host.run();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("not registered with `production`"), "{}", ended.stderr);
    host.one_signal("FAILURE");
}

/// After a stop and start with other user data cloud-init does not run the script again.
#[test]
fn what_was_handed_over_ends_with_the_user_data_that_the_script_was_in() {
    let host = Host::in_cloud("#ecs-firstrun\necs: {cluster: newer}\n", |_| {});
    // gzip, so no text.
    std::fs::create_dir_all(host.at("/var/lib/cloud/instance")).unwrap();
    let copy = host.at("/var/lib/cloud/instance/user-data.txt");
    std::fs::write(&copy, b"\x1f\x8b\xff the script").unwrap();
    assert_eq!(hands_over(&host).code, Some(0));
    in_the_unit(&host);
    let planned = |host: &Host| host.call(&["plan"], &[]);
    assert!(planned(&host).stdout.contains("`production`"), "{:?}", planned(&host));
    std::fs::write(&copy, "#ecs-firstrun\necs: {cluster: newer}\n").unwrap();
    let after = planned(&host);
    assert!(after.stdout.contains("`newer`"), "{after:?}");
    assert!(after.stderr.contains("the user data has changed since"), "{after:?}");
}
