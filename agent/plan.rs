//! The plan: what a run does to the host, as a value.
//!
//! [`plan`] is pure and can't fail: what is wrong was refused by the parser, and what only the machine knows is phrased
//! as an end state that is looked up while acting. Each action can be done twice: the second time there is nothing to do.

mod docker;
mod ecs;
mod edit;
mod logs;
mod private;
mod proxy;
mod rewrite;
mod show;
mod storage;
mod systemd;

use std::fmt;
use std::time::Duration;

use serde::Serialize;

pub use self::ecs::{RESERVED_MEMORY, more_than_memory};
pub use self::edit::{Edit, toml_error};
pub use self::logs::CLOUDWATCH_JSON;
pub use self::rewrite::{Before, Rewrite};
pub use self::show::{Changes, Foreseen, Foresight, Preview};
use crate::config::types::{Device, Mode};
use crate::config::{Config, Filesystem};
use crate::instance::Instance;

/// The steps of a run, in order.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    /// What is done.
    pub steps: Vec<Step>,
    /// What a person should know about what is not done.
    pub notes: Vec<String>,
}

/// A group of actions that a person would name as one thing.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Step {
    /// `logs`, `proxy`, `storage`, `docker`, `ecs`, `start` or `wait`.
    pub name: &'static str,
    /// What is done, in order.
    pub actions: Vec<Planned>,
}

/// An action and the reason for it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Planned {
    /// The end state.
    #[serde(flatten)]
    pub action: Action,
    /// Why it is wanted.
    pub why: String,
}

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

/// The contents of a file; shown only if they hold no secret.
#[derive(Clone, PartialEq)]
pub enum Contents {
    /// May be shown.
    Open(String),
    /// Must not be shown; readable by root alone.
    Secret(String),
}

impl Contents {
    /// The contents themselves.
    pub fn reveal(&self) -> &str {
        match self {
            Contents::Open(text) | Contents::Secret(text) => text,
        }
    }
}

impl fmt::Debug for Contents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Contents::Open(text) => text.fmt(f),
            Contents::Secret(_) => f.write_str("***"),
        }
    }
}

impl Serialize for Contents {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Contents::Open(text) => serializer.serialize_str(text),
            Contents::Secret(_) => serializer.serialize_str("***"),
        }
    }
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
        /// Name or ARN of the cluster.
        cluster: String,
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

fn as_seconds<S: serde::Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(duration.as_secs())
}

/// What a run with this configuration does on this instance.
pub fn plan(config: &Config, instance: &Instance) -> Plan {
    let steps = [
        ("logs", logs::actions(config, instance)),
        ("proxy", proxy::actions(config, instance)),
        ("storage", storage::actions(config, instance)),
        ("docker", docker::actions(config, instance)),
        ("ecs", ecs::actions(config)),
        ("start", ecs::start(config, instance)),
        ("wait", ecs::wait(config, instance)),
    ];
    let steps = steps.into_iter().filter(|(_, actions)| !actions.is_empty());
    let steps = steps.map(|(name, actions)| Step { name, actions }).collect();
    let notes = [docker::note(config, instance), ecs::note(config, instance)];
    let obstacle = obstacle(config, instance).map(|why| format!("a run fails before it starts anything: {why}"));
    let notes =
        logs::notes(config, instance).into_iter().chain(notes.into_iter().chain([obstacle]).flatten()).collect();
    Plan { steps, notes }
}

/// Says why a run with this configuration fails on this instance before it starts anything.
pub fn obstacle(config: &Config, instance: &Instance) -> Option<String> {
    let no_logs = || {
        logs::missing(config, instance).filter(|_| config.logs.required).map(|note| {
            format!("logs.required: {note}; bake an image with amazon-cloudwatch-agent, or leave `logs.required` out")
        })
    };
    ecs::obstacle(config, instance).or_else(no_logs)
}

impl Plan {
    /// Leaves out the wait for the registration, which belongs to the first run of an instance: later ones only start what
    /// has to run.
    pub fn leave_out_the_wait(&mut self) {
        self.steps.retain(|step| step.name != "wait");
    }

    /// Every file that the plan writes, with the step that writes it.
    pub fn files(&self) -> impl Iterator<Item = (&'static str, &File)> {
        let actions = self.steps.iter().flat_map(|step| step.actions.iter().map(move |planned| (step.name, planned)));
        actions.filter_map(|(step, planned)| match &planned.action {
            Action::WriteFile(file) => Some((step, file)),
            _ => None,
        })
    }
}

