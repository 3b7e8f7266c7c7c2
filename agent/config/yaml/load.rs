//! Builds the tree out of the parser's events.

mod frame;
mod syntax;
mod tags;

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use saphyr_parser::{Event, Parser, ScalarStyle, Tag};

use frame::{Frame, Kind, Pending, called};
use syntax::too_deep;
use tags::is_bang;

use super::scalar::resolve;
use super::{Entry, Node, NodeId, Size, Value};
use crate::config::problem::{self, Problem, Source, Span, is_secret_key};

/// Nodes in one document; aliases may add half as many. A configuration has dozens; this stops "billion laughs" early.
pub(super) const MAX_NODES: usize = 10_000;
/// Nodes in a template, which describes whatever else is in a stack.
const MAX_TEMPLATE: usize = 20_000;
/// Nesting of one document. The configuration needs five levels; the recursion in here and in serde stays shallow.
pub(super) const MAX_DEPTH: usize = 64;

/// Bytes of text in one document that aliases add to it.
const MAX_REPEATED: usize = 256 << 10;

/// How the message of a key's repetition ends. Other readers of a shared document may not mind it.
pub(in crate::config) const GIVEN_TWICE: &str = "is given twice";

/// Loads one document. The tree is nothing when the document is empty, and partial when a problem says so.
pub fn load(source: &Arc<Source>) -> (Option<Node>, Vec<Problem>) {
    load_with(source, false)
}

/// Loads a CloudFormation template. The short form of a function, as `!Sub x`, is the mapping that it stands for.
pub fn load_template(source: &Arc<Source>) -> (Option<Node>, Vec<Problem>) {
    load_with(source, true)
}

fn load_with(source: &Arc<Source>, functions: bool) -> (Option<Node>, Vec<Problem>) {
    let most = if functions { MAX_TEMPLATE } else { MAX_NODES };
    let mut loader = Loader { functions, most, ..Loader::new(source) };
    let mut parser = Parser::new_from_str(&source.text[..loader.readable]);
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
            break;
        }
    }
    // What a mistake left open is closed here, so that the part before it can be used.
    while let Some(frame) = loader.open.pop() {
        let (node, anchor) = frame.close(None);
        loader.add(node, anchor);
    }
    loader.secrets.into_iter().for_each(|secret| source.hide(secret));
    (loader.root, loader.problems)
}

struct Loader<'a> {
    source: &'a Arc<Source>,
    /// Whether tags are the functions of a CloudFormation template.
    functions: bool,
    /// The byte offset of each character: the parser counts characters.
    offsets: Vec<usize>,
    /// How much of the text can be YAML at all.
    readable: usize,
    open: Vec<Frame>,
    /// What an anchor stands for, with its size; nothing where that is too much to be kept.
    anchors: HashMap<usize, Option<(Node, Size)>>,
    /// All that is kept of that, and all that aliases have added: each level of nested anchors has a copy of its own.
    kept: Size,
    repeated: Size,
    nodes: usize,
    /// How many of them there may be.
    most: usize,
    documents: usize,
    root: Option<Node>,
    secrets: Vec<Range<usize>>,
    problems: Vec<Problem>,
}

impl<'a> Loader<'a> {
    fn new(source: &'a Arc<Source>) -> Self {
        let mut loader = Self {
            source,
            functions: false,
            offsets: source.text.char_indices().map(|(at, _)| at).collect(),
            readable: source.text.len(),
            open: Vec::new(),
            anchors: HashMap::new(),
            kept: Size::default(),
            repeated: Size::default(),
            most: MAX_NODES,
            nodes: 0,
            documents: 0,
            root: None,
            secrets: Vec::new(),
            problems: Vec::new(),
        };
        // The parser takes a NUL for the end and would keep quiet about the rest.
        if let Some(at) = source.text.find(|c| c < ' ' && !"\t\n\r".contains(c)) {
            loader.readable = at;
            let span = loader.bytes(at, at + 1);
            loader.report(
                Problem::at(&span, "a control character can't be part of a document; nothing is read from here on")
                    .remedy("remove it, or write it as an escape such as `\\x1b` in double quotes"),
            );
        }
        loader
    }

    fn bytes(&self, start: usize, end: usize) -> Span {
        Span { source: self.source.clone(), start, end }
    }

    /// A span given in characters.
    fn characters(&self, range: Range<usize>) -> Span {
        let byte = |at: usize| self.offsets.get(at).copied().unwrap_or(self.source.text.len());
        let (start, end) = (byte(range.start), byte(range.end));
        self.bytes(start, end.max(start))
    }

