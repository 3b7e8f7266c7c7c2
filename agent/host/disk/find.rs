//! Where a device is: by the name in the block device mapping, or by the model of an instance store.

use std::fs;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use super::super::{Host, nvme};
use super::names_in;
use crate::config::types::{Device, spellings};

impl Host {
    /// The disks that a device stands for, by the nodes that the kernel gave them: none while it is not attached.
    pub(in crate::host) fn find_device(&self, device: &Device) -> Result<Vec<PathBuf>> {
        let mut found = match device {
            Device::Named(path) => self.find_named(path.as_str())?.into_iter().collect(),
            Device::InstanceStore => self.instance_store(),
        };
        for node in &mut found {
            *node = fs::canonicalize(&*node).with_context(|| format!("find the disk of {device}"))?;
        }
        found.sort();
        found.dedup();
        Ok(found)
    }

    /// By its own name, by the other spelling of it (`sdf` for `xvdf`), or by the name that EBS gives an NVMe disk.
    fn find_named(&self, path: &str) -> Result<Option<PathBuf>> {
        let names = spellings(path);
        for name in &names {
            let node = self.at(name);
            if let Ok(found) = fs::metadata(&node) {
                // Under a scratch root an image file stands for the disk.
                let is_disk = found.file_type().is_block_device() || (found.is_file() && self.root != Path::new("/"));
                if !is_disk {
                    bail!("{name} is not a block device");
                }
                return Ok(Some(node));
            }
        }
        let named = self.nvme_disks().into_iter().filter(|disk| disk.is_ebs()).find(|disk| {
            let attached_as = disk.attached_as();
            attached_as.is_some_and(|name| names.contains(&format!("/dev/{name}")))
        });
        Ok(named.map(|disk| disk.node))
    }

    /// All disks of the instance store; none as long as one of their controllers has not shown its disk, because an
    /// array must not be made of those that happen to be there first.
    fn instance_store(&self) -> Vec<PathBuf> {
        let disks = self.nvme_disks();
        let is_waited_for = |controller: &String| {
            let model = fs::read_to_string(self.at(&format!("/sys/class/nvme/{controller}/model")));
            let is_ours = model.is_ok_and(|model| nvme::is_instance_store(model.trim()));
            is_ours && !disks.iter().any(|disk| is_namespace_of(&disk.name(), controller))
        };
        if names_in(&self.at("/sys/class/nvme")).iter().any(is_waited_for) {
            return Vec::new();
        }
        disks.into_iter().filter(nvme::Disk::is_instance_store).map(|disk| disk.node).collect()
    }

    /// The NVMe disks that the kernel knows.
    fn nvme_disks(&self) -> Vec<nvme::Disk> {
        let names = names_in(&self.at("/sys/block")).into_iter().filter(|name| is_disk_name(name));
        let disk = |name: String| {
            let model = fs::read_to_string(self.at(&format!("/sys/block/{name}/device/model"))).ok()?;
            Some(nvme::Disk { node: self.at(&format!("/dev/{name}")), model: model.trim().to_owned() })
        };
        names.filter_map(disk).collect()
    }

    /// The disks that there are, for the error about one that there is not.
    pub(in crate::host) fn devices_in_words(&self) -> String {
        let is_real = |name: &String| !["loop", "ram", "zram"].iter().any(|kind| name.starts_with(kind));
        let names: Vec<_> = names_in(&self.at("/sys/block")).into_iter().filter(is_real).collect();
        if names.is_empty() { "no disk is there".to_owned() } else { format!("the disks are {}", names.join(", ")) }
    }
}

/// Whether this is `nvme0n1` or its like, not `nvme0c0n1`, one path of several to a disk, which has no node.
fn is_disk_name(name: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let numbers = name.strip_prefix("nvme").and_then(|rest| rest.split_once('n'));
    numbers.is_some_and(|(controller, namespace)| digits(controller) && digits(namespace))
}

/// Whether the disk `nvme0n1` belongs to the controller `nvme0`.
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
        assert_eq!(host.devices_in_words(), "no disk is there");
        for name in ["xvda", "nvme1n1"] {
            host.write(&format!("/sys/block/{name}/size"), b"", 0o644).unwrap();
        }
        assert_eq!(host.devices_in_words(), "the disks are nvme1n1, xvda");
    }

    #[test]
    fn a_folder_in_the_place_of_a_device_is_refused() {
        let (_root, host) = host(&[("/dev/xvdf/file", "")]);
        let error = host.find_device(&named("/dev/xvdf")).unwrap_err();
        assert_eq!(error.to_string(), "/dev/xvdf is not a block device");
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
