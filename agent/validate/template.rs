//! User data inside a CloudFormation template: found, put together as CloudFormation would, and checked, in each way in which a
//! stack can be made of the template. What is wrong is shown where it stands in the template.

mod check;
mod functions;
mod permissions;
mod policies;
mod problems_by_world;
mod surroundings;
mod text;
mod updates;
mod world;

use std::collections::HashMap;

use self::check::Checker;
use self::functions::{function, items};
use super::Validation;
use crate::document::problem::{Problem, Source};
use crate::document::yaml::{self, Node, Value};
use crate::secrets::is_secret_key;

pub(super) use self::functions::STACK;
pub(super) use self::permissions::Permissions;
pub(super) use self::policies::{PolicyTimeout, Refresh, WaitingPolicy, Waits};
pub(super) use self::surroundings::Surroundings;
pub(super) use self::updates::Updates;

/// The resources whose statements may allow log groups to be made.
const ROLES: [&str; 4] = ["AWS::IAM::Role", "AWS::IAM::Policy", "AWS::IAM::ManagedPolicy", "AWS::IAM::RolePolicy"];
/// The key that holds user data, in every kind of resource that has them.
const USER_DATA: &str = "UserData";

/// Whether a document looks like a template: a mapping whose `Resources` have types.
pub(super) fn is_template(text: &str) -> bool {
    let resources = text.contains("Resources").then(|| yaml::load_template(&Source::new("", text)).root).flatten();
    let resources = resources.as_ref().and_then(|root| root.get("Resources"));
    match resources.map(|node| &node.value) {
        Some(Value::Mapping(entries)) => entries.iter().any(|entry| entry.value.get("Type").is_some()),
        _ => false,
    }
}

/// Checks all user data of a template.
pub(super) fn check(name: &str, text: &str) -> Validation {
    let source = Source::new(name, text);
    let loaded = yaml::load_template(&source);
    let mut checker = Checker::new(name, &source, &loaded);
    let Some(root) = &loaded.root else {
        if loaded.problems.is_empty() {
            checker.verdict.errors.push(Problem::general(format!("{name}: the template is empty")));
        }
        return checker.finish();
    };
    let has_resources = root.get("Resources").is_some_and(|node| matches!(node.value, Value::Mapping(_)));
    if !has_resources && loaded.problems.is_empty() {
        let message = format!("{name} is no CloudFormation template: it has no `Resources`");
        checker.verdict.errors.push(Problem::general(message).remedy("for user data alone leave out --template"));
        return checker.finish();
    }
    let template = Template::new(root);
    let mut places = Vec::new();
    for (id, resource) in &template.in_order {
        // What is passed to a nested stack or a custom resource is no user data yet.
        let kind = template.kind(resource);
        let is_passed_on = kind.starts_with("AWS::CloudFormation::") || kind.starts_with("Custom::");
        if let Some(properties) = resource.get("Properties").filter(|_| !is_passed_on) {
            find(properties, id, &mut Vec::new(), &mut places);
        }
    }
    for place in &places {
        checker.check(&template, place);
    }
    let no_user_data = !checker.user_data_exists && loaded.problems.is_empty();
    let mut verdict = checker.finish();
    if no_user_data {
        verdict.others = true;
        let what = if places.is_empty() {
            "no resource of this template has `UserData`"
        } else {
            "no stack of it has user data"
        };
        verdict.notes.push(format!("{name}: {what}"));
    } else if !verdict.found && verdict.errors.is_empty() && !verdict.depends_on_stack {
        let message = format!("{name}: no user data in it holds ecs-firstrun configuration");
        return verdict.nothing_found(message, super::HOW_TO_HOLD);
    }
    verdict
}

/// A template, by what is looked up in it.
#[derive(Debug)]
pub(super) struct Template<'a> {
    parameters: HashMap<&'a str, &'a Node>,
    parameter_names: Vec<&'a str>,
    resources: HashMap<&'a str, &'a Node>,
    in_order: Vec<(&'a str, &'a Node)>,
    conditions: HashMap<&'a str, &'a Node>,
    mappings: HashMap<&'a str, &'a Node>,
    /// The values that conditions compare parameters with.
    compared: HashMap<&'a str, Vec<&'a str>>,
    /// The roles and policies, which may allow log groups to be made.
    roles: Vec<(&'a str, &'a Node)>,
    /// Set if all names are known: the text doesn't break off, and no macro adds names.
    is_complete: bool,
}

impl<'a> Template<'a> {
    fn new(root: &'a Node) -> Self {
        let section = |name: &str| root.get(name).map(children).unwrap_or_default();
        let in_order = section("Resources");
        let is_cut = |name: &str| root.get(name).is_some_and(|node| node.cut);
        let is_role = |(_, node): &(&str, &'a Node)| {
            node.get("Type").and_then(Node::text).is_some_and(|kind| ROLES.contains(&kind))
        };
        let in_order_roles = in_order.iter().copied().filter(is_role).collect();
        Template {
            parameters: section("Parameters").into_iter().collect(),
            parameter_names: section("Parameters").into_iter().map(|(name, _)| name).collect(),
            resources: in_order.iter().copied().collect(),
            in_order,
            conditions: section("Conditions").into_iter().collect(),
            mappings: section("Mappings").into_iter().collect(),
            compared: compared(root.get("Conditions")),
            roles: in_order_roles,
            is_complete: root.get("Transform").is_none()
                && !root.cut
                && !["Resources", "Parameters", "Conditions", "Mappings"].into_iter().any(is_cut),
        }
    }

