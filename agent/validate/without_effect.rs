//! Values of user data that look right but have no effect, or another effect.

use super::warning::warning;
use crate::config::types::Device;
use crate::config::{Config, daemon_json};
use crate::document::de::{NOT_RESOLVED, in_place_of_dynamic_reference};
use crate::document::decode::Document;
use crate::document::problem::{self, Problem, Span};
use crate::document::yaml::{Node, Value};

/// The keys whose values have variables of their own.
const NAMES: [&str; 2] = ["group", "stream"];
const DYNAMIC_REFERENCE: &str = "{{resolve:";

/// Finds values that look right but have no effect.
pub(super) fn find(config: &Config, documents: &[Document]) -> Vec<Problem> {
    let mut found = Vec::new();
    for document in documents.iter().filter_map(|document| document.config.as_ref()) {
        never_filled(document, &mut Vec::new(), &mut found);
        found.extend(daemon_json::examined(document).warnings);
    }
    let mut warn = |path: &[&str], message: String, remedy: &str| {
        found.push(warning(documents, path, message).remedy(remedy));
    };
    for (index, volume) in config.storage.iter().enumerate() {
        if let Device::Named(path) = &volume.device
            && is_root_disk(path.as_str())
        {
            let message = format!("{path} is the root disk of an image, which holds a filesystem already");
            let remedy = "name the volume that the block device mapping adds, as /dev/xvdcy";
            warn(&["storage", &index.to_string(), "device"], message, remedy);
        }
    }
    found
}

/// Finds values with a variable or a dynamic reference that nothing fills in.
fn never_filled<'n>(node: &'n Node, keys: &mut Vec<&'n str>, found: &mut Vec<Problem>) {
    match &node.value {
        Value::Mapping(entries) => {
            for entry in entries {
                keys.push(&entry.key);
                never_filled(&entry.value, keys, found);
                keys.pop();
            }
        }
        Value::Sequence(items) => items.iter().for_each(|item| never_filled(item, keys, found)),
        _ if found.len() >= problem::MOST => {}
        Value::String(text) if !text.as_bytes().contains(&b'{') => {}
        Value::String(text) if text.contains(DYNAMIC_REFERENCE) => {
            let remedy = in_place_of_dynamic_reference(&keys.join("."));
            found.push(Problem::at(&node.span, NOT_RESOLVED).remedy(remedy));
        }
        Value::String(text) if !has_own_variables(keys) => {
            if let Some(name) = variable(text) {
                let message = format!("nothing fills in `{}`", node.span.shown(name));
                let remedy =
                    "in a template, put `Fn::Sub` around the whole user data, and name a parameter or a resource";
                found.push(Problem::at(&node.span, message).remedy(remedy));
            }
        }
        _ => {}
    }
}

/// Tells whether a value has variables of its own: the name of a log group or stream, or the command of a hook.
fn has_own_variables(keys: &[&str]) -> bool {
    match keys {
        ["logs", .., last] => NAMES.contains(last),
        ["hooks", .., last] => *last == "run",
        _ => false,
    }
}

/// Returns the first `${Name}` of a text.
pub(super) fn variable(text: &str) -> Option<&str> {
    let begins = text.find("${")?;
    let ends = begins + text[begins..].find('}')?;
    let name = &text[begins + 2..ends];
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || ":._".contains(c));
    is_name.then_some(&text[begins..=ends])
}

/// Tells whether a path is a root disk: `/dev/xvda`, `/dev/sda1` and so on.
fn is_root_disk(path: &str) -> bool {
    let disk = path.trim_end_matches(|c: char| c.is_ascii_digit());
    ["/dev/xvda", "/dev/sda"].contains(&disk)
}

/// Returns notes on the lists of a document that a later document replaces.
pub(super) fn replaced_lists(documents: &[Document]) -> Vec<String> {
    let mut notes = Vec::new();
    let earlier = documents.len().saturating_sub(1);
    for (number, document) in documents[..earlier].iter().enumerate() {
        for (path, _) in document.config.as_ref().map(lists).unwrap_or_default() {
            let keys: Vec<&str> = path.iter().map(String::as_str).collect();
            let is_list = |later: &&Document| {
                let node = later.config.as_ref().and_then(|config| config.at(&keys));
                node.is_some_and(|node| matches!(node.value, Value::Sequence(_)))
            };
            if let Some(later) = documents[number + 1..].iter().rev().find(is_list) {
                notes.push(format!(
                    "`{}` of {} is replaced by that of {}: lists are not merged",
                    path.join("."),
                    document.source.name,
                    later.source.name
                ));
            }
        }
    }
    notes
}

/// Returns the lists of a configuration with their paths. Lists within another list are left out.
fn lists(node: &Node) -> Vec<(Vec<String>, Span)> {
    match &node.value {
        Value::Sequence(_) => vec![(Vec::new(), node.span.clone())],
        Value::Mapping(entries) => {
            let below = entries.iter().flat_map(|entry| {
                lists(&entry.value)
                    .into_iter()
                    .map(|(path, span)| ([entry.key.clone()].into_iter().chain(path).collect::<Vec<_>>(), span))
            });
            below.collect()
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_disk_is_known_by_its_names() {
        assert!(["/dev/xvda", "/dev/sda", "/dev/sda1", "/dev/xvda1"].into_iter().all(is_root_disk));
        assert!(!["/dev/xvdb", "/dev/sdaa", "/dev/xvdcy", "/dev/sdf"].into_iter().any(is_root_disk));
    }
}
