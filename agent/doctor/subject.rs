//! What is examined: a host, and what is known of its configuration and its instance metadata.

use crate::aws::imds::Identity;
use crate::config::Config;
use crate::host::Host;

/// What is examined.
#[derive(Debug)]
pub struct Subject<'a> {
    /// The machine.
    pub host: &'a Host,
    /// Its configuration, if there is one.
    pub config: Option<&'a Config>,
    /// What became of the configuration.
    pub configured: Configured,
    /// Who the instance is, as far as that is known.
    pub identity: &'a Identity,
    /// What became of the instance metadata.
    pub metadata: Metadata,
    /// Where they are, unless at their own addresses.
    pub imds_endpoint: Option<&'a str>,
    /// Where CloudFormation is, unless by region and partition.
    pub cloudformation_endpoint: Option<&'a str>,
}

/// What became of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Configured {
    /// There is one, without mistakes.
    Right,
    /// There is none, and the user data knows nothing of this agent.
    Others,
    /// There is none, and a part of the user data may have been meant to be, or to bring, one.
    Missing,
    /// There are mistakes in it; the first in words.
    Refused(String),
    /// It could not be read, for this reason.
    Unknown(String),
}

/// What became of the instance metadata when the configuration was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Metadata {
    /// They were read.
    Read,
    /// This is no EC2 instance, so they were not asked for.
    NotAsked,
    /// They were asked for, without success.
    Failed(String),
}

/// A cluster in words.
pub(super) fn cluster_in_words(config: Option<&Config>) -> String {
    let cluster = config.and_then(|config| config.ecs.as_ref()?.cluster.as_ref());
    cluster.map_or_else(|| "the cluster".to_owned(), |cluster| format!("the cluster `{cluster}`"))
}
