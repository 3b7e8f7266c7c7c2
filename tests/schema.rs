//! The JSON Schema: that it is that of the types, and that it accepts and refuses what the parser accepts and refuses.

use std::path::PathBuf;

use ecs_firstrun::config::schema::printed;
use ecs_firstrun::ecs_variables;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use crate::support::agreement::{DIFFERENCES, any_value, apply, change, problems, same, validator};
use crate::support::documents::document;
use crate::support::repository;

#[test]
fn the_published_schema_is_that_of_the_types() {
    drift("examples/schema.json", &printed());
}

/// Holds a file to what is generated for it; `UPDATE=1` writes it.
pub fn drift(path: &str, generated: &str) {
    let path: PathBuf = repository(path);
    if std::env::var_os("UPDATE").is_some_and(|value| !value.is_empty()) {
        std::fs::write(&path, generated).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == generated, "{} is not what comes out; UPDATE=1 writes it", path.display());
}

#[test]
fn each_difference_is_one() {
    let validator = validator();
    for (words, document) in DIFFERENCES {
        let document = match *document {
            "\"long path\"" => json!({ "docker": { "data_root": format!("/{}", "é".repeat(4000)) } }),
            "\"long image\"" => json!({ "docker": { "pull": [{ "image": "a/".repeat(128) + "b" }] } }),
            "\"long name\"" => json!({ "logs": { "group": "g".repeat(491) } }),
            text => serde_json::from_str(text).unwrap(),
        };
        let problems = problems(&document);
        assert!(problems.iter().any(|problem| problem.contains(words)), "{words}: {problems:?}");
        assert!(validator.is_valid(&document), "the schema refuses it too: {words}");
    }
}

#[test]
fn each_letter_and_number_of_unicode_may_stand_in_a_tag() {
    let letters: Vec<char> = ('\0'..=char::MAX).filter(|letter| letter.is_alphanumeric()).collect();
    for some in letters.chunks(256) {
        let text: String = some.iter().collect();
        same(&json!({ "ecs": { "cluster": "a", "tags": { "letters": text } } })).unwrap();
    }
}

#[test]
fn the_schema_refuses_what_concerns_several_keys_where_it_can() {
    let validator = validator();
    for document in [
        r#"{"signal": {"stack": "web"}}"#,
        r#"{"signal": {"stack": "web", "resource": null}}"#,
        r#"{"signal": {"stack": "web", "resource": "A", "wait_handle": "https://x/y"}}"#,
        r#"{"signal": {}}"#,
        r#"{"signal": {"stack": "web", "lifecycle_hook": {"name": "launch"}}}"#,
        r#"{"storage": [{"device": "/dev/xvdb", "mount": "/"}]}"#,
        r#"{"storage": [{"device": "/dev/xvdb", "mount": "/a", "label": "thirteen-long"}]}"#,
        r#"{"docker": {"data_root": "/a", "daemon": {"data-root": "/b"}}}"#,
    ] {
        let document = serde_json::from_str(document).unwrap();
        assert!(!problems(&document).is_empty() && !validator.is_valid(&document), "{document}");
    }
}

#[test]
fn the_examples_and_the_golden_cases_are_right_by_the_schema() {
    let validator = validator();
    for (name, document) in right_documents() {
        let errors: Vec<_> = validator.iter_errors(&document).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{name}: {errors:?}");
    }
}

/// The documents of the examples and of the golden cases, each under its path.
pub fn right_documents() -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for folder in ["examples/user-data", "tests/cases"] {
        for entry in repository(folder).read_dir().unwrap().map(|entry| entry.unwrap().path()) {
            let path = if entry.is_dir() { entry.join("user-data") } else { entry };
            let decoded = ecs_firstrun::document::decode::decode("x", &std::fs::read(&path).unwrap());
            // Documents that are merged with others are right together only.
            let [document] = &decoded.documents[..] else { continue };
            found.push((path.display().to_string(), json_of(document.config.as_ref().unwrap())));
        }
    }
    assert!(found.len() > 30, "{}", found.len());
    found
}

fn json_of(node: &ecs_firstrun::document::yaml::Node) -> Value {
    use ecs_firstrun::document::yaml::Value as Yaml;
    match &node.value {
        Yaml::Null => Value::Null,
        Yaml::Bool(value) => (*value).into(),
        Yaml::Int(value) => (*value).into(),
        Yaml::Float(value) => (*value).into(),
        Yaml::String(value) => value.clone().into(),
        Yaml::Sequence(items) => items.iter().map(json_of).collect(),
        Yaml::Mapping(entries) => entries
            .iter()
            .map(|entry| (entry.key.clone(), json_of(&entry.value)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
    }
}

pub fn value_of(document: &str) -> Value {
    serde_json::from_str(document.split_once('\n').unwrap().1).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn schema_and_parser_accept_the_same_documents(document in document()) {
        same(&value_of(&document)).map_err(TestCaseError::fail)?;
    }

    #[test]
    fn schema_and_parser_refuse_the_same_documents(
        document in document(),
        changes in proptest::collection::vec(proptest::collection::vec(change(), 1..3), 20),
    ) {
        let right = value_of(&document);
        for several in changes {
            let mut changed = right.clone();
            several.into_iter().for_each(|(place, change)| apply(&mut changed, &place, change));
            same(&changed).map_err(TestCaseError::fail)?;
        }
    }

    #[test]
    fn schema_and_parser_take_the_same_variables_of_the_ecs_agent(
        names in proptest::collection::vec(select(ecs_variables::names().collect::<Vec<_>>()), 20),
        value in any_value(),
    ) {
        for name in names {
            same(&json!({ "ecs": { "cluster": "a", "config": { name: value } } })).map_err(TestCaseError::fail)?;
        }
    }
}
