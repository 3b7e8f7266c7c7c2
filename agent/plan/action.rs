//! The actions of a plan: the end states that a host can be brought to, each in words for a person.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::contents::Contents;
use super::edit::Edit;
use crate::config::Filesystem;
use crate::config::types::{Device, Mode};
use crate::well_known::ECS_CONFIG;

/// The program that keeps its data on a volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum VolumeUser {
    /// Docker, or containerd for it: their layers ask more of a filesystem than files do.
    Docker,
    /// Any other.
    Others,
}

/// The end states that the host can be brought to.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum Action {
    /// This file has these contents and this mode.
    WriteFile(File),
    /// This file of somebody else's has these lines in this section.
    EditFile(Edit),
    /// This file does not exist.
    RemoveFile {
        /// The file.
        path: String,
        /// The units that must be restarted if it was there.
        #[serde(serialize_with = "one_or_list")]
        read_by: Vec<String>,
    },
    /// This file of another program exists, and its owner alone reads it and the older files that its rotation keeps.
    EnsurePrivateFile {
        /// The file.
        path: String,
        /// The contents that it gets where it is missing or empty.
        initial: &'static str,
    },
    /// This directory exists, with this owner and mode.
    EnsureDirectory {
        /// The directory.
        path: String,
        /// User id and group id.
        owner: (u32, u32),
        /// Permissions.
        mode: Mode,
        /// True where it gets the label of the host's SELinux policy when it is made, and those above it that are made.
        #[serde(skip_serializing_if = "is_false")]
        label: bool,
    },
    /// This directory exists, and has the label of the host's SELinux policy. One with content keeps its label.
    EnsureLabel {
        /// The directory.
        path: String,
    },
    /// This device holds this filesystem. It is made only on a device that is blank.
    EnsureFilesystem {
        /// Where the device is found.
        device: Device,
        /// The filesystem.
        filesystem: Filesystem,
        /// Its label.
        label: String,
        /// The program that keeps its data on it.
        user: VolumeUser,
    },
    /// This directory is there to be mounted over. What it holds itself is told, because the mount hides it.
    EnsureMountPoint {
        /// The directory.
        path: String,
        /// As of [`Action::EnsureDirectory`].
        #[serde(skip_serializing_if = "is_false")]
        label: bool,
    },
    /// The mounted filesystem of this device is as large as the device.
    EnsureFilesystemFillsDevice {
        /// Where the device is found.
        device: Device,
        /// The filesystem.
        filesystem: Filesystem,
        /// Where it is mounted.
        mount: String,
    },
    /// systemd knows the unit files as they are.
    ReloadUnits,
    /// This unit runs, with its configuration as it is now.
    StartUnit {
        /// The unit.
        unit: String,
        /// Whether to wait until it has started.
        start: Start,
    },
    /// These units don't run, unless this mount is there: they would keep open what it hides.
    StopUnits {
        /// The units, of which the last one tells whether they run.
        units: Vec<String>,
        /// The unit of the mount.
        unless: String,
    },
    /// This unit runs, and what it mounted is the filesystem of this device: another disk may have the same label.
    Mount {
        /// The unit.
        unit: String,
        /// Where the device is found.
        device: Device,
        /// The label by which the unit finds it.
        label: String,
        /// Where it is mounted.
        mount: String,
    },
    /// systemd knows that the host is configured: units ordered after this agent may start.
    NotifyReady,
    /// This condition holds.
    WaitFor(Condition),
}

/// A file that is this agent's alone.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct File {
    /// The file.
    pub path: String,
    /// All of it.
    pub contents: Contents,
    /// Permissions.
    pub mode: Mode,
    /// The units that must be restarted when it changes.
    #[serde(serialize_with = "one_or_list")]
    pub read_by: Vec<String>,
}

/// How a unit is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// Wait until it has started, and fail if it does not.
    Await,
    /// Queue its start and go on: it may be ordered after this agent, or after cloud-init.
    Queue,
}

