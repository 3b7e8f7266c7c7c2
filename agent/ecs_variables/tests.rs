use super::*;
use serde_json::json;

use crate::document::decode::Document;

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
    let table: [(&str, Value, Option<&str>); 41] = [
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
        ("ECS_LOGLEVEL", json!("INFO"), Some("INFO")),
        ("ECS_LOGLEVEL_ON_INSTANCE", json!("None"), Some("None")),
        ("ECS_IMAGE_PULL_BEHAVIOR", json!("ALWAYS"), None),
        ("ECS_SELINUX_CAPABLE", json!(1), Some("true")),
        ("ECS_SELINUX_CAPABLE", json!("FALSE"), Some("false")),
        ("ECS_SELINUX_CAPABLE", json!("tRUE"), None),
        ("ECS_LOG_MAX_FILE_SIZE_MB", json!(0.5), Some("0.5")),
        ("ECS_LOG_MAX_FILE_SIZE_MB", json!("12"), Some("12")),
        ("ECS_LOG_MAX_FILE_SIZE_MB", json!("1e3"), None),
        ("ECS_LOG_MAX_FILE_SIZE_MB", json!("."), None),
        ("AWS_USE_FIPS_ENDPOINT", json!(true), Some("true")),
        ("AWS_ENDPOINT_URL_ECS", json!("https://ecs.corp.example"), Some("https://ecs.corp.example")),
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", json!("ipv6"), None),
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

#[test]
fn variables_of_the_sdk_are_known_by_service() {
    assert!(
        ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL_CLOUDWATCH_LOGS"]
            .into_iter()
            .all(|name| kind(name).is_some())
    );
    assert!(["AWS_ENDPOINT_URL_", "AWS_ENDPOINT_URL_s3", "AWS_ENDPOINT"].into_iter().all(|name| kind(name).is_none()));
}

#[test]
fn a_suggestion_is_made_for_what_is_really_alike() {
    let said = |name: &str| {
        let text = format!("ecs: {{cluster: a, config: {{{name}: x}}}}");
        let parsed = crate::config::parse(&[Document::read("user data", text, false)]);
        parsed.problems[0].to_string()
    };
    for (wrong, right) in [
        ("ECS_ENABLE_SPOT_DRAINING", "ECS_ENABLE_SPOT_INSTANCE_DRAINING"),
        ("ECS_LOG_LEVEL", "ECS_LOGLEVEL"),
        ("ecs_loglevel", "ECS_LOGLEVEL"),
        ("AWS_USE_FIPS_ENDPOINTS", "AWS_USE_FIPS_ENDPOINT"),
    ] {
        assert!(said(wrong).contains(&format!("did you mean `{right}`?")), "{}", said(wrong));
    }
    for wrong in ["AWS_SDK_LOAD_CONFIG", "ECS_IMAGE_MIRROR", "HOME"] {
        assert!(!said(wrong).contains("did you mean"), "{}", said(wrong));
    }
}