    fn kind(&self, resource: &'a Node) -> &'a str {
        resource.get("Type").and_then(Node::text).unwrap_or_default()
    }

    /// The resources of a type.
    fn of_kind(&self, kind: &str) -> impl Iterator<Item = (&'a str, &'a Node)> {
        self.in_order.iter().copied().filter(move |(_, resource)| self.kind(resource) == kind)
    }

    /// The default of a parameter. That of the types of Systems Manager is a name under which that has the value.
    fn default(&self, name: &str) -> Option<&'a str> {
        self.parameter(name)?.get("Default").and_then(scalar)
    }

    /// Tells whether messages must not show the values of a parameter.
    fn hides(&self, name: &str) -> bool {
        let Some(parameter) = self.parameters.get(name) else { return false };
        let values = parameter.get("AllowedValues").map(items).unwrap_or_default();
        let is_url = |node: &Node| scalar(node).is_some_and(|value| value.contains("://"));
        is_no_echo(parameter) || is_secret_key(name) || parameter.get("Default").into_iter().chain(values).any(is_url)
    }

    /// The values that a parameter may have, where the template lists them.
    fn allowed_values(&self, name: &str) -> Option<Vec<&'a str>> {
        let allowed = self.parameter(name)?.get("AllowedValues")?;
        Some(items(allowed).iter().filter_map(scalar).collect()).filter(|allowed: &Vec<_>| !allowed.is_empty())
    }

    fn parameter(&self, name: &str) -> Option<&'a Node> {
        let parameter = self.parameters.get(name)?;
        let is_elsewhere = self.kind(parameter).starts_with("AWS::SSM::Parameter::Value");
        (!is_elsewhere && !is_no_echo(parameter) && !is_secret_key(name)).then_some(*parameter)
    }
}

fn is_no_echo(parameter: &Node) -> bool {
    parameter.get("NoEcho").and_then(scalar).is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

/// A scalar as CloudFormation has it: YAML's `True` is `true`.
fn scalar(node: &Node) -> Option<&str> {
    match node.value {
        Value::Bool(true) => Some("true"),
        Value::Bool(false) => Some("false"),
        _ => node.text(),
    }
}

/// The texts that each parameter is compared with.
fn compared<'a>(conditions: Option<&'a Node>) -> HashMap<&'a str, Vec<&'a str>> {
    let mut found: HashMap<&str, Vec<&str>> = HashMap::new();
    let mut nodes: Vec<&'a Node> = conditions.into_iter().collect();
    while let Some(node) = nodes.pop() {
        nodes.extend(children(node).into_iter().map(|(_, child)| child));
        let Some(("Fn::Equals", argument)) = function(node) else { continue };
        let [left, right] = items(argument) else { continue };
        for (one, other) in [(left, right), (right, left)] {
            let name = function(one).filter(|(name, _)| *name == "Ref").and_then(|(_, name)| name.text());
            if let (Some(name), Some(value)) = (name, scalar(other)) {
                let values = found.entry(name).or_default();
                if !values.contains(&value) {
                    values.push(value);
                }
            }
        }
    }
    found
}

/// A place of a template that holds the user data of a resource.
struct UserDataPlace<'a> {
    resource: &'a str,
    /// The mapping that holds the key.
    beside: &'a Node,
    user_data: &'a Node,
    /// The conditions under which it is there.
    guards: Vec<(&'a str, bool)>,
}

fn children(node: &Node) -> Vec<(&str, &Node)> {
    match &node.value {
        Value::Mapping(entries) => entries.iter().map(|entry| (entry.key.as_str(), &entry.value)).collect(),
        Value::Sequence(items) => items.iter().map(|item| ("", item)).collect(),
        _ => Vec::new(),
    }
}

fn find<'a>(node: &'a Node, resource: &'a str, guards: &mut Vec<(&'a str, bool)>, found: &mut Vec<UserDataPlace<'a>>) {
    if let Some(("Fn::If", argument)) = function(node)
        && let [condition, yes, no] = items(argument)
    {
        for (branch, holds) in [(yes, true), (no, false)] {
            guards.push((condition.text().unwrap_or_default(), holds));
            find(branch, resource, guards, found);
            guards.pop();
        }
        return;
    }
    for (key, child) in children(node) {
        match key == USER_DATA {
            true => found.push(UserDataPlace { resource, beside: node, user_data: child, guards: guards.clone() }),
            false => find(child, resource, guards, found),
        }
    }
}

/// Tells whether a value refers to a resource.
fn refers_to(node: &Node, resource: &str) -> bool {
    match function(node) {
        Some(("Ref", argument)) => argument.text() == Some(resource),
        Some(("Fn::Sub", argument)) => {
            let pattern = argument.text().or_else(|| items(argument).first()?.text()).unwrap_or_default();
            pattern.contains(&format!("${{{resource}}}")) || pattern.contains(&format!("${{{resource}."))
        }
        Some(("Fn::GetAtt", argument)) => {
            let first = items(argument).first().and_then(Node::text).or_else(|| argument.text()?.split('.').next());
            first == Some(resource)
        }
        _ => children(node).into_iter().any(|(_, child)| refers_to(child, resource)),
    }
}

#[cfg(test)]
mod tests;
