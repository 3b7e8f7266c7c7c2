//! The variables of the ECS agent's configuration, with their kinds.
//!
//! From the agent's README and `agent/config/parse.go`, version 1.105. A name is refused here if another key of our
//! configuration sets the same variable, so that each setting has one place.

mod form;
mod line;
mod values;

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Error as _, MapAccess, Visitor};
use serde_json::Value;

use self::form::EVER;
pub use self::form::{Items, VariableKind};
pub use self::line::{read_back, written};
use crate::secrets::is_secret_key;
use crate::text::did_you_mean;

/// A number without a bound.
const NUMBER: VariableKind = VariableKind::Number(0, u64::MAX);
/// The most processes that the kernel can have: `PID_MAX_LIMIT` of its `linux/threads.h`.
const MOST_PROCESSES: u64 = 4_194_304;
/// A span of time without a bound.
const DURATION: VariableKind = VariableKind::Duration(0.0, f64::INFINITY);
/// `LoggingDriverMinimumVersion` of the agent's `dockerclient/logging_drivers.go`.
const LOGGING_DRIVERS: &[&str] =
    &["awslogs", "fluentd", "gelf", "journald", "json-file", "logentries", "none", "splunk", "sumologic", "syslog"];

/// The levels of `ecs-agent/logger/log.go`.
pub(super) const LEVELS: &[&str] = &["crit", "error", "warn", "info", "debug", "none"];

