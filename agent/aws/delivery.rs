//! Delivers requests to AWS: repeats each until it is accepted, refused for good, or out of time.
//!
//! The rules for repeating follow aws-cfn-bootstrap: everything that isn't clearly AWS's own refusal is tried again. A
//! proxy's error page, for one, says nothing about the request.

pub(crate) mod answer;
mod method;

use std::cell::Cell;
use std::pin::Pin;
use std::time::Duration;

use aws_credential_types::provider::SharedCredentialsProvider;
use tokio::time::{Instant, sleep, timeout};

use self::answer::{Attempt, judge};
pub use self::answer::{Over, Refusal};
pub(crate) use self::method::Method;
use crate::aws::endpoint;
use crate::http;

/// Time allowed for one try, credentials and name resolution included.
pub(crate) const TRY: Duration = Duration::from_secs(20);
/// The most bytes of an answer that are read. AWS's answers are well below a kilobyte; of a proxy's page, the head is
/// enough.
pub(crate) const ANSWER_LIMIT: usize = 64 * 1024;
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// The longest pause between tries, as in aws-cfn-bootstrap.
const LONGEST_PAUSE: Duration = Duration::from_secs(20);
/// Time that a pause leaves before the deadline, so that the last try isn't cut off at once.
const LAST_TRY: Duration = Duration::from_secs(1);

/// Says [`Over::AlreadyThere`], before AWS's text.
pub(crate) const ALREADY_THERE: &str =
    "accepted before: CloudFormation already has a signal with this ID, perhaps with another status";
/// Says [`Over::TooLate`], before AWS's text.
pub(crate) const TOO_LATE: &str =
    "the signal came too late (the stack's timeout is shorter than the boot, or the stack operation had already ended)";

/// The outcome of a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// AWS accepted the request.
    Accepted {
        /// `instance_identity`, `iam` or `wait_handle`.
        by: &'static str,
        /// The number of requests, including a refused request of the other way.
        attempts: u32,
    },
    /// The request was not accepted, and need not be sent again. The text is AWS's.
    Over(Over, String),
    /// The request will never be accepted.
    Refused(Refusal),
    /// There was no final answer until the deadline; the request may be sent again later. The text tells of the last try.
    Undelivered(String),
}

/// The source of the credentials for signed requests.
#[derive(Clone, Debug)]
pub enum CredentialsSource {
    /// Credentials that were given by hand.
    Given(SharedCredentialsProvider),
    /// Credentials that the host offers: in the environment, or by the instance's role.
    Host {
        /// The address of the instance metadata service that has the role's credentials; the usual ones unless given.
        imds_endpoint: Option<String>,
    },
}

/// Repeats an attempt until a final outcome or the deadline.
pub(crate) async fn persist(method: Method, deadline: Instant, attempt: impl AsyncFn() -> Attempt) -> Delivery {
    let accepted = async || match attempt().await {
        Attempt::Accepted => Ok(()),
        other => Err(other),
    };
    match persist_for(method, deadline, accepted).await {
        Ok(((), attempts)) => Delivery::Accepted { by: method.name(), attempts },
        Err(delivery) => delivery,
    }
}

/// Repeats an attempt until it gives a value, or another final outcome, or the deadline. Returns the value and the number of
/// tries.
///
/// # Errors
/// The outcome, which is never [`Delivery::Accepted`].
pub(crate) async fn persist_for<T>(
    method: Method,
    deadline: Instant,
    attempt: impl AsyncFn() -> Result<T, Attempt>,
) -> Result<(T, u32), Delivery> {
    let value = Cell::new(None);
    let once = || -> Try<'_> {
        Box::pin(async {
            value.set(Some(attempt().await?));
            Ok(())
        })
    };
    let attempts = repeat(method, deadline, &once).await?;
    value.take().map(|value| (value, attempts)).ok_or_else(|| Delivery::Undelivered(String::new()))
}

/// One attempt of a delivery.
type Try<'a> = Pin<Box<dyn Future<Output = Result<(), Attempt>> + 'a>>;

/// Repeats an attempt until it succeeds, or has another final outcome, or the deadline. Returns the number of tries. It is
/// compiled once for all requests, which saves 0.03 MB.
async fn repeat<'a>(method: Method, deadline: Instant, attempt: &dyn Fn() -> Try<'a>) -> Result<u32, Delivery> {
    let left = || deadline.saturating_duration_since(Instant::now());
    let mut pauses = http::pauses(FIRST_PAUSE, LONGEST_PAUSE);
    let mut attempts = 0;
    let mut last = "no time was left".to_owned();
    while !left().is_zero() {
        attempts += 1;
        let outcome = timeout(left().min(TRY), attempt()).await;
        let after = match outcome.unwrap_or_else(|_| Err(Attempt::again("no answer in time".to_owned()))) {
            Ok(()) => return Ok(attempts),
            Err(Attempt::Over(over, text)) => return Err(Delivery::Over(over, text)),
            Err(Attempt::Refused(refusal)) => return Err(Delivery::Refused(refusal)),
            Err(Attempt::Again { why, after }) => {
                last = why;
                after.unwrap_or_default()
            }
            // An acceptance comes as a value.
            Err(Attempt::Accepted) => Duration::ZERO,
        };
        tracing::warn!(by = method.name(), attempts, last, "{} has not accepted the request yet", method.service());
        let spare = left().saturating_sub(LAST_TRY);
        if spare.is_zero() {
            break;
        }
        let pause = pauses.next().unwrap_or(LONGEST_PAUSE).max(after);
        sleep(pause.min(spare)).await;
    }
    Err(Delivery::Undelivered(format!("gave up after {attempts} tries; the last error: {last}")))
}

/// Sends one request, and judges the answer.
pub(crate) async fn exchange(method: Method, request: reqwest::RequestBuilder) -> Attempt {
    body_of_answer(method, request, ANSWER_LIMIT).await.map_or_else(|attempt| attempt, |_| Attempt::Accepted)
}

/// Sends one request, and returns the body of an answer that accepts it.
///
/// # Errors
/// Any other answer, judged.
pub(crate) async fn body_of_answer(
    method: Method,
    request: reqwest::RequestBuilder,
    limit: usize,
) -> Result<Vec<u8>, Attempt> {
    let response = request.send().await.map_err(|error| Attempt::again(endpoint::explain(error)))?;
    let status = response.status().as_u16();
    let after = http::retry_after(|name| response.headers().get(name)?.to_str().ok());
    let body = http::read_body(response, limit).await;
    let body = body.map_err(|error| Attempt::again(format!("HTTP {status}: {error}")))?;
    match judge(method, status, after, &body) {
        Attempt::Accepted => Ok(body),
        other => Err(other),
    }
}
