//! The contents of a report.

use std::fmt;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::text::json_error;

/// The version of the JSON form of [`Report`].
pub const VERSION: u32 = 1;

/// The beginning of the reason if a bug in this agent ended the run.
pub const BUG: &str = "a bug in ecs-firstrun";

/// The largest report that is read, in bytes. The report of a run has a few KiB.
const LONGEST: usize = 1 << 20;

/// The report of a run that has ended or still goes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The [`VERSION`] of the agent that wrote the report.
    pub version: u32,
    /// Version of the agent.
    pub agent: String,
    /// The instance; none before it is known.
    pub instance_id: Option<String>,
    /// The image (AMI) of the instance, from its identity document; none before it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_id: Option<String>,
    /// Name of the stack, from `signal.stack`, else from the instance's tags; none if neither has a name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stack: Option<String>,
    /// Logical id of the group or instance in the stack, from `signal.resource`, else from the instance's tags.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// The kind of this run in the life of the instance; none before the kind is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot: Option<Boot>,
    /// The cluster that the configuration names, else the cluster in the ECS agent's settings. None if no ECS agent is
    /// configured, if its settings are not complete yet, or if the configuration was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// The time when the run began, RFC 3339 in UTC.
    pub started: String,
    /// The outcome of the run; `running` until the run ends.
    pub outcome: Outcome,
    /// The reason for a failure; otherwise, information for a person.
    pub reason: Option<String>,
    /// Troubles that did not fail the run, such as a log agent that ended; each with its remedy.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// The steps so far.
    pub steps: Vec<StepReport>,
    /// The signal to CloudFormation; none if no signal was to be sent.
    pub signal: Option<SignalReport>,
    /// The completion of the Auto Scaling group's lifecycle action; none if there is no hook.
    #[serde(default)]
    pub lifecycle_hook: Option<SignalReport>,
    /// The report of the failed instance's health to Auto Scaling; none if the instance was not to be reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<SignalReport>,
    /// Set if the machine is powered off at the end of the run.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub powers_off: bool,
    /// Duration of the run, in milliseconds.
    pub duration_ms: u64,
}

/// The kind of a run in the life of its instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Boot {
    /// The first run in service that reaches an outcome, or an interrupted run before it.
    First,
    /// A run that prepares the instance in its warm pool.
    WarmPool,
    /// A run after the first one, for example after a reboot.
    Later,
}

/// The outcome of a run or of a step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The run or step has not ended.
    #[default]
    Running,
    /// Everything was done.
    Success,
    /// Something could not be done.
    Failure,
    /// The configuration was refused, and nothing was done.
    Refused,
    /// The run was stopped, for example by a shutdown; the next run continues.
    Interrupted,
}

/// One step of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepReport {
    /// `fetch`, a step of the plan, `signal` or `health`.
    pub name: String,
    /// The outcome of the step.
    pub outcome: Outcome,
    /// Start of the step, in milliseconds since the start of the run.
    pub start_ms: u64,
    /// Duration in milliseconds.
    pub duration_ms: u64,
    /// The actions that were carried out, in order.
    pub actions: Vec<ActionReport>,
}

/// One action of a step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ActionReport {
    /// The action, in the words of the plan.
    pub action: String,
    /// The change that the action made, if any.
    pub change: Change,
    /// Duration in milliseconds.
    pub duration_ms: u64,
}

/// The result of an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// The end state was brought about.
    Made,
    /// The end state held already.
    AlreadyDone,
    /// The end state could not be brought about.
    Failed,
}

/// A signal to CloudFormation, the completion of an Auto Scaling lifecycle action, or the report of the instance's health.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SignalReport {
    /// Stack and resource, the wait condition handle without its secret part, the lifecycle hook and its group, or the
    /// instance.
    pub target: String,
    /// `SUCCESS` or `FAILURE` of a signal; `CONTINUE` or `ABANDON` of a lifecycle action; `Unhealthy` of an instance.
    pub status: String,
    /// The state of the delivery.
    pub delivery: DeliveryState,
    /// Details of the delivery, for a person.
    pub message: String,
}

/// The state of the delivery of a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// The signal is being sent.
    Pending,
    /// The signal was accepted.
    Accepted,
    /// An earlier run sent the signal.
    AcceptedEarlier,
    /// Nobody waits for the signal, for example when the stack's group scales out later.
    NotWaitedFor,
    /// The stack was rolled back, failed or was deleted before the signal came.
    TooLate,
    /// The signal was refused.
    Refused,
    /// The signal could not be sent; the next run tries again.
    Undelivered,
}

impl DeliveryState {
    /// Tells whether the signal was refused or could not be sent, although somebody waits for it.
    pub fn is_lost(self) -> bool {
        matches!(self, DeliveryState::Refused | DeliveryState::Undelivered)
    }
}

impl Report {
    /// Begins the report of a run that starts now.
    pub fn begin() -> Self {
        Report {
            version: VERSION,
            agent: env!("CARGO_PKG_VERSION").to_owned(),
            started: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
            ..Report::default()
        }
    }

    /// Returns a line of text for each delivery that there is, and for the end of the machine.
    pub fn told(&self) -> impl Iterator<Item = String> {
        let deliveries =
            [("signal", &self.signal), ("lifecycle action", &self.lifecycle_hook), ("health", &self.health)];
        let told = deliveries.into_iter().filter_map(|(name, told)| Some(format!("{name} {}", told.as_ref()?)));
        told.chain(self.powers_off.then(|| "the machine is powered off (on_failure.power)".to_owned()))
    }

    /// Reads a report from its JSON form.
    ///
    /// # Errors
    /// The text is too long, is no report, or is the report of a newer agent. The error is text for a person.
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
                "a newer ecs-firstrun wrote it (report version {}; this ecs-firstrun reads version {VERSION}); read it with the newer one",
                versioned.version
            ));
        }
        serde_json::from_str(text).map_err(broken)
    }

    /// Returns the time when the run began; nothing if `started` is not a valid time.
    pub fn began(&self) -> Option<SystemTime> {
        humantime::parse_rfc3339(&self.started).ok()
    }

    /// Returns the longest steps that together take at least four fifths of the time of all steps, the longest first. Steps
    /// run one after the other, so every step is on the critical path; the returned steps make most of its length.
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

    /// Returns the milliseconds from the start of the run to the latest known time, at least 1.
    pub(super) fn span_ms(&self) -> u64 {
        let ends = self.steps.iter().map(|step| step.start_ms.saturating_add(step.duration_ms));
        ends.max().unwrap_or_default().max(self.duration_ms).max(1)
    }
}

impl StepReport {
    /// Returns the result of the step in a few words.
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
        // The words are those of the JSON form.
        self.serialize(f)
    }
}

impl fmt::Display for SignalReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let earlier = if self.delivery == DeliveryState::AcceptedEarlier { "sent by an earlier run, " } else { "" };
        write!(f, "{} for {}: {earlier}{}", self.status, self.target, self.message)
    }
}

/// Formats a time for a person: `12 ms`, `3.4 s`, `2m 5s`.
pub fn milliseconds(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
        _ => humantime::format_duration(Duration::from_secs(ms / 1_000)).to_string(),
    }
}
