//! Builds the tree out of the parser's events.

mod aliases;
mod frame;
mod keys;
mod syntax;
mod tags;

pub(crate) use syntax::{NOT_FILLED_IN, odd_space_remedy};

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use saphyr_parser::{Event, Parser, ScalarStyle, Tag};

use frame::{Collection, Frame, Mapping, Pending, called};
use syntax::too_deep;
use tags::is_bang;

use super::scalar::{quoted_length, resolve};
use super::{Entry, Node, NodeId, Size, Value};
use crate::document::problem::{self, Extent, Problem, Source, Span};

/// The most nodes in one document; aliases may add half as many. A configuration has dozens; this stops "billion laughs"
/// early.
pub(super) const MAX_NODES: usize = 10_000;
/// The most nodes in a template, which describes everything else in a stack: 500 resources at most, in 1 MB.
/// <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html>
pub(crate) const MAX_TEMPLATE: usize = 60_000;
/// The deepest nesting of one document. The configuration needs five levels; the recursion in here and in serde stays
/// shallow.
pub(super) const MAX_DEPTH: usize = 64;

/// The merge key, by which a mapping takes over the entries of the key's value. PyYAML in cloud-init has it too:
/// <https://yaml.org/type/merge.html>
const MERGE_KEY: &str = "<<";

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

/// Loads one document.
pub fn load(source: &Arc<Source>) -> Loaded {
    load_with(source, false)
}

/// Loads a CloudFormation template. The short form of a function, such as `!Sub x`, becomes the mapping of its full form.
pub fn load_template(source: &Arc<Source>) -> Loaded {
    load_with(source, true)
}

fn load_with(source: &Arc<Source>, functions: bool) -> Loaded {
    let mut loader = Loader::new(source, functions);
    let mut parser = Parser::new_from_str(&source.text[..loader.readable]);
    let mut complete = loader.readable == source.text.len();
    while let Some(event) = parser.next_event() {
        let more = match event {
            Ok((event, span)) => {
                let span = loader.characters(span.start.index()..span.end.index());
                loader.event(event, span)
            }
            Err(error) => {
                loader.syntax(&error);
                false
            }
        };
        if !more {
            complete = false;
            break;
        }
    }
    loader.finish(complete)
}

#[derive(Default)]
struct Loader {
    source: Arc<Source>,
    /// True if tags are the functions of a CloudFormation template.
    functions: bool,
    /// The byte offset of each character, for text that is not ASCII: the parser counts characters.
    offsets: Option<Vec<usize>>,
    /// The number of bytes, from the beginning, that can be YAML at all.
    readable: usize,
    open: Vec<Frame>,
    /// The node of each anchor, with its size; nothing where that is too much to be kept.
    anchors: HashMap<usize, Option<(Node, Size)>>,
    /// The sizes of all that is kept for anchors, and of all that aliases have added. Each level of nested anchors has a
    /// copy of its own.
    kept: Size,
    repeated: Size,
    nodes: usize,
    /// The most nodes that there may be.
    most: usize,
    documents: usize,
    root: Option<Node>,
    /// The scalar that was read last, and its anchor. The scalar is added when the text is known to go on behind it.
    last: Option<(Node, usize)>,
    /// The offset of the first byte that is no longer YAML.
    broke_off_at: Option<usize>,
    /// The keys above the place where the text broke off, if the parser did not notice that.
    keys_at_end: Option<Vec<String>>,
    /// The lists and mappings that were closed by the newest event, and those right before it.
    just_closed: Vec<NodeId>,
    /// The end of the last event.
    read: usize,
    dropped: Vec<Dropped>,
    comments: Vec<Range<usize>>,
    problems: Vec<Problem>,
}

