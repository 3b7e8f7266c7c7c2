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
    pub(super) fn new(status: u16, code: &'static str, message: &str) -> Self {
        Self { status, code, message: message.to_owned() }
    }

    pub(super) fn invalid(message: &str) -> Self {
        Self::new(400, "ValidationError", message)
    }

    pub(super) fn denied(message: &str) -> Self {
        Self::new(403, "AccessDenied", message)
    }

    pub(super) fn signature() -> Self {
        Self::new(
            403,
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided",
        )
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