/// The variables by name; sorted, so that the list in an error reads well.
#[rustfmt::skip]
const VARIABLES: &[(&str, VariableKind)] = &[
    ("AWS_ACCESS_KEY_ID", VariableKind::Secret),
    ("AWS_CA_BUNDLE", VariableKind::Text),
    ("AWS_DEFAULT_REGION", VariableKind::Text),
    ("AWS_EC2_METADATA_SERVICE_ENDPOINT", VariableKind::Text),
    ("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", VariableKind::OneOf(&["IPv4", "IPv6"])),
    ("AWS_EC2_METADATA_V1_DISABLED", VariableKind::Bool),
    ("AWS_ENDPOINT_URL", VariableKind::Text),
    ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", VariableKind::Bool),
    ("AWS_MAX_ATTEMPTS", NUMBER),
    ("AWS_REGION", VariableKind::Text),
    ("AWS_RETRY_MODE", VariableKind::OneOf(&["standard", "adaptive"])),
    ("AWS_SECRET_ACCESS_KEY", VariableKind::Secret),
    ("AWS_SESSION_TOKEN", VariableKind::Secret),
    ("AWS_USE_DUALSTACK_ENDPOINT", VariableKind::Bool),
    ("AWS_USE_FIPS_ENDPOINT", VariableKind::Bool),
    ("CREDENTIALS_FETCHER_HOST", VariableKind::Text),
    ("CREDENTIALS_FETCHER_SECRET_NAME_FOR_DOMAINLESS_GMSA", VariableKind::Text),
    ("DOCKER_HOST", VariableKind::Text),
    ("ECS_AGENT_APPARMOR_PROFILE", VariableKind::Text),
    ("ECS_AGENT_CONFIG_FILE_PATH", VariableKind::Text),
    ("ECS_AGENT_HEALTHCHECK_HOST", VariableKind::Text),
    ("ECS_AGENT_LABELS", VariableKind::Object),
    ("ECS_AGENT_PID_NAMESPACE_HOST", VariableKind::Bool),
    ("ECS_AGENT_RUN_PRIVILEGED", VariableKind::Bool),
    ("ECS_ALLOW_OFFHOST_INTROSPECTION_ACCESS", VariableKind::Bool),
    ("ECS_ALTERNATE_CREDENTIAL_PROFILE", VariableKind::Text),
    ("ECS_APPARMOR_CAPABLE", VariableKind::Bool),
    ("ECS_AUDIT_LOGFILE", VariableKind::Text),
    ("ECS_AUDIT_LOGFILE_DISABLED", VariableKind::Bool),
    ("ECS_AVAILABLE_LOGGING_DRIVERS", VariableKind::List(Items::SomeOf(LOGGING_DRIVERS))),
    ("ECS_AWSVPC_ADDITIONAL_LOCAL_ROUTES", VariableKind::List(Items::Networks)),
    ("ECS_AWSVPC_BLOCK_IMDS", VariableKind::Bool),
    ("ECS_BACKEND_HOST", VariableKind::Text),
    ("ECS_CGROUP_CPU_PERIOD", VariableKind::Duration(0.008, 0.1)),
    ("ECS_CGROUP_PATH", VariableKind::Text),
    ("ECS_CHECKPOINT", VariableKind::Bool),
    ("ECS_CLUSTER", VariableKind::Elsewhere("ecs.cluster")),
    ("ECS_CNI_PLUGINS_PATH", VariableKind::Text),
    ("ECS_CONTAINER_CREATE_TIMEOUT", VariableKind::Duration(60.0, EVER)),
    ("ECS_CONTAINER_INSTANCE_PROPAGATE_TAGS_FROM", VariableKind::OneOf(&["none", "ec2_instance"])),
    ("ECS_CONTAINER_INSTANCE_TAGS", VariableKind::Elsewhere("ecs.tags")),
    ("ECS_CONTAINER_START_TIMEOUT", VariableKind::Duration(45.0, EVER)),
    ("ECS_CONTAINER_STOP_TIMEOUT", VariableKind::Duration(1.0, EVER)),
    ("ECS_DATADIR", VariableKind::Text),
    ("ECS_DISABLE_DOCKER_HEALTH_CHECK", VariableKind::Bool),
    ("ECS_DISABLE_IMAGE_CLEANUP", VariableKind::Bool),
    ("ECS_DISABLE_METRICS", VariableKind::Bool),
    ("ECS_DISABLE_PRIVILEGED", VariableKind::Bool),
    ("ECS_DISABLE_TASK_METADATA_AZ", VariableKind::Bool),
    ("ECS_DYNAMIC_HOST_PORT_RANGE", VariableKind::PortRange),
    ("ECS_EBSTA_SUPPORTED", VariableKind::Bool),
    ("ECS_ENABLE_AWSLOGS_EXECUTIONROLE_OVERRIDE", VariableKind::Bool),
    ("ECS_ENABLE_CONTAINER_METADATA", VariableKind::Bool),
    ("ECS_ENABLE_FIRELENS_ASYNC", VariableKind::Bool),
    ("ECS_ENABLE_GPU_SUPPORT", VariableKind::Bool),
    ("ECS_ENABLE_HIGH_DENSITY_ENI", VariableKind::Bool),
    ("ECS_ENABLE_INF_SUPPORT", VariableKind::Bool),
    ("ECS_ENABLE_PROMETHEUS_METRICS", VariableKind::Bool),
    ("ECS_ENABLE_RUNTIME_STATS", VariableKind::Bool),
    ("ECS_ENABLE_SPOT_INSTANCE_DRAINING", VariableKind::Bool),
    ("ECS_ENABLE_TASK_CPU_MEM_LIMIT", VariableKind::Bool),
    ("ECS_ENABLE_TASK_ENI", VariableKind::Bool),
    ("ECS_ENABLE_TASK_IAM_ROLE", VariableKind::Bool),
    ("ECS_ENABLE_TASK_IAM_ROLE_NETWORK_HOST", VariableKind::Bool),
    ("ECS_ENABLE_UNTRACKED_IMAGE_CLEANUP", VariableKind::Bool),
    ("ECS_ENGINE_AUTH_DATA", VariableKind::SecretObject),
    ("ECS_ENGINE_AUTH_TYPE", VariableKind::OneOf(&["dockercfg", "docker"])),
    ("ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION", VariableKind::Duration(1.0, EVER)),
    ("ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION_JITTER", DURATION),
    ("ECS_EXCLUDE_IPV6_PORTBINDING", VariableKind::Bool),
    ("ECS_EXCLUDE_UNTRACKED_IMAGE", VariableKind::Text),
    ("ECS_EXTERNAL", VariableKind::Bool),
    ("ECS_GMSA_SUPPORTED", VariableKind::Bool),
    ("ECS_HOST_DATA_DIR", VariableKind::Text),
    ("ECS_IMAGE_CLEANUP_INTERVAL", VariableKind::Duration(600.0, EVER)),
    ("ECS_IMAGE_MINIMUM_CLEANUP_AGE", DURATION),
    ("ECS_IMAGE_PULL_BEHAVIOR", VariableKind::OneOf(&["default", "always", "once", "prefer-cached"])),
    ("ECS_IMAGE_PULL_INACTIVITY_TIMEOUT", VariableKind::Duration(60.0, EVER)),
    ("ECS_IMAGE_PULL_TIMEOUT", DURATION),
    ("ECS_INIT_DOCKER_LOG_FILE_NUM", VariableKind::Text),
    ("ECS_INIT_DOCKER_LOG_FILE_SIZE", VariableKind::Text),
    ("ECS_INSTANCE_ATTRIBUTES", VariableKind::Elsewhere("ecs.attributes")),
    ("ECS_INSTANCE_IP_COMPATIBILITY", VariableKind::OneOf(&["ipv4", "ipv6"])),
    ("ECS_LOGFILE", VariableKind::Text),
    ("ECS_LOGLEVEL", VariableKind::Level),
    ("ECS_LOGLEVEL_ON_INSTANCE", VariableKind::Level),
    ("ECS_LOG_DRIVER", VariableKind::OneOf(&["awslogs", "fluentd", "gelf", "json-file", "journald", "logentries", "syslog", "splunk"])),
    ("ECS_LOG_MAX_FILE_SIZE_MB", VariableKind::Decimal),
    ("ECS_LOG_MAX_ROLL_COUNT", NUMBER),
    ("ECS_LOG_OPTS", VariableKind::Object),
    ("ECS_LOG_OUTPUT_FORMAT", VariableKind::OneOf(&["logfmt", "json"])),
    ("ECS_LOG_ROLLOVER_TYPE", VariableKind::OneOf(&["size", "hourly"])),
    ("ECS_MANIFEST_PULL_TIMEOUT", VariableKind::Duration(30.0, EVER)),
    ("ECS_NUM_IMAGES_DELETE_PER_CYCLE", VariableKind::Number(1, u32::MAX as u64)),
    ("ECS_NVIDIA_RUNTIME", VariableKind::Text),
    ("ECS_OFFHOST_INTROSPECTION_INTERFACE_NAME", VariableKind::Text),
    ("ECS_PAUSE_LABELS", VariableKind::Object),
    ("ECS_POLLING_METRICS_WAIT_DURATION", VariableKind::Duration(5.0, 20.0)),
    ("ECS_POLL_METRICS", VariableKind::Bool),
    ("ECS_PROPAGATE_TASK_MEMORY_LIMIT_CGROUPV2", VariableKind::Bool),
    ("ECS_PULL_DEPENDENT_CONTAINERS_UPFRONT", VariableKind::Bool),
    ("ECS_RESERVED_MEMORY", VariableKind::Number(0, u16::MAX as u64)),
    ("ECS_RESERVED_PORTS", VariableKind::List(Items::Ports)),
    ("ECS_RESERVED_PORTS_UDP", VariableKind::List(Items::Ports)),
    ("ECS_SELINUX_CAPABLE", VariableKind::Bool),
    ("ECS_SHARED_VOLUME_MATCH_FULL_CONFIG", VariableKind::Bool),
    ("ECS_SKIP_LOCALHOST_TRAFFIC_FILTER", VariableKind::Bool),
    ("ECS_TASK_METADATA_RPS_LIMIT", VariableKind::RateAndBurst),
    ("ECS_TASK_PIDS_LIMIT", VariableKind::Number(1, MOST_PROCESSES)),
    ("ECS_UPDATES_ENABLED", VariableKind::Bool),
    ("ECS_UPDATE_DOWNLOAD_DIR", VariableKind::Text),
    ("ECS_VOLUME_PLUGIN_CAPABILITIES", VariableKind::List(Items::Texts)),
    ("ECS_WARM_POOLS_CHECK", VariableKind::Bool),
    ("HTTPS_PROXY", VariableKind::Elsewhere("proxy.url")),
    ("HTTP_PROXY", VariableKind::Elsewhere("proxy.url")),
    ("NONECS_NUM_CONTAINERS_DELETE_PER_CYCLE", VariableKind::Number(1, u32::MAX as u64)),
    ("NON_ECS_IMAGE_MINIMUM_CLEANUP_AGE", DURATION),
    ("NO_PROXY", VariableKind::Elsewhere("proxy.no_proxy")),
];

