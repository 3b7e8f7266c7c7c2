//! `on_failure`: the end of an instance whose first run has failed.

use serde::Deserialize;

/// `on_failure`: the end of an instance whose first run has failed. Without this section, the instance goes on.
///
/// A failure comes first to those whom `signal` names. Then each key here acts once in the life of an instance: a later boot
/// repeats neither, and a run that fails after a success does neither.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct AfterFailure {
    /// The health that Auto Scaling is told: the group then terminates the instance and launches another one. The role needs
    /// `autoscaling:SetInstanceHealth`.
    pub health: Option<Health>,
    /// The power of the machine, at the very end of the run. EC2 then stops or terminates the instance, as its
    /// `InstanceInitiatedShutdownBehavior` says.
    pub power: Option<Power>,
}

/// `on_failure.health`: the health of the instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// The group terminates the instance and launches another one.
    Unhealthy,
}

/// `on_failure.power`: the power of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Power {
    /// The machine is powered off.
    Off,
}

impl AfterFailure {
    /// Adds the keys of an earlier document which this one lacks.
    pub(crate) fn or(self, earlier: Self) -> Self {
        AfterFailure { health: self.health.or(earlier.health), power: self.power.or(earlier.power) }
    }
}
