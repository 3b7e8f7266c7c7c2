//! The stage that a run brings the instance to.

use crate::aws::imds::Identity;

/// The stage that a run brings the instance to. With a warm pool there are two outcomes. The stack waits only for the
/// instances in service: a rolling update leaves those of the pool as they are. A lifecycle hook waits for both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stage {
    /// A warm pool: all is prepared, and the instance does no work yet.
    WarmPool,
    /// Service.
    #[default]
    Service,
}

impl Stage {
    /// Returns the stage that an instance is at.
    pub fn of(identity: &Identity) -> Self {
        if identity.is_warming() { Stage::WarmPool } else { Stage::Service }
    }
}
