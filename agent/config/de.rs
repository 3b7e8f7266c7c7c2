//! From the tree to types, by serde, with all mistakes at once and each in its place.
//!
//! serde stops at the first mistake. So what was refused is left out, and the rest tried again, until it is all right.

use std::collections::HashSet;
use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, Expected, IntoDeserializer, MapAccess, SeqAccess,
    Unexpected, Visitor,
};
use serde::{Deserialize, forward_to_deserialize_any};

use super::problem::{Problem, Span};
use super::yaml::{Entry, Node, NodeId, Value};

/// Problems reported at once. Nobody reads more, and each costs a pass.
const MAX_PROBLEMS: usize = 100;
/// How alike a wrong and a right word must be (normalised Damerau-Levenshtein) for a suggestion: one slip in two
/// letters is a coincidence, one in five is a typo.
const ALIKE: f64 = 0.6;
/// Right words that a message lists; a longer list is cut.
const MAX_LISTED: usize = 20;

/// The newtype name by which the deserializer knows [`ScalarText`].
const SCALAR_TEXT: &str = "$ScalarText";

/// Any scalar as it was written, without its quotes: `0755` is `"0755"`, not the number 755.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ScalarText(pub String);

/// Deserialises a tree. Everything that is refused becomes one problem and is left out of the value; where that leaves
/// nothing that can be made a value of, it is the default.
///
/// An error made by `serde::de::Error::custom` is a message, and after a line break its remedy.
pub fn from_node<T: DeserializeOwned + Default>(node: &Node) -> (T, Vec<Problem>) {
    let mut refused = Refused::default();
    let mut problems: Vec<Problem> = Vec::new();
    loop {
        let error = match T::deserialize(NodeDeserializer { node, refused: &refused }) {
            Ok(value) => return (value, problems),
            Err(error) => error.at(node.id, &node.span),
        };
        let Some((id, span)) = &error.place else {
            break;
        };
        // What is wrong with a whole because a part of it was refused isn't a mistake of its own.
        if !(error.about_whole() && refused.tainted.contains(id)) {
            if problems.len() == MAX_PROBLEMS {
                problems.push(Problem::general(format!(
                    "there are more than {MAX_PROBLEMS} problems; the others aren't shown"
                )));
                break;
            }
            let problem = error.problem(span);
            if !problems.contains(&problem) {
                problems.push(problem);
            }
        }
        if *id == node.id || !refused.ids.insert(*id) {
            break;
        }
        refused.tainted.extend(&error.above);
        refused.tainted.insert(node.id);
    }
    (T::default(), problems)
}

/// What the next pass leaves out.
#[derive(Default)]
struct Refused {
    /// Refused values and keys.
    ids: HashSet<NodeId>,
    /// The values around them.
    tainted: HashSet<NodeId>,
}

impl Refused {
    fn entry(&self, entry: &Entry) -> bool {
        self.ids.contains(&entry.key_id) || self.ids.contains(&entry.value.id)
    }
}

/// A mistake on its way up: it learns its place from the innermost list or mapping, and its path from all of them.
#[derive(Debug)]
struct Error {
    kind: Kind,
    place: Option<(NodeId, Span)>,
    /// The values around the place.
    above: Vec<NodeId>,
    /// `storage[0].label`, built from its end.
    path: String,
}