/// Lists the variables that a configuration may use, with their kinds.
pub fn usable() -> impl Iterator<Item = &'static (&'static str, VariableKind)> {
    VARIABLES.iter().filter(|(_, kind)| !matches!(kind, VariableKind::Elsewhere(_)))
}

/// Lists the names of the variables that a configuration may use.
pub fn names() -> impl Iterator<Item = &'static str> {
    usable().map(|(name, _)| *name)
}

/// The beginning of the AWS SDK's variables for the endpoint of one service; the service's name follows.
pub const SERVICE_ENDPOINT: &str = "AWS_ENDPOINT_URL_";

/// Returns the kind of a variable, if the ECS agent has such a variable.
pub fn kind(name: &str) -> Option<VariableKind> {
    let of_service = name.strip_prefix(SERVICE_ENDPOINT).filter(|service| !service.is_empty());
    let is_service = of_service
        .is_some_and(|name| name.bytes().all(|byte| byte.is_ascii_uppercase() || b"_0123456789".contains(&byte)));
    let known = || VARIABLES.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind);
    if is_service { Some(VariableKind::Text) } else { known() }
}

/// Tells whether the value of this variable must never be shown.
pub fn is_secret(name: &str, value: &str) -> bool {
    match kind(name) {
        Some(VariableKind::Secret | VariableKind::SecretObject) => true,
        // A log driver's options can hold its token.
        // A value that is not JSON, as in a line of `ecs.config`, may hold anything.
        Some(VariableKind::Object) => serde_json::from_str(value).map_or(true, |json| holds_secret(&json)),
        _ => false,
    }
}

