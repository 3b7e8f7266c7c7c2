//! The end of the work on the host.

use crate::config::Config;

/// The end of the work on the host, with what the decision needs of it. A run that was interrupted has none.
#[derive(Debug)]
pub(super) enum Ended {
    /// The host is as its configuration wants it.
    Complete(Box<Config>),
    /// There was no configuration; Docker and the ECS agent were started, unless the user data names this agent.
    Nothing { started: bool },
    /// Auto Scaling terminates the instance, so that nothing was begun.
    Terminating,
    /// The configuration was refused.
    Refused { reason: String, config: Box<Config> },
    /// Something could not be done.
    Failed { reason: String, config: Box<Config> },
    /// A bug in this agent, in the words of the panic.
    Panicked(String),
}

impl Ended {
    pub(super) fn failed(error: &anyhow::Error, config: Box<Config>) -> Self {
        Ended::Failed { reason: format!("{error:#}"), config }
    }
}
