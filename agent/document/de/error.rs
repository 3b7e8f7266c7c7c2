//! A mistake, and the problem that is made of it.

use std::fmt;

use serde::de::{self, Expected, Unexpected};

use crate::document::problem::{Problem, Span};
use crate::document::yaml::{NOT_FILLED_IN, NodeId, odd_space_remedy};
use crate::text::did_you_mean;

/// Bytes of a refused value in which the usual mistakes are looked for.
const LOOKED_AT: usize = 2000;
/// Quotes as word processors and web pages write them.
const TYPOGRAPHIC_QUOTES: [char; 10] = [
    '\u{201c}', '\u{201d}', '\u{201e}', '\u{201f}', '\u{2018}', '\u{2019}', '\u{201a}', '\u{2033}', '\u{ab}', '\u{bb}',
];
/// Tells how a duration is written.
pub(crate) const DURATION_REMEDY: &str = "write a number and its unit, such as 90s, 15m or 1h";
/// Tells how a command is written.
pub(crate) const COMMAND_REMEDY: &str = "write a list, as [/opt/install.sh, --quiet], or a text for /bin/sh";
/// Says why a dynamic reference of CloudFormation stays as it is.
pub(crate) const NOT_RESOLVED: &str =
    "CloudFormation does not resolve `{{resolve:...}}` in user data, which it encodes as it stands";
/// Right words that a message lists; a longer list is cut.
const MAX_LISTED: usize = 20;

/// A mistake on its way up. The innermost list or mapping gives the mistake its place, and all of them give the mistake its
/// path.
#[derive(Debug)]
pub(super) struct Error {
    kind: ErrorKind,
    /// The refused value or key.
    pub place: Option<(NodeId, Span)>,
    /// The values around the place, from the innermost on.
    pub above: Vec<NodeId>,
    /// The key that was refused, or whose value was.
    pub key: Option<String>,
    /// True if the text broke off within the refused value.
    pub cut: bool,
    /// `storage[0].label`, built from its end.
    path: String,
}

/// The kinds of mistakes that serde tells apart.
#[derive(Debug)]
enum ErrorKind {
    UnknownKey(String, &'static [&'static str]),
    UnknownValue(String, &'static [&'static str]),
    MissingKey(&'static str),
    Mistyped(FoundValue, String),
    Custom(String),
}

/// The value that was found, with its text or number when that helps.
#[derive(Debug)]
enum FoundValue {
    Nothing,
    Bool,
    Number(String),
    Text(String),
    List,
    Mapping,
    Other,
}

impl Error {
    fn new(kind: ErrorKind) -> Self {
        Self { kind, place: None, above: Vec::new(), key: None, cut: false, path: String::new() }
    }

    /// Gives the error its place, unless it has one that is further in.
    pub fn at(mut self, id: NodeId, span: &Span, cut: bool) -> Self {
        match self.place {
            None => (self.place, self.cut) = (Some((id, span.clone())), cut),
            Some(_) => self.above.push(id),
        }
        self
    }

    /// Names the key, unless the error has a place further in.
    pub fn of_key(mut self, key: &str) -> Self {
        if self.place.is_none() {
            self.key = Some(key.to_owned());
        }
        self
    }

