//! The sections of a template, by what is looked up in them.

use std::collections::HashMap;

use super::nodes::{children, function, items, scalar};
use crate::document::yaml::Node;
use crate::secrets::is_secret_key;

/// Types of resources whose statements may allow an instance to make log groups.
const ROLES: [&str; 4] = ["AWS::IAM::Role", "AWS::IAM::Policy", "AWS::IAM::ManagedPolicy", "AWS::IAM::RolePolicy"];
/// A template, indexed by the names that are looked up in it.
#[derive(Debug)]
pub(super) struct Template<'a> {
    pub(super) parameters: HashMap<&'a str, &'a Node>,
    pub(super) parameter_names: Vec<&'a str>,
    pub(super) resources: HashMap<&'a str, &'a Node>,
    pub(super) in_order: Vec<(&'a str, &'a Node)>,
    pub(super) conditions: HashMap<&'a str, &'a Node>,
    pub(super) mappings: HashMap<&'a str, &'a Node>,
    /// The values that conditions compare parameters with.
    pub(super) compared: HashMap<&'a str, Vec<&'a str>>,
    /// The roles and policies, which may allow log groups to be made.
    pub(super) roles: Vec<(&'a str, &'a Node)>,
    /// Set if all names are known: the text doesn't break off, and no macro adds names.
    pub(super) is_complete: bool,
}

impl<'a> Template<'a> {
    pub(super) fn new(root: &'a Node) -> Self {
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

    pub(super) fn kind(&self, resource: &'a Node) -> &'a str {
        resource.get("Type").and_then(Node::text).unwrap_or_default()
    }

    /// Returns the resources of a type.
    pub(super) fn of_kind(&self, kind: &str) -> impl Iterator<Item = (&'a str, &'a Node)> {
        self.in_order.iter().copied().filter(move |(_, resource)| self.kind(resource) == kind)
    }

    /// Returns the default of a parameter; nothing for a secret parameter. Nothing is returned for a Systems Manager type,
    /// either: the default is only the name of the value.
    pub(super) fn default(&self, name: &str) -> Option<&'a str> {
        self.parameter(name)?.get("Default").and_then(scalar)
    }

    /// Tells whether messages must not show the values of a parameter.
    pub(super) fn hides(&self, name: &str) -> bool {
        let Some(parameter) = self.parameters.get(name) else { return false };
        let values = parameter.get("AllowedValues").map(items).unwrap_or_default();
        let is_url = |node: &Node| scalar(node).is_some_and(|value| value.contains("://"));
        is_no_echo(parameter) || is_secret_key(name) || parameter.get("Default").into_iter().chain(values).any(is_url)
    }

    /// Returns the values that a parameter may have, if the template lists them.
    pub(super) fn allowed_values(&self, name: &str) -> Option<Vec<&'a str>> {
        let allowed = self.parameter(name)?.get("AllowedValues")?;
        Some(items(allowed).iter().filter_map(scalar).collect()).filter(|allowed: &Vec<_>| !allowed.is_empty())
    }

    pub(super) fn parameter(&self, name: &str) -> Option<&'a Node> {
        let parameter = self.parameters.get(name)?;
        let is_elsewhere = self.kind(parameter).starts_with("AWS::SSM::Parameter::Value");
        (!is_elsewhere && !is_no_echo(parameter) && !is_secret_key(name)).then_some(*parameter)
    }
}

fn is_no_echo(parameter: &Node) -> bool {
    parameter.get("NoEcho").and_then(scalar).is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

/// Returns the texts with which conditions compare each parameter.
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
