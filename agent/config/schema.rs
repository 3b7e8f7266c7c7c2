//! The JSON Schema of the configuration, made from its types: for editors, and for `docs/configuration.md`.
//!
//! Structures and descriptions come from the types and their comments. A value with a grammar of its own has a pattern here;
//! `tests/schema.rs` proves that schema and parser accept and refuse the same, except for the cases that it lists.

// The patterns of the submodules need these classes of characters, so they come first.
#[macro_use]
mod classes;
mod docker;
mod reference;

use std::borrow::Cow;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use self::docker::daemon_json;
use self::reference::{REFERENCE, no_reference, reference};
use super::types::*;
use super::{Command, Config, Filesystem, Logs, Signal};
use crate::ecs_variables::{EcsVariables, LEVELS, SERVICE_ENDPOINT, VariableKind, usable};

/// Separates the meaning of a key from the form of its value, in a description of the schema.
pub const FORM: &str = "Form: ";

/// Makes the schema, of keywords that mean the same in draft 7, which editors know best, and in draft 2020-12. Every value
/// is described where it stands, so that an editor shows what the key means there.
pub fn schema() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let mut schema = settings.into_generator().into_root_schema_for::<Config>().to_value();
    schema["title"] = "ecs-firstrun".into();
    schema["description"] =
        "Configuration of ecs-firstrun, whose first line is `#ecs-firstrun`. A key that is left out has its default."
            .into();
    tidy(&mut schema);
    let properties = &mut schema["properties"];
    let logs = &mut properties["logs"]["properties"];
    logs["agent"]["default"] = "auto".into();
    logs["stream"]["default"] = Logs::default().stream.0.expand(|_| String::new(), Placeholder::text).into();
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
        volume[branch] = json!({
            "properties": { "label": { "type": ["string", "null"], "maxLength": filesystem.longest_label() } },
        });
    }
    let url = &mut properties["proxy"]["properties"]["url"];
    let form = json!({ "type": url["type"].take(), "pattern": url["pattern"].take() });
    url["anyOf"] = json!([form, reference()]);
    if let Value::Object(url) = url {
        url.retain(|_, value| !value.is_null());
    }
    let daemon = &mut properties["docker"]["properties"]["daemon"];
    let description = daemon["description"].take();
    *daemon = daemon_json();
    daemon["description"] = description;
    properties["docker"]["not"] = json!({
        "type": "object",
        "required": ["data_root", "daemon"],
        "properties": {
            "data_root": { "type": "string" },
            "daemon": { "type": "object", "required": ["data-root"], "properties": { "data-root": true } },
        },
    });
    schema
}

/// Writes the schema as in `examples/schema.json`: a value that fits into a line is on one line.
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

/// Makes the schema of a mapping that has the keys `given` and lacks the keys `missing`. An editor offers the schema by its
/// title.
fn with(given: &[&str], missing: &[&str]) -> Value {
    let kind = |key| if key == "lifecycle_hook" { "object" } else { "string" };
    let kinds = given.iter().map(|key| (key, kind(*key))).chain(missing.iter().map(|key| (key, "null")));
    let properties: serde_json::Map<_, _> =
        kinds.map(|(key, kind)| ((*key).to_owned(), json!({ "type": kind }))).collect();
    json!({ "title": given.join(" and "), "required": given, "properties": properties })
}

/// Takes out what a reader does not need: line breaks within sentences, names of Rust's types, defaults that say nothing.
/// Puts the form of a value into its description, since validators refuse keywords that only editors know.
fn tidy(schema: &mut Value) {
    let Value::Object(entries) = schema else { return };
    entries.retain(|key, value| !(key == "default" && (value.is_null() || value == &json!({}))));
    if let Some(Value::String(text)) = entries.get_mut("description") {
        *text = text.replace('\n', " ");
    }
    if let Some(Value::String(form)) = entries.shift_remove("$comment") {
        let meaning = entries.get("description").and_then(Value::as_str).map(|text| format!("{text} "));
        let described = format!("{}{FORM}{form}", meaning.unwrap_or_default());
        entries.insert("description".to_owned(), described.into());
    }
    entries.values_mut().for_each(tidy);
}

