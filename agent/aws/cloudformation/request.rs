//! A signal to CloudFormation, as a value.

use std::fmt;

use serde::{Deserialize, Serialize};
use url::Url;

use crate::aws::endpoint::Service;
use crate::config::{Auth, Aws};

/// The status that is signalled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Status {
    /// The instance does its work.
    Success,
    /// The instance doesn't do its work; the stack may roll back.
    Failure,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// A signal to send: what it says, to whom, and where CloudFormation answers.
#[derive(Clone, Debug, PartialEq)]
pub struct SignalRequest {
    /// The resource or wait condition that waits for the signal.
    pub target: Target,
    /// The status that is signalled.
    pub status: Status,
    /// The instance id; CloudFormation counts each id once. 1 to 64 characters.
    pub unique_id: String,
    /// The reason, which only a wait condition shows in the stack's events: `SignalResource` has no place for a reason.
    pub reason: String,
    /// Data for a wait condition's `Data` attribute; may be empty, and goes nowhere else.
    pub data: String,
    /// The stack's region.
    pub region: String,
    /// The DNS suffix of the partition's services; empty if not known.
    pub partition_domain: String,
    /// The variant of the endpoint that the configuration asks for.
    pub aws: Aws,
    /// The endpoint to use in place of the region's.
    pub endpoint: Option<String>,
    /// The authentication of the signal; a wait handle's URL brings its own.
    pub auth: Auth,
}

/// The target of a signal.
#[derive(Clone, PartialEq)]
pub enum Target {
    /// A resource with a creation or update policy.
    Resource {
        /// Name or ARN of the stack.
        stack: String,
        /// The resource's logical id.
        resource: String,
    },
    /// A wait condition, through its handle's presigned URL. The URL's query is a secret and is printed nowhere.
    WaitHandle(Url),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resource { stack, resource } => write!(f, "{resource} in stack {stack}"),
            Self::WaitHandle(url) => {
                write!(f, "wait handle {}{}", url.host_str().unwrap_or_default(), url.path())
            }
        }
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({self})")
    }
}

impl SignalRequest {
    /// Returns the endpoint that answers the signal.
    pub(super) fn endpoint(&self) -> String {
        let default = || Service::CloudFormation.endpoint(&self.region, &self.partition_domain, self.aws);
        self.endpoint.clone().unwrap_or_else(default)
    }
}
