use super::*;
use crate::document::decode::Document;
use crate::document::problem::Source;
use crate::document::yaml::load;
use proptest::prelude::*;
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
struct Config {
    signal: Option<Signal>,
    storage: Vec<Volume>,
    tags: BTreeMap<Name, String>,
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
    mode: Option<String>,
}

impl TryFrom<WireVolume> for Volume {
    type Error = &'static str;
    fn try_from(wire: WireVolume) -> Result<Self, &'static str> {
        let label = wire.label.ok_or("a volume needs a label\nadd `label`")?;
        Ok(Self { label, mode: wire.mode })
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
    let document = Document::read("test", text, false);
    assert!(document.problems.is_empty(), "{:?}", document.problems);
    let read = from_node(&document.config.unwrap());
    (read.value, read.problems)
}

#[test]
fn a_right_document_is_read() {
    let text = "signal: {stack: s, resource: ~}\nstorage:\n- {label: a, mode: '0755'}\ntags: {a: b}\n\
            agent: cloudwatch\noptions: a\njournal: true\nport: 80\nratio: 2\n";
    let (config, problems) = read(text);
    assert_eq!(problems, []);
    assert_eq!(config.signal.unwrap(), Signal { stack: Name("s".into()), resource: None, timeout: None });
    assert_eq!(config.storage, [Volume { label: "a".into(), mode: Some("0755".into()) }]);
    assert_eq!((config.agent, config.options), (Agent::Cloudwatch, Options::One("a".into())));
    assert_eq!((config.journal, config.port, config.ratio), (true, 80, 2.0));
}

#[test]
fn each_mistake_is_said_in_plain_words() {
    let table = [
        ("signall: {}", "unknown key `signall`; did you mean `signal`?"),
        ("xyz: 1", "unknown key `xyz`; the keys here are signal, storage, tags, agent, options, journal, port, ratio"),
        ("signal: {stack: s, timeout: 15}", "`signal.timeout` is a number, but text is expected; put it in quotes"),
        ("signal: {stack: true}", "`signal.stack` is true or false, but text is expected; put it in quotes"),
        ("signal: {stack: a b}", "signal.stack: `a b` holds a blank; remove it"),
        ("signal: {resource: r}", "the key `stack` is missing in `signal`; add `stack: ...`"),
        ("signal: [a]", "`signal` is a list, but a mapping is expected"),
        ("signal: text", "`signal` is text, but a mapping is expected"),
        ("tags: {a b: c}", "tags: `a b` holds a blank; remove it"),
        ("tags: {a: 1}", "`tags.a` is a number, but text is expected; put it in quotes"),
        ("tags: {a: ~}", "`tags.a` has no value, but text is expected; give it one, or leave the key out"),
        ("storage: {label: a}", "`storage` is a mapping, but a list is expected; begin each item with `- `"),
        ("storage: [{label: a}, {lable: a}]", "unknown key `lable`; did you mean `label`?"),
        ("storage: [{label: a}, {}]", "storage[1]: a volume needs a label; add `label`"),
        ("storage: [{label: [a]}]", "`storage[0].label` is a list, but text is expected"),
        ("agent: cloudwach", "`cloudwach` isn't a possible value of `agent`; did you mean `cloudwatch`?"),
        ("agent: x", "`x` isn't a possible value of `agent`; the values here are auto, cloudwatch"),
        ("agent: 1", "`agent` is a number, but text is expected; put it in quotes"),
        ("options: {a: b}", "`options` has none of the accepted forms"),
        ("journal: yes", "`journal` is text, but true or false is expected; write `true`"),
        ("journal: No", "`journal` is text, but true or false is expected; write `false`"),
        ("journal: 'True'", "`journal` is text, but true or false is expected; remove the quotes"),
        ("journal: x", "`journal` is text, but true or false is expected"),
        ("storage: a", "`storage` is text, but a list is expected; write `[...]` around it"),
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
    let places: Vec<_> = problems.iter().map(|problem| (problem.line().unwrap(), problem.column().unwrap())).collect();
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
    assert_eq!(problems.len(), problem::MOST + 1);
}

#[test]
fn of_a_large_document_fewer_problems_are_looked_for() {
    // Each problem costs a pass over the whole document.
    let text: String = (0..900).map(|n| format!("wrong{n}: [1, 2, 3, 4, 5, 6, 7, 8, 9]\n")).collect();
    let (_, problems) = read(&text);
    let values = 1 + 900 * 10;
    assert_eq!(problems.len(), MAX_VISITS / values + 1);
    assert_eq!(problems.last(), Some(&Problem::too_many()));
}

#[test]
fn newtypes_are_read_as_what_they_hold() {
    #[derive(Debug, Default, Deserialize, PartialEq)]
    struct Port(u16);
    #[derive(Debug, Default, Deserialize, PartialEq)]
    struct Names(Vec<String>);
    let node = |text: &str| load(&Source::new("test", text)).root.unwrap();
    assert_eq!(from_node::<Port>(&node("80")).value, Port(80));
    assert_eq!(from_node::<Names>(&node("[a, b]")).value, Names(vec!["a".into(), "b".into()]));
}

#[test]
fn secrets_in_values_are_not_rendered() {
    let (_, problems) = read("signal: {stack: 'http://me:hunter2 x@proxy'}\ntags: {PASSWORD: [hunter2]}\n");
    assert_eq!(problems.len(), 2);
    for problem in problems {
        assert!(!problem.render(false).contains("hunter2") && !problem.to_string().contains("hunter2"), "{problem}");
    }
}

proptest! {
    #[test]
    fn reading_never_panics_and_ends(text in r#"((signal|storage|tags|config|agent|options|port|x): ?(\n ?|\{|\[|1|~|a b|stack: s|- )?(\]|\}|\n|, )){0,12}"#) {
        if let Some(node) = load(&Source::new("test", text)).root {
            for problem in from_node::<Config>(&node).problems {
                prop_assert!(!problem.render(false).is_empty());
            }
        }
    }
}
