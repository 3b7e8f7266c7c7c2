//! The machine: the only module that changes it.
//!
//! Every path lies under a root, so that the same code runs on an instance and in a scratch folder. A file is written
//! whole and put in place atomically. Before a file that a unit reads is changed, a mark is left; the mark makes the
//! start of that unit a restart and goes away after it, so that a run that was killed in between is made up for.

#![expect(clippy::disallowed_methods, reason = "this is the module that touches the machine")]

mod directory;
mod disk;
mod facts;
mod foresee;
mod look;
mod nvme;
mod program;
mod unfinished;
mod wait;

pub use look::Space;
pub use program::UnitState;
pub use wait::{CLOUD_FINAL, HELD_UP, Unmet};

use std::fs::{self, OpenOptions, Permissions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use tokio::time::Instant;

use crate::ecs_agent::EcsAgent;
use crate::plan::{Action, Edit, STATE_DIRECTORY, Start};
use crate::report::Change;

/// No file that is read from the host is larger than this, in bytes.
const LARGEST_FILE: u64 = 4 << 20;
/// Asserted by the drop-ins of Docker and ECS in `builder-scripts/files`.
const CONFIGURED: &str = "/run/ecs-firstrun/configured";
/// What a run does or waits for, in a line.
const STATUS: &str = "/run/ecs-firstrun/status";
/// The mark that systemd has to read its unit files again; the name of no unit.
const UNIT_FILES: &str = "unit-files";

/// The machine under a root.
pub struct Host {
    root: PathBuf,
    ecs_agent: EcsAgent,
}

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Host").field("root", &self.root).finish_non_exhaustive()
    }
}

impl Host {
    /// The machine under `root`, whose ECS agent answers at `ecs_endpoint`.
    ///
    /// # Errors
    /// An endpoint that is no URL.
    pub fn rooted_at(root: &Path, ecs_endpoint: &str) -> Result<Self> {
        Ok(Host { root: root.to_owned(), ecs_agent: EcsAgent::new(ecs_endpoint)? })
    }

