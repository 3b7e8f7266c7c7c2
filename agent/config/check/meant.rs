//! The values of a document that were given, or that were meant to be given.

use std::collections::HashSet;

use crate::document::yaml::{Node, NodeId, Value};
use crate::text::are_alike;

/// Tells whether a value is given, or was meant to be given.
///
/// A value was meant if it was refused, if its key is misspelt, or if the text breaks off before it. Such a value is not
/// reported as missing.
pub(super) fn is_meant(root: &Node, path: &[&str], refused: &HashSet<NodeId>) -> bool {
    let [above @ .., key] = path else { return true };
    let misspelt = || match root.at(above).map(|node| &node.value) {
        Some(Value::Mapping(entries)) => {
            entries.iter().any(|entry| refused.contains(&entry.key_id) && are_alike(&entry.key, key))
        }
        _ => false,
    };
    root.may_have(path) || misspelt()
}

/// Returns the indices that the items of a list have in the document, without the refused items.
pub(super) fn indices(root: &Node, path: &[&str], refused: &HashSet<NodeId>) -> Vec<usize> {
    let items: &[Node] = match root.at(path).map(|node| &node.value) {
        Some(Value::Sequence(items)) => items,
        _ => &[],
    };
    items.iter().enumerate().filter(|(_, item)| !refused.contains(&item.id)).map(|(index, _)| index).collect()
}
