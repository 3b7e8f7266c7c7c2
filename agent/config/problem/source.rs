//! The text of a document, what of it is never shown, and ranges in it.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::redact::{joined, secret_ranges, secret_value};
use super::shorten::{WHOLE, cut, visible};

/// The text of one document, and where it came from.
pub struct Source {
    /// What a person calls it: `user-data.yaml`, `user data, part 2 (config.yaml)`, `variable ECS_CLUSTER`.
    pub name: String,
    /// The whole text.
    pub text: String,
    hidden: Mutex<Hidden>,
}

/// What is never shown of a text.
#[derive(Default)]
struct Hidden {
    /// Where it begins and ends, in bytes, filled by those who read the text.
    secrets: BTreeSet<(usize, usize)>,
    /// The masks of the line that was shown last, by where that begins: many problems may stand in one.
    masked: Option<(usize, Masks)>,
}

/// Byte ranges of a line, in order and apart.
type Masks = Arc<[Range<usize>]>;

impl Source {
    /// A source that can be shared by the spans that point into it.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Arc<Self> {
        Arc::new(Self { name: name.into(), text: text.into(), hidden: Mutex::default() })
    }

    /// Marks a byte range of the text that is never shown.
    pub fn hide(&self, secret: Range<usize>) {
        let mut hidden = self.hidden();
        // A document may be loaded more than once.
        if !secret.is_empty() && hidden.secrets.insert((secret.start, secret.end)) {
            hidden.masked = None;
        }
    }

    /// What [`Source::hide`] has marked.
    pub fn secrets(&self) -> Vec<Range<usize>> {
        self.hidden().secrets.iter().map(|(start, end)| *start..*end).collect()
    }

    fn hidden(&self) -> MutexGuard<'_, Hidden> {
        self.hidden.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The name as it is shown: the sender of a MIME part chose it.
    pub(in crate::config) fn shown_name(&self) -> String {
        visible(&cut(&self.name, WHOLE))
    }

    /// The byte range of the line that holds `offset`, without its line break.
    pub(super) fn line_at(&self, offset: usize) -> Range<usize> {
        let offset = self.text.floor_char_boundary(offset);
        let start = self.text[..offset].rfind('\n').map_or(0, |at| at + 1);
        let rest = &self.text[start..];
        let line = rest.split('\n').next().unwrap_or(rest);
        start..start + line.trim_end_matches('\r').len()
    }

    /// Whether the line belongs to the value of a secret key on a line above, judged by the indentation.
    ///
    /// The loader's ranges are exact, but a document that doesn't parse has none for what it broke off in.
    fn continues_a_secret(&self, line: &Range<usize>) -> bool {
        let mut indent = indentation(&self.text[line.clone()]);
        for above in self.text[..line.start].lines().rev() {
            if indentation(above) >= indent || above.trim().is_empty() {
                continue;
            }
            if secret_value(above).is_some() {
                return true;
            }
            indent = indentation(above);
            if indent == 0 {
                break;
            }
        }
        false
    }

    /// What must not be shown of a line.
    pub(super) fn masks(&self, line: &Range<usize>) -> Masks {
        if let Some((_, masks)) = self.hidden().masked.as_ref().filter(|(begins, _)| *begins == line.start) {
            return masks.clone();
        }
        let masks: Masks = self.find_masks(line).into();
        self.hidden().masked = Some((line.start, masks.clone()));
        masks
    }

    fn find_masks(&self, line: &Range<usize>) -> Vec<Range<usize>> {
        let text = &self.text[line.clone()];
        if self.continues_a_secret(line) {
            let blank = text.len() - text.trim_start().len();
            return std::iter::once(blank..text.len()).collect();
        }
        let mut masks = secret_ranges(text);
        for secret in self.secrets() {
            let start = secret.start.clamp(line.start, line.end) - line.start;
            let end = secret.end.clamp(line.start, line.end) - line.start;
            masks.push(start..end);
        }
        joined(masks)
    }
}

impl PartialEq for Source {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other) || (self.name == other.name && self.text == other.text)
    }
}

impl Eq for Source {}

impl fmt::Debug for Source {
    /// The name alone: the text may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Source({})", self.name)
    }
}

/// A range of a source's text.
#[derive(Clone, PartialEq, Eq)]
pub struct Span {
    /// The document.
    pub source: Arc<Source>,
    /// Offset of the first byte.
    pub start: usize,
    /// Offset behind the last byte.
    pub end: usize,
}

impl Span {
    /// The line and the column in characters, both counted from 1.
    pub fn position(&self) -> (usize, usize) {
        let text = &self.source.text;
        let before = &text[..text.floor_char_boundary(self.start)];
        let line = self.source.line_at(self.start);
        (before.matches('\n').count() + 1, before.get(line.start..).unwrap_or("").chars().count() + 1)
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{}..{}]", self.source.name, self.start, self.end)
    }
}

fn indentation(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}
