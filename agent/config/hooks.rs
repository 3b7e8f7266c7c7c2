//! `hooks`: users' own commands, at three points of a boot.

use std::fmt;
use std::time::Duration;

use serde::de::{self, Deserializer, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

use super::types::{HookName, TimeSpan};
use crate::document::de::COMMAND_REMEDY;

/// The shell of commands that are given as a text.
pub const SHELL: &str = "/bin/sh";

/// `hooks`: users' own commands. Those of a point run one after the other, in their order.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Hooks {
    /// Commands that run before Docker starts, when the volumes are mounted and Docker's settings are written.
    pub before_docker: Vec<Hook>,
    /// Commands that run when Docker is up, before the ECS agent starts. An instance on its way into a warm pool runs them, too.
    pub before_ecs: Vec<Hook>,
    /// Commands that run when the ECS agent has registered, before the signal.
    pub after_registration: Vec<Hook>,
}

impl Hooks {
    /// Returns the hooks of a point.
    pub fn at(&self, point: HookPoint) -> &[Hook] {
        match point {
            HookPoint::BeforeDocker => &self.before_docker,
            HookPoint::BeforeEcs => &self.before_ecs,
            HookPoint::AfterRegistration => &self.after_registration,
        }
    }
}

/// A point of a boot at which hooks run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HookPoint {
    /// Before Docker starts.
    BeforeDocker,
    /// Between the start of Docker and the start of the ECS agent.
    BeforeEcs,
    /// After the ECS agent's registration.
    AfterRegistration,
}

impl HookPoint {
    /// The points, in the order of a boot.
    pub const ALL: [HookPoint; 3] = [HookPoint::BeforeDocker, HookPoint::BeforeEcs, HookPoint::AfterRegistration];

    /// Returns the key below `hooks`, which is also the name of the plan's step.
    pub fn key(self) -> &'static str {
        match self {
            HookPoint::BeforeDocker => "before_docker",
            HookPoint::BeforeEcs => "before_ecs",
            HookPoint::AfterRegistration => "after_registration",
        }
    }
}

/// A command that a user wants run on the instance, as root.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Hook {
    /// The hook's name in the plan, the report and the journal. Each hook has its own.
    pub name: HookName,
    /// The program and its arguments, as a list; or a text for `/bin/sh`. Every user of the host can read both while they run.
    pub run: Command,
    /// The longest that the command may take. Then its whole process tree is ended.
    #[serde(default)]
    pub timeout: StepTimeout,
    /// The meaning of a failure: it fails the run, or is a warning.
    #[serde(default)]
    pub on_failure: OnFailure,
    /// True for a command that runs on every boot. Otherwise the command runs until it has succeeded once on the instance.
    #[serde(default)]
    pub every_boot: bool,
}

/// A program with its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// An absolute path, or a name to look up in PATH.
    pub program: String,
    /// The arguments.
    pub arguments: Vec<String>,
}

impl Command {
    /// Makes the command of a list of a program and its arguments.
    fn of_list(list: Vec<String>) -> Result<Self, String> {
        if list.iter().any(|item| item.contains('\0')) {
            return Err("a command can't have a null character\nremove it".to_owned());
        }
        let mut list = list.into_iter();
        match list.next() {
            Some(program) if program.contains(char::is_whitespace) => Err(
                "the program's name has a blank in it\nmake each argument an item of its own, or write a text for /bin/sh"
                    .to_owned(),
            ),
            Some(program) if program.starts_with('/') || !program.contains('/') && !program.is_empty() => {
                Ok(Command { program, arguments: list.collect() })
            }
            Some(program) if program.contains('/') => {
                Err(format!("`{program}` is not an absolute path\nbegin the program's path with /"))
            }
            _ => Err(format!("the hook has no program\n{COMMAND_REMEDY}")),
        }
    }

    /// Makes the command that has the shell read a text.
    fn of_text(text: &str) -> Result<Self, String> {
        match text.trim().is_empty() {
            true => Self::of_list(Vec::new()),
            false => Self::of_list([SHELL, "-c", text].map(str::to_owned).to_vec()),
        }
    }
}

impl<'de> Deserialize<'de> for Command {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct CommandVisitor;

        impl<'de> Visitor<'de> for CommandVisitor {
            type Value = Command;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a command")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Command, E> {
                Command::of_text(text).map_err(E::custom)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Command, A::Error> {
                let list = Vec::deserialize(de::value::SeqAccessDeserializer::new(items))?;
                Command::of_list(list).map_err(de::Error::custom)
            }
        }

        deserializer.deserialize_any(CommandVisitor)
    }
}

/// `timeout` of a hook or a pull, five minutes unless given.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct StepTimeout(pub TimeSpan);

impl Default for StepTimeout {
    fn default() -> Self {
        StepTimeout(TimeSpan(Duration::from_secs(5 * 60)))
    }
}

/// The meaning of a hook's failure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// The run fails.
    #[default]
    Fail,
    /// The report has a warning, and the run goes on.
    Warn,
}
