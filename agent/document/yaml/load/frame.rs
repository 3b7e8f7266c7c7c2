//! Lists and mappings that are still open.

use std::collections::HashSet;

use crate::document::problem::Span;
use crate::document::yaml::node::{Entry, Node, NodeId, Value};

/// A list or mapping whose end hasn't come yet.
pub(super) struct Frame {
    pub(super) span: Span,
    pub(super) anchor: usize,
    /// The function of a template whose argument this is.
    pub(super) function: Option<String>,
    pub(super) kind: Collection,
}

pub(super) enum Collection {
    Sequence(Vec<Node>),
    Mapping(Mapping),
}

/// A mapping as far as it was read.
#[derive(Default)]
pub(super) struct Mapping {
    pub(super) entries: Vec<Entry>,
    pub(super) pending: Pending,
    /// The keys of the mapping so far.
    pub(super) keys: HashSet<String>,
    /// True if a key that is not text was dropped.
    pub(super) is_incomplete: bool,
    /// The entries of the mapping's merge keys; of several entries with one key, the first counts.
    merged: Vec<Entry>,
    /// The merged entries that no entry of the mapping overrides.
    brought: Vec<Entry>,
}

/// The part that comes next in a mapping.
#[derive(Default)]
pub(super) enum Pending {
    #[default]
    Key,
    Value(String, Span),
    /// The value of a merge key.
    Merge,
    /// The value of a key that was refused; it is dropped.
    Refused(Option<String>),
}

impl Mapping {
    /// Takes over the entries of a mapping, or of a list of mappings; gives back any other node.
    ///
    /// As in PyYAML, an entry of a later merge key hides one of an earlier, and within a list an earlier hides a later.
    pub(super) fn merge(&mut self, node: Node) -> Result<(), Node> {
        let mut merged = Vec::new();
        match node.value {
            Value::Mapping(entries) => merged = entries,
            Value::Sequence(items) if items.iter().all(|item| matches!(item.value, Value::Mapping(_))) => {
                for item in items {
                    if let Value::Mapping(entries) = item.value {
                        merged.extend(entries);
                    }
                }
            }
            _ => return Err(node),
        }
        self.merged.splice(0..0, merged);
        Ok(())
    }
}

impl Frame {
    /// Adds the merged entries whose keys have no other value, and returns the others.
    pub(super) fn take_overridden(&mut self) -> Vec<Entry> {
        let Collection::Mapping(mapping) = &mut self.kind else { return Vec::new() };
        let mut overridden = Vec::new();
        for entry in mapping.merged.drain(..) {
            match mapping.keys.insert(entry.key.clone()) {
                true => mapping.brought.push(entry),
                false => overridden.push(entry),
            }
        }
        overridden
    }

    /// Finishes a list or mapping: returns the node, the id of the list or mapping in it, and the anchor. A block ends where
    /// its last child does, not at the next line's text.
    pub(super) fn close(self, end: Option<usize>, cut: bool) -> (Node, NodeId, usize) {
        let cut = cut || matches!(&self.kind, Collection::Mapping(mapping) if mapping.is_incomplete);
        let (value, last) = match self.kind {
            Collection::Sequence(items) => {
                let last = items.last().map(|item| item.span.end);
                (Value::Sequence(items), last)
            }
            Collection::Mapping(mapping) => {
                // An alias has the span of its anchor's node, which lies before the alias's key.
                let last = mapping.entries.last().map(|entry| entry.value.span.end.max(entry.key_span.end));
                (Value::Mapping(mapping.entries.into_iter().chain(mapping.brought).collect()), last)
            }
        };
        let mut span = self.span;
        span.end = end.or(last).unwrap_or(span.end).max(span.start);
        let node = Node { cut, ..Node::new(span, value) };
        let id = node.id;
        (called(self.function, node), id, self.anchor)
    }
}

/// Makes the call of a function of a template, with its argument.
pub(super) fn called(function: Option<String>, argument: Node) -> Node {
    let Some(key) = function else { return argument };
    let span = argument.span.clone();
    let entry = Entry { key, key_span: span.clone(), key_id: NodeId::next(), value: argument };
    Node::new(span, Value::Mapping(vec![entry]))
}
