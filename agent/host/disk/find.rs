//! Finds devices: by the name in the block device mapping, or by the model of an instance store.

use std::fs;
use std::os::unix::fs::FileTypeExt as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};

use super::super::{Host, nvme};
use super::names::kernel_name;
use crate::config::types::{Device, spellings};

impl Host {
    /// Finds the disks of a device. Returns their nodes, as the kernel names them; empty while the device is not attached.
    pub(crate) fn find_device(&self, device: &Device) -> Result<Vec<PathBuf>> {
        let mut found = match device {
            Device::Named(path) => self.find_named(path.as_str())?.into_iter().collect(),
            Device::InstanceStore => self.instance_store(),
        };
        for node in &mut found {
            *node = fs::canonicalize(&*node).with_context(|| format!("find the disk of {device}"))?;
        }
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }

    /// Finds a disk by its name, the name's other spelling, or EBS's name for an NVMe disk. `sdf` is the other spelling of
    /// `xvdf`.
    fn find_named(&self, path: &str) -> Result<Option<PathBuf>> {
        let names = spellings(path);
        for name in &names {
            let node = self.at(name);
            if let Ok(found) = fs::metadata(&node) {
                // Under a scratch root an image file takes the place of the disk.
                let is_disk = found.file_type().is_block_device() || (found.is_file() && !self.is_this_machine());
                if !is_disk {
                    bail!("{name} is not a block device; name a disk, as in the block device mapping, as `device`");
                }
                return Ok(Some(node));
            }
        }
        let named = self.nvme_disks().into_iter().filter(|disk| disk.model == nvme::EBS).find(|disk| {
            let attached_as = disk.attached_as();
            attached_as.is_some_and(|name| names.contains(&format!("/dev/{name}")))
        });
        Ok(named.map(|disk| disk.node))
    }

    /// Finds all disks of the instance store. Empty while one of their controllers has not shown its disk: an array must not
    /// be made of only those disks that happen to appear first.
    fn instance_store(&self) -> Vec<PathBuf> {
        let disks = self.nvme_disks();
        let is_waited_for = |controller: &String| {
            let model = self.value_in(&format!("/sys/class/nvme/{controller}/model"));
            model.is_some_and(|model| model == nvme::INSTANCE_STORE)
                && !disks.iter().any(|disk| is_namespace_of(&kernel_name(&disk.node), controller))
        };
        if self.names("/sys/class/nvme").unwrap_or_default().iter().any(is_waited_for) {
            return Vec::new();
        }
        disks.into_iter().filter(|disk| disk.model == nvme::INSTANCE_STORE).map(|disk| disk.node).collect()
    }

    /// Lists the NVMe disks that the kernel knows.
    fn nvme_disks(&self) -> Vec<nvme::Disk> {
        let names = self.names("/sys/block").unwrap_or_default().into_iter().filter(|name| is_disk_name(name));
        let disk = |name: String| {
            let model = self.value_in(&format!("/sys/block/{name}/device/model"))?;
            Some(nvme::Disk { node: self.at(&format!("/dev/{name}")), model })
        };
        names.filter_map(disk).collect()
    }

    /// Names the disks that are there, and the remedy, for the error about a missing disk.
    pub(in crate::host) fn devices_in_words(&self, device: &Device) -> String {
        let is_real = |name: &String| !["loop", "ram", "zram"].iter().any(|kind| name.starts_with(kind));
        let nvme = self.nvme_disks();
        let words = |name: String| {
            let disk = nvme.iter().find(|disk| kernel_name(&disk.node) == name);
            let attached_as = disk.and_then(nvme::Disk::attached_as).or_else(|| self.linked_as(&name));
            match disk {
                Some(disk) if disk.model == nvme::INSTANCE_STORE => format!("/dev/{name} (instance store)"),
                _ => match attached_as {
                    Some(attached_as) => format!("/dev/{name} (attached as /dev/{attached_as})"),
                    None => format!("/dev/{name}"),
                },
            }
        };
        let names: Vec<_> =
            self.names("/sys/block").unwrap_or_default().into_iter().filter(is_real).map(words).collect();
        let remedy = match device {
            Device::Named(_) => "attach the volume, or name another one as `device`",
            Device::InstanceStore => "choose an instance type that has an instance store, or name a volume as `device`",
        };
        match names.as_slice() {
            [] => format!("no disk is there; {remedy}"),
            names => format!("the disks are {}; {remedy}", names.join(", ")),
        }
    }

    /// Finds udev's link to a disk: its name in the block device mapping, by the rules of amazon-ec2-utils.
    fn linked_as(&self, disk: &str) -> Option<String> {
        let is_mapped = |name: &String| name.starts_with("sd") || name.starts_with("xvd");
        let leads_there = |name: &String| {
            let target = fs::read_link(self.at(&format!("/dev/{name}")));
            target.is_ok_and(|target| target.file_name().is_some_and(|name| name == disk))
        };
        self.names("/dev").unwrap_or_default().into_iter().filter(is_mapped).find(leads_there)
    }
}

/// Tells whether this is the name of an NVMe disk, such as `nvme0n1`. `nvme0c0n1` is one of several paths to a disk, and has
/// no node.
fn is_disk_name(name: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let numbers = name.strip_prefix("nvme").and_then(|rest| rest.split_once('n'));
    numbers.is_some_and(|(controller, namespace)| digits(controller) && digits(namespace))
}

