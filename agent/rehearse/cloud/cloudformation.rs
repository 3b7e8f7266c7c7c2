//! The part of CloudFormation for signals: SignalResource, and the bucket behind wait condition handles.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use super::http::{CloudLog, Double, Reply, Request, Server, held};
use super::imds::IdentityDouble;
use super::query::{
    ApiError, Parameters, REQUEST_ID, action, error_in_xml, escaped, parameters, path_of, required, signed_for,
};
use super::received::{ReceivedSignal, SignalAuth};

const API_VERSION: &str = "2010-05-15";
const NAMESPACE: &str = "http://cloudformation.amazonaws.com/doc/2010-05-15/";

/// CloudFormation's answer to a signal that is well-formed and authenticated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CfnAnswer {
    /// The signal is accepted.
    Accept,
    /// Too many requests at once.
    Throttle,
    /// The stack operation is over.
    CannotBeSignaled,
    /// There is no such stack.
    NoSuchStack,
    /// The caller may not signal.
    AccessDenied,
    /// CloudFormation itself failed.
    ServerError,
    /// An error with this status, code and message.
    Error(u16, &'static str, &'static str),
    /// CloudFormation is busy, and asks for a pause of so many seconds (`Retry-After`).
    Busy(u64),
    /// A page with this status, as from a middlebox.
    HtmlPage(u16),
    /// The connection is reset.
    Reset,
    /// The signal is accepted, and the answer comes after this time.
    Slow(Duration),
    /// The signal is accepted, and the connection breaks before the answer.
    Lost,
}

/// CloudFormation.
pub(super) struct CloudFormation {
    authorization: String,
    answers: Mutex<VecDeque<CfnAnswer>>,
    log: Arc<CloudLog>,
}

impl CloudFormation {
    pub(super) fn new(identity: &IdentityDouble, answers: VecDeque<CfnAnswer>, log: Arc<CloudLog>) -> Self {
        Self { authorization: identity.authorization(), answers: Mutex::new(answers), log }
    }

    /// Checks the authentication of a request, and tells which of the two kinds was used.
    fn authenticate(&self, request: &Request) -> Result<SignalAuth, ApiError> {
        let header = request.header("authorization").ok_or_else(ApiError::unsigned)?;
        if header.starts_with("AWS4-HMAC-SHA256 ") {
            return if signed_for(header, "cloudformation") { Ok(SignalAuth::Iam) } else { Err(ApiError::signature()) };
        }
        if header == self.authorization && request.method == "GET" {
            return Ok(SignalAuth::InstanceIdentity);
        }
        Err(ApiError::denied("The instance identity document and its signature were not accepted"))
    }

    fn signal_resource(&self, request: &Request, given: &Parameters) -> Result<ReceivedSignal, ApiError> {
        action(given, API_VERSION, &["SignalResource"])?;
        let auth = self.authenticate(request)?;
        let parameter = |name: &str| required(given, name);
        Ok(ReceivedSignal {
            stack: checked(parameter("StackName")?, "StackName", is_stack)?,
            resource: parameter("LogicalResourceId")?,
            status: checked(parameter("Status")?, "Status", is_status)?,
            unique_id: checked(parameter("UniqueId")?, "UniqueId", |id| id.len() <= 64)?,
            auth,
            reason: None,
            data: None,
            at: request.at,
            proxied: false,
        })
    }

    /// Tells whether a signal with this ID exists that this signal would not update: only a FAILURE updates a signal.
    fn has(&self, signal: &ReceivedSignal) -> bool {
        // A wait condition accepts everything that is put into its bucket.
        let of_resource = signal.auth != SignalAuth::WaitHandle && signal.status == "SUCCESS";
        let is_same = |other: &ReceivedSignal| {
            other.auth != SignalAuth::WaitHandle
                && (&other.resource, &other.unique_id) == (&signal.resource, &signal.unique_id)
                && name_of(&other.stack) == name_of(&signal.stack)
        };
        of_resource && self.log.signals().iter().any(is_same)
    }

    /// Answers a signal as scripted, and records the signal if the answer accepts it.
    async fn take(&self, mut signal: ReceivedSignal, peer: SocketAddr, form: ReplyFormat) -> Option<Reply> {
        let stack = signal.stack.clone();
        signal.proxied = self.log.is_proxy(peer);
        let scripted = held(&self.answers).pop_front().unwrap_or(CfnAnswer::Accept);
        let takes = matches!(scripted, CfnAnswer::Accept | CfnAnswer::Slow(_) | CfnAnswer::Lost);
        if takes && self.has(&signal) {
            let ReceivedSignal { unique_id, resource, .. } = &signal;
            let text = format!("Signal with ID {unique_id} for resource {resource} already exists.");
            let refusal = ApiError::invalid(text + "  Signals may only be updated with a FAILURE status.");
            return Some(form.refused(&refusal));
        }
        if takes {
            // Recorded before any wait: the signal counts, whether the caller stays for the answer or not.
            self.log.signalled(signal);
        }
        let refusal = match scripted {
            CfnAnswer::Accept => return Some(form.accepted()),
            CfnAnswer::Slow(delay) => {
                tokio::time::sleep(delay).await;
                return Some(form.accepted());
            }
            CfnAnswer::Lost | CfnAnswer::Reset => return None,
            CfnAnswer::HtmlPage(status) => return Some(page(status)),
            CfnAnswer::Throttle => ApiError::new(400, "Throttling", "Rate exceeded"),
            CfnAnswer::CannotBeSignaled => {
                ApiError::invalid(format!("Stack {stack} is in CREATE_COMPLETE state and cannot be signaled"))
            }
            CfnAnswer::NoSuchStack => ApiError::invalid(format!("Stack '{stack}' does not exist")),
            CfnAnswer::AccessDenied => {
                ApiError::denied("User is not authorized to perform: cloudformation:SignalResource")
            }
            CfnAnswer::Error(status, code, message) => ApiError::new(status, code, message),
            CfnAnswer::Busy(seconds) => {
                let refusal = ApiError::new(503, "ServiceUnavailable", "Service is unable to handle request.");
                return Some(form.refused(&refusal).with("retry-after", seconds.to_string()));
            }
            CfnAnswer::ServerError => ApiError::new(500, "InternalFailure", "An internal error has occurred"),
        };
        Some(form.refused(&refusal))
    }
}

