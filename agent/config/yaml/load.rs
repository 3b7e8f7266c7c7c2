//! Builds the tree out of the parser's events.

mod frame;
mod syntax;
mod tags;

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use saphyr_parser::{Event, Parser, ScalarStyle, Tag};

use frame::{Frame, Kind, Pending, called};
use syntax::too_deep;
use tags::is_bang;

use super::scalar::resolve;
use super::{Entry, Node, NodeId, Value};
use crate::config::problem::{Problem, Source, Span, is_secret_key};

/// Nodes in one document, aliases expanded. A configuration has dozens; this stops "billion laughs" early.
pub(super) const MAX_NODES: usize = 20_000;
/// Nesting of one document. The configuration needs five levels; the recursion in here and in serde stays shallow.
pub(super) const MAX_DEPTH: usize = 64;

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
    let mut loader = Loader { functions, ..Loader::new(source) };
    let mut parser = Parser::new_from_str(&source.text[..loader.readable]);
    while let Some(event) = parser.next_event() {
        let more = match event {
            Ok((event, span)) => {
                let span = loader.characters(span);
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
    anchors: HashMap<usize, Node>,
    nodes: usize,
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
            loader.problems.push(
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
    fn characters(&self, span: saphyr_parser::Span) -> Span {
        let byte = |at: usize| self.offsets.get(at).copied().unwrap_or(self.source.text.len());
        let (start, end) = (byte(span.start.index()), byte(span.end.index()));
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
                return self.start(Frame { span, anchor, function, kind: Kind::Mapping(Vec::new(), Pending::Key) });
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
        self.problems.push(problem.remedy("keep one, or make each a MIME part of its own"));
        false
    }

    fn start(&mut self, frame: Frame) -> bool {
        if self.open.len() >= MAX_DEPTH {
            self.problems.push(too_deep(&frame.span));
            return false;
        }
        self.open.push(frame);
        true
    }

    fn within_budget(&mut self, place: &Span) -> bool {
        let within = self.nodes <= MAX_NODES;
        if !within {
            let message = format!("the document has more than {MAX_NODES} values; nothing is read from here on");
            self.problems.push(Problem::at(place, message));
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
            self.problems.push(Problem::at(span, "the alias stands within the very value that it repeats"));
            return self.refuse();
        };
        let (count, depth) = target.size();
        if self.nodes + count > MAX_NODES || self.open.len() + depth > MAX_DEPTH {
            let message = format!("aliases make the document larger than {MAX_NODES} values or {MAX_DEPTH} levels");
            // Said once: a document of that kind has thousands of them.
            if !self.problems.iter().any(|problem| problem.message == message) {
                self.problems.push(Problem::at(span, message));
            }
            return self.refuse();
        }
        self.nodes += count;
        let node = target.copy();
        self.add(node, 0);
    }

    /// Leaves out the value that comes here, or the key and its value.
    fn refuse(&mut self) {
        if let Some(Frame { kind: Kind::Mapping(_, pending), .. }) = self.open.last_mut() {
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
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut().map(|frame| &mut frame.kind) {
            None => self.root = Some(node),
            Some(Kind::Sequence(items)) => items.push(node),
            Some(Kind::Mapping(entries, pending)) => match std::mem::replace(pending, Pending::Key) {
                Pending::Refused => {}
                Pending::Key => {
                    *pending = Pending::Refused;
                    match key(&node, entries) {
                        Ok(key) => *pending = Pending::Value(key, node.span),
                        Err(problem) => self.problems.push(problem),
                    }
                }
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

/// The text of a key that can be used.
fn key(node: &Node, entries: &[Entry]) -> Result<String, Problem> {
    let Some(key) = node.text() else {
        let message = match node.value {
            Value::Null => "a key is missing before the `:`",
            _ => "a key must be text, not a list or a mapping",
        };
        return Err(Problem::at(&node.span, message));
    };
    match entries.iter().find(|entry| entry.key == key) {
        None => Ok(key.into()),
        Some(first) => {
            let (line, _) = first.key_span.position();
            let problem = Problem::at(&node.span, format!("the key `{key}` {GIVEN_TWICE}"));
            Err(problem.remedy(format!("keep one; the first is in line {line}")))
        }
    }
}
