//! Disks: found by the name in the block device mapping, looked at, and formatted only when blank.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use super::program::failure;
use super::{Host, nvme};
use crate::config::Filesystem;
use crate::config::types::Device;
use crate::report::Change;

/// What is read of a device that has no signature, to see whether it is all zeros: signatures and most data lie in its
/// first bytes.
const LOOKED_AT: u64 = 1 << 20;

/// What is on a device.
#[derive(Debug, Default, PartialEq)]
struct Found {
    /// `TYPE` of blkid(8).
    kind: Option<String>,
    /// `LABEL` of blkid(8).
    label: Option<String>,
    /// `PTTYPE` of blkid(8).
    partition_table: Option<String>,
    /// Whether the beginning of the device has anything but zeros.
    has_data: bool,
}

#[derive(Debug, PartialEq)]
enum Decision {
    Make,
    Keep,
    Refuse(String),
}

/// A blank device is formatted, a matching filesystem kept, everything else refused.
fn decide(found: &Found, wanted: Filesystem, label: &str) -> Decision {
    let found_label = found.label.as_deref().unwrap_or_default();
    match (&found.partition_table, found.kind.as_deref()) {
        (Some(table), _) => Decision::Refuse(format!("it has a partition table ({table})")),
        (None, Some(kind)) if kind != wanted.name() => {
            let labelled =
                if found_label.is_empty() { String::new() } else { format!(" with the label `{found_label}`") };
            Decision::Refuse(format!("it holds {kind}{labelled}, not {}", wanted.name()))
        }
        (None, Some(_)) if found_label == label => Decision::Keep,
        (None, Some(kind)) => {
            Decision::Refuse(format!("it holds {kind} with the label `{found_label}`, not `{label}`"))
        }
        (None, None) if found.has_data => {
            Decision::Refuse("it has no filesystem, but it is not blank either".to_owned())
        }
        (None, None) => Decision::Make,
    }
}

impl Host {
    /// The disks that a device stands for: none while it is not attached.
    pub(super) fn find_device(&self, device: &Device) -> Result<Vec<PathBuf>> {
        match device {
            Device::Named(path) => Ok(self.find_named(path.as_str())?.into_iter().collect()),
            Device::InstanceStore => Ok(self
                .nvme_disks()
                .into_iter()
                .filter(|disk| disk.is_instance_store())
                .map(|disk| disk.node)
                .collect()),
        }
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

    /// The NVMe disks that the kernel knows.
    fn nvme_disks(&self) -> Vec<nvme::Disk> {
        let Ok(entries) = fs::read_dir(self.at("/sys/block")) else { return Vec::new() };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut names: Vec<_> = names.filter(|name| name.starts_with("nvme")).collect();
        names.sort();
        let disk = |name: String| {
            let model = fs::read_to_string(self.at(&format!("/sys/block/{name}/device/model"))).ok()?;
            Some(nvme::Disk { node: self.at(&format!("/dev/{name}")), model: model.trim().to_owned() })
        };
        names.into_iter().filter_map(disk).collect()
    }

    /// The disks that there are, for the error about one that there is not.
    pub(super) fn devices_in_words(&self) -> String {
        let entries = fs::read_dir(self.at("/sys/block")).into_iter().flatten();
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut names: Vec<_> =
            names.filter(|name| !["loop", "ram", "zram"].iter().any(|kind| name.starts_with(kind))).collect();
        names.sort();
        if names.is_empty() { "no disk is there".to_owned() } else { format!("the disks are {}", names.join(", ")) }
    }

    pub(super) async fn ensure_filesystem(&self, device: &Device, wanted: Filesystem, label: &str) -> Result<Change> {
        let disks = self.find_device(device)?;
        let node = match disks.as_slice() {
            [node] => node,
            [] => bail!("{device} is not attached; {}", self.devices_in_words()),
            several => bail!("the instance has {} disks in its instance store; only one can be used", several.len()),
        };
        let node = fs::canonicalize(node).with_context(|| format!("find the disk of {device}"))?;
        let found = self.probe(&node).await?;
        match decide(&found, wanted, label) {
            Decision::Keep => Ok(Change::AlreadyDone),
            Decision::Refuse(what) => bail!(
                "{device} ({}) is refused, nothing was changed on it: {what}; choose another device, or clear it by hand with wipefs(8) if nothing on it is needed",
                node.display()
            ),
            Decision::Make => {
                self.refuse_mounted(&node)?;
                let node = node.to_string_lossy();
                // Discarding all blocks of a new volume takes long and gains nothing.
                match wanted {
                    Filesystem::Xfs => self.run("mkfs.xfs", &["-q", "-K", "-L", label, &node]).await?,
                    Filesystem::Ext4 => self.run("mkfs.ext4", &["-q", "-E", "nodiscard", "-L", label, &node]).await?,
                };
                Ok(Change::Made)
            }
        }
    }

    async fn probe(&self, node: &Path) -> Result<Found> {
        let name = node.to_string_lossy();
        let arguments = ["-p", "-o", "export", &name];
        let output = self.output("blkid", &arguments).await?;
        let shown = String::from_utf8_lossy(&output.stdout);
        let value =
            |key: &str| shown.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('=')).map(str::to_owned);
        match output.status.code() {
            Some(0) => Ok(Found {
                kind: value("TYPE"),
                label: value("LABEL"),
                partition_table: value("PTTYPE"),
                has_data: true,
            }),
            // blkid(8): nothing was found.
            Some(2) => Ok(Found { has_data: has_data(node)?, ..Found::default() }),
            // blkid(8): several filesystems at once.
            Some(8) => Ok(Found {
                kind: Some("the traces of several filesystems".to_owned()),
                has_data: true,
                ..Found::default()
            }),
            _ => Err(failure("blkid", &arguments, &output)),
        }
    }

