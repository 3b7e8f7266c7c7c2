//! What a template says about the instances beside their user data.

use std::time::Duration;

use super::functions::{Functions, STACK, function, items};
use crate::config::Config;
use crate::config::yaml::{Entry, Node, Value};

/// Managed policies of AWS that allow log groups of any name to be made.
const LOG_POLICIES: [&str; 6] = [
    "/CloudWatchAgentServerPolicy",
    "/CloudWatchAgentAdminPolicy",
    "/CloudWatchLogsFullAccess",
    "/CloudWatchFullAccess",
    "/AdministratorAccess",
    "/PowerUserAccess",
];
/// How long CloudFormation waits where a policy does not say: creation policies, and rolling updates that wait for signals.
const DEFAULT_WAIT: Duration = Duration::from_secs(5 * 60);

/// What a warning needs to know. A file of user data alone has none of it.
#[derive(Debug, Default)]
pub(in crate::validate) struct Surroundings {
    /// What of the template waits for the signal, if the signal is for this stack.
    pub waits: Option<Vec<Wait>>,
    /// Whether the instance metadata service refuses IMDSv1.
    pub tokens_required: bool,
    /// The log groups, as patterns of ARNs, that the template's roles may make; nothing if that can't be told.
    pub log_groups: Option<Vec<String>>,
}

/// How long a policy of the template waits for a signal.
#[derive(Debug, PartialEq)]
pub(in crate::validate) struct Wait {
    /// The key, as the template has it.
    pub key: &'static str,
    /// How long.
    pub time: Duration,
}

impl Surroundings {
    /// `beside` is the mapping that holds the user data.
    pub(super) fn of(template: &Node, beside: &Node, functions: &Functions<'_>, config: &Config) -> Self {
        let tokens = beside.at(&["MetadataOptions", "HttpTokens"]).map(|node| functions.text(node).string());
        Surroundings {
            waits: waits(template, functions, config),
            tokens_required: tokens.as_deref() == Some("required"),
            log_groups: log_groups(template, functions),
        }
    }
}

fn waits(template: &Node, functions: &Functions<'_>, config: &Config) -> Option<Vec<Wait>> {
    let signal = config.signal.as_ref()?;
    if let Some(handle) = &signal.wait_handle {
        let handle = handle.0.reveal();
        // Only the template's own: that of another stack may have its condition there.
        let is_own = template.at(&["Resources", handle.path().trim_start_matches('/'), "Type"]);
        is_own.and_then(Node::text).filter(|kind| *kind == "AWS::CloudFormation::WaitConditionHandle")?;
        let conditions = entries(template.get("Resources")).iter().map(|resource| &resource.value);
        let times = conditions.filter_map(|condition| wait_condition(condition, handle.as_str(), functions));
        return Some(times.map(|time| Wait { key: "WaitCondition", time }).collect());
    }
    signal.stack.as_ref().filter(|stack| stack.name() == STACK)?;
    let resource = template.at(&["Resources", signal.resource.as_ref()?.as_str()]);
    let time = |node: Option<&Node>| match node {
        Some(node) => duration(&functions.text(node).string()),
        None => Some(DEFAULT_WAIT),
    };
    let creation = resource.and_then(|node| node.at(&["CreationPolicy", "ResourceSignal"]));
    let update = resource.and_then(|node| node.at(&["UpdatePolicy", "AutoScalingRollingUpdate"]));
    let update = update.filter(|node| {
        node.get("WaitOnResourceSignals").is_some_and(|wait| functions.text(wait).string().eq_ignore_ascii_case("true"))
    });
    let creation = creation.and_then(|policy| Some(Wait { key: "CreationPolicy", time: time(policy.get("Timeout"))? }));
    let update = update.and_then(|policy| Some(Wait { key: "UpdatePolicy", time: time(policy.get("PauseTime"))? }));
    Some(creation.into_iter().chain(update).collect())
}

/// How long a resource waits, if it is the wait condition of this handle.
fn wait_condition(resource: &Node, handle: &str, functions: &Functions<'_>) -> Option<Duration> {
    resource.get("Type").and_then(Node::text).filter(|kind| *kind == "AWS::CloudFormation::WaitCondition")?;
    let property = |name: &str| Some(functions.text(resource.at(&["Properties", name])?).string());
    property("Handle").filter(|own| own == handle)?;
    Some(Duration::from_secs(property("Timeout")?.parse().ok()?))
}

