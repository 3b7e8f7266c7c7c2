//! The contents of a report.

use std::fmt;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::text::json_error;

/// The version of the JSON form of [`Report`].
pub const VERSION: u32 = 1;

/// Begins the reason of a run that a bug in this agent ended.
pub const BUG: &str = "a bug in ecs-firstrun";

/// Bytes that a report can have. That of a run has some KiB.
const LONGEST: usize = 1 << 20;

/// How a run went, or goes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// [`VERSION`] of the agent that wrote it.
    pub version: u32,
    /// Version of the agent.
    pub agent: String,
    /// The instance; none before it is known.
    pub instance_id: Option<String>,
    /// The image (AMI) of the instance, from its identity document; none before it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_id: Option<String>,
    /// Name of the stack, from `signal.stack`, else from the instance's tags; none where neither tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stack: Option<String>,
    /// Logical id of the group or instance in the stack, from `signal.resource`, else from the instance's tags.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// The kind of this run among those of the instance; none before that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot: Option<Boot>,
    /// The cluster that the configuration names, else the ECS agent's settings; none where no ECS agent is configured, before
    /// its settings are complete, and where the configuration was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// When the run began, RFC 3339 in UTC.
    pub started: String,
    /// How it ended; `running` until then.
    pub outcome: Outcome,
    /// Why, when it failed; what a person should know, when it did not.
    pub reason: Option<String>,
    /// Troubles that did not fail the run, such as a log agent that ended; each with its remedy.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// The steps so far.
    pub steps: Vec<StepReport>,
    /// What was told to CloudFormation; none where nothing was to be told.
    pub signal: Option<SignalReport>,
    /// What the lifecycle action of the Auto Scaling group was completed with; none where there is no hook.
    #[serde(default)]
    pub lifecycle_hook: Option<SignalReport>,
    /// The whole run, in milliseconds.
    pub duration_ms: u64,
}

/// The kind of a run among those of its instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Boot {
    /// The first that comes to an outcome for service, and those before it that were interrupted.
    First,
    /// One that prepares the instance in its warm pool.
    WarmPool,
    /// One after that, as at a reboot.
    Later,
}

/// How a run, or a step, ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It has not ended.
    Running,
    /// All was done.
    Success,
    /// Something could not be done.
    Failure,
    /// The configuration was refused, and nothing was done.
    Refused,
    /// It was told to stop; the next run goes on.
    Interrupted,
}

/// One step of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepReport {
    /// `fetch`, a step of the plan, or `signal`.
    pub name: String,
    /// How it ended.
    pub outcome: Outcome,
    /// Milliseconds from the start of the run.
    pub start_ms: u64,
    /// Milliseconds that it took.
    pub duration_ms: u64,
    /// What it did.
    pub actions: Vec<ActionReport>,
}

/// One action of a step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ActionReport {
    /// The action, in the words of the plan.
    pub action: String,
    /// Whether something had to be changed.
    pub change: Change,
    /// Milliseconds that it took.
    pub duration_ms: u64,
}

/// What an action came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// The end state was brought about.
    Made,
    /// It held already.
    AlreadyDone,
    /// It could not be brought about.
    Failed,
}

/// What CloudFormation, or Auto Scaling, was told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SignalReport {
    /// Stack and resource, the wait condition handle without its secret part, or the lifecycle hook and its group.
    pub target: String,
    /// `SUCCESS` or `FAILURE`; `CONTINUE` or `ABANDON`.
    pub status: String,
    /// What became of it.
    pub delivery: DeliveryState,
    /// More about that, for a person.
    pub message: String,
}

/// What became of a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// It is being sent.
    Pending,
    /// It was accepted.
    Accepted,
    /// An earlier run sent it.
    AcceptedEarlier,
    /// Nobody waits for it, as when the group of a stack scales out later.
    NotWaitedFor,
    /// The stack was rolled back, or has failed or been deleted, before it came.
    TooLate,
    /// It was refused.
    Refused,
    /// It could not be sent; the next run tries again.
    Undelivered,
}

impl DeliveryState {
    /// Whether whoever waits for it has not got it.
    pub fn is_lost(self) -> bool {
        matches!(self, DeliveryState::Refused | DeliveryState::Undelivered)
    }
}

