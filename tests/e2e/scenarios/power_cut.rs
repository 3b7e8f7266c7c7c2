//! The power cut in the middle: the next boot converges, and CloudFormation is told one thing, once.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::checks::{Ended, contains, same};
use crate::lab::{Lab, Life, Stage};

const PATIENCE: Duration = Duration::from_secs(300);
const USER_DATA: &str = "#ecs-firstrun
signal: {stack: web, resource: Instances}
storage: [{device: /dev/xvdcy, filesystem: xfs, label: docker, mount: /data, directories: [{path: public}]}]
docker: {data_root: /data/docker, daemon: {live-restore: true}}
logs: {agent: none}
ecs: {cluster: production}
";

/// The boot after the cut is as a first boot.
fn converges(lab: &Lab, disk: &Path) -> Result<()> {
    ensure!(lab.statuses().is_empty(), "CloudFormation was told before the power was cut");
    let mut machine = lab.boot(&Life { volumes: &[("xvdcy", disk)], ..Life::default() })?;
    same("the agent ended", machine.settled(PATIENCE)?, Ended::Well)?;
    machine.is_member_of("production")?;
    machine.is_healthy_but_for(&[])?;
    same("Docker's folder", machine.sh("docker info -f '{{.DockerRootDir}}'")?.as_str(), "/data/docker")?;
    same("/data", machine.sh("findmnt -no FSTYPE,LABEL /data | tr -s ' '")?.as_str(), "xfs docker")?;
    contains(&machine.sh("cat /etc/ecs/ecs.config")?, "ECS_CLUSTER=production")?;
    same("live-restore", machine.sh("docker info -f '{{.LiveRestoreEnabled}}'")?.as_str(), "true")?;
    let halves = machine.sh("find /etc /var/lib/ecs-firstrun -xdev -newer /etc/os-release -name '.tmp*'")?;
    ensure!(halves.is_empty(), "files that were never finished: {halves}");
    same("signalled", lab.only_signal()?.status.as_str(), "SUCCESS")
}

/// Few writes a second, so that making the filesystem takes long enough to be met in the middle.
pub fn during_mkfs(stage: &Stage) -> Result<()> {
    let lab = Lab::new(stage, USER_DATA)?;
    let disk = lab.blank_disk("xvdcy.img", 1024)?;
    let slow = Life { volumes: &[("xvdcy", &disk)], volume_settings: ",throttling.iops-write=2", ..Life::default() };
    let machine = lab.boot(&slow)?;
    let began = Instant::now();
    while std::fs::metadata(&disk)?.blocks() == 0 {
        ensure!(began.elapsed() < PATIENCE, "nothing was written to the volume");
        std::thread::sleep(Duration::from_millis(20));
    }
    std::thread::sleep(Duration::from_millis(700));
    ensure!(!machine.console().contains("storage: done"), "the filesystem was made before the power was cut");
    machine.cut_power()?;
    converges(&lab, &disk)
}

pub fn during_file_writes(stage: &Stage) -> Result<()> {
    let lab = Lab::new(stage, USER_DATA)?;
    let disk = lab.blank_disk("xvdcy.img", 1024)?;
    let mut machine = lab.boot(&Life { volumes: &[("xvdcy", &disk)], ..Life::default() })?;
    machine.until_console_shows("docker: started", PATIENCE)?;
    machine.cut_power()?;
    converges(&lab, &disk)
}

pub fn while_waiting(stage: &Stage) -> Result<()> {
    let lab = Lab::new(stage, USER_DATA)?;
    let disk = lab.blank_disk("xvdcy.img", 1024)?;
    let life = Life { volumes: &[("xvdcy", &disk)], kernel: &["ecs-agent.never"], ..Life::default() };
    let mut machine = lab.boot(&life)?;
    machine.until("systemctl is-active ecs", PATIENCE)?;
    machine.cut_power()?;
    converges(&lab, &disk)
}