impl Loader {
    fn new(source: &Arc<Source>, functions: bool) -> Self {
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
    fn characters(&self, range: Range<usize>) -> Span {
        let length = self.source.text.len();
        let byte = |at: usize| match &self.offsets {
            Some(offsets) => offsets.get(at).copied().unwrap_or(length),
            None => at.min(length),
        };
        let (start, end) = (byte(range.start), byte(range.end));
        self.bytes(start, end.max(start))
    }

    /// Closes the lists and mappings that are open at the end of the text that could be read.
    fn finish(mut self, complete: bool) -> Loaded {
        self.drop_cut_scalar();
        self.add_last();
        let keys = self.keys_at_end.take().unwrap_or_else(|| self.keys());
        let read = self.read;
        while let Some(frame) = self.open.pop() {
            self.close(frame, None, true);
        }
        if let (false, Some(root)) = (complete, &mut self.root) {
            root.mark_cut(&self.just_closed);
        }
        let Self { root, problems, dropped, comments, .. } = self;
        Loaded { root, problems, dropped, comments, unread: (!complete).then_some((read, keys)) }
    }

    /// Forgets a scalar that ends where the text breaks off, since its rest is not known.
    fn drop_cut_scalar(&mut self) {
        if let Some((node, _)) = self.last.take_if(|(node, _)| self.broke_off_at == Some(node.span.end)) {
            self.read = node.span.start;
            self.keys_at_end = Some(self.keys());
        }
    }

    /// Closes a list or mapping and adds it to the tree. `end` is the place of its bracket, if it has brackets.
    fn close(&mut self, mut frame: Frame, end: Option<usize>, cut: bool) {
        for entry in frame.take_overridden() {
            let keys = self.keys().into_iter().chain([entry.key]).collect();
            self.dropped.push(Dropped { keys, value: entry.value });
        }
        let (node, id, anchor) = frame.close(end, cut);
        self.just_closed.push(id);
        self.add(node, anchor);
    }

    fn add_last(&mut self) {
        if let Some((node, anchor)) = self.last.take() {
            self.add(node, anchor);
        }
    }

    /// Takes one event of the parser; false when reading ends here.
    fn event(&mut self, event: Event<'_>, span: Span) -> bool {
        self.drop_cut_scalar();
        self.add_last();
        if !matches!(event, Event::SequenceEnd | Event::MappingEnd) {
            self.just_closed.clear();
        }
        let span = self.trimmed(&event, span);
        let place = span.clone();
        let before = self.read..span.start;
        if self.source.text.get(before.clone()).is_some_and(|text| text.contains('#')) {
            self.comments.push(before);
        }
        // Once a cut scalar was dropped, `read` stays at the scalar's beginning.
        if self.keys_at_end.is_none() {
            self.read = self.read.max(span.end);
        }
        match event {
            Event::DocumentStart(_) => return self.document(&span),
            Event::Scalar(text, style, anchor, tag) => {
                let function = self.function(tag.as_deref());
                let tag = if function.is_some() { None } else { tag.as_deref() };
                let node = self.scalar(&text, style, tag, span);
                let is_merge_key = style == ScalarStyle::Plain && text == MERGE_KEY;
                match self.open.last_mut().map(|frame| &mut frame.kind) {
                    Some(Collection::Mapping(mapping)) if is_merge_key && matches!(mapping.pending, Pending::Key) => {
                        mapping.pending = Pending::Merge;
                    }
                    _ => self.last = Some((called(function, node), anchor)),
                }
            }
            Event::SequenceStart(anchor, tag) => {
                let function = self.collection_tag(tag.as_deref(), "seq", &span);
                return self.start(Frame { span, anchor, function, kind: Collection::Sequence(Vec::new()) });
            }
            Event::MappingStart(anchor, tag) => {
                let function = self.collection_tag(tag.as_deref(), "map", &span);
                return self.start(Frame { span, anchor, function, kind: Collection::Mapping(Mapping::default()) });
            }
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(frame) = self.open.pop() {
                    // The end of the readable text may have closed this list or mapping.
                    let cut = self.readable < self.source.text.len() && span.start >= self.readable;
                    // Only brackets have an end of their own.
                    self.close(frame, (span.start < span.end).then_some(span.end), cut);
                }
            }
            Event::Alias(anchor) => self.alias(anchor, &span),
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
        }
        self.within_budget(&place)
    }

