//! The EC2 instance metadata service, version 2 only.
//!
//! Every read carries a session token, which `PUT /latest/api/token` gives. When the service answers 401, a new token is
//! fetched once. A category that doesn't exist answers 404, which is an answer and not an error. The wire format and the
//! paths are those of the EC2 user guide, "Retrieve instance metadata".

mod error;
mod identity;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context;
use reqwest::StatusCode;
use tokio::time::{Instant, sleep};

pub use self::error::ImdsError;
use self::error::{malformed, refused};
use self::identity::lifecycle_state;
pub use self::identity::{Identity, is_of_a_warm_pool};
use crate::http::{self, BodyError};
use crate::well_known::IMDS_ENDPOINTS;

const TOKEN: &str = "/latest/api/token";
const USER_DATA: &str = "/latest/user-data";

const TOKEN_HEADER: &str = "x-aws-ec2-metadata-token";
const TTL_HEADER: &str = "x-aws-ec2-metadata-token-ttl-seconds";
/// The longest life that a token may have, six hours.
const TTL: &str = "21600";

/// The most bytes of user data that are read. EC2 allows 16 KiB; rehearsals and mocks may give more.
const USER_DATA_LIMIT: usize = 1024 * 1024;
const LIMIT: usize = 64 * 1024;

/// Time allowed for one request; the service answers within milliseconds or not at all.
const REQUEST: Duration = Duration::from_secs(2);
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// A client of the metadata service.
pub struct Imds {
    client: reqwest::Client,
    endpoints: Vec<String>,
    deadline: Instant,
    session: Mutex<Session>,
    /// The token. The lock is held while a token is fetched, so that parallel reads share one token.
    token: tokio::sync::Mutex<Option<String>>,
}

struct Session {
    /// The endpoint in use.
    current: usize,
    /// True if the current endpoint has ever answered; then it stays.
    answered: bool,
    /// The last failure of each endpoint.
    failures: Vec<Option<String>>,
}

impl Session {
    /// Settles on an endpoint that has answered.
    fn settle(&mut self, endpoint: usize) {
        self.current = endpoint;
        self.answered = true;
    }

    /// Moves on from an endpoint that failed, while none has answered. Parallel reads may fail at the same endpoint.
    fn move_on_from(&mut self, endpoint: usize) {
        if !self.answered && self.current == endpoint {
            self.current = (endpoint + 1) % self.failures.len();
        }
    }
}

/// A request without a usable answer, by what follows from it.
enum FailedRequest {
    /// Another try may succeed; this endpoint has failed.
    Again { endpoint: usize, failure: String },
    /// The token is missing or has expired.
    Unauthorized,
    /// No other try will succeed.
    Final(ImdsError),
}

impl std::fmt::Debug for Imds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Imds").field("endpoints", &self.endpoints).finish_non_exhaustive()
    }
}

/// Checks the service's address, which an option or its variable gives. Empty text counts as not given.
///
/// # Errors
/// The rule that the address breaks.
pub fn endpoint(text: &str) -> Result<String, String> {
    let text = http::endpoint(text)?;
    match text.to_ascii_lowercase().starts_with("https:") {
        true => Err("the instance metadata service is asked over http://".to_owned()),
        false => Ok(text),
    }
}

impl Imds {
    /// Makes a client of `endpoint`, or of the IPv4 and IPv6 defaults in turn until one answers. No read goes on after
    /// `deadline`.
    ///
    /// # Errors
    /// When `endpoint` isn't an `http://` URL, or no HTTP client can be made.
    pub fn new(endpoint: Option<&str>, deadline: Instant) -> anyhow::Result<Self> {
        let endpoints = match endpoint {
            None => IMDS_ENDPOINTS.map(String::from).to_vec(),
            Some(text) => {
                let url: url::Url = text.parse().with_context(|| format!("the IMDS endpoint {text:?} is not a URL"))?;
                anyhow::ensure!(url.scheme() == "http", "the IMDS endpoint {text:?} must start with http://");
                vec![text.trim_end_matches('/').to_owned()]
            }
        };
        Ok(Self {
            client: http::direct()?,
            session: Mutex::new(Session { current: 0, answered: false, failures: vec![None; endpoints.len()] }),
            endpoints,
            deadline,
            token: tokio::sync::Mutex::default(),
        })
    }

