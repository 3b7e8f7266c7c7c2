//! All that lies below the root of a host: contents, modes, owners.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;

/// Files that report on each run, and so differ from run to run. Only their presence and mode are compared.
const TOLD: &[&str] = &[
    "var/lib/ecs-firstrun/report.json",
    "var/log/ecs-firstrun.log",
    "var/log/ecs-firstrun-runs.log",
    "run/ecs-firstrun/status",
    "run/ecs-firstrun/configured",
    "dev/console",
];
/// The version of Docker, and the size and the time of its program, which each host has anew.
const DOCKER_VERSION: &str = "var/lib/ecs-firstrun/docker-version";
pub const STATE: &str = "var/lib/ecs-firstrun/state.json";
/// Records that a run keeps for the next run while something is unfinished.
const RECORDS: &[&str] = &[
    "run/ecs-firstrun/changed/",
    "var/lib/ecs-firstrun/making/",
    "var/lib/ecs-firstrun/modes/",
    "run/ecs-firstrun/state.json",
];

#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    Folder,
    File(Vec<u8>),
    Link(String),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub kind: Kind,
    mode: u32,
    owner: (u32, u32),
}

pub type Tree = BTreeMap<String, Entry>;

/// Reads the tree below a folder, without devices: their links lead to another loop device each time.
pub fn read(root: &Path) -> Tree {
    let mut tree = Tree::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in folder.read_dir().unwrap().map(Result::unwrap) {
            let path = entry.path();
            let found = path.symlink_metadata().unwrap();
            let name = path.strip_prefix(root).unwrap().display().to_string();
            let kind = match found.file_type() {
                kind if kind.is_dir() => Kind::Folder,
                kind if kind.is_symlink() => Kind::Link(path.read_link().unwrap().display().to_string()),
                kind if kind.is_socket() => continue,
                _ if TOLD.contains(&name.as_str()) => Kind::File(Vec::new()),
                _ if name == DOCKER_VERSION => Kind::File(version_in(std::fs::read(&path).unwrap())),
                _ => Kind::File(std::fs::read(&path).unwrap()),
            };
            if kind == Kind::Folder {
                folders.push(path);
            }
            if !name.starts_with("dev/") || name == "dev/console" {
                tree.insert(name, Entry { kind, mode: found.mode() & 0o7777, owner: (found.uid(), found.gid()) });
            }
        }
    }
    tree
}

/// Returns the version alone, of a file that is whole.
fn version_in(text: Vec<u8>) -> Vec<u8> {
    match (text.iter().position(|byte| *byte == b' '), text.ends_with(b"\n")) {
        (Some(end), true) => text[..end].to_vec(),
        _ => text,
    }
}

/// Tells whether a file is temporary: it is written, but not renamed to its final name yet.
pub fn is_temporary(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    name.starts_with('.') && name.ends_with(".ecs-firstrun")
}

/// The detail in which two trees are compared.
#[derive(Clone, Copy, PartialEq)]
pub enum By {
    /// Each byte.
    All,
    /// Each byte, but for the outcome that is kept.
    Host,
    /// The files of the host, but for the outcome that is kept, and folders that may be left empty.
    Files,
}

/// The paths at which two trees differ, and how.
pub fn differences(expected: &Tree, actual: &Tree, by: By) -> Vec<String> {
    let paths: BTreeSet<_> = expected.keys().chain(actual.keys()).collect();
    let compared = |tree: &Tree, path: &str| {
        let entry = tree.get(path).filter(|entry| by != By::Files || entry.kind != Kind::Folder)?;
        let mut entry = entry.clone();
        if path == STATE {
            entry.kind = Kind::File(outcome_compared(&entry.kind, by));
        }
        Some(entry)
    };
    let differing = paths.into_iter().filter_map(|path| {
        let how = match (compared(expected, path), compared(actual, path)) {
            (expected, actual) if expected == actual => return None,
            (Some(_), None) => "is missing".to_owned(),
            (None, _) => "should not be there".to_owned(),
            (Some(expected), Some(actual)) if expected.kind != actual.kind => {
                format!("has other contents: {}", text(&actual.kind))
            }
            (Some(expected), Some(actual)) => format!(
                "has mode {:o} and owner {:?}, not {:o} and {:?}",
                actual.mode, actual.owner, expected.mode, expected.owner
            ),
        };
        Some(format!("/{path} {how}"))
    });
    differing.collect()
}

fn text(kind: &Kind) -> String {
    match kind {
        Kind::File(bytes) => format!("{:?}", String::from_utf8_lossy(bytes).chars().take(400).collect::<String>()),
        Kind::Link(target) => format!("a link to {target}"),
        Kind::Folder => "a folder".to_owned(),
    }
}

/// The state with as much of its outcome as is compared. A status that a killed run has told is there when it is told again,
/// which CloudFormation answers in other words.
fn outcome_compared(kind: &Kind, by: By) -> Vec<u8> {
    let Kind::File(bytes) = kind else { return Vec::new() };
    let mut state: serde_json::Value = serde_json::from_slice(bytes).unwrap_or_default();
    if by != By::All {
        state.as_object_mut().map(|state| state.remove("decision"));
    } else if let Some(settled) = state.pointer_mut("/decision/settled")
        && settled.as_str().is_some_and(|text| text.starts_with("accepted"))
    {
        *settled = "accepted".into();
    }
    state.to_string().into_bytes()
}

/// Lists the files that are neither as before a run nor as a complete run leaves them.
pub fn half_written(before: &Tree, after: &Tree, now: &Tree) -> Vec<String> {
    let files = now.iter().filter(|(path, entry)| matches!(entry.kind, Kind::File(_)) && !is_temporary(path));
    let of_a_run =
        |path: &str| TOLD.contains(&path) || RECORDS.iter().any(|folder| path.starts_with(folder)) || path == STATE;
    let half = files
        .filter(|(path, entry)| !of_a_run(path) && before.get(*path) != Some(entry) && after.get(*path) != Some(entry));
    half.map(|(path, entry)| format!("/{path} is half-written: {}", text(&entry.kind))).collect()
}
