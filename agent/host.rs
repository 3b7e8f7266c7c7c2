//! The machine: the only module that changes it.
//!
//! Every path lies under a root, so that the same code runs on an instance and in a scratch folder. A file is written
//! whole and put in place atomically.

#![expect(clippy::disallowed_methods, reason = "this is the module that touches the machine")]

mod directory;
mod disk;
mod docker;
mod docker_api;
mod ecs_config;
mod edit;
mod facts;
mod files;
mod hook;
mod inspect;
mod nvme;
mod private;
mod program;
mod progress;
mod pull_progress;
mod pull_remedy;
mod pulls;
mod root;
mod selinux;
mod unfinished;
mod unit_state;
mod units;
mod value_in_place;
mod wait;

pub(crate) use disk::{EndStateRefused, Wanted};
pub use docker::CONTAINERD_FILLED;
pub use ecs_config::START_ANEW;
pub(crate) use edit::Edited;
pub use files::save;
pub use inspect::Space;
#[cfg(feature = "fuzzing")]
pub(crate) use nvme::name_in as nvme_name;
pub use pulls::{Pulled, Pulls, not_pulled};
pub use root::Host;
#[cfg(test)]
pub(crate) use root::scratch;
pub use unit_state::{Life, UnitState};
pub(crate) use units::{UNIT_FILES, is_unit_file};
pub use value_in_place::file_of;
pub use wait::{HELD_UP, Unmet};

use anyhow::{Result, bail};
use tokio::time::Instant;

use crate::ecs_agent::EcsAgent;
use crate::plan::Action;
use crate::report::Change;

impl Host {
    /// Brings about the end state of an action. A wait for the registration asks the ECS agent. A pull is for
    /// [`Host::pull_image`], which needs the tokens of the run.
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
            Action::RunHook(hook) => self.run_hook(hook, deadline).await,
            Action::PullImage(pull) => bail!("{} can't be pulled without the tokens of the run", pull.image),
            Action::WaitFor(condition) => self.wait_for(condition, ecs_agent, deadline).await,
        }
    }
}
