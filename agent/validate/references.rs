//! Warnings of references that the instances can't resolve.

use super::template::permissions::Permissions;
use super::template::surroundings::Surroundings;
use crate::config::{Config, Parameter, PlacedReference, Reference, Secret};
use crate::text::is_match;

/// In place of the six characters that Secrets Manager adds to a secret's name in its ARN.
const SUFFIX: &str = "-AbCdEf";

/// Warns of a proxy that is a reference itself, and of values that the role may not read.
pub(super) fn find(config: &Config, around: &Surroundings, warn: &mut impl FnMut(&[&str], String, &str)) {
    for placed in &config.references {
        let place: Vec<&str> = placed.place.iter().map(String::as_str).collect();
        if place == ["proxy", "url"] {
            let service = placed.reference.source();
            let message = "the proxy's URL is a reference, so it is read without the proxy".to_owned();
            let remedy = format!(
                "give the VPC an interface endpoint for com.amazonaws.REGION.{service}, unless it has another way to AWS"
            );
            warn(&place, message, &remedy);
        }
        if let Some(permissions) = &around.permissions
            && let Some((message, remedy)) = denied(placed, permissions)
        {
            warn(&place, message, &remedy);
        }
    }
}

/// Returns a warning, with its remedy, if the role may not read a value.
fn denied(placed: &PlacedReference, permissions: &Permissions) -> Option<(String, String)> {
    let (action, kind, names) = match &placed.reference {
        Reference::Parameter(Parameter { name }) => {
            let path = name.split_once(":parameter/").map_or(name.as_str(), |(_, path)| path);
            let path = path.split(':').next().unwrap_or_default().trim_start_matches('/');
            ("ssm:GetParameter", ":parameter/", vec![path.to_owned()])
        }
        Reference::Secret(Secret { id, .. }) => {
            let name = id.split_once(":secret:").map_or(id.as_str(), |(_, name)| name);
            ("secretsmanager:GetSecretValue", ":secret:", vec![name.to_owned(), format!("{name}{SUFFIX}")])
        }
    };
    let covers = |pattern: &&str| match pattern.split_once(kind) {
        Some((_, pattern)) => names.iter().any(|name| is_match(pattern, name)),
        None => pattern.ends_with('*'),
    };
    let allowed = permissions.allowed(action)?;
    (!allowed.iter().any(covers)).then(|| {
        let message = format!("no role in this template allows {action} for {}", placed.reference);
        let example = names.last().map_or("", |name| name.strip_suffix(SUFFIX).unwrap_or(name));
        let end = if kind == ":secret:" { "-??????" } else { "" };
        let remedy = format!("add a statement that allows {action} for arn:…{kind}{example}{end}; a key of your own needs kms:Decrypt, too");
        (message, remedy)
    })
}
