//! The actions of a plan: end states of a host, each described in words.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::contents::Contents;
use super::edit::Edit;
use crate::config::types::{Device, HookName, ImageName, Mode};
use crate::config::{Command, Filesystem, OnFailure};
use crate::well_known::ECS_CONFIG;

/// The program that keeps its data on a volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum VolumeUser {
    /// Docker, or containerd on its behalf: their layers ask more of a filesystem than files do.
    Docker,
    /// Any other program.
    Others,
}

/// The end states that the host can be brought to.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum Action {
    /// This file has these contents and this mode.
    WriteFile(File),
    /// This file of another program has these lines in this section.
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
        /// True if the directory gets the label of the host's SELinux policy when it is made. Parents that are made get
        /// theirs, too.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        label: bool,
    },
    /// This directory exists, and has the label of the host's SELinux policy. A directory with content keeps its label.
    EnsureLabel {
        /// The directory.
        path: String,
    },
    /// This device holds this filesystem. The filesystem is made only on a blank device.
    EnsureFilesystem {
        /// The device of the volume.
        device: Device,
        /// The filesystem.
        filesystem: Filesystem,
        /// The filesystem's label.
        label: String,
        /// The program that keeps its data on the filesystem.
        user: VolumeUser,
    },
    /// This directory exists and can be mounted over. Files that the mount will hide are reported.
    EnsureMountPoint {
        /// The directory.
        path: String,
        /// True if the directory gets a label, as for [`Action::EnsureDirectory`].
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        label: bool,
    },
    /// The mounted filesystem of this device is as large as the device.
    EnsureFilesystemFillsDevice {
        /// The device of the volume.
        device: Device,
        /// The filesystem.
        filesystem: Filesystem,
        /// The mount point of the volume.
        mount: String,
    },
    /// systemd knows the unit files as they are.
    ReloadUnits,
    /// This unit runs, with its configuration as it is now.
    StartUnit {
        /// The unit.
        unit: String,
        /// The kind of start: awaited, or only queued.
        start: Start,
    },
    /// These units don't run, unless this mount is there: they would keep open the files that the mount hides.
    StopUnits {
        /// The units. The last one tells whether they run, since the others need it.
        units: Vec<String>,
        /// The unit of the mount.
        unless: String,
    },
    /// This unit runs, and has mounted the filesystem of this device: another disk may have the same label.
    Mount {
        /// The unit.
        unit: String,
        /// The device of the volume.
        device: Device,
        /// The label by which the unit finds it.
        label: String,
        /// The mount point of the volume.
        mount: String,
    },
    /// systemd knows that the host is configured: units ordered after this agent may start.
    NotifyReady,
    /// This command of the user has run to its end.
    RunHook(HookRun),
    /// Docker has this image, or has begun to pull it.
    PullImage(Pull),
    /// This condition holds.
    WaitFor(Wait),
}

/// An image that Docker pulls.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Pull {
    /// The image.
    pub image: ImageName,
    /// The longest time to wait.
    #[serde(serialize_with = "as_seconds")]
    pub timeout: Duration,
    /// True if a failure fails the run. Otherwise it is a warning.
    pub required: bool,
    /// True if an image that Docker has is not asked for again.
    pub unless_there: bool,
    /// True if the run goes on meanwhile.
    pub beside: bool,
}

/// A command of the user, and its conditions.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HookRun {
    /// The hook's name.
    pub name: HookName,
    /// The program and its arguments. They may be secret, and are not shown.
    #[serde(skip)]
    pub command: Command,
    /// The longest time to wait. Then the whole process tree is ended.
    #[serde(serialize_with = "as_seconds")]
    pub timeout: Duration,
    /// The meaning of a failure.
    pub on_failure: OnFailure,
    /// The file of the variables that the command gets, where there is a proxy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<&'static str>,
}

/// A file that only this agent writes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct File {
    /// The file.
    pub path: String,
    /// The whole contents of the file.
    pub contents: Contents,
    /// Permissions.
    pub mode: Mode,
    /// The units that must be restarted when it changes.
    #[serde(serialize_with = "one_or_list")]
    pub read_by: Vec<String>,
}

/// The ways to start a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// Waits until the unit has started, and fails if it does not.
    Await,
    /// Queues the start and goes on: the unit may be ordered after this agent, or after cloud-init.
    Queue,
}

/// A wait for a condition.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Wait {
    /// The condition.
    #[serde(flatten)]
    pub condition: Condition,
    /// The longest time to wait.
    #[serde(serialize_with = "as_seconds")]
    pub timeout: Duration,
}

/// The conditions that can be waited for.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "condition", rename_all = "snake_case")]
pub enum Condition {
    /// The device is attached.
    DevicePresent {
        /// The device that is waited for.
        device: Device,
    },
    /// The unit is active.
    UnitActive {
        /// The unit.
        unit: String,
    },
    /// The ECS agent is registered with this cluster.
    Registered {
        /// Name or ARN of the cluster; none where the ECS agent's settings name it.
        #[serde(skip_serializing_if = "Option::is_none")]
        cluster: Option<String>,
    },
}

/// Writes a single unit as text, and several as a list. Plans had text when a file had at most one reader.
fn one_or_list<S: serde::Serializer>(units: &[String], serializer: S) -> Result<S::Ok, S::Error> {
    match units {
        [] => serializer.serialize_none(),
        [unit] => serializer.serialize_str(unit),
        units => units.serialize(serializer),
    }
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
            Action::RunHook(hook) => write!(f, "run the hook {}", hook.name),
            Action::PullImage(Pull { image, unless_there, beside, .. }) => {
                let pull = if *beside { "begin to pull" } else { "pull" };
                write!(f, "{pull} {}{}", image.shown(), if *unless_there { " unless Docker has it" } else { "" })
            }
            Action::WaitFor(wait) => write!(f, "wait until {}", wait.condition),
        }
    }
}

fn with_label(label: bool) -> &'static str {
    if label { ", with its SELinux label" } else { "" }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Condition::DevicePresent { device: Device::InstanceStore } => f.write_str("the instance store is attached"),
            Condition::DevicePresent { device } => write!(f, "{device} is attached"),
            Condition::UnitActive { unit } => write!(f, "{unit} is active"),
            Condition::Registered { cluster: Some(cluster) } => {
                write!(f, "the ECS agent is registered with `{cluster}`")
            }
            Condition::Registered { cluster: None } => {
                write!(f, "the ECS agent is registered with the cluster that {ECS_CONFIG} names")
            }
        }
    }
}
