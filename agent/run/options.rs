//! The options that the command line gives to a run and to each command that looks at the same host.

use std::path::PathBuf;

use crate::aws::delivery::CredentialsSource;
use crate::ecs_agent::EcsAgent;

/// The places of a run: its host, its user data, and the services that it asks.
#[derive(Clone, Debug)]
pub struct Options {
    /// Every path of the host lies under it.
    pub root: PathBuf,
    /// User data from a file instead of the instance metadata.
    pub user_data: Option<PathBuf>,
    /// Address of the instance metadata service; the service's own addresses unless given.
    pub imds_endpoint: Option<String>,
    /// The ECS agent of the host.
    pub ecs_agent: EcsAgent,
    /// Address of CloudFormation; by region and partition unless given.
    pub cloudformation_endpoint: Option<String>,
}

impl Options {
    /// Gives the credentials of the host, those of its role from where the options have the instance metadata.
    pub(super) fn credentials(&self) -> CredentialsSource {
        CredentialsSource::Host { imds_endpoint: self.imds_endpoint.clone() }
    }
}
