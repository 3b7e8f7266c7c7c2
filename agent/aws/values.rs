//! The values of references: parameters of Systems Manager, secrets of Secrets Manager.
//!
//! <https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParameter.html>
//! <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html>

use anyhow::Result;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::aws::delivery::answer::{Attempt, Refusal};
use crate::aws::delivery::{CredentialsSource, Delivery, Method, persist_for};
use crate::aws::endpoint::Service;
use crate::aws::sdk::Sdk;
use crate::config::{Aws, Parameter, PlacedReference, Reference, Secret};

/// The most bytes of an answer. A secret has up to 64 KiB, and JSON may write each byte with six.
const ANSWER_LIMIT: usize = 448 * 1024;

/// Fetches values in a region, each at most once.
pub(crate) struct Fetcher<'a> {
    sdk: Sdk,
    region: &'a str,
    partition_domain: &'a str,
    aws: Aws,
    deadline: Instant,
    fetched: Vec<(Reference, Result<String, Failure>)>,
}

/// The reason why a value could not be fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// AWS refused the request, or what it has is not what is wanted. Says so, with the remedy.
    Refused(String),
    /// There was no final answer in time.
    NoAnswer(String),
}

impl<'a> Fetcher<'a> {
    /// Makes a fetcher that asks through `client`, in the instance's region and partition, until the deadline. `aws` selects
    /// the endpoints.
    ///
    /// # Errors
    /// The SDK can't be set up.
    pub(crate) fn new(
        client: &reqwest::Client,
        credentials: &CredentialsSource,
        (region, partition_domain): (&'a str, &'a str),
        aws: Aws,
        deadline: Instant,
    ) -> Result<Self> {
        let sdk = Sdk::new(region, client, credentials)?;
        Ok(Fetcher { sdk, region, partition_domain, aws, deadline, fetched: Vec::new() })
    }

    /// Fetches the value of a reference, before those of `rest`. The line break that editors put at the end of a file is no part
    /// of it.
    ///
    /// A service that has not answered is not asked again. As long as another one, or one elsewhere, is to be asked, half of the
    /// time is left to it.
    pub(crate) async fn fetch(&mut self, reference: &Reference, rest: &[PlacedReference]) -> Result<String, Failure> {
        let whole = match reference {
            Reference::Secret(secret) => Reference::Secret(Secret { key: None, ..secret.clone() }),
            Reference::Parameter(_) => reference.clone(),
        };
        let at = |reference: &Reference| (reference.source(), reference.region().unwrap_or(self.region).to_owned());
        let is_known = |(known, fetched): &&(Reference, Result<String, Failure>)| {
            *known == whole || matches!(fetched, Err(Failure::NoAnswer(_))) && at(known) == at(&whole)
        };
        let known = self.fetched.iter().find(is_known).map(|(_, fetched)| fetched.clone());
        let value = match known {
            Some(fetched) => fetched?,
            None => {
                let is_last = rest.iter().all(|next| at(&next.reference) == at(&whole));
                let left = self.deadline.saturating_duration_since(Instant::now());
                let until = if is_last { self.deadline } else { Instant::now() + left / 2 };
                let fetched = self.ask(&whole, until).await;
                self.fetched.push((whole, fetched.clone()));
                fetched?
            }
        };
        match reference {
            Reference::Secret(Secret { key: Some(key), .. }) => of_key(&value, key),
            _ => Ok(without_line_break(&value).to_owned()),
        }
    }

