//! The configuration's tree while it is checked: what of it was meant, and what is wrong.

use std::collections::HashSet;

use crate::document::problem::{self, Problem};
use crate::document::yaml::{Entry, Node, NodeId};
use crate::text::are_alike;

/// The tree of the configuration, and what is wrong in it.
pub(super) struct Checks<'a> {
    pub(super) root: &'a Node,
    /// The refused values and keys, which the configuration lacks.
    pub(super) refused: &'a HashSet<NodeId>,
    pub(super) problems: Vec<Problem>,
}

impl Checks<'_> {
    /// Reports a problem at the end of a path, as far as the document has the path.
    pub(super) fn report(&mut self, path: &[&str], message: impl Into<String>, remedy: &str) {
        if self.problems.len() > problem::MOST {
            return;
        }
        let message = message.into();
        let nearest = (0..=path.len()).rev().find_map(|length| self.root.at(&path[..length]));
        let problem = nearest.map_or_else(|| Problem::general(&message), |node| Problem::at(&node.span, &message));
        self.problems.push(problem.remedy(remedy));
    }

    /// Tells whether a value is given, or was meant to be given.
    ///
    /// A value was meant if it was refused, if its key is misspelt, or if the text breaks off before it. Such a value is not
    /// reported as missing.
    pub(super) fn is_meant(&self, path: &[&str]) -> bool {
        let [above @ .., key] = path else { return true };
        let is_misspelt = |entry: &Entry| self.refused.contains(&entry.key_id) && are_alike(&entry.key, key);
        self.root.may_have(path) || self.root.at(above).is_some_and(|node| node.entries().iter().any(is_misspelt))
    }

    /// Returns the indices that the items of a list have in the document, without the refused items.
    pub(super) fn indices(&self, path: &[&str]) -> Vec<usize> {
        let items = self.root.at(path).map_or(&[][..], Node::items).iter().enumerate();
        items.filter(|(_, item)| !self.refused.contains(&item.id)).map(|(index, _)| index).collect()
    }
}
