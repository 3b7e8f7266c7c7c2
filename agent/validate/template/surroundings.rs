//! What a template says about the instances beside their user data.

use super::functions::{function, items};
use super::world::World;
use super::{Place, Refresh, Time, Waits};
use crate::config::Config;
use crate::config::yaml::{Node, Value};

/// Managed policies of AWS that allow log groups of any name to be made.
const LOG_POLICIES: [&str; 6] = [
    "/CloudWatchAgentServerPolicy",
    "/CloudWatchAgentAdminPolicy",
    "/CloudWatchLogsFullAccess",
    "/CloudWatchFullAccess",
    "/AdministratorAccess",
    "/PowerUserAccess",
];
/// What a warning needs to know. A file of user data alone has none of it.
#[derive(Debug)]
pub(in crate::validate) struct Surroundings {
    /// The policies that wait for the signal.
    pub waits: Waits,
    /// The update policies that wait for no signal.
    pub refreshed: Vec<Refresh>,
    /// Set if the timeouts of the configuration are known without the stack.
    pub timeout_is_known: bool,
    /// Whether the instance metadata service refuses IMDSv1.
    pub tokens_required: bool,
    /// The log groups, as patterns of ARNs, that the template's roles may make; nothing if that can't be told.
    pub log_groups: Option<Vec<String>>,
}

impl Default for Surroundings {
    fn default() -> Self {
        Surroundings {
            waits: Waits::default(),
            refreshed: Vec::new(),
            timeout_is_known: true,
            tokens_required: false,
            log_groups: None,
        }
    }
}

impl Surroundings {
    pub(super) fn of<'a>(world: &World<'a>, place: &Place<'a>, config: &Config) -> Self {
        let tokens =
            world.at(place.beside, &["MetadataOptions", "HttpTokens"]).node().map(|node| world.text(node).string());
        Surroundings {
            waits: world.waits(config),
            refreshed: world.refreshed(place, config),
            tokens_required: tokens.as_deref() == Some("required"),
            log_groups: log_groups(world),
            timeout_is_known: true,
        }
    }

    /// Notes on timeouts that are known only in the stack.
    pub(super) fn notes(&self, label: &str) -> Vec<String> {
        let Waits::By(waits, _) = &self.waits else { return Vec::new() };
        let unknown = waits.iter().filter(|wait| wait.time == Time::InStack);
        unknown.map(|wait| format!("{label}: how long the {} waits is known only in the stack", wait.key)).collect()
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
fn log_groups<'a>(world: &World<'a>) -> Option<Vec<String>> {
    let mut allowed = Vec::new();
    if !world.template.is_complete {
        return None;
    }
    for resource in world.template.roles.iter().filter(|role| world.is_made(role)) {
        let properties = resource.get("Properties");
        let properties = properties?;
        let managed = one_or_more(properties.get("ManagedPolicyArns"));
        let any_group = |node: &&'a Node| {
            let arn = world.text(node).string();
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
            allowed.extend(log_groups_of(statement, world)?);
        }
    }
    Some(allowed).filter(|allowed| !allowed.is_empty())
}

/// Nothing where only the stack knows them.
fn log_groups_of<'a>(statement: &'a Node, world: &World<'a>) -> Option<Vec<String>> {
    let text = |node: &'a Node| world.text(node).string();
    let allows = statement.get("Effect").map(text).as_deref() == Some("Allow");
    let actions = one_or_more(statement.get("Action"));
    let makes_groups =
        actions.into_iter().any(|action| matches(&text(action).to_ascii_lowercase(), "logs:createloggroup"));
    let resources = if allows && makes_groups { one_or_more(statement.get("Resource")) } else { Vec::new() };
    let known = |node: &'a Node| {
        let text = world.text(node);
        text.words_of_unknown().is_none().then(|| text.string())
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
