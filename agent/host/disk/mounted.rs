//! Mounts a volume by its label, and checks that the right disk was mounted. A second disk may have the same label.

use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use nix::sys::stat::{major, minor};
use tokio::time::Instant;

use super::super::Host;
use super::remedy;
use crate::config::types::Device;
use crate::plan::Start;
use crate::report::Change;

impl Host {
    /// Starts a mount unit, and fails if the mounted disk is not the device's.
    pub(in crate::host) async fn ensure_mounted(
        &self,
        unit: &str,
        device: &Device,
        label: &str,
        mount: &str,
    ) -> Result<Change> {
        let began = Instant::now();
        let started = self.start_unit(unit, Start::Await).await;
        let node = match (self.mountable_node(device, label).await, &started) {
            (Err(_), Err(_)) => PathBuf::from(device.to_string()),
            (node, _) => node?,
        };
        let change = match started {
            Ok(change) => change,
            // A file of this agent's own says nothing of the disk.
            Err(error) if error.chain().any(|cause| cause.is::<std::io::Error>()) => return Err(error),
            Err(error) => return Err(self.mount_failure(error, unit, &node, began).await),
        };
        let found = fs::metadata(&node).with_context(|| format!("look at {}", node.display()))?;
        // Under a scratch root an image file takes the place of the disk, and nothing is mounted.
        if !found.file_type().is_block_device() {
            return Ok(change);
        }
        let mounted = fs::metadata(self.at(mount)).with_context(|| format!("look at {mount}"))?.dev();
        if mounted != found.rdev() {
            let other = self.name_of_device(mounted);
            let kind = self.probe(Path::new(&other)).await.unwrap_or_default().kind;
            bail!(
                "{mount} is on {other}, not on {device} ({node}): both disks have the label `{label}`; detach {other}, \
                or give it another label, `umount -A {other} && {relabel}`, and run ecs-firstrun again",
                relabel = remedy::relabel(kind.as_deref(), "other", &other),
                node = node.display()
            );
        }
        Ok(change)
    }

    /// Finds the node that holds the filesystem of a device: its disk, or the array over its disks.
    async fn mountable_node(&self, device: &Device, label: &str) -> Result<PathBuf> {
        let disks = self.find_device(device)?;
        let node = match disks.as_slice() {
            [node] => Some(node.clone()),
            [] => None,
            several => self.running_array(several, label).await?,
        };
        node.with_context(|| format!("{device} is not attached any more; {}", self.devices_in_words(device)))
    }

    /// Names the node of a block device, by the device's number.
    fn name_of_device(&self, number: u64) -> String {
        let number = format!("{}:{}", major(number), minor(number));
        let has_number =
            |name: &String| self.value_in(&format!("/sys/class/block/{name}/dev")).is_some_and(|found| found == number);
        let name = self.names("/sys/class/block").unwrap_or_default().into_iter().find(has_number);
        name.map_or_else(|| format!("the device {number}"), |name| format!("/dev/{name}"))
    }
}
