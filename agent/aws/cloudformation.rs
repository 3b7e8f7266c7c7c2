//! The signal to CloudFormation: one decided status, repeated until it is accepted, refused for good, or out of time.
//!
//! There are three ways. A resource of a stack is signalled with `SignalResource`, authenticated by the instance identity
//! document (the scheme `CFN_V1` of aws-cfn-bootstrap, which needs no IAM permission, but works only for a stack that the
//! instance belongs to) or by IAM credentials. A wait condition is signalled with a PUT to its presigned URL.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{PercentEncode, utf8_percent_encode};
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderValue};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use url::Url;

pub use crate::aws::delivery::{CredentialsSource, Delivery, Over, Refusal};
use crate::aws::delivery::{Method, exchange, persist};
use crate::aws::endpoint::Service;
use crate::config::Auth;
use crate::http::RESERVED;
use crate::secrets::redact;

mod iam;

/// The reason that cfn-signal gives for a failure without one.
const DEFAULT_REASON: &str = "Configuration failed.";

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
        f.write_str(match self {
            Self::Success => "SUCCESS",
            Self::Failure => "FAILURE",
        })
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
    /// The DNS suffix of the partition's services; empty means `amazonaws.com`.
    pub partition_domain: String,
    /// The endpoint to use in place of `https://cloudformation.<region>.<partition_domain>`.
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

/// Sends `signal`: repeats the request until a final answer or the deadline.
///
/// `identity` is the identity document byte for byte and its signature, as IMDS gave them. Without the identity, only IAM or
/// a wait handle works. `client` is the outbound client.
pub async fn send(
    signal: &SignalRequest,
    identity: Option<(&str, &str)>,
    credentials: &CredentialsSource,
    client: &reqwest::Client,
    deadline: Instant,
) -> Delivery {
    let courier = Courier { signal, identity, client, deadline, credentials };
    courier.deliver().await
}

struct Courier<'a> {
    signal: &'a SignalRequest,
    identity: Option<(&'a str, &'a str)>,
    client: &'a reqwest::Client,
    deadline: Instant,
    credentials: &'a CredentialsSource,
}