    async fn ask(&self, reference: &Reference, deadline: Instant) -> Result<String, Failure> {
        let (method, service, operation, parameters) = match reference {
            Reference::Parameter(Parameter { name }) => (
                Method::Parameter,
                Service::Ssm,
                "AmazonSSM.GetParameter",
                // Of a SecureString the answer has the ciphertext without this.
                json!({ "Name": name, "WithDecryption": true }),
            ),
            Reference::Secret(secret) => {
                let given = [("VersionStage", &secret.version_stage), ("VersionId", &secret.version_id)];
                let mut parameters = json!({ "SecretId": secret.id });
                for (name, value) in given.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?))) {
                    parameters[name] = value.as_str().into();
                }
                (Method::Secret, Service::SecretsManager, "secretsmanager.GetSecretValue", parameters)
            }
        };
        let region = reference.region().unwrap_or(self.region);
        let endpoint = service.endpoint(region, self.partition_domain, self.aws);
        let asked = async || {
            let of = (service, region);
            let body = self.sdk.json((method, ANSWER_LIMIT), of, &endpoint, operation, &parameters).await?;
            value_in(method, &body)
        };
        match persist_for(method, deadline, asked).await {
            Ok((value, _)) => Ok(value),
            Err(Delivery::Refused(refusal)) => Err(Failure::Refused(refusal.to_string())),
            Err(Delivery::Undelivered(why) | Delivery::Over(_, why)) => Err(Failure::NoAnswer(why)),
            Err(Delivery::Accepted { .. }) => Err(Failure::NoAnswer(String::new())),
        }
    }
}

/// Reads the value in an answer.
fn value_in(method: Method, body: &[u8]) -> Result<String, Attempt> {
    let answer: Value = serde_json::from_slice(body).unwrap_or_default();
    let value = match method {
        Method::Parameter => &answer["Parameter"]["Value"],
        _ => &answer["SecretString"],
    };
    match value {
        Value::String(text) => Ok(text.clone()),
        _ if answer["SecretBinary"].is_string() => Err(Attempt::Refused(Refusal {
            why: "the secret is binary".to_owned(),
            remedy: "store it as text, as SecretString".to_owned(),
        })),
        _ => Err(Attempt::again(format!("the answer is none of {}", method.service()))),
    }
}

/// Returns the value of a key of a secret that is a JSON object. A value that is no text is returned as JSON.
fn of_key(secret: &str, key: &str) -> Result<String, Failure> {
    let refused = |why: &str, remedy: &str| Err(Failure::Refused(format!("{why} ({remedy})")));
    let Ok(Value::Object(entries)) = serde_json::from_str(secret) else {
        return refused("the secret is no JSON object", "leave `key` out, or store the secret as key and value");
    };
    match entries.get(key) {
        Some(Value::String(text)) => Ok(without_line_break(text).to_owned()),
        Some(value) if !value.is_null() => Ok(value.to_string()),
        _ => refused(
            &format!("the secret has no value for the key `{key}`"),
            "check the key's spelling, and the secret's version",
        ),
    }
}

fn without_line_break(text: &str) -> &str {
    text.strip_suffix("\r\n").or_else(|| text.strip_suffix('\n')).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_gives_its_text_or_its_json() {
        let secret = r#"{"auth": "shh\n", "number": 7, "object": {"a": 1}, "none": null}"#;
        for (key, expected) in [("auth", "shh"), ("number", "7"), ("object", r#"{"a":1}"#)] {
            assert_eq!(of_key(secret, key).as_deref(), Ok(expected));
        }
        for (secret, key) in [(secret, "none"), (secret, "Auth"), ("shh", "auth"), (r#"["auth"]"#, "auth")] {
            let Err(Failure::Refused(why)) = of_key(secret, key) else { panic!("{key} of {secret} is found") };
            assert!(!why.contains("shh"), "{why}");
        }
    }

    #[test]
    fn answers_are_read() {
        let parameter = r#"{"Parameter": {"Name": "/a", "Type": "SecureString", "Value": "shh", "Version": 3}}"#;
        assert_eq!(value_in(Method::Parameter, parameter.as_bytes()), Ok("shh".to_owned()));
        let secret = r#"{"ARN": "arn", "Name": "a", "SecretString": "shh", "CreatedDate": 1.7E9}"#;
        assert_eq!(value_in(Method::Secret, secret.as_bytes()), Ok("shh".to_owned()));
        let binary = r#"{"Name": "a", "SecretBinary": "c2ho"}"#;
        assert!(matches!(value_in(Method::Secret, binary.as_bytes()), Err(Attempt::Refused(_))));
        for body in ["", "{}", "[]", r#"{"Parameter": {}}"#] {
            assert!(matches!(value_in(Method::Parameter, body.as_bytes()), Err(Attempt::Again { .. })), "{body}");
        }
        assert!(matches!(value_in(Method::Secret, b"{}"), Err(Attempt::Again { .. })));
    }
}
