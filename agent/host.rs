//! The machine: the only module that changes it.
//!
//! Every path lies under a root, so that the same code runs on an instance and in a scratch folder. A file is written
//! whole and put in place atomically.

#![expect(clippy::disallowed_methods, reason = "this is the module that touches the machine")]

mod directory;
mod disk;
mod docker;
mod ecs_config;
mod edit;
mod facts;
mod files;
mod inspect;
mod nvme;
mod private;
mod program;
mod selinux;
mod unfinished;
mod unit_state;
mod units;
mod wait;

pub(crate) use disk::{EndStateRefused, Wanted};
pub use docker::CONTAINERD_FILLED;
pub use ecs_config::START_ANEW;
pub(crate) use edit::Edited;
pub use files::save;
pub use inspect::Space;
#[cfg(feature = "fuzzing")]
pub(crate) use nvme::name_in as nvme_name;
pub use unit_state::{Life, UnitState};
pub(crate) use units::{UNIT_FILES, is_unit_file};
pub use wait::{HELD_UP, Unmet};

use std::cell::RefCell;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Result;
use tokio::time::Instant;

use crate::ecs_agent::EcsAgent;
use crate::plan::Action;
use crate::report::Change;
use crate::well_known::{CONFIGURED, CONSOLE, STATE_DIRECTORY, STATUS};

/// The machine under a root.
pub struct Host {
    root: PathBuf,
    /// Troubles that failed no action.
    warnings: RefCell<Vec<String>>,
}

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Host").field("root", &self.root).finish_non_exhaustive()
    }
}

impl Host {
    /// Takes the machine under `root`.
    pub fn rooted_at(root: &Path) -> Self {
        Host { root: root.to_owned(), warnings: RefCell::default() }
    }

    /// Tells whether the root is `/`, so that the programs of this machine can be run.
    pub fn is_this_machine(&self) -> bool {
        self.root == Path::new("/")
    }

    /// Returns the path on this machine for an absolute path of the plan.
    pub fn at(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// Returns the path of a file in the state directory.
    pub fn state_path(&self, name: &str) -> String {
        format!("{STATE_DIRECTORY}/{name}")
    }

    /// Brings about the end state of an action. A wait for the registration asks the ECS agent.
    ///
    /// # Errors
    /// The error that prevented the end state.
    pub async fn perform(&self, action: &Action, ecs_agent: &EcsAgent, deadline: Instant) -> Result<Change> {
        match action {
            Action::WriteFile(file) => {
                self.mark(&file.path, &file.read_by, || {
                    Ok(!self.holds(&file.path, file.contents.reveal().as_bytes(), file.mode.0)?)
                })?;
                self.write(&file.path, file.contents.reveal().as_bytes(), file.mode.0)
            }
            Action::EditFile(edit) => self.edit(edit),
            Action::RemoveFile { path, read_by } => {
                self.mark(path, read_by, || Ok(self.at(path).exists()))?;
                self.remove(path)
            }
            Action::EnsurePrivateFile { path, initial } => self.ensure_private(path, initial),
            Action::EnsureDirectory { path, owner, mode, label } => {
                self.ensure_directory(path, *owner, mode.0, *label).await
            }
            Action::EnsureLabel { path } => self.ensure_label(path).await,
            Action::EnsureFilesystem { device, filesystem, label, user } => {
                self.ensure_filesystem(&Wanted { device, filesystem: *filesystem, label, user: *user }).await
            }
            Action::EnsureMountPoint { path, label } => self.ensure_mount_point(path, *label).await,
            Action::EnsureFilesystemFillsDevice { device, filesystem, mount } => {
                self.ensure_filled(device, *filesystem, mount).await
            }
            Action::ReloadUnits => self.reload_units().await,
            Action::StartUnit { unit, start } => self.start_unit(unit, *start).await,
            Action::StopUnits { units, unless } => self.stop_units(units, unless).await,
            Action::Mount { unit, device, label, mount } => self.ensure_mounted(unit, device, label, mount).await,
            Action::NotifyReady => self.release(),
            Action::WaitFor(condition) => self.wait_for(condition, ecs_agent, deadline).await,
        }
    }

    /// Logs a trouble that failed no action, and keeps it for the report.
    fn warn(&self, words: String) {
        tracing::warn!("{words}");
        self.warnings.borrow_mut().push(words);
    }

    /// Takes the troubles, since the last call, that failed no action.
    pub fn take_warnings(&self) -> Vec<String> {
        self.warnings.take()
    }

    /// Lets Docker and ECS start. Their drop-ins require a file of this boot, which is written here, and wait until this
    /// unit is ready.
    ///
    /// # Errors
    /// The file can't be written.
    pub fn release(&self) -> Result<Change> {
        let change = self.write(CONFIGURED, b"", 0o644)?;
        notify(sd_notify::NotifyState::Ready);
        Ok(change)
    }

    /// Tells systemd that this unit is up, while Docker and ECS are still held back.
    pub fn say_up(&self) {
        notify(sd_notify::NotifyState::Ready);
    }

    /// Sets the status of this run, which `systemctl status` and this agent's `status` show.
    pub fn say_status(&self, text: &str) {
        let line = text.replace('\n', " ");
        notify(sd_notify::NotifyState::Status(&line));
        if let Err(error) = self.write(STATUS, format!("{line}\n").as_bytes(), 0o644) {
            tracing::debug!("what is done now is not kept: {error:#}");
        }
    }

    /// Returns the status that a run last set on this boot; empty if none is known.
    pub fn status(&self) -> String {
        self.read(STATUS).ok().flatten().unwrap_or_default().trim().to_owned()
    }

    /// Writes one line to the console, from which EC2 reads its console output, if there is a console.
    pub fn say_on_console(&self, line: &str) {
        if let Ok(mut console) = OpenOptions::new().append(true).open(self.at(CONSOLE)) {
            let _ = writeln!(console, "ecs-firstrun: {line}");
        }
    }
}

/// Sends a state to systemd, if systemd listens.
fn notify(state: sd_notify::NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::debug!("systemd was not told: {error}");
    }
}

/// Makes a machine under a new folder, which is removed with the returned guard.
#[cfg(test)]
pub(crate) fn scratch() -> (tempfile::TempDir, Host) {
    let root = tempfile::tempdir().unwrap();
    let host = Host::rooted_at(root.path());
    (root, host)
}
