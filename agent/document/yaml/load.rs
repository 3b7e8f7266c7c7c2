//! Builds the tree out of the parser's events.

mod aliases;
mod frame;
mod keys;
pub(super) mod loader;
mod syntax;
mod tags;

pub(crate) use syntax::{NOT_FILLED_IN, odd_space_remedy};

use std::sync::Arc;

use saphyr_parser::{Event, Parser, ScalarStyle, Tag};

use frame::{Collection, Frame, Mapping, Pending, called};
use loader::{Dropped, Loaded, Loader, MAX_DEPTH};
use syntax::too_deep;
use tags::is_bang;

use super::node::{Entry, Node, NodeId, Value};
use super::scalar::{quoted_length, resolve};
use crate::document::problem::{Problem, Source, Span};

/// The merge key, by which a mapping takes over the entries of the key's value. PyYAML in cloud-init has it too:
/// <https://yaml.org/type/merge.html>
const MERGE_KEY: &str = "<<";

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

impl Loader {
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
            Event::Alias(anchor) => match self.alias(anchor, &span) {
                Some(node) => self.add(node, 0),
                None => self.refuse(),
            },
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
