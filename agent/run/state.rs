//! The state of an instance, kept between runs and readable by root alone.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, anyhow};
use serde::{Deserialize, Serialize};

use super::cause::with_remedy;
pub use super::stage::Stage;
use crate::aws::cloudformation::Status;
use crate::aws::imds::Identity;
use crate::config::Config;
use crate::host::{Host, file_of};
use crate::instance::Instance;
use crate::text::json_error;
use crate::well_known::{STATE_FILE, STATE_IN_MEMORY};

const VERSION: u32 = 1;
const MODE: u32 = 0o600;

/// The state of one instance. That of another instance, baked into an image by mistake, is not used.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct State {
    version: u32,
    /// The instance that this is the state of.
    pub instance_id: String,
    /// The outcome of its first run for service, once that is known.
    pub decision: Option<Decision>,
    /// The outcome of its first run in a warm pool.
    #[serde(default)]
    pub in_warm_pool: Option<Decision>,
    /// Set once a later run for service has succeeded, although the first one had failed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub has_recovered: bool,
    /// Names of the users' commands that have succeeded.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub hooks: BTreeSet<String>,
    /// Set once the group was told of the instance's failure, or the machine is about to be powered off for it: no later
    /// boot does either again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_out: bool,
    /// Names of the images that were pulled.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub pulled: BTreeSet<String>,
    /// The references whose values runs have put into the files, each with its place. A value in a file whose reference is not
    /// listed here comes from the image.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<String>,
    /// The documents and the identity that a boot without instance metadata works with.
    pub kept: Option<Kept>,
    /// Set if a run decided this while the file on disk could not be read.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    apart: bool,
    #[serde(skip)]
    on_disk: OnDisk,
}

/// The condition of the file on disk when the state was loaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum OnDisk {
    /// It was read, or there was none.
    #[default]
    Known,
    /// It is not what a run wrote.
    Damaged,
    /// The disk did not give it.
    Unreadable,
}

/// The part of a state that every version has to have.
#[derive(Deserialize)]
struct Core {
    version: u32,
    instance_id: String,
    decision: Option<Decision>,
    #[serde(default)]
    in_warm_pool: Option<Decision>,
    #[serde(default)]
    hooks: BTreeSet<String>,
    #[serde(default)]
    is_out: bool,
    #[serde(default)]
    has_recovered: bool,
}

/// The outcome that CloudFormation and Auto Scaling are told, whatever happens later.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Decision {
    /// SUCCESS or FAILURE.
    pub status: Status,
    /// The reason, for a wait condition.
    pub reason: String,
    /// True if somebody waited for the outcome. An outcome that nobody waited for is that of no first run.
    #[serde(default = "yes")]
    pub waited_for: bool,
    /// The answer of CloudFormation; none as long as the outcome has to be sent.
    pub settled: Option<String>,
    /// The answer of Auto Scaling; none as long as the action has to be completed.
    #[serde(default)]
    pub hook_settled: Option<String>,
}

fn yes() -> bool {
    true
}

impl Decision {
    /// Makes a decision that somebody waits for and that nobody has been told yet.
    pub fn of(status: Status, reason: String) -> Self {
        Decision { status, reason, waited_for: true, settled: None, hook_settled: None }
    }

    /// Tells whether CloudFormation or Auto Scaling has received the outcome.
    fn is_told(&self) -> bool {
        self.settled.is_some() || self.hook_settled.is_some()
    }
}

/// The configuration and identity of the last run that had them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Kept {
    /// The user data, in base64.
    pub user_data: Option<String>,
    /// The variables of the shell original.
    pub variables: BTreeMap<String, String>,
    /// The identity of the instance.
    pub identity: Identity,
}