impl Courier<'_> {
    async fn deliver(&self) -> Delivery {
        match (&self.signal.target, self.signal.auth) {
            (Target::WaitHandle(url), _) => self.by_wait_handle(url).await,
            (Target::Resource { stack, resource }, Auth::InstanceIdentity) => {
                self.by_instance_identity(stack, resource).await
            }
            (Target::Resource { stack, resource }, Auth::Iam) => self.by_iam(stack, resource).await,
            (Target::Resource { stack, resource }, Auth::Auto) => self.by_either(stack, resource).await,
        }
    }

    async fn by_either(&self, stack: &str, resource: &str) -> Delivery {
        let first = self.by_instance_identity(stack, resource).await;
        let Delivery::Refused(refusal) = first else {
            return first;
        };
        tracing::info!(%refusal, "the instance identity was refused; trying IAM credentials");
        match self.by_iam(stack, resource).await {
            Delivery::Accepted { by, attempts } => Delivery::Accepted {
                by,
                // A refusal is final, so it took one request, unless there was no identity to send.
                attempts: attempts + u32::from(self.identity.is_some()),
            },
            Delivery::Over(over, text) => Delivery::Over(over, text),
            Delivery::Refused(second) => Delivery::Refused(both(&refusal, second)),
            Delivery::Undelivered(second) => {
                Delivery::Undelivered(format!("by instance identity: {refusal}; by IAM: {second}"))
            }
        }
    }

    async fn by_instance_identity(&self, stack: &str, resource: &str) -> Delivery {
        let Some(header) = self.identity.and_then(authorization) else {
            return Delivery::Refused(Refusal {
                why: "there is no signed instance identity document to send".to_owned(),
                remedy: "set signal.auth: iam, or enable the instance metadata service".to_owned(),
            });
        };
        let url = match self.resource_url(stack, resource) {
            Ok(url) => url,
            Err(why) => return Delivery::Refused(why.into()),
        };
        persist(Method::InstanceIdentity, self.deadline, async || {
            let request = self.client.get(url.clone());
            let request = request.header(AUTHORIZATION, header.clone());
            exchange(Method::InstanceIdentity, request.header(ACCEPT, "application/json")).await
        })
        .await
    }

    async fn by_iam(&self, stack: &str, resource: &str) -> Delivery {
        let sender = iam::Sender::new(self.signal, self.client, self.credentials);
        let sender = match sender {
            Ok(sender) => sender,
            Err(error) => return Delivery::Undelivered(format!("{error:#}")),
        };
        persist(Method::Iam, self.deadline, async || sender.signal(self.signal, stack, resource).await).await
    }

    /// Sends the signal to a wait handle. The body has exactly the keys that cfn-signal sends. There is no `Content-Type`:
    /// the URL is signed without one.
    async fn by_wait_handle(&self, url: &Url) -> Delivery {
        let signal = self.signal;
        let reason = match (signal.status, signal.reason.as_str()) {
            (Status::Failure, "") => DEFAULT_REASON,
            (_, reason) => reason,
        };
        let body = serde_json::json!({
            "Status": signal.status,
            "Reason": reason,
            "UniqueId": signal.unique_id,
            "Data": signal.data,
        });
        let body = body.to_string();
        persist(Method::WaitHandle, self.deadline, async || {
            let request = self.client.put(url.clone()).body(body.clone());
            exchange(Method::WaitHandle, request).await
        })
        .await
    }

    /// Makes the URL of the request as aws-cfn-bootstrap's `cfn_client.py` does: everything in the query, in this order.
    fn resource_url(&self, stack: &str, resource: &str) -> Result<Url, String> {
        let signal = self.signal;
        let endpoint = signal.endpoint();
        let query = format!(
            "Action=SignalResource&ContentType=JSON&LogicalResourceId={}&StackName={}&Status={}&UniqueId={}&Version=2010-05-15",
            percent_encoded(resource),
            percent_encoded(stack),
            signal.status,
            percent_encoded(&signal.unique_id),
        );
        let url = format!("{}/?{query}", endpoint.trim_end_matches('/'));
        url.parse().map_err(|error| format!("the CloudFormation endpoint {:?} is no URL: {error}", redact(&endpoint)))
    }
}

/// Joins two refusals in one line, which has their common part once.
fn both(first: &Refusal, second: Refusal) -> Refusal {
    let why = match (first.why == second.why, first.remedy == second.remedy) {
        (true, _) => format!("by instance identity and by IAM: {}", second.why),
        (false, true) => format!("by instance identity: {}; by IAM: {}", first.why, second.why),
        (false, false) => format!("by instance identity: {first}; by IAM: {}", second.why),
    };
    Refusal { why, ..second }
}

impl SignalRequest {
    fn endpoint(&self) -> String {
        let default = || Service::CloudFormation.endpoint(&self.region, &self.partition_domain);
        self.endpoint.clone().unwrap_or_else(default)
    }
}

/// Returns `CFN_V1 <document in base64>:<signature in one line>`, as aws-cfn-bootstrap's `CFNSigner` makes it.
///
/// Trailing whitespace of the document is dropped, and all else stays byte for byte. `None` if there is no document or no
/// signature.
pub(crate) fn authorization((document, signature): (&str, &str)) -> Option<HeaderValue> {
    let document = STANDARD.encode(document.trim_end());
    let signature: String = signature.split_whitespace().collect();
    if document.is_empty() || signature.is_empty() {
        return None;
    }
    let mut value = HeaderValue::try_from(format!("CFN_V1 {document}:{signature}")).ok()?;
    // The value authenticates the instance; nothing that prints headers may print it.
    value.set_sensitive(true);
    Some(value)
}

fn percent_encoded(text: &str) -> PercentEncode<'_> {
    utf8_percent_encode(text, RESERVED)
}

#[cfg(test)]
pub(crate) mod tests;
