//! An instance as CloudFormation makes it, and its reboots.

use std::path::Path;

use anyhow::{Result, ensure};
use ecs_firstrun::rehearse::cloud::{Server, SignalAuth};
use serde_json::Value;

use crate::checks::{Ended, PATIENCE, contains, same};
use crate::lab::{Lab, Life, Stage};
use crate::machine::Machine;

/// The README's and the templates' example: what it promises is what is looked for here.
const USER_DATA: &str = include_str!("../../../examples/user-data/complete.yaml");
type Volumes<'a> = &'a [(&'a str, &'a Path)];

pub fn first_boot_and_reboots(stage: &Stage) -> Result<()> {
    let lab = Lab::new(stage, USER_DATA)?;
    let disk = lab.blank_disk("xvdcy.img", 1024)?;
    let volumes: Volumes = &[("xvdcy", &disk)];
    let uuid = provisions_itself(&lab, volumes)?;
    let ready = reboots(&lab, &Life { volumes, ..Life::default() }, &uuid)?;
    let asked = lab.requests(Server::Imds).len();
    let ready_alone = reboots(&lab, &Life { volumes, no_network: true, ..Life::default() }, &uuid)?;
    same("requests without a network", lab.requests(Server::Imds).len(), asked)?;
    stage.remark.set(format!("READY after {ready} ms at a reboot, {ready_alone} ms without a network"));
    Ok(())
}

/// The first boot; the UUID of the filesystem that it made.
fn provisions_itself(lab: &Lab, volumes: Volumes) -> Result<String> {
    let mut machine = lab.boot(&Life { volumes, ..Life::default() })?;
    same("the agent ended", machine.settled()?, Ended::Well)?;
    volume_is_set_up(&mut machine)?;
    machine.is_healthy_but_for(&[])?;
    machine.is_member_of("production")?;
    machine.starts_nothing_by_itself()?;
    leaves_cloud_init_clean(&mut machine)?;
    configuration_is_in_place(&mut machine)?;
    says_how_it_went(&mut machine)?;
    let signal = lab.only_signal()?;
    same("signalled", (signal.status.as_str(), signal.auth), ("SUCCESS", SignalAuth::InstanceIdentity))?;
    same("signalled", (signal.stack.as_str(), signal.resource.as_str()), ("web", "Instances"))?;
    machine.sh("docker volume create kept && echo kept > /data/public/kept")?;
    let uuid = machine.sh("findmnt -no UUID /data")?;
    machine.shut_down()?;
    Ok(uuid)
}

/// A later boot, after which all is as before; milliseconds until the host was configured.
fn reboots(lab: &Lab, life: &Life, uuid: &str) -> Result<u64> {
    let mut machine = lab.boot(life)?;
    same("the agent ended after a reboot", machine.settled()?, Ended::Well)?;
    is_up_again(&mut machine, uuid)?;
    // Without a network it is not this agent that fails.
    let network: &[&str] = if life.no_network { &["systemd-networkd-wait-online.service"] } else { &[] };
    machine.is_healthy_but_for(network)?;
    let ready = machine.time_to_ready()?;
    same("signals after a reboot", lab.statuses(), vec!["SUCCESS".to_owned()])?;
    machine.shut_down()?;
    Ok(ready)
}

fn volume_is_set_up(machine: &mut Machine) -> Result<()> {
    let mount = machine.sh("findmnt -no FSTYPE,LABEL,OPTIONS /data")?;
    contains(&mount, "xfs")?;
    contains(&mount, "docker")?;
    contains(&mount, "noatime")?;
    same("/data/public", machine.sh("stat -c '%u:%g %a' /data/public")?.as_str(), "1000:1000 755")?;
    same("Docker's folder", machine.sh("docker info -f '{{.DockerRootDir}}'")?.as_str(), "/data/docker")?;
    machine.sh("[[ -d /data/docker/overlay2 && $(stat -c %d /data/docker) == $(stat -c %d /data) ]]")?;
    Ok(())
}

fn configuration_is_in_place(machine: &mut Machine) -> Result<()> {
    let config = machine.sh("cat /etc/ecs/ecs.config")?;
    for line in ["ECS_CLUSTER=production", "ECS_INSTANCE_ATTRIBUTES={\"stack\":\"blue\"}"] {
        ensure!(config.lines().any(|found| found == line), "no `{line}` in {config}");
    }
    same("live-restore", machine.sh("docker info -f '{{.LiveRestoreEnabled}}'")?.as_str(), "true")?;
    machine.sh("systemctl is-active amazon-cloudwatch-agent")?;
    let logs = "/opt/aws/amazon-cloudwatch-agent/etc/amazon-cloudwatch-agent.d/ecs-firstrun.json";
    contains(&machine.sh(&format!("cat {logs}"))?, "web/ec2/Instances/var/log/app.log")?;
    // The agent's own log is among those that are shipped, so it must be written.
    contains(&machine.sh("cat /var/log/ecs-firstrun.log")?, "registered as arn:aws:ecs:eu-central-1")
}

/// cloud-init has nothing to say of a document of ours: from 23.4 on a warning would make it "degraded", exit code 2.
fn leaves_cloud_init_clean(machine: &mut Machine) -> Result<()> {
    let status = machine.sh("cloud-init status --wait --long")?;
    contains(&status, "status: done")?;
    ensure!(!status.contains("degraded"), "{status}");
    same(
        "warnings",
        machine.sh("grep -E 'WARNING.*(Unhandled|firstrun)' /var/log/cloud-init.log || true")?.as_str(),
        "",
    )
}

fn says_how_it_went(machine: &mut Machine) -> Result<()> {
    let status = machine.sh("systemctl status --no-pager ecs-firstrun")?;
    contains(&status, "active (exited)")?;
    contains(&status, "Status: \"SUCCESS; signal SUCCESS for Instances")?;
    same("the outcome", machine.report()?.get("outcome"), Some(&Value::from("success")))?;
    let told = machine.sh("ecs-firstrun status")?;
    for word in ["storage", "docker", "ecs", "wait", "signal"] {
        contains(&told, word)?;
    }
    contains(&machine.console(), "SUCCESS")
}

fn is_up_again(machine: &mut Machine, uuid: &str) -> Result<()> {
    volume_is_set_up(machine)?;
    same("the filesystem's UUID", machine.sh("findmnt -no UUID /data")?.as_str(), uuid)?;
    same("the file on the volume", machine.sh("cat /data/public/kept")?.as_str(), "kept")?;
    machine.sh("docker volume inspect kept")?;
    // ECS may come later than the agent's end: only the first run waits for it.
    machine.until("systemctl is-active ecs", PATIENCE)?;
    machine.until("bash -c '</dev/tcp/127.0.0.1/51678'", PATIENCE)?;
    machine.is_member_of("production")
}
