//! Finds where a TOML file defines a table, in whichever of TOML's ways.
//!
//! The ways are `[proxy]`, `["proxy"] # comment`, `proxy = { … }` and `proxy.http_proxy = …`. TOML gives each header, and
//! each key with its value, lines of their own: a table can be commented out by line. So the events of toml_parser, the
//! parser of toml_edit, are enough; without toml_edit's document, the binary is 0.05 MB smaller.

use std::collections::BTreeSet;
use std::ops::Range;

use toml_parser::parser::{Event, EventKind, RecursionGuard, ValidateWhitespace, parse_document};
use toml_parser::{ParseError, Source};

/// The most arrays and inline tables within each other.
const DEEPEST: u32 = 64;

/// A header or a key of a table.
#[derive(Debug, PartialEq)]
pub struct TomlEntry {
    /// The entry's lines, counted from zero.
    pub lines: Range<usize>,
    /// The key, or the last one of a header.
    pub key: String,
}

/// Finds the headers and keys of a table, and of the tables that a Go program takes for it.
///
/// # Errors
/// Text that is not TOML, in words that begin with the line.
pub fn entries(text: &str, table: &str) -> Result<Vec<TomlEntry>, String> {
    let reader = read(text, table);
    let line = |at: usize| text.bytes().take(at).filter(|byte| *byte == b'\n').count();
    if let Some(error) = reader.error {
        let at = error.unexpected().or(error.context()).map(|span| span.start()).unwrap_or_default();
        return Err(format!("line {}: {}", line(at) + 1, error.description()));
    }
    let entry = |(span, key): (Range<usize>, String)| {
        let last = span.end.saturating_sub(1).max(span.start);
        TomlEntry { lines: line(span.start)..line(last) + 1, key }
    };
    Ok(reader.found.into_iter().map(entry).collect())
}

/// Returns the text of a key outside of all tables, as the program that reads the file takes it.
pub fn text_of(text: &str, key: &str) -> Option<String> {
    let reader = read(text, key);
    reader.text.filter(|_| reader.error.is_none())
}

fn read<'t>(text: &str, table: &'t str) -> Reader<'t> {
    let source = Source::new(text);
    let mut events: Vec<Event> = Vec::new();
    let mut error: Option<ParseError> = None;
    let mut receiver = ValidateWhitespace::new(&mut events, source);
    parse_document(&source.lex().into_vec(), &mut RecursionGuard::new(&mut receiver, DEEPEST), &mut error);
    let mut reader = Reader { table, error, ..Reader::default() };
    events.iter().for_each(|event| reader.read(&source, event));
    reader
}

/// Tells whether Go's decoder of TOML takes one key for the other: like `strings.EqualFold`, without regard to case.
pub fn is_same_in_go(one: &str, other: &str) -> bool {
    let folded =
        |text: &str| text.chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect::<String>();
    folded(one) == folded(other)
}

/// The part of a document that is being read.
#[derive(Clone, Copy, Default, PartialEq)]
enum At {
    #[default]
    Between,
    Header,
    Key,
    Value,
}

#[derive(Default)]
struct Reader<'t> {
    table: &'t str,
    error: Option<ParseError>,
    at: At,
    /// The keys of the last header.
    header: Vec<String>,
    /// The keys of the header, or before the `=`, that is being read.
    keys: Vec<String>,
    /// The keys of inline tables in the value that is being read.
    inline: Vec<String>,
    begins: usize,
    depth: usize,
    /// The whole keys that were defined, and the headers, each with a mark at its end. Control characters separate the keys.
    defined: BTreeSet<String>,
    /// The places of the table's headers and keys.
    found: Vec<(Range<usize>, String)>,
    /// The text of the key that has the table's name.
    text: Option<String>,
}

impl Reader<'_> {
    fn read(&mut self, source: &Source<'_>, event: &Event) {
        let (kind, span) = (event.kind(), event.span());
        match (kind, self.at) {
            (EventKind::StdTableOpen | EventKind::ArrayTableOpen, At::Between) => self.begin(At::Header, span.start()),
            (EventKind::StdTableClose | EventKind::ArrayTableClose, At::Header) => {
                self.header.clone_from(&self.keys);
                let header = whole(&self.header);
                if kind == EventKind::StdTableClose {
                    self.define(header + "\u{1}", event);
                } else {
                    // Another table of the array: its keys are new.
                    self.defined.retain(|whole| !whole.starts_with(&header));
                }
                self.end(span.end());
            }
            (EventKind::SimpleKey, At::Between) => {
                self.begin(At::Key, span.start());
                self.key(source, event);
            }
            (EventKind::SimpleKey, _) => self.key(source, event),
            (EventKind::KeyValSep, At::Key) => {
                self.define(whole(&self.header) + &whole(&self.keys), event);
                self.at = At::Value;
            }
            (EventKind::ArrayOpen | EventKind::InlineTableOpen, At::Value) => self.depth += 1,
            (EventKind::ArrayClose | EventKind::InlineTableClose, At::Value) => {
                self.depth = self.depth.saturating_sub(1);
                self.value_ends(span.end());
            }
            (EventKind::Scalar, At::Value) => {
                if let Some(raw) = source.get(event) {
                    // The kind of the value does not matter, only that the text is a value.
                    let mut text = String::new();
                    let _ = raw.decode_scalar(&mut text, &mut self.error);
                    let is_it = self.header.is_empty() && self.keys.len() == 1 && self.depth == 0;
                    if is_it && is_same_in_go(&self.keys[0], self.table) {
                        self.text = Some(text);
                    }
                }
                self.value_ends(span.end());
            }
            _ => {}
        }
    }

    fn begin(&mut self, at: At, begins: usize) {
        self.at = at;
        self.begins = begins;
        self.keys.clear();
        self.inline.clear();
    }

    fn key(&mut self, source: &Source<'_>, event: &Event) {
        let mut key = String::new();
        if let Some(raw) = source.get(event) {
            raw.decode_key(&mut key, &mut self.error);
        }
        let keys = if self.at == At::Value { &mut self.inline } else { &mut self.keys };
        keys.push(key);
    }

    /// Notes a whole key, or a header, unless it or a part of it has a value already.
    fn define(&mut self, whole: String, event: &Event) {
        let mut parts = whole.match_indices('\0').map(|(end, _)| &whole[..=end]);
        let has_value = parts.any(|part| self.defined.contains(part));
        let has_parts = self.defined.range(whole.clone()..).next().is_some_and(|next| next.starts_with(&whole));
        if (has_value || has_parts) && self.error.is_none() {
            self.error = Some(ParseError::new("it is defined twice").with_unexpected(event.span()));
        }
        self.defined.insert(whole);
    }

    fn value_ends(&mut self, at: usize) {
        if self.depth == 0 {
            self.end(at);
        }
    }

    /// Notes a header, or a key with its value, if it is of the table.
    fn end(&mut self, ends: usize) {
        let is_header = std::mem::replace(&mut self.at, At::Between) == At::Header;
        let top = if is_header || self.header.is_empty() { self.keys.first() } else { self.header.first() };
        if top.is_some_and(|top| is_same_in_go(top, self.table)) {
            let keys = self.keys.drain(..).chain(self.inline.drain(..));
            self.found.extend(keys.map(|key| (self.begins..ends, key)));
        }
    }
}

fn whole(keys: &[String]) -> String {
    keys.iter().flat_map(|key| [key, "\0"]).collect()
}
