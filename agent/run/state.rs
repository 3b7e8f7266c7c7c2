//! What is kept of an instance between runs, readable by root alone.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Gathered;
use crate::cloudformation::Status;
use crate::host::Host;
use crate::imds::Identity;
use crate::text::json_error;

const VERSION: u32 = 1;
const FILE: &str = "state.json";
/// Where the state is kept until the next boot if its own place can't be written: this is no disk.
const IN_MEMORY: &str = "/run/ecs-firstrun/state.json";
const MODE: u32 = 0o600;

/// What a run brings the instance to. With a warm pool there are two outcomes: the stack waits for the instances in service
/// alone (a rolling update leaves those of the pool as they are), a lifecycle hook for both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stage {
    /// A warm pool: all is prepared, and the instance does no work yet.
    WarmPool,
    /// Service.
    #[default]
    Service,
}

impl Stage {
    /// The stage that an instance is at.
    pub fn of(identity: &Identity) -> Self {
        if identity.is_warming() { Stage::WarmPool } else { Stage::Service }
    }
}

/// The state of one instance. That of another instance, baked into an image by mistake, is not used.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct State {
    version: u32,
    /// The instance that this is the state of.
    pub instance_id: String,
    /// The outcome of its first run for service, once that is known.
    pub decision: Option<Decision>,
    /// That of its first run in a warm pool.
    #[serde(default)]
    pub in_warm_pool: Option<Decision>,
    /// What a boot without instance metadata goes by.
    pub kept: Option<Kept>,
}

/// What CloudFormation and Auto Scaling are told, whatever happens later.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Decision {
    /// SUCCESS or FAILURE.
    pub status: Status,
    /// Why, for a wait condition.
    pub reason: String,
    /// Whether anybody waited for it; an outcome that nobody waited for is that of no first run.
    #[serde(default = "yes")]
    pub waited_for: bool,
    /// How CloudFormation received it; none as long as it has to be sent.
    pub settled: Option<String>,
    /// How Auto Scaling did.
    #[serde(default)]
    pub hook_settled: Option<String>,
}

fn yes() -> bool {
    true
}

impl Decision {
    /// A decision that somebody waits for and that nobody has been told yet.
    pub fn of(status: Status, reason: String) -> Self {
        Decision { status, reason, waited_for: true, settled: None, hook_settled: None }
    }
}

/// The configuration and identity of the last run that had them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Kept {
    /// The user data, in base64.
    pub user_data: Option<String>,
    /// The variables of the shell original.
    pub variables: BTreeMap<String, String>,
    /// Who the instance is.
    pub identity: Identity,
}

impl State {
    /// The state that an earlier run left; a new one if there is none that can be read.
    pub fn load(host: &Host) -> Self {
        // That in memory is there only as long as it is the newer one.
        Self::read(host, IN_MEMORY).or_else(|| Self::read(host, &host.state_path(FILE))).unwrap_or_default()
    }

    fn read(host: &Host, path: &str) -> Option<Self> {
        let text = host.read(path).inspect_err(|error| {
            tracing::warn!("starting from scratch, since the saved state can't be read: {error:#}")
        });
        let read = Self::parse(&text.ok()??);
        read.inspect_err(|why| tracing::warn!("starting from scratch, since {path} {why}")).ok()
    }

    /// Reads a state back; else why it is none, for a sentence about the file.
    pub fn parse(text: &str) -> Result<Self, String> {
        match serde_json::from_str::<State>(text) {
            Ok(state) if state.version == VERSION => Ok(state),
            Ok(state) => Err(format!("has version {}, not {VERSION}", state.version)),
            Err(error) => Err(format!("can't be parsed: {}", json_error(&error))),
        }
    }

    /// What was decided at this stage.
    pub fn decided(&self, stage: Stage) -> Option<&Decision> {
        match stage {
            Stage::WarmPool => self.in_warm_pool.as_ref(),
            Stage::Service => self.decision.as_ref(),
        }
    }

    /// Whether the first run of this instance, at its stage, is over.
    pub fn has_outcome_of(&self, identity: &Identity) -> bool {
        let decided = self.decided(Stage::of(identity)).is_some_and(|decision| decision.waited_for);
        decided && self.instance_id == identity.instance_id
    }

    /// The place of what is decided at this stage.
    pub fn decided_mut(&mut self, stage: Stage) -> &mut Option<Decision> {
        match stage {
            Stage::WarmPool => &mut self.in_warm_pool,
            Stage::Service => &mut self.decision,
        }
    }

    /// Forgets an outcome that was decided while nobody waited for one, now that somebody does: it may be that of an image's
    /// own configuration alone, before a script of the user data said which cluster to join and whom to tell.
    pub fn forget_what_nobody_waited_for(&mut self, stage: Stage) {
        let decided = self.decided_mut(stage);
        if decided.as_ref().is_some_and(|decision| !decision.waited_for) {
            *decided = None;
        }
    }

    /// Forgets what belongs to another instance.
    pub fn begin_instance(&mut self, instance_id: &str) {
        // Where the id is not known, this may be the state of another instance, baked into the image: it is not used.
        if self.instance_id != instance_id || instance_id.is_empty() {
            *self = State { instance_id: instance_id.to_owned(), ..State::default() };
        }
    }

    /// Keeps what a boot without instance metadata needs.
    pub fn keep_documents(&mut self, gathered: &Gathered) {
        self.kept = Some(gathered.kept());
    }

    /// Puts what an earlier run could keep in memory only in its place.
    pub fn put_in_place(&mut self, host: &Host) {
        if host.at(IN_MEMORY).exists() {
            self.save(host);
        }
    }

    /// Writes the state. Failing to do so must not keep the signal from being sent, and what was decided must not be
    /// contradicted by the next run of this boot.
    pub fn save(&mut self, host: &Host) {
        self.version = VERSION;
        let text = serde_json::to_string_pretty(self).unwrap_or_default();
        let kept = match host.write(&host.state_path(FILE), text.as_bytes(), MODE) {
            Ok(_) => host.remove(IN_MEMORY).map(drop),
            Err(error) => {
                tracing::warn!("the state is kept until the next boot only: {error:#}");
                host.write(IN_MEMORY, text.as_bytes(), MODE).map(drop)
            }
        };
        if let Err(error) = kept {
            tracing::warn!("the state can't be saved: {error:#}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::scratch;

    #[test]
    fn what_the_disk_does_not_take_is_kept_in_memory_until_it_does() {
        let (_root, host) = scratch();
        let decided = |status| State {
            instance_id: "i-1".to_owned(),
            decision: Some(Decision::of(status, String::new())),
            ..State::default()
        };
        let loaded = || State::load(&host).decision.map(|decision| decision.status);
        // A file in the place of the folder refuses it.
        host.write("/var/lib/ecs-firstrun", b"", 0o600).unwrap();
        decided(Status::Failure).save(&host);
        assert_eq!(loaded(), Some(Status::Failure));
        host.remove("/var/lib/ecs-firstrun").unwrap();
        State::load(&host).put_in_place(&host);
        assert!(!host.at(IN_MEMORY).exists());
        assert_eq!(loaded(), Some(Status::Failure));
    }
}