    /// Where an absolute path of the plan lies on this machine.
    pub fn at(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// The path of a file in the state directory.
    pub fn state_path(&self, name: &str) -> String {
        format!("{STATE_DIRECTORY}/{name}")
    }

    /// Brings about the end state of an action.
    ///
    /// # Errors
    /// What prevented it.
    pub async fn perform(&self, action: &Action, deadline: Instant) -> Result<Change> {
        match action {
            Action::WriteFile(file) => {
                self.mark(&file.path, file.read_by.as_deref(), || {
                    Ok(!self.holds(&file.path, file.contents.reveal().as_bytes(), file.mode.0)?)
                })?;
                self.write(&file.path, file.contents.reveal().as_bytes(), file.mode.0)
            }
            Action::EditFile(edit) => self.edit(edit),
            Action::RemoveFile { path, read_by } => {
                self.mark(path, read_by.as_deref(), || Ok(self.at(path).exists()))?;
                self.remove(path)
            }
            Action::EnsureDirectory { path, owner, mode } => self.ensure_directory(path, *owner, mode.0),
            Action::EnsureFilesystem { device, filesystem, label } => {
                self.ensure_filesystem(device, *filesystem, label).await
            }
            Action::EnsureMountPoint { path } => self.ensure_mount_point(path),
            Action::EnsureFilesystemFillsDevice { device, filesystem, mount } => {
                self.ensure_filled(device, *filesystem, mount).await
            }
            Action::ReloadUnits => self.reload_units().await,
            Action::StartUnit { unit, start } => self.start_unit(unit, *start).await,
            Action::Mount { unit, device, label, mount } => self.ensure_mounted(unit, device, label, mount).await,
            Action::NotifyReady => self.release(),
            Action::WaitFor(condition) => self.wait_for(condition, deadline).await,
        }
    }

    /// Lets Docker and ECS start: their drop-ins ask for a file of this boot, and wait until this unit is ready.
    ///
    /// # Errors
    /// The file can't be written.
    pub fn release(&self) -> Result<Change> {
        let change = self.write(CONFIGURED, b"", 0o644)?;
        notify(sd_notify::NotifyState::Ready);
        Ok(change)
    }

    /// What `systemctl status`, and `status` of this agent, show of a run that goes.
    pub fn say_status(&self, text: &str) {
        let line = text.replace('\n', " ");
        notify(sd_notify::NotifyState::Status(&line));
        if let Err(error) = self.write(STATUS, format!("{line}\n").as_bytes(), 0o644) {
            tracing::debug!("what is done now is not kept: {error:#}");
        }
    }

    /// What a run last said that it does or waits for, on this boot; empty if that is not known.
    pub fn status(&self) -> String {
        self.read(STATUS).ok().flatten().unwrap_or_default().trim().to_owned()
    }

    /// Reads a file; none if there is none.
    ///
    /// # Errors
    /// A file that can't be read, is not UTF-8, or is larger than 4 MiB.
    pub fn read(&self, path: &str) -> Result<Option<String>> {
        let text = self.read_bytes(path)?.map(String::from_utf8).transpose();
        text.with_context(|| format!("read {path}: it is no UTF-8 text"))
    }

    /// The bytes of a file, at most 4 MiB; none if there is none.
    ///
    /// # Errors
    /// A file that can't be read, or that is larger.
    pub fn read_bytes(&self, path: &str) -> Result<Option<Vec<u8>>> {
        let file = match fs::File::open(self.at(path)) {
            Ok(file) => file,
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("read {path}")),
        };
        let mut bytes = Vec::new();
        let read = file.take(LARGEST_FILE + 1).read_to_end(&mut bytes).with_context(|| format!("read {path}"))?;
        if read as u64 > LARGEST_FILE {
            bail!("read {path}: it is larger than {} MiB", LARGEST_FILE >> 20);
        }
        Ok(Some(bytes))
    }

