//! The folder in which the stubs keep the state that a machine would have.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::call::Call;
use crate::well_known;

const CALLS: &str = "calls.jsonl";
pub(super) const UNITS: &str = "units";
pub(super) const STARTED: &str = "started";
pub(super) const STOPPED: &str = "stopped";
pub(super) const JOURNAL: &str = "journal";
pub(super) const SHUTDOWN: &str = "shutdown";
pub(super) const TRANSIENT: &str = "transient";
pub(super) const RUN_HOOKS: &str = "run-hooks";
pub(super) const ACTIVATING: &str = "activating";
pub(super) const JOBS: &str = "jobs";
pub(super) const FAIL_AFTER: &str = "fail-after";
pub(super) const FILESYSTEMS: &str = "filesystems";
pub(super) const MOUNTS: &str = "mounts";
pub(super) const ARRAYS: &str = "arrays";

/// A mount: its source, its target below the root, and its type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mount {
    pub(super) source: String,
    pub(super) target: PathBuf,
    pub(super) kind: String,
}

/// The stubs' state, and the root that the agent works under.
#[derive(Debug)]
pub(super) struct StubState {
    folder: PathBuf,
    root: PathBuf,
}

impl StubState {
    pub(super) fn new(folder: PathBuf, root: PathBuf) -> Self {
        Self { folder, root }
    }

    /// Returns the place of a host's path below the root. A path that is below the root already stays as it is.
    pub(super) fn hosted(&self, path: &str) -> PathBuf {
        if Path::new(path).starts_with(&self.root) {
            return path.into();
        }
        self.root.join(path.trim_start_matches('/'))
    }

    /// Returns the path of a named device: below the root if it exists there, else as named.
    pub(super) fn device(&self, name: &str) -> PathBuf {
        let hosted = self.hosted(name);
        if hosted.exists() { hosted } else { name.into() }
    }

    /// Returns the path of a named device itself: all links to the device give the same path.
    pub(super) fn real(&self, name: &str) -> String {
        let device = self.device(name);
        fs::canonicalize(&device).unwrap_or(device).to_string_lossy().into_owned()
    }

    /// Appends a call, in one write of one line: lines of stubs that run at the same time don't mix.
    pub(super) fn record(&self, call: &Call) -> io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        let mut line = serde_json::to_vec(call)?;
        line.push(b'\n');
        let mut file = fs::OpenOptions::new().create(true).append(true).open(self.folder.join(CALLS))?;
        file.write_all(&line)
    }

    pub(super) fn calls(&self) -> Vec<Call> {
        let lines = fs::read_to_string(self.folder.join(CALLS)).unwrap_or_default();
        lines.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Returns the path of an entry.
    pub(super) fn entry(&self, kind: &str, name: &str) -> PathBuf {
        self.folder.join(kind).join(escaped(name))
    }

    pub(super) fn read(&self, kind: &str, name: &str) -> Option<String> {
        fs::read_to_string(self.entry(kind, name)).ok()
    }

    /// Writes an entry atomically: the fake cloud and other stubs may read these files at any time.
    pub(super) fn write(&self, kind: &str, name: &str, text: &str) -> io::Result<()> {
        fs::create_dir_all(self.folder.join(kind))?;
        let unfinished = self.folder.join(format!("unfinished-{}", std::process::id()));
        fs::write(&unfinished, text)?;
        fs::rename(unfinished, self.entry(kind, name))
    }

    pub(super) fn remove(&self, kind: &str, name: &str) -> io::Result<()> {
        unless_missing(fs::remove_file(self.entry(kind, name)))
    }

    /// Removes all entries of a kind.
    pub(super) fn clear(&self, kind: &str) -> io::Result<()> {
        unless_missing(fs::remove_dir_all(self.folder.join(kind)))
    }

    /// Returns all entries of a kind, sorted by name.
    pub(super) fn entries(&self, kind: &str) -> Vec<(String, String)> {
        let folder = fs::read_dir(self.folder.join(kind)).into_iter().flatten().flatten();
        let entry = |entry: fs::DirEntry| {
            let name = entry.file_name().into_string().ok()?;
            Some((name, fs::read_to_string(entry.path()).ok()?))
        };
        let mut entries: Vec<_> = folder.filter_map(entry).collect();
        entries.sort();
        entries
    }

    /// Returns the path of a unit's own file below the root, for units that the agent writes.
    pub(super) fn unit_file(&self, unit: &str) -> PathBuf {
        self.hosted(well_known::UNITS).join(unit)
    }

    /// Tells whether systemd knows the unit.
    pub(super) fn has_unit(&self, unit: &str) -> bool {
        let units = fs::read_to_string(self.folder.join(UNITS)).unwrap_or_default();
        units.lines().any(|known| known.trim() == unit) || self.unit_file(unit).is_file()
    }

    /// Returns the milliseconds after which a unit fails, and its exit code then.
    pub(super) fn scripted_failure(&self, unit: &str) -> Option<(u64, i32)> {
        let script = self.read(FAIL_AFTER, unit)?;
        let (after, exit) = script.trim().split_once(' ')?;
        Some((after.parse().ok()?, exit.parse().ok()?))
    }

    pub(super) fn mounts(&self) -> Vec<Mount> {
        let mount = |(_, text): (String, String)| {
            let mut lines = text.lines().map(str::to_owned);
            Some(Mount { source: lines.next()?, target: lines.next()?.into(), kind: lines.next()? })
        };
        self.entries(MOUNTS).into_iter().filter_map(mount).collect()
    }

    /// Records a mount, and makes its mount point as systemd does.
    pub(super) fn mount(&self, mount: &Mount) -> io::Result<()> {
        fs::create_dir_all(&mount.target)?;
        let target = mount.target.to_string_lossy();
        let text = format!("{}\n{target}\n{}\n", mount.source, mount.kind);
        self.write(MOUNTS, &target, &text)
    }

    pub(super) fn unmount(&self, target: &Path) -> io::Result<()> {
        self.remove(MOUNTS, &target.to_string_lossy())
    }
}

/// Makes a removal succeed if there was nothing to remove.
pub(super) fn unless_missing(removed: io::Result<()>) -> io::Result<()> {
    removed.or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })
}

/// Makes a file name from any text: slashes become `%2F`.
fn escaped(text: &str) -> String {
    text.replace('%', "%25").replace('/', "%2F")
}
