//! Boots that must fail, and say why.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use ecs_firstrun::rehearse::cloud::Server;
use serde_json::Value;

use crate::checks::{Ended, PATIENCE, contains, same};
use crate::lab::{Lab, Life, Stage};
use crate::machine::Machine;

const WITH_VOLUME: &str = "#ecs-firstrun
signal: {stack: web, resource: Instances}
storage: [{device: /dev/xvdcy, filesystem: xfs, label: docker, mount: /data}]
docker: {data_root: /data/docker}
logs: {agent: none}
ecs: {cluster: production}
";

const WITHOUT_VOLUME: &str = "#ecs-firstrun
signal: {stack: web, resource: Instances}
logs: {agent: none}
ecs: {cluster: production}
wait: {timeout: 45s}
";

/// The agent failed, told CloudFormation once, and says this on the console, in its status and in its report.
pub fn failed_saying(lab: &Lab, machine: &mut Machine, reason: &str) -> Result<()> {
    same("the agent ended", machine.settled()?, Ended::Failed(1))?;
    same("signalled", lab.only_signal()?.status.as_str(), "FAILURE")?;
    let report = machine.report()?;
    same("the outcome", report.get("outcome"), Some(&Value::from("failure")))?;
    contains(report.get("reason").and_then(Value::as_str).context("no reason in the report")?, reason)?;
    contains(&machine.run("systemctl status --no-pager --full --lines=0 ecs-firstrun", PATIENCE)?.1, "FAILURE")?;
    let console = machine.console();
    let line = console.lines().find(|line| line.contains("FAILURE: ")).context("no FAILURE on the console")?;
    contains(line, reason)
}

pub fn disk_missing(stage: &Stage) -> Result<()> {
    let lab = Lab::new(stage, WITH_VOLUME)?;
    let mut machine = lab.boot(&Life::default())?;
    failed_saying(&lab, &mut machine, "/dev/xvdcy was not attached")?;
    machine.is_healthy_but_for(&["ecs-firstrun.service"])?;
    machine.started_nothing()
}

/// ext4 with a file in it, where xfs was asked for.
pub fn disk_with_foreign_data(stage: &Stage) -> Result<()> {
    let lab = Lab::new(stage, WITH_VOLUME)?;
    let disk = lab.blank_disk("xvdcy.img", 256)?;
    let made = std::process::Command::new("mke2fs")
        .args(["-q", "-t", "ext4", "-L", "precious", "-d"])
        .args([&crate::image::repository("examples"), &disk])
        .status()?;
    ensure!(made.success(), "mke2fs ended with {made}");
    let before = std::fs::read(&disk)?;
    let mut machine = lab.boot(&Life { volumes: &[("xvdcy", &disk)], ..Life::default() })?;
    failed_saying(&lab, &mut machine, "it holds ext4 with the label `precious`")?;
    machine.is_healthy_but_for(&["ecs-firstrun.service"])?;
    machine.started_nothing()?;
    machine.shut_down()?;
    ensure!(std::fs::read(&disk)? == before, "the disk is not as it was");
    Ok(())
}

/// The agent gives up for good: that is told at once, not when the time is over.
pub fn agent_exits_for_good(stage: &Stage) -> Result<()> {
    let lab = Lab::new(stage, WITHOUT_VOLUME.replace("45s", "4m"))?;
    let mut machine = lab.boot(&Life { kernel: &["ecs-agent.exit=5"], ..Life::default() })?;
    failed_saying(&lab, &mut machine, "Cluster not found")?;
    machine.is_healthy_but_for(&["ecs-firstrun.service", "ecs.service"])?;
    let at =
        |unit: &str, name: &str, machine: &mut Machine| -> Result<u64> { Ok(machine.property(unit, name)?.parse()?) };
    let gave_up = at("ecs", "InactiveEnterTimestampMonotonic", &mut machine)?;
    let told = at("ecs-firstrun", "InactiveEnterTimestampMonotonic", &mut machine)?;
    let seconds = told.saturating_sub(gave_up) / 1_000_000;
    ensure!(seconds < 20, "{seconds} s from the ECS agent's end to that of ours");
    stage.remark.set(format!("FAILURE {seconds} s after the ECS agent gave up"));
    Ok(())
}

pub fn agent_never_registers(stage: &Stage) -> Result<()> {
    let lab = Lab::new(stage, WITHOUT_VOLUME)?;
    let mut machine = lab.boot(&Life { kernel: &["ecs-agent.never"], ..Life::default() })?;
    failed_saying(&lab, &mut machine, "not registered with `production`")?;
    machine.is_healthy_but_for(&["ecs-firstrun.service"])?;
    // It took its own time, not that of the stack, which would roll back without a reason.
    let signal = lab.only_signal()?;
    let asked = lab.requests(Server::Imds).first().context("nobody asked the metadata service")?.at;
    ensure!(signal.at - asked < Duration::from_secs(900), "the stack's own time was over before the signal");
    Ok(())
}
