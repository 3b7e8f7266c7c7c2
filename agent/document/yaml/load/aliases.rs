//! Anchors and their aliases, bounded: each level of nested anchors doubles a document.

use super::loader::{Loader, MAX_DEPTH};
use crate::document::problem::{Problem, Span};
use crate::document::yaml::node::{Node, Size};

/// Bytes of text in one document that aliases add to it.
const MAX_REPEATED: usize = 256 << 10;

impl Loader {
    /// Copies the node that an alias repeats. Nothing, and a problem, if the document would exceed its bounds.
    pub(super) fn alias(&mut self, anchor: usize, span: &Span) -> Option<Node> {
        let Some(target) = self.anchors.get(&anchor) else {
            self.report(Problem::at(span, "the alias stands within the very value that it repeats"));
            return None;
        };
        let fits = |size: &Size| {
            // Values that are written out after the aliases must have room, too.
            self.repeated.nodes + size.nodes <= self.most / 2
                && self.open.len() + size.depth <= MAX_DEPTH
                && self.repeated.bytes + size.bytes <= MAX_REPEATED
        };
        let Some((node, size)) = target.as_ref().filter(|(_, size)| fits(size)) else {
            let message = format!(
                "aliases add more than {} values or {} KiB to the document, or make it deeper than {MAX_DEPTH} levels",
                self.most / 2,
                MAX_REPEATED >> 10
            );
            // The problem is reported once: such a document has thousands of aliases.
            if !self.problems.iter().any(|problem| problem.message == message) {
                self.report(Problem::at(span, message));
            }
            return None;
        };
        self.nodes += size.nodes;
        self.repeated.nodes += size.nodes;
        self.repeated.bytes += size.bytes;
        Some(node.copy())
    }

    /// Keeps the node of an anchor, unless all kept nodes together become larger than a document may be.
    pub(super) fn keep(&mut self, anchor: usize, node: &Node) {
        let size = node.size();
        let fits = self.kept.nodes + size.nodes <= self.most && self.kept.bytes + size.bytes <= MAX_REPEATED;
        if fits {
            self.kept.nodes += size.nodes;
            self.kept.bytes += size.bytes;
        }
        self.anchors.insert(anchor, fits.then(|| (node.clone(), size)));
    }
}