/// Tells whether a disk such as `nvme0n1` belongs to a controller such as `nvme0`.
fn is_namespace_of(disk: &str, controller: &str) -> bool {
    disk.strip_prefix(controller).is_some_and(|rest| rest.starts_with('n'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::types::AbsolutePath;
    use crate::host::scratch;

    fn host(files: &[(&str, &str)]) -> (tempfile::TempDir, Host) {
        let (root, host) = scratch();
        for (path, text) in files {
            host.write(path, text.as_bytes(), 0o644).unwrap();
        }
        (root, host)
    }

    fn found(host: &Host, device: &Device) -> Vec<String> {
        let found = host.find_device(device).unwrap();
        found.iter().map(|node| node.file_name().unwrap().to_string_lossy().into_owned()).collect()
    }

    fn named(path: &str) -> Device {
        Device::Named(AbsolutePath::try_from(path.to_owned()).unwrap())
    }

    const STORE: &str = "Amazon EC2 NVMe Instance Storage        \n";
    const EBS: &str = "Amazon Elastic Block Store              \n";

    #[test]
    fn a_device_is_found_under_either_spelling_and_by_the_link_of_udev() {
        let (_root, host) = host(&[("/dev/sdf", ""), ("/dev/nvme3n1", "")]);
        std::os::unix::fs::symlink("nvme3n1", host.at("/dev/xvdcy")).unwrap();
        assert_eq!(found(&host, &named("/dev/xvdf")), ["sdf"]);
        assert_eq!(found(&host, &named("/dev/sdf")), ["sdf"]);
        assert_eq!(found(&host, &named("/dev/xvdcy")), ["nvme3n1"]);
        assert_eq!(found(&host, &named("/dev/sdcy")), ["nvme3n1"]);
        assert!(found(&host, &named("/dev/xvdg")).is_empty());
    }

    #[test]
    fn the_disks_that_there_are_are_told_without_those_that_are_none() {
        let (_root, host) = host(&[("/sys/block/loop0/size", ""), ("/sys/block/zram0/size", "")]);
        let said = |device: &Device| host.devices_in_words(device);
        let remedy = "attach the volume, or name another one as `device`";
        assert_eq!(said(&named("/dev/xvdf")), format!("no disk is there; {remedy}"));
        for (name, model) in [("xvda", ""), ("nvme1n1", EBS), ("nvme2n1", STORE), ("nvme3n1", EBS)] {
            host.write(&format!("/sys/block/{name}/device/model"), model.as_bytes(), 0o644).unwrap();
            host.write(&format!("/dev/{name}"), b"", 0o644).unwrap();
        }
        std::os::unix::fs::symlink("nvme1n1", host.at("/dev/sdg")).unwrap();
        std::os::unix::fs::symlink("nvme1n1p1", host.at("/dev/sda1")).unwrap();
        let disks = "/dev/nvme1n1 (attached as /dev/sdg), /dev/nvme2n1 (instance store), /dev/nvme3n1, /dev/xvda";
        assert_eq!(said(&named("/dev/xvdf")), format!("the disks are {disks}; {remedy}"));
        let remedy = "choose an instance type that has an instance store, or name a volume as `device`";
        assert_eq!(said(&Device::InstanceStore), format!("the disks are {disks}; {remedy}"));
    }

    #[test]
    fn a_folder_in_the_place_of_a_device_is_refused() {
        let (_root, host) = host(&[("/dev/xvdf/file", "")]);
        let error = host.find_device(&named("/dev/xvdf")).unwrap_err();
        assert!(error.to_string().starts_with("/dev/xvdf is not a block device; name a disk"), "{error}");
    }

    #[test]
    fn the_instance_store_is_found_by_model_and_never_an_ebs_volume() {
        let (_root, host) = host(&[
            ("/sys/block/nvme0n1/device/model", EBS),
            ("/sys/block/nvme1n1/device/model", STORE),
            ("/sys/block/nvme1c1n1/device/model", STORE),
            ("/sys/block/nvme10n1/device/model", STORE),
            ("/sys/block/nvme2n1/device/model", "Amazon EC2 NVMe Instance Storage Plus"),
            ("/sys/block/sda/device/model", STORE),
            ("/dev/nvme0n1", ""),
            ("/dev/nvme1n1", ""),
            ("/dev/nvme2n1", ""),
            ("/dev/nvme10n1", ""),
        ]);
        assert_eq!(found(&host, &Device::InstanceStore), ["nvme10n1", "nvme1n1"]);
    }

    #[test]
    fn the_instance_store_is_there_when_all_its_disks_are() {
        let (_root, host) = host(&[
            ("/sys/class/nvme/nvme0/model", EBS),
            ("/sys/class/nvme/nvme1/model", STORE),
            ("/sys/class/nvme/nvme11/model", STORE),
            ("/sys/block/nvme11n1/device/model", STORE),
            ("/dev/nvme11n1", ""),
        ]);
        assert!(found(&host, &Device::InstanceStore).is_empty());
        host.write("/sys/block/nvme1n1/device/model", STORE.as_bytes(), 0o644).unwrap();
        host.write("/dev/nvme1n1", b"", 0o644).unwrap();
        assert_eq!(found(&host, &Device::InstanceStore), ["nvme11n1", "nvme1n1"]);
    }
}
