//! The AWS SDK on top of our own HTTP client.
//!
//! The SDK signs and encodes; connections, proxy, name resolution and TLS roots are those of every other request.

use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::imds::credentials::ImdsCredentialsProvider;
use aws_config::meta::credentials::CredentialsProviderChain;
use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningInstructions, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use aws_smithy_async::rt::sleep::{SharedAsyncSleep, TokioSleep};
use aws_smithy_async::time::SystemTimeSource;
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::{ConnectorError, SdkError};
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use reqwest::header::CONTENT_TYPE;
use url::{Origin, Url};

use crate::aws::delivery::answer::{Attempt, is_web_page, judge};
use crate::aws::delivery::{ANSWER_LIMIT, CredentialsSource, Method, Refusal, body_of_answer, exchange};
use crate::aws::endpoint::{Service, explain};
use crate::http;
use crate::secrets::redact;
use crate::well_known::IMDS_ENDPOINTS;

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/x-amz-json-1.1";
/// The SDK's own variable for the address of the service that has the instance role's credentials.
const METADATA_VARIABLE: &str = "AWS_EC2_METADATA_SERVICE_ENDPOINT";
/// The beginning of every path of the metadata service.
const METADATA: &str = "/latest/";

/// The client, settings and credentials that all services share.
pub(crate) struct Sdk {
    client: reqwest::Client,
    config: SdkConfig,
    credentials: SharedCredentialsProvider,
}

impl Sdk {
    /// Sets up the SDK with the given credentials, or with those of the environment or of the instance's role.
    pub(crate) fn new(region: &str, client: &reqwest::Client, credentials: &CredentialsSource) -> Result<Self> {
        let (given, imds_endpoint) = match credentials {
            CredentialsSource::Given(provider) => (Some(provider.clone()), None),
            CredentialsSource::Host { imds_endpoint } => (None, imds_endpoint.clone()),
        };
        let (config, of_host) = load(region, http_client(client.clone(), imds_endpoint)?);
        Ok(Self { client: client.clone(), config, credentials: given.unwrap_or(of_host) })
    }

    pub(crate) fn config(&self) -> &SdkConfig {
        &self.config
    }

    /// Sends one signed request of an API that takes its parameters as a form, as AWS's older APIs do.
    pub(crate) async fn query(
        &self,
        method: Method,
        (service, region): (Service, &str),
        endpoint: &str,
        parameters: &[(&str, &str)],
    ) -> Attempt {
        let credentials = match self.credentials(method).await {
            Ok(credentials) => credentials,
            Err(outcome) => return outcome,
        };
        let url = format!("{}/", endpoint.trim_end_matches('/'));
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
        match self.signed(&url, &[(CONTENT_TYPE.as_str(), FORM)], body, (service, region), credentials) {
            Ok(request) => exchange(method, request).await,
            Err(refused) => refused,
        }
    }

    /// Sends one signed request of an API with the protocol JSON 1.1, and returns the body of its answer, of at most `limit`
    /// bytes. `operation` is the value of `X-Amz-Target`.
    ///
    /// # Errors
    /// Any answer but an acceptance, judged.
    pub(crate) async fn json(
        &self,
        (method, limit): (Method, usize),
        (service, region): (Service, &str),
        endpoint: &str,
        operation: &str,
        parameters: &serde_json::Value,
    ) -> Result<Vec<u8>, Attempt> {
        let credentials = self.credentials(method).await?;
        let url = format!("{}/", endpoint.trim_end_matches('/'));
        let headers = [(CONTENT_TYPE.as_str(), JSON), ("x-amz-target", operation)];
        let request = self.signed(&url, &headers, parameters.to_string(), (service, region), credentials)?;
        body_of_answer(method, request, limit).await
    }

    /// Makes a POST request with these headers and this body, signed with Signature Version 4.
    fn signed(
        &self,
        url: &str,
        headers: &[(&str, &str)],
        body: String,
        of: (Service, &str),
        credentials: Credentials,
    ) -> Result<reqwest::RequestBuilder, Attempt> {
        let signature = signature(url, headers, &body, of, credentials)
            .map_err(|error| Attempt::Refused(redact(&format!("sign the request to {url}: {error:#}")).into()))?;
        let request = self.client.post(url).body(body);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        Ok(signature.headers().fold(request, |request, (name, value)| request.header(name, value)))
    }

    /// Returns credentials for one try. Each try fetches them anew, since they may expire.
    pub(crate) async fn credentials(&self, method: Method) -> Result<Credentials, Attempt> {
        self.credentials.provide_credentials().await.map_err(|error| no_credentials(method, &error))
    }
}

