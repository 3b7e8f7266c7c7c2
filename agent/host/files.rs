//! Files: read up to a limit, written as a whole and put in place atomically.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use nix::fcntl::OFlag;

use super::{Host, unfinished};
use crate::report::Change;

/// Bytes of the largest file that is read from the host.
const LARGEST_FILE: u64 = 4 << 20;
/// Bytes above which a log is begun anew.
const LARGEST_LOG: u64 = 1 << 20;

impl Host {
    /// Reads a text file; none if the file does not exist.
    ///
    /// # Errors
    /// A file that can't be read, is not UTF-8, or is larger than 4 MiB.
    pub fn read(&self, path: &str) -> Result<Option<String>> {
        let text = self.read_bytes(path)?.map(String::from_utf8).transpose();
        text.with_context(|| format!("read {path}: it is not UTF-8 text"))
    }

    /// Reads a file of one value, such as an attribute in sysfs, without the blanks around it. None if it can't be read.
    pub(super) fn value_in(&self, path: &str) -> Option<String> {
        Some(self.read(path).ok()??.trim().to_owned())
    }

    /// Reads the bytes of a file, at most 4 MiB; none if the file does not exist.
    ///
    /// # Errors
    /// A file that can't be read, or that is larger.
    pub fn read_bytes(&self, path: &str) -> Result<Option<Vec<u8>>> {
        // A pipe without a writer would hold the whole run up.
        let opened = fs::OpenOptions::new().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(self.at(path));
        let file = match opened {
            Ok(file) => file,
            Err(error) if is_nowhere(&error) => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("read {path}")),
        };
        if file.metadata().with_context(|| format!("read {path}"))?.file_type().is_fifo() {
            bail!("read {path}: it is a pipe, not a file");
        }
        let mut bytes = Vec::new();
        let read = match file.take(LARGEST_FILE + 1).read_to_end(&mut bytes) {
            Err(error) if is_nowhere(&error) => return Ok(None),
            read => read.with_context(|| format!("read {path}"))?,
        };
        if read as u64 > LARGEST_FILE {
            bail!("read {path}: it is larger than {} MiB", LARGEST_FILE >> 20);
        }
        Ok(Some(bytes))
    }

    /// Reads the files of a folder whose names have this ending. Returns the paths, sorted, with the texts; empty if there
    /// is no such folder.
    ///
    /// # Errors
    /// As [`Host::read`].
    pub fn read_folder(&self, folder: &str, ending: &str) -> Result<Vec<(String, String)>> {
        let names = self.names(folder)?.into_iter().filter(|name| name.ends_with(ending));
        let with_text = |path: String| Ok((path.clone(), self.read(&path)?.unwrap_or_default()));
        names.map(|name| format!("{folder}/{name}")).map(with_text).collect()
    }

    /// Tells whether a file has these bytes and this mode.
    pub(crate) fn holds(&self, path: &str, contents: &[u8], mode: u32) -> Result<bool> {
        let at = self.at(path);
        match fs::symlink_metadata(&at) {
            Ok(found) if found.is_file() && found.mode() & 0o7777 == mode && found.len() == contents.len() as u64 => {
                Ok(fs::read(&at).with_context(|| format!("read {path}"))? == contents)
            }
            Ok(found) if found.is_dir() => bail!("{path} is a directory; move it away"),
            _ => Ok(false),
        }
    }

    /// Writes these bytes to a file with this mode, at once or not at all. Missing directories above the file are made.
    ///
    /// # Errors
    /// The error of the filesystem.
    pub fn write(&self, path: &str, contents: &[u8], mode: u32) -> Result<Change> {
        self.replace(path, contents, mode, true)
    }

    /// Writes as [`Host::write`] does, but a loss of power may bring the old file back.
    ///
    /// # Errors
    /// The error of the filesystem.
    pub fn write_for_now(&self, path: &str, contents: &[u8], mode: u32) -> Result<Change> {
        self.replace(path, contents, mode, false)
    }

    fn replace(&self, path: &str, contents: &[u8], mode: u32, lasting: bool) -> Result<Change> {
        if self.holds(path, contents, mode)? {
            return Ok(Change::AlreadyDone);
        }
        let at = self.at(path);
        let (Some(folder), Some(name)) = (at.parent(), at.file_name()) else { bail!("{path} is not a file") };
        fs::create_dir_all(folder).with_context(|| format!("make the folder of {path}"))?;
        let temporary = unfinished::temporary(folder, &name.to_string_lossy());
        let write = || -> std::io::Result<()> {
            let _ = fs::remove_file(&temporary);
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
            file.write_all(contents)?;
            file.set_permissions(Permissions::from_mode(mode))?;
            // Without this, XFS could keep the name and lose the file's contents.
            file.sync_all()?;
            fs::rename(&temporary, &at)?;
            if lasting { fs::File::open(folder)?.sync_all() } else { Ok(()) }
        };
        write().inspect_err(|_| drop(fs::remove_file(&temporary))).with_context(|| format!("write {path}"))?;
        Ok(Change::Made)
    }

    /// Removes a file, if it exists.
    ///
    /// # Errors
    /// The error of the filesystem.
    pub fn remove(&self, path: &str) -> Result<Change> {
        match fs::remove_file(self.at(path)) {
            Ok(()) => Ok(Change::Made),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Change::AlreadyDone),
            Err(error) => Err(error).with_context(|| format!("remove {path}")),
        }
    }

    /// Renames a file in its folder, and replaces a file that has the new name. The next [`Host::write`] in that folder
    /// makes the change last.
    ///
    /// # Errors
    /// The error of the filesystem.
    pub fn rename(&self, path: &str, to: &str) -> Result<()> {
        fs::rename(self.at(path), self.at(to)).with_context(|| format!("rename {path} to {to}"))
    }

    pub(crate) fn mode_of(&self, path: &str) -> Option<u32> {
        fs::metadata(self.at(path)).ok().map(|found| found.mode() & 0o7777)
    }

    /// Opens a log file to append to it. A log that has grown over 1 MiB is emptied first, since every boot adds to the log
    /// and nothing else rotates it.
    ///
    /// # Errors
    /// The error of the filesystem.
    pub fn open_log(&self, path: &str) -> Result<fs::File> {
        let at = self.at(path);
        if let Some(folder) = at.parent() {
            fs::create_dir_all(folder)?;
        }
        let too_long = fs::metadata(&at).is_ok_and(|found| found.len() > LARGEST_LOG);
        let file = OpenOptions::new().create(true).append(true).mode(0o644).open(&at)?;
        if too_long {
            file.set_len(0)?;
        }
        Ok(file)
    }

    /// Appends a line to a log, whole or not at all. A part of another line, left by a loss of power, is removed.
    ///
    /// A log that has grown over 1 MiB is first renamed, with `.1` added to its name, so that a log agent reads it to its
    /// end.
    ///
    /// # Errors
    /// The error of the filesystem.
    pub fn append_line(&self, path: &str, line: &str) -> Result<()> {
        let at = self.at(path);
        if let Some(folder) = at.parent() {
            fs::create_dir_all(folder).with_context(|| format!("make the folder of {path}"))?;
        }
        if fs::metadata(&at).is_ok_and(|found| found.is_file() && found.len() > LARGEST_LOG) {
            self.rename(path, &format!("{path}.1"))?;
        }
        let append = || -> std::io::Result<()> {
            let mut file = OpenOptions::new().create(true).read(true).append(true).mode(0o644).open(&at)?;
            let mut found = Vec::new();
            (&file).take(LARGEST_LOG + 1).read_to_end(&mut found)?;
            let whole = found.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1) as u64;
            if whole < found.len() as u64 {
                file.set_len(whole)?;
            }
            let written = file.write_all(line.as_bytes()).and_then(|()| file.sync_data());
            // On a full disk a part of the line may have been written.
            written.inspect_err(|_| drop(file.set_len(whole)))
        };
        append().with_context(|| format!("write {path}"))
    }
}

/// Tells whether an error means that there is no such file. In sysfs, ENODEV means that the device went away meanwhile, and
/// the file with it.
fn is_nowhere(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
        || error.raw_os_error() == Some(nix::libc::ENODEV)
}

/// Writes a file that the caller of a command names.
///
/// # Errors
/// The error of the filesystem.
pub fn save(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::scratch;

    #[test]
    fn a_directory_in_the_place_of_a_file_is_refused() {
        let (_root, host) = scratch();
        fs::create_dir_all(host.at("/etc/ecs/ecs.config")).unwrap();
        let error = host.write("/etc/ecs/ecs.config", b"x", 0o600).unwrap_err();
        assert!(format!("{error:#}").contains("is a directory"), "{error:#}");
    }
}
