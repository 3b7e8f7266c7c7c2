//! The functions that the fuzz targets of `tests/fuzz` reach, besides the public ones of the agent.
//!
//! Each function gives a reader whatever the other side may send, and does with the result what a run would do.

use aws_config::retry::RetryConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;

use crate::aws::cloudformation::authorization;
use crate::aws::delivery::answer::judge;
use crate::aws::delivery::{self, Method};
use crate::aws::imds::Identity;
use crate::aws::sdk;
use crate::config::Parsed;
use crate::run::{Gathered, HandedOver, State};
use crate::{config, host, http};

/// The most bytes that are read of an answer, from AWS or from something in between.
pub const ANSWER_LIMIT: usize = delivery::ANSWER_LIMIT;

/// Reads the identity out of these answers of the instance metadata service, by path. Tells whether the identity can be sent
/// on.
///
/// # Errors
/// The words that a run would report.
pub async fn identity(answer: impl Fn(&str) -> Option<Vec<u8>>) -> Result<(Identity, bool), String> {
    let identity = Identity::read(&async |path: &str| Ok(answer(path))).await.map_err(|error| error.to_string())?;
    let proof = authorization((&identity.document, &identity.signature));
    Ok((identity, proof.is_some()))
}

/// Parses the configuration in the state that an earlier run kept. A boot without instance metadata uses that configuration.
///
/// # Errors
/// The text is not a state.
pub fn kept(text: &str) -> Result<Parsed, String> {
    let state = State::parse(text)?;
    let mut gathered = Gathered::default();
    if let Some(kept) = &state.kept {
        gathered.use_kept(kept);
    }
    gathered.kept();
    Ok(gathered.parse())
}

/// Returns the user data that a run inside cloud-init handed over, and the configuration of its variables.
///
/// # Errors
/// Such a run did not write the text.
pub fn handed_over(text: &str) -> Result<(Option<Vec<u8>>, Parsed), String> {
    let handed = HandedOver::parse(text).map_err(|error| format!("{error:#}"))?;
    let documents = config::shell_variables(|name| handed.variables.get(name).cloned());
    Ok((handed.user_data(), config::parse(&documents)))
}

/// Returns the name in the block device mapping that an identify page of an NVMe controller holds.
pub fn nvme_name(page: &[u8; 4096]) -> Option<String> {
    host::nvme_name(page)
}

/// An HTTP answer of AWS, or of something in between.
#[derive(Clone, Debug)]
pub struct HttpAnswer {
    /// The HTTP status.
    pub status: u16,
    /// The value of `Retry-After`.
    pub retry_after: Option<String>,
    /// The value of `Date`.
    pub date: Option<String>,
    /// The body, at most [`ANSWER_LIMIT`] bytes.
    pub body: Vec<u8>,
}

impl HttpAnswer {
    fn header(&self, name: &str) -> Option<&str> {
        match name {
            "retry-after" => self.retry_after.as_deref(),
            _ => self.date.as_deref(),
        }
    }

    /// Judges the answer: by our own reader for each method, and through the AWS SDK for a signal. Each verdict is in words.
    pub async fn judged(&self) -> Vec<String> {
        let after = http::retry_after(|name| self.header(name));
        let methods = [Method::InstanceIdentity, Method::Iam, Method::WaitHandle, Method::LifecycleHook];
        let own = methods.map(|method| format!("{:?}", judge(method, self.status, after, &self.body)));
        own.into_iter().chain([self.to_signal().await]).collect()
    }

    async fn to_signal(&self) -> String {
        let client = aws_sdk_cloudformation::Client::new(&self.sdk_config());
        let request = client.signal_resource().stack_name("web").logical_resource_id("Instances").unique_id("i-1");
        let answer = request.status(aws_sdk_cloudformation::types::ResourceSignalStatus::Success).send().await;
        let outcome = |error| format!("{:?}", sdk::outcome(Method::Iam, &error));
        answer.map_or_else(outcome, |_| "Accepted".to_owned())
    }

    /// Configures clients of the SDK that get this answer to every request.
    fn sdk_config(&self) -> SdkConfig {
        let answer = self.clone();
        let client =
            http_client_fn(move |_: &HttpConnectorSettings, _| SharedHttpConnector::new(Always(answer.clone())));
        let credentials = Credentials::new("AKIDEXAMPLE", "secret", None, None, "fuzzing");
        SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .retry_config(RetryConfig::disabled())
            .http_client(client)
            .build()
    }
}

/// A connection that gives one answer to every request.
#[derive(Clone, Debug)]
struct Always(HttpAnswer);

impl HttpConnector for Always {
    fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
        let body = SdkBody::from(self.0.body.clone());
        HttpConnectorFuture::ready(match StatusCode::try_from(self.0.status) {
            Ok(status) => Ok(HttpResponse::new(status, body)),
            Err(error) => Err(ConnectorError::io(error.into())),
        })
    }
}
