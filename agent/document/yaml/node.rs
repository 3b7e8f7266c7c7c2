//! The tree: a value with its place, and the values in it.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::document::problem::Span;

/// Identifies a node or a key in the whole process, so that merged documents can't confuse theirs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NodeId(u32);

impl NodeId {
    pub(super) fn next() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// A value with its place.
#[derive(Debug, Clone)]
pub struct Node {
    /// The place, from the value's first to its last character. An empty value has the place of its key.
    pub span: Span,
    /// The id of this node alone.
    pub id: NodeId,
    /// The value of the node.
    pub value: Value,
    /// A scalar as written, where that differs from the value: `0755` is the number 755.
    pub(super) text: Option<String>,
    /// True if the text breaks off in this list or mapping, so that keys and items may be missing.
    pub cut: bool,
}

/// The values that a node can have: the kinds of YAML 1.2's core schema.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `null`, `~` or nothing.
    Null,
    /// `true` or `false`; `yes` and `on` are text in YAML 1.2.
    Bool(bool),
    /// A whole number that fits.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// Text, quoted or not.
    String(String),
    /// A list.
    Sequence(Vec<Node>),
    /// Keys and values in the order in which they were written; no key occurs twice.
    Mapping(Vec<Entry>),
}

/// A key with its value.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The key as text; a number or `true` as written.
    pub key: String,
    /// The place of the key.
    pub key_span: Span,
    /// The key's own id.
    pub key_id: NodeId,
    /// The value.
    pub value: Node,
}

impl PartialEq for Node {
    /// Compares the values, wherever they were written.
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value && self.text() == other.text()
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key && self.value == other.value
    }
}

impl Node {
    /// Makes a node that didn't come out of a parser, such as the value of a variable.
    pub fn new(span: Span, value: Value) -> Self {
        Self { span, id: NodeId::next(), value, text: None, cut: false }
    }

    /// Returns the keys with their values; none when this is no mapping.
    pub fn entries(&self) -> &[Entry] {
        if let Value::Mapping(entries) = &self.value { entries } else { &[] }
    }

    /// Returns the items; none when this is no list.
    pub fn items(&self) -> &[Node] {
        if let Value::Sequence(items) = &self.value { items } else { &[] }
    }

    /// Returns a key with its value, when this is a mapping that has the key.
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| entry.key == key)
    }

    /// Returns the value of a key, when this is a mapping that has the key.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// Returns the node at the end of a path of keys. An item of a list goes by its number, from 0.
    pub fn at(&self, path: &[&str]) -> Option<&Node> {
        path.iter().try_fold(self, |node, step| match &node.value {
            Value::Sequence(items) => items.get(step.parse::<usize>().ok()?),
            _ => node.get(step),
        })
    }

    /// Tells whether the path has a value, or might have had one if the text had not broken off.
    pub fn may_have(&self, path: &[&str]) -> bool {
        match (path, self.value == Value::Null) {
            (_, true) => false,
            ([], _) => true,
            ([key, rest @ ..], _) => self.get(key).map_or(self.cut, |node| node.may_have(rest)),
        }
    }

    /// Marks as cut the listed nodes at the end of this one: the text broke off behind them.
    pub(super) fn mark_cut(&mut self, closed: &[NodeId]) {
        self.cut |= closed.contains(&self.id);
        let last = match &mut self.value {
            Value::Sequence(items) => items.last_mut(),
            Value::Mapping(entries) => entries.last_mut().map(|entry| &mut entry.value),
            _ => None,
        };
        if let Some(last) = last {
            last.mark_cut(closed);
        }
    }

    /// Returns a scalar as it was written (without quotes); nothing for lists, mappings and null.
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::String(text) => Some(text),
            _ => self.text.as_deref(),
        }
    }

    /// Copies the content under ids of its own.
    pub(super) fn copy(&self) -> Self {
        let value = match &self.value {
            Value::Sequence(items) => Value::Sequence(items.iter().map(Node::copy).collect()),
            Value::Mapping(entries) => Value::Mapping(entries.iter().map(Entry::copy).collect()),
            scalar => scalar.clone(),
        };
        Self { span: self.span.clone(), id: NodeId::next(), value, text: self.text.clone(), cut: self.cut }
    }

    /// Returns the same mapping with these keys alone.
    pub fn only(&self, keys: &[&str]) -> Self {
        let mut only = self.clone();
        if let Value::Mapping(entries) = &mut only.value {
            entries.retain(|entry| keys.contains(&entry.key.as_str()));
        }
        only
    }

    /// Measures this node, with everything in it.
    pub(in crate::document) fn size(&self) -> Size {
        let own = Size { nodes: 1, depth: 1, bytes: self.text().map_or(0, str::len) };
        let with = |size: Size, (key, child): (usize, &Node)| {
            let below = child.size();
            Size {
                nodes: size.nodes + below.nodes,
                depth: size.depth.max(below.depth + 1),
                bytes: size.bytes + below.bytes + key,
            }
        };
        let entries = self.entries().iter().map(|entry| (entry.key.len(), &entry.value));
        self.items().iter().map(|item| (0, item)).chain(entries).fold(own, with)
    }
}

/// The size of a node.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::document) struct Size {
    /// Nodes, itself included.
    pub nodes: usize,
    /// Levels.
    pub depth: usize,
    /// Bytes of all text in the node.
    pub bytes: usize,
}

impl Entry {
    fn copy(&self) -> Self {
        Self { key_id: NodeId::next(), value: self.value.copy(), ..self.clone() }
    }
}

/// Applies a patch as JSON Merge Patch does (RFC 7396): mappings are merged, null deletes, all else replaces.
pub fn merge(base: Node, patch: Node) -> Node {
    let Node { span, id, value: Value::Mapping(changes), text, cut } = patch else {
        return patch;
    };
    let cut = cut || base.cut;
    let mut entries = match base.value {
        Value::Mapping(entries) => entries,
        _ => Vec::new(),
    };
    for Entry { key, key_span, key_id, value } in changes {
        let at = entries.iter().position(|entry| entry.key == key);
        if value.value == Value::Null {
            entries.retain(|entry| entry.key != key);
            continue;
        }
        // Merging into nothing takes the nulls out of a mapping that is new, as the RFC has it.
        let nothing = Node::new(value.span.clone(), Value::Null);
        let old = match at {
            Some(at) => std::mem::replace(&mut entries[at].value, nothing),
            None => nothing,
        };
        let entry = Entry { key, key_span, key_id, value: merge(old, value) };
        match at {
            Some(at) => entries[at] = entry,
            None => entries.push(entry),
        }
    }
    Node { span, id, value: Value::Mapping(entries), text, cut }
}