/// The most characters of a printed line that holds a whole list or mapping.
const LINE: usize = 140;

/// Text of one line without a blank at an end.
const TRIMMED: &str = concat!("^[^", control_or_blank!(), "]([^", control!(), "]*[^", control_or_blank!(), "])?$");
/// A JSON array, as far as a pattern can tell.
const JSON_LIST: &str = concat!(r"^\[[^", control!(), r"]*\]$");
/// A JSON object, as far as a pattern can tell.
const JSON_OBJECT: &str = concat!(r"^\{[^", control!(), r"]*\}$");
/// As Go writes a span of time.
const GO_DURATION: &str = r"^(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h))+$";

/// Makes the schema of text with a pattern. [`tidy`] puts the form, in words, into the description.
fn text(pattern: &str, form: &str, examples: &[&str]) -> Schema {
    let mut schema = json_schema!({ "type": "string", "pattern": closed(pattern), "$comment": form });
    if !examples.is_empty() {
        schema.insert("examples".to_owned(), json!(examples));
    }
    schema
}

/// Closes a pattern that ends with `$` for Python, too, where `$` also matches before a line break at the end.
fn closed(pattern: &str) -> String {
    format!("{pattern}(?!\\n)")
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
    ($($name:ident, $pattern:expr, $form:expr, $examples:expr;)*) => {
        schemas! { $($name, text(&$pattern, $form, &$examples);)* }
    };
}

