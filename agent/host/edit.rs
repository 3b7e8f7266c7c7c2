//! Edits files of other programs: puts lines of ours there, and sets the mode that a secret needs.

use std::borrow::Cow;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};

use anyhow::{Context as _, Result};

use super::Host;
use super::disk::EndStateRefused;
use crate::plan::Edit;
use crate::report::Change;
use crate::well_known::STATE_DIRECTORY;

impl Host {
    pub(super) fn edit(&self, edit: &Edit) -> Result<Change> {
        let Edited { before, after, mode } = self.edited(edit)?;
        let record = mode_record(&edit.path);
        let Some(after) = after else {
            self.mark(&edit.path, edit.read_by.as_slice(), || Ok(before.is_some()))?;
            let change = self.remove(&edit.path)?;
            self.remove(&record)?;
            return Ok(change);
        };
        let held = File::open(self.at(&edit.path)).ok();
        let own_mode = self.mode_without_secret(edit, before.as_deref())?;
        // A file that is private for good has no other mode to go back to.
        if own_mode != mode && !edit.private {
            self.write(&record, format!("{own_mode:04o}\n").as_bytes(), 0o600)?;
        }
        self.mark(&edit.path, edit.read_by.as_slice(), || Ok(!self.holds(&edit.path, after.as_bytes(), mode)?))?;
        let change = self.write(&edit.path, after.as_bytes(), mode)?;
        // Until the new file took its place, other programs may have appended to the old file.
        if let (Change::Made, Some(held), Some(before)) = (change, held, &before) {
            self.carry_over(held, before.len() as u64, &edit.path)?;
        }
        if !edit.is_private() {
            self.remove(&record)?;
        }
        Ok(change)
    }

    /// Copies to the new file what another program appended to the old one after it was read.
    fn carry_over(&self, mut replaced: File, read: u64, path: &str) -> Result<()> {
        let mut appended = Vec::new();
        let mut carry = || -> std::io::Result<()> {
            replaced.seek(SeekFrom::Start(read))?;
            replaced.read_to_end(&mut appended)?;
            if appended.is_empty() {
                return Ok(());
            }
            File::options().append(true).open(self.at(path))?.write_all(&appended)
        };
        carry().with_context(|| format!("carry over what was appended to {path}"))
    }

    /// Returns the mode that another program's file has while no secret of ours is in the file. The mode is recorded before
    /// the first secret is written, and the record is kept until the file has this mode again.
    fn mode_without_secret(&self, edit: &Edit, before: Option<&str>) -> Result<u32> {
        let recorded = self.read(&mode_record(&edit.path))?;
        let recorded = recorded.and_then(|text| u32::from_str_radix(text.trim(), 8).ok());
        // Without lines of ours the file has its own mode, whatever an earlier run recorded.
        let recorded = recorded.filter(|_| before.is_some_and(Edit::is_in));
        Ok(recorded.or_else(|| self.mode_of(&edit.path)).unwrap_or(0o644))
    }

    /// Names the image's own keys that would win over an edit's keys, if they were not turned into comments.
    ///
    /// # Errors
    /// A file that can't be read, or is no TOML.
    pub fn other_spellings(&self, edit: &Edit) -> Result<Option<String>> {
        let Some(text) = self.read(&edit.path)? else { return Ok(None) };
        let keys = edit.other_spellings(&text).map_err(|why| no_toml(&edit.path, &why))?;
        let words = || {
            format!(
                "{} sets {} in the image; that would override ecs-firstrun's lines, so it is commented out now; remove \
                 it from the image, or `proxy` from the configuration",
                edit.path,
                keys.join(", ")
            )
        };
        Ok((!keys.is_empty()).then(words))
    }

    /// Computes the result of an edit. A file of which nothing would be left is to be removed.
    pub(crate) fn edited(&self, edit: &Edit) -> Result<Edited> {
        let before = self.read(&edit.path)?;
        let edit = &match edit.labels() {
            Some(labels) => Cow::Owned(edit.without_labelled(before.as_deref(), self.read(&labels)?.as_deref())),
            None => Cow::Borrowed(edit),
        };
        let after = edit.applied_to(before.as_deref()).map_err(|why| no_toml(&edit.path, &why))?;
        let mode = self.mode_without_secret(edit, before.as_deref())?;
        let mode = if edit.is_private() { mode & 0o600 } else { mode };
        Ok(Edited { before, after, mode })
    }
}

/// Returns the error for a file that is no TOML, so that its own program can't read it either.
fn no_toml(path: &str, why: &str) -> anyhow::Error {
    EndStateRefused(format!("{path} is not valid TOML ({why}); correct it in the image, or empty it there")).into()
}

/// The result of an edit.
pub(crate) struct Edited {
    pub(crate) before: Option<String>,
    pub(crate) after: Option<String>,
    pub(crate) mode: u32,
}

/// Returns the path of the record of a file's mode, kept while a secret of ours is in the file.
pub(super) fn mode_record(path: &str) -> String {
    format!("{STATE_DIRECTORY}/modes{path}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::scratch;

    #[test]
    fn what_is_appended_to_a_file_that_is_replaced_is_carried_over() {
        let (_root, host) = scratch();
        let path = "/etc/ecs/ecs.config";
        host.write(path, b"A=1\n", 0o600).unwrap();
        let held = File::open(host.at(path)).unwrap();
        let mut script = File::options().append(true).open(host.at(path)).unwrap();
        host.write(path, b"# ours\nA=1\n", 0o600).unwrap();
        script.write_all(b"B=2\n").unwrap();
        host.carry_over(held, "A=1\n".len() as u64, path).unwrap();
        assert_eq!(host.read(path).unwrap().unwrap(), "# ours\nA=1\nB=2\n");
    }
}