/// Loads the SDK's settings, and credentials from the environment or else of the instance's role.
///
/// The SDK's own loader would also look for profiles and web identities, which an instance does not have, and adds 0.4 MB to
/// the binary.
fn load(region: &str, client: SharedHttpClient) -> (SdkConfig, SharedCredentialsProvider) {
    let of_provider = ProviderConfig::without_region().with_http_client(client.clone());
    let role = ImdsCredentialsProvider::builder().configure(&of_provider).build();
    let environment = EnvironmentVariableCredentialsProvider::new();
    let chain = CredentialsProviderChain::first_try("environment", environment).or_else("instance role", role);
    let config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(region.to_owned()))
        .http_client(client)
        .sleep_impl(SharedAsyncSleep::new(TokioSleep::new()))
        .time_source(SystemTimeSource::new())
        // The caller retries, with its own rules and deadline.
        .retry_config(RetryConfig::disabled());
    (config.build(), SharedCredentialsProvider::new(chain))
}

/// Returns the headers that sign a request with Signature Version 4.
fn signature(
    url: &str,
    headers: &[(&str, &str)],
    body: &str,
    (service, region): (Service, &str),
    credentials: Credentials,
) -> Result<SigningInstructions> {
    let identity = credentials.into();
    let parameters = SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name(service.name())
        .time(SystemTime::now())
        .settings(SigningSettings::default())
        .build()?;
    let signable = SignableRequest::new("POST", url, headers.iter().copied(), SignableBody::Bytes(body.as_bytes()))?;
    let (instructions, _) = sign(signable, &parameters.into())?.into_parts();
    Ok(instructions)
}

fn no_credentials(method: Method, error: &CredentialsError) -> Attempt {
    match error {
        CredentialsError::CredentialsNotLoaded(_) => Attempt::Refused(Refusal {
            why: "the instance has no IAM credentials".to_owned(),
            remedy: format!("give it an instance profile whose role permits {}", method.permission()),
        }),
        _ => Attempt::again(redact(&http::causes(error))),
    }
}

/// Judges an error of the SDK. An answer of AWS in the error is judged like any other, whatever the SDK made of it.
pub(crate) fn outcome<E: std::error::Error + 'static>(method: Method, error: &SdkError<E, HttpResponse>) -> Attempt {
    if let Some(raw) = error.raw_response() {
        let after = http::retry_after(|name| raw.headers().get(name));
        let body = raw.body().bytes().unwrap_or_default();
        return judge(method, raw.status().as_u16(), after, body);
    }
    match error {
        SdkError::ConstructionFailure(_) => Attempt::Refused(redact(&http::causes(error)).into()),
        _ => Attempt::again(redact(&http::causes(error))),
    }
}

/// Makes the SDK's HTTP client out of ours.
fn http_client(outbound: reqwest::Client, imds_endpoint: Option<String>) -> Result<SharedHttpClient> {
    let direct = http::direct()?;
    let connector = Connector { outbound, direct, metadata: metadata_origins(), imds_endpoint, timeout: None };
    Ok(http_client_fn(move |settings: &HttpConnectorSettings, _| {
        SharedHttpConnector::new(Connector { timeout: settings.read_timeout(), ..connector.clone() })
    }))
}

/// Returns the origins that the SDK asks for the role's credentials. A proxy must never see these requests.
fn metadata_origins() -> Vec<Origin> {
    let configured = std::env::var(METADATA_VARIABLE).ok();
    let all = IMDS_ENDPOINTS.into_iter().chain(configured.as_deref());
    all.filter_map(|text| text.parse::<Url>().ok()).map(|url| url.origin()).collect()
}

#[derive(Clone, Debug)]
struct Connector {
    outbound: reqwest::Client,
    direct: reqwest::Client,
    metadata: Vec<Origin>,
    /// The address of the metadata service, in place of the address that the SDK uses.
    imds_endpoint: Option<String>,
    timeout: Option<Duration>,
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        match self.converted(&request) {
            Ok((request, direct)) => HttpConnectorFuture::new(exchanged(request, direct)),
            Err(error) => HttpConnectorFuture::ready(Err(ConnectorError::user(error.into()))),
        }
    }
}

