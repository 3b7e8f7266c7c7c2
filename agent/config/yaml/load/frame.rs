//! Lists and mappings that are still open.

use std::collections::HashSet;

use crate::config::problem::Span;
use crate::config::yaml::{Entry, Node, NodeId, Value};

/// A list or mapping whose end hasn't come yet.
pub(super) struct Frame {
    pub(super) span: Span,
    pub(super) anchor: usize,
    /// The function of a template that it is the argument of.
    pub(super) function: Option<String>,
    pub(super) kind: Kind,
}

pub(super) enum Kind {
    Sequence(Vec<Node>),
    /// With the keys that it has so far.
    Mapping(Vec<Entry>, Pending, HashSet<String>),
}

/// What a mapping waits for.
pub(super) enum Pending {
    Key,
    Value(String, Span),
    /// The value of a key that was refused; it is dropped.
    Refused,
}

impl Frame {
    /// The finished node and its anchor. A block ends where its last child does, not at the next line's text.
    pub(super) fn close(self, end: Option<usize>) -> (Node, usize) {
        let (value, last) = match self.kind {
            Kind::Sequence(items) => {
                let last = items.last().map(|item| item.span.end);
                (Value::Sequence(items), last)
            }
            Kind::Mapping(entries, ..) => {
                // An alias is spanned by what it stands for, which lies before its key.
                let last = entries.last().map(|entry| entry.value.span.end.max(entry.key_span.end));
                (Value::Mapping(entries), last)
            }
        };
        let mut span = self.span;
        span.end = end.or(last).unwrap_or(span.end).max(span.start);
        (called(self.function, Node::new(span, value)), self.anchor)
    }
}

/// The call of a function of a template, with its argument.
pub(super) fn called(function: Option<String>, argument: Node) -> Node {
    let Some(key) = function else { return argument };
    let span = argument.span.clone();
    let entry = Entry { key, key_span: span.clone(), key_id: NodeId::next(), value: argument };
    Node::new(span, Value::Mapping(vec![entry]))
}
