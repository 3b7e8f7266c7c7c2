//! The JSON Schema of the configuration, made from its types: for editors, and for `docs/configuration.md`.
//!
//! Structures and descriptions come from the types and their comments. A value with a grammar of its own has a pattern
//! here; `tests/schema.rs` holds that schema and parser accept and refuse the same, but for what it lists.

use std::borrow::Cow;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use super::ecs_variables::{EcsVariables, Kind, usable};
use super::types::*;
use super::{Config, Filesystem, Logs, Signal};

/// The schema. Draft 7 is the one that the YAML language server and its like know best; every value is described where it
/// stands, so that an editor shows what the key means there.
pub fn schema() -> Value {
    let settings = SchemaSettings::draft07().with(|settings| settings.inline_subschemas = true);
    let mut schema = settings.into_generator().into_root_schema_for::<Config>().to_value();
    schema["title"] = "ecs-firstrun".into();
    schema["description"] =
        "Configuration of ecs-firstrun, whose first line is `#ecs-firstrun`. What is left out has its default.".into();
    without_noise(&mut schema);
    let properties = &mut schema["properties"];
    let logs = &mut properties["logs"]["properties"];
    logs["agent"]["default"] = "auto".into();
    logs["stream"]["default"] = Logs::default().stream.expand(|_| String::new()).into();
    logs["stream"]["examples"] = json!(["{instance_id}"]);
    properties["signal"]["properties"]["timeout"]["default"] = Signal::default().timeout.0.to_string().into();
    properties["signal"]["anyOf"] = json!([
        with(&["stack", "resource"], &["wait_handle"]),
        with(&["wait_handle"], &["stack", "resource"]),
        with(&["lifecycle_hook"], &["stack", "resource", "wait_handle"]),
    ]);
    let volume = &mut properties["storage"]["items"];
    volume["properties"]["mount"]["not"] = json!({ "const": "/" });
    volume["if"] = json!({ "properties": { "filesystem": { "const": "ext4" } }, "required": ["filesystem"] });
    for (branch, filesystem) in [("then", Filesystem::Ext4), ("else", Filesystem::Xfs)] {
        volume[branch] = json!({ "properties": { "label": { "maxLength": filesystem.longest_label() } } });
    }
    // Its visitor, which is serde_json's, takes nothing for an empty mapping.
    properties["docker"]["properties"]["daemon"]["type"] = json!(["object", "null"]);
    properties["docker"]["not"] = json!({
        "type": "object",
        "required": ["data_root", "daemon"],
        "properties": { "data_root": { "type": "string" }, "daemon": { "type": "object", "required": ["data-root"] } },
    });
    schema
}

/// The schema as `examples/schema.json` has it: what fits into a line is on one.
pub fn printed() -> String {
    let mut text = String::new();
    print(&schema(), 0, &mut text);
    text + "\n"
}

fn print(value: &Value, indent: usize, text: &mut String) {
    let short = value.to_string();
    let (brackets, items): (_, Vec<(String, &Value)>) = match value {
        Value::Object(entries) => {
            ("{}", entries.iter().map(|(key, value)| (format!("{}: ", json!(key)), value)).collect())
        }
        Value::Array(items) => ("[]", items.iter().map(|item| (String::new(), item)).collect()),
        _ => return text.push_str(&short),
    };
    if items.is_empty() || indent + short.len() <= LINE {
        return text.push_str(&short);
    }
    text.push_str(&brackets[..1]);
    for (number, (key, item)) in items.iter().enumerate() {
        text.push_str(if number == 0 { "\n" } else { ",\n" });
        text.extend(std::iter::repeat_n(' ', indent + 1));
        text.push_str(key);
        print(item, indent + 1, text);
    }
    text.push('\n');
    text.extend(std::iter::repeat_n(' ', indent));
    text.push_str(&brackets[1..]);
}

/// The schema of a mapping with these keys, and without those. An editor offers it under its title.
fn with(given: &[&str], missing: &[&str]) -> Value {
    let kind = |key| if key == "lifecycle_hook" { "object" } else { "string" };
    let kinds = given.iter().map(|key| (key, kind(*key))).chain(missing.iter().map(|key| (key, "null")));
    let properties: serde_json::Map<_, _> =
        kinds.map(|(key, kind)| ((*key).to_owned(), json!({ "type": kind }))).collect();
    json!({ "title": given.join(" and "), "required": given, "properties": properties })
}

