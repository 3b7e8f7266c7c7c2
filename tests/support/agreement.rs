//! Checks that the JSON Schema accepts and refuses what the parser accepts and refuses, of documents made or changed at random.

use std::sync::OnceLock;

use ecs_firstrun::config::schema::schema;
use ecs_firstrun::run::documents;
use jsonschema::Validator;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value, json};

const TAG_KEY: &str = "is not a key that AWS allows for a tag";
const TAG_VALUE: &str = "is not a value that AWS allows for a tag";

/// Mistakes that only the parser refuses, not the schema: words of the message, and a document with the mistake.
pub const DIFFERENCES: &[(&str, &str)] = &[
    // Two values that must not be the same, or must fit together.
    (
        "is already mounted on",
        r#"{"storage": [{"device": "/dev/xvdb", "mount": "/a", "label": "a"}, {"device": "/dev/xvdc", "mount": "/a", "label": "b"}]}"#,
    ),
    (
        "already uses",
        r#"{"storage": [{"device": "/dev/xvdb", "mount": "/a"}, {"device": "/dev/xvdb", "mount": "/b"}]}"#,
    ),
    (
        "already has the label",
        r#"{"storage": [{"device": "/dev/xvdb", "mount": "/a/x"}, {"device": "/dev/xvdc", "mount": "/b/x"}]}"#,
    ),
    (
        "would hide",
        r#"{"storage": [{"device": "/dev/xvdb", "mount": "/a/b"}, {"device": "/dev/xvdc", "mount": "/a"}]}"#,
    ),
    (
        "already has the name",
        r#"{"ecs": {"cluster": "a"}, "hooks": {"before_docker": [{"name": "a", "run": "x"}, {"name": "a", "run": "y"}]}}"#,
    ),
    // Selectors of a secret both behind its ARN and beside it.
    (
        "stands beside an ARN with selectors",
        r#"{"proxy": {"url": {"secretsmanager": "arn:aws:secretsmanager:eu-west-1:1:secret:a:b", "key": "c"}}}"#,
    ),
    (
        "is given twice",
        r#"{"proxy": {"url": {"secretsmanager": "a", "version_stage": "A", "version_id": "EXAMPLE1-90ab-cdef-fedc-ba987EXAMPLE"}}}"#,
    ),
    (
        "is not the ID of a version",
        r#"{"proxy": {"url": {"secretsmanager": "arn:aws:secretsmanager:eu-west-1:1:secret:a:::b"}}}"#,
    ),
    ("`aws.fips` is true", r#"{"aws": {"fips": true}, "ecs": {"config": {"AWS_USE_FIPS_ENDPOINT": false}}}"#),
    ("already pulls", r#"{"docker": {"pull": [{"image": "nginx"}, {"image": "docker.io/library/nginx:latest"}]}}"#),
    // What comes before what.
    ("nothing registers here", r#"{"hooks": {"after_registration": [{"name": "a", "run": "x"}]}}"#),
    // The first item of a list has a rule of its own, which drafts of JSON Schema spell differently.
    ("nothing starts Docker here", r#"{"hooks": {"before_ecs": [{"name": "a", "run": "x"}]}}"#),
    (
        "the program's name has a blank",
        r#"{"ecs": {"cluster": "a"}, "hooks": {"before_docker": [{"name": "a", "run": ["a b"]}]}}"#,
    ),
    ("the hook has no program", r#"{"hooks": {"before_docker": [{"name": "a", "run": [""]}]}}"#),
    // Mount options of the kernels, which are written down once, in `mount_options`.
    ("no volume can be mounted with", r#"{"storage": [{"device": "/dev/xvdb", "mount": "/a", "options": ["bind"]}]}"#),
    ("is an option of", r#"{"storage": [{"device": "/dev/xvdb", "mount": "/a", "options": ["commit=9"]}]}"#),
    ("is listed twice", r#"{"logs": {"files": [{"path": "/a"}, {"path": "/a", "encoding": "utf-16"}]}}"#),
    (
        "a format that ends in Z",
        r#"{"logs": {"files": [{"path": "/a", "timestamp_format": "%d %mZ", "timezone": "local"}]}}"#,
    ),
    (
        "needs a `timestamp_format`",
        r#"{"logs": {"files": [{"path": "/a", "multi_line_start_pattern": "{timestamp_format}"}]}}"#,
    ),
    (
        "gets another retention",
        r#"{"logs": {"files": [{"path": "/a", "group": "x", "retention_days": 1}, {"path": "/b", "group": "x", "retention_days": 3}]}}"#,
    ),
    // Names whose length depends on what is filled in.
    ("the name of the log", "\"long name\""),
    // The CloudWatch agent's grammars, which are written down once, in `types/log_formats` and `types/regular_expression`.
    ("can't stand in a format", r#"{"logs": {"files": [{"path": "/a", "timestamp_format": "Monday %d %m"}]}}"#),
    ("names archives", r#"{"logs": {"files": [{"path": "/a.gz"}]}}"#),
    ("is not a pattern of paths", r#"{"logs": {"files": [{"path": "/[a"}]}}"#),
    ("is not a regular expression", r#"{"logs": {"files": [{"path": "/a", "exclude": "("}]}}"#),
    ("is not of Go's syntax", r#"{"logs": {"files": [{"path": "/a", "exclude": "a**"}]}}"#),
    ("there is no encoding", r#"{"logs": {"files": [{"path": "/a", "encoding": "utf_8"}]}}"#),
    (
        "the stack is in",
        r#"{"signal": {"stack": "arn:aws:cloudformation:us-east-1:1:stack/web/1", "resource": "A", "region": "eu-west-1"}}"#,
    ),
    ("has no value here", r#"{"logs": {"group": "${stack}"}}"#),
    // Rules of the host and the ECS agent, which are written down once, in `mount_points` and `ecs_variables/values`.
    ("a volume can't be mounted on", r#"{"storage": [{"device": "/dev/xvdb", "mount": "/usr/x"}]}"#),
    (
        "the ECS agent doesn't know",
        r#"{"ecs": {"cluster": "a", "config": {"ECS_AVAILABLE_LOGGING_DRIVERS": ["json"]}}}"#,
    ),
    (
        "is not a network",
        r#"{"ecs": {"cluster": "a", "config": {"ECS_AWSVPC_ADDITIONAL_LOCAL_ROUTES": ["10.2.0.0"]}}}"#,
    ),
    ("is not a port", r#"{"ecs": {"cluster": "a", "config": {"ECS_RESERVED_PORTS": [65536]}}}"#),
    ("is not text", r#"{"ecs": {"cluster": "a", "config": {"ECS_VOLUME_PLUGIN_CAPABILITIES": [1]}}}"#),
    ("is not a rate and a burst", r#"{"ecs": {"cluster": "a", "config": {"ECS_TASK_METADATA_RPS_LIMIT": "40"}}}"#),
    ("is not a range of ports", r#"{"ecs": {"cluster": "a", "config": {"ECS_DYNAMIC_HOST_PORT_RANGE": "9-8"}}}"#),
    ("is too short", r#"{"ecs": {"cluster": "a", "config": {"ECS_CONTAINER_START_TIMEOUT": "30s"}}}"#),
    // systemd's rules for a line.
    ("would misread the value", r#"{"ecs": {"cluster": "a", "config": {"ECS_BACKEND_HOST": "'"}}}"#),
    // Texts that dockerd reads, whose grammars are written down once, in `daemon_json/values`.
    ("an IP address is expected", r#"{"docker": {"daemon": {"dns": ["10.0.0"]}}}"#),
    ("an IPv6 network is expected", r#"{"docker": {"daemon": {"fixed-cidr-v6": "10.0.0.0/8"}}}"#),
    ("a size as text is expected", r#"{"docker": {"daemon": {"default-shm-size": "64 bits"}}}"#),
    ("another word is expected", r#"{"docker": {"daemon": {"log-level": "verbose"}}}"#),
    ("a label is expected", r#"{"docker": {"daemon": {"labels": ["a"]}}}"#),
    ("a generic resource is expected", r#"{"docker": {"daemon": {"node-generic-resources": ["gpu"]}}}"#),
    ("the URL of a mirror is expected", r#"{"docker": {"daemon": {"registry-mirrors": ["mirror.local:5000"]}}}"#),
    (
        "a network is expected",
        r#"{"docker": {"daemon": {"default-address-pools": [{"base": "10.0.0.0", "size": 24}]}}}"#,
    ),
    ("a domain is expected", r#"{"docker": {"daemon": {"dns-search": ["corp_example"]}}}"#),
    ("a user is expected", r#"{"docker": {"daemon": {"userns-remap": "a:b:c"}}}"#),
    ("` without `tls", r#"{"docker": {"daemon": {"tlsverify": true}}}"#),
    // A document that configures nothing.
    ("nothing is configured", r#"{"storage": []}"#),
    // Numbers and lengths within text.
    ("is out of range", r#"{"wait": {"timeout": "13h"}}"#),
    ("is not a duration", r#"{"wait": {"timeout": "99999999999999999999h"}}"#),
    (
        "is not an owner",
        r#"{"storage": [{"device": "/dev/xvdb", "mount": "/a", "directories": [{"path": "b", "owner": "0:4294967296"}]}]}"#,
    ),
    ("is not an absolute path", "\"long path\""),
    ("the name of the image is too long", "\"long image\""),
    ("is not a URL", r#"{"proxy": {"url": "http://h:99999"}}"#),
    // Signs beyond ASCII, of which a pattern that each validator reads knows only the most common ones.
    (TAG_KEY, r#"{"ecs": {"cluster": "a", "tags": {"\ud83d\ude00": "x"}}}"#),
    (TAG_VALUE, r#"{"ecs": {"cluster": "a", "tags": {"x": "\ud83d\ude00"}}}"#),
    // JSON within text.
    ("the value is not a list", r#"{"ecs": {"cluster": "a", "config": {"ECS_RESERVED_PORTS": "[22,]"}}}"#),
    ("the value is not a mapping", r#"{"ecs": {"cluster": "a", "config": {"ECS_LOG_OPTS": "{a}"}}}"#),
    (
        "a line break or another control character",
        r#"{"ecs": {"cluster": "a", "config": {"ECS_RESERVED_PORTS": ["\u0085"]}}}"#,
    ),
    // Numbers that JSON Schema takes for whole ones.
    ("a whole number is expected", r#"{"logs": {"retention_days": 30.0}}"#),
    ("the value is not a whole number", r#"{"ecs": {"cluster": "a", "config": {"ECS_RESERVED_MEMORY": 30.0}}}"#),
];

/// Made once: its hundreds of patterns take a while.
pub fn validator() -> &'static Validator {
    static VALIDATOR: OnceLock<Validator> = OnceLock::new();
    VALIDATOR.get_or_init(|| jsonschema::validator_for(&schema()).unwrap())
}

/// Returns the messages of the parser's problems with a document.
pub fn problems(document: &Value) -> Vec<String> {
    let parsed = documents("user data", format!("#ecs-firstrun\n{document}\n").as_bytes());
    parsed.problems.iter().map(|problem| problem.message.clone()).collect()
}

/// Fails where schema and parser differ, and no difference above says why.
pub fn same(document: &Value) -> Result<(), String> {
    let validator = validator();
    let (problems, valid) = (problems(document), validator.is_valid(document));
    // Within ASCII the schema knows all that a tag can't have.
    let excused = |words: &str, problem: &str| ![TAG_KEY, TAG_VALUE].contains(&words) || !problem.is_ascii();
    let known =
        |problem: &String| DIFFERENCES.iter().any(|(words, _)| problem.contains(words) && excused(words, problem));
    match (problems.is_empty(), valid) {
        (true, false) => {
            let errors: Vec<_> = validator.iter_errors(document).map(|error| error.to_string()).collect();
            Err(format!("only the schema refuses {document}: {errors:?}"))
        }
        (false, true) if !problems.iter().all(known) => {
            Err(format!("only the parser refuses {document}: {problems:?}"))
        }
        _ => Ok(()),
    }
}

/// A value that may stand anywhere: of each kind, and text on both sides of each grammar's border.
pub fn any_value() -> impl Strategy<Value = Value> {
    let texts = [
        "",
        " ",
        "text",
        " x",
        "x ",
        "a b",
        "a\nb",
        "a\tb",
        "é",
        "\u{feff}",
        "\u{a0}",
        "true",
        "-5",
        "+5",
        "0755",
        "0999",
        "+755",
        "1h 30m",
        "15",
        "1.5h",
        "1 5 m",
        "15m ",
        "0.1d",
        "1h\t5m",
        "/",
        "/data",
        "/data/",
        "//",
        "/a/../b",
        "/a ",
        "a/b",
        "../a",
        "/dev/xvdz",
        "/dev/nvme1n1",
        "/dev/../etc",
        "instance_store",
        "1000:1000",
        "+1:1",
        "HTTP://h",
        "http://h/",
        "http:///h",
        "https://u:p@h:1",
        "http://h/x",
        "http://h?x",
        "socks5://h:1",
        "arn:aws:ecs:r:1:cluster/c",
        "arn:aws:ec2:r:1:cluster/c",
        "arn:aws:cloudformation:us-east-1:1:stack/web/1",
        "us-east-1",
        "US-EAST-1",
        "${stack}",
        "${x}",
        "{instance_id}",
        "$",
        "${stack",
        "aws:x",
        "xfs",
        "ext4",
        "auto",
        "iam",
        "none",
        "1h30m",
        ".5s",
        "1.s",
        "5µs",
        "[1]",
        "{}",
        "{\"a\":1}",
        "[",
        "debug",
    ];
    prop_oneof![
        4 => select(texts.to_vec()).prop_map(Value::from),
        2 => "\\PC{0,5}".prop_map(Value::from),
        1 => "[a-zA-Z0-9/:._ -]{1,300}".prop_map(Value::from),
        1 => any::<i64>().prop_map(Value::from),
        1 => select(vec![json!(0), json!(1), json!(30), json!(-1), json!(1.5), json!(30.0), json!(1e19), json!(4_294_967_296_u64)]),
        1 => select(vec![json!(null), json!(true), json!(false), json!([]), json!({}), json!([1]), json!({"a": "b"}), json!([{}])]),
    ]
}

/// A change somewhere in a document: which place, and what is done there.
#[derive(Clone, Debug)]
pub enum Change {
    Replace(Value),
    Remove,
    Rename(String),
    Add(String, Value),
    /// Text with one character replaced.
    Character(Index, char),
}

pub fn change() -> impl Strategy<Value = (Index, Change)> {
    let keys = || {
        select(vec!["x", "cluster", "label", "data-root", "region", "wait_handle", "timeout", "aws:k", "k é", "a b"])
    };
    let what = prop_oneof![
        6 => any_value().prop_map(Change::Replace),
        1 => Just(Change::Remove),
        1 => keys().prop_map(|key| Change::Rename(key.to_owned())),
        2 => (keys(), any_value()).prop_map(|(key, value)| Change::Add(key.to_owned(), value)),
        3 => (any::<Index>(), select(" /:.%$é\n\u{85}\u{2028}-_+09azA@#".chars().collect::<Vec<_>>()))
            .prop_map(|(at, with)| Change::Character(at, with)),
    ];
    (any::<Index>(), what)
}

/// The pointers to all values of a document.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Object(entries) => entries.iter().for_each(|(key, value)| {
            places(value, &format!("{at}/{}", key.replace('~', "~0").replace('/', "~1")), found);
        }),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, item)| places(item, &format!("{at}/{index}"), found));
        }
        _ => {}
    }
}

pub fn apply(document: &mut Value, place: &Index, change: Change) {
    let mut found = Vec::new();
    places(document, "", &mut found);
    let at = place.get(&found).clone();
    let parent =
        at.rsplit_once('/').map(|(parent, key)| (parent.to_owned(), key.replace("~1", "/").replace("~0", "~")));
    let (Some(target), Some((parent, key))) = (document.pointer_mut(&at), parent) else { return };
    match change {
        Change::Replace(value) => *target = value,
        Change::Character(index, with) => {
            if let Value::String(text) = target
                && !text.is_empty()
            {
                let mut characters: Vec<_> = text.chars().collect();
                *index.get_mut(&mut characters) = with;
                *text = characters.into_iter().collect();
            }
        }
        Change::Add(key, value) => {
            if let Value::Object(entries) = target {
                entries.insert(key, value);
            }
        }
        Change::Remove | Change::Rename(_) => {
            let Some(Value::Object(entries)) = document.pointer_mut(&parent) else { return };
            let Some(value) = entries.remove(&key) else { return };
            if let Change::Rename(key) = change {
                entries.insert(key, value);
            }
        }
    }
}