impl Report {
    /// The report of a run that begins now.
    pub fn begin() -> Self {
        Report {
            version: VERSION,
            agent: env!("CARGO_PKG_VERSION").to_owned(),
            instance_id: None,
            image_id: None,
            stack: None,
            resource: None,
            boot: None,
            cluster: None,
            started: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
            outcome: Outcome::Running,
            reason: None,
            warnings: Vec::new(),
            steps: Vec::new(),
            signal: None,
            lifecycle_hook: None,
            duration_ms: 0,
        }
    }

    /// All that was to be told.
    pub fn deliveries(&self) -> impl Iterator<Item = &SignalReport> {
        self.signal.iter().chain(&self.lifecycle_hook)
    }

    /// The same, to be changed.
    pub fn deliveries_mut(&mut self) -> impl Iterator<Item = &mut SignalReport> {
        self.signal.iter_mut().chain(&mut self.lifecycle_hook)
    }

    /// What was told, each in a line.
    pub fn told(&self) -> impl Iterator<Item = String> {
        let signal = self.signal.iter().map(|signal| format!("signal {signal}"));
        signal.chain(self.lifecycle_hook.iter().map(|hook| format!("lifecycle action {hook}")))
    }

    /// Reads a report back.
    ///
    /// # Errors
    /// Text that is no report, or the report of a newer agent; both in words for a person.
    pub fn parse(text: &str) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        if text.len() > LONGEST {
            return Err(format!("it is longer than the {} MiB that a report of ecs-firstrun can have", LONGEST >> 20));
        }
        let broken = |error| {
            format!("it is not a complete report of ecs-firstrun ({}); copy `report.json` again", json_error(&error))
        };
        let versioned: Versioned = serde_json::from_str(text).map_err(broken)?;
        if versioned.version > VERSION {
            return Err(format!(
                "a newer ecs-firstrun wrote it (version {} of the report, this one reads {VERSION}); read it with that one",
                versioned.version
            ));
        }
        serde_json::from_str(text).map_err(broken)
    }

    /// When the run began; nothing where the report does not say so rightly.
    pub fn began(&self) -> Option<SystemTime> {
        humantime::parse_rfc3339(&self.started).ok()
    }

    /// The steps without which the run would have taken less than a fifth of its time, the longest first. Steps follow
    /// each other, so all of them are on the critical path; these make its length.
    pub fn critical(&self) -> Vec<&StepReport> {
        let mut longest: Vec<_> = self.steps.iter().collect();
        longest.sort_by_key(|step| std::cmp::Reverse(step.duration_ms));
        let all: u64 = longest.iter().fold(0, |sum, step| sum.saturating_add(step.duration_ms));
        let mut rest = all;
        let decisive = longest.into_iter().take_while(|step| {
            let is_decisive = rest > all / 5;
            rest = rest.saturating_sub(step.duration_ms);
            is_decisive
        });
        decisive.collect()
    }

    /// Milliseconds from the start to the end of all that is known.
    pub(super) fn span_ms(&self) -> u64 {
        let ends = self.steps.iter().map(|step| step.start_ms.saturating_add(step.duration_ms));
        ends.max().unwrap_or_default().max(self.duration_ms).max(1)
    }
}

impl StepReport {
    /// How it went, in a word or two.
    pub fn result(&self) -> String {
        let made = self.actions.iter().filter(|action| action.change == Change::Made).count();
        match self.outcome {
            Outcome::Success if self.actions.is_empty() => "done".to_owned(),
            Outcome::Success => format!("{made} of {} changed", self.actions.len()),
            Outcome::Failure => "failed".to_owned(),
            other => other.to_string(),
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Outcome::Running => "running",
            Outcome::Success => "success",
            Outcome::Failure => "failure",
            Outcome::Refused => "refused",
            Outcome::Interrupted => "interrupted",
        })
    }
}

impl fmt::Display for SignalReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let earlier = if self.delivery == DeliveryState::AcceptedEarlier { "sent by an earlier run, " } else { "" };
        write!(f, "{} for {}: {earlier}{}", self.status, self.target, self.message)
    }
}

/// A time for a person: `12 ms`, `3.4 s`, `2m 5s`.
pub fn milliseconds(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
        _ => humantime::format_duration(Duration::from_secs(ms / 1_000)).to_string(),
    }
}
