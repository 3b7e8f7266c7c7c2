//! Text put together from a template, with the place of each part in the template.

use std::ops::Range;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::document::problem::Span;

/// Most bytes of a text; user data has 16 KiB. A part that would exceed the limit is left out.
const MAX_BYTES: usize = 1 << 20;

/// Most texts in base64 within a text that are looked into.
const MAX_ENCODED: usize = 100;
/// Most lines of one secret that are located one by one. For a longer secret, the whole scalar is secret.
const MAX_LINES: usize = 100;

/// Text, in parts.
#[derive(Clone, Debug, Default)]
pub(super) struct Text {
    parts: Vec<TextPart>,
    length: usize,
    /// The texts that this text contains in base64.
    encoded: Vec<Arc<Text>>,
}

#[derive(Clone, Debug)]
struct TextPart {
    text: String,
    /// The scalar that the part comes from: its place, and its value.
    scalar: Span,
    value: Arc<str>,
    /// The offset of the part in the scalar's value.
    from: usize,
    origin: PartOrigin,
}

/// The origin of a part of a text.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum PartOrigin {
    /// The part is written in the template.
    Written,
    /// A replacement for a value that CloudFormation would fill in, in the same form.
    Filled,
    /// The default of the parameter of this name.
    Default(String),
    /// A placeholder for the value of this name, which only the stack knows.
    Unknown(String),
}

impl Text {
    /// Adds a part: this text comes from the scalar's value, from an offset on.
    pub fn push(&mut self, text: &str, scalar: &Span, value: &Arc<str>, from: usize, origin: PartOrigin) {
        let is_nothing = text.is_empty() && !matches!(origin, PartOrigin::Default(_));
        if is_nothing || self.length + text.len() > MAX_BYTES {
            return;
        }
        self.length += text.len();
        self.parts.push(TextPart { text: text.to_owned(), scalar: scalar.clone(), value: value.clone(), from, origin });
    }

    pub fn append(&mut self, other: &Text) {
        for part in &other.parts {
            self.push(&part.text, &part.scalar, &part.value, part.from, part.origin.clone());
        }
        let room = MAX_ENCODED.saturating_sub(self.encoded.len());
        self.encoded.extend(other.encoded.iter().take(room).cloned());
    }

    /// Returns another text in base64, which is written at this place.
    pub fn encode(other: Text, place: &Span) -> Text {
        let mut text = Text::default();
        text.push(&STANDARD.encode(other.string()), place, &"".into(), 0, PartOrigin::Filled);
        text.encoded.push(Arc::new(other));
        text
    }

    /// Returns this text and the texts that it contains in base64, each with its string.
    pub fn layers(&self) -> Vec<(&Text, String)> {
        let below = self.encoded.iter().flat_map(|encoded| encoded.layers());
        [(self, self.string())].into_iter().chain(below).collect()
    }

    /// Returns the words of a text with parts that only the stack knows; nothing if all parts are known.
    pub fn words_of_unknown(&self) -> Option<String> {
        self.words_where(|origin| matches!(origin, PartOrigin::Unknown(_)))
    }

    /// Returns the same as `words_of_unknown`, but counts the defaults of parameters as unknown: the stack may have other
    /// values.
    pub fn words_of_open(&self) -> Option<String> {
        self.words_where(|origin| matches!(origin, PartOrigin::Unknown(_) | PartOrigin::Default(_)))
    }

    fn words_where(&self, is_open: impl Fn(&PartOrigin) -> bool) -> Option<String> {
        let words = |part: &TextPart| match &part.origin {
            PartOrigin::Unknown(name) | PartOrigin::Default(name) if is_open(&part.origin) => format!("${{{name}}}"),
            _ => part.text.clone(),
        };
        self.parts.iter().any(|part| is_open(&part.origin)).then(|| self.parts.iter().map(words).collect())
    }

    /// Returns the name of the parameter if the text is a parameter's default.
    pub fn is_default(&self) -> Option<&str> {
        match &self.parts[..] {
            [TextPart { origin: PartOrigin::Default(name), .. }] => Some(name),
            _ => None,
        }
    }

    /// Finds a value known only in the stack at the beginning of a byte's line, or of the line before. Such a value may be
    /// a part of the document itself.
    pub fn unknown_begins_line(&self, whole: &str, offset: usize) -> Option<&str> {
        let this = whole[..offset.min(whole.len())].rfind('\n').map_or(0, |at| at + 1);
        let before = whole[..this].trim_end().rfind('\n').map_or(0, |at| at + 1);
        self.placed().find_map(|(begins, part)| {
            let line = whole[..begins].rfind('\n').map_or(0, |at| at + 1);
            let starts = whole[line..begins].trim().is_empty() && (before..=offset).contains(&line);
            match &part.origin {
                PartOrigin::Unknown(name) if starts => Some(name.as_str()),
                _ => None,
            }
        })
    }