    /// Returns the key that is missing, if that is the mistake.
    pub fn missing_key(&self) -> Option<&'static str> {
        match self.kind {
            ErrorKind::MissingKey(key) => Some(key),
            _ => None,
        }
    }

    /// Puts a step before the path.
    pub fn under(mut self, step: &str) -> Self {
        let joint = if self.path.is_empty() || self.path.starts_with('[') { "" } else { "." };
        self.path = format!("{step}{joint}{}", self.path);
        self
    }

    /// Makes the problem at the error's place.
    pub fn problem(&self, span: &Span) -> Problem {
        let (message, remedy) = match &self.kind {
            ErrorKind::UnknownKey(key, known) => (format!("unknown key `{key}`"), Some(suggestion(key, known, "keys"))),
            ErrorKind::UnknownValue(value, known) => (
                format!("`{value}` isn't a possible value of {}", self.subject()),
                Some(suggestion(value, known, "values")),
            ),
            ErrorKind::MissingKey(key) => {
                (format!("the key `{key}` is missing in {}", self.subject()), Some(format!("add `{key}: ...`")))
            }
            ErrorKind::Mistyped(found, expected) => self.mistyped(found, expected),
            ErrorKind::Custom(text) => self.said(text),
        };
        let remedy = self.usual_mistake(span).or(remedy);
        // A mapping may hold a secret, but a message about a missing key or a wrong type does not quote it.
        let quotes_its_value = !matches!(self.kind, ErrorKind::MissingKey(_) | ErrorKind::Mistyped(..));
        let message = if quotes_its_value { span.shown_in_backticks(&message) } else { message };
        let is_about_block = remedy.as_ref().is_some_and(|remedy| remedy.ends_with("; it stands"));
        let related = self.block_indicator().filter(|_| is_about_block);
        let problem = Problem { related, ..Problem::at(span, message) };
        match remedy {
            Some(remedy) => problem.remedy(remedy),
            None => problem,
        }
    }

    /// Recognises common mistakes in the text of a value, independent of the type expected, and gives their remedy.
    fn usual_mistake(&self, span: &Span) -> Option<String> {
        let text = &span.source.text;
        let first_line = span.source.line_at(span.start);
        let written = &text[span.start..span.end.clamp(span.start, first_line.end.max(span.start))];
        let whole = &text[span.start..text.floor_char_boundary(span.end.min(span.start + LOOKED_AT))];
        // Docker fills in templates of its own, as in the tag of a log.
        let is_template = written.contains("{{") && !written.contains("{{resolve:");
        if is_template && !self.path.starts_with("docker.daemon") {
            return Some(NOT_FILLED_IN.to_owned());
        }
        let never_filled = || {
            let (_, rest) = written.split_once("${")?;
            let (name, _) = rest.split_once('}').filter(|(name, _)| !name.is_empty())?;
            // The names of log groups and streams have variables of their own, whose list is the remedy.
            if self.path.starts_with("logs.") && !name.contains("::") {
                return None;
            }
            let name = if span.source.secrets_in(span.start..span.end).is_empty() { name } else { "..." };
            Some(format!(
                "nothing has filled in `${{{name}}}`: in a template, put `Fn::Sub` around the whole user data"
            ))
        };
        let resolved = || {
            let remedy = || format!("{NOT_RESOLVED}: {}", in_place_of_dynamic_reference(&self.path));
            written.contains("{{resolve:").then(remedy)
        };
        let typographic = || {
            let quote = written.chars().next().filter(|c| TYPOGRAPHIC_QUOTES.contains(c))?;
            Some(format!("write `\"` in place of `{quote}`: YAML takes typographic quotes for letters"))
        };
        let block = || {
            let refused = matches!(&self.kind, ErrorKind::Custom(text) if text.split('`').nth(1)?.contains('\n'));
            let remedy = "write the value in the line of its key: a `|` or `>` gives it a line break; it stands";
            (refused && self.block_indicator().is_some()).then(|| remedy.to_owned())
        };
        odd_space_remedy(whole).or_else(typographic).or_else(block).or_else(resolved).or_else(never_filled)
    }

    /// Names the value for the message.
    fn subject(&self) -> String {
        match self.path.as_str() {
            "" => "the document".into(),
            path => format!("`{path}`"),
        }
    }

    fn mistyped(&self, found: &FoundValue, expected: &str) -> (String, Option<String>) {
        let wanted = plain_words(expected);
        let is = match found {
            FoundValue::Nothing => "has no value",
            FoundValue::Bool => "is true or false",
            FoundValue::Number(number) if wanted.contains("number") => &format!("is {number}"),
            FoundValue::Number(_) => "is a number",
            FoundValue::Text(_) => "is text",
            FoundValue::List => "is a list",
            FoundValue::Mapping => "is a mapping",
            FoundValue::Other => "is something else",
        };
        let remedy = match (found, wanted.as_str()) {
            (FoundValue::Nothing, _) => Some("give it one, or leave the key out"),
            (_, "a duration") => Some(DURATION_REMEDY),
            (_, "a command") => Some(COMMAND_REMEDY),
            // YAML 1.1, which many tools write, takes `off` for false.
            (FoundValue::Bool, "text") if self.path == "on_failure.power" => Some("write `\"off\"`, in quotes"),
            (FoundValue::Number(_) | FoundValue::Bool, "text") => Some("put it in quotes"),
            (FoundValue::Text(text), "true or false") => match text.to_ascii_lowercase().as_str() {
                "yes" | "on" | "y" => Some("write `true`"),
                "no" | "off" | "n" => Some("write `false`"),
                "true" | "false" => Some("remove the quotes"),
                _ => None,
            },
            (FoundValue::Text(text), wanted) if wanted.contains("number") && text.parse::<f64>().is_ok() => {
                Some("remove the quotes")
            }
            (FoundValue::Text(_), "a mapping") if self.block_indicator().is_some() => {
                Some("remove the `|` or `>`, which turns the mapping below it into text; it stands")
            }
            (FoundValue::Text(_), "a mapping") if self.is_quoted() => Some("leave out the quotes around it"),
            (FoundValue::Text(text), "a mapping") if text.contains([':', '=']) => {
                Some("write `KEY: value`, with a space behind the `:`")
            }
            (FoundValue::Text(_), "a list") => Some("write `[...]` around it"),
            (FoundValue::Mapping, "a list") => Some("begin each item with `- `"),
            _ => None,
        };
        (format!("{} {is}, but {wanted} is expected", self.subject()), remedy.map(Into::into))
    }

    /// Finds the `|` or `>` that makes the refused value a block scalar.
    fn block_indicator(&self) -> Option<Span> {
        let (_, span) = self.place.as_ref()?;
        let before = span.source.text[..span.start].trim_end();
        let before = before.trim_end_matches(|c: char| c.is_ascii_digit() || "+-".contains(c));
        let start = before.len().checked_sub(1).filter(|_| before.ends_with(['|', '>']))?;
        Some(Span { source: span.source.clone(), start, end: start + 1 })
    }

    fn is_quoted(&self) -> bool {
        self.place.as_ref().is_some_and(|(_, span)| span.text().starts_with(['"', '\'']))
    }

    fn said(&self, text: &str) -> (String, Option<String>) {
        // A value in backticks may have line breaks of its own.
        let mut is_quoted = false;
        let end = text.find(|c| {
            is_quoted ^= c == '`';
            c == '\n' && !is_quoted
        });
        let (message, remedy) = end.map_or((text, None), |end| (&text[..end], Some(text[end + 1..].to_owned())));
        // serde's words for an enum whose forms are told apart by their content; ours name no types.
        if message.starts_with("data did not match any variant of untagged enum") {
            return (format!("{} has none of the accepted forms", self.subject()), remedy);
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
        Self::new(ErrorKind::Custom(message.to_string()))
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let found = match found {
            Unexpected::Bool(_) => FoundValue::Bool,
            Unexpected::Signed(number) => FoundValue::Number(number.to_string()),
            Unexpected::Float(number) => FoundValue::Number(number.to_string()),
            Unexpected::Str(text) => FoundValue::Text(text.into()),
            Unexpected::Seq => FoundValue::List,
            Unexpected::Map => FoundValue::Mapping,
            Unexpected::Unit | Unexpected::Option => FoundValue::Nothing,
            _ => FoundValue::Other,
        };
        Self::new(ErrorKind::Mistyped(found, expected.to_string()))
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::invalid_type(found, expected)
    }

    fn invalid_length(length: usize, expected: &dyn Expected) -> Self {
        Self::custom(format!("{length} items, but {expected} is expected"))
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        Self::new(ErrorKind::UnknownValue(variant.into(), expected))
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        Self::new(ErrorKind::UnknownKey(field.into(), expected))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(ErrorKind::MissingKey(field))
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::custom(format!("the key `{field}` is given twice\nkeep one"))
    }
}

