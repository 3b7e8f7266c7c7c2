//! Judges an HTTP answer, from AWS or from something in between.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::method::Method;
use crate::aws::denial::Denial;
use crate::secrets::redact;

/// The result of one attempt to deliver.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Attempt {
    Accepted,
    Over(Over, String),
    Refused(Refusal),
    Again {
        why: String,
        /// Time for which the other side asked to be left alone.
        after: Option<Duration>,
    },
}

impl Attempt {
    pub(crate) fn again(why: String) -> Self {
        Self::Again { why, after: None }
    }
}

/// The reason why a request that was not taken need not be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// CloudFormation has a signal with this id, and would only take a FAILURE in its place.
    ///
    /// Either the answer to an earlier try was lost, or something else has signalled for the instance.
    AlreadyThere,
    /// Nobody waits: the stack's operation or the lifecycle action is over, as on every later scale-out of a stack.
    NotWaitedFor,
    /// The stack was rolled back, or has failed or been deleted, before the signal came.
    TooLate,
}

/// A refusal that is final, and its remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The reason, mostly AWS's.
    pub why: String,
    /// The remedy; empty where the reason holds the remedy.
    pub remedy: String,
}

impl From<String> for Refusal {
    fn from(why: String) -> Self {
        Refusal { why, remedy: String::new() }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)?;
        if self.remedy.is_empty() { Ok(()) } else { write!(f, " ({})", self.remedy) }
    }
}