    /// Returns the contents of `path` (from `/latest/…` on), at most 64 KiB; `None` when the path doesn't exist.
    ///
    /// # Errors
    /// See [`ImdsError`]; temporary errors are retried until the deadline.
    pub async fn get(&self, path: &str) -> Result<Option<Vec<u8>>, ImdsError> {
        self.fetch(path, LIMIT).await
    }

    /// Returns the user data, at most 1 MiB; `None` when the instance has none.
    ///
    /// # Errors
    /// As for [`Imds::get`].
    pub async fn user_data(&self) -> Result<Option<Vec<u8>>, ImdsError> {
        self.fetch(USER_DATA, USER_DATA_LIMIT).await
    }

    /// Tries until an answer or the deadline; with a pause after each round over the endpoints.
    async fn fetch(&self, path: &str, limit: usize) -> Result<Option<Vec<u8>>, ImdsError> {
        let mut pauses = http::pauses(FIRST_PAUSE, LONGEST_PAUSE);
        let mut renewed = false;
        let mut tries = 0;
        loop {
            match self.attempt(path, limit).await {
                Ok(answer) => return Ok(answer),
                Err(FailedRequest::Final(error)) => return Err(error),
                Err(FailedRequest::Unauthorized) if renewed => {
                    return Err(refused(path, StatusCode::UNAUTHORIZED));
                }
                Err(FailedRequest::Unauthorized) => {
                    renewed = true;
                    continue;
                }
                Err(FailedRequest::Again { endpoint, failure }) => self.note(endpoint, failure),
            }
            tries += 1;
            let round_over = self.session().answered || tries % self.endpoints.len() == 0;
            let pause = if round_over { pauses.next().unwrap_or(LONGEST_PAUSE) } else { Duration::ZERO };
            if pause >= self.left() {
                return Err(ImdsError::Unreachable { tried: self.tried() });
            }
            sleep(pause).await;
        }
    }

    /// Keeps the failure of a try, and logs a new failure: a boot may wait minutes for this service.
    fn note(&self, endpoint: usize, failure: String) {
        let mut session = self.session();
        session.move_on_from(endpoint);
        let Some(last) = session.failures.get_mut(endpoint) else { return };
        if last.as_ref() != Some(&failure) {
            let place = self.endpoints.get(endpoint).map_or("", String::as_str);
            tracing::info!("the instance metadata service at {place} gives no answer yet: {failure}");
            *last = Some(failure);
        }
    }

    /// Lists the endpoints and their last failures, for an error.
    fn tried(&self) -> String {
        let session = self.session();
        let each = self.endpoints.iter().zip(&session.failures).map(|(endpoint, failure)| match failure {
            Some(failure) => format!("{endpoint} ({failure})"),
            None => format!("{endpoint} (not tried)"),
        });
        each.collect::<Vec<_>>().join("; ")
    }

    /// Makes one try, and fetches a token first if there is none.
    async fn attempt(&self, path: &str, limit: usize) -> Result<Option<Vec<u8>>, FailedRequest> {
        let token = self.token().await?;
        let request = |url: String| self.client.get(url).header(TOKEN_HEADER, &token);
        let (endpoint, response) = self.send(path, request).await?;
        match response.status() {
            StatusCode::OK => self.body(path, endpoint, response, limit).await.map(Some),
            StatusCode::NOT_FOUND => Ok(None),
            StatusCode::UNAUTHORIZED => {
                self.drop_token(&token).await;
                Err(FailedRequest::Unauthorized)
            }
            status => Err(failure(path, endpoint, status)),
        }
    }

