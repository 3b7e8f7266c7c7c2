//! Tells systemd, `status` and the console how far a run is.

use std::fs::OpenOptions;
use std::io::Write as _;

use anyhow::Result;

use super::Host;
use crate::report::Change;
use crate::well_known::{CONFIGURED, CONSOLE, STATUS};

impl Host {
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
            tracing::debug!("the run's status can't be saved: {error:#}");
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
        tracing::debug!("systemd was not notified: {error}");
    }
}
