//! Warnings of an `on_failure` that the role of the instances does not allow.

use super::template::surroundings::Surroundings;
use crate::config::Config;

/// Warns of a role that may not report the health of an instance.
pub(super) fn find(config: &Config, around: &Surroundings, warn: &mut impl FnMut(&[&str], String, &str)) {
    let Some(permissions) = &around.permissions else { return };
    let may_report = permissions.allowed("autoscaling:SetInstanceHealth").is_none_or(|allowed| !allowed.is_empty());
    if config.on_failure.health.is_some() && !may_report {
        let message =
            "no role in this template allows autoscaling:SetInstanceHealth, so no failed instance is reported";
        warn(&["on_failure", "health"], message.to_owned(), "allow it for the Auto Scaling group");
    }
}
