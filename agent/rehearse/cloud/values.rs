//! The parts of Systems Manager and Secrets Manager that give values: `GetParameter` and `GetSecretValue`.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use super::cloudformation::page;
use super::http::{Double, Reply, Request, Server, held};
use super::query::{ApiError, REQUEST_ID, path_of, signed_for};

/// The content type of the protocol, in requests and answers.
const JSON: &str = "application/x-amz-json-1.1";

/// Longer than any client waits for an answer.
const SILENCE: Duration = Duration::from_secs(60);

/// The answer to a request that is well-formed and signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueAnswer {
    /// The value, if there is one.
    Value,
    /// This value, as after a rotation.
    Rotated(&'static str),
    /// The role may not make the request.
    AccessDenied,
    /// The role may not use the key with which the value is encrypted.
    KeyDenied,
    /// Too many requests at once.
    Throttle,
    /// The service has an error of its own.
    InternalError,
    /// The connection is reset.
    Reset,
    /// Nothing, for longer than any client waits.
    Silence,
}

/// The values that a service has, by name, and its answers in order; then it gives the value.
#[derive(Debug, Clone, Default)]
pub struct StoredValues {
    /// Parameters, or secrets as text.
    pub values: BTreeMap<String, String>,
    /// The answers to the first requests.
    pub answers: VecDeque<ValueAnswer>,
}

/// One of the two services.
pub(super) struct ValueService {
    server: Server,
    values: BTreeMap<String, String>,
    answers: Arc<Mutex<VecDeque<ValueAnswer>>>,
}

impl ValueService {
    pub(super) fn new(server: Server, stored: StoredValues) -> Self {
        ValueService { server, values: stored.values, answers: Arc::new(Mutex::new(stored.answers)) }
    }

    fn is_ssm(&self) -> bool {
        self.server == Server::Ssm
    }

    /// Reads the name that is asked for. The request must be signed, and known to the API.
    fn read(&self, request: &Request) -> Result<String, ApiError> {
        let (service, operation, key) = match self.is_ssm() {
            true => ("ssm", "AmazonSSM.GetParameter", "Name"),
            false => ("secretsmanager", "secretsmanager.GetSecretValue", "SecretId"),
        };
        if request.header("x-amz-target") != Some(operation) || request.header("content-type") != Some(JSON) {
            return Err(ApiError::new(400, "UnknownOperationException", ""));
        }
        match request.header("authorization") {
            Some(header) if signed_for(header, service) && header.contains("x-amz-target") => {}
            Some(_) => return Err(ApiError::new(400, "InvalidSignatureException", ApiError::signature().message)),
            None => {
                return Err(ApiError::new(400, "MissingAuthenticationTokenException", ApiError::unsigned().message));
            }
        }
        let parameters: Value = serde_json::from_slice(&request.body)
            .map_err(|_| ApiError::new(400, "SerializationException", "the body is no JSON"))?;
        // Without it the answer would have the ciphertext of a SecureString.
        if self.is_ssm() && parameters["WithDecryption"] != json!(true) {
            return Err(ApiError::new(400, "ValidationException", "this double has SecureStrings only"));
        }
        let name = parameters[key].as_str().filter(|name| !name.is_empty()).map(str::to_owned);
        name.ok_or_else(|| ApiError::new(400, "ValidationException", format!("'{key}' must not be null")))
    }

    fn answer_to(&self, name: &str) -> Result<Option<Value>, ApiError> {
        let (action, not_found) = match self.is_ssm() {
            true => ("ssm:GetParameter", "ParameterNotFound"),
            false => ("secretsmanager:GetSecretValue", "ResourceNotFoundException"),
        };
        let user = "User: arn:aws:sts::123456789012:assumed-role/web-instances/i-0abcdef0123456789";
        let denied = |action: &str| {
            let message = format!(
                "{user} is not authorized to perform: {action} on resource: {name} because no identity-based policy allows the {action} action"
            );
            Err(ApiError::new(400, "AccessDeniedException", message))
        };
        let mut value = self.values.get(name).map(String::as_str);
        match held(&self.answers).pop_front().unwrap_or(ValueAnswer::Value) {
            ValueAnswer::Value => {}
            ValueAnswer::Rotated(other) => value = Some(other),
            ValueAnswer::AccessDenied => return denied(action),
            ValueAnswer::KeyDenied if self.is_ssm() => return denied("kms:Decrypt"),
            ValueAnswer::KeyDenied => {
                return Err(ApiError::new(400, "AccessDeniedException", "Access to KMS is not allowed"));
            }
            ValueAnswer::Throttle => return Err(ApiError::new(400, "ThrottlingException", "Rate exceeded")),
            ValueAnswer::InternalError => return Err(ApiError::new(500, "InternalServerError", "")),
            ValueAnswer::Reset | ValueAnswer::Silence => return Ok(None),
        }
        let Some(value) = value else {
            let message = if self.is_ssm() { "" } else { "Secrets Manager can't find the specified secret." };
            return Err(ApiError::new(400, not_found, message));
        };
        Ok(Some(match self.is_ssm() {
            true => json!({ "Parameter": {
                "ARN": format!("arn:aws:ssm:eu-central-1:123456789012:parameter{name}"), "DataType": "text",
                "LastModifiedDate": 1.7e9, "Name": name, "Type": "SecureString", "Value": value, "Version": 1,
            } }),
            false => json!({
                "ARN": format!("arn:aws:secretsmanager:eu-central-1:123456789012:secret:{name}-AbCdEf"),
                "CreatedDate": 1.7e9, "Name": name, "SecretString": value, "VersionId": REQUEST_ID,
                "VersionStages": ["AWSCURRENT"],
            }),
        }))
    }
}

impl Double for ValueService {
    fn server(&self) -> Server {
        self.server
    }

    async fn answer(&self, request: &Request, _: SocketAddr) -> Option<Reply> {
        if request.method != "POST" || path_of(request).0 != "/" {
            return Some(page(405));
        }
        if held(&self.answers).front() == Some(&ValueAnswer::Silence) {
            tokio::time::sleep(SILENCE).await;
        }
        match self.read(request).and_then(|name| self.answer_to(&name)) {
            Ok(answer) => answer.map(|answer| Reply::new(200, JSON, answer.to_string())),
            Err(refusal) => {
                let error = json!({ "__type": refusal.code, "message": refusal.message });
                Some(Reply::new(refusal.status, JSON, error.to_string()))
            }
        }
    }
}