impl State {
    /// Loads the state that an earlier run left; a new one if there is none that can be read. Changes nothing on the host.
    pub fn load(host: &Host) -> Self {
        let path = host.state_path(STATE_FILE);
        let (saved, on_disk) = match Self::read(host, &path) {
            Ok(saved) => (saved, OnDisk::Known),
            Err(error) if error.chain().any(|cause| cause.is::<std::io::Error>()) => {
                tracing::warn!(
                    "starting from scratch, since the saved state can't be read: {:#}; make {path} readable, or move it \
                    away; until then, the file is not changed, and a run's outcome is kept only until the next boot",
                    with_remedy(error)
                );
                (None, OnDisk::Unreadable)
            }
            Err(error) => {
                tracing::warn!("starting from scratch: {error:#}");
                (None, OnDisk::Damaged)
            }
        };
        let in_memory = Self::read(host, STATE_IN_MEMORY).unwrap_or_else(|error| {
            tracing::warn!("the outcome of an earlier run on this boot is not known: {error:#}");
            None
        });
        let is_known = in_memory.as_ref().is_some_and(|state| !state.apart);
        let state = match (in_memory, saved) {
            (Some(in_memory), Some(saved)) if in_memory.apart => in_memory.joined_with(saved),
            // That in memory is there only as long as it is the newer one.
            (in_memory, saved) => in_memory.or(saved).unwrap_or_default(),
        };
        State { apart: on_disk == OnDisk::Unreadable && !is_known, on_disk, ..state }
    }

    fn read(host: &Host, path: &str) -> Result<Option<Self>> {
        let Some(text) = host.read(path)? else { return Ok(None) };
        Self::parse(&text).map(Some).map_err(|why| anyhow!("{path} {why}"))
    }

    /// Reads a state back, of another version its decisions; else why it is none, for a sentence about the file.
    pub fn parse(text: &str) -> Result<Self, String> {
        let of_this_version = serde_json::from_str(text).ok().filter(|state: &State| state.version == VERSION);
        let decisions = || {
            let Core { version, instance_id, decision, in_warm_pool, hooks, is_out, has_recovered } =
                serde_json::from_str(text)?;
            tracing::warn!(
                "only the decisions of {STATE_FILE} are used: the rest is of version {version}, not {VERSION}, or damaged"
            );
            Ok(State { instance_id, decision, in_warm_pool, hooks, is_out, has_recovered, ..State::default() })
        };
        let parsed = of_this_version.map_or_else(decisions, Ok);
        parsed.map_err(|error: serde_json::Error| format!("can't be parsed: {}", json_error(&error)))
    }

    /// Joins this state, which was decided without knowing the saved one, with the saved one. The first decision holds,
    /// unless only the later one was told.
    fn joined_with(self, saved: State) -> State {
        if saved.instance_id != self.instance_id {
            return self;
        }
        let first = |saved: Option<Decision>, later: Option<Decision>| match (&saved, &later) {
            (Some(first), Some(second)) if second.is_told() && !first.is_told() => later,
            _ => saved.or(later),
        };
        State {
            decision: first(saved.decision, self.decision),
            in_warm_pool: first(saved.in_warm_pool, self.in_warm_pool),
            hooks: &self.hooks | &saved.hooks,
            is_out: self.is_out || saved.is_out,
            has_recovered: self.has_recovered || saved.has_recovered,
            pulled: &self.pulled | &saved.pulled,
            references: if self.references.is_empty() { saved.references } else { self.references },
            kept: self.kept.or(saved.kept),
            ..State { instance_id: self.instance_id, ..State::default() }
        }
    }

    /// Returns the decision at this stage.
    pub fn decided(&self, stage: Stage) -> Option<&Decision> {
        match stage {
            Stage::WarmPool => self.in_warm_pool.as_ref(),
            Stage::Service => self.decision.as_ref(),
        }
    }

    /// Tells whether the first run of this instance, at its stage, is over.
    pub fn has_outcome_of(&self, identity: &Identity) -> bool {
        let decided = self.decided(Stage::of(identity)).is_some_and(|decision| decision.waited_for);
        decided && self.instance_id == identity.instance_id
    }

