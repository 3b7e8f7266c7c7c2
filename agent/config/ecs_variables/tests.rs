use super::*;
use serde_json::json;

#[test]
fn names_are_sorted_and_unique() {
    assert!(VARIABLES.windows(2).all(|pair| pair[0].0 < pair[1].0));
}

#[test]
fn a_value_is_secret_by_its_variable_or_by_what_is_in_it() {
    for (name, value, secret) in [
        ("AWS_SESSION_TOKEN", "x", true),
        ("ECS_ENGINE_AUTH_DATA", "{}", true),
        ("ECS_LOG_OPTS", r#"{"splunk-url":"https://h"}"#, false),
        ("ECS_LOG_OPTS", r#"{"mail":"me@h","n":1}"#, false),
        ("ECS_LOG_OPTS", r#"{"splunk-token":"x"}"#, true),
        ("ECS_LOG_OPTS", r#"{"a":[{"b":["https://me:x@h"]}]}"#, true),
        ("ECS_BACKEND_HOST", r#"{"splunk-token":"x"}"#, false),
        ("NO_SUCH", r#"{"splunk-token":"x"}"#, false),
    ] {
        assert_eq!(is_secret(name, value), secret, "{name}={value}");
    }
}

#[test]
fn each_kind_accepts_and_refuses() {
    let table: [(&str, Value, Option<&str>); 28] = [
        ("ECS_ENABLE_SPOT_INSTANCE_DRAINING", json!(true), Some("true")),
        ("ECS_ENABLE_SPOT_INSTANCE_DRAINING", json!("false"), Some("false")),
        ("ECS_ENABLE_SPOT_INSTANCE_DRAINING", json!("yes"), None),
        ("ECS_RESERVED_MEMORY", json!(256), Some("256")),
        ("ECS_RESERVED_MEMORY", json!(-1), None),
        ("ECS_CONTAINER_STOP_TIMEOUT", json!("1h30m"), Some("1h30m")),
        ("ECS_CONTAINER_STOP_TIMEOUT", json!("1.5h"), Some("1.5h")),
        ("ECS_CONTAINER_STOP_TIMEOUT", json!(30), None),
        ("ECS_CONTAINER_STOP_TIMEOUT", json!("h"), None),
        ("ECS_LOGLEVEL", json!("debug"), Some("debug")),
        ("ECS_LOGLEVEL", json!("loud"), None),
        ("ECS_RESERVED_PORTS", json!([22, 2375]), Some("[22,2375]")),
        ("ECS_RESERVED_PORTS", json!("[22"), None),
        ("ECS_LOG_OPTS", json!({"max-size": "10m"}), Some(r#"{"max-size":"10m"}"#)),
        ("ECS_RESERVED_MEMORY", json!("1".repeat(19)), Some(&"1".repeat(19))),
        ("ECS_RESERVED_MEMORY", json!("1".repeat(20)), None),
        ("ECS_RESERVED_PORTS", json!({}), None),
        ("ECS_LOG_OPTS", json!([]), None),
        ("ECS_ENGINE_AUTH_DATA", json!({}), Some("{}")),
        ("ECS_ENGINE_AUTH_DATA", json!("x"), None),
        ("AWS_SESSION_TOKEN", json!("x"), Some("x")),
        ("ECS_BACKEND_HOST", json!("a\nb"), None),
        ("ECS_BACKEND_HOST", json!(" a"), None),
        ("ECS_BACKEND_HOST", json!(""), None),
        ("ECS_BACKEND_HOST", json!(null), None),
        ("ECS_BACKEND_HOST", json!(["a"]), None),
        ("ECS_BACKEND_HOST", json!({}), None),
        ("ECS_CLUSTER", json!("x"), None),
    ];
    for (name, value, expected) in table {
        let rendered = render(kind(name).unwrap(), &value).ok();
        assert_eq!(rendered.as_deref(), expected, "{name}={value}");
    }
}
