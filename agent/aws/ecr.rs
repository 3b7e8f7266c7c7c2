//! Amazon ECR: the tokens by which Docker pulls from private registries.
//!
//! A token is good for every private registry of its region that the instance's role may read.
//! <https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_GetAuthorizationToken.html>

use std::fmt;

use anyhow::{Result, anyhow};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::aws::delivery::{ANSWER_LIMIT, CredentialsSource, Delivery, Method, persist_for};
use crate::aws::endpoint::{Service, domain_of};
use crate::aws::sdk::Sdk;
use crate::config::Aws;
use crate::secrets;

/// The operation, as `X-Amz-Target` has it.
const OPERATION: &str = "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken";

/// The end of the names of registries that have IPv4 and IPv6 addresses.
const DUAL_STACK: &str = "on.aws";

/// A private registry, known by its host name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registry<'a> {
    host: &'a str,
    /// The ID of the account that the registry belongs to.
    pub account: &'a str,
    /// The region.
    pub region: &'a str,
}

impl<'a> Registry<'a> {
    /// Reads the name of a host, such as `123456789012.dkr.ecr.eu-central-1.amazonaws.com`. None if the host is no private
    /// registry of Amazon ECR: a token is sent to no other host.
    pub fn of(host: &'a str) -> Option<Self> {
        let (account, rest) = host.split_once('.')?;
        let rest = ["dkr.ecr.", "dkr.ecr-fips.", "dkr-ecr.", "dkr-ecr-fips."]
            .iter()
            .find_map(|kind| rest.strip_prefix(kind))?;
        let (region, domain) = rest.split_once('.')?;
        let is_account = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
        let is_region =
            !region.is_empty() && region.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
        let is_domain = domain == domain_of(region) || domain == DUAL_STACK;
        (is_account && is_region && is_domain).then_some(Registry { host, account, region })
    }
}

/// The value of `X-Registry-Auth`, by which Docker authenticates to a registry.
#[derive(Clone)]
pub struct RegistryAuth(String);

impl RegistryAuth {
    /// Returns the secret text.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for RegistryAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RegistryAuth")
    }
}

/// The tokens of a run, one for each region.
pub struct Tokens {
    client: Result<reqwest::Client, String>,
    credentials: CredentialsSource,
    aws: Aws,
    /// The passwords by region, or the reasons why there is none.
    known: Vec<(String, Result<String, String>)>,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tokens")
    }
}

impl Tokens {
    /// Makes an empty set of tokens, which asks AWS through `client`, the outbound client, or has the reason why there is
    /// none. `aws` selects the endpoint.
    pub fn new(client: Result<reqwest::Client, String>, credentials: CredentialsSource, aws: Aws) -> Self {
        Tokens { client, credentials, aws, known: Vec::new() }
    }

    /// Returns the authentication to a registry. Asks AWS until a final answer or the deadline, and only once for each region.
    ///
    /// # Errors
    /// The refusal with its remedy, or the last error.
    pub async fn of(&mut self, registry: Registry<'_>, deadline: Instant) -> Result<RegistryAuth> {
        let known = self.known.iter().find(|(region, _)| region == registry.region).map(|(_, known)| known.clone());
        let password = match known {
            Some(known) => known,
            None => {
                let asked = self.ask(registry, deadline).await.map_err(|error| format!("{error:#}"));
                self.known.push((registry.region.to_owned(), asked.clone()));
                asked
            }
        };
        let password = password.map_err(|why| anyhow!("{why}"))?;
        let auth = json!({ "username": "AWS", "password": password, "serveraddress": registry.host });
        // Docker ignores what it can't decode, and pulls without authentication then.
        let auth = URL_SAFE.encode(auth.to_string());
        // Docker, or the registry, which gets the user with the password, may repeat them in their words.
        for secret in [&auth, &STANDARD.encode(format!("AWS:{password}")), &password] {
            secrets::remember(secret);
        }
        Ok(RegistryAuth(auth))
    }