    /// Adds to the facts of an instance what earlier runs have done on it: the users' commands that have succeeded, and the
    /// images that were pulled.
    pub fn tell(&self, instance: &mut Instance) {
        if self.instance_id == instance.instance_id {
            instance.hooks.clone_from(&self.hooks);
            instance.pulled.clone_from(&self.pulled);
        }
    }

    /// Returns the place of the decision at this stage.
    pub fn decided_mut(&mut self, stage: Stage) -> &mut Option<Decision> {
        match stage {
            Stage::WarmPool => &mut self.in_warm_pool,
            Stage::Service => &mut self.decision,
        }
    }

    /// Forgets an outcome that was decided while nobody waited for one, now that somebody does. The outcome may be that of
    /// an image's own configuration, before a script of the user data named the cluster and the recipients.
    pub fn forget_what_nobody_waited_for(&mut self, stage: Stage) {
        let decided = self.decided_mut(stage);
        if decided.as_ref().is_some_and(|decision| !decision.waited_for) {
            *decided = None;
        }
    }

    /// Keeps the names of the references whose values a run has put into a file.
    pub fn keep_references(&mut self, host: &Host, config: &Config, path: &str) {
        let count = self.references.len();
        self.references.retain(|name| config.references.iter().any(|placed| placed.to_string() == *name));
        let mut is_new = self.references.len() < count;
        for placed in config.references.iter().filter(|placed| file_of(&placed.place) == Some(path)) {
            let name = placed.to_string();
            if !self.references.contains(&name) {
                self.references.push(name);
                is_new = true;
            }
        }
        if is_new {
            self.save(host);
        }
    }

    /// Forgets what belongs to another instance.
    pub fn begin_instance(&mut self, instance_id: &str) {
        // Where the id is not known, this may be the state of another instance, baked into the image: it is not used.
        if self.instance_id != instance_id || instance_id.is_empty() {
            let State { apart, on_disk, .. } = *self;
            *self = State { instance_id: instance_id.to_owned(), apart, on_disk, ..State::default() };
        }
    }

    /// Puts what an earlier run could keep in memory only in its place.
    pub fn put_in_place(&mut self, host: &Host) {
        if host.at(STATE_IN_MEMORY).exists() {
            self.save(host);
        }
    }

    /// Writes the state. Failing to do so must not keep the signal from being sent, and what was decided must not be
    /// contradicted by the next run of this boot. Tells whether the state is on the disk, and so outlasts this boot.
    pub fn save(&mut self, host: &Host) -> bool {
        self.version = VERSION;
        let text = serde_json::to_string_pretty(self).unwrap_or_default();
        let written = self.write(host, text.as_bytes());
        let is_on_disk = written.is_ok();
        let kept = match written {
            Ok(()) => host.remove(STATE_IN_MEMORY).map(drop),
            Err(error) => {
                tracing::warn!("the state is kept until the next boot only: {error:#}");
                host.write(STATE_IN_MEMORY, text.as_bytes(), MODE).map(drop)
            }
        };
        if let Err(error) = kept {
            tracing::warn!("the state can't be saved: {error:#}");
        }
        is_on_disk
    }

    /// Writes the file on disk, but never over one that may hold a decision.
    fn write(&mut self, host: &Host, text: &[u8]) -> Result<()> {
        let path = host.state_path(STATE_FILE);
        match self.on_disk {
            OnDisk::Known => {}
            OnDisk::Damaged => {
                let aside = format!("{path}.unreadable");
                host.rename(&path, &aside).context("keep the saved state that can't be parsed")?;
                tracing::warn!("{path} can't be parsed and is kept as {aside}, replacing an earlier copy");
                self.on_disk = OnDisk::Known;
            }
            OnDisk::Unreadable => return Err(anyhow!("{path} can't be read, so it is not overwritten")),
        }
        host.write(&path, text, MODE).map(drop)
    }
}

#[cfg(test)]
#[path = "state/tests.rs"]
mod tests;