/// Takes out what a reader does not need: line breaks within sentences, names of Rust's types, defaults that say nothing.
fn without_noise(schema: &mut Value) {
    let Value::Object(entries) = schema else { return };
    entries.retain(|key, value| !(key == "default" && (value.is_null() || value == &json!({}))));
    if let Some(Value::String(text)) = entries.get_mut("description") {
        *text = text.replace('\n', " ");
    }
    entries.values_mut().for_each(without_noise);
}

/// How long a line of the printed schema is made out of several.
const LINE: usize = 140;

// Classes of characters, for the patterns. JavaScript's and Rust's own differ in what is blank.
macro_rules! control {
    () => {
        r"\u0000-\u001f\u007f-\u009f"
    };
}
macro_rules! control_or_blank {
    () => {
        r"\u0000-\u0020\u007f-\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
    };
}

/// Text of one line without a blank at an end.
const TRIMMED: &str = concat!("^[^", control_or_blank!(), "]([^", control!(), "]*[^", control_or_blank!(), "])?$");
/// As Go writes a span of time.
const GO_DURATION: &str = r"^(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h))+$";

/// Text with a pattern; an editor shows the remedy where it does not match.
fn text(pattern: &str, remedy: &str, examples: &[&str]) -> Schema {
    let mut schema = json_schema!({ "type": "string", "pattern": pattern, "patternErrorMessage": remedy });
    if !examples.is_empty() {
        schema.insert("examples".to_owned(), json!(examples));
    }
    schema
}

macro_rules! schemas {
    ($($name:ident, $schema:expr;)*) => {$(
        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                $schema
            }
        }
    )*};
}

macro_rules! texts {
    ($($name:ident, $pattern:expr, $remedy:expr, $examples:expr;)*) => {
        schemas! { $($name, text(&$pattern, $remedy, &$examples);)* }
    };
}

texts! {
    ClusterName, r"^(arn:[^:]*:ecs:[^:]*:[^:]*:cluster/)?[A-Za-z0-9_-]{1,255}$",
        "the name of a cluster, of letters, digits, - and _, or its ARN", ["production"];
    StackName, r"^(arn:[^:]*:[^:]*:[^:]*:[^:]*:stack/[A-Za-z][A-Za-z0-9-]{0,127}(/[\s\S]*)?|[A-Za-z][A-Za-z0-9-]{0,127})$",
        "the name of a stack, or what ${AWS::StackId} gives", ["web"];
    LogicalId, "^[A-Za-z0-9]{1,255}$", "the name that the resource has in the template: letters and digits", ["Instances"];
    HookName, "^[A-Za-z0-9_/-]{1,255}$", "1 to 255 letters, digits and - _ /", ["launch"];
    GroupName, concat!("^[^:", control!(), "]{1,255}$"), "the name of the Auto Scaling group, not its ARN", [];
    Region, "^(?=.{1,32}$)[a-z0-9]*(-[a-z0-9]*){2,}$", "the name of a region, as eu-central-1", ["eu-central-1"];
    FilesystemLabel, "^[A-Za-z0-9_.-]+$", "letters, digits, - _ and .", ["docker"];
    AbsolutePath, concat!("^(/|(?![\\s\\S]*[", control_or_blank!(), r"]$)(/(?!\.{1,2}(/|$))[^/", control!(), "]+)+)$"),
        "a path that begins with /, without `.`, `..`, a doubled / and a / at the end", ["/data"];
    RelativePath, concat!(r"^(?!\.{1,2}(/|$))[^/", control!(), r"]+(/(?!\.{1,2}(/|$))[^/", control!(), "]+)*$"),
        "a path without / at the beginning or end, and without `..`", ["public"];
    MountOption, concat!("^[^", control_or_blank!(), "\",%\\\\]+$"), "one mount option per entry", ["noatime"];
    NoProxyEntry, concat!("^[^", control_or_blank!(), "\"',%\\\\]+$"),
        "one host, .domain, address or network per entry", [".internal", "10.0.0.0/8"];
    AttributeName, r"^[A-Za-z0-9_/\\.-]{1,128}$", "1 to 128 letters, digits and - _ / \\ .", [];
    AttributeValue, r"^[A-Za-z0-9_.@/\\:-]([A-Za-z0-9_.@/\\: -]{0,126}[A-Za-z0-9_.@/\\:-])?$",
        "1 to 128 letters, digits, spaces (not at an end) and - _ . @ / \\ :", [];
    TagKey, r"^(?![aA][wW][sS]:)[\p{Alphabetic}\p{N} +=._:/@-]{1,128}$",
        "1 to 128 letters, digits, spaces and + - = . _ : / @, not beginning with aws:", [];
    TagValue, r"^[\p{Alphabetic}\p{N} +=._:/@-]{0,256}$", "up to 256 letters, digits, spaces and + - = . _ : / @", [];
    OneLine, concat!("^[^", control!(), "]+$"), "text of one line", [];
    Owner, "^[0-9]+:[0-9]+$", "numbers, as \"1000:1000\", in quotes", ["1000:1000"];
    Mode, "^[0-7]{3,4}$", "three or four octal digits in quotes, as \"0755\"", ["0755"];
    Device, r"^(instance_store|/dev(?!/nvme)(/(?!\.{1,2}(/|$))[A-Za-z0-9_.:@+-]+)+)$",
        "the name in the block device mapping, as /dev/xvdcy, or instance_store", ["/dev/xvdcy", "instance_store"];
    NameTemplate, r"^(?=.{1,512}$)([A-Za-z0-9_/.#{}-]|\$\{(stack|resource|region|account|cluster)\})*$",
        "1 to 512 letters, digits and - _ / . # { }, and ${stack}, ${resource}, ${region}, ${account}, ${cluster}",
        ["${stack}/ec2/${resource}"];
    TimeSpan, time_span(), "a number and its unit, as 90s, 15m or 1h 30m; at most 12h", ["90s", "15m", "1h 30m"];
    ProxyUrl, concat!("^https?://[^/?#\\\\", control_or_blank!(), "]+[/\\\\]?$"),
        "http:// or https://, a host and a port, as http://proxy.internal:3128", ["http://proxy.internal:3128"];
    WaitHandle, concat!("^https?://[^/\\\\", control_or_blank!(), "][^", control_or_blank!(), "]*$"),
        "what !Ref gives for the WaitConditionHandle", [];
}