/// Tells whether a JSON value has a key that names a secret, or a URL with a password.
pub fn holds_secret(json: &Value) -> bool {
    match json {
        Value::Object(entries) => entries.iter().any(|(key, value)| is_secret_key(key) || holds_secret(value)),
        Value::Array(items) => items.iter().any(holds_secret),
        Value::String(text) => text.contains("://") && text.contains('@'),
        _ => false,
    }
}

/// Returns the text that `ecs.config` holds for a value.
///
/// # Errors
/// The fault of the value and, on a second line, the remedy.
pub fn render(kind: VariableKind, value: &Value) -> Result<String, String> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    };
    if text.chars().any(char::is_control) {
        return Err(
            "the value has a line break or another control character\n/etc/ecs/ecs.config has one line per variable"
                .to_owned(),
        );
    }
    if text.trim() != text || text.is_empty() {
        return Err(
            "the value is empty, or begins or ends with a space\nleave the variable out for the ECS agent's default"
                .to_owned(),
        );
    }
    let json = || serde_json::from_str::<Value>(&text).ok();
    match kind {
        VariableKind::Text | VariableKind::Secret | VariableKind::RateAndBurst | VariableKind::PortRange => {
            match value.is_array() || value.is_object() {
                true => Err("the value is a list or a mapping, but text is expected".to_owned()),
                false => Ok(text),
            }
        }
        VariableKind::Bool => match text.as_str() {
            "1" | "t" | "T" | "TRUE" | "true" | "True" => Ok("true".to_owned()),
            "0" | "f" | "F" | "FALSE" | "false" | "False" => Ok("false".to_owned()),
            _ => Err("the value is neither true nor false\nwrite true or false".to_owned()),
        },
        VariableKind::Decimal if is_decimal(&text) || value.as_f64().is_some_and(|number| number >= 0.0) => Ok(text),
        VariableKind::Decimal => {
            Err("the value is not a number\nwrite digits, and a point before a fraction".to_owned())
        }
        VariableKind::Level if LEVELS.contains(&text.to_lowercase().as_str()) => Ok(text),
        VariableKind::Level => Err(format!("the ECS agent has no such level\nwrite one of {}", LEVELS.join(", "))),
        VariableKind::Number(..) if text.len() < 20 && text.chars().all(|c| c.is_ascii_digit()) => Ok(text),
        VariableKind::Number(..) => Err("the value is not a whole number\nwrite digits only".to_owned()),
        VariableKind::Duration(..) if values::seconds(&text).is_some() => Ok(text),
        VariableKind::Duration(..) => {
            Err("the value is not a duration\nwrite numbers with units, such as 30s, 5m or 1h30m".to_owned())
        }
        VariableKind::OneOf(words) if words.contains(&text.as_str()) => Ok(text),
        VariableKind::OneOf(words) => {
            Err(format!("the value is not one that the ECS agent accepts\nwrite one of {}", words.join(", ")))
        }
        VariableKind::List(_) if json().is_some_and(|json| json.is_array()) => Ok(text),
        VariableKind::List(_) => Err("the value is not a list\nwrite a list, or a JSON array as a string".to_owned()),
        VariableKind::Object | VariableKind::SecretObject if json().is_some_and(|json| json.is_object()) => Ok(text),
        VariableKind::Object | VariableKind::SecretObject => {
            Err("the value is not a mapping\nwrite a mapping, or a JSON object as a string".to_owned())
        }
        VariableKind::Elsewhere(key) => Err(format!("this variable has a key of its own\nuse `{key}`")),
    }
}