/// An error of an AWS service.
#[derive(Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "PascalCase")]
struct AwsError {
    code: String,
    #[serde(default)]
    message: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct JsonError {
    error: AwsError,
}

/// Codes of refusals that pass by themselves, whatever their status.
const TEMPORARY: [&str; 11] = [
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "RequestThrottled",
    "RequestLimitExceeded",
    "TooManyRequestsException",
    "SlowDown",
    "RequestTimeout",
    "RequestTimeTooSkewed",
    // Auto Scaling, while another change of the same group is under way.
    "ResourceContention",
    "ScalingActivityInProgress",
];

/// Codes for credentials that are too new to be known everywhere, or have been replaced meanwhile.
const TEMPORARY_IAM: [&str; 6] = [
    "InvalidClientTokenId",
    "InvalidAccessKeyId",
    "UnrecognizedClientException",
    "ExpiredToken",
    "ExpiredTokenException",
    "RequestExpired",
];

/// Remedies for S3's answers to the URL of a wait condition handle. Each has the beginning of the code, a part of the
/// message, and the remedy.
const OF_HANDLES: [(&str, &str, &str); 7] = [
    ("", "has expired", EXPIRED),
    ("ExpiredToken", "", EXPIRED),
    ("", "Query-string authentication", "the URL was cut short: give the complete URL in quotes, since it contains &"),
    ("SignatureDoesNotMatch", "", CHANGED),
    ("InvalidAccessKeyId", "", CHANGED),
    ("NoSuchBucket", "", "the host of the URL must be as CloudFormation made it, with the stack's own region"),
    (
        "AccessDenied",
        "",
        "the policy of the VPC endpoint for S3 must allow s3:PutObject in the bucket of the URL, \
         cloudformation-waitcondition-REGION",
    ),
];
const ANY_HANDLE: &str =
    "the URL of the wait condition handle must be complete, and it expires; create the stack again";
const EXPIRED: &str = "the URL of the wait condition handle is too old: create the stack again";
const CHANGED: &str =
    "the URL was changed on its way here: give it exactly as CloudFormation made it, with every % and &";

/// The beginnings of codes for a request whose signature, made here, is wrong.
const MISSIGNED: [&str; 4] =
    ["SignatureDoesNotMatch", "InvalidSignature", "IncompleteSignature", "MissingAuthenticationToken"];

/// Remedies for the codes of Systems Manager and Secrets Manager, each with the beginning of the code.
const OF_VALUES: [(&str, &str); 8] = [
    ("ParameterVersionNotFound", "check the version or the label behind the parameter's name"),
    ("ParameterNotFound", "check the parameter's name, and that it is in this region and account"),
    (
        "InvalidKeyId",
        "the key of the parameter must be enabled, and the instance's role must permit kms:Decrypt with it",
    ),
    (
        "DecryptionFailure",
        "the key of the secret must be enabled, and the instance's role must permit kms:Decrypt with it",
    ),
    (
        "ResourceNotFoundException",
        "check the secret's name, version and stage, and that it is in this region and account",
    ),
    ("InvalidRequestException", "the secret must not be scheduled for deletion: restore it, or give another"),
    ("InvalidParameterException", "check the secret's name, version and stage"),
    ("ValidationException", "check the name, and what selects a version"),
];

/// Judges an answer with this status and body.
///
/// Only an AWS error with a 4xx status is a refusal. An answer without such an error comes from something in between, and a
/// 5xx status is temporary.
pub(crate) fn judge(method: Method, status: u16, after: Option<Duration>, body: &[u8]) -> Attempt {
    let again = |why| Attempt::Again { why, after };
    if (200..300).contains(&status) {
        return match is_web_page(body) {
            true => again(format!(
                "HTTP {status} with a web page: something between the instance and AWS answered, not AWS"
            )),
            false => Attempt::Accepted,
        };
    }
    let Some(error) = AwsError::read(body) else {
        return again(format!(
            "HTTP {status} without an AWS error: something between the instance and AWS may have answered"
        ));
    };
    if let Some(over) = error.over(method) {
        return Attempt::Over(over, error.message);
    }
    let refusal = Refusal { why: format!("{}: {}", error.code, error.message), remedy: error.remedy(method) };
    match error.is_temporary(method, status) {
        // A missing stack or resource seldom appears by itself, so the remedy is given too.
        true if status == 404 => again(format!("HTTP {status}, {refusal}")),
        true => again(format!("HTTP {status}, {}", refusal.why)),
        false => Attempt::Refused(refusal),
    }
}

/// Tells whether a body is HTML, which no AWS API and no presigned PUT answers with.
pub(crate) fn is_web_page(body: &[u8]) -> bool {
    let head = body.get(..512).unwrap_or(body);
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    head.contains("<html") || head.contains("<!doctype html")
}

impl AwsError {
    /// Reads an error from JSON, which `ContentType=JSON` asks for, or from XML, which SDK requests and S3 get.
    fn read(body: &[u8]) -> Option<Self> {
        // A bucket repeats much of the request that it refuses.
        let shown = |error: Self| Self { message: redact(&error.message), ..error };
        if let Ok(JsonError { error }) = serde_json::from_slice(body) {
            return Some(shown(error));
        }
        if let Ok(error) = serde_json::from_slice::<Value>(body)
            && let Some(code) = error["__type"].as_str()
        {
            // The protocol JSON 1.1: <https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html>
            let code = code.rsplit('#').next().unwrap_or_default().to_owned();
            let message = [&error["message"], &error["Message"]].into_iter().find_map(Value::as_str);
            return Some(shown(Self { code, message: message.unwrap_or_default().to_owned() }));
        }
        let text = std::str::from_utf8(body).ok()?;
        if is_web_page(body) || !text.contains("<Error>") {
            return None;
        }
        let message = element(text, "Message").unwrap_or_default();
        Some(shown(Self { code: element(text, "Code")?, message }))
    }

    /// Returns the reason why the request need not be sent again, if there is one.
    ///
    /// The same code has many other meanings, so the text decides. CloudFormation has this text for each stack whose
    /// operation is over, and for each id that has signalled; Auto Scaling for each instance that no hook holds.
    fn over(&self, method: Method) -> Option<Over> {
        let message = self.message.to_ascii_lowercase();
        let says = |text| message.contains(text);
        match method {
            _ if self.code != "ValidationError" => None,
            Method::LifecycleHook => says("no active lifecycle action").then_some(Over::NotWaitedFor),
            Method::InstanceHealth => None,
            _ if says("signal with id") && says("already exists") => Some(Over::AlreadyThere),
            _ if !says("cannot be signaled") => None,
            _ if has_failed(&message) => Some(Over::TooLate),
            _ => Some(Over::NotWaitedFor),
        }
    }

