//! The CloudWatch agent's configuration: no document that is accepted keeps the agent from starting.
//!
//! Its schema and rules are written down here once more, from what CloudWatch agent 1.300071 says and does with a configuration.
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch-Agent-Configuration-File-Details.html>

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use ecs_firstrun::plan::plan;
use jsonschema::Validator;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::properties::{instance, parsed};
use crate::support::documents::document;

const FOLDER: &str = "/opt/aws/amazon-cloudwatch-agent/etc/amazon-cloudwatch-agent.d/";

/// The days that CloudWatch Logs knows; for the journal the agent has all of them but 1096.
const RETENTIONS: [i64; 22] =
    [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653];

/// The part of the agent's schema that is about files, the region, the role and the endpoint. The agent checks names as they stand, with
/// placeholders, and CloudWatch Logs checks them filled in.
fn schema() -> &'static Validator {
    static SCHEMA: OnceLock<Validator> = OnceLock::new();
    let text = |longest: u32| json!({ "type": "string", "minLength": 1, "maxLength": longest });
    let filter = json!({
        "type": "object",
        "properties": { "type": { "enum": ["include", "exclude"] }, "expression": text(4096) },
        "required": ["type", "expression"],
        "additionalProperties": false,
    });
    let file = json!({
        "type": "object",
        "properties": {
            "file_path": text(4096), "log_group_name": text(512), "log_stream_name": text(512),
            "log_group_class": { "enum": ["STANDARD", "INFREQUENT_ACCESS"] },
            "multi_line_start_pattern": text(4096), "timestamp_format": text(4096), "timezone": { "enum": ["Local", "LOCAL", "UTC"] },
            "encoding": text(4096), "blacklist": text(4096), "publish_multi_logs": { "type": "boolean" },
            "retention_in_days": { "enum": RETENTIONS }, "filters": { "type": "array", "items": filter, "minItems": 1 },
        },
        "required": ["file_path", "log_group_name", "log_stream_name"],
        "additionalProperties": false,
    });
    let list = json!({ "type": "array", "items": file, "minItems": 1, "maxItems": 16384, "uniqueItems": true });
    let closed =
        |properties: Value| json!({ "type": "object", "properties": properties, "additionalProperties": false });
    let collected = closed(json!({ "files": closed(json!({ "collect_list": list })) }));
    let role = closed(json!({ "role_arn": { "type": "string", "minLength": 20, "maxLength": 2048 } }));
    let schema = closed(json!({
        "agent": closed(json!({ "region": text(64), "use_dualstack_endpoint": { "type": "boolean" } })),
        "logs": closed(json!({
            "logs_collected": collected, "credentials": role,
            "endpoint_override": { "type": "string", "minLength": 4, "maxLength": 2048 },
        })),
    }));
    SCHEMA.get_or_init(|| jsonschema::validator_for(&schema).unwrap())
}

/// A name with its placeholders filled in, each by the longest text that it stands for.
fn filled(name: &str) -> String {
    let held = [
        ("{instance_id}", 19),
        ("{hostname}", 64),
        ("{local_hostname}", 64),
        ("{ip_address}", 15),
        ("{aws_region}", 14),
        ("{account_id}", 12),
        ("{date}", 10),
    ];
    held.iter().fold(name.to_owned(), |name, (placeholder, longest)| name.replace(placeholder, &"x".repeat(*longest)))
}

/// Lists why the agent would not start with this JSON, or CloudWatch Logs refuse its names.
fn objections(json: &Value) -> Vec<String> {
    let mut found: Vec<String> =
        schema().iter_errors(json).map(|error| format!("{}: {error}", error.instance_path())).collect();
    if json["logs"].get("endpoint_override").is_some() && json["agent"].get("use_dualstack_endpoint").is_some() {
        found.push("the AWS SDK refuses a named endpoint beside dual-stack".to_owned());
    }
    let mut retentions = BTreeMap::new();
    for entry in json["logs"]["logs_collected"]["files"]["collect_list"].as_array().into_iter().flatten() {
        let text = |key: &str| entry[key].as_str().unwrap_or_default();
        let group = filled(text("log_group_name"));
        found.extend(group_objection(&group));
        found.extend(stream_objection(&filled(text("log_stream_name"))));
        if let Some(days) = entry["retention_in_days"].as_i64()
            && *retentions.entry(group.to_lowercase()).or_insert(days) != days
        {
            found.push(format!("{group} has two retentions"));
        }
        let filters = entry["filters"].as_array().into_iter().flatten();
        let expressions = filters.filter_map(|filter| filter["expression"].as_str());
        let start = Some(text("multi_line_start_pattern")).filter(|start| *start != "{timestamp_format}");
        for expression in expressions.chain([text("blacklist")]).chain(start) {
            // Rust's syntax is of Go's family, and the configuration's own check names where they differ.
            found.extend(regex_syntax::Parser::new().parse(expression).err().map(|error| error.to_string()));
        }
        found.extend(time_objection(text("timestamp_format")));
    }
    found
}

