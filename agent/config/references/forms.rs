//! The forms of a reference, as its keys and AWS's own selectors give them.

use std::fmt;

use crate::document::problem::{Problem, cut};
use crate::document::yaml::{Node, Value};
use crate::text::did_you_mean;

/// The key of a parameter of Systems Manager.
const SSM: &str = "ssm";
/// The key of a secret of Secrets Manager.
const SECRETS_MANAGER: &str = "secretsmanager";
/// The keys that select a part or a version of a secret.
const SELECTORS: [&str; 3] = ["key", "version_stage", "version_id"];
/// The most characters of a name or an ARN that the APIs take.
const LONGEST: usize = 2048;
/// The most characters of a secret's name in an ARN: 512 of its own, and the suffix.
const LONGEST_NAME: usize = 512 + 7;

/// A value that AWS keeps for the instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reference {
    /// A parameter of Systems Manager.
    Parameter(Parameter),
    /// A secret of Secrets Manager, or a key of its JSON.
    Secret(Secret),
}

/// A parameter of Systems Manager.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Name or ARN, with `:VERSION` or `:LABEL` behind it if one is selected, as `GetParameter` takes it.
    pub name: String,
}

/// A secret of Secrets Manager.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Secret {
    /// Name or ARN, without selectors.
    pub id: String,
    /// The key of the secret's JSON object whose value is meant; the whole secret unless given.
    pub key: Option<String>,
    /// The staging label of the version; `AWSCURRENT` unless given.
    pub version_stage: Option<String>,
    /// The version's id.
    pub version_id: Option<String>,
}

impl Reference {
    /// Names the key of the source in the user data.
    pub fn source(&self) -> &'static str {
        match self {
            Reference::Parameter(_) => SSM,
            Reference::Secret(_) => SECRETS_MANAGER,
        }
    }

    /// Returns the region in the ARN, if the reference is by ARN.
    pub fn region(&self) -> Option<&str> {
        let (Reference::Parameter(Parameter { name: id }) | Reference::Secret(Secret { id, .. })) = self;
        id.strip_prefix("arn:")?.split(':').nth(2)
    }

    /// Tells whether a mapping is meant to be a reference: it has the key of a source.
    pub(super) fn is_meant(node: &Node) -> bool {
        node.get(SSM).is_some() || node.get(SECRETS_MANAGER).is_some()
    }

    /// Reads the reference of a mapping.
    ///
    /// # Errors
    /// A wrong key or value, with its place.
    pub(super) fn of(node: &Node) -> Result<Self, Problem> {
        let is_known = |key: &str| [SSM, SECRETS_MANAGER].contains(&key) || SELECTORS.contains(&key);
        if let Some(entry) = node.entries().iter().find(|entry| !is_known(&entry.key)) {
            let known = [SSM, SECRETS_MANAGER].into_iter().chain(SELECTORS);
            let remedy = did_you_mean(&entry.key, known);
            let remedy =
                remedy.unwrap_or_else(|| format!("it has ssm, or secretsmanager with {}", SELECTORS.join(", ")));
            // The place may be one whose values are all secret; a key is none.
            return Err(Problem::at(&entry.key_span, format!("a reference has no key `{}`", cut(&entry.key, 40)))
                .remedy(remedy));
        }
        match (text(node, SSM)?, text(node, SECRETS_MANAGER)?) {
            (Some(_), Some(_)) => Err(Problem::at(&node.span, "the reference has two sources, ssm and secretsmanager")
                .remedy(
                    "keep one; a document that is merged over another one sets the other key, and its selectors, to null",
                )),
            (Some(name), None) => parameter(node, name),
            (None, Some(id)) => secret(node, id),
            (None, None) => Err(Problem::at(&node.span, "the reference names nothing")
                .remedy("write the name of a parameter or a secret, as {ssm: /network/proxy-url}")),
        }
    }
}

/// Returns the value at a key of a reference. A document that is merged over another one takes a key out by null.
fn given<'a>(node: &'a Node, key: &str) -> Option<&'a Node> {
    node.get(key).filter(|value| value.value != Value::Null)
}

