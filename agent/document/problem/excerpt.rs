//! The part of the offending line that is shown.

use std::ops::Range;

use super::Span;
use super::shorten::visible_char;
use crate::secrets::MASK;

/// The most characters of an excerpt, without its masks and the dots at its ends. A line of this length fits most logs.
pub(super) const LINE_WIDTH: usize = 120;
/// Characters that are shown before the offending place; the others are shown from there on.
const CONTEXT_BEFORE: usize = 40;
const CONTEXT_AFTER: usize = LINE_WIDTH - CONTEXT_BEFORE;

/// Bytes before and behind the offending place that are looked at to show as many characters.
const AROUND: usize = 4096;

/// The part of a line that is shown, after masking and shortening.
pub(super) struct Excerpt {
    /// The part.
    pub text: String,
    /// The bytes of the part that are pointed at.
    pub caret: Range<usize>,
    /// Line and column in the document, from 1.
    pub line: usize,
    pub column: usize,
}

impl Excerpt {
    /// Makes the excerpt for a span: as much of its first line as fits, without the line's secrets.
    pub fn of(span: &Span) -> Self {
        let (line, column) = span.position();
        let range = span.source.line_at(span.start);
        let whole = &span.source.text[range.clone()];
        let place = |at: usize| at.clamp(range.start, range.end) - range.start;
        let (start, end) = (place(span.start), place(span.end));
        // Whatever is masked, the shown characters of the line lie in this part.
        let part = whole.floor_char_boundary(start.saturating_sub(AROUND))..whole.ceil_char_boundary(start + AROUND);
        let secrets = span.source.secrets_in(range.clone());
        let masks: Vec<_> = secrets.iter().map(|secret| secret.start - range.start..secret.end - range.start).collect();
        let shown = shown_line(whole, part.clone(), &masks);
        // A place within a mask becomes the end of the mask.
        let position = |offset: usize| shown.partition_point(|(at, _)| *at < offset);
        let caret = position(start)..position(end);
        let from = caret.start.saturating_sub(CONTEXT_BEFORE);
        let to = (caret.start + CONTEXT_AFTER).min(shown.len());
        let (before, after) = (from > 0 || part.start > 0, to < shown.len() || part.end < whole.len());
        let mut text = String::from(if before { "..." } else { "" });
        let mut bytes = text.len()..text.len();
        for (at, &(_, c)) in shown.iter().enumerate().take(to).skip(from) {
            if at == caret.start {
                bytes = text.len()..text.len();
            }
            text.push(c);
            if at < caret.end {
                bytes.end = text.len();
            }
        }
        if caret.start >= to {
            bytes = text.len()..text.len();
        }
        bytes.end = bytes.end.max(bytes.start);
        text.push_str(if after { "..." } else { "" });
        Self { text, caret: bytes, line, column }
    }
}

/// Shows a part of a line without its secrets: each character with its offset in the line.
fn shown_line(line: &str, part: Range<usize>, masks: &[Range<usize>]) -> Vec<(usize, char)> {
    let mut chars = Vec::new();
    let within = |mask: &Range<usize>| mask.start.max(part.start)..mask.end;
    let mut masks = masks.iter().map(within).filter(|mask| !mask.is_empty()).peekable();
    for (at, c) in line[part.clone()].char_indices().map(|(at, c)| (part.start + at, c)) {
        while masks.next_if(|mask| mask.end <= at).is_some() {}
        match masks.peek() {
            Some(mask) if mask.start == at => chars.extend(MASK.chars().map(|c| (at, c))),
            Some(mask) if mask.start < at => {}
            _ => chars.push((at, visible_char(c))),
        }
    }
    chars
}
