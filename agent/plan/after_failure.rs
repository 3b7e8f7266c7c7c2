//! The note on the end of an instance whose first run fails.

use crate::config::{AfterFailure, Config};

/// Says what becomes of the instance if its first run fails.
pub(super) fn note(config: &Config) -> Option<String> {
    let AfterFailure { health, power } = config.on_failure;
    let ends = [
        health.map(|_| "reported to Auto Scaling as unhealthy (on_failure.health)"),
        power.map(|_| "powered off (on_failure.power)"),
    ];
    let ends: Vec<_> = ends.into_iter().flatten().collect();
    (!ends.is_empty()).then(|| format!("if its first run fails, the instance is {}", ends.join(", then ")))
}
