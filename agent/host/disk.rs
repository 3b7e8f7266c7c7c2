//! Disks: found, looked at, and formatted only when blank.
//!
//! A device is made into a filesystem if nothing at all is on it and nobody uses it, kept if it holds the filesystem
//! asked for, and refused otherwise. The one exception is what an interrupted run of this agent left; see `making`.

mod array;
mod data;
mod find;
mod grow;
mod making;
mod mounted;
mod probe;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use self::probe::{Decision, decide};
use super::Host;
use crate::config::Filesystem;
use crate::config::types::Device;
use crate::plan::Foreseen;
use crate::report::Change;

impl Host {
    pub(super) async fn ensure_filesystem(&self, device: &Device, wanted: Filesystem, label: &str) -> Result<Change> {
        let disks = self.find_device(device)?;
        let making = self.making(&disks, wanted, label)?;
        let (node, assembled) = match disks.as_slice() {
            [node] => (node.clone(), Change::AlreadyDone),
            [] => bail!("{device} is not attached; {}", self.devices_in_words(device)),
            several => self.ensure_array(several, label, &making).await?,
        };
        let found = self.probe(&node).await?;
        let force = match decide(&found, wanted, label, self.was_interrupted(&making)?) {
            Decision::Keep => {
                self.end_making(label)?;
                return Ok(assembled);
            }
            Decision::Refuse(what) => return Err(refusal(&device.to_string(), &node, &what)),
            Decision::Make => false,
            Decision::MakeAgain => {
                tracing::warn!(
                    "{device} ({}) was blank when an earlier run began to format it and was interrupted; it is formatted again",
                    node.display()
                );
                true
            }
        };
        self.refuse_used(&device.to_string(), &node)?;
        self.begin_making(&making)?;
        self.make_filesystem(&node, wanted, label, force).await?;
        self.end_making(label)?;
        Ok(Change::Made)
    }

    /// What [`Host::ensure_filesystem`] would find. An array has to be put together before that can be seen, and what would
    /// be refused is for a run to tell.
    pub(super) async fn foresee_filesystem(
        &self,
        device: &Device,
        wanted: Filesystem,
        label: &str,
    ) -> Result<Foreseen> {
        let disks = self.find_device(device)?;
        let [node] = disks.as_slice() else { return Ok(Foreseen::Unknown) };
        let making = self.making(&disks, wanted, label)?;
        let found = self.probe(node).await?;
        Ok(match decide(&found, wanted, label, self.was_interrupted(&making)?) {
            Decision::Keep => Foreseen::AlreadyDone,
            Decision::Make | Decision::MakeAgain => Foreseen::ToDo,
            Decision::Refuse(_) => Foreseen::Unknown,
        })
    }

    /// Runs mkfs(8) and sees to it that what it wrote is on the disk.
    async fn make_filesystem(&self, node: &Path, wanted: Filesystem, label: &str, force: bool) -> Result<()> {
        let name = node.to_string_lossy();
        // Discarding all blocks of a new volume takes long and gains nothing. mkfs.xfs looks for itself what is on the
        // device unless it is forced; mkfs.ext4 never does without a terminal.
        match wanted {
            Filesystem::Xfs => {
                let forced: &[&str] = if force { &["-f"] } else { &[] };
                self.run("mkfs.xfs", &[&["-q", "-K"], forced, &["-L", label, &name]].concat()).await?
            }
            Filesystem::Ext4 => self.run("mkfs.ext4", &["-q", "-E", "nodiscard", "-L", label, &name]).await?,
        };
        let context = || format!("flush {name}");
        std::fs::File::open(node).with_context(context)?.sync_all().with_context(context)
    }

    fn refuse_used(&self, device: &str, node: &Path) -> Result<()> {
        match self.user_of(node)? {
            Some(user) => Err(refusal(device, node, &format!("it is in use, {user}"))),
            None => Ok(()),
        }
    }
}

fn refusal(device: &str, node: &Path, what: &str) -> anyhow::Error {
    anyhow::anyhow!(
        "{device} ({}) can't be used, and nothing on it was changed: {what}; choose another device, or clear it by \
        hand with wipefs(8) if nothing on it is needed",
        node.display()
    )
}

/// The name that the kernel has for a device.
fn kernel_name(node: &Path) -> String {
    node.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The names of the entries of a folder, sorted; none if there is no such folder.
fn names_in(folder: &PathBuf) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    let mut names: Vec<_> = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    names.sort();
    names
}