    /// Returns the name of the first value in the text that only the stack knows.
    pub fn first_unknown(&self) -> Option<&str> {
        self.unknown(&(0..usize::MAX))
    }

    /// Returns the whole text. [`Text::place`] and [`Text::unknown`] take ranges of its bytes.
    pub fn string(&self) -> String {
        self.parts.iter().map(|part| part.text.as_str()).collect()
    }

    /// Returns the place of a range of the text in the template.
    pub fn place(&self, range: Range<usize>) -> Option<Span> {
        let (first, start) = self.part_at(range.start)?;
        let start = first.place(start);
        let last = self.part_at(range.end.saturating_sub(1).max(range.start)).map(|(part, at)| part.place(at) + 1);
        // A text may be put together from places in any order; if the end comes before the beginning, only the beginning is
        // shown.
        let end = last.filter(|end| *end > start).unwrap_or(start + 1);
        Some(Span { source: first.scalar.source.clone(), start, end })
    }

    /// Returns the places in the template where a range of the text is written, line by line. For a line that is written in
    /// another way, such as with escapes, the place is the whole scalar.
    pub fn written(&self, range: Range<usize>) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        for (begins, part) in self.placed() {
            let (start, end) = (range.start.max(begins), range.end.min(begins + part.text.len()));
            if start >= end || part.origin != PartOrigin::Written {
                continue;
            }
            let mut from = start - begins;
            if part.text[from..end - begins].matches('\n').count() > MAX_LINES {
                found.push(part.scalar.start..part.scalar.end);
                continue;
            }
            for line in part.text[from..end - begins].split_inclusive('\n') {
                let (content, place) = (line.trim_end_matches(['\n', '\r']), part.place(from));
                let is_there = part.scalar.source.text[place..].starts_with(content);
                found.push(if is_there { place..place + content.len() } else { part.scalar.start..part.scalar.end });
                from += line.len();
            }
        }
        found
    }

    /// Returns the name of an unknown value on which a range of the text depends.
    pub fn unknown(&self, range: &Range<usize>) -> Option<&str> {
        self.placed().find_map(|(begins, part)| match &part.origin {
            PartOrigin::Unknown(name) if begins < range.end && range.start < begins + part.text.len() => {
                Some(name.as_str())
            }
            _ => None,
        })
    }

    /// Returns the name and the default of the parameter on whose default a range of the text depends.
    pub fn default_in(&self, range: &Range<usize>) -> Option<(&str, &str)> {
        self.placed().find_map(|(begins, part)| match &part.origin {
            PartOrigin::Default(name) if begins < range.end && range.start <= begins + part.text.len() => {
                Some((name.as_str(), part.text.as_str()))
            }
            _ => None,
        })
    }

    /// Returns the parts, each with the byte of the text at which the part begins.
    fn placed(&self) -> impl Iterator<Item = (usize, &TextPart)> {
        self.parts.iter().scan(0, |at, part| {
            let begins = *at;
            *at += part.text.len();
            Some((begins, part))
        })
    }

    /// Returns the part that contains a byte of the text, and the byte's offset in that part.
    fn part_at(&self, offset: usize) -> Option<(&TextPart, usize)> {
        let holds = |(begins, part): &(usize, &TextPart)| offset < begins + part.text.len();
        let found = self.placed().find(holds).map(|(begins, part)| (part, offset - begins));
        found.or_else(|| self.parts.last().map(|part| (part, part.text.len())))
    }
}

impl TextPart {
    fn place(&self, at: usize) -> usize {
        let at = if self.origin == PartOrigin::Written { at } else { 0 };
        offset(&self.scalar, &self.value, self.from + at)
    }
}

/// Returns the place of a range of a scalar's value.
pub(super) fn place_in(scalar: &Span, value: &str, range: Range<usize>) -> Span {
    let start = offset(scalar, value, range.start);
    Span { source: scalar.source.clone(), start, end: start + range.len().max(1) }
}

/// Returns the offset in the source of a byte of a scalar's value. Each line of the value is searched for after the line
/// before, since a block has its lines with indentation. In text with escapes or folded lines, the offset is the beginning
/// of the scalar.
fn offset(scalar: &Span, value: &str, at: usize) -> usize {
    let text = &scalar.source.text;
    let Some(written) = text.get(scalar.start..) else { return scalar.start };
    let (mut begins, mut cursor) = (0, 0);
    for line in value.split_inclusive('\n') {
        let content = line.trim_end_matches(['\n', '\r']);
        let Some(found) = written[cursor..].find(content) else { return scalar.start };
        if at < begins + line.len() || begins + line.len() == value.len() {
            return scalar.start + cursor + found + (at - begins).min(content.len());
        }
        cursor += found + content.len();
        begins += line.len();
    }
    scalar.start
}
