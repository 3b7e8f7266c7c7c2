//! Keys: those above a place, and those that can't be used.

use super::frame::{Collection, Frame, Mapping, Pending};
use super::loader::{Dropped, Loader};
use super::syntax::NOT_FILLED_IN;
use crate::document::problem::{self, Problem, Span};
use crate::document::yaml::node::{Entry, Node, Value};
use crate::secrets::{MASK, is_secret_key};

impl Loader {
    /// Returns the keys of the mappings that are open.
    pub(super) fn keys(&self) -> Vec<String> {
        let key = |frame: &Frame| match &frame.kind {
            Collection::Mapping(Mapping { pending: Pending::Value(key, _) | Pending::Refused(Some(key)), .. }) => {
                Some(key.clone())
            }
            _ => None,
        };
        self.open.iter().filter_map(key).collect()
    }

    /// Masks a text that a message must not quote here.
    pub(super) fn quotable(&self, text: &str) -> String {
        let is_secret = self.keys().iter().any(|key| is_secret_key(key)) || text.contains("://");
        if is_secret { MASK.to_owned() } else { text.to_owned() }
    }

    /// Leaves out a key that can't be used, and its value.
    pub(super) fn refuse_key(&mut self, node: Node) {
        // To find the first of several equal keys takes a look through the whole mapping.
        if self.problems.len() <= problem::MOST {
            let first = node.text().and_then(|key| self.entry_of(key)).map(|entry| entry.key_span.clone());
            let problem = self.wrong_key(&node, first);
            self.report(problem);
        }
        let key = node.text().map(str::to_owned);
        if let Some(Frame { kind: Collection::Mapping(mapping), .. }) = self.open.last_mut() {
            mapping.pending = Pending::Refused(key.clone());
            mapping.is_incomplete |= key.is_none();
        }
        if key.is_none() {
            self.dropped.push(Dropped { keys: self.keys(), value: node });
        }
    }

    fn entry_of(&self, key: &str) -> Option<&Entry> {
        match &self.open.last()?.kind {
            Collection::Mapping(mapping) => mapping.entries.iter().find(|entry| entry.key == key),
            Collection::Sequence(_) => None,
        }
    }

    /// Reports the fault of a key.
    fn wrong_key(&self, node: &Node, first: Option<Span>) -> Problem {
        let Some(key) = node.text() else {
            let span = &node.span;
            let is_template = span.source.text[..span.start].ends_with('{') && span.text().starts_with('{');
            return match node.value {
                Value::Null => Problem::at(span, "a key is missing before the `:`"),
                _ if is_template => {
                    let message = "YAML reads `{{ ... }}` as a mapping whose key is a mapping";
                    Problem::at(span, message).remedy(NOT_FILLED_IN)
                }
                _ => Problem::at(span, "a key must be text, not a list or a mapping"),
            };
        };
        let problem = Problem::at(&node.span, format!("the key `{}` is given twice", self.quotable(key)));
        let remedy = if first.is_some() { "keep one; the first is" } else { "keep one" };
        Problem { related: first, ..problem.remedy(remedy) }
    }
}
