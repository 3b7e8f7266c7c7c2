//! Warnings of references that the instances can't resolve.

use super::template::permissions::{Permissions, covers};
use super::template::surroundings::Surroundings;
use crate::config::{Config, Parameter, PlacedReference, Reference, Secret};

/// In place of the six characters that Secrets Manager adds to a secret's name in its ARN.
const SUFFIX: &str = "-AbCdEf";
/// The beginning of the parameters through which Systems Manager reads secrets.
const OF_SECRETS: &str = "/aws/reference/secretsmanager/";

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
    let of_secret = match &placed.reference {
        Reference::Parameter(Parameter { name }) => name.split_once(OF_SECRETS).map(|(_, id)| {
            let id = id.split(':').next().unwrap_or_default().to_owned();
            Reference::Secret(Secret { id, ..Secret::default() })
        }),
        Reference::Secret(_) => None,
    };
    [Some(placed.reference.clone()), of_secret].into_iter().flatten().find_map(|reference| {
        let (action, service, resource) = needed(&reference);
        let allowed = permissions.allowed(action)?;
        (!allowed.iter().any(|pattern| covers(pattern, service, &resource))).then(|| {
            let message = format!("no role in this template allows {action} for {}", placed.reference);
            let resource = resource.strip_suffix(SUFFIX).map_or(resource.clone(), |name| format!("{name}-??????"));
            let remedy = format!(
                "add a statement that allows {action} for arn:…:{service}:…:{resource}; a key of your own needs kms:Decrypt, too"
            );
            (message, remedy)
        })
    })
}

/// Returns the action that reads a value, its service, and the last part of the ARN that it is for.
fn needed(reference: &Reference) -> (&'static str, &'static str, String) {
    let id = match reference {
        Reference::Parameter(Parameter { name: id }) | Reference::Secret(Secret { id, .. }) => id,
    };
    let in_arn = id.strip_prefix("arn:").and_then(|arn| arn.splitn(5, ':').nth(4));
    match reference {
        Reference::Parameter(_) => {
            let path = in_arn.map_or(id.as_str(), |resource| resource.trim_start_matches("parameter"));
            let path = path.split(':').next().unwrap_or_default().trim_start_matches('/');
            ("ssm:GetParameter", "ssm", format!("parameter/{path}"))
        }
        Reference::Secret(_) => {
            let has_suffix =
                |resource: &&str| resource.rsplit_once('-').is_some_and(|(_, end)| end.len() == SUFFIX.len() - 1);
            let without =
                || format!("secret:{}{SUFFIX}", in_arn.map_or(id.as_str(), |arn| arn.trim_start_matches("secret:")));
            let resource = in_arn.filter(has_suffix).map_or_else(without, str::to_owned);
            ("secretsmanager:GetSecretValue", "secretsmanager", resource)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_needs_its_action_for_its_own_arn() {
        let parameter = |name: &str| Reference::Parameter(Parameter { name: name.to_owned() });
        let secret = |id: &str| Reference::Secret(Secret { id: id.to_owned(), ..Secret::default() });
        for (reference, expected) in [
            (parameter("/a/b:3"), "ssm parameter/a/b"),
            (parameter("a"), "ssm parameter/a"),
            (parameter("arn:aws:ssm:eu-west-1:123456789012:parameter/a:3"), "ssm parameter/a"),
            (secret("a/b"), "secretsmanager secret:a/b-AbCdEf"),
            (secret("arn:aws:secretsmanager:eu-west-1:123456789012:secret:a"), "secretsmanager secret:a-AbCdEf"),
            (secret("arn:aws:secretsmanager:eu-west-1:123456789012:secret:a-XyZabc"), "secretsmanager secret:a-XyZabc"),
        ] {
            let (_, service, resource) = needed(&reference);
            assert_eq!(format!("{service} {resource}"), expected, "{reference}");
        }
    }
}