/// Returns the text at a key of a reference.
fn text(node: &Node, key: &str) -> Result<Option<String>, Problem> {
    let Some(value) = given(node, key) else { return Ok(None) };
    match &value.value {
        Value::String(text) if text.is_empty() => {
            Err(Problem::at(&value.span, format!("`{key}` is empty")).remedy("write a name, or leave the key out"))
        }
        Value::String(text) if text.len() <= LONGEST && !text.contains(char::is_control) => Ok(Some(text.clone())),
        Value::String(_) => {
            let message = format!("`{key}` is too long, or has a control character");
            Err(Problem::at(&value.span, message).remedy(format!("write one line of up to {LONGEST} characters")))
        }
        _ => Err(Problem::at(&value.span, format!("`{key}` is no text")).remedy("put it in quotes")),
    }
}

/// Makes the reference to a parameter.
fn parameter(node: &Node, name: String) -> Result<Reference, Problem> {
    let wrong = |key: &str, message: String, remedy: &str| {
        let span = node.get(key).map_or(&node.span, |value| &value.span);
        Err(Problem::at(span, message).remedy(remedy))
    };
    if let Some(key) = SELECTORS.into_iter().find(|key| given(node, key).is_some()) {
        let remedy = "select a version or a label behind the parameter's name, as /network/proxy-url:3";
        return wrong(key, format!("a parameter has no `{key}`"), remedy);
    }
    let by_arn = name.starts_with("arn:");
    let path = match by_arn {
        true => arn(&name, "ssm", ":parameter/"),
        false => Some(name.as_str()),
    };
    let (path, selector) = path.map_or(("", None), |path| match path.split_once(':') {
        Some((path, selector)) => (path, Some(selector)),
        None => (path, None),
    });
    let is_path =
        |path: &str| !path.is_empty() && only(path, "_.-/") && (by_arn || path.starts_with('/') || !path.contains('/'));
    if !is_path(path) {
        let remedy = "write a name as /network/proxy-url, or an ARN as arn:aws:ssm:REGION:ACCOUNT:parameter/NAME";
        return wrong(SSM, "`ssm` is not the name or the ARN of a parameter".to_owned(), remedy);
    }
    match selector {
        Some(selector) if selector.is_empty() || selector.len() > 100 || !only(selector, "_.-") => {
            let remedy = "write one version, as /network/proxy-url:3, or one label, as /network/proxy-url:prod";
            wrong(SSM, "`ssm` has an unknown selector behind the parameter's name".to_owned(), remedy)
        }
        _ => Ok(Reference::Parameter(Parameter { name })),
    }
}

/// Makes the reference to a secret. An ARN may have the selectors behind it, as in a task definition:
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/secrets-envvar-secrets-manager.html>
fn secret(node: &Node, id: String) -> Result<Reference, Problem> {
    let wrong = |key: &str, message: String, remedy: &str| {
        let span = node.get(key).map_or(&node.span, |value| &value.span);
        Err(Problem::at(span, message).remedy(remedy))
    };
    let mut secret = Secret {
        key: text(node, SELECTORS[0])?,
        version_stage: text(node, SELECTORS[1])?,
        version_id: text(node, SELECTORS[2])?,
        id,
    };
    let id = secret.id.clone();
    let by_arn = id.starts_with("arn:");
    let name = match by_arn {
        true => arn(&id, "secretsmanager", ":secret:"),
        false => Some(id.as_str()),
    };
    let mut parts = name.unwrap_or_default().split(':');
    let name = parts.next().unwrap_or_default();
    let behind: Vec<&str> = parts.collect();
    if name.is_empty() || name.len() > LONGEST_NAME || !only(name, "/_+=.@!-") {
        let remedy = "write a name, or an ARN as arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME-SUFFIX";
        return wrong(SECRETS_MANAGER, "`secretsmanager` is not the name or the ARN of a secret".to_owned(), remedy);
    }
    if let Some(key) = SELECTORS.into_iter().find(|key| by_arn && !behind.is_empty() && given(node, key).is_some()) {
        let message = format!("`{key}` stands beside an ARN with selectors of its own");
        return wrong(key, message, "keep the selectors behind the ARN, or those beside it");
    }
    if behind.len() > SELECTORS.len() || (!behind.is_empty() && !by_arn) {
        let remedy = "give `key`, `version_stage` or `version_id` beside it; an ARN may have them behind it instead, as \
                      …:secret:NAME-SUFFIX:KEY:STAGE:VERSION";
        return wrong(
            SECRETS_MANAGER,
            "`secretsmanager` has an unknown selector behind the secret's name".to_owned(),
            remedy,
        );
    }
    if !behind.is_empty() {
        let part = |at: usize| behind.get(at).filter(|part| !part.is_empty()).map(|part| (*part).to_owned());
        (secret.key, secret.version_stage, secret.version_id) = (part(0), part(1), part(2));
        let behind: usize = behind.iter().map(|part| part.len() + 1).sum();
        secret.id.truncate(id.len() - behind);
    }
    match (&secret.version_stage, &secret.version_id) {
        (Some(_), Some(_)) => wrong(
            SELECTORS[2],
            "the secret's version is given twice, by stage and by ID".to_owned(),
            "keep one of them",
        ),
        (_, Some(version)) if !(32..=64).contains(&version.len()) || !only(version, "-") => {
            let remedy = "write the version's ID, of 32 to 64 letters, digits and -; a stage goes into `version_stage`";
            wrong(SELECTORS[2], "`version_id` is not the ID of a version".to_owned(), remedy)
        }
        (Some(stage), _) if stage.len() > 256 => {
            wrong(SELECTORS[1], "`version_stage` is too long".to_owned(), "write a label, such as AWSPREVIOUS")
        }
        _ => Ok(Reference::Secret(secret)),
    }
}

