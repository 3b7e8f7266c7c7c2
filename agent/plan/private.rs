//! Files in which a program of the image writes the proxy's URL, password included, for every user to read.

use super::action::Action;
use super::planned::{Planned, planned};
use crate::well_known::{CLOUDWATCH_LOG, CLOUDWATCH_VALIDATION_LOG};

/// The files of the CloudWatch agent that hold the URL, each with the contents for a missing file.
///
/// The agent keeps the mode of the files, over the rotation of its log too; an empty `env-config.json` ends the agent.
pub const FILES: [(&str, &str); 3] = [
    ("/opt/aws/amazon-cloudwatch-agent/etc/env-config.json", "{}"),
    (CLOUDWATCH_LOG, ""),
    // Written by amazon-cloudwatch-agent-ctl, for whoever configures the agent by hand.
    (CLOUDWATCH_VALIDATION_LOG, ""),
];

/// Closes the files before the CloudWatch agent starts, whoever has set its proxy.
pub fn actions() -> impl Iterator<Item = Planned> {
    FILES.into_iter().map(|(path, initial)| {
        let action = Action::EnsurePrivateFile { path: path.to_owned(), initial };
        planned(action, "the CloudWatch agent writes a proxy's URL there, password included")
    })
}