    /// Reads everything about this instance.
    ///
    /// # Errors
    /// As for [`Imds::get`]; and when there is no usable identity document. All other categories may be missing or refused.
    pub async fn identity(&self) -> Result<Identity, ImdsError> {
        Identity::read(&async |path: &str| self.get(path).await).await
    }

    /// Returns the state to which Auto Scaling is bringing the instance; `None` outside an Auto Scaling group.
    ///
    /// # Errors
    /// As for [`Imds::get`].
    pub async fn target_lifecycle_state(&self) -> Result<Option<String>, ImdsError> {
        lifecycle_state(&async |path: &str| self.get(path).await).await
    }

    /// Returns the token in use, or a new one.
    async fn token(&self) -> Result<String, FailedRequest> {
        let mut current = self.token.lock().await;
        if let Some(token) = &*current {
            return Ok(token.clone());
        }
        let token = self.new_token().await?;
        *current = Some(token.clone());
        Ok(token)
    }

    async fn new_token(&self) -> Result<String, FailedRequest> {
        let request = |url: String| self.client.put(url).header(TTL_HEADER, TTL);
        let (endpoint, response) = self.send(TOKEN, request).await?;
        if response.status() != StatusCode::OK {
            return Err(failure(TOKEN, endpoint, response.status()));
        }
        let body = self.body(TOKEN, endpoint, response, LIMIT).await?;
        // The token goes into a header as it is, so it may have nothing but visible ASCII.
        let token = String::from_utf8(body)
            .ok()
            .filter(|token| !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic()));
        token.ok_or_else(|| FailedRequest::Final(malformed(TOKEN, "it is no token")))
    }

    /// Asks the endpoint in use. An answer of any kind settles on that endpoint.
    async fn send(
        &self,
        path: &str,
        request: impl FnOnce(String) -> reqwest::RequestBuilder,
    ) -> Result<(usize, reqwest::Response), FailedRequest> {
        let endpoint = self.session().current;
        let left = self.left();
        if left.is_zero() {
            let known = self.session().failures.get(endpoint).cloned().flatten();
            let failure = known.unwrap_or_else(|| "no time was left".to_owned());
            return Err(FailedRequest::Again { endpoint, failure });
        }
        let url = format!("{}{path}", self.endpoints.get(endpoint).map_or("", String::as_str));
        let answer = request(url).timeout(left.min(REQUEST)).send().await;
        let response = answer.map_err(|error| FailedRequest::Again { endpoint, failure: http::explain(error) })?;
        self.session().settle(endpoint);
        Ok((endpoint, response))
    }

    async fn body(
        &self,
        path: &str,
        endpoint: usize,
        response: reqwest::Response,
        limit: usize,
    ) -> Result<Vec<u8>, FailedRequest> {
        http::read_body(response, limit).await.map_err(|error| match error {
            BodyError::TooLong(_) => FailedRequest::Final(malformed(path, &error.to_string())),
            BodyError::Broken(_) => FailedRequest::Again { endpoint, failure: error.to_string() },
        })
    }

    /// Forgets `token`, unless another read has replaced it already.
    async fn drop_token(&self, token: &str) {
        let mut current = self.token.lock().await;
        if current.as_deref() == Some(token) {
            *current = None;
        }
    }

    fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// Locks the session, which is never held across an await. The session is whole at every moment, so a panic elsewhere
    /// leaves it usable.
    fn session(&self) -> MutexGuard<'_, Session> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Judges a status: throttling and the service's own errors are temporary, any other status is final.
fn failure(path: &str, endpoint: usize, status: StatusCode) -> FailedRequest {
    if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
        return FailedRequest::Again { endpoint, failure: format!("HTTP {} for {path}", status.as_u16()) };
    }
    FailedRequest::Final(refused(path, status))
}

#[cfg(all(test, feature = "rehearse"))]
#[path = "imds/tests.rs"]
mod tests;