    /// Takes one event of the parser; false when reading ends here.
    fn event(&mut self, event: Event<'_>, span: Span) -> bool {
        let place = span.clone();
        match event {
            Event::DocumentStart(_) => return self.document(&span),
            Event::Scalar(text, style, anchor, tag) => {
                let function = self.function(tag.as_deref());
                let tag = if function.is_some() { None } else { tag.as_deref() };
                let node = self.scalar(&text, style, tag, span);
                self.add(called(function, node), anchor);
            }
            Event::SequenceStart(anchor, tag) => {
                let function = self.collection_tag(tag.as_deref(), "seq", &span);
                return self.start(Frame { span, anchor, function, kind: Kind::Sequence(Vec::new()) });
            }
            Event::MappingStart(anchor, tag) => {
                let function = self.collection_tag(tag.as_deref(), "map", &span);
                return self.start(Frame {
                    span,
                    anchor,
                    function,
                    kind: Kind::Mapping(Vec::new(), Pending::Key, HashSet::new()),
                });
            }
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(frame) = self.open.pop() {
                    // Only brackets have an end of their own.
                    let (node, anchor) = frame.close((span.start < span.end).then_some(span.end));
                    self.add(node, anchor);
                }
            }
            Event::Alias(anchor) => self.alias(anchor, &span),
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
        }
        self.within_budget(&place)
    }

    fn document(&mut self, span: &Span) -> bool {
        self.documents += 1;
        if self.documents == 1 {
            return true;
        }
        let problem = Problem::at(span, "there is more than one YAML document");
        self.report(problem.remedy("keep one, or make each a MIME part of its own"));
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
            self.report(Problem::at(place, message));
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
        Node { span, id: NodeId::next(), value, text }
    }

    fn alias(&mut self, anchor: usize, span: &Span) {
        let Some(target) = self.anchors.get(&anchor) else {
            self.report(Problem::at(span, "the alias stands within the very value that it repeats"));
            return self.refuse();
        };
        let fits = |size: &Size| {
            // What is written out after them has room, too.
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
            // Said once: a document of that kind has thousands of them.
            if !self.problems.iter().any(|problem| problem.message == message) {
                self.report(Problem::at(span, message));
            }
            return self.refuse();
        };
        self.nodes += size.nodes;
        self.repeated.nodes += size.nodes;
        self.repeated.bytes += size.bytes;
        let node = node.copy();
        self.add(node, 0);
    }

    /// Keeps what an anchor stands for, as long as all of them together are no larger than a document may be.
    fn keep(&mut self, anchor: usize, node: &Node) {
        let size = node.size();
        let fits = self.kept.nodes + size.nodes <= self.most && self.kept.bytes + size.bytes <= MAX_REPEATED;
        if fits {
            self.kept.nodes += size.nodes;
            self.kept.bytes += size.bytes;
        }
        self.anchors.insert(anchor, fits.then(|| (node.clone(), size)));
    }

    fn report(&mut self, problem: Problem) {
        match self.problems.len() {
            0..problem::MOST => self.problems.push(problem),
            problem::MOST => self.problems.push(Problem::too_many()),
            _ => {}
        }
    }

    /// Leaves out the value that comes here, or the key and its value.
    fn refuse(&mut self) {
        if let Some(Frame { kind: Kind::Mapping(_, pending, _), .. }) = self.open.last_mut() {
            *pending = match pending {
                Pending::Key => Pending::Refused,
                Pending::Value(..) | Pending::Refused => Pending::Key,
            };
        }
    }

    /// Puts a finished node where it belongs.
    fn add(&mut self, mut node: Node, anchor: usize) {
        self.nodes += 1;
        if anchor > 0 {
            self.keep(anchor, &node);
        }
        match self.open.last_mut().map(|frame| &mut frame.kind) {
            None => self.root = Some(node),
            Some(Kind::Sequence(items)) => items.push(node),
            Some(Kind::Mapping(entries, pending, keys)) => match std::mem::replace(pending, Pending::Key) {
                Pending::Refused => {}
                Pending::Key => match node.text().filter(|key| keys.insert((*key).to_owned())) {
                    Some(key) => *pending = Pending::Value(key.to_owned(), node.span),
                    None => {
                        *pending = Pending::Refused;
                        // To find the first of its like takes a look through the whole document.
                        if self.problems.len() <= problem::MOST {
                            let problem = wrong_key(&node, entries);
                            self.report(problem);
                        }
                    }
                },
                Pending::Value(key, key_span) => {
                    if is_secret_key(&key) {
                        self.secrets.push(node.span.start..node.span.end);
                    }
                    if node.span.start == node.span.end {
                        node.span = key_span.clone();
                    }
                    entries.push(Entry { key, key_span, key_id: NodeId::next(), value: node });
                }
            },
        }
    }
}

/// What is wrong with a key that can't be used.
fn wrong_key(node: &Node, entries: &[Entry]) -> Problem {
    let Some(key) = node.text() else {
        let message = match node.value {
            Value::Null => "a key is missing before the `:`",
            _ => "a key must be text, not a list or a mapping",
        };
        return Problem::at(&node.span, message);
    };
    let problem = Problem::at(&node.span, format!("the key `{key}` {GIVEN_TWICE}"));
    match entries.iter().find(|entry| entry.key == key) {
        Some(first) => problem.remedy(format!("keep one; the first is in line {}", first.key_span.position().0)),
        None => problem.remedy("keep one"),
    }
}