/// The spans of time that `humantime` reads, with all its names of units.
fn time_span() -> String {
    let units = "nanos|nsec|ns|usec|us|µs|millis|msec|ms|seconds|second|secs|sec|s|minutes|minute|mins|min|m|\
                 hours|hour|hrs|hr|h|days|day|d|weeks|week|wks|wk|w|months|month|M|years|year|yrs|yr|y";
    format!(r"^ *([0-9][0-9 ]*(\. *[0-9][0-9 ]*)?({units}) *)+$")
}

schemas! {
    RetentionDays, json_schema!({ "type": "integer", "enum": RetentionDays::ALL });
    EcsVariables, variables();
}

fn variables() -> Schema {
    let properties: serde_json::Map<_, _> =
        usable().map(|(name, kind)| ((*name).to_owned(), variable(*kind))).collect();
    json_schema!({ "type": "object", "properties": properties, "additionalProperties": false })
}

/// The schema of a variable of the ECS agent. Numbers and lists may be written as text too, as `ecs.config` has them.
fn variable(kind: Kind) -> Value {
    match kind {
        Kind::Text | Kind::Elsewhere(_) => {
            json!({ "description": "Text of one line.", "type": ["string", "number", "boolean"], "pattern": TRIMMED })
        }
        Kind::Secret => json!({
            "description": "Text of one line, which is never shown.", "type": ["string", "number", "boolean"],
            "pattern": TRIMMED,
        }),
        Kind::Bool => json!({ "description": "true or false.", "enum": [true, false, "true", "false"] }),
        Kind::Number => json!({
            "description": "A whole number.", "type": ["integer", "string"], "minimum": 0, "maximum": i64::MAX,
            "pattern": "^[0-9]{1,19}$", "patternErrorMessage": "digits only",
        }),
        Kind::Duration => json!({
            "description": "A duration.", "type": "string", "pattern": GO_DURATION,
            "patternErrorMessage": "numbers with units, as 30s, 5m or 1h30m", "examples": ["30s", "5m", "1h30m"],
        }),
        Kind::OneOf(words) => json!({ "description": "One of these words.", "type": "string", "enum": words }),
        Kind::List => json!({
            "description": "A list, or a JSON array as a string.", "type": ["array", "string"],
            "pattern": concat!(r"^\[[^", control!(), r"]*\]$"),
        }),
        Kind::Object => json!({
            "description": "A mapping, or a JSON object as a string.", "type": ["object", "string"],
            "pattern": concat!(r"^\{[^", control!(), r"]*\}$"),
        }),
        Kind::SecretObject => json!({
            "description": "A mapping, or a JSON object as a string; never shown.", "type": ["object", "string"],
            "pattern": concat!(r"^\{[^", control!(), r"]*\}$"),
        }),
    }
}