    fn is_temporary(&self, method: Method, status: u16) -> bool {
        if !(400..500).contains(&status) || status == 429 || TEMPORARY.contains(&self.code.as_str()) {
            return true;
        }
        match method {
            // aws-cfn-bootstrap retries the presigned PUT on these.
            Method::WaitHandle => matches!(status, 404 | 408),
            Method::InstanceIdentity => false,
            // The clock of a booting host may be wrong until it has been set.
            _ => {
                TEMPORARY_IAM.contains(&self.code.as_str())
                    || self.message.contains("Signature expired")
                    || self.message.contains("Signature not yet current")
            }
        }
    }

    fn remedy(&self, method: Method) -> String {
        if let Some(denial) = Denial::of(&self.message) {
            return denial.remedy();
        }
        let remedy = match (method, self.code.as_str()) {
            (Method::WaitHandle, code) => {
                let mut known = OF_HANDLES.iter();
                let fits = |begins: &str, text: &str| code.starts_with(begins) && self.message.contains(text);
                known.find(|(begins, text, _)| fits(begins, text)).map_or(ANY_HANDLE, |(.., remedy)| remedy)
            }
            (_, code) if method.is_signed() && MISSIGNED.iter().any(|begins| code.starts_with(begins)) => {
                "the secret key must belong to the access key, and no proxy may change the request's headers"
            }
            (Method::LifecycleHook, "ValidationError") => {
                "check signal.lifecycle_hook: the group must exist in the instance's region, and have a hook of that \
                name"
            }
            (Method::Parameter | Method::Secret | Method::RegistryToken, code) => {
                return of_json_api(method, code, &self.message);
            }
            (Method::InstanceHealth, "ValidationError") => {
                "only an instance of an Auto Scaling group can be reported: for another one, leave on_failure.health out"
            }
            (_, "ValidationError") if self.message.contains("does not exist") => {
                "check signal.stack, signal.resource and signal.region"
            }
            (Method::Iam, "ValidationError") => "check that signal.resource is a logical ID in signal.stack",
            (Method::Iam | Method::LifecycleHook | Method::InstanceHealth, _) => {
                return format!("the instance's role must permit {}", method.permission());
            }
            (Method::InstanceIdentity, _) => {
                "the instance must belong to signal.stack; if it doesn't, set signal.auth: iam and permit \
                cloudformation:SignalResource"
            }
        };
        remedy.to_owned()
    }
}

/// Returns the remedy for an error of an API with the protocol JSON 1.1. A message names the action that is not permitted,
/// which may be the key's and not the service's own.
fn of_json_api(method: Method, code: &str, message: &str) -> String {
    if let Some((_, remedy)) = OF_VALUES.iter().find(|(begins, _)| code.starts_with(begins)) {
        return (*remedy).to_owned();
    }
    let named = message.split_once("not authorized to perform: ").and_then(|(_, rest)| rest.split_whitespace().next());
    let of_key = message.contains("KMS").then_some("kms:Decrypt");
    format!("the instance's role must permit {}", named.or(of_key).unwrap_or(method.permission()))
}

/// Tells whether a message names a stack that was rolled back, has failed, or is deleted.
///
/// The message is like `Stack web is in ROLLBACK_COMPLETE state and cannot be signaled`, in lower case. All other states are
/// those of an operation that went well, or goes on.
fn has_failed(message: &str) -> bool {
    let state = message.split_once(" is in ").and_then(|(_, rest)| rest.split_whitespace().next());
    state.is_some_and(|state| state.contains("rollback") || state.contains("failed") || state.starts_with("delete"))
}

/// Returns the text of the first element with this name; AWS's error documents are flat enough for this.
fn element(xml: &str, name: &str) -> Option<String> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    let text = text.replace("&lt;", "<").replace("&gt;", ">");
    let text = text.replace("&quot;", "\"").replace("&apos;", "'");
    // `&amp;` comes last, so that the text which it uncovers isn't taken for an entity.
    Some(text.replace("&amp;", "&"))
}

#[cfg(test)]
#[path = "answer/tests.rs"]
mod tests;