/// Tells whether a text is a number that the agent's `strconv.ParseFloat` takes, without a sign or an exponent.
fn is_decimal(text: &str) -> bool {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    plain && text.len() < 20 && text.parse().is_ok_and(f64::is_finite)
}

/// Variables of the ECS agent, as `ecs.config` holds them; each name and value was checked.
#[derive(Clone, Default, PartialEq)]
pub struct EcsVariables(pub BTreeMap<String, String>);

impl fmt::Debug for EcsVariables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.0.iter().map(|(name, value)| match is_secret(name, value) {
            true => (name, "***"),
            false => (name, value.as_str()),
        });
        f.debug_map().entries(shown).finish()
    }
}

impl<'de> Deserialize<'de> for EcsVariables {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EcsVariablesVisitor)
    }
}

struct EcsVariablesVisitor;

impl<'de> Visitor<'de> for EcsVariablesVisitor {
    type Value = EcsVariables;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mapping of the ECS agent's variables")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<EcsVariables, A::Error> {
        let mut variables = BTreeMap::new();
        while let Some(name) = map.next_key::<VariableName>()? {
            let value = map.next_value_seed(VariableValue(&name))?;
            variables.insert(name.0, value);
        }
        Ok(EcsVariables(variables))
    }
}

struct VariableName(String, VariableKind);

impl<'de> Deserialize<'de> for VariableName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        match kind(&name) {
            Some(VariableKind::Elsewhere(key)) => {
                Err(D::Error::custom(format!("`{name}` has a key of its own\nuse `{key}`")))
            }
            Some(kind) => Ok(VariableName(name, kind)),
            None => {
                let remedy = did_you_mean(&name, names())
                    .unwrap_or_else(|| "the ECS agent's documentation lists its variables".to_owned());
                Err(D::Error::custom(format!("the ECS agent has no variable `{name}`\n{remedy}")))
            }
        }
    }
}

struct VariableValue<'a>(&'a VariableName);

impl<'de> DeserializeSeed<'de> for VariableValue<'_> {
    type Value = String;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        let value = serde_json::Value::deserialize(deserializer)?;
        let VariableName(name, kind) = self.0;
        let text = render(*kind, &value).map_err(D::Error::custom)?;
        values::check(*kind, &text).and_then(|()| line::check(name, &text)).map_err(D::Error::custom)?;
        Ok(text)
    }
}

#[cfg(test)]
mod tests;