/// A span of time in the part of ISO 8601 that CloudFormation takes, such as `PT1H30M`.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let mut seconds = 0_u64;
    let mut rest = text.strip_prefix("PT").filter(|rest| !rest.is_empty())?;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let unit = match rest.as_bytes()[digits] {
            b'H' => 3600,
            b'M' => 60,
            b'S' => 1,
            _ => return None,
        };
        seconds = seconds.checked_add(rest[..digits].parse::<u64>().ok()?.checked_mul(unit)?)?;
        rest = &rest[digits + 1..];
    }
    Some(Duration::from_secs(seconds))
}

fn entries(node: Option<&Node>) -> &[Entry] {
    match node.map(|node| &node.value) {
        Some(Value::Mapping(entries)) => entries,
        _ => &[],
    }
}

/// A value that may be one or a list of them.
fn one_or_more(node: Option<&Node>) -> Vec<&Node> {
    match node {
        Some(node) if matches!(node.value, Value::Sequence(_)) => items(node).iter().collect(),
        other => other.into_iter().collect(),
    }
}

/// Nothing where no statement of the template is about log groups, or one of AWS's policies is there that may be.
fn log_groups(template: &Node, functions: &Functions<'_>) -> Option<Vec<String>> {
    let mut allowed = Vec::new();
    for resource in entries(template.get("Resources")) {
        let properties = resource.value.get("Properties");
        let kind = resource.value.get("Type").and_then(Node::text).unwrap_or_default();
        if !["AWS::IAM::Role", "AWS::IAM::Policy", "AWS::IAM::ManagedPolicy", "AWS::IAM::RolePolicy"].contains(&kind) {
            continue;
        }
        let properties = properties?;
        let managed = one_or_more(properties.get("ManagedPolicyArns"));
        let any_group = |node: &&Node| {
            let arn = functions.text(node).string();
            LOG_POLICIES.iter().any(|name| arn.contains(name)) || !arn.contains(":aws:policy/")
        };
        // A policy that is named by a parameter, or is the account's own, may allow anything.
        if managed.iter().any(any_group) {
            return None;
        }
        let inline = one_or_more(properties.get("Policies"));
        if inline.iter().any(|policy| function(policy).is_some()) {
            return None;
        }
        let documents = inline.into_iter().chain([properties]).filter_map(|policy| policy.get("PolicyDocument"));
        for statement in documents.flat_map(|document| one_or_more(document.get("Statement"))) {
            if function(statement).is_some() {
                return None;
            }
            allowed.extend(log_groups_of(statement, functions)?);
        }
    }
    Some(allowed).filter(|allowed| !allowed.is_empty())
}

/// Nothing where only the stack knows them.
fn log_groups_of(statement: &Node, functions: &Functions<'_>) -> Option<Vec<String>> {
    let text = |node: &Node| functions.text(node).string();
    let allows = statement.get("Effect").map(text).as_deref() == Some("Allow");
    let actions = one_or_more(statement.get("Action"));
    let makes_groups =
        actions.into_iter().any(|action| matches(&text(action).to_ascii_lowercase(), "logs:createloggroup"));
    let resources = if allows && makes_groups { one_or_more(statement.get("Resource")) } else { Vec::new() };
    let known = |node: &Node| {
        let text = functions.text(node);
        let whole = text.string();
        text.unknown(&(0..whole.len())).is_none().then_some(whole)
    };
    resources.into_iter().map(known).collect()
}

/// Whether a pattern of IAM, with `*` and `?`, matches.
pub(in crate::validate) fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    // The last star, and what it has matched up to: it takes one more where the rest does not fit.
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(c) if *c == '?' || *c == text[t] => (p, t) = (p + 1, t + 1),
            _ => match star {
                Some((at, taken)) => {
                    star = Some((at, taken + 1));
                    (p, t) = (at + 1, taken + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_of_time_are_those_of_cloudformation() {
        let table = [
            ("PT15M", Some(900)),
            ("PT1H30M5S", Some(5405)),
            ("PT", None),
            ("15M", None),
            ("PT5", None),
            ("P1D", None),
        ];
        for (text, seconds) in table {
            assert_eq!(duration(text), seconds.map(Duration::from_secs), "{text}");
        }
    }

    #[test]
    fn patterns_match_as_those_of_iam() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("logs:*", "logs:createloggroup", true),
            ("a*b*c", "aXbYbc", true),
            ("a?c", "abc", true),
            ("a*c", "ab", false),
            ("a", "ab", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }
}