impl Connector {
    /// Converts the request for reqwest, and tells whether the request goes to the metadata service.
    fn converted(&self, request: &HttpRequest) -> Result<(reqwest::RequestBuilder, bool)> {
        let mut url: Url = request.uri().parse().context("the SDK asks for something that is not a URL")?;
        let method = reqwest::Method::from_bytes(request.method().as_bytes())?;
        let body = request.body().bytes().context("the SDK streams a body")?.to_vec();
        let direct = self.metadata.contains(&url.origin());
        if let Some(endpoint) = self.imds_endpoint.as_ref().filter(|_| direct) {
            let path = url.path().find(METADATA).and_then(|at| url.path().get(at..)).unwrap_or_default();
            url = format!("{}{path}", endpoint.trim_end_matches('/')).parse()?;
        }
        let client = if direct { &self.direct } else { &self.outbound };
        let mut converted = client.request(method, url).body(body);
        for (name, value) in request.headers() {
            converted = converted.header(name, value);
        }
        if let Some(timeout) = self.timeout {
            converted = converted.timeout(timeout);
        }
        Ok((converted, direct))
    }
}

async fn exchanged(request: reqwest::RequestBuilder, direct: bool) -> Result<HttpResponse, ConnectorError> {
    let response = request.send().await.map_err(|error| {
        let timed_out = error.is_timeout();
        let text = explain(error);
        match timed_out {
            true => ConnectorError::timeout(text.into()),
            false => ConnectorError::io(text.into()),
        }
    })?;
    let status = StatusCode::try_from(response.status().as_u16()).map_err(|error| ConnectorError::io(error.into()))?;
    let headers = response.headers().clone();
    let body = http::read_body(response, ANSWER_LIMIT).await;
    let body = body.map_err(|error| ConnectorError::io(error.into()))?;
    // The SDK takes any 2xx for an accepted signal; a captive portal's page is none.
    if !direct && status.is_success() && is_web_page(&body) {
        return Err(ConnectorError::io("a web page: something between the instance and AWS answered, not AWS".into()));
    }
    let mut converted = HttpResponse::new(status, SdkBody::from(body));
    for (name, value) in &headers {
        // A header that is not text means nothing to the SDK.
        if let Ok(value) = value.to_str() {
            let appended = converted.headers_mut().try_append(name.as_str().to_owned(), value.to_owned());
            appended.map_err(|error| ConnectorError::io(error.into()))?;
        }
    }
    Ok(converted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::cloudformation::tests::{Server, proxied};

    /// Tells who answers a request of the SDK: the proxy, or the metadata service.
    async fn answer(connector: &Connector, url: &str) -> String {
        let answer = connector.call(HttpRequest::get(url).unwrap()).await.unwrap();
        String::from_utf8(answer.body().bytes().unwrap().to_vec()).unwrap()
    }

    #[tokio::test]
    async fn the_metadata_service_is_asked_without_the_proxy() {
        let proxy = Server::start(&[(200, "from the proxy")]).await;
        let metadata = Server::start(&[(200, "from the metadata service")]).await;
        let connector = Connector {
            outbound: proxied(&proxy, &[]),
            direct: http::direct().unwrap(),
            metadata: vec![metadata.url().parse::<Url>().unwrap().origin()],
            imds_endpoint: None,
            timeout: None,
        };
        for (url, expected) in [
            (metadata.url() + "/latest/api/token", "from the metadata service"),
            ("http://cloudformation.internal/".to_owned(), "from the proxy"),
        ] {
            assert_eq!(answer(&connector, &url).await, expected);
        }
        assert_eq!(proxy.requests().len(), 1);
    }

    #[tokio::test]
    async fn the_metadata_service_is_where_the_option_says_wherever_the_sdk_takes_it_to_be() {
        let proxy = Server::start(&[(200, "from the proxy")]).await;
        let metadata = Server::start(&[(200, "from the metadata service")]).await;
        for (below, expected) in [("", "/latest/api/token"), ("/", "/latest/api/token"), ("/a/", "/a/latest/api/token")]
        {
            let connector = Connector {
                outbound: proxied(&proxy, &[]),
                direct: http::direct().unwrap(),
                metadata: metadata_origins(),
                imds_endpoint: Some(metadata.url() + below),
                timeout: None,
            };
            for url in IMDS_ENDPOINTS {
                assert_eq!(answer(&connector, &format!("{url}/latest/api/token")).await, "from the metadata service");
                let line = metadata.requests().pop().unwrap().lines().next().unwrap().to_owned();
                assert_eq!(line, format!("GET {expected} HTTP/1.1"));
            }
            assert_eq!(answer(&connector, "http://autoscaling.internal/latest/").await, "from the proxy");
        }
    }
}