/// What is wrong, as far as serde tells.
#[derive(Debug)]
enum Kind {
    UnknownKey(String, &'static [&'static str]),
    UnknownValue(String, &'static [&'static str]),
    MissingKey(&'static str),
    WrongKind(Found, String),
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
    fn at(mut self, id: NodeId, span: &Span) -> Self {
        match self.place {
            None => self.place = Some((id, span.clone())),
            Some(_) => self.above.push(id),
        }
        self
    }

    /// Puts a step before the path.
    fn under(mut self, step: &str) -> Self {
        let joint = if self.path.is_empty() || self.path.starts_with('[') { "" } else { "." };
        self.path = format!("{step}{joint}{}", self.path);
        self
    }

    /// Whether it may only be wrong because a part was left out.
    fn about_whole(&self) -> bool {
        matches!(self.kind, Kind::MissingKey(_) | Kind::Custom(_))
    }

    fn problem(&self, span: &Span) -> Problem {
        let (message, remedy) = match &self.kind {
            Kind::UnknownKey(key, known) => (format!("unknown key `{key}`"), Some(suggestion(key, known, "keys"))),
            Kind::UnknownValue(value, known) => (
                format!("`{value}` isn't a possible value of {}", self.subject()),
                Some(suggestion(value, known, "values")),
            ),
            Kind::MissingKey(key) => {
                (format!("the key `{key}` is missing in {}", self.subject()), Some(format!("add `{key}: ...`")))
            }
            Kind::WrongKind(found, expected) => self.wrong_kind(found, expected),
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

    fn wrong_kind(&self, found: &Found, expected: &str) -> (String, Option<String>) {
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
            Unexpected::Unsigned(number) => Found::Number(number.to_string()),
            Unexpected::Signed(number) => Found::Number(number.to_string()),
            Unexpected::Float(number) => Found::Number(number.to_string()),
            Unexpected::Str(text) => Found::Text(text.into()),
            Unexpected::Char(text) => Found::Text(text.into()),
            Unexpected::Seq => Found::Kind("a list"),
            Unexpected::Map => Found::Kind("a mapping"),
            Unexpected::Unit | Unexpected::Option => Found::Kind("nothing"),
            _ => Found::Kind("something else"),
        };
        Self::new(Kind::WrongKind(found, expected.to_string()))
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
        other if other.starts_with("tuple ") => "a list",
        other if other.starts_with("enum ") => "text",
        other => other,
    };
    words.into()
}

/// The right word that the wrong one is most like, else all right words.
fn suggestion(wrong: &str, known: &[&str], what: &str) -> String {
    let likeness = |word: &str| strsim::normalized_damerau_levenshtein(&wrong.to_lowercase(), &word.to_lowercase());
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

/// A node, without what was refused.
#[derive(Clone, Copy)]
struct NodeDeserializer<'a> {
    node: &'a Node,
    refused: &'a Refused,
}

impl<'de> Deserializer<'de> for NodeDeserializer<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.node.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Int(value) => visitor.visit_i64(*value),
            Value::Float(value) => visitor.visit_f64(*value),
            Value::String(value) => visitor.visit_str(value),
            Value::Sequence(items) => {
                visitor.visit_seq(Items { items: items.iter().enumerate(), refused: self.refused })
            }
            Value::Mapping(entries) => {
                visitor.visit_map(Entries { entries: entries.iter(), current: None, refused: self.refused })
            }
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.node.value {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Error> {
        match self.node.text() {
            Some(text) if name == SCALAR_TEXT => visitor.visit_str(text),
            None if name == SCALAR_TEXT => self.deserialize_any(visitor),
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match &self.node.value {
            Value::String(text) => visitor.visit_enum(StrDeserializer::<Error>::new(text)),
            // Only for its words: an enum's visitor takes nothing but enums.
            _ => self.deserialize_any(TextWanted).and(Err(de::Error::custom("text is expected"))),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.node.value {
            // serde's derive would take a list's items for the fields, in their order.
            Value::Sequence(_) => Err(de::Error::invalid_type(Unexpected::Seq, &visitor)),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map identifier
    }
}

/// Refuses whatever isn't text.
struct TextWanted;

impl<'de> Visitor<'de> for TextWanted {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text")
    }
}

struct Items<'a> {
    items: std::iter::Enumerate<std::slice::Iter<'a, Node>>,
    refused: &'a Refused,
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        let refused = self.refused;
        let Some((index, node)) = self.items.find(|(_, item)| !refused.ids.contains(&item.id)) else {
            return Ok(None);
        };
        let item = seed.deserialize(NodeDeserializer { node, refused });
        item.map(Some).map_err(|error| error.at(node.id, &node.span).under(&format!("[{index}]")))
    }
}

struct Entries<'a> {
    entries: std::slice::Iter<'a, Entry>,
    current: Option<&'a Entry>,
    refused: &'a Refused,
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        self.current = self.entries.find(|entry| !self.refused.entry(entry));
        let Some(entry) = self.current else {
            return Ok(None);
        };
        let key: StrDeserializer<'_, Error> = entry.key.as_str().into_deserializer();
        seed.deserialize(key).map(Some).map_err(|error| error.at(entry.key_id, &entry.key_span))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let Some(entry) = self.current.take() else {
            return Err(de::Error::custom("a value was asked for before its key"));
        };
        let node = &entry.value;
        let value = seed.deserialize(NodeDeserializer { node, refused: self.refused });
        value.map_err(|error| error.at(node.id, &node.span).under(&entry.key))
    }
}