texts! {
    ClusterName, r"^(arn:[^:]*:ecs:[^:]*:[^:]*:cluster/)?[A-Za-z0-9_-]{1,255}$",
        "the name of a cluster, of letters, digits, - and _, or its ARN", ["production"];
    StackName, r"^(arn:[^:]*:[^:]*:[^:]*:[^:]*:stack/[A-Za-z][A-Za-z0-9-]{0,127}(/[\s\S]*)?|[A-Za-z][A-Za-z0-9-]{0,127})$",
        "the name of a stack, or the value of ${AWS::StackId}", ["web"];
    LogicalId, "^[A-Za-z0-9]{1,255}$", "the name that the resource has in the template: letters and digits", ["Instances"];
    LifecycleHookName, "^[A-Za-z0-9_/-]{1,255}$", "1 to 255 letters, digits and - _ /", ["launch"];
    HookName, r"^[A-Za-z0-9_.-]{1,64}$", "1 to 64 letters, digits and - _ .", ["install-agent"];
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
    TagKey, concat!("^(?![aA][wW][sS]:)[^", no_tag!(), "]{1,128}$"),
        "1 to 128 letters, digits, spaces and + - = . _ : / @, not beginning with aws:", [];
    TagValue, concat!("^[^", no_tag!(), "]{0,256}$"), "up to 256 letters, digits, spaces and + - = . _ : / @", [];
    OneLine, concat!("^[^", control!(), "]+$"), "text of one line", [];
    Owner, "^[0-9]+:[0-9]+$", "numbers, as \"1000:1000\", in quotes", ["1000:1000"];
    Mode, "^[0-7]{3,4}$", "three or four octal digits in quotes, as \"0755\"", ["0755"];
    Device, r"^(instance_store|/dev(?!/nvme)(/(?!\.{1,2}(/|$))[A-Za-z0-9_.:@+-]+)+)$",
        "the name in the block device mapping, as /dev/xvdcy, or instance_store", ["/dev/xvdcy", "instance_store"];
    LogGroupName, log_name("A-Za-z0-9_/.#-").replacen('^', "^(?!aws/)", 1),
        "letters, digits and - _ / . #, ${stack}, ${resource}, ${region}, ${account}, ${cluster}, and {instance_id} and its like",
        ["${stack}/ec2/${resource}"];
    LogStreamName, log_name(concat!("^:*{}$", control!(), r"\u2028\u2029")),
        "anything but : and *, ${stack}, ${resource}, ${region}, ${account}, ${cluster}, and {instance_id} and its like",
        ["{instance_id}"];
    LogPath, concat!("^(?![\\s\\S]*[", control_or_blank!(), r"]$)(/(?!\.{1,2}(/|$))[^/", control!(), "]+)+$"),
        "a path that begins with /, with * ? [a-z] and ** as wildcards", ["/var/log/app/*.log"];
    TimestampFormat, concat!(r"^(?=[\s\S]*%-?d)(?=[\s\S]*%(-?m|b|B))([^%\\0-9", control!(), "]|%(-[mdIMS]|[YymbBdaAHIpMSfzZ]))+$"),
        "a date and a time in the directives of strftime(3) that the CloudWatch agent knows", ["%Y-%m-%d %H:%M:%S"];
    RegularExpression, concat!("^[^", control!(), "]+$"), "a regular expression in the syntax of Go", [];
    StartPattern, concat!("^[^", control!(), "]+$"), "a regular expression in the syntax of Go, or {timestamp_format}",
        ["{timestamp_format}"];
    Encoding, concat!("^[^", control_or_blank!(), "]+$"), "the name of an encoding, such as utf-16 or iso-8859-1", ["utf-16"];
    ImageName, ImageName::pattern(), "[HOST[:PORT]/]PATH[:TAG][@DIGEST]",
        ["123456789012.dkr.ecr.eu-central-1.amazonaws.com/base:7", "public.ecr.aws/docker/library/nginx:1.29"];
    RoleArn, r"^(?=.{1,2048}$)arn:[A-Za-z0-9-]+:iam::[0-9]{12}:role/[A-Za-z0-9_+=,.@:/-]+$", "the ARN of an IAM role",
        ["arn:aws:iam::123456789012:role/logs"];
    TimeSpan, time_span(), "a number and its unit, as 90s, 15m or 1h 30m; at most 12h", ["90s", "15m", "1h 30m"];
    ProxyUrl, concat!("^[Hh][Tt][Tt][Pp][Ss]?://[^/?#\\\\", control_or_blank!(), "]+[/\\\\]?$"),
        "http:// or https://, a host and a port, as http://proxy.internal:3128", ["http://proxy.internal:3128"];
    WaitHandle, concat!("^[Hh][Tt][Tt][Pp][Ss]?://[^/\\\\", control_or_blank!(), "][^", control_or_blank!(), "]*$"),
        "the value of !Ref for the WaitConditionHandle", [];
}

/// Returns the pattern of the names of log groups or streams; `class` lists the plain characters.
fn log_name(class: &str) -> String {
    let placeholders = "instance_id|hostname|local_hostname|ip_address|aws_region|account_id|date";
    let dollar = if class.contains('$') { r"|\$(?!\$?\{|[A-Za-z0-9_])" } else { "" };
    format!(r"^([{class}]{dollar}|\$\{{(stack|resource|region|account|cluster)\}}|\{{({placeholders})\}})+$")
}

/// Returns the pattern of the spans of time that `humantime` reads, with all its names of units.
fn time_span() -> String {
    let units = "nanos|nsec|ns|usec|us|µs|millis|msec|ms|seconds|second|secs|sec|s|minutes|minute|mins|min|m|\
                 hours|hour|hrs|hr|h|days|day|d|weeks|week|wks|wk|w|months|month|M|years|year|yrs|yr|y";
    format!(r"^ *([0-9][0-9 ]*(\. *[0-9][0-9 ]*)?({units}) *)+$")
}

schemas! {
    RetentionDays, json_schema!({ "type": "integer", "enum": RetentionDays::ALL });
    EcsVariables, variables();
    Command, json_schema!({
        "anyOf": [
            { "type": "array", "items": { "type": "string", "pattern": closed(r"^[^\u0000]*$") }, "minItems": 1 },
            json_schema!({ "type": "string", "pattern": closed(r"^[^\u0000]*[^\s\u0000][^\u0000]*$") }),
        ],
        "examples": [["/opt/install.sh", "--quiet"]],
        "$comment": "a list of a program and its arguments, or a text for /bin/sh",
    });
}

