//! What an HTTP answer of AWS, or of what stands before it, means.

use std::time::Duration;

use serde::Deserialize;

use super::Method;
use crate::config::problem::redact;

/// What one try came to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Accepted,
    NotWaitedFor(String),
    Refused(String),
    Again {
        why: String,
        /// How long the other side asked to be left alone.
        after: Option<Duration>,
    },
}

impl Outcome {
    pub(crate) fn again(why: String) -> Self {
        Self::Again { why, after: None }
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

/// Codes of credentials that are too new to be known everywhere, or have been replaced meanwhile.
const TEMPORARY_IAM: [&str; 5] =
    ["InvalidClientTokenId", "InvalidAccessKeyId", "UnrecognizedClientException", "ExpiredToken", "RequestExpired"];

/// What an answer with this status and body means.
///
/// Only an AWS error with a 4xx status is a refusal. An answer without one comes from something in between, and 5xx passes.
pub(crate) fn judge(method: Method, status: u16, after: Option<Duration>, body: &[u8]) -> Outcome {
    let again = |why| Outcome::Again { why, after };
    if (200..300).contains(&status) {
        return match is_web_page(body) {
            true => again(format!("HTTP {status} with a web page: something in between answers in AWS's place")),
            false => Outcome::Accepted,
        };
    }
    let Some(error) = AwsError::read(body) else {
        return again(format!("HTTP {status} without an AWS error: something in between may have answered"));
    };
    let text = format!("{}: {}", error.code, error.message);
    if error.says_that_nobody_waits(method) {
        return Outcome::NotWaitedFor(error.message);
    }
    if !(400..500).contains(&status) || status == 429 || error.is_temporary(method, status) {
        return again(format!("HTTP {status}, {text}"));
    }
    Outcome::Refused(format!("{text} ({})", error.remedy(method)))
}

/// Whether this is HTML, which no AWS API and no presigned PUT answers with.
pub(crate) fn is_web_page(body: &[u8]) -> bool {
    let head = body.get(..512).unwrap_or(body);
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    head.contains("<html") || head.contains("<!doctype html")
}

impl AwsError {
    /// From JSON as `ContentType=JSON` asks for, or from XML as SDK requests and S3 get it.
    fn read(body: &[u8]) -> Option<Self> {
        // A bucket repeats much of the request that it refuses.
        let shown = |error: Self| Self { message: redact(&error.message), ..error };
        if let Ok(JsonError { error }) = serde_json::from_slice(body) {
            return Some(shown(error));
        }
        let text = std::str::from_utf8(body).ok()?;
        if is_web_page(body) || !text.contains("<Error>") {
            return None;
        }
        let message = element(text, "Message").unwrap_or_default();
        Some(shown(Self { code: element(text, "Code")?, message }))
    }

    /// The one code stands for much else, so that it is the text that tells. CloudFormation has it of each stack whose
    /// operation is over, Auto Scaling of each instance that no hook holds.
    fn says_that_nobody_waits(&self, method: Method) -> bool {
        let message = self.message.to_ascii_lowercase();
        self.code == "ValidationError"
            && match method {
                Method::LifecycleHook => message.contains("no active lifecycle action"),
                _ => message.contains("cannot be signaled"),
            }
    }

    fn is_temporary(&self, method: Method, status: u16) -> bool {
        if TEMPORARY.contains(&self.code.as_str()) {
            return true;
        }
        match method {
            // The clock of a booting host may be wrong until it has been set.
            Method::Iam | Method::LifecycleHook => {
                TEMPORARY_IAM.contains(&self.code.as_str())
                    || self.message.contains("Signature expired")
                    || self.message.contains("Signature not yet current")
            }
            // As aws-cfn-bootstrap has it for the presigned PUT.
            Method::WaitHandle => matches!(status, 404 | 408),
            Method::InstanceIdentity => false,
        }
    }

    fn remedy(&self, method: Method) -> String {
        let denied = format!("the instance's role must permit {}", method.permission());
        let remedy = match (method, self.code.as_str()) {
            (Method::WaitHandle, _) => {
                "the URL of the wait condition handle must be complete, and it expires; create the stack again"
            }
            (Method::LifecycleHook, "ValidationError") => {
                "check signal.lifecycle_hook: the group must exist in the instance's region, and have a hook of that \
                name"
            }
            (_, "ValidationError") if self.message.contains("does not exist") => {
                "check signal.stack, signal.resource and signal.region"
            }
            (Method::Iam, "ValidationError") => "check that signal.resource is a logical id in signal.stack",
            (Method::Iam | Method::LifecycleHook, _) => &denied,
            (Method::InstanceIdentity, _) => {
                "the instance must belong to signal.stack; if it doesn't, set signal.auth: iam and permit \
                cloudformation:SignalResource"
            }
        };
        remedy.to_owned()
    }
}

/// The text of the first such element; AWS's error documents are flat enough for this.
fn element(xml: &str, name: &str) -> Option<String> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    let text = text.replace("&lt;", "<").replace("&gt;", ">");
    let text = text.replace("&quot;", "\"").replace("&apos;", "'");
    // Last, so that what it uncovers isn't taken for an entity.
    Some(text.replace("&amp;", "&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(code: &str, message: &str) -> Vec<u8> {
        format!(r#"{{"Error":{{"Code":"{code}","Message":"{message}","Type":"Sender"}},"RequestId":"1"}}"#).into_bytes()
    }

    fn xml(code: &str, message: &str) -> Vec<u8> {
        format!(
            "<ErrorResponse xmlns=\"http://cloudformation.amazonaws.com/doc/2010-05-15/\">\n  <Error>\n    <Type>Sender</Type>\n    \
             <Code>{code}</Code>\n    <Message>{message}</Message>\n  </Error>\n</ErrorResponse>"
        )
        .into_bytes()
    }

    fn kind(outcome: &Outcome) -> &'static str {
        match outcome {
            Outcome::Accepted => "accepted",
            Outcome::NotWaitedFor(_) => "not waited for",
            Outcome::Refused(_) => "refused",
            Outcome::Again { .. } => "again",
        }
    }

    #[test]
    fn answers_are_told_apart() {
        use Method::{Iam, InstanceIdentity, LifecycleHook, WaitHandle};
        let over = "Stack arn:aws:cloudformation:… is in CREATE_COMPLETE state and cannot be signaled";
        let gone = "Stack 'x' does not exist";
        let page = b"<!DOCTYPE HTML><HTML><body>Blocked</body></HTML>".to_vec();
        for (method, status, body, expected) in [
            (InstanceIdentity, 200, Vec::new(), "accepted"),
            (InstanceIdentity, 200, b"{}".to_vec(), "accepted"),
            (InstanceIdentity, 200, page.clone(), "again"),
            (WaitHandle, 200, page.clone(), "again"),
            (InstanceIdentity, 200, b"<html>Log in</html>".to_vec(), "again"),
            (InstanceIdentity, 200, b"<!doctype html>Log in".to_vec(), "again"),
            // A page that quotes an error is no answer of AWS, nor is an error that is not in the place for one.
            (Iam, 403, [page.clone(), xml("AccessDenied", "no")].concat(), "again"),
            (Iam, 403, b"<Code>AccessDenied</Code>".to_vec(), "again"),
            (InstanceIdentity, 302, Vec::new(), "again"),
            (InstanceIdentity, 403, page.clone(), "again"),
            (InstanceIdentity, 407, Vec::new(), "again"),
            (InstanceIdentity, 400, json("ValidationError", over), "not waited for"),
            (Iam, 400, xml("ValidationError", over), "not waited for"),
            (InstanceIdentity, 400, json("ValidationError", gone), "refused"),
            (Iam, 400, xml("ValidationError", gone), "refused"),
            (InstanceIdentity, 400, json("Throttling", "Rate exceeded"), "again"),
            (Iam, 400, xml("Throttling", "Rate exceeded"), "again"),
            (InstanceIdentity, 503, json("ServiceUnavailable", ""), "again"),
            (InstanceIdentity, 500, json("InternalFailure", ""), "again"),
            (InstanceIdentity, 403, json("AccessDenied", "no"), "refused"),
            (Iam, 403, xml("AccessDenied", "no"), "refused"),
            (InstanceIdentity, 403, json("InvalidClientTokenId", "no"), "refused"),
            (Iam, 403, xml("InvalidClientTokenId", "no"), "again"),
            (Iam, 403, xml("SignatureDoesNotMatch", "no"), "refused"),
            (Iam, 403, xml("SignatureDoesNotMatch", "Signature expired: …"), "again"),
            (WaitHandle, 403, xml("AccessDenied", "Request has expired"), "refused"),
            (WaitHandle, 404, xml("NoSuchBucket", ""), "again"),
            (WaitHandle, 503, xml("SlowDown", ""), "again"),
            (
                LifecycleHook,
                400,
                xml("ValidationError", "No active Lifecycle Action found with instance ID i-1"),
                "not waited for",
            ),
            // Each service has its own words for it.
            (LifecycleHook, 400, xml("ValidationError", over), "refused"),
            (Iam, 400, xml("ValidationError", "No active Lifecycle Action found with instance ID i-1"), "refused"),
            (LifecycleHook, 400, xml("ValidationError", "no such group"), "refused"),
            (LifecycleHook, 403, xml("AccessDenied", "no"), "refused"),
            (LifecycleHook, 403, xml("ExpiredToken", "no"), "again"),
            (LifecycleHook, 400, xml("ScalingActivityInProgress", ""), "again"),
            (LifecycleHook, 500, xml("ResourceContention", ""), "again"),
            (LifecycleHook, 200, page.clone(), "again"),
        ] {
            let outcome = judge(method, status, None, &body);
            let shown = String::from_utf8_lossy(&body);
            assert_eq!(kind(&outcome), expected, "{method:?} {status} {shown}: {outcome:?}");
        }
    }

    #[test]
    fn each_refusal_has_its_own_remedy() {
        use Method::{Iam, InstanceIdentity, LifecycleHook, WaitHandle};
        for (method, code, message, remedy) in [
            (
                InstanceIdentity,
                "ValidationError",
                "Stack 'x' does not exist",
                "check signal.stack, signal.resource and",
            ),
            (Iam, "ValidationError", "Stack 'x' does not exist", "check signal.stack, signal.resource and"),
            (Iam, "ValidationError", "no", "check that signal.resource is a logical id"),
            (Iam, "AccessDenied", "no", "must permit cloudformation:SignalResource"),
            (InstanceIdentity, "ValidationError", "no", "the instance must belong to signal.stack"),
            (InstanceIdentity, "AccessDenied", "no", "the instance must belong to signal.stack"),
            (WaitHandle, "AccessDenied", "no", "create the stack again"),
            (LifecycleHook, "ValidationError", "no", "check signal.lifecycle_hook"),
            (
                LifecycleHook,
                "AccessDenied",
                "no",
                "permit autoscaling:CompleteLifecycleAction and autoscaling:RecordLifecycleActionHeartbeat",
            ),
        ] {
            let Outcome::Refused(text) = judge(method, 400, None, &xml(code, message)) else {
                panic!("{method:?} {code} {message}: it is not refused");
            };
            assert!(text.starts_with(&format!("{code}: {message} (")) && text.contains(remedy), "{method:?}: {text}");
        }
    }

    #[test]
    fn a_refusal_carries_the_message_and_a_remedy() {
        let outcome = judge(Method::Iam, 403, None, &xml("AccessDenied", "User &quot;a&amp;lt;b&quot; may not"));
        let expected =
            "AccessDenied: User \"a&lt;b\" may not (the instance's role must permit cloudformation:SignalResource)";
        assert_eq!(outcome, Outcome::Refused(expected.to_owned()));
        let secret = judge(Method::WaitHandle, 403, None, &xml("AccessDenied", "https://b/h?Signature=secret expired"));
        assert!(!format!("{secret:?}").contains("secret"), "{secret:?}");
    }
}
