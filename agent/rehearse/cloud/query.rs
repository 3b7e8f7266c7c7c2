//! The parts that AWS's query APIs share: parameters, refusals and their XML.

use std::borrow::Cow;
use std::collections::BTreeMap;

use url::form_urlencoded;

use super::http::{Reply, Request};

pub(super) const REQUEST_ID: &str = "7d1e4a90-3f5c-4b1a-9c27-0e8f6d5a4b3c";

pub(super) type Parameters = BTreeMap<String, String>;

pub(super) fn parameters(encoded: &[u8]) -> Parameters {
    form_urlencoded::parse(encoded).into_owned().collect()
}

/// Returns the action of a call, which must be one of these, and of this version of the API.
pub(super) fn action<'a>(given: &'a Parameters, version: &str, known: &[&str]) -> Result<&'a str, ApiError> {
    let action = given.get("Action").map(String::as_str).unwrap_or_default();
    if !known.contains(&action) {
        return Err(ApiError::new(400, "InvalidAction", format!("Could not find operation {action}")));
    }
    if given.get("Version").is_none_or(|given| given != version) {
        return Err(ApiError::new(400, "InvalidAction", "Could not find this version of the API"));
    }
    Ok(action)
}

/// Returns a parameter that a call must have.
pub(super) fn required(given: &Parameters, name: &str) -> Result<String, ApiError> {
    let value = given.get(name).filter(|value| !value.is_empty()).cloned();
    value.ok_or_else(|| ApiError::invalid(format!("1 validation error detected: '{name}' must not be null")))
}

/// Returns the path and the query. A proxy's client may have sent the whole URL.
pub(super) fn path_of(request: &Request) -> (&str, &str) {
    let (path, query) = request.path_and_query.split_once('?').unwrap_or((&request.path_and_query, ""));
    let path = path.split_once("://").map_or(path, |(_, rest)| rest.find('/').map_or("/", |at| &rest[at..]));
    (path, query)
}

/// Tells whether an `Authorization` header is a signature for requests to this service.
pub(super) fn signed_for(authorization: &str, service: &str) -> bool {
    authorization.starts_with("AWS4-HMAC-SHA256 ")
        && authorization.contains(&format!("/{service}/aws4_request"))
        && authorization.contains("SignedHeaders=")
        && authorization.contains("Signature=")
}

/// An error of an API, whatever the format of the reply.
pub(super) struct ApiError {
    pub(super) status: u16,
    pub(super) code: &'static str,
    pub(super) message: String,
}

impl ApiError {
    pub(super) fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }

    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(400, "ValidationError", message)
    }

    pub(super) fn denied(message: impl Into<String>) -> Self {
        Self::new(403, "AccessDenied", message)
    }

    pub(super) fn signature() -> Self {
        let message = "The request signature we calculated does not match the signature you provided";
        Self::new(403, "SignatureDoesNotMatch", message)
    }

    pub(super) fn unsigned() -> Self {
        Self::new(403, "MissingAuthenticationToken", "Request is missing Authentication Token")
    }

    pub(super) fn kind(&self) -> &'static str {
        if self.status < 500 { "Sender" } else { "Receiver" }
    }
}

/// Returns a refusal in the XML of the API with this namespace.
pub(super) fn error_in_xml(namespace: &str, refusal: &ApiError) -> Reply {
    let ApiError { status, code, message } = refusal;
    let (kind, text) = (refusal.kind(), escaped(message));
    Reply::new(
        *status,
        "text/xml",
        format!(
            "<ErrorResponse xmlns=\"{namespace}\">\n  <Error>\n    <Type>{kind}</Type>\n    <Code>{code}</Code>\n    \
             <Message>{text}</Message>\n  </Error>\n  <RequestId>{REQUEST_ID}</RequestId>\n</ErrorResponse>\n"
        ),
    )
}

pub(super) fn escaped(text: &str) -> Cow<'_, str> {
    if text.contains(['<', '>', '&']) {
        text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").into()
    } else {
        text.into()
    }
}