fn variables() -> Schema {
    let properties: serde_json::Map<_, _> =
        usable().map(|(name, kind)| ((*name).to_owned(), variable(*kind))).collect();
    let of_service = json!({ closed(&format!("^{SERVICE_ENDPOINT}[A-Z0-9_]+$")): variable(VariableKind::Text) });
    json_schema!({
        "type": "object", "properties": properties, "patternProperties": of_service, "additionalProperties": false,
    })
}

/// Returns a pattern that matches a word in any case. JSON Schema's patterns have no flag for case.
fn any_case(word: &str) -> String {
    let letter = |c: char| match c.is_ascii_alphabetic() {
        true => format!("[{}{}]", c.to_ascii_lowercase(), c.to_ascii_uppercase()),
        false => c.to_string(),
    };
    word.chars().map(letter).collect()
}

/// Makes the schema of a variable of the ECS agent. Numbers and lists may be text too, as in `ecs.config`.
fn variable(kind: VariableKind) -> Value {
    let any_of = |description: &str, forms: Value| json!({ "description": description, "anyOf": forms });
    let one_line =
        json!([{ "type": "string", "pattern": closed(TRIMMED) }, { "type": "number" }, { "type": "boolean" }]);
    let or_reference = |forms: &Value| {
        json!(forms.as_array().into_iter().flatten().cloned().chain([json!({ "$ref": REFERENCE })]).collect::<Vec<_>>())
    };
    let list = json!([{ "type": "array" }, { "type": "string", "pattern": closed(JSON_LIST) }]);
    let mapping = json!([
        { "type": "object", "not": no_reference() }, { "type": "string", "pattern": closed(JSON_OBJECT) },
        { "$ref": REFERENCE },
    ]);
    let described = |description: &str, mut schema: Schema| {
        schema.insert("description".to_owned(), description.into());
        schema.to_value()
    };
    match kind {
        VariableKind::RateAndBurst | VariableKind::PortRange | VariableKind::Elsewhere(_) => {
            any_of("Text of one line.", one_line)
        }
        VariableKind::Text => any_of("Text of one line.", or_reference(&one_line)),
        VariableKind::Secret => any_of("Text of one line, which is never shown.", or_reference(&one_line)),
        VariableKind::Bool => json!({
            "description": "true or false.",
            "enum": [true, false, 1, 0, "true", "false", "True", "False", "TRUE", "FALSE", "T", "F", "t", "f", "1", "0"],
        }),
        VariableKind::Level => {
            let words = LEVELS.iter().map(|word| any_case(word)).collect::<Vec<_>>().join("|");
            let description = format!("A level of the log, in any case: {}.", LEVELS.join(", "));
            described(&description, text(&format!("^({words})$"), "one of these words", &["debug"]))
        }
        VariableKind::Decimal => {
            let written = text("^([0-9]+\\.?[0-9]*|\\.[0-9]+)$", "digits and a point", &[]);
            any_of("A number, which may have a fraction.", json!([{ "type": "number", "minimum": 0 }, written]))
        }
        VariableKind::Number(..) => {
            let number = json!({ "type": "integer", "minimum": 0, "maximum": i64::MAX });
            any_of("A whole number.", json!([number, text("^[0-9]{1,19}$", "digits only", &[])]))
        }
        VariableKind::Duration(..) => {
            let form = "numbers with units, as 30s, 5m or 1h30m";
            described("A duration.", text(GO_DURATION, form, &["30s", "5m", "1h30m"]))
        }
        VariableKind::OneOf(words) => json!({ "description": "One of these words.", "type": "string", "enum": words }),
        VariableKind::List(_) => any_of("A list, or a JSON array as a string.", list),
        VariableKind::Object => any_of("A mapping, or a JSON object as a string.", mapping),
        VariableKind::SecretObject => any_of("A mapping, or a JSON object as a string; never shown.", mapping),
    }
}
