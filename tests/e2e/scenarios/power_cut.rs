//! The power cut in the middle, again and again: the next boot converges, and CloudFormation is told one thing, once.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::checks::{Ended, PATIENCE, contains, same};
use crate::lab::{Lab, Life, Stage};
use crate::machine::Machine;

const USER_DATA: &str = "#ecs-firstrun
signal: {stack: web, resource: Instances}
storage: [{device: /dev/xvdcy, filesystem: xfs, label: docker, mount: /data, directories: [{path: public}]}]
docker: {data_root: /data/docker, daemon: {live-restore: true}}
logs: {agent: none}
ecs: {cluster: production}
";

/// Cut while the filesystem is made, while files are written, and while the registration is waited for.
pub fn three_times(stage: &Stage) -> Result<()> {
    let lab = Lab::new(stage, USER_DATA)?;
    let disk = lab.blank_disk("xvdcy.img", 1024)?;
    let volumes: &[(&str, &Path)] = &[("xvdcy", &disk)];

    // Few writes a second, so that making the filesystem takes long enough to be met in the middle.
    let mut machine = lab.boot(&Life { volumes, volume_settings: ",throttling.iops-write=2", ..Life::default() })?;
    until_written_to(&disk)?;
    // cloud-init does not sync the configuration of the network, and makes it only once for an instance.
    machine.sh("sync -f /etc")?;
    ensure!(!machine.console().contains("storage: done"), "the filesystem was made before the power was cut");
    machine.cut_power()?;

    let mut machine = lab.boot(&Life { volumes, ..Life::default() })?;
    machine.until_console_shows("docker: started", PATIENCE)?;
    machine.cut_power()?;

    let mut machine = lab.boot(&Life { volumes, kernel: &["ecs-agent.never"], ..Life::default() })?;
    machine.until("systemctl is-active ecs", PATIENCE)?;
    machine.cut_power()?;
    ensure!(lab.statuses().is_empty(), "CloudFormation was told before anything was decided");

    let mut machine = lab.boot(&Life { volumes, ..Life::default() })?;
    converged(&mut machine)?;
    same("signalled", lab.only_signal()?.status.as_str(), "SUCCESS")
}

/// Waits until something, but not all, of a filesystem is on a disk.
fn until_written_to(disk: &Path) -> Result<()> {
    let began = Instant::now();
    while std::fs::metadata(disk)?.blocks() == 0 {
        ensure!(began.elapsed() < PATIENCE, "nothing was written to the volume");
        std::thread::sleep(Duration::from_millis(20));
    }
    std::thread::sleep(Duration::from_millis(700));
    Ok(())
}

/// All is as after a first boot that nothing disturbed.
fn converged(machine: &mut Machine) -> Result<()> {
    same("the agent ended", machine.settled()?, Ended::Well)?;
    machine.is_member_of("production")?;
    machine.is_healthy_but_for(&[])?;
    same("Docker's folder", machine.sh("docker info -f '{{.DockerRootDir}}'")?.as_str(), "/data/docker")?;
    same("/data", machine.sh("echo $(findmnt -no FSTYPE,LABEL /data)")?.as_str(), "xfs docker")?;
    contains(&machine.sh("cat /etc/ecs/ecs.config")?, "ECS_CLUSTER=production")?;
    same("live-restore", machine.sh("docker info -f '{{.LiveRestoreEnabled}}'")?.as_str(), "true")?;
    let halves = machine.sh("find /etc /var/lib/ecs-firstrun -xdev -name '.*.ecs-firstrun'")?;
    ensure!(halves.is_empty(), "files that were never finished: {halves}");
    Ok(())
}
