//! The subject of an examination: a host, its configuration and its instance metadata.

use crate::aws::imds::Identity;
use crate::config::Config;
use crate::ecs_agent::EcsAgent;
use crate::host::Host;

/// The subject of an examination.
#[derive(Debug)]
pub struct Subject<'a> {
    /// The machine.
    pub host: &'a Host,
    /// The machine's ECS agent.
    pub ecs_agent: &'a EcsAgent,
    /// The machine's configuration, if there is one.
    pub config: Option<&'a Config>,
    /// The state of the configuration.
    pub configured: Configured,
    /// The identity of the instance, as far as it is known.
    pub identity: &'a Identity,
    /// The result of reading the instance metadata.
    pub metadata: Metadata,
    /// The address of the instance metadata service, if it is not the usual one.
    pub imds_endpoint: Option<&'a str>,
    /// The endpoint of CloudFormation, if it is not the usual one of the region and partition.
    pub cloudformation_endpoint: Option<&'a str>,
}

/// The state of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Configured {
    /// There is a configuration without mistakes.
    Right,
    /// There is no configuration, and the user data does not mention this agent.
    Others,
    /// There is no configuration, but a part of the user data may have been meant to be or bring one.
    Missing,
    /// There are mistakes in the configuration; the text tells of the first.
    Refused(String),
    /// The configuration could not be read, for this reason.
    Unknown(String),
}

/// The result of reading the instance metadata, when the configuration was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Metadata {
    /// The instance metadata was read.
    Read,
    /// This is no EC2 instance, so the instance metadata was not asked for.
    NotAsked,
    /// The instance metadata was asked for, without success.
    Failed(String),
}

/// Names the configured cluster, as words for a message.
pub(super) fn cluster_in_words(config: Option<&Config>) -> String {
    let cluster = config.and_then(|config| config.ecs.as_ref()?.cluster.as_ref());
    cluster.map_or_else(|| "the cluster".to_owned(), |cluster| format!("the cluster `{cluster}`"))
}
