//! A mistake, and what is said about it.

use std::fmt;

use serde::de::{self, Expected, Unexpected};

use crate::config::problem::{Problem, Span};
use crate::config::types::TimeSpan;
use crate::config::yaml::NodeId;

/// How alike a wrong and a right word must be (normalised Damerau-Levenshtein) for a suggestion: one slip in two
/// letters is a coincidence, one in five is a typo.
const ALIKE: f64 = 0.6;
/// From so many bytes on a word is like no right one, and is not compared with them.
const LONGEST: usize = 100;
/// Right words that a message lists; a longer list is cut.
const MAX_LISTED: usize = 20;

/// A mistake on its way up: it learns its place from the innermost list or mapping, and its path from all of them.
#[derive(Debug)]
pub(super) struct Error {
    kind: Kind,
    /// The refused value or key.
    pub place: Option<(NodeId, Span)>,
    /// The values around the place.
    pub above: Vec<NodeId>,
    /// `storage[0].label`, built from its end.
    path: String,
}

/// What is wrong, as far as serde tells.
#[derive(Debug)]
enum Kind {
    UnknownKey(String, &'static [&'static str]),
    UnknownValue(String, &'static [&'static str]),
    MissingKey(&'static str),
    Mistyped(Found, String),
    Custom(String),
}

/// A kind of value, and the text or number when that helps.
#[derive(Debug)]
enum Found {
    Kind(&'static str),
    Text(String),
    Number(String),
}

impl Error {
    fn new(kind: Kind) -> Self {
        Self { kind, place: None, above: Vec::new(), path: String::new() }
    }

    /// Gives the error its place, unless it has one that is further in.
    pub fn at(mut self, id: NodeId, span: &Span) -> Self {
        match self.place {
            None => self.place = Some((id, span.clone())),
            Some(_) => self.above.push(id),
        }
        self
    }

    /// Puts a step before the path.
    pub fn under(mut self, step: &str) -> Self {
        let joint = if self.path.is_empty() || self.path.starts_with('[') { "" } else { "." };
        self.path = format!("{step}{joint}{}", self.path);
        self
    }

    /// The problem as it is told, at the error's place.
    pub fn problem(&self, span: &Span) -> Problem {
        let (message, remedy) = match &self.kind {
            Kind::UnknownKey(key, known) => (format!("unknown key `{key}`"), Some(suggestion(key, known, "keys"))),
            Kind::UnknownValue(value, known) => (
                format!("`{value}` isn't a possible value of {}", self.subject()),
                Some(suggestion(value, known, "values")),
            ),
            Kind::MissingKey(key) => {
                (format!("the key `{key}` is missing in {}", self.subject()), Some(format!("add `{key}: ...`")))
            }
            Kind::Mistyped(found, expected) => self.mistyped(found, expected),
            Kind::Custom(text) => self.said(text),
        };
        let problem = Problem::at(span, message);
        match remedy {
            Some(remedy) => problem.remedy(remedy),
            None => problem,
        }
    }

    /// What the message calls the value.
    fn subject(&self) -> String {
        match self.path.as_str() {
            "" => "the document".into(),
            path => format!("`{path}`"),
        }
    }

    fn mistyped(&self, found: &Found, expected: &str) -> (String, Option<String>) {
        let wanted = plain_words(expected);
        let is = match found {
            Found::Kind("nothing") => "has no value".to_string(),
            Found::Kind(kind) => format!("is {kind}"),
            Found::Text(_) => "is text".into(),
            Found::Number(number) if wanted.contains("number") => format!("is {number}"),
            Found::Number(_) => "is a number".into(),
        };
        let remedy = match (found, wanted.as_str()) {
            (Found::Kind("nothing"), _) => Some("give it one, or leave the key out"),
            (_, "a duration") => Some(TimeSpan::REMEDY),
            (Found::Number(_) | Found::Kind("true or false"), "text") => Some("put it in quotes"),
            (Found::Text(text), "true or false") => match text.to_ascii_lowercase().as_str() {
                "yes" | "on" | "y" => Some("write `true`"),
                "no" | "off" | "n" => Some("write `false`"),
                "true" | "false" => Some("remove the quotes"),
                _ => None,
            },
            (Found::Text(text), wanted) if wanted.contains("number") && text.parse::<f64>().is_ok() => {
                Some("remove the quotes")
            }
            (Found::Text(_), "a list") => Some("write `[...]` around it"),
            (Found::Kind("a mapping"), "a list") => Some("begin each item with `- `"),
            _ => None,
        };
        (format!("{} {is}, but {wanted} is expected", self.subject()), remedy.map(Into::into))
    }

