//! Leftovers of a used host, which must not be baked: state, identities, keys, and the files of a run.

use std::process::Command;

use super::{Image, is_refused};
use crate::support::host::Ended;
use crate::support::repository;

/// Files that a run of this agent writes, with names that say so.
const LEFT_BY_A_RUN: [&str; 7] = [
    "/var/lib/ecs-firstrun/state.json",
    "/var/log/ecs-firstrun.log",
    "/var/log/ecs-firstrun-runs.log",
    "/etc/systemd/system/docker.service.d/ecs-firstrun-proxy.conf",
    "/etc/ecs-firstrun/proxy.env",
    "/opt/aws/amazon-cloudwatch-agent/etc/amazon-cloudwatch-agent.d/ecs-firstrun.json",
    "/opt/aws/amazon-cloudwatch-agent/etc/amazon-cloudwatch-agent.d/ecs-firstrun.yaml",
];

#[test]
fn what_a_run_of_this_agent_has_left_is_refused() {
    for path in LEFT_BY_A_RUN {
        is_refused(|image| image.put(path, "{}"), "last_run", &[&format!("{path} is left"), "cleanup.sh"]);
    }
}

#[test]
fn the_script_that_the_remedy_names_removes_what_is_refused() {
    let image = Image::new();
    let logs = "/opt/aws/amazon-cloudwatch-agent/logs";
    let of_the_log_agent = [
        format!("{logs}/amazon-cloudwatch-agent.log"),
        format!("{logs}/state/ecs-firstrun/i-0builder/receiver_journald_"),
    ];
    let others =
        ["/var/lib/ecs/data/agent.db", "/var/lib/cloud/instances/i-0builder/datasource", "/root/.ssh/authorized_keys"];
    let left: Vec<&str> =
        LEFT_BY_A_RUN.into_iter().chain(others).chain(of_the_log_agent.iter().map(String::as_str)).collect();
    left.iter().for_each(|path| image.put(path, "left"));
    // A unit of this name may be the image's own.
    let mount = "/etc/systemd/system/var-lib-containerd.mount";
    image.put(mount, "[Mount]\nWhat=/mnt/containerd\n");
    let mut again = Command::new("bash");
    again.arg(repository("builder-scripts/cleanup.sh")).env("ROOT", image.folder.path());
    assert_eq!(Ended::from(again.output().unwrap()).code, Some(0));
    assert!(image.at(mount).exists());
    image.put(mount, "# Written by ecs-firstrun.\n[Mount]\n");
    let left: Vec<_> = left.into_iter().chain([mount]).collect();
    left.iter().for_each(|path| {
        if *path != mount {
            image.put(path, "left")
        }
    });
    assert_eq!(image.findings().0, Some(1));
    let mut script = Command::new("bash");
    script.arg(repository("builder-scripts/cleanup.sh")).env("ROOT", image.folder.path());
    let ended = Ended::from(script.output().unwrap());
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let still: Vec<_> = left.iter().filter(|path| image.at(path).exists()).collect();
    assert!(still.is_empty(), "{still:?}");
    assert_eq!(image.findings(), (Some(0), image.findings().1), "{}", image.check(&[]).stdout);
}

#[test]
fn state_of_the_ecs_agent_is_refused() {
    let spoil = |image: &Image| image.put("/var/lib/ecs/data/agent.db", "stale");
    is_refused(spoil, "state", &["/var/lib/ecs/data/agent.db is left", "cleanup.sh"]);
}

#[test]
fn state_of_cloud_init_is_refused() {
    let spoil = |image: &Image| image.put("/var/lib/cloud/instances/i-0builder/datasource", "");
    is_refused(spoil, "cloud_init", &["/var/lib/cloud/instances is left", "cleanup.sh"]);
}

#[test]
fn an_identity_of_the_host_that_was_baked_is_refused() {
    let id = "0123456789abcdef0123456789abcdef\n";
    is_refused(|image| image.put("/etc/machine-id", id), "identity", &["/etc/machine-id is not empty"]);
    is_refused(|image| image.put("/var/lib/dbus/machine-id", id), "identity", &["/var/lib/dbus/machine-id is left"]);
    let key = "/etc/ssh/ssh_host_ed25519_key";
    is_refused(|image| image.put(key, "secret"), "identity", &["/etc/ssh/ssh_host_ed25519_key is left", "cleanup.sh"]);
    let image = Image::new();
    image.put("/etc/machine-id", "uninitialized\n");
    image.link("/var/lib/dbus/machine-id", "/etc/machine-id");
    assert_eq!(image.findings().0, Some(0), "that is no identity");
}

#[test]
fn keys_of_those_who_baked_the_image_are_refused() {
    for path in ["/root/.ssh/authorized_keys", "/home/ec2-user/.ssh/authorized_keys"] {
        is_refused(|image| image.put(path, "ssh-ed25519 AAAA"), "ssh_keys", &[&format!("{path} is left")]);
    }
}
