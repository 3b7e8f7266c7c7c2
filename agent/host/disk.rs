//! Disks: found, probed, and formatted only when blank.
//!
//! A device is formatted if nothing at all is on the device and nobody uses it. A device that holds the wanted filesystem is
//! kept, and any other is refused. The one exception is what an interrupted run of this agent left; see `format_intent`.

mod array;
mod data;
mod find;
mod format_intent;
mod grow;
mod mount_failure;
mod mounted;
mod names;
mod probe;
mod remedy;
mod used;
mod wanted;

use std::path::Path;

use anyhow::{Context as _, Result, bail};

use self::data::size_of;
use self::format_intent::Making;
use self::probe::{FormatDecision, decide};
pub(crate) use self::remedy::EndStateRefused;
use self::remedy::refusal;
pub(crate) use self::wanted::Wanted;
use super::Host;
use crate::config::Filesystem;
use crate::report::Change;

/// Words of mkfs.xfs(8) since xfsprogs 5.19, which refuses to make smaller filesystems.
const TOO_SMALL_FOR_XFS: &str = "must be larger than 300MB";

impl Host {
    pub(super) async fn ensure_filesystem(&self, wanted: &Wanted<'_>) -> Result<Change> {
        let (device, label) = (wanted.device, wanted.label);
        let disks = self.find_device(device)?;
        let making = self.making(&disks, wanted.filesystem, label)?;
        let (node, assembled) = match disks.as_slice() {
            [node] => (node.clone(), Change::AlreadyDone),
            [] => bail!("{device} is not attached; {}", self.devices_in_words(device)),
            several => self.ensure_array(several, label, &making).await?,
        };
        let force = match self.judge(wanted, &node, &making).await? {
            FormatDecision::Keep => {
                self.end_making(label)?;
                return Ok(assembled);
            }
            FormatDecision::MakeAgain => {
                tracing::warn!(
                    "{device} ({}) was blank when an earlier run began to format it and was interrupted; it is formatted again",
                    node.display()
                );
                true
            }
            _ => false,
        };
        self.begin_making(&making)?;
        self.make_filesystem(&node, wanted, force).await?;
        self.end_making(label)?;
        Ok(Change::Made)
    }

    /// Tells whether [`Host::ensure_filesystem`] would change nothing. None unless the device is one attached disk: an array
    /// can't be probed before it is assembled.
    pub(crate) async fn has_filesystem(&self, wanted: &Wanted<'_>) -> Result<Option<bool>> {
        let disks = self.find_device(wanted.device)?;
        let [node] = disks.as_slice() else { return Ok(None) };
        let making = self.making(&disks, wanted.filesystem, wanted.label)?;
        Ok(Some(matches!(self.judge(wanted, node, &making).await?, FormatDecision::Keep)))
    }

    /// Decides what is done with a disk. One that can't be used is an error, a [`EndStateRefused`].
    async fn judge(&self, wanted: &Wanted<'_>, node: &Path, making: &Making) -> Result<FormatDecision> {
        let found = self.probe(node).await?;
        let decision = decide(&found, wanted, self.was_interrupted(making)?);
        let what = match &decision {
            FormatDecision::Keep => return Ok(decision),
            FormatDecision::Refuse(what) => Some(what.as_str()),
            FormatDecision::Make | FormatDecision::MakeAgain => None,
        };
        let device = wanted.device.to_string();
        self.refuse_used(&device, node, what)?;
        match what {
            Some(what) => Err(refusal(&device, node, what, &remedy::of_contents(&found, wanted, node))),
            None => Ok(decision),
        }
    }

    /// Runs mkfs(8), and flushes what mkfs wrote to the disk.
    async fn make_filesystem(&self, node: &Path, wanted: &Wanted<'_>, force: bool) -> Result<()> {
        let (name, label) = (node.to_string_lossy(), wanted.label);
        // Discarding all blocks of a new volume takes long and gains nothing. Unless it is forced, mkfs.xfs itself looks for
        // data on the device; mkfs.ext4 never does so without a terminal.
        let made = match wanted.filesystem {
            Filesystem::Xfs => {
                let forced: &[&str] = if force { &["-f"] } else { &[] };
                self.run("mkfs.xfs", &[&["-q", "-K"], forced, &["-L", label, &name]].concat()).await
            }
            Filesystem::Ext4 => self.run("mkfs.ext4", &["-q", "-E", "nodiscard", "-L", label, &name]).await,
        };
        if let Err(error) = made {
            if error.to_string().contains(TOO_SMALL_FOR_XFS) {
                let size = size_of(node)? >> 20;
                let what = format!("mkfs.xfs makes no filesystem of less than 300 MB, and the device has {size} MiB");
                let remedy = "set `filesystem: ext4` in `storage`, or give the volume at least 1 GiB";
                return Err(refusal(&wanted.device.to_string(), node, &what, remedy));
            }
            return Err(error);
        }
        let context = || format!("flush {name}");
        std::fs::File::open(node).with_context(context)?.sync_all().with_context(context)
    }
}