    /// Returns the place of an event, without the blanks and the comment that the parser adds to a quoted scalar.
    fn trimmed(&self, event: &Event<'_>, span: Span) -> Span {
        let is_quoted = matches!(event, Event::Scalar(_, ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted, ..));
        let length = is_quoted.then(|| quoted_length(&self.source.text[span.start..span.end])).flatten();
        let end = length.map_or(span.end, |length| span.start + length);
        Span { end, ..span }
    }

    fn document(&mut self, span: &Span) -> bool {
        self.documents += 1;
        if self.documents == 1 {
            return true;
        }
        let problem = Problem::at(span, "there is more than one YAML document");
        self.report(problem.remedy("keep one, or make each a MIME part of its own").of_document());
        false
    }

    fn start(&mut self, frame: Frame) -> bool {
        if self.open.len() >= MAX_DEPTH {
            self.report(too_deep(&frame.span));
            return false;
        }
        self.open.push(frame);
        true
    }

    fn within_budget(&mut self, place: &Span) -> bool {
        let within = self.nodes <= self.most;
        if !within {
            let message = format!("the document has more than {} values; nothing is read from here on", self.most);
            self.report(Problem::at(place, message).of_document());
        }
        within
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, tag: Option<&Tag>, span: Span) -> Node {
        let plain = || match style {
            ScalarStyle::Plain => resolve(text),
            _ => Value::String(text.into()),
        };
        let value = match tag {
            None => plain(),
            Some(tag) if is_bang(tag) => Value::String(text.into()),
            Some(tag) => self.tagged(text, tag, &span).unwrap_or_else(plain),
        };
        let text = match value {
            Value::Null | Value::String(_) => None,
            _ => Some(text.into()),
        };
        Node { text, ..Node::new(span, value) }
    }

    fn report(&mut self, problem: Problem) {
        match self.problems.len() {
            0..problem::MOST => self.problems.push(problem),
            problem::MOST => self.problems.push(Problem::too_many()),
            // A problem that ends the reading is told, whatever other problems there are.
            _ if problem.extent == Extent::Document => self.problems.push(problem),
            _ => {}
        }
    }

    /// Leaves out the next value, or the key and its value.
    fn refuse(&mut self) {
        if let Some(Frame { kind: Collection::Mapping(mapping), .. }) = self.open.last_mut() {
            mapping.pending = match mapping.pending {
                Pending::Key => Pending::Refused(None),
                _ => Pending::Key,
            };
        }
    }

    /// Adds a finished node to the tree.
    fn add(&mut self, mut node: Node, anchor: usize) {
        self.nodes += 1;
        if anchor > 0 {
            self.keep(anchor, &node);
        }
        let Some(frame) = self.open.last_mut() else {
            self.root = Some(node);
            return;
        };
        let mapping = match &mut frame.kind {
            Collection::Sequence(items) => return items.push(node),
            Collection::Mapping(mapping) => mapping,
        };
        match std::mem::replace(&mut mapping.pending, Pending::Key) {
            Pending::Refused(key) => {
                let keys = self.keys().into_iter().chain(key).collect();
                self.dropped.push(Dropped { keys, value: node });
            }
            Pending::Merge => {
                if let Err(refused) = mapping.merge(node) {
                    let problem =
                        Problem::at(&refused.span, "the merge key `<<` takes a mapping, or a list of mappings");
                    self.report(problem.remedy("give it an alias of a mapping, as `<<: *name`"));
                    self.dropped.push(Dropped { keys: self.keys(), value: refused });
                }
            }
            Pending::Key => match node.text().filter(|key| mapping.keys.insert((*key).to_owned())) {
                Some(key) => mapping.pending = Pending::Value(key.to_owned(), node.span),
                None => self.refuse_key(node),
            },
            Pending::Value(key, key_span) => {
                // In braces, the parser gives an empty value the place of the next character.
                let is_empty = node.value == Value::Null && !node.span.text().starts_with(['n', 'N', '~', '!']);
                if node.span.start == node.span.end || is_empty {
                    node.span = key_span.clone();
                }
                mapping.entries.push(Entry { key, key_span, key_id: NodeId::next(), value: node });
            }
        }
    }
}
