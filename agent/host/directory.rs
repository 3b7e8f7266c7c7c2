//! Makes directories, with an owner and a mode, or as mount points.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use anyhow::{Context as _, Result, bail};

use super::Host;
use crate::report::Change;

impl Host {
    /// Tells whether a directory exists, with this owner and mode.
    pub(crate) fn has_directory(&self, path: &str, owner: (u32, u32), mode: u32) -> bool {
        let found = fs::symlink_metadata(self.at(path));
        found.is_ok_and(|found| found.is_dir() && is_owned(&found, owner) && found.mode() & 0o7777 == mode)
    }

    pub(super) async fn ensure_directory(
        &self,
        path: &str,
        owner: (u32, u32),
        mode: u32,
        label: bool,
    ) -> Result<Change> {
        if self.has_directory(path, owner, mode) {
            return Ok(Change::AlreadyDone);
        }
        let at = self.at(path);
        let context = || format!("make directory {path}");
        let label = label && (!self.has(path) || self.is_unfinished(path));
        self.make_directory(&at, label).await.with_context(context)?;
        let found = fs::symlink_metadata(&at).with_context(context)?;
        if found.is_symlink() {
            bail!("{path} is a symbolic link; remove it");
        }
        if !is_owned(&found, owner) {
            std::os::unix::fs::chown(&at, Some(owner.0), Some(owner.1)).with_context(context)?;
        }
        fs::set_permissions(&at, Permissions::from_mode(mode)).with_context(context)?;
        Ok(Change::Made)
    }

    pub(super) async fn ensure_mount_point(&self, path: &str, label: bool) -> Result<Change> {
        let at = self.at(path);
        let context = || format!("make mount point {path}");
        if !at.exists() || (label && self.is_unfinished(path)) {
            self.make_directory(&at, label).await.with_context(context)?;
            if label {
                fs::set_permissions(&at, Permissions::from_mode(0o755)).with_context(context)?;
            }
            return Ok(Change::Made);
        }
        let above = at.join("..");
        let is_mounted =
            fs::metadata(&at).with_context(context)?.dev() != fs::metadata(above).with_context(context)?.dev();
        let entries = fs::read_dir(&at).with_context(context)?.count();
        if !is_mounted && entries > 0 {
            tracing::warn!(
                "the volume hides the files that were already in {path} (entries: {entries}); they stay on the \
                disk below, where `mount --bind / DIRECTORY` shows them"
            );
        }
        Ok(Change::AlreadyDone)
    }
}

/// Tells whether this is the owner. Only root can change an owner, so for other users, as in a scratch folder, any owner is
/// right.
fn is_owned(found: &fs::Metadata, owner: (u32, u32)) -> bool {
    !nix::unistd::geteuid().is_root() || (found.uid(), found.gid()) == owner
}