fn group_objection(group: &str) -> Option<String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._-/#".contains(c);
    let is_right = (1..=512).contains(&group.chars().count()) && group.chars().all(allowed);
    (!is_right).then(|| format!("`{group}` is no log group"))
}

fn stream_objection(stream: &str) -> Option<String> {
    let is_right = (1..=512).contains(&stream.chars().count()) && !stream.contains([':', '*', '{', '}']);
    (!is_right).then(|| format!("`{stream}` is no log stream"))
}

/// The agent makes a regular expression of a format, in which a backslash keeps its meaning.
fn time_objection(format: &str) -> Option<String> {
    let known = "%B %b %m %-m %A %a %d %-d %H %I %-I %M %-M %S %-S %Y %y %p %Z %z %f";
    let rest = known.split(' ').fold(format.to_owned(), |rest, directive| rest.replace(directive, ""));
    let has_date = format.is_empty() || (format.contains(['d']) && format.contains(['m', 'b', 'B']));
    (rest.contains(['%', '\\']) || !has_date).then(|| format!("`{format}` is no format of times"))
}

/// Lists why the agent would not start with this OpenTelemetry configuration, or CloudWatch Logs refuse its names.
fn objections_of_pipelines(yaml: &Value) -> Vec<String> {
    let names = |section: &str| {
        yaml[section].as_object().into_iter().flat_map(|entries| entries.keys().cloned()).collect::<BTreeSet<_>>()
    };
    let mut found = Vec::new();
    for (section, keys) in [
        ("receivers", &["start_at", "storage", "priority", "units", "matches"][..]),
        (
            "exporters",
            &[
                "log_group_name",
                "log_stream_name",
                "region",
                "log_retention",
                "role_arn",
                "endpoint",
                "retry_on_failure",
                "sending_queue",
            ],
        ),
    ] {
        for (name, entry) in yaml[section].as_object().into_iter().flatten() {
            let unknown = entry.as_object().unwrap().keys().filter(|key| !keys.contains(&key.as_str()));
            found.extend(unknown.map(|key| format!("{name} has no key {key}")));
        }
    }
    for (name, exporter) in yaml["exporters"].as_object().into_iter().flatten() {
        let text = |key: &str| exporter[key].as_str().unwrap_or_default();
        // Dollar signs are expanded twice.
        let stream = text("log_stream_name").replace("$$$$", "");
        found.extend(group_objection(text("log_group_name")));
        found.extend(stream_objection(&stream));
        found.extend(stream.contains('$').then(|| format!("{name} expands a variable")));
        let days = exporter["log_retention"].as_i64();
        found.extend(
            days.filter(|days| *days == 1096 || !RETENTIONS.contains(days)).map(|days| format!("{name}: {days} days")),
        );
    }
    for pipeline in yaml["service"]["pipelines"].as_object().into_iter().flat_map(|entries| entries.values()) {
        for section in ["receivers", "processors", "exporters"] {
            let listed = pipeline[section].as_array().unwrap().iter().map(|name| name.as_str().unwrap());
            found.extend(
                listed.filter(|name| !names(section).contains(*name)).map(|name| format!("there is no {name}")),
            );
        }
    }
    let storages =
        yaml["receivers"].as_object().unwrap().values().map(|receiver| receiver["storage"].as_str().unwrap());
    let started = yaml["service"]["extensions"].as_array().unwrap();
    found.extend(
        storages
            .filter(|name| !names("extensions").contains(*name) || !started.contains(&json!(name)))
            .map(str::to_owned),
    );
    found
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_document_that_is_accepted_keeps_the_agent_from_starting(text in document(), instance in instance()) {
        let config = parsed(&text)?;
        let plan = plan(&config, &instance);
        for (_, file) in plan.files().filter(|(_, file)| file.path.starts_with(FOLDER)) {
            let value: Value = serde_json::from_str(file.contents.reveal()).unwrap();
            let objections = if file.path.ends_with(".json") { objections(&value) } else { objections_of_pipelines(&value) };
            prop_assert!(objections.is_empty(), "{}: {:?}\n{}", file.path, objections, value);
        }
    }
}

#[test]
fn each_rule_is_one() {
    let with = |key: &str, value: Value| {
        let mut entry = json!({ "file_path": "/a", "log_group_name": "a", "log_stream_name": "b" });
        entry[key] = value;
        json!({ "logs": { "logs_collected": { "files": { "collect_list": [entry] } } } })
    };
    assert!(objections(&with("encoding", "utf-8".into())).is_empty());
    for (key, value) in [
        ("log_group_name", json!("a".repeat(513))),
        ("log_group_name", json!("a{foo}")),
        ("log_stream_name", json!(format!("{}{{hostname}}", "a".repeat(450)))),
        ("retention_in_days", json!(2)),
        ("timestamp_format", json!("%F")),
        ("timestamp_format", json!("%m%d\\q")),
        ("timestamp_format", json!("%H")),
        ("blacklist", json!("(")),
        ("timezone", json!("utc")),
        ("filters", json!([{ "type": "exclude" }])),
        ("unknown", json!(1)),
    ] {
        assert!(!objections(&with(key, value.clone())).is_empty(), "{key}: {value}");
    }
}
