//! The signal to CloudFormation: one decided status, repeated until it is accepted, refused for good, or out of time.
//!
//! There are three ways. A resource of a stack is signalled with `SignalResource`, authenticated by the instance identity
//! document (the scheme `CFN_V1` of aws-cfn-bootstrap, which needs no IAM permission, but works only for a stack that the
//! instance belongs to) or by IAM credentials. A wait condition is signalled with a PUT to its presigned URL.

mod iam;
mod request;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{PercentEncode, utf8_percent_encode};
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderValue};
use tokio::time::Instant;
use url::Url;

pub use self::request::{SignalRequest, Status, Target};
pub use crate::aws::delivery::{CredentialsSource, Delivery, Over, Refusal};
use crate::aws::delivery::{Method, exchange, persist};
use crate::aws::sdk::Sdk;
use crate::config::Auth;
use crate::http::RESERVED;
use crate::secrets::redact;

/// The reason that cfn-signal gives for a failure without one.
const DEFAULT_REASON: &str = "Configuration failed.";

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
        tracing::info!(%refusal, "can't signal by instance identity; trying IAM credentials");
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
        let sdk = match Sdk::new(&self.signal.region, self.client, self.credentials) {
            Ok(sdk) => sdk,
            Err(error) => return Delivery::Undelivered(format!("{error:#}")),
        };
        persist(Method::Iam, self.deadline, async || iam::send(&sdk, self.signal, stack, resource).await).await
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
        url.parse()
            .map_err(|error| format!("the CloudFormation endpoint {:?} is not a URL: {error}", redact(&endpoint)))
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
