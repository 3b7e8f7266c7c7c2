//! Both image stores of Docker: no image takes room on the root disk.

use std::cell::Cell;
use std::path::Path;

use anyhow::{Result, ensure};

use crate::checks::{Ended, PATIENCE, contains, same};
use crate::image;
use crate::lab::{Lab, Life, Stage};
use crate::machine::Machine;

const MOUNT: &str = "var-lib-containerd.mount";
/// Docker 26 on Debian 13 keeps images in containerd if it is asked to, and containerd is enabled there.
const ASKED_FOR: &str = "daemon: {features: {containerd-snapshotter: true}}";
const VOLUME: &str = "{device: /dev/xvdcy, filesystem: xfs, label: docker, mount: /data}";

fn user_data(volume: &str, daemon: &str) -> String {
    format!(
        "#ecs-firstrun\nsignal: {{stack: web, resource: Instances}}\nstorage: [{volume}]\n\
         docker: {{data_root: /data/docker, {daemon}}}\nlogs: {{agent: none}}\necs: {{cluster: production}}\n"
    )
}

/// Plays with the Docker of Debian 13.
fn on_trixie(stage: &Stage, play: impl FnOnce(&Stage) -> Result<()>) -> Result<()> {
    let image = image::build_variant("trixie")?;
    let of_trixie = Stage { image: &image, folder: stage.folder.clone(), remark: Cell::default() };
    let played = play(&of_trixie);
    stage.remark.set(of_trixie.remark.take());
    played
}

/// The images outlive a reboot, containerd never starts on the bare directory, and a volume that is gone keeps it from starting.
pub fn in_containerd(stage: &Stage) -> Result<()> {
    on_trixie(stage, |stage| {
        let lab = Lab::new(stage, user_data(VOLUME, ASKED_FOR))?;
        let disk = lab.blank_disk("xvdcy.img", 1024)?;
        let volumes: &[(&str, &Path)] = &[("xvdcy", &disk)];
        let mut machine = lab.boot(&Life { volumes, ..Life::default() })?;
        is_up(&mut machine)?;
        stage.remark.set(format!("the root disk has grown by {} bytes", loads_an_image(&mut machine)?));
        machine.shut_down()?;

        let mut machine = lab.boot(&Life { volumes, ..Life::default() })?;
        is_up(&mut machine)?;
        has_the_image(&mut machine)?;
        machine.sh(
            "systemctl stop docker.socket docker.service containerd.service && systemctl stop var-lib-containerd.mount",
        )?;
        let (status, said) = machine.run("systemctl start containerd.service", PATIENCE)?;
        ensure!(status != 0, "containerd starts on the bare directory: {said}");
        machine.sh("systemctl start docker.service")?;
        has_the_image(&mut machine)?;
        machine.shut_down()?;

        let mut machine = lab.boot(&Life::default())?;
        same("the agent ended without the disk", machine.settled()?, Ended::Failed(1))?;
        machine.started_nothing()?;
        same("containerd", machine.property("containerd.service", "ActiveState")?.as_str(), "inactive")?;
        machine.is_healthy_but_for(&["ecs-firstrun.service"])?;
        machine.sh("test -z \"$(ls -A /var/lib/containerd)\"")?;
        same("signals", lab.statuses(), vec!["SUCCESS".to_owned()])
    })
}

/// Nothing waits for a disk that comes back blank, and the mount is made on it anew.
pub fn in_containerd_on_an_instance_store(stage: &Stage) -> Result<()> {
    on_trixie(stage, |stage| {
        let volume = "{device: instance_store, filesystem: ext4, label: scratch, mount: /data}";
        let lab = Lab::new(stage, user_data(volume, ASKED_FOR))?;
        for name in ["first.img", "second.img"] {
            let disks = [lab.blank_disk(name, 1024)?];
            let mut machine = lab.boot(&Life { instance_store: &disks, ..Life::default() })?;
            is_up(&mut machine)?;
            let (found, lines) =
                machine.run("journalctl -b --no-pager | grep -i 'timed out waiting for device'", PATIENCE)?;
            ensure!(found == 1, "the boot has waited in vain: {lines}");
            same("images", machine.sh("docker images -q | wc -l")?.as_str(), "0")?;
            machine.sh("tar -C /etc -c hostname | docker import - small:1")?;
            machine.shut_down()?;
        }
        Ok(())
    })
}

/// Docker 20.10 keeps all of an image below its data root, and containerd is left where it is.
pub fn below_the_data_root(stage: &Stage) -> Result<()> {
    let lab = Lab::new(stage, user_data(VOLUME, "daemon: {}"))?;
    let disk = lab.blank_disk("xvdcy.img", 1024)?;
    let mut machine = lab.boot(&Life { volumes: &[("xvdcy", &disk)], ..Life::default() })?;
    same("the agent ended", machine.settled()?, Ended::Well)?;
    machine.is_healthy_but_for(&[])?;
    stage.remark.set(format!("the root disk has grown by {} bytes", loads_an_image(&mut machine)?));
    has_the_image(&mut machine)?;
    machine.sh("! systemctl cat var-lib-containerd.mount && systemctl is-active containerd.service")?;
    Ok(())
}

/// The host is configured, and containerd started on the volume, after that.
fn is_up(machine: &mut Machine) -> Result<()> {
    same("the agent ended", machine.settled()?, Ended::Well)?;
    machine.until("bash -c '</dev/tcp/127.0.0.1/51678'", PATIENCE)?;
    machine.is_member_of("production")?;
    machine.is_healthy_but_for(&[])?;
    let source = machine.sh("findmnt -no SOURCE /var/lib/containerd")?;
    contains(&source, "[/docker/ecs-firstrun-containerd]")?;
    contains(&machine.sh("docker info -f '{{.DriverStatus}}'")?, "io.containerd.snapshotter.v1")?;
    let mounted: u64 = machine.property(MOUNT, "ActiveEnterTimestampMonotonic")?.parse()?;
    let started: u64 = machine.property("containerd.service", "InactiveExitTimestampMonotonic")?.parse()?;
    ensure!(mounted < started, "containerd was started at {started}, before {mounted}, when its directory was mounted");
    contains(&machine.sh("ecs-firstrun doctor || true")?, "disk")
}

/// Loads an image of 200 MB; by how many bytes the root disk has grown, without its logs.
fn loads_an_image(machine: &mut Machine) -> Result<i64> {
    let used = |machine: &mut Machine| -> Result<i64> {
        let (_, said) = machine.run("sync; du -xsB1 --exclude=/var/log / 2>/dev/null | cut -f1", PATIENCE)?;
        Ok(said.trim().parse()?)
    };
    let before = used(machine)?;
    let tar = "import sys, tarfile; info = tarfile.TarInfo('random'); info.size = 200 << 20; \
        tarfile.open(fileobj=sys.stdout.buffer, mode='w|').addfile(info, open('/dev/urandom', 'rb'))";
    let (status, said) = machine.run(&format!("python3 -c \"{tar}\" | docker import - big:1"), PATIENCE)?;
    ensure!(status == 0, "docker import ended with {status}: {said}");
    let grown = used(machine)? - before;
    ensure!(grown < 1 << 20, "the root disk has grown by {grown} bytes");
    Ok(grown)
}

fn has_the_image(machine: &mut Machine) -> Result<()> {
    same("the image", machine.sh("docker images -q big:1 | wc -l")?.as_str(), "1")
}
