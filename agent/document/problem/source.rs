//! The text of a document, its secrets, and ranges in it.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use super::shorten::{WHOLE, cut, visible};
use crate::secrets::{MASK, joined, masked};

/// The text of one document, and where it came from.
#[derive(Default)]
pub struct Source {
    /// The name for messages: `user-data.yaml`, `user data, part 2 (config.yaml)`, `variable ECS_CLUSTER`.
    pub name: String,
    /// The whole text.
    pub text: Arc<str>,
    /// The secret byte ranges, in order and apart. Until the text is read, the ranges are unknown and nothing of the text is
    /// shown.
    secrets: OnceLock<Vec<Range<usize>>>,
}

impl Source {
    /// Makes a source of text that is not read yet. Nothing of the text is shown until [`Source::set_secrets`] gives its
    /// secrets.
    pub fn new(name: impl Into<String>, text: impl Into<Arc<str>>) -> Arc<Self> {
        Arc::new(Self { name: name.into(), text: text.into(), secrets: OnceLock::new() })
    }

    /// Gives the secrets of the text, as byte ranges in any order. Every span of the text knows them from then on. Only the
    /// first call counts.
    pub fn set_secrets(&self, secrets: impl IntoIterator<Item = Range<usize>>) {
        self.secrets.get_or_init(|| joined(secrets.into_iter().collect()));
    }

    /// Returns the parts of a byte range that are secret: the whole range while the text is not read.
    pub fn secrets_in(&self, range: Range<usize>) -> Vec<Range<usize>> {
        let Some(secrets) = self.secrets.get() else { return vec![range] };
        let first = secrets.partition_point(|secret| secret.end <= range.start);
        let within = secrets[first..].iter().take_while(|secret| secret.start < range.end);
        within.map(|secret| secret.start.max(range.start)..secret.end.min(range.end)).collect()
    }

    /// Returns all secret byte ranges, in order.
    pub fn secrets(&self) -> Vec<Range<usize>> {
        self.secrets_in(0..self.text.len())
    }

    /// Returns the name as it is shown: the sender of a MIME part chose the name.
    pub(crate) fn shown_name(&self) -> String {
        visible(&cut(&self.name, WHOLE))
    }

    /// Returns the byte range of the line that holds `offset`, without its line break.
    pub fn line_at(&self, offset: usize) -> Range<usize> {
        let offset = self.text.floor_char_boundary(offset);
        let start = self.text[..offset].rfind('\n').map_or(0, |at| at + 1);
        let rest = &self.text[start..];
        let line = rest.split('\n').next().unwrap_or(rest);
        start..start + line.trim_end_matches('\r').len()
    }
}

impl PartialEq for Source {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other) || (self.name == other.name && self.text == other.text)
    }
}

impl Eq for Source {}

impl fmt::Debug for Source {
    /// Writes the name alone: the text may hold secrets.
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
    /// Returns the document's text in this range.
    pub fn text(&self) -> &str {
        let text = &self.source.text;
        &text[text.floor_char_boundary(self.start)..text.floor_char_boundary(self.end.max(self.start))]
    }

    /// Masks the secrets of a text at this place, so that a message may quote it.
    pub fn shown(&self, text: &str) -> String {
        let secrets = self.source.secrets_in(self.start..self.end);
        if secrets.is_empty() {
            return text.to_owned();
        }
        // A text that is written in another way than it reads can't be masked part by part.
        let Some(at) = self.text().find(text).map(|at| self.start + at) else { return MASK.to_owned() };
        let within = secrets.iter().filter(|secret| secret.end > at && secret.start < at + text.len());
        masked(text, within.map(|secret| secret.start.max(at) - at..secret.end.min(at + text.len()) - at))
    }

    /// Masks the secrets in the values that a message quotes in backticks. The message is about the value at this place. The
    /// words around the quotes are our own and are left alone, as is a single character.
    pub fn shown_in_backticks(&self, message: &str) -> String {
        if self.source.secrets_in(self.start..self.end).is_empty() {
            return message.to_owned();
        }
        // A value that holds a backtick itself can't be told from the words around it.
        if self.text().contains('`') || message.matches('`').count() % 2 == 1 {
            return match (message.find('`'), message.rfind('`')) {
                (Some(first), Some(last)) => format!("{}`{MASK}`{}", &message[..first], &message[last + 1..]),
                _ => message.to_owned(),
            };
        }
        let shown = |(index, part): (usize, &str)| match index % 2 == 1 && part.chars().nth(1).is_some() {
            true => self.shown(part),
            false => part.to_owned(),
        };
        message.split('`').enumerate().map(shown).collect::<Vec<_>>().join("`")
    }

    /// Returns the line and the column in characters, both counted from 1.
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