/// What can be waited for.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "condition", rename_all = "snake_case")]
pub enum Condition {
    /// The device is attached.
    DevicePresent {
        /// Where it is found.
        device: Device,
        /// The longest that it may take.
        #[serde(serialize_with = "as_seconds")]
        timeout: Duration,
    },
    /// The unit is active.
    UnitActive {
        /// The unit.
        unit: String,
        /// The longest that it may take.
        #[serde(serialize_with = "as_seconds")]
        timeout: Duration,
    },
    /// The ECS agent is registered with this cluster.
    Registered {
        /// Name or ARN of the cluster; none where the ECS agent's settings name it.
        #[serde(skip_serializing_if = "Option::is_none")]
        cluster: Option<String>,
        /// The longest that it may take.
        #[serde(serialize_with = "as_seconds")]
        timeout: Duration,
    },
}

impl Condition {
    /// The longest that the condition may take to hold.
    pub fn timeout(&self) -> Duration {
        match self {
            Condition::DevicePresent { timeout, .. }
            | Condition::UnitActive { timeout, .. }
            | Condition::Registered { timeout, .. } => *timeout,
        }
    }
}

/// One unit stands for itself, as in plans of the time when a file had one reader at most.
fn one_or_list<S: serde::Serializer>(units: &[String], serializer: S) -> Result<S::Ok, S::Error> {
    match units {
        [] => serializer.serialize_none(),
        [unit] => serializer.serialize_str(unit),
        units => units.serialize(serializer),
    }
}

fn is_false(value: &bool) -> bool {
    !value
}

fn as_seconds<S: serde::Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(duration.as_secs())
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Action::WriteFile(file) => write!(f, "write {}", file.path),
            Action::EditFile(edit) if edit.lines.is_empty() => {
                write!(f, "remove ecs-firstrun's lines from {}", edit.path)
            }
            Action::EditFile(edit) => write!(f, "set {} in {}", edit.keys().collect::<Vec<_>>().join(", "), edit.path),
            Action::RemoveFile { path, .. } => write!(f, "remove {path}"),
            Action::EnsurePrivateFile { path, .. } => write!(f, "close {path} to others"),
            Action::EnsureDirectory { path, owner, mode, label } => {
                write!(f, "make directory {path} ({}:{}, {mode}{})", owner.0, owner.1, with_label(*label))
            }
            Action::EnsureLabel { path } => write!(f, "label {path} if it is empty"),
            Action::EnsureFilesystem { device, filesystem, label, .. } => {
                let device =
                    if *device == Device::InstanceStore { "the instance store".to_owned() } else { device.to_string() };
                write!(f, "make {} `{label}` on {device} if it is blank", filesystem.name())
            }
            Action::EnsureMountPoint { path, label: false } => write!(f, "make mount point {path}"),
            Action::EnsureMountPoint { path, .. } => write!(f, "make mount point {path} (with its SELinux label)"),
            Action::EnsureFilesystemFillsDevice { device, filesystem, .. } => {
                write!(f, "grow {} on {device} if the volume is larger", filesystem.name())
            }
            Action::ReloadUnits => f.write_str("reload systemd's units"),
            Action::StartUnit { unit, start: Start::Await } | Action::Mount { unit, .. } => write!(f, "start {unit}"),
            Action::StopUnits { units, unless } => write!(f, "stop {} unless {unless} runs", units.join(" and ")),
            Action::StartUnit { unit, start: Start::Queue } => write!(f, "queue the start of {unit}"),
            Action::NotifyReady => f.write_str("tell systemd that the host is configured"),
            Action::WaitFor(condition) => write!(f, "wait until {condition}"),
        }
    }
}

fn with_label(label: bool) -> &'static str {
    if label { ", with its SELinux label" } else { "" }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Condition::DevicePresent { device: Device::InstanceStore, .. } => {
                f.write_str("the instance store is attached")
            }
            Condition::DevicePresent { device, .. } => write!(f, "{device} is attached"),
            Condition::UnitActive { unit, .. } => write!(f, "{unit} is active"),
            Condition::Registered { cluster: Some(cluster), .. } => {
                write!(f, "the ECS agent is registered with `{cluster}`")
            }
            Condition::Registered { cluster: None, .. } => {
                write!(f, "the ECS agent is registered with the cluster that {ECS_CONFIG} names")
            }
        }
    }
}
