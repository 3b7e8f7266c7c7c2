//! Starts units, and restarts those whose files have changed.
//!
//! A mark is left before a file that a unit reads is changed. The mark makes the next start of that unit a restart, and is
//! removed afterwards, so that the next run makes up for a run that was killed in between. The marks are in memory only,
//! since units read all files anew after a reboot.

use anyhow::Result;

use super::{Host, UnitState};
use crate::plan::Start;
use crate::report::Change;
use crate::well_known::{CHANGED, UNITS};

/// The mark which says that systemd has to reload its unit files; not the name of a unit.
pub(crate) const UNIT_FILES: &str = "unit-files";

impl Host {
    /// Leaves the marks for a file that is about to change.
    pub(super) fn mark(&self, path: &str, read_by: &[String], changes: impl FnOnce() -> Result<bool>) -> Result<()> {
        let is_unit_file = is_unit_file(path);
        if (read_by.is_empty() && !is_unit_file) || !changes()? {
            return Ok(());
        }
        for name in read_by.iter().map(String::as_str).chain(is_unit_file.then_some(UNIT_FILES)) {
            self.write(&mark_path(name), b"", 0o600)?;
        }
        Ok(())
    }

    pub(crate) fn is_marked(&self, name: &str) -> bool {
        self.at(&mark_path(name)).exists()
    }

    pub(super) async fn reload_units(&self) -> Result<Change> {
        if !self.is_marked(UNIT_FILES) {
            return Ok(Change::AlreadyDone);
        }
        self.run("systemctl", &["daemon-reload"]).await?;
        self.remove(&mark_path(UNIT_FILES))
    }

    pub(super) async fn start_unit(&self, unit: &str, start: Start) -> Result<Change> {
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
            self.remove(&mark_path(unit))?;
        }
        Ok(Change::Made)
    }

    /// Stops units, unless a mount is there. If the last unit does not run, nothing is done, and a queued start stays
    /// queued.
    pub(super) async fn stop_units(&self, units: &[String], unless: &str) -> Result<Change> {
        if self.is_started(unless, &self.unit_state(unless).await?) || self.are_stopped(units).await? {
            return Ok(Change::AlreadyDone);
        }
        let arguments: Vec<_> = ["stop"].into_iter().chain(units.iter().map(String::as_str)).collect();
        self.run("systemctl", &arguments).await?;
        Ok(Change::Made)
    }

    /// Tells whether the last of these units, which the others need, does not run.
    pub(crate) async fn are_stopped(&self, units: &[String]) -> Result<bool> {
        let Some(last) = units.last() else { return Ok(true) };
        Ok(matches!(self.unit_state(last).await?.active.as_str(), "inactive" | "failed"))
    }

    /// Tells whether a unit runs with its current configuration.
    pub(crate) fn is_started(&self, unit: &str, state: &UnitState) -> bool {
        state.is_active() && !self.is_marked(unit)
    }
}

fn mark_path(name: &str) -> String {
    format!("{CHANGED}/{name}")
}

pub(crate) fn is_unit_file(path: &str) -> bool {
    path.strip_prefix(UNITS).is_some_and(|below| below.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::MetadataExt as _;

    use tokio::time::Instant;

    use super::*;
    use crate::config::types::Mode;
    use crate::ecs_agent::EcsAgent;
    use crate::host::scratch;
    use crate::plan::{Action, Contents, File};
    use crate::well_known::ECS_ENDPOINT;

    #[tokio::test]
    async fn a_file_is_written_once_and_marks_its_readers() {
        let (_root, host) = scratch();
        let file = File {
            path: "/etc/systemd/system/x.service.d/y.conf".to_owned(),
            contents: Contents::Open("a\n".to_owned()),
            mode: Mode(0o640),
            read_by: vec!["x.service".to_owned(), "y.service".to_owned()],
        };
        let action = Action::WriteFile(file);
        let (ecs_agent, deadline) = (EcsAgent::new(ECS_ENDPOINT).unwrap(), Instant::now());
        assert_eq!(host.perform(&action, &ecs_agent, deadline).await.unwrap(), Change::Made);
        assert!(["x.service", "y.service", UNIT_FILES].iter().all(|name| host.is_marked(name)));
        host.remove(&mark_path("x.service")).unwrap();
        assert_eq!(host.perform(&action, &ecs_agent, deadline).await.unwrap(), Change::AlreadyDone);
        assert!(!host.is_marked("x.service"));
        let names: Vec<_> =
            fs::read_dir(host.at("/etc/systemd/system/x.service.d")).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names, ["y.conf"]);
        assert_eq!(fs::metadata(host.at("/etc/systemd/system/x.service.d/y.conf")).unwrap().mode() & 0o7777, 0o640);
    }
}