impl Double for CloudFormation {
    fn server(&self) -> Server {
        Server::CloudFormation
    }

    async fn answer(&self, request: &Request, peer: SocketAddr) -> Option<Reply> {
        let (path, query) = path_of(request);
        if path == "/waithandle" {
            return match wait_handle(request) {
                Ok(signal) => self.take(signal, peer, ReplyFormat::Bucket).await,
                Err(refusal) => Some(ReplyFormat::Bucket.refused(&refusal)),
            };
        }
        let given = match request.method.as_str() {
            "GET" => parameters(query.as_bytes()),
            "POST" => parameters(&request.body),
            _ => return Some(page(405)),
        };
        let json = given.get("ContentType").is_some_and(|kind| kind == "JSON");
        let form = if json { ReplyFormat::Json } else { ReplyFormat::Xml };
        match self.signal_resource(request, &given) {
            Ok(signal) => self.take(signal, peer, form).await,
            Err(refusal) => Some(form.refused(&refusal)),
        }
    }
}

fn checked(value: String, name: &str, is_right: impl Fn(&str) -> bool) -> Result<String, ApiError> {
    if is_right(&value) {
        return Ok(value);
    }
    Err(ApiError::invalid(format!(
        "1 validation error detected: Value '{value}' at '{name}' failed to satisfy constraint"
    )))
}

fn is_stack(text: &str) -> bool {
    let is_name = |name: &str| {
        name.starts_with(|first: char| first.is_ascii_alphabetic())
            && name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '-')
    };
    is_name(text) || text.starts_with("arn:aws")
}

/// Returns the name of a stack that is given by its name or its ARN.
fn name_of(stack: &str) -> &str {
    stack.split('/').nth(1).unwrap_or(stack)
}

fn is_status(text: &str) -> bool {
    matches!(text, "SUCCESS" | "FAILURE")
}

/// Reads a signal put to a wait condition handle. The URL was signed for an upload without a content type.
fn wait_handle(request: &Request) -> Result<ReceivedSignal, ApiError> {
    let typed = request.header("content-type").is_some_and(|kind| !kind.is_empty());
    if request.method != "PUT" || typed {
        return Err(ApiError::signature());
    }
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let text = |name: &str| {
        let value = body.get(name).and_then(Value::as_str).map(str::to_owned);
        value.ok_or_else(|| ApiError::invalid(format!("'{name}' must be a string")))
    };
    if body.as_object().is_none_or(|members| members.len() != 4) {
        return Err(ApiError::invalid("Status, Reason, UniqueId and Data, and nothing else"));
    }
    Ok(ReceivedSignal {
        stack: String::new(),
        resource: String::new(),
        status: checked(text("Status")?, "Status", is_status)?,
        unique_id: text("UniqueId")?,
        auth: SignalAuth::WaitHandle,
        reason: Some(text("Reason")?),
        data: Some(text("Data")?),
        at: request.at,
        proxied: false,
    })
}

/// The format of replies: the API's two, and that of the bucket.
#[derive(Debug, Clone, Copy)]
enum ReplyFormat {
    Json,
    Xml,
    Bucket,
}

impl ReplyFormat {
    fn accepted(self) -> Reply {
        match self {
            Self::Json => {
                let body = json!({"SignalResourceResponse": {"ResponseMetadata": {"RequestId": REQUEST_ID}}});
                Reply::new(200, "application/json", body.to_string())
            }
            Self::Xml => Reply::new(
                200,
                "text/xml",
                format!(
                    "<SignalResourceResponse xmlns=\"{NAMESPACE}\">\n  \
                 <ResponseMetadata>\n    <RequestId>{REQUEST_ID}</RequestId>\n  </ResponseMetadata>\n\
                 </SignalResourceResponse>\n"
                ),
            ),
            Self::Bucket => Reply::new(200, "application/xml", ""),
        }
    }

    fn refused(self, refusal: &ApiError) -> Reply {
        let ApiError { status, code, message } = refusal;
        let text = escaped(message);
        match self {
            Self::Json => {
                let error = json!({"Code": code, "Message": message, "Type": refusal.kind()});
                let body = json!({"Error": error, "RequestId": REQUEST_ID});
                Reply::new(*status, "application/json", body.to_string())
            }
            Self::Xml => error_in_xml(NAMESPACE, refusal),
            Self::Bucket => Reply::new(
                *status,
                "application/xml",
                format!(
                    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{text}</Message></Error>"
                ),
            ),
        }
    }
}

/// Returns a page that a middlebox sends in CloudFormation's place.
pub(super) fn page(status: u16) -> Reply {
    let text =
        format!("<html><head><title>{status}</title></head><body><p>Your request was blocked.</p></body></html>\n");
    Reply::new(status, "text/html", text)
}
