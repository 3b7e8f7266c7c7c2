//! The JSON Schema as other validators read it: Python's jsonschema, check-jsonschema, and Ajv in its strict mode.
//!
//! `make setup-validators` installs them. Each takes the published schema, and says the same of each document as the
//! validator of the other tests.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use proptest::collection::vec;
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

use crate::schema::{right_documents, value_of};
use crate::support::agreement::{apply, change, problems, validator};
use crate::support::documents::document;
use crate::support::{repository, skip};

const SCHEMA: &str = "examples/schema.json";
/// The folder in which `make setup-validators` installs the validators.
const INSTALLED: &str = "target/lint/validators";
/// Number of documents that are changed at random.
const CHANGED: usize = 300;

/// Documents that are right, beside the examples and the golden cases: what patterns of other languages may read otherwise.
const RIGHT: &[(&str, &str)] = &[
    ("letters and numbers beyond ASCII", r#"{"ecs": {"cluster": "a", "tags": {"größe ½": "中文 ²", "Ա": "𝒳 क"}}}"#),
    ("an empty value of a tag", r#"{"ecs": {"cluster": "a", "tags": {"a": ""}}}"#),
    ("the widest name", r#"{"signal": {"lifecycle_hook": {"name": "a/b-c_d", "group": "é 中 {x}"}}}"#),
    ("a path with a blank and letters beyond ASCII", r#"{"logs": {"files": [{"path": "/é b/.c/..d"}]}}"#),
    (
        "a variable as number, as text and as list",
        r#"{"ecs": {"cluster": "a", "config":
        {"ECS_RESERVED_MEMORY": 32, "ECS_CONTAINER_STOP_TIMEOUT": "1m30s", "ECS_RESERVED_PORTS": "[22]"}}}"#,
    ),
    ("a cluster that others name", r#"{"ecs": {"tags": {"a": "b"}}}"#),
    ("nothing where nothing is wanted", r#"{"signal": null, "ecs": {"cluster": "a"}, "docker": {"daemon": null}}"#),
];

/// Documents that are wrong, and that a schema can refuse.
const WRONG: &[(&str, &str)] = &[
    ("an unknown section", r#"{"ecs": {"cluster": "a"}, "exc": {}}"#),
    ("an unknown key", r#"{"ecs": {"cluster": "a", "colour": "b"}}"#),
    ("an unknown variable", r#"{"ecs": {"cluster": "a", "config": {"ECS_COLOUR": "b"}}}"#),
    ("a missing key", r#"{"storage": [{"device": "/dev/xvdb"}]}"#),
    ("a number in the place of text", r#"{"ecs": {"cluster": 5}}"#),
    ("text in the place of a list", r#"{"storage": "xvdb"}"#),
    ("a mapping in the place of a variable", r#"{"ecs": {"cluster": "a", "config": {"ECS_LOGLEVEL": {}}}}"#),
    ("a negative number", r#"{"ecs": {"cluster": "a", "config": {"ECS_RESERVED_MEMORY": -1}}}"#),
    ("an unknown word", r#"{"logs": {"agent": "fluentd"}}"#),
    ("a number of days that there is not", r#"{"logs": {"retention_days": 31}}"#),
    ("a cluster with a blank", r#"{"ecs": {"cluster": "a b"}}"#),
    ("a line break at the end", r#"{"ecs": {"cluster": "production\n"}}"#),
    ("a line break at the end of a variable", r#"{"ecs": {"cluster": "a", "config": {"ECS_LOGFILE": "/a\n"}}}"#),
    ("a line break at the end of a key", r#"{"ecs": {"cluster": "a", "attributes": {"a\n": "b"}}}"#),
    ("a region in capitals", r#"{"signal": {"stack": "web", "resource": "A", "region": "EU-WEST-1"}}"#),
    ("a time without a unit", r#"{"ecs": {"cluster": "a"}, "wait": {"timeout": "15"}}"#),
    ("a path that goes up", r#"{"docker": {"data_root": "/a/../b"}}"#),
    ("a path with a blank at the end", r#"{"docker": {"data_root": "/a\u3000"}}"#),
    ("a proxy without a scheme", r#"{"proxy": {"url": "proxy:3128"}}"#),
    ("a name of the kernel's", r#"{"storage": [{"device": "/dev/nvme1n1", "mount": "/a"}]}"#),
    ("a label too long", r#"{"storage": [{"device": "/dev/xvdb", "mount": "/a", "label": "thirteen-long"}]}"#),
    (
        "a label too long for ext4",
        r#"{"storage": [{"device": "/dev/xvdb", "mount": "/a", "label": "seventeen-letters",
        "filesystem": "ext4"}]}"#,
    ),
    ("the root as a mount", r#"{"storage": [{"device": "/dev/xvdb", "mount": "/"}]}"#),
    ("two targets of the signal", r#"{"signal": {"stack": "web", "resource": "A", "wait_handle": "https://x/y"}}"#),
    ("half a target of the signal", r#"{"signal": {"stack": "web"}}"#),
    ("two roots of the data", r#"{"docker": {"data_root": "/a", "daemon": {"data-root": "/b"}}}"#),
    ("a tag of AWS's own", r#"{"ecs": {"cluster": "a", "tags": {"aWs:x": "b"}}}"#),
    ("a tag with a sign of ASCII", r#"{"ecs": {"cluster": "a", "tags": {"a;b": "c"}}}"#),
    ("a tag with a sign beyond ASCII", r#"{"ecs": {"cluster": "a", "tags": {"a": "§"}}}"#),
    ("a tag with an arrow", r#"{"ecs": {"cluster": "a", "tags": {"a": "b → c"}}}"#),
];

#[test]
fn jsonschema_of_python_reads_the_schema_as_the_parser_does() {
    let python = installed("venv/bin/python");
    if !python.exists() {
        return skip("needs Python's jsonschema; `make setup-validators` installs it where there is Python with venv");
    }
    agrees(|documents| {
        let script = repository("tests/schema_validators/with_jsonschema.py");
        printed(Command::new(&python).arg(script).arg(repository(SCHEMA)).arg(documents))
    });
}

#[test]
fn ajv_in_strict_mode_reads_the_schema_as_the_parser_does() {
    let modules = installed("node_modules");
    if !modules.join("ajv").exists() || Command::new("node").arg("--version").output().is_err() {
        return skip("needs Ajv; `make setup-validators` installs it where there are Node and npm");
    }
    agrees(|documents| {
        let script = repository("tests/schema_validators/with_ajv.js");
        let mut node = Command::new("node");
        printed(node.env("NODE_PATH", &modules).arg(script).arg(repository(SCHEMA)).arg(documents))
    });
}

#[test]
fn check_jsonschema_reads_the_schema_as_the_parser_does() {
    let program = installed("venv/bin/check-jsonschema");
    if !program.exists() {
        return skip("needs check-jsonschema; `make setup-validators` installs it where there is Python with venv");
    }
    let schema = repository(SCHEMA);
    let output = Command::new(&program).arg("--check-metaschema").arg(&schema).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    // Its own patterns are those of JavaScript; Python's are the other choice.
    for variant in ["default", "python"] {
        agrees(|documents| {
            let folder = tempfile::tempdir().unwrap();
            let documents: BTreeMap<String, Value> =
                serde_json::from_slice(&std::fs::read(documents).unwrap()).unwrap();
            let paths: BTreeMap<_, _> = documents.keys().zip(0..).collect();
            let path = |name| folder.path().join(format!("{}.json", paths[name]));
            for (name, document) in &documents {
                std::fs::write(path(name), document.to_string()).unwrap();
            }
            let mut command = Command::new(&program);
            command.args(["--output-format", "json", "--regex-variant", variant, "--schemafile"]).arg(&schema);
            let output = command.args(documents.keys().map(path)).output().unwrap();
            let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", said(&output)));
            assert_eq!(report["parse_errors"], json!([]));
            let errors = report["errors"].as_array().unwrap();
            let refused: Vec<_> = errors.iter().map(|error| Path::new(error["filename"].as_str().unwrap())).collect();
            documents.keys().map(|name| (name.clone(), !refused.contains(&&*path(name)))).collect()
        });
    }
}

/// Fails where a validator, which is given a file of documents by name, says another thing of one than it should.
fn agrees(verdicts: impl Fn(&Path) -> BTreeMap<String, bool>) {
    let (documents, expected) = documents();
    let mut file = tempfile::NamedTempFile::new().unwrap();
    serde_json::to_writer(&mut file, &documents).unwrap();
    let verdicts = verdicts(file.path());
    for (name, document) in documents {
        assert_eq!(verdicts.get(&name), Some(&expected[&name]), "{name}: {document}");
    }
}

/// Documents by name, and whether each is right by the schema.
fn documents() -> (BTreeMap<String, Value>, BTreeMap<String, bool>) {
    let read = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    let named = |table: &[(&str, &str)], is_right: bool| -> Vec<_> {
        table.iter().map(|(name, text)| ((*name).to_owned(), read(text), is_right)).collect()
    };
    let golden = right_documents().into_iter().map(|(name, document)| (name, document, true));
    let mut all: Vec<_> = golden.chain(named(RIGHT, true)).chain(named(WRONG, false)).collect();
    for (name, document, is_right) in &all {
        let problems = problems(document);
        assert_eq!(problems.is_empty(), *is_right, "{name}: {problems:?}");
    }
    all.extend(changed().into_iter().enumerate().map(|(number, document)| {
        let is_right = validator().is_valid(&document);
        (format!("changed {number}"), document, is_right)
    }));
    let expected = all.iter().map(|(name, _, is_right)| (name.clone(), *is_right)).collect();
    (all.into_iter().map(|(name, document, _)| (name, document)).collect(), expected)
}

/// Right documents with changes, the same in each run.
fn changed() -> Vec<Value> {
    let mut runner = TestRunner::deterministic();
    let strategy = (document(), vec(change(), 1..3));
    let drawn = std::iter::repeat_with(|| strategy.new_tree(&mut runner).unwrap().current());
    let changed = drawn.map(|(text, changes)| {
        let mut document = value_of(&text);
        changes.into_iter().for_each(|(place, change)| apply(&mut document, &place, change));
        document
    });
    changed.take(CHANGED).collect()
}

fn installed(path: &str) -> PathBuf {
    repository(INSTALLED).join(path)
}

fn printed(command: &mut Command) -> BTreeMap<String, bool> {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn said(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes)).concat()
}