    async fn ask(&self, registry: Registry<'_>, deadline: Instant) -> Result<String> {
        let client = self.client.as_ref().map_err(|why| anyhow!("{why}"))?;
        let sdk = Sdk::new(registry.region, client, &self.credentials)?;
        let how = (Method::RegistryToken, ANSWER_LIMIT);
        let endpoint = Service::Ecr.endpoint(registry.region, "", self.aws);
        let asked = persist_for(Method::RegistryToken, deadline, async || {
            sdk.json(how, (Service::Ecr, registry.region), &endpoint, OPERATION, &json!({})).await
        });
        match asked.await {
            Ok((body, _)) => {
                password(&body).ok_or_else(|| anyhow!("Amazon ECR answers GetAuthorizationToken without a token"))
            }
            Err(Delivery::Refused(refusal)) => Err(anyhow!("Amazon ECR gives no token: {refusal}")),
            Err(Delivery::Undelivered(why) | Delivery::Over(_, why)) => Err(anyhow!(
                "Amazon ECR gives no token: {why}; the instance needs a way to Amazon ECR's API: a VPC endpoint \
                 com.amazonaws.{}.ecr.api, a NAT gateway, or `proxy`",
                registry.region
            )),
            Err(Delivery::Accepted { .. }) => Err(anyhow!("Amazon ECR gives no token")),
        }
    }
}

/// Reads the password out of an answer: its token is the base64 of `AWS:PASSWORD`.
fn password(body: &[u8]) -> Option<String> {
    let answer: Value = serde_json::from_slice(body).ok()?;
    let token = STANDARD.decode(answer["authorizationData"][0]["authorizationToken"].as_str()?).ok()?;
    let password = String::from_utf8(token).ok()?.strip_prefix("AWS:")?.to_owned();
    Some(password).filter(|password| !password.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_sent_to_registries_of_amazon_alone() {
        let known = |host| Registry::of(host).map(|registry| (registry.account, registry.region));
        for (host, region) in [
            ("123456789012.dkr.ecr.eu-central-1.amazonaws.com", "eu-central-1"),
            ("123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com", "us-gov-west-1"),
            ("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn", "cn-north-1"),
            ("123456789012.dkr.ecr.eu-isoe-west-1.cloud.adc-e.uk", "eu-isoe-west-1"),
            ("123456789012.dkr-ecr.eu-west-1.on.aws", "eu-west-1"),
        ] {
            assert_eq!(known(host), Some(("123456789012", region)));
        }
        for host in [
            "docker.io",
            "public.ecr.aws",
            "123456789012.dkr.ecr.eu-central-1.amazonaws.com.evil.net",
            "123456789012.dkr.ecr.eu-central-1.amazonaws.com:443",
            "123456789012.dkr.ecr.evil.net",
            "123456789012.dkr.ecr.cn-north-1.amazonaws.com",
            "12345678901.dkr.ecr.eu-central-1.amazonaws.com",
            "evil.123456789012.dkr.ecr.eu-central-1.amazonaws.com",
            "123456789012.dkr.ecr.eu_1.amazonaws.com",
        ] {
            assert_eq!(known(host), None, "{host}");
        }
    }

    #[test]
    fn the_password_is_read_out_of_the_token() {
        let answer = |token: &str| {
            let token = STANDARD.encode(token);
            password(
                json!({ "authorizationData": [{ "authorizationToken": token, "expiresAt": 1.5 }] })
                    .to_string()
                    .as_bytes(),
            )
        };
        assert_eq!(answer("AWS:a:b").as_deref(), Some("a:b"));
        assert_eq!(answer("AWS:"), None);
        assert_eq!(answer("me:b"), None);
        for other in
            ["", "{}", r#"{"authorizationData": []}"#, r#"{"authorizationData": [{"authorizationToken": "%"}]}"#]
        {
            assert_eq!(password(other.as_bytes()), None, "{other}");
        }
    }
}
