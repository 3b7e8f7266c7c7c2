//! Checks the instance metadata, and the credentials that come from it.

use std::time::Duration;

use anyhow::Result;
use serde::Deserialize;
use tokio::time::Instant;

use super::finding::{Check, Finding};
use super::subject::{Metadata, Subject};
use crate::aws::imds::{Imds, ImdsError};

const ROLES: &str = "/latest/meta-data/iam/security-credentials/";
/// Time allowed for the metadata service to return the role and its credentials.
const PATIENCE: Duration = Duration::from_secs(2);

/// Tells whether the metadata service answers.
pub(super) fn service(metadata: &Metadata) -> Finding {
    let check = Check::Metadata;
    match metadata {
        Metadata::Read => Finding::ok(
            check,
            "the service answers; whether it also answers containers (hop limit 2) can't be seen from the host",
        ),
        Metadata::NotAsked => Finding::unknown(check, "this is not an EC2 instance, so no instance metadata was read"),
        Metadata::Failed(why) => Finding::problem(
            check,
            why,
            "user data, region and the role's credentials come from there, for the ECS agent as well",
            "enable it in the instance's metadata options (HttpEndpoint: enabled; HttpPutResponseHopLimit: 2 where \
             containers need it), and let no firewall rule or route of the host keep 169.254.169.254 away",
        ),
    }
}

/// The answer of the instance metadata about credentials. The secret parts are not even read.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Credentials {
    code: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    expiration: String,
}

/// Checks whether there are credentials, and names their role.
pub(super) async fn credentials(subject: &Subject<'_>) -> Result<Vec<Finding>> {
    let check = Check::Credentials;
    if subject.metadata != Metadata::Read {
        return Ok(vec![Finding::unknown(check, "without instance metadata the role is not known")]);
    }
    let imds = Imds::new(subject.imds_endpoint, Instant::now() + PATIENCE)?;
    let finding = of_role(&imds).await?;
    let own = subject.config.and_then(|config| config.ecs.as_ref()?.config.0.get("AWS_ACCESS_KEY_ID"));
    let words = "the ECS agent uses the keys of `ecs.config` (AWS_ACCESS_KEY_ID), not the instance's role";
    Ok(vec![if own.is_some() { Finding::ok(check, words) } else { finding }])
}

async fn of_role(imds: &Imds) -> Result<Finding, ImdsError> {
    let problem = |found: String, remedy: &str| {
        let why = "without credentials the ECS agent can't register, nor the log agent send anything";
        Finding::problem(Check::Credentials, found, why, remedy)
    };
    let text = |bytes: Option<Vec<u8>>| String::from_utf8_lossy(&bytes.unwrap_or_default()).trim().to_owned();
    let role = text(imds.get(ROLES).await?).lines().next().unwrap_or_default().to_owned();
    if role.is_empty() {
        let found = "the instance has no role".to_owned();
        return Ok(problem(found, "attach an instance profile whose role may do what the ECS agent needs"));
    }
    let answer = text(imds.get(&format!("{ROLES}{role}")).await?);
    let Ok(found) = serde_json::from_str::<Credentials>(&answer) else {
        let found = format!("the instance metadata has no credentials for the role {role}");
        return Ok(problem(found, "detach the instance profile and attach it again"));
    };
    if found.code != "Success" {
        let found = format!("there are no credentials for the role {role}: {} {}", found.code, found.message);
        return Ok(problem(
            found,
            "let ec2.amazonaws.com assume the role (its trust policy), and check that the role exists",
        ));
    }
    let is_over = humantime::parse_rfc3339(&found.expiration).is_ok_and(|end| end < std::time::SystemTime::now());
    if is_over {
        let found = format!("the credentials for the role {role} expired at {}", found.expiration);
        return Ok(problem(found, "check the clock; else detach the instance profile and attach it again"));
    }
    Ok(Finding::ok(Check::Credentials, format!("of the role {role}, good until {}", found.expiration)))
}
