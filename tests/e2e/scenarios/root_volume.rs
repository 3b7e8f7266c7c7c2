//! A root volume that is replaced, as by an instance refresh: the image boots anew under the same instance id, and finds the
//! instance's other disks as they were.

use std::path::Path;

use anyhow::{Context as _, Result};
use ecs_firstrun::rehearse::cloud::Server;
use serde_json::Value;

use crate::checks::{Ended, contains, same};
use crate::lab::{Lab, Life, Stage};
use crate::machine::Machine;

const USER_DATA: &str = "#ecs-firstrun
signal: {stack: web, resource: Instances}
storage:
  - {device: /dev/xvdcy, filesystem: xfs, label: docker, mount: /data, directories: [{path: public}]}
  - {device: /dev/xvdcz, filesystem: ext4, label: ecs, mount: /var/lib/ecs/data}
  - {device: instance_store, filesystem: xfs, label: scratch, mount: /scratch}
docker: {data_root: /data/docker}
logs: {agent: none}
ecs: {cluster: production}
";

/// The filesystems and the array of the disks that stay.
#[derive(Debug, PartialEq)]
struct Disks {
    filesystems: String,
    array: String,
}

pub fn replaced(stage: &Stage) -> Result<()> {
    let lab = Lab::new(stage, USER_DATA)?;
    let volume = lab.blank_disk("xvdcy.img", 1024)?;
    let state = lab.blank_disk("xvdcz.img", 64)?;
    let store = [lab.blank_disk("first.img", 512)?, lab.blank_disk("second.img", 512)?];
    let volumes: &[(&str, &Path)] = &[("xvdcy", &volume), ("xvdcz", &state)];
    let life = Life { volumes, instance_store: &store, ..Life::default() };

    let mut machine = lab.boot(&life)?;
    let before = comes_up(&mut machine)?;
    same("signalled", lab.only_signal()?.status.as_str(), "SUCCESS")?;
    machine.sh("docker volume create kept && echo image > /data/docker/volumes/kept/_data/file")?;
    machine.sh("for at in data/public scratch var/lib/ecs/data; do echo $at > /$at/file; done; touch /old; sync")?;
    machine.shut_down()?;

    lab.replace_root_volume()?;
    let mut machine = lab.boot(&life)?;
    // Nothing on the new one tells of an array.
    machine.sh("! test -e /old && ! grep -rs ^ARRAY /etc/mdadm /etc/mdadm.conf")?;
    same("the disks", comes_up(&mut machine)?, before)?;
    for (folder, content) in [
        ("data/docker/volumes/kept/_data", "image"),
        ("data/public", "data/public"),
        ("scratch", "scratch"),
        ("var/lib/ecs/data", "var/lib/ecs/data"),
    ] {
        same(folder, machine.sh(&format!("cat /{folder}/file"))?.as_str(), content)?;
    }
    machine.sh("docker volume inspect kept")?;
    is_told_once(&lab, &mut machine)
}

/// The instance is a member of its cluster, as at a first boot: its registration was waited for.
fn comes_up(machine: &mut Machine) -> Result<Disks> {
    same("the agent ended", machine.settled()?, Ended::Well)?;
    machine.is_member_of("production")?;
    machine.is_healthy_but_for(&[])?;
    machine.starts_nothing_by_itself()?;
    contains(&machine.sh("cat /var/log/ecs-firstrun.log")?, "registered as arn:aws:ecs:")?;
    same("Docker's folder", machine.sh("docker info -f '{{.DockerRootDir}}'")?.as_str(), "/data/docker")?;
    let filesystems =
        machine.sh("for at in /data /scratch /var/lib/ecs/data; do findmnt -no FSTYPE,LABEL,UUID $at; done")?;
    let array =
        machine.sh("mdadm --detail --export $(findmnt -no SOURCE /scratch) | grep -E '^MD_(LEVEL|DEVICES|UUID)'")?;
    contains(&array, "MD_LEVEL=raid0")?;
    Ok(Disks { filesystems, array })
}

/// The new root volume knows nothing of the first signal. CloudFormation does, and that is no failure.
fn is_told_once(lab: &Lab, machine: &mut Machine) -> Result<()> {
    same("signalled", lab.only_signal()?.status.as_str(), "SUCCESS")?;
    same("requests for a signal", lab.requests(Server::CloudFormation).len(), 2)?;
    let report = machine.report()?;
    same("the outcome", report.get("outcome"), Some(&Value::from("success")))?;
    let signal = report.get("signal").context("no signal in the report")?;
    same("the signal", signal.get("delivery"), Some(&Value::from("accepted")))?;
    contains(signal.get("message").and_then(Value::as_str).unwrap_or_default(), "accepted before")
}
