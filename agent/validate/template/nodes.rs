//! Nodes of a template, and the calls of functions among them.

use crate::document::yaml::{Node, Value};

/// Returns the function that a value calls, and its argument. Such a value is a mapping of one key.
pub(super) fn function(node: &Node) -> Option<(&str, &Node)> {
    let Value::Mapping(entries) = &node.value else { return None };
    let [entry] = &entries[..] else { return None };
    let is_function = ["Ref", "Condition"].contains(&entry.key.as_str()) || entry.key.starts_with("Fn::");
    is_function.then_some((&entry.key, &entry.value))
}

pub(super) fn items(node: &Node) -> &[Node] {
    match &node.value {
        Value::Sequence(items) => items,
        _ => &[],
    }
}

/// Returns a scalar as CloudFormation reads it: YAML's `True` is `true`.
pub(super) fn scalar(node: &Node) -> Option<&str> {
    match node.value {
        Value::Bool(true) => Some("true"),
        Value::Bool(false) => Some("false"),
        _ => node.text(),
    }
}

/// Returns the values of a mapping with their keys, or the items of a list with empty keys.
pub(super) fn children(node: &Node) -> Vec<(&str, &Node)> {
    match &node.value {
        Value::Mapping(entries) => entries.iter().map(|entry| (entry.key.as_str(), &entry.value)).collect(),
        Value::Sequence(items) => items.iter().map(|item| ("", item)).collect(),
        _ => Vec::new(),
    }
}

/// Tells whether a value refers to a resource.
pub(super) fn refers_to(node: &Node, resource: &str) -> bool {
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