    /// The files of a folder whose names end so, by name, with their texts; none if there is no such folder.
    ///
    /// # Errors
    /// As [`Host::read`].
    pub fn read_folder(&self, folder: &str, ending: &str) -> Result<Vec<(String, String)>> {
        let entries = match fs::read_dir(self.at(folder)) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error).with_context(|| format!("read {folder}")),
        };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut paths: Vec<_> =
            names.filter(|name| name.ends_with(ending)).map(|name| format!("{folder}/{name}")).collect();
        paths.sort();
        let with_text = |path: String| Ok((path.clone(), self.read(&path)?.unwrap_or_default()));
        paths.into_iter().map(with_text).collect()
    }

    /// Whether a file has these bytes and this mode.
    fn holds(&self, path: &str, contents: &[u8], mode: u32) -> Result<bool> {
        let at = self.at(path);
        match fs::symlink_metadata(&at) {
            Ok(found) if found.is_file() && found.mode() & 0o7777 == mode && found.len() == contents.len() as u64 => {
                Ok(fs::read(&at).with_context(|| format!("read {path}"))? == contents)
            }
            Ok(found) if found.is_dir() => bail!("{path} is a directory; move it away"),
            _ => Ok(false),
        }
    }

    /// Gives a file these bytes and this mode, at once or not at all. Directories above it are made.
    ///
    /// # Errors
    /// Whatever the filesystem answers.
    pub fn write(&self, path: &str, contents: &[u8], mode: u32) -> Result<Change> {
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
            file.sync_all()?;
            fs::rename(&temporary, &at)?;
            fs::File::open(folder)?.sync_all()
        };
        write().inspect_err(|_| drop(fs::remove_file(&temporary))).with_context(|| format!("write {path}"))?;
        Ok(Change::Made)
    }

    /// Sees to it that there is no such file.
    ///
    /// # Errors
    /// Whatever the filesystem answers.
    pub fn remove(&self, path: &str) -> Result<Change> {
        match fs::remove_file(self.at(path)) {
            Ok(()) => Ok(Change::Made),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Change::AlreadyDone),
            Err(error) => Err(error).with_context(|| format!("remove {path}")),
        }
    }

    fn edit(&self, edit: &Edit) -> Result<Change> {
        let Edited { before, after, mode } = self.edited(edit)?;
        let record = mode_record(&edit.path);
        let Some(after) = after else {
            self.mark(&edit.path, edit.read_by.as_deref(), || Ok(before.is_some()))?;
            let change = self.remove(&edit.path)?;
            self.remove(&record)?;
            return Ok(change);
        };
        let own_mode = self.mode_without_secret(edit, before.as_deref())?;
        if own_mode != mode {
            self.write(&record, format!("{own_mode:04o}\n").as_bytes(), 0o600)?;
        }
        self.mark(&edit.path, edit.read_by.as_deref(), || Ok(!self.holds(&edit.path, after.as_bytes(), mode)?))?;
        let change = self.write(&edit.path, after.as_bytes(), mode)?;
        if !edit.has_secret() {
            self.remove(&record)?;
        }
        Ok(change)
    }

    /// The mode that a file of somebody else's has as long as no secret of ours is in it. It is recorded before the first
    /// secret goes in, and the record is kept until the mode is that again.
    fn mode_without_secret(&self, edit: &Edit, before: Option<&str>) -> Result<u32> {
        let recorded = self.read(&mode_record(&edit.path))?;
        let recorded = recorded.and_then(|text| u32::from_str_radix(text.trim(), 8).ok());
        // Without lines of ours the file has its own mode, whatever an earlier run recorded.
        let recorded = recorded.filter(|_| before.is_some_and(Edit::is_in));
        Ok(recorded.or_else(|| self.mode_of(&edit.path)).unwrap_or(0o644))
    }

    /// What an edit makes of its file. One of which nothing would be left is to go.
    fn edited(&self, edit: &Edit) -> Result<Edited> {
        let before = self.read(&edit.path)?;
        let after = edit.applied_to(before.as_deref().unwrap_or_default());
        let mode = self.mode_without_secret(edit, before.as_deref())?;
        let mode = if edit.has_secret() { mode & 0o600 } else { mode };
        let stays = !after.is_empty() || before.as_ref().is_some_and(String::is_empty);
        Ok(Edited { before, after: stays.then_some(after), mode })
    }

    fn mode_of(&self, path: &str) -> Option<u32> {
        fs::metadata(self.at(path)).ok().map(|found| found.mode() & 0o7777)
    }

    /// Leaves the marks for a file that is about to change.
    fn mark(&self, path: &str, read_by: Option<&str>, changes: impl FnOnce() -> Result<bool>) -> Result<()> {
        let is_unit_file = is_unit_file(path);
        if (read_by.is_none() && !is_unit_file) || !changes()? {
            return Ok(());
        }
        for name in read_by.into_iter().chain(is_unit_file.then_some(UNIT_FILES)) {
            self.write(&self.mark_path(name), b"", 0o600)?;
        }
        Ok(())
    }

    fn mark_path(&self, name: &str) -> String {
        self.state_path(&format!("changed/{name}"))
    }

    fn is_marked(&self, name: &str) -> bool {
        self.at(&self.mark_path(name)).exists()
    }

    async fn reload_units(&self) -> Result<Change> {
        if !self.is_marked(UNIT_FILES) {
            return Ok(Change::AlreadyDone);
        }
        self.run("systemctl", &["daemon-reload"]).await?;
        self.remove(&self.mark_path(UNIT_FILES))
    }

    async fn start_unit(&self, unit: &str, start: Start) -> Result<Change> {
        let state = self.unit_state(unit).await?;
        if self.is_started(unit, &state) {
            return Ok(Change::AlreadyDone);
        }
        let changed = self.is_marked(unit);
        // A unit that is just starting may have read the old configuration. `restart` starts what does not run, too.
        let verb = if changed && state.active != "inactive" { "restart" } else { "start" };
        let queue: &[&str] = if start == Start::Queue { &["--no-block"] } else { &[] };
        self.run("systemctl", &[&[verb], queue, &[unit]].concat()).await?;
        if changed {
            self.remove(&self.mark_path(unit))?;
        }
        Ok(Change::Made)
    }

    /// Whether a unit runs, with its configuration as it is now.
    fn is_started(&self, unit: &str, state: &UnitState) -> bool {
        state.is_active() && !self.is_marked(unit)
    }

    /// The log file, opened to be written at its end; begun anew when it has grown over 1 MiB, since every boot adds to
    /// it and nothing else rotates it.
    ///
    /// # Errors
    /// Whatever the filesystem answers.
    pub fn open_log(&self, path: &str) -> Result<fs::File> {
        let at = self.at(path);
        if let Some(folder) = at.parent() {
            fs::create_dir_all(folder)?;
        }
        let too_long = fs::metadata(&at).is_ok_and(|found| found.len() > 1 << 20);
        let file = OpenOptions::new().create(true).append(true).mode(0o644).open(&at)?;
        if too_long {
            file.set_len(0)?;
        }
        Ok(file)
    }

    /// Says one line on the console, where EC2's console output is read from, if there is one.
    pub fn say_on_console(&self, line: &str) {
        if let Ok(mut console) = OpenOptions::new().append(true).open(self.at("/dev/console")) {
            let _ = writeln!(console, "ecs-firstrun: {line}");
        }
    }
}

