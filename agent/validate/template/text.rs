//! Text put together from a template, which knows where each part of it stands there.

use std::ops::Range;
use std::sync::Arc;

use crate::config::problem::Span;

/// The most bytes that a text gets; user data has 16 KiB. What is more is left out.
const MAX_BYTES: usize = 1 << 20;

/// Text, in parts.
#[derive(Clone, Debug, Default)]
pub(super) struct Text {
    parts: Vec<Part>,
    length: usize,
}

#[derive(Clone, Debug)]
struct Part {
    text: String,
    /// The scalar that it comes from: where that stands, and its value.
    scalar: Span,
    value: Arc<str>,
    /// Where in that value.
    from: usize,
    origin: Origin,
}

/// Where a part of a text comes from.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Origin {
    /// It is written in the template.
    Written,
    /// It stands for what CloudFormation would fill in, and has its form.
    Filled,
    /// It stands for what only the stack knows; the name of that.
    Unknown(String),
}

impl Text {
    /// Adds a part: what the scalar's value holds from an offset on gives this text.
    pub fn push(&mut self, text: &str, scalar: &Span, value: &Arc<str>, from: usize, origin: Origin) {
        if text.is_empty() || self.length + text.len() > MAX_BYTES {
            return;
        }
        self.length += text.len();
        self.parts.push(Part { text: text.to_owned(), scalar: scalar.clone(), value: value.clone(), from, origin });
    }

    pub fn append(&mut self, other: &Text) {
        for part in &other.parts {
            self.push(&part.text, &part.scalar, &part.value, part.from, part.origin.clone());
        }
    }

    /// The text; bytes are what [`Text::place`] and [`Text::unknown`] count.
    pub fn string(&self) -> String {
        self.parts.iter().map(|part| part.text.as_str()).collect()
    }

    /// Where a range of the text stands in the template.
    pub fn place(&self, range: Range<usize>) -> Option<Span> {
        let (first, start) = self.part_at(range.start)?;
        let start = first.place(start);
        let last = self.part_at(range.end.saturating_sub(1).max(range.start)).map(|(part, at)| part.place(at) + 1);
        // A text may be put together from places in any order; then its beginning is shown.
        let end = last.filter(|end| *end > start).unwrap_or(start + 1);
        Some(Span { source: first.scalar.source.clone(), start, end })
    }

    /// Where in the template a range of the text is written, line by line; of a line that is written in another way than
    /// it reads, such as with escapes, the whole scalar.
    pub fn written(&self, range: Range<usize>) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        let mut at = 0;
        for part in &self.parts {
            let begins = at;
            at += part.text.len();
            let (start, end) = (range.start.max(begins), range.end.min(at));
            if start >= end || part.origin != Origin::Written {
                continue;
            }
            let mut from = start - begins;
            for line in part.text[from..end - begins].split_inclusive('\n') {
                let (content, place) = (line.trim_end_matches(['\n', '\r']), part.place(from));
                let is_there = part.scalar.source.text[place..].starts_with(content);
                found.push(if is_there { place..place + content.len() } else { part.scalar.start..part.scalar.end });
                from += line.len();
            }
        }
        found
    }

    /// The name of something unknown that a range of the text depends on.
    pub fn unknown(&self, range: &Range<usize>) -> Option<&str> {
        let mut at = 0;
        self.parts.iter().find_map(|part| {
            let begins = at;
            at += part.text.len();
            match &part.origin {
                Origin::Unknown(name) if begins < range.end && range.start < at => Some(name.as_str()),
                _ => None,
            }
        })
    }

    /// The part that a byte of the text is in, and which of that part's bytes it is.
    fn part_at(&self, offset: usize) -> Option<(&Part, usize)> {
        let mut rest = offset;
        for part in &self.parts {
            if rest < part.text.len() {
                return Some((part, rest));
            }
            rest -= part.text.len();
        }
        self.parts.last().map(|part| (part, part.text.len()))
    }
}

impl Part {
    fn place(&self, at: usize) -> usize {
        let at = if self.origin == Origin::Written { at } else { 0 };
        offset(&self.scalar, &self.value, self.from + at)
    }
}

/// Where a byte of a scalar's value stands in the source. Each line of the value is looked for after the one before, as a
/// block has them with its indentation; in text with escapes or folded lines it is the beginning of the scalar.
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
