//! `SignalResource` with IAM credentials, through the AWS SDK.

use aws_sdk_cloudformation::Client;
use aws_sdk_cloudformation::config::Builder;
use aws_sdk_cloudformation::types::ResourceSignalStatus;

use super::request::{SignalRequest, Status};
use crate::aws::delivery::Method;
use crate::aws::delivery::answer::Attempt;
use crate::aws::sdk::{Sdk, outcome};

/// Sends the signal once, to the same endpoint as with the instance identity.
pub(super) async fn send(sdk: &Sdk, signal: &SignalRequest, stack: &str, resource: &str) -> Attempt {
    let credentials = match sdk.credentials(Method::Iam).await {
        Ok(credentials) => credentials,
        Err(outcome) => return outcome,
    };
    let status = match signal.status {
        Status::Success => ResourceSignalStatus::Success,
        Status::Failure => ResourceSignalStatus::Failure,
    };
    let config = Builder::from(sdk.config()).credentials_provider(credentials).endpoint_url(signal.endpoint());
    let client = Client::from_conf(config.build());
    let request = client.signal_resource().stack_name(stack).logical_resource_id(resource);
    let answer = request.unique_id(&signal.unique_id).status(status).send().await;
    answer.map_or_else(|error| outcome(Method::Iam, &error), |_| Attempt::Accepted)
}
