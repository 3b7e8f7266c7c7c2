//! The record that a filesystem is being made. The record is kept from before the first write to a blank disk until the
//! whole filesystem is on the disk.
//!
//! The record allows a later run to format again what an interrupted mkfs(8) left, so the record must not fit any other
//! disk. EBS volumes and instance-store disks have unique serial numbers. A disk without a serial number is identified by
//! the number of its attachment, which the kernel counts up and begins anew at each boot. Such a disk is recovered only if
//! it has been attached ever since.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use super::super::Host;
use super::data::size_of;
use super::names::kernel_name;
use crate::config::Filesystem;

/// The filesystem that is being made, and its disks.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Making {
    /// The instance id, if it is known without the network.
    instance: Option<String>,
    filesystem: String,
    pub(super) label: String,
    disks: Vec<DiskIdentity>,
}

/// The identity of a disk.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct DiskIdentity {
    /// The serial number, else the number of the attachment; none if neither is known.
    id: Option<String>,
    size: u64,
}

impl Host {
    pub(super) fn making(&self, disks: &[PathBuf], wanted: Filesystem, label: &str) -> Result<Making> {
        let disk = |node: &PathBuf| Ok(DiskIdentity { id: self.id_of(node), size: size_of(node)? });
        Ok(Making {
            instance: self.local_instance_id(),
            filesystem: wanted.name().to_owned(),
            label: label.to_owned(),
            disks: disks.iter().map(disk).collect::<Result<_>>()?,
        })
    }

    fn id_of(&self, node: &Path) -> Option<String> {
        let folder = format!("/sys/class/block/{}", kernel_name(node));
        let attribute = |name: &str| self.value_in(&format!("{folder}/{name}")).filter(|text| !text.is_empty());
        let serial = ["wwid", "device/wwid", "serial", "device/serial"].into_iter().find_map(attribute);
        let attachment = || {
            let boot = self.value_in("/proc/sys/kernel/random/boot_id")?;
            Some(format!("attachment {} of boot {boot}", attribute("diskseq")?))
        };
        serial.or_else(attachment)
    }

    fn making_path(&self, label: &str) -> String {
        self.state_path(&format!("making/{label}"))
    }

    /// Tells whether an earlier run began to make exactly this on exactly these disks, and did not finish.
    pub(super) fn was_interrupted(&self, making: &Making) -> Result<bool> {
        let Some(text) = self.read(&self.making_path(&making.label))? else { return Ok(false) };
        let is_certain = making.disks.iter().all(|disk| disk.id.is_some());
        Ok(is_certain && serde_json::from_str::<Making>(&text).is_ok_and(|begun| begun == *making))
    }

    pub(super) fn begin_making(&self, making: &Making) -> Result<()> {
        let text = serde_json::to_string_pretty(making).context("render the record of what is being made")?;
        self.write(&self.making_path(&making.label), text.as_bytes(), 0o600).map(drop)
    }

    pub(super) fn end_making(&self, label: &str) -> Result<()> {
        self.remove(&self.making_path(label)).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::scratch;

    const SIZE: usize = 8192;

    fn host() -> (tempfile::TempDir, Host, PathBuf) {
        let (root, host) = scratch();
        host.write("/dev/nvme1n1", &[0; SIZE], 0o600).unwrap();
        let node = host.at("/dev/nvme1n1");
        (root, host, node)
    }

    /// Tells whether a record that was begun on a host with these files still fits after the change.
    fn survives(files: &[(&str, &str)], change: impl FnOnce(&Host)) -> bool {
        let (_root, host, node) = host();
        files.iter().for_each(|(path, text)| write(&host, path, text.as_bytes()));
        let making = |host: &Host| host.making(std::slice::from_ref(&node), Filesystem::Xfs, "docker").unwrap();
        host.begin_making(&making(&host)).unwrap();
        change(&host);
        host.was_interrupted(&making(&host)).unwrap()
    }

    fn put(path: &'static str, text: &'static str) -> impl FnOnce(&Host) {
        move |host| write(host, path, text.as_bytes())
    }

    fn write(host: &Host, path: &str, bytes: &[u8]) {
        host.write(path, bytes, 0o600).unwrap();
    }

    const SERIAL: (&str, &str) = ("/sys/class/block/nvme1n1/wwid", "nvme.1d0f-766f6c3031\n");
    const SEQUENCE: (&str, &str) = ("/sys/class/block/nvme1n1/diskseq", "7\n");
    const BOOT: (&str, &str) = ("/proc/sys/kernel/random/boot_id", "8c6f\n");

    #[test]
    fn the_record_fits_the_disk_that_it_was_written_for_and_no_other() {
        assert!(survives(&[SERIAL], |_| {}));
        assert!(survives(&[SERIAL, SEQUENCE, BOOT], put(BOOT.0, "another")), "a power cut ends a boot");
        assert!(!survives(&[SERIAL], put(SERIAL.0, "nvme.1d0f-766f6c3032\n")));
        assert!(!survives(&[SERIAL], |host| write(host, "/dev/nvme1n1", &[0; 2 * SIZE])));
        assert!(!survives(&[SERIAL], put("/sys/class/dmi/id/board_asset_tag", "i-another\n")));
    }

    #[test]
    fn a_disk_without_a_serial_number_is_known_by_its_attachment_alone() {
        assert!(survives(&[SEQUENCE, BOOT], |_| {}));
        assert!(!survives(&[SEQUENCE, BOOT], put(SEQUENCE.0, "8\n")));
        assert!(!survives(&[SEQUENCE, BOOT], put(BOOT.0, "another")));
        assert!(!survives(&[SEQUENCE], |_| {}));
        assert!(!survives(&[], |_| {}));
    }

    #[test]
    fn the_record_is_of_one_filesystem_and_label() {
        let (_root, host, node) = host();
        host.write(SERIAL.0, SERIAL.1.as_bytes(), 0o600).unwrap();
        host.begin_making(&host.making(std::slice::from_ref(&node), Filesystem::Xfs, "docker").unwrap()).unwrap();
        let fits = |filesystem, label| {
            host.was_interrupted(&host.making(std::slice::from_ref(&node), filesystem, label).unwrap()).unwrap()
        };
        assert!(fits(Filesystem::Xfs, "docker"));
        assert!(!fits(Filesystem::Ext4, "docker"));
        assert!(!fits(Filesystem::Xfs, "data"));
        host.end_making("docker").unwrap();
        assert!(!fits(Filesystem::Xfs, "docker"));
    }
}
