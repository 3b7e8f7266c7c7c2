//! The volumes: found, formatted when blank, mounted by their labels.
//!
//! A mount is a unit of its own, without an entry in `fstab`. This agent starts the unit on every boot, after it has looked
//! at the filesystem, and Docker pulls the unit in. So a missing disk fails this agent, not the boot, and an instance store
//! that came back blank is formatted before it is mounted.

use std::time::Duration;

use super::action::{Action, Condition, VolumeUser, Wait};
use super::planned::{Planned, open_file, planned};
use super::systemd::{self, mount_unit};
use super::{containerd, daemon_json, docker, selinux};
use crate::config::types::{Device, Mode};
use crate::config::{Config, Volume};
use crate::instance::Instance;
use crate::well_known::{UNITS, WRITTEN_BY_US};

/// Time allowed for a volume to be attached; EC2 attaches volumes while the instance boots, mostly within seconds.
const ATTACHMENT: Duration = Duration::from_secs(120);

/// Plans the volumes. All unit files come first, because systemd takes longer to read its units again than to mount.
pub fn actions(config: &Config, instance: &Instance) -> Vec<Planned> {
    let units = config.storage.iter().map(unit).chain(containerd::units(config, instance));
    let mut actions: Vec<_> = units.chain(docker::mounts(config, instance)).collect();
    if !config.storage.is_empty() {
        actions.push(planned(Action::ReloadUnits, "a unit file may have changed"));
    }
    // Directories on a volume may lie in the data root.
    actions.extend(selinux::substitute(config, instance));
    let data_root = daemon_json::data_root(config, &instance.image.daemon_json);
    actions.extend(config.storage.iter().flat_map(|entry| {
        let is_of_docker = config.is_of_docker(entry, &data_root);
        let user = if is_of_docker { VolumeUser::Docker } else { VolumeUser::Others };
        volume(entry, user, instance, containerd::before_volume(entry, config, instance))
    }));
    actions.extend(selinux::label(config, instance));
    // containerd's directory is made in the data root, which gets its label while it is empty.
    actions.extend(containerd::mounted(config, instance));
    actions
}

fn unit(volume: &Volume) -> Planned {
    let unit = mount_unit(volume.mount.as_str());
    let file = open_file(format!("{UNITS}/{unit}"), unit_text(volume, &volume.label()), vec![unit]);
    let why = format!("{} is mounted by label, whatever the kernel calls the disk", volume.mount);
    planned(file, why)
}

fn volume(volume: &Volume, user: VolumeUser, instance: &Instance, before: Option<Planned>) -> Vec<Planned> {
    let (device, label, unit) = (&volume.device, volume.label(), mount_unit(volume.mount.as_str()));
    let present = Wait { condition: Condition::DevicePresent { device: device.clone() }, timeout: ATTACHMENT };
    let filesystem =
        Action::EnsureFilesystem { device: device.clone(), filesystem: volume.filesystem, label: label.clone(), user };
    let is_labelled = selinux::is_labelled(volume, instance);
    let mut actions = vec![
        planned(Action::WaitFor(present), "a volume may be attached after the boot began"),
        planned(filesystem, "a filesystem of this type and label is kept; anything else on the device is refused"),
        planned(
            Action::EnsureMountPoint { path: volume.mount.to_string(), label: instance.image.selinux.is_some() },
            "the mount hides files that are already in the directory; a warning is then logged",
        ),
    ];
    actions.extend(before);
    actions.push(planned(
        Action::Mount { unit, device: device.clone(), label, mount: volume.mount.to_string() },
        format!("{} must be mounted before Docker starts", volume.mount),
    ));
    actions.extend(is_labelled.then(|| selinux::root(volume)));
    actions.extend(growth(volume));
    actions.extend(volume.directories.iter().map(|directory| {
        let action = Action::EnsureDirectory {
            path: format!("{}/{}", volume.mount, directory.path),
            owner: directory.owner.as_ref().map_or((0, 0), |owner| owner.ids()),
            mode: directory.mode.unwrap_or(Mode(0o755)),
            label: is_labelled,
        };
        planned(action, "listed in `storage[].directories`")
    }));
    actions
}

/// Plans the growth of an EBS volume's filesystem, since no other volume can be enlarged.
fn growth(volume: &Volume) -> Option<Planned> {
    let (device, filesystem, mount) = (volume.device.clone(), volume.filesystem, volume.mount.to_string());
    let action = Action::EnsureFilesystemFillsDevice { device, filesystem, mount };
    (volume.device != Device::InstanceStore).then(|| planned(action, "an EBS volume may have been enlarged"))
}

fn unit_text(volume: &Volume, label: &str) -> String {
    let options: Vec<_> = volume.options.iter().map(|option| option.as_str()).collect();
    let options = if options.is_empty() { String::new() } else { format!("Options={}\n", options.join(",")) };
    format!(
        "{WRITTEN_BY_US}\n\
         [Unit]\n\
         Description=Volume of {device} ({label})\n\
         Before=docker.service\n\
         \n\
         [Mount]\n\
         What=/dev/disk/by-label/{label}\n\
         Where={place}\n\
         Type={filesystem}\n\
         {options}",
        device = volume.device.to_string().replace('%', "%%"),
        place = systemd::path(volume.mount.as_str()),
        filesystem = volume.filesystem.name(),
    )
}
