//! The state of reading a document, with its bounds, and the result.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use super::frame::{Collection, Frame, Pending};
use crate::document::problem::{self, Extent, Problem, Source, Span};
use crate::document::yaml::node::{Node, NodeId, Size};

/// The most nodes in one document; aliases may add half as many. A configuration has dozens; this stops "billion laughs"
/// early.
pub(in crate::document::yaml) const MAX_NODES: usize = 10_000;
/// The most nodes in a template, which describes everything else in a stack: 500 resources at most, in 1 MB.
/// <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html>
pub(in crate::document::yaml) const MAX_TEMPLATE: usize = 60_000;
/// The deepest nesting of one document. The configuration needs five levels; the recursion in here and in serde stays
/// shallow.
pub(in crate::document::yaml) const MAX_DEPTH: usize = 64;

/// A loaded document. Its secrets are not known yet, so its spans show no text until its source is given them.
#[derive(Debug)]
pub struct Loaded {
    /// The tree: nothing when the document is empty, and partial when a problem says so.
    pub root: Option<Node>,
    /// The problems of the document.
    pub problems: Vec<Problem>,
    /// Values that the tree doesn't have, because their keys were refused.
    pub(crate) dropped: Vec<Dropped>,
    /// The text between two values, where that may be a comment.
    pub(crate) comments: Vec<Range<usize>>,
    /// The place from which the text was not read, with the keys above that place.
    pub(crate) unread: Option<(usize, Vec<String>)>,
}

/// A value that the tree doesn't have.
#[derive(Debug)]
pub(crate) struct Dropped {
    /// The keys above the value, its own at the end.
    pub keys: Vec<String>,
    /// The value.
    pub value: Node,
}

/// The state of reading a document.
#[derive(Default)]
pub(super) struct Loader {
    pub(super) source: Arc<Source>,
    /// True if tags are the functions of a CloudFormation template.
    pub(super) functions: bool,
    /// The byte offset of each character, for text that is not ASCII: the parser counts characters.
    offsets: Option<Vec<usize>>,
    /// The number of bytes, from the beginning, that can be YAML at all.
    pub(super) readable: usize,
    pub(super) open: Vec<Frame>,
    /// The node of each anchor, with its size; nothing where that is too much to be kept.
    pub(super) anchors: HashMap<usize, Option<(Node, Size)>>,
    /// The sizes of all that is kept for anchors, and of all that aliases have added. Each level of nested anchors has a
    /// copy of its own.
    pub(super) kept: Size,
    pub(super) repeated: Size,
    pub(super) nodes: usize,
    /// The most nodes that there may be.
    pub(super) most: usize,
    pub(super) documents: usize,
    pub(super) root: Option<Node>,
    /// The scalar that was read last, and its anchor. The scalar is added when the text is known to go on behind it.
    pub(super) last: Option<(Node, usize)>,
    /// The offset of the first byte that is no longer YAML.
    pub(super) broke_off_at: Option<usize>,
    /// The keys above the place where the text broke off, if the parser did not notice that.
    pub(super) keys_at_end: Option<Vec<String>>,
    /// The lists and mappings that were closed by the newest event, and those right before it.
    pub(super) just_closed: Vec<NodeId>,
    /// The end of the last event.
    pub(super) read: usize,
    pub(super) dropped: Vec<Dropped>,
    pub(super) comments: Vec<Range<usize>>,
    pub(super) problems: Vec<Problem>,
}

impl Loader {
    pub(super) fn new(source: &Arc<Source>, functions: bool) -> Self {
        let mut loader = Self {
            source: source.clone(),
            functions,
            offsets: (!source.text.is_ascii()).then(|| source.text.char_indices().map(|(at, _)| at).collect()),
            readable: source.text.len(),
            most: if functions { MAX_TEMPLATE } else { MAX_NODES },
            ..Self::default()
        };
        // The parser takes a NUL for the end and would keep quiet about the rest.
        if let Some(at) = source.text.find(|c| c < ' ' && !"\t\n\r".contains(c)) {
            loader.readable = at;
            loader.broke_off_at = Some(at);
            let span = loader.bytes(at, at + 1);
            loader.report(
                Problem::at(&span, "a control character can't be part of a document; nothing is read from here on")
                    .remedy("remove it, or write it as an escape such as `\\x1b` in double quotes")
                    .of_document(),
            );
        }
        loader
    }

    fn bytes(&self, start: usize, end: usize) -> Span {
        Span { source: self.source.clone(), start, end }
    }

    /// Makes a span out of a range in characters.
    pub(super) fn characters(&self, range: Range<usize>) -> Span {
        let length = self.source.text.len();
        let byte = |at: usize| match &self.offsets {
            Some(offsets) => offsets.get(at).copied().unwrap_or(length),
            None => at.min(length),
        };
        let (start, end) = (byte(range.start), byte(range.end));
        self.bytes(start, end.max(start))
    }

    pub(super) fn report(&mut self, problem: Problem) {
        match self.problems.len() {
            0..problem::MOST => self.problems.push(problem),
            problem::MOST => self.problems.push(Problem::too_many()),
            // A problem that ends the reading is told, whatever other problems there are.
            _ if problem.extent == Extent::Document => self.problems.push(problem),
            _ => {}
        }
    }

    /// Leaves out the next value, or the key and its value.
    pub(super) fn refuse(&mut self) {
        if let Some(Frame { kind: Collection::Mapping(mapping), .. }) = self.open.last_mut() {
            mapping.pending = match mapping.pending {
                Pending::Key => Pending::Refused(None),
                _ => Pending::Key,
            };
        }
    }
}