/// A file of ours that is wanted now, or that an earlier run left and nobody wants any more.
fn wanted_or_removed<'a>(
    wanted: Option<Planned>,
    path: &str,
    read_by: impl IntoIterator<Item = &'a str>,
    instance: &Instance,
) -> Option<Planned> {
    let removed = || {
        let read_by = read_by.into_iter().map(str::to_owned).collect();
        let action = Action::RemoveFile { path: path.to_owned(), read_by };
        instance.ours.contains(path).then(|| Planned {
            action,
            why: "an earlier run wrote it; the configuration doesn't need it any more".to_owned(),
        })
    };
    wanted.or_else(removed)
}

/// The files that a run can leave behind, for the facts of the next one.
pub mod leftovers {
    use std::collections::BTreeSet;

    pub use super::docker::image_daemon_json;
    pub use super::proxy::drop_in_path;
    use super::{docker, logs, private, proxy};
    use crate::well_known::{
        CLOUDWATCH_COMMON, DAEMON_JSON, DNF_CONF, DOCKER_UNIT, ECS_CONFIG, ECS_UNIT, SSM_AGENT_UNIT, UNITS, YUM_CONF,
    };

    /// Files whose names say that they are ours.
    pub fn own_paths() -> Vec<String> {
        let drop_ins = [DOCKER_UNIT, ECS_UNIT, SSM_AGENT_UNIT].map(proxy::drop_in_path);
        let others = [
            docker::image_daemon_json(),
            format!("{UNITS}/{DOCKER_UNIT}.d/ecs-firstrun-mounts.conf"),
            proxy::ENVIRONMENT.to_owned(),
            logs::CLOUDWATCH_JSON.to_owned(),
            logs::CLOUDWATCH_YAML.to_owned(),
        ];
        drop_ins.into_iter().chain(others).collect()
    }

    /// The folders of all files that a plan can write.
    pub fn folders() -> BTreeSet<String> {
        let shared = shared_paths().map(str::to_owned);
        let always = [ECS_CONFIG.to_owned(), DAEMON_JSON.to_owned(), format!("{UNITS}/x.mount")];
        let private = private::FILES.map(|(path, _)| path.to_owned());
        let all = own_paths().into_iter().chain(shared).chain(always).chain(private);
        all.filter_map(|path| Some(path.rsplit_once('/')?.0.to_owned())).collect()
    }

    /// Files of others, which are ours, or hold lines of ours, if they say so themselves.
    pub fn shared_paths() -> [&'static str; 6] {
        [CLOUDWATCH_COMMON, logs::AWSLOGS_CONF, logs::AWSLOGS_CLI_CONF, logs::AWSLOGS_PROXY_CONF, DNF_CONF, YUM_CONF]
    }
}

fn planned(action: Action, why: impl Into<String>) -> Planned {
    Planned { action, why: why.into() }
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
            Action::EnsureDirectory { path, owner, mode } => {
                write!(f, "make directory {path} ({}:{}, {mode})", owner.0, owner.1)
            }
            Action::EnsureFilesystem { device, filesystem, label, .. } => {
                let device =
                    if *device == Device::InstanceStore { "the instance store".to_owned() } else { device.to_string() };
                write!(f, "make {} `{label}` on {device} if it is blank", filesystem.name())
            }
            Action::EnsureMountPoint { path } => write!(f, "make mount point {path}"),
            Action::EnsureFilesystemFillsDevice { device, filesystem, .. } => {
                write!(f, "grow {} on {device} if the volume is larger", filesystem.name())
            }
            Action::ReloadUnits => f.write_str("reload systemd's units"),
            Action::StartUnit { unit, start: Start::Await } | Action::Mount { unit, .. } => write!(f, "start {unit}"),
            Action::StartUnit { unit, start: Start::Queue } => write!(f, "queue the start of {unit}"),
            Action::NotifyReady => f.write_str("tell systemd that the host is configured"),
            Action::WaitFor(condition) => write!(f, "wait until {condition}"),
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Condition::DevicePresent { device: Device::InstanceStore, .. } => {
                f.write_str("the instance store is attached")
            }
            Condition::DevicePresent { device, .. } => write!(f, "{device} is attached"),
            Condition::UnitActive { unit, .. } => write!(f, "{unit} is active"),
            Condition::Registered { cluster, .. } => write!(f, "the ECS agent is registered with `{cluster}`"),
        }
    }
}