impl<'de> Deserialize<'de> for ScalarText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(SCALAR_TEXT, ScalarTextVisitor)
    }
}

/// Takes the text from this module's deserializer, and from serde's own (for enums told apart by content) the value.
struct ScalarTextVisitor;

impl<'de> Visitor<'de> for ScalarTextVisitor {
    type Value = ScalarText;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text or a number")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<ScalarText, E> {
        Ok(ScalarText(text.into()))
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<ScalarText, E> {
        Ok(ScalarText(value.to_string()))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<ScalarText, E> {
        Ok(ScalarText(value.to_string()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<ScalarText, E> {
        Ok(ScalarText(value.to_string()))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<ScalarText, D::Error> {
        deserializer.deserialize_any(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::problem::Source;
    use crate::config::yaml::load;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[derive(Debug, Default, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields, default)]
    struct Config {
        signal: Option<Signal>,
        storage: Vec<Volume>,
        tags: BTreeMap<Name, String>,
        config: BTreeMap<String, ScalarText>,
        agent: Agent,
        options: Options,
        journal: bool,
        port: u16,
        ratio: f64,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Signal {
        stack: Name,
        resource: Option<String>,
        timeout: Option<String>,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields, try_from = "WireVolume")]
    struct Volume {
        label: String,
        mode: Option<String>,
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct WireVolume {
        label: Option<String>,
        mode: Option<ScalarText>,
    }

    impl TryFrom<WireVolume> for Volume {
        type Error = &'static str;
        fn try_from(wire: WireVolume) -> Result<Self, &'static str> {
            let label = wire.label.ok_or("a volume needs a label\nadd `label`")?;
            Ok(Self { label, mode: wire.mode.map(|mode| mode.0) })
        }
    }

    #[derive(Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
    #[serde(try_from = "String")]
    struct Name(String);

    impl TryFrom<String> for Name {
        type Error = String;
        fn try_from(text: String) -> Result<Self, String> {
            match text.contains(' ') {
                true => Err(format!("`{text}` holds a blank\nremove it")),
                false => Ok(Self(text)),
            }
        }
    }

    #[derive(Debug, Default, Deserialize, PartialEq)]
    #[serde(rename_all = "lowercase")]
    enum Agent {
        #[default]
        Auto,
        Cloudwatch,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(untagged)]
    enum Options {
        One(String),
        Many(Vec<String>),
    }

    impl Default for Options {
        fn default() -> Self {
            Self::Many(Vec::new())
        }
    }

    fn read(text: &str) -> (Config, Vec<Problem>) {
        let (node, problems) = load(&Source::new("test", text));
        assert!(problems.is_empty(), "{problems:?}");
        from_node(&node.unwrap())
    }

    #[test]
    fn a_right_document_is_read() {
        let text = "signal: {stack: s, resource: ~}\nstorage:\n- {label: a, mode: 0755}\ntags: {a: b}\n\
            config: {A: true, B: 0x1F, C: 'x', D: 1.50}\nagent: cloudwatch\noptions: a\njournal: true\nport: 80\nratio: 2\n";
        let (config, problems) = read(text);
        assert_eq!(problems, []);
        assert_eq!(config.signal.unwrap(), Signal { stack: Name("s".into()), resource: None, timeout: None });
        assert_eq!(config.storage, [Volume { label: "a".into(), mode: Some("0755".into()) }]);
        let config_text: Vec<&str> = config.config.values().map(|text| text.0.as_str()).collect();
        assert_eq!(config_text, ["true", "0x1F", "x", "1.50"]);
        assert_eq!((config.agent, config.options), (Agent::Cloudwatch, Options::One("a".into())));
        assert_eq!((config.journal, config.port, config.ratio), (true, 80, 2.0));
    }

    #[test]
    fn each_mistake_is_said_in_plain_words() {
        let table = [
            ("signall: {}", "unknown key `signall`; did you mean `signal`?"),
            (
                "xyz: 1",
                "unknown key `xyz`; the keys here are signal, storage, tags, config, agent, options, journal, port, ratio",
            ),
            ("signal: {stack: s, timeout: 15}", "`signal.timeout` is a number, but text is expected; put it in quotes"),
            ("signal: {stack: true}", "`signal.stack` is true or false, but text is expected; put it in quotes"),
            ("signal: {stack: a b}", "signal.stack: `a b` holds a blank; remove it"),
            ("signal: {resource: r}", "the key `stack` is missing in `signal`; add `stack: ...`"),
            ("signal: [a]", "`signal` is a list, but a mapping is expected"),
            ("signal: text", "`signal` is text, but a mapping is expected"),
            ("tags: {a b: c}", "tags: `a b` holds a blank; remove it"),
            ("tags: {a: 1}", "`tags.a` is a number, but text is expected; put it in quotes"),
            ("config: {A: [1]}", "`config.A` is a list, but text or a number is expected"),
            (
                "config: {A: ~}",
                "`config.A` has no value, but text or a number is expected; give it one, or leave the key out",
            ),
            ("storage: {label: a}", "`storage` is a mapping, but a list is expected; begin each item with `- `"),
            ("storage: [{label: a}, {lable: a}]", "unknown key `lable`; did you mean `label`?"),
            ("storage: [{label: a}, {}]", "storage[1]: a volume needs a label; add `label`"),
            ("storage: [{label: [a]}]", "`storage[0].label` is a list, but text is expected"),
            ("agent: cloudwach", "`cloudwach` isn't a possible value of `agent`; did you mean `cloudwatch`?"),
            ("agent: x", "`x` isn't a possible value of `agent`; the values here are auto, cloudwatch"),
            ("agent: 1", "`agent` is a number, but text is expected; put it in quotes"),
            ("options: {a: b}", "`options` has none of the forms it can have"),
            ("journal: yes", "`journal` is text, but true or false is expected; write `true`"),
            ("port: 70000", "`port` is 70000, but a whole number from 0 to 65535 is expected"),
            ("port: -1", "`port` is -1, but a whole number from 0 to 65535 is expected"),
            ("port: '80'", "`port` is text, but a whole number from 0 to 65535 is expected; remove the quotes"),
            ("port: 1.5", "`port` is 1.5, but a whole number from 0 to 65535 is expected"),
            ("[a]", "the document is a list, but a mapping is expected"),
        ];
        for (text, wanted) in table {
            let (_, problems) = read(text);
            let said: Vec<String> = problems
                .iter()
                .map(|problem| {
                    let remedy = problem.remedy.as_ref().map(|remedy| format!("; {remedy}"));
                    format!("{}{}", problem.message, remedy.unwrap_or_default())
                })
                .collect();
            assert_eq!(said, [wanted], "{text}");
        }
    }

    #[test]
    fn all_mistakes_are_found_and_the_rest_is_kept() {
        let text = "signal:\n  stak: s\n  timeout: 15\nstorage:\n- {label: 1}\n- {label: b}\n- label: c\n  x: y\njournal: no\nport: 80\n";
        let (config, problems) = read(text);
        let places: Vec<_> =
            problems.iter().map(|problem| (problem.line().unwrap(), problem.column().unwrap())).collect();
        let mut sorted = places.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, [(2, 3), (3, 12), (5, 11), (8, 3), (9, 10)], "{problems:?}");
        assert_eq!(config.port, 80);
        assert_eq!(config.signal, None);
        let labels: Vec<&str> = config.storage.iter().map(|volume| volume.label.as_str()).collect();
        assert_eq!(labels, ["b", "c"]);
    }

    #[test]
    fn the_number_of_problems_is_bounded() {
        let text: String = (0..500).map(|n| format!("wrong{n}: 1\n")).collect();
        let (_, problems) = read(&text);
        assert_eq!(problems.len(), MAX_PROBLEMS + 1);
    }

    #[test]
    fn secrets_in_values_are_not_rendered() {
        let (_, problems) = read("signal: {stack: 'http://me:hunter2 x@proxy'}\ntags: {PASSWORD: [hunter2]}\n");
        assert_eq!(problems.len(), 2);
        for problem in problems {
            assert!(
                !problem.render(false).contains("hunter2") && !problem.to_string().contains("hunter2"),
                "{problem}"
            );
        }
    }

    proptest! {
        #[test]
        fn reading_never_panics_and_ends(text in r#"((signal|storage|tags|config|agent|options|port|x): ?(\n ?|\{|\[|1|~|a b|stack: s|- )?(\]|\}|\n|, )){0,12}"#) {
            if let (Some(node), _) = load(&Source::new("test", text)) {
                let (_, problems) = from_node::<Config>(&node);
                for problem in problems {
                    prop_assert!(!problem.render(false).is_empty());
                }
            }
        }
    }
}
