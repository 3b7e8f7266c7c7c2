//! SELinux with Debian's policy, which is permissive here: enforcing, it stops cloud-init's generator.

use std::cell::Cell;
use std::path::Path;

use anyhow::{Result, ensure};

use crate::checks::{Ended, PATIENCE, same};
use crate::image;
use crate::lab::{Lab, Life, Stage};
use crate::machine::Machine;

const USER_DATA: &str = "#ecs-firstrun
signal: {stack: web, resource: Instances}
storage:
  - {device: /dev/xvdcy, filesystem: xfs, label: docker, mount: /data, directories: [{path: in/new}]}
  - {device: /dev/xvdf, filesystem: ext4, label: more, mount: /more}
docker: {data_root: /data/docker}
logs: {agent: none}
ecs: {cluster: production}
";
const KERNEL: &[&str] = &["security=selinux", "enforcing=0", "audit=1"];
/// Paths that a run made, but for the data root, whose label is that of another path.
const MADE: [&str; 5] = ["/data", "/data/in", "/data/in/new", "/more", "/more/lost+found"];

/// Fresh filesystems have the labels of the policy, and the data root that of Docker's own; after a reboot too.
pub fn labels_of_fresh_filesystems(stage: &Stage) -> Result<()> {
    let image = image::build_variant("selinux")?;
    let labelled = Stage { image: &image, folder: stage.folder.clone(), remark: Cell::default() };
    let lab = Lab::new(&labelled, USER_DATA)?;
    let (first, second) = (lab.blank_disk("xvdcy.img", 512)?, lab.blank_disk("xvdf.img", 128)?);
    let volumes: &[(&str, &Path)] = &[("xvdcy", &first), ("xvdf", &second)];
    let life = Life { volumes, kernel: KERNEL, ..Life::default() };

    let mut machine = lab.boot(&life)?;
    same("the agent ended", machine.settled()?, Ended::Well)?;
    labels_are_right(&mut machine)?;
    machine.is_member_of("production")?;
    same("signals", lab.statuses(), vec!["SUCCESS".to_owned()])?;
    stage.remark.set(machine.sh("stat -c %C /data/docker")?);
    machine.shut_down()?;

    let mut machine = lab.boot(&life)?;
    same("the agent ended after a reboot", machine.settled()?, Ended::Well)?;
    labels_are_right(&mut machine)
}

fn labels_are_right(machine: &mut Machine) -> Result<()> {
    machine.sh("[[ -e /sys/fs/selinux/enforce ]]")?;
    let paths = MADE.join(" ");
    let unlabelled = machine.sh(&format!("stat -c '%n %C' {paths} /data/docker | grep unlabeled_t || true"))?;
    same("without a label", unlabelled.as_str(), "")?;
    let wrong = machine.sh(&format!("restorecon -nv {paths} /data/docker"))?;
    same("what restorecon(8) would change", wrong.as_str(), "")?;
    let wanted = machine.sh("matchpathcon -n /var/lib/docker | cut -d: -f3")?;
    let found = machine.sh("stat -c %C /data/docker | cut -d: -f3")?;
    same("the label of the data root", &found, &wanted)?;
    // Docker's folder has content by now.
    machine.sh("[[ -d /data/docker/overlay2 ]]")?;
    let report = machine.report()?;
    ensure!(report.get("warnings").is_none(), "the report warns: {report}");
    // Other checks have no cloud to ask.
    let said = machine.run("ecs-firstrun doctor --json", PATIENCE)?.1;
    ensure!(said.contains("have the labels of the policy `default`"), "doctor says {said}");
    let denied = "journalctl -b --no-pager | grep 'avc:  denied' | grep 'comm=\"ecs-firstrun\"' \
        | grep -v nnp_transition || true";
    same("what was denied", machine.sh(denied)?.as_str(), "")
}
