//! `SignalResource` with IAM credentials, through the AWS SDK.

use anyhow::Result;
use aws_credential_types::Credentials;
use aws_sdk_cloudformation::config::Builder;
use aws_sdk_cloudformation::types::ResourceSignalStatus;

use super::request::{SignalRequest, Status};
use crate::aws::delivery::answer::Attempt;
use crate::aws::delivery::{CredentialsSource, Method};
use crate::aws::sdk::{Sdk, outcome};

/// Sends signed signals.
pub(super) struct Sender {
    sdk: Sdk,
    endpoint: String,
}

impl Sender {
    /// Makes a sender that signs with these credentials.
    pub(super) fn new(
        signal: &SignalRequest,
        client: &reqwest::Client,
        credentials: &CredentialsSource,
    ) -> Result<Self> {
        let sdk = Sdk::new(&signal.region, client, credentials)?;
        Ok(Self { sdk, endpoint: signal.endpoint() })
    }

    /// Sends the signal once.
    pub(super) async fn signal(&self, signal: &SignalRequest, stack: &str, resource: &str) -> Attempt {
        let credentials = match self.sdk.credentials(Method::Iam).await {
            Ok(credentials) => credentials,
            Err(outcome) => return outcome,
        };
        let status = match signal.status {
            Status::Success => ResourceSignalStatus::Success,
            Status::Failure => ResourceSignalStatus::Failure,
        };
        let request = self.client(credentials).signal_resource().stack_name(stack).logical_resource_id(resource);
        let answer = request.unique_id(&signal.unique_id).status(status).send().await;
        answer.map_or_else(|error| outcome(Method::Iam, &error), |_| Attempt::Accepted)
    }

    /// Makes a client for the same endpoint as for the instance identity.
    fn client(&self, credentials: Credentials) -> aws_sdk_cloudformation::Client {
        let builder = Builder::from(self.sdk.config()).credentials_provider(credentials).endpoint_url(&self.endpoint);
        aws_sdk_cloudformation::Client::from_conf(builder.build())
    }
}
