//! The knowledge of a run, which a panic in a phase must not lose.

use std::time::Duration;

use super::gather::Gathered;
use super::started::Started;
use super::state::Stage;
use crate::aws::imds::Identity;
use crate::config::Config;
use crate::host::Pulls;

/// All that a run knows so far. The outcome is decided and told by this, after a panic too.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) gathered: Gathered,
    /// The configuration as far as it is right; none until the user data is parsed.
    pub(super) config: Option<Box<Config>>,
    /// Set where there is a configuration, right or wrong.
    pub(super) is_configured: bool,
    /// The host's uptime after the fetch, if the stack's timeout counts it; else zero.
    pub(super) uptime: Duration,
    /// The units that this run has started.
    pub(super) started: Started,
    /// The pulls of images, once the plan is carried out.
    pub(super) pulls: Option<Pulls>,
}

impl Known {
    pub(super) fn identity(&self) -> &Identity {
        &self.gathered.identity
    }

    /// Names what the instance is brought to.
    pub(super) fn stage(&self) -> Stage {
        Stage::of(self.identity())
    }
}