/// What an edit makes of a file.
struct Edited {
    before: Option<String>,
    after: Option<String>,
    mode: u32,
}

fn is_unit_file(path: &str) -> bool {
    path.starts_with("/etc/systemd/system/")
}

/// Writes a file that the caller of a command names.
///
/// # Errors
/// Whatever the filesystem answers.
pub fn save(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("write {}", path.display()))
}

/// Where the mode of a file is recorded while a secret of ours is in it.
fn mode_record(path: &str) -> String {
    format!("{STATE_DIRECTORY}/modes{path}")
}

/// Tells systemd, where it listens.
fn notify(state: sd_notify::NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::debug!("systemd was not told: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::types::Mode;
    use crate::plan::{Contents, File};

    fn host() -> (tempfile::TempDir, Host) {
        let root = tempfile::tempdir().unwrap();
        let host = Host::rooted_at(root.path(), "http://127.0.0.1:1").unwrap();
        (root, host)
    }

    #[tokio::test]
    async fn a_file_is_written_once_and_marks_its_reader() {
        let (_root, host) = host();
        let file = File {
            path: "/etc/systemd/system/x.service.d/y.conf".to_owned(),
            contents: Contents::Open("a\n".to_owned()),
            mode: Mode(0o640),
            read_by: Some("x.service".to_owned()),
        };
        let action = Action::WriteFile(file);
        let deadline = Instant::now();
        assert_eq!(host.perform(&action, deadline).await.unwrap(), Change::Made);
        assert!(host.is_marked("x.service") && host.is_marked(UNIT_FILES));
        host.remove(&host.mark_path("x.service")).unwrap();
        assert_eq!(host.perform(&action, deadline).await.unwrap(), Change::AlreadyDone);
        assert!(!host.is_marked("x.service"));
        let names: Vec<_> =
            fs::read_dir(host.at("/etc/systemd/system/x.service.d")).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names, ["y.conf"]);
        assert_eq!(fs::metadata(host.at("/etc/systemd/system/x.service.d/y.conf")).unwrap().mode() & 0o7777, 0o640);
    }

    #[tokio::test]
    async fn a_directory_in_the_place_of_a_file_is_refused() {
        let (_root, host) = host();
        fs::create_dir_all(host.at("/etc/ecs/ecs.config")).unwrap();
        let error = host.write("/etc/ecs/ecs.config", b"x", 0o600).unwrap_err();
        assert!(format!("{error:#}").contains("is a directory"), "{error:#}");
    }
}