/// Says what to write in place of a dynamic reference of CloudFormation, at this path of keys.
pub(crate) fn in_place_of_dynamic_reference(path: &str) -> &'static str {
    match ["proxy.url", "ecs.config.", "docker.daemon."].iter().any(|keys| path.starts_with(keys)) {
        true => "write a reference, as {ssm: NAME} or {secretsmanager: ID, key: KEY}, which the instance resolves",
        false => "use a parameter of the type AWS::SSM::Parameter::Value<String>",
    }
}

/// Translates serde's words for an expected type into the words of YAML.
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

/// Suggests the right word that is most like the wrong one, or lists all right words.
fn suggestion(wrong: &str, known: &[&str], what: &str) -> String {
    match (did_you_mean(wrong, known.iter().copied()), known) {
        (Some(question), _) => question,
        (None, []) => format!("no {what} are possible here"),
        (None, [only]) => format!("the only {} here is `{only}`", what.trim_end_matches('s')),
        (None, _) => {
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
        let long = "a".repeat(100);
        let words = vec!["word"; MAX_LISTED + 1];
        let listed = vec!["word"; MAX_LISTED].join(", ");
        for (wrong, known, wanted) in [
            ("clustr", &["wait", "cluster"][..], "did you mean `cluster`?".to_owned()),
            (&long[1..], &[&long[1..]], format!("did you mean `{}`?", &long[1..])),
            (&long, &[&long[1..]], format!("the only key here is `{}`", &long[1..])),
            ("x", &[], "no keys are possible here".to_owned()),
            ("x", &words[1..], format!("the keys here are {listed}")),
            ("x", &words, format!("the keys here are {listed}, ...")),
        ] {
            assert_eq!(suggestion(wrong, known, "keys"), wanted);
        }
    }
}