    fn said(&self, text: &str) -> (String, Option<String>) {
        let (message, remedy) = match text.split_once('\n') {
            Some((message, remedy)) => (message, Some(remedy.to_string())),
            None => (text, None),
        };
        // serde's words for an enum whose forms are told apart by their content; ours name no types.
        if message.starts_with("data did not match any variant of untagged enum") {
            return (format!("{} has none of the forms it can have", self.subject()), remedy);
        }
        match self.path.as_str() {
            "" => (message.to_string(), remedy),
            path => (format!("{path}: {message}"), remedy),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.kind)
    }
}

impl std::error::Error for Error {}

impl de::Error for Error {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(Kind::Custom(message.to_string()))
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let found = match found {
            Unexpected::Bool(_) => Found::Kind("true or false"),
            Unexpected::Signed(number) => Found::Number(number.to_string()),
            Unexpected::Float(number) => Found::Number(number.to_string()),
            Unexpected::Str(text) => Found::Text(text.into()),
            Unexpected::Seq => Found::Kind("a list"),
            Unexpected::Map => Found::Kind("a mapping"),
            Unexpected::Unit | Unexpected::Option => Found::Kind("nothing"),
            _ => Found::Kind("something else"),
        };
        Self::new(Kind::Mistyped(found, expected.to_string()))
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::invalid_type(found, expected)
    }

    fn invalid_length(length: usize, expected: &dyn Expected) -> Self {
        Self::custom(format!("{length} items, but {expected} is expected"))
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        Self::new(Kind::UnknownValue(variant.into(), expected))
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        Self::new(Kind::UnknownKey(field.into(), expected))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(Kind::MissingKey(field))
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::custom(format!("the key `{field}` is given twice\nkeep one"))
    }
}

/// serde's words for what a type takes, in the words of YAML.
fn plain_words(expected: &str) -> String {
    let words = match expected {
        "a string" | "a char" | "str" | "string" => "text",
        "a boolean" | "bool" => "true or false",
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number",
        "u8" => "a whole number from 0 to 255",
        "u16" => "a whole number from 0 to 65535",
        "u32" => "a whole number from 0 to 4294967295",
        "u64" | "usize" => "a whole number from 0",
        "f32" | "f64" => "a number",
        "a sequence" => "a list",
        "a map" => "a mapping",
        "unit" => "nothing",
        other if other.starts_with("struct ") => "a mapping",
        other => other,
    };
    words.into()
}

/// The right word that the wrong one is most like, else all right words.
fn suggestion(wrong: &str, known: &[&str], what: &str) -> String {
    let lower = if wrong.len() < LONGEST { wrong.to_lowercase() } else { String::new() };
    let likeness = |word: &str| strsim::normalized_damerau_levenshtein(&lower, &word.to_lowercase());
    let best = known.iter().map(|word| (likeness(word), word)).max_by(|(a, _), (b, _)| a.total_cmp(b));
    match best {
        Some((likeness, word)) if likeness >= ALIKE => format!("did you mean `{word}`?"),
        None => format!("no {what} are possible here"),
        _ => {
            let more = if known.len() > MAX_LISTED { ", ..." } else { "" };
            let listed: Vec<&str> = known.iter().take(MAX_LISTED).copied().collect();
            format!("the {what} here are {}{more}", listed.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_is_like_a_right_one_is_told_and_else_the_right_ones() {
        let long = "a".repeat(LONGEST);
        let words = vec!["word"; MAX_LISTED + 1];
        let listed = vec!["word"; MAX_LISTED].join(", ");
        for (wrong, known, wanted) in [
            ("clustr", &["wait", "cluster"][..], "did you mean `cluster`?".to_owned()),
            (&long[1..], &[&long[1..]], format!("did you mean `{}`?", &long[1..])),
            (&long, &[&long[1..]], format!("the keys here are {}", &long[1..])),
            ("x", &[], "no keys are possible here".to_owned()),
            ("x", &words[1..], format!("the keys here are {listed}")),
            ("x", &words, format!("the keys here are {listed}, ...")),
        ] {
            assert_eq!(suggestion(wrong, known, "keys"), wanted);
        }
    }
}