/// Returns the part of an ARN of this service behind the kind of the resource.
fn arn<'a>(arn: &'a str, service: &str, kind: &str) -> Option<&'a str> {
    let (head, name) = arn.split_once(kind)?;
    match head.split(':').collect::<Vec<_>>()[..] {
        ["arn", partition, of, region, account] if of == service => {
            let is_right = !partition.is_empty() && !region.is_empty() && account.bytes().all(|c| c.is_ascii_digit());
            (is_right && only(region, "-")).then_some(name)
        }
        _ => None,
    }
}

/// Tells whether a text has only ASCII letters, digits and these signs.
fn only(text: &str, signs: &str) -> bool {
    text.chars().all(|c| c.is_ascii_alphanumeric() || signs.contains(c))
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reference::Parameter(Parameter { name }) => write!(f, "the parameter `{name}`"),
            Reference::Secret(Secret { id, key, version_stage, version_id }) => {
                match key {
                    Some(key) => write!(f, "the key `{key}` of the secret `{id}`")?,
                    None => write!(f, "the secret `{id}`")?,
                }
                let version = version_stage.as_ref().or(version_id.as_ref());
                version.map_or(Ok(()), |version| write!(f, " (version {version})"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::decode::Document;

    fn read(text: &str) -> Result<Reference, String> {
        let document = Document::read("user data", format!("proxy: {{url: {text}}}"), false);
        let root = document.config.unwrap();
        Reference::of(root.at(&["proxy", "url"]).unwrap()).map_err(|problem| problem.message)
    }

    fn secret(id: &str, key: Option<&str>, stage: Option<&str>, version: Option<&str>) -> Reference {
        let text = |text: Option<&str>| text.map(str::to_owned);
        Reference::Secret(Secret {
            id: id.to_owned(),
            key: text(key),
            version_stage: text(stage),
            version_id: text(version),
        })
    }

    #[test]
    fn parameters_are_taken_with_each_selector() {
        for name in [
            "proxy-url",
            "/network/proxy-url",
            "/network/proxy-url:3",
            "proxy.url:prod",
            "arn:aws:ssm:eu-central-1:123456789012:parameter/network/proxy-url",
            "arn:aws-cn:ssm:cn-north-1:123456789012:parameter/a:12",
            "/aws/reference/secretsmanager/registry",
        ] {
            let expected = Reference::Parameter(Parameter { name: name.to_owned() });
            assert_eq!(read(&format!("{{ssm: '{name}'}}")), Ok(expected.clone()));
            assert_eq!(read(&format!("{{ssm: '{name}', key: null, version_id: ~}}")), Ok(expected));
        }
    }

    #[test]
    fn null_takes_a_source_and_its_selectors_out() {
        let expected = Reference::Parameter(Parameter { name: "/a".to_owned() });
        assert_eq!(read("{ssm: /a, secretsmanager: null, key: null, version_stage: null}"), Ok(expected));
    }

    #[test]
    fn secrets_are_taken_with_each_selector() {
        let arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:registry-AbCdEf";
        let version = "EXAMPLE1-90ab-cdef-fedc-ba987EXAMPLE";
        for (text, expected) in [
            (
                "{secretsmanager: registry-auth, key: auth}".to_owned(),
                secret("registry-auth", Some("auth"), None, None),
            ),
            (
                "{secretsmanager: a/b, version_stage: AWSPREVIOUS}".to_owned(),
                secret("a/b", None, Some("AWSPREVIOUS"), None),
            ),
            (format!("{{secretsmanager: a, version_id: {version}}}"), secret("a", None, None, Some(version))),
            (format!("{{secretsmanager: '{arn}'}}"), secret(arn, None, None, None)),
            (format!("{{secretsmanager: '{arn}:auth', key: null}}"), secret(arn, Some("auth"), None, None)),
            (format!("{{secretsmanager: '{arn}', key: auth}}"), secret(arn, Some("auth"), None, None)),
            (format!("{{secretsmanager: '{arn}:auth::'}}"), secret(arn, Some("auth"), None, None)),
            (format!("{{secretsmanager: '{arn}::AWSPREVIOUS:'}}"), secret(arn, None, Some("AWSPREVIOUS"), None)),
            (format!("{{secretsmanager: '{arn}:::{version}'}}"), secret(arn, None, None, Some(version))),
            (format!("{{secretsmanager: '{arn}:auth', key: null}}"), secret(arn, Some("auth"), None, None)),
            (format!("{{secretsmanager: '{arn}:auth'}}"), secret(arn, Some("auth"), None, None)),
        ] {
            assert_eq!(read(&text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn wrong_references_are_refused() {
        for (text, wanted) in [
            ("{ssm: /a, secretsmanager: b}", "two sources"),
            ("{ssm: ''}", "`ssm` is empty"),
            ("{ssm: 7}", "`ssm` is no text"),
            ("{ssm: null}", "names nothing"),
            ("{ssm: network/proxy}", "not the name or the ARN of a parameter"),
            ("{ssm: 'arn:aws:ssm:eu-west-1:1:document/x'}", "not the name or the ARN of a parameter"),
            ("{ssm: 'arn:aws:s3:::bucket'}", "not the name or the ARN of a parameter"),
            ("{ssm: '/a b'}", "not the name or the ARN of a parameter"),
            ("{ssm: '/a:1:2'}", "unknown selector"),
            ("{ssm: '/a:'}", "unknown selector"),
            ("{ssm: /a, key: b}", "a parameter has no `key`"),
            ("{ssm: /a, version: 3}", "a reference has no key `version`"),
            ("{secretsmanager: 'a b'}", "not the name or the ARN of a secret"),
            ("{secretsmanager: 'a:key'}", "unknown selector"),
            ("{secretsmanager: 'arn:aws:secretsmanager:eu-west-1:1:secret:a:b:c:d:e'}", "unknown selector"),
            (
                "{secretsmanager: 'arn:aws:secretsmanager:eu-west-1:1:secret:a:b', key: c}",
                "`key` stands beside an ARN with selectors",
            ),
            ("{secretsmanager: a, version_id: AWSCURRENT}", "not the ID of a version"),
            ("{secretsmanager: a, version_stage: A, version_id: EXAMPLE1-90ab-cdef-fedc-ba987EXAMPLE}", "given twice"),
        ] {
            let found = read(text).unwrap_err();
            assert!(found.contains(wanted), "{text}: {found}");
        }
    }

    #[test]
    fn the_region_of_an_arn_counts() {
        let region = |text: &str| read(text).unwrap().region().map(str::to_owned);
        assert_eq!(region("{ssm: /a}"), None);
        assert_eq!(region("{ssm: 'arn:aws:ssm:eu-west-3:1:parameter/a'}").as_deref(), Some("eu-west-3"));
        assert_eq!(
            region("{secretsmanager: 'arn:aws:secretsmanager:us-east-2:1:secret:a-AbCdEf:k'}").as_deref(),
            Some("us-east-2")
        );
    }
}
