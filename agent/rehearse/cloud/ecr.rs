//! The part of Amazon ECR that gives tokens for private registries.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Mutex;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::http::{Double, Reply, Request, Server, held};
use super::query::signed_for;

const TARGET: &str = "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken";
const JSON: &str = "application/x-amz-json-1.1";

/// The password in each token.
pub const ECR_PASSWORD: &str = "eyJwYXlsb2FkIjoiRWNyVG9rZW5DYW5hcnkifQ==";

/// Amazon ECR's answer to a call that is well-formed and signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EcrAnswer {
    /// A token.
    Token,
    /// The role may not make the call.
    AccessDenied,
    /// Too many calls at once.
    Throttle,
    /// The connection is reset.
    Reset,
}

/// Amazon ECR.
pub(super) struct Ecr {
    answers: Mutex<VecDeque<EcrAnswer>>,
}

impl Ecr {
    pub(super) fn new(answers: VecDeque<EcrAnswer>) -> Self {
        Self { answers: Mutex::new(answers) }
    }
}

impl Double for Ecr {
    fn server(&self) -> Server {
        Server::Ecr
    }

    async fn answer(&self, request: &Request, _: SocketAddr) -> Option<Reply> {
        let is_call = request.method == "POST" && request.header("x-amz-target") == Some(TARGET);
        if !is_call || request.header("content-type") != Some(JSON) {
            return Some(error("UnknownOperationException", ""));
        }
        if !request.header("authorization").is_some_and(|header| signed_for(header, "ecr")) {
            return Some(error("InvalidSignatureException", "The request signature we calculated does not match"));
        }
        let answer = held(&self.answers).pop_front().unwrap_or(EcrAnswer::Token);
        match answer {
            EcrAnswer::Token => {
                let token = STANDARD.encode(format!("AWS:{ECR_PASSWORD}"));
                let data = json!({ "authorizationToken": token, "expiresAt": 1.7e9 });
                Some(Reply::new(200, JSON, json!({ "authorizationData": [data] }).to_string()))
            }
            EcrAnswer::AccessDenied => Some(error(
                "AccessDeniedException",
                "User: arn:aws:sts::123456789012:assumed-role/web-instances/i-0f1e2d3c4b5a69788 is not authorized to \
                 perform: ecr:GetAuthorizationToken on resource: * because no identity-based policy allows the \
                 ecr:GetAuthorizationToken action",
            )),
            EcrAnswer::Throttle => Some(error("ThrottlingException", "Rate exceeded")),
            EcrAnswer::Reset => None,
        }
    }
}

fn error(kind: &str, message: &str) -> Reply {
    Reply::new(400, JSON, json!({ "__type": kind, "message": message }).to_string())
}