    fn refuse_mounted(&self, node: &Path) -> Result<()> {
        let mounts = self.read("/proc/self/mounts")?.unwrap_or_default();
        match mounts.lines().any(|line| line.split(' ').next() == node.to_str()) {
            true => bail!("{} is mounted", node.display()),
            false => Ok(()),
        }
    }
}

fn has_data(node: &Path) -> Result<bool> {
    let file = fs::File::open(node).with_context(|| format!("read {}", node.display()))?;
    let mut bytes = Vec::new();
    file.take(LOOKED_AT).read_to_end(&mut bytes).with_context(|| format!("read {}", node.display()))?;
    Ok(bytes.iter().any(|byte| *byte != 0))
}

/// A device's name, and the same with `sd` for `xvd` and the other way round.
fn spellings(path: &str) -> Vec<String> {
    let other = match path.strip_prefix("/dev/") {
        Some(name) if name.starts_with("xvd") => Some(format!("/dev/sd{}", &name[3..])),
        Some(name) if name.starts_with("sd") => Some(format!("/dev/xvd{}", &name[2..])),
        _ => None,
    };
    std::iter::once(path.to_owned()).chain(other).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_blank_device_is_formatted() {
        let found = |kind: &str, label: &str, table: &str, has_data| {
            let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
            Found { kind: some(kind), label: some(label), partition_table: some(table), has_data }
        };
        assert_eq!(decide(&found("", "", "", false), Filesystem::Xfs, "docker"), Decision::Make);
        assert_eq!(decide(&found("xfs", "docker", "", true), Filesystem::Xfs, "docker"), Decision::Keep);
        let refused = [
            found("", "", "", true),
            found("xfs", "", "", true),
            found("xfs", "other", "", true),
            found("ext4", "docker", "", true),
            found("LVM2_member", "", "", true),
            found("", "", "gpt", true),
            found("xfs", "docker", "dos", true),
        ];
        for found in refused {
            assert!(matches!(decide(&found, Filesystem::Xfs, "docker"), Decision::Refuse(_)), "{found:?}");
        }
    }

    #[test]
    fn a_device_has_two_spellings() {
        assert_eq!(spellings("/dev/xvdcy"), ["/dev/xvdcy", "/dev/sdcy"]);
        assert_eq!(spellings("/dev/sdf"), ["/dev/sdf", "/dev/xvdf"]);
        assert_eq!(spellings("/dev/disk/by-id/x"), ["/dev/disk/by-id/x"]);
    }
}
