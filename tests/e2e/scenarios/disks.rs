//! Disks that are not what they were: blank instance store, a volume that is gone, one that has grown.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::checks::{Ended, PATIENCE, contains, same};
use crate::lab::{Lab, Life, Stage};
use crate::machine::Machine;

const INSTANCE_STORE: &str = "#ecs-firstrun
signal: {stack: web, resource: Instances}
storage: [{device: instance_store, filesystem: xfs, label: scratch, mount: /scratch}]
docker: {data_root: /scratch/docker}
logs: {agent: none}
ecs: {cluster: production}
";

const VOLUME: &str = "#ecs-firstrun
signal: {stack: web, resource: Instances}
storage: [{device: /dev/xvdcy, filesystem: xfs, label: docker, mount: /data}]
docker: {data_root: /data/docker}
logs: {agent: none}
ecs: {cluster: production}
";

/// Two disks make one array; a reboot finds it again, a stop and start brings other disks, on which it is made anew.
pub fn instance_store(stage: &Stage) -> Result<()> {
    let lab = Lab::new(stage, INSTANCE_STORE)?;
    let blank = |names: [&str; 2]| -> Result<Vec<PathBuf>> {
        names.iter().map(|name| lab.blank_disk(&format!("{name}.img"), 512)).collect()
    };
    let disks = blank(["first", "second"])?;
    let mut machine = lab.boot(&Life { instance_store: &disks, ..Life::default() })?;
    same("the agent ended", machine.settled()?, Ended::Well)?;
    let uuid = is_striped(&mut machine)?;
    machine.is_member_of("production")?;
    machine.is_healthy_but_for(&[])?;
    machine.sh("echo kept > /scratch/kept")?;
    machine.shut_down()?;

    let mut machine = lab.boot(&Life { instance_store: &disks, ..Life::default() })?;
    same("the agent ended after a reboot", machine.settled()?, Ended::Well)?;
    same("the filesystem after a reboot", is_striped(&mut machine)?, uuid.clone())?;
    same("the file after a reboot", machine.sh("cat /scratch/kept")?.as_str(), "kept")?;
    machine.shut_down()?;

    let others = blank(["third", "fourth"])?;
    let mut machine = lab.boot(&Life { instance_store: &others, ..Life::default() })?;
    same("the agent ended after stop and start", machine.settled()?, Ended::Well)?;
    ensure!(is_striped(&mut machine)? != uuid, "the filesystem is that of the disks before");
    machine.until("bash -c '</dev/tcp/127.0.0.1/51678'", PATIENCE)?;
    machine.is_member_of("production")?;
    machine.is_healthy_but_for(&[])?;
    same("signals", lab.statuses(), vec!["SUCCESS".to_owned()])
}

/// Docker's folder lies on an array over both disks; the filesystem's UUID.
fn is_striped(machine: &mut Machine) -> Result<String> {
    let array = machine.sh("basename $(realpath $(findmnt -no SOURCE /scratch))")?;
    same("the array", machine.sh(&format!("cat /sys/block/{array}/md/level"))?.as_str(), "raid0")?;
    same("its disks", machine.sh(&format!("cat /sys/block/{array}/md/raid_disks"))?.as_str(), "2")?;
    same("Docker's folder", machine.sh("docker info -f '{{.DockerRootDir}}'")?.as_str(), "/scratch/docker")?;
    machine.sh("findmnt -no UUID /scratch")
}

/// A volume is made larger, as in EC2's console, and the filesystem follows at the next boot. Then it is not there any
/// more: the machine boots all the same, and Docker stays away.
pub fn volume_grown_and_gone(stage: &Stage) -> Result<()> {
    let lab = Lab::new(stage, VOLUME)?;
    let disk = lab.blank_disk("xvdcy.img", 512)?;
    let volumes: &[(&str, &Path)] = &[("xvdcy", &disk)];
    let size = |machine: &mut Machine| -> Result<u64> { Ok(machine.sh("findmnt -bno SIZE /data")?.trim().parse()?) };
    let mut machine = lab.boot(&Life { volumes, ..Life::default() })?;
    same("the agent ended", machine.settled()?, Ended::Well)?;
    let small = size(&mut machine)?;
    machine.sh("echo kept > /data/kept")?;
    machine.shut_down()?;

    std::fs::OpenOptions::new().write(true).open(&disk)?.set_len(1 << 30)?;
    let mut machine = lab.boot(&Life { volumes, ..Life::default() })?;
    same("the agent ended with a larger volume", machine.settled()?, Ended::Well)?;
    let large = size(&mut machine)?;
    ensure!(large > small + (400 << 20), "the filesystem had {small} bytes and has {large}");
    same("the file", machine.sh("cat /data/kept")?.as_str(), "kept")?;
    stage.remark.set(format!("from {} to {} MiB", small >> 20, large >> 20));
    machine.shut_down()?;

    let mut machine = lab.boot(&Life::default())?;
    same("the agent ended without the disk", machine.settled()?, Ended::Failed(1))?;
    stays_away(&mut machine)?;
    same("signals", lab.statuses(), vec!["SUCCESS".to_owned()])
}

fn stays_away(machine: &mut Machine) -> Result<()> {
    for (target, state) in [("emergency.target", "inactive"), ("multi-user.target", "active")] {
        same(target, machine.property(target, "ActiveState")?.as_str(), state)?;
    }
    machine.started_nothing()?;
    machine.is_healthy_but_for(&["ecs-firstrun.service"])?;
    // Not even by hand, on the bare directory under the mount.
    let (status, _) = machine.run("timeout 100 systemctl start docker", Duration::from_secs(120))?;
    ensure!(status != 0, "Docker starts on the bare directory");
    machine.sh("! test -e /data/docker")?;
    contains(&machine.console(), "/dev/xvdcy was not attached")
}
