//! The variables of the ECS agent's configuration, with their kinds.
//!
//! From the agent's README and `agent/config/parse.go`, version 1.105. Names that another key of our configuration
//! stands for are refused here, so that each fact has one home.

mod line;
mod values;

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Error as _, MapAccess, Visitor};
use serde_json::Value;

pub use self::line::written;
use crate::secrets::is_secret_key;
use crate::text::did_you_mean;

/// What the value of a variable has to be.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// Any text of one line.
    Text,
    /// Text that is never shown.
    Secret,
    /// `true` or `false`, in the spellings of Go's `strconv.ParseBool`.
    Bool,
    /// A whole number, not negative.
    Number,
    /// A number, not negative, that may have a fraction.
    Decimal,
    /// A span of time as Go writes it, such as `1h30m`.
    Duration,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// A level of the agent's log, in any case.
    Level,
    /// A JSON list.
    List,
    /// A JSON object.
    Object,
    /// A JSON object that is never shown.
    SecretObject,
    /// Another key of the configuration stands for it.
    Elsewhere(&'static str),
}

/// The levels of `ecs-agent/logger/log.go`.
pub(super) const LEVELS: &[&str] = &["crit", "error", "warn", "info", "debug", "none"];

/// The variables by name; sorted, so that the list in an error reads well.
#[rustfmt::skip]
const VARIABLES: &[(&str, Kind)] = &[
    ("AWS_ACCESS_KEY_ID", Kind::Secret),
    ("AWS_CA_BUNDLE", Kind::Text),
    ("AWS_DEFAULT_REGION", Kind::Text),
    ("AWS_EC2_METADATA_SERVICE_ENDPOINT", Kind::Text),
    ("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", Kind::OneOf(&["IPv4", "IPv6"])),
    ("AWS_EC2_METADATA_V1_DISABLED", Kind::Bool),
    ("AWS_ENDPOINT_URL", Kind::Text),
    ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", Kind::Bool),
    ("AWS_MAX_ATTEMPTS", Kind::Number),
    ("AWS_REGION", Kind::Text),
    ("AWS_RETRY_MODE", Kind::OneOf(&["standard", "adaptive"])),
    ("AWS_SECRET_ACCESS_KEY", Kind::Secret),
    ("AWS_SESSION_TOKEN", Kind::Secret),
    ("AWS_USE_DUALSTACK_ENDPOINT", Kind::Bool),
    ("AWS_USE_FIPS_ENDPOINT", Kind::Bool),
    ("CREDENTIALS_FETCHER_HOST", Kind::Text),
    ("CREDENTIALS_FETCHER_SECRET_NAME_FOR_DOMAINLESS_GMSA", Kind::Text),
    ("DOCKER_HOST", Kind::Text),
    ("ECS_AGENT_APPARMOR_PROFILE", Kind::Text),
    ("ECS_AGENT_CONFIG_FILE_PATH", Kind::Text),
    ("ECS_AGENT_HEALTHCHECK_HOST", Kind::Text),
    ("ECS_AGENT_LABELS", Kind::Object),
    ("ECS_AGENT_PID_NAMESPACE_HOST", Kind::Bool),
    ("ECS_AGENT_RUN_PRIVILEGED", Kind::Bool),
    ("ECS_ALLOW_OFFHOST_INTROSPECTION_ACCESS", Kind::Bool),
    ("ECS_ALTERNATE_CREDENTIAL_PROFILE", Kind::Text),
    ("ECS_APPARMOR_CAPABLE", Kind::Bool),
    ("ECS_AUDIT_LOGFILE", Kind::Text),
    ("ECS_AUDIT_LOGFILE_DISABLED", Kind::Bool),
    ("ECS_AVAILABLE_LOGGING_DRIVERS", Kind::List),
    ("ECS_AWSVPC_ADDITIONAL_LOCAL_ROUTES", Kind::List),
    ("ECS_AWSVPC_BLOCK_IMDS", Kind::Bool),
    ("ECS_BACKEND_HOST", Kind::Text),
    ("ECS_CGROUP_CPU_PERIOD", Kind::Duration),
    ("ECS_CGROUP_PATH", Kind::Text),
    ("ECS_CHECKPOINT", Kind::Bool),
    ("ECS_CLUSTER", Kind::Elsewhere("ecs.cluster")),
    ("ECS_CNI_PLUGINS_PATH", Kind::Text),
    ("ECS_CONTAINER_CREATE_TIMEOUT", Kind::Duration),
    ("ECS_CONTAINER_INSTANCE_PROPAGATE_TAGS_FROM", Kind::OneOf(&["none", "ec2_instance"])),
    ("ECS_CONTAINER_INSTANCE_TAGS", Kind::Elsewhere("ecs.tags")),
    ("ECS_CONTAINER_START_TIMEOUT", Kind::Duration),
    ("ECS_CONTAINER_STOP_TIMEOUT", Kind::Duration),
    ("ECS_DATADIR", Kind::Text),
    ("ECS_DISABLE_DOCKER_HEALTH_CHECK", Kind::Bool),
    ("ECS_DISABLE_IMAGE_CLEANUP", Kind::Bool),
    ("ECS_DISABLE_METRICS", Kind::Bool),
    ("ECS_DISABLE_PRIVILEGED", Kind::Bool),
    ("ECS_DISABLE_TASK_METADATA_AZ", Kind::Bool),
    ("ECS_DYNAMIC_HOST_PORT_RANGE", Kind::Text),
    ("ECS_EBSTA_SUPPORTED", Kind::Bool),
    ("ECS_ENABLE_AWSLOGS_EXECUTIONROLE_OVERRIDE", Kind::Bool),
    ("ECS_ENABLE_CONTAINER_METADATA", Kind::Bool),
    ("ECS_ENABLE_FIRELENS_ASYNC", Kind::Bool),
    ("ECS_ENABLE_GPU_SUPPORT", Kind::Bool),
    ("ECS_ENABLE_HIGH_DENSITY_ENI", Kind::Bool),
    ("ECS_ENABLE_INF_SUPPORT", Kind::Bool),
    ("ECS_ENABLE_PROMETHEUS_METRICS", Kind::Bool),
    ("ECS_ENABLE_RUNTIME_STATS", Kind::Bool),
    ("ECS_ENABLE_SPOT_INSTANCE_DRAINING", Kind::Bool),
    ("ECS_ENABLE_TASK_CPU_MEM_LIMIT", Kind::Bool),
    ("ECS_ENABLE_TASK_ENI", Kind::Bool),
    ("ECS_ENABLE_TASK_IAM_ROLE", Kind::Bool),
    ("ECS_ENABLE_TASK_IAM_ROLE_NETWORK_HOST", Kind::Bool),
    ("ECS_ENABLE_UNTRACKED_IMAGE_CLEANUP", Kind::Bool),
    ("ECS_ENGINE_AUTH_DATA", Kind::SecretObject),
    ("ECS_ENGINE_AUTH_TYPE", Kind::OneOf(&["dockercfg", "docker"])),
    ("ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION", Kind::Duration),
    ("ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION_JITTER", Kind::Duration),
    ("ECS_EXCLUDE_IPV6_PORTBINDING", Kind::Bool),
    ("ECS_EXCLUDE_UNTRACKED_IMAGE", Kind::Text),
    ("ECS_EXTERNAL", Kind::Bool),
    ("ECS_GMSA_SUPPORTED", Kind::Bool),
    ("ECS_HOST_DATA_DIR", Kind::Text),
    ("ECS_IMAGE_CLEANUP_INTERVAL", Kind::Duration),
    ("ECS_IMAGE_MINIMUM_CLEANUP_AGE", Kind::Duration),
    ("ECS_IMAGE_PULL_BEHAVIOR", Kind::OneOf(&["default", "always", "once", "prefer-cached"])),
    ("ECS_IMAGE_PULL_INACTIVITY_TIMEOUT", Kind::Duration),
    ("ECS_IMAGE_PULL_TIMEOUT", Kind::Duration),
    ("ECS_INIT_DOCKER_LOG_FILE_NUM", Kind::Text),
    ("ECS_INIT_DOCKER_LOG_FILE_SIZE", Kind::Text),
    ("ECS_INSTANCE_ATTRIBUTES", Kind::Elsewhere("ecs.attributes")),
    ("ECS_INSTANCE_IP_COMPATIBILITY", Kind::OneOf(&["ipv4", "ipv6"])),
    ("ECS_LOGFILE", Kind::Text),
    ("ECS_LOGLEVEL", Kind::Level),
    ("ECS_LOGLEVEL_ON_INSTANCE", Kind::Level),
    ("ECS_LOG_DRIVER", Kind::OneOf(&["awslogs", "fluentd", "gelf", "json-file", "journald", "logentries", "syslog", "splunk"])),
    ("ECS_LOG_MAX_FILE_SIZE_MB", Kind::Decimal),
    ("ECS_LOG_MAX_ROLL_COUNT", Kind::Number),
    ("ECS_LOG_OPTS", Kind::Object),
    ("ECS_LOG_OUTPUT_FORMAT", Kind::OneOf(&["logfmt", "json"])),
    ("ECS_LOG_ROLLOVER_TYPE", Kind::OneOf(&["size", "hourly"])),
    ("ECS_MANIFEST_PULL_TIMEOUT", Kind::Duration),
    ("ECS_NUM_IMAGES_DELETE_PER_CYCLE", Kind::Number),
    ("ECS_NVIDIA_RUNTIME", Kind::Text),
    ("ECS_OFFHOST_INTROSPECTION_INTERFACE_NAME", Kind::Text),
    ("ECS_PAUSE_LABELS", Kind::Object),
    ("ECS_POLLING_METRICS_WAIT_DURATION", Kind::Duration),
    ("ECS_POLL_METRICS", Kind::Bool),
    ("ECS_PROPAGATE_TASK_MEMORY_LIMIT_CGROUPV2", Kind::Bool),
    ("ECS_PULL_DEPENDENT_CONTAINERS_UPFRONT", Kind::Bool),
    ("ECS_RESERVED_MEMORY", Kind::Number),
    ("ECS_RESERVED_PORTS", Kind::List),
    ("ECS_RESERVED_PORTS_UDP", Kind::List),
    ("ECS_SELINUX_CAPABLE", Kind::Bool),
    ("ECS_SHARED_VOLUME_MATCH_FULL_CONFIG", Kind::Bool),
    ("ECS_SKIP_LOCALHOST_TRAFFIC_FILTER", Kind::Bool),
    ("ECS_TASK_METADATA_RPS_LIMIT", Kind::Text),
    ("ECS_TASK_PIDS_LIMIT", Kind::Number),
    ("ECS_UPDATES_ENABLED", Kind::Bool),
    ("ECS_UPDATE_DOWNLOAD_DIR", Kind::Text),
    ("ECS_VOLUME_PLUGIN_CAPABILITIES", Kind::List),
    ("ECS_WARM_POOLS_CHECK", Kind::Bool),
    ("HTTPS_PROXY", Kind::Elsewhere("proxy.url")),
    ("HTTP_PROXY", Kind::Elsewhere("proxy.url")),
    ("NONECS_NUM_CONTAINERS_DELETE_PER_CYCLE", Kind::Number),
    ("NON_ECS_IMAGE_MINIMUM_CLEANUP_AGE", Kind::Duration),
    ("NO_PROXY", Kind::Elsewhere("proxy.no_proxy")),
];

/// The variables that a configuration may use, with their kinds.
pub fn usable() -> impl Iterator<Item = &'static (&'static str, Kind)> {
    VARIABLES.iter().filter(|(_, kind)| !matches!(kind, Kind::Elsewhere(_)))
}

/// The names that a configuration may use.
pub fn names() -> impl Iterator<Item = &'static str> {
    usable().map(|(name, _)| *name)
}

/// The beginning of the AWS SDK's variables for the endpoint of one service; the service's name follows.
pub const SERVICE_ENDPOINT: &str = "AWS_ENDPOINT_URL_";

/// The kind of a variable, if the ECS agent has it.
pub fn kind(name: &str) -> Option<Kind> {
    let of_service = name.strip_prefix(SERVICE_ENDPOINT).filter(|service| !service.is_empty());
    let is_service = of_service
        .is_some_and(|name| name.bytes().all(|byte| byte.is_ascii_uppercase() || b"_0123456789".contains(&byte)));
    let known = || VARIABLES.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind);
    if is_service { Some(Kind::Text) } else { known() }
}

/// Whether the value of this variable must never be shown.
pub fn is_secret(name: &str, value: &str) -> bool {
    match kind(name) {
        Some(Kind::Secret | Kind::SecretObject) => true,
        // A log driver's options can hold its token.
        // One that is no JSON, as in a line of `ecs.config`, may hold anything.
        Some(Kind::Object) => serde_json::from_str(value).map_or(true, |json| holds_secret(&json)),
        _ => false,
    }
}

/// Whether a JSON value has a key that names a secret, or a URL with a password.
pub fn holds_secret(json: &Value) -> bool {
    match json {
        Value::Object(entries) => entries.iter().any(|(key, value)| is_secret_key(key) || holds_secret(value)),
        Value::Array(items) => items.iter().any(holds_secret),
        Value::String(text) => text.contains("://") && text.contains('@'),
        _ => false,
    }
}

/// The text that `ecs.config` holds for a value, or what is wrong with it and, on a second line, the remedy.
pub fn render(kind: Kind, value: &Value) -> Result<String, String> {
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
        Kind::Text | Kind::Secret => plain(value, text),
        Kind::Bool => match text.as_str() {
            "1" | "t" | "T" | "TRUE" | "true" | "True" => Ok("true".to_owned()),
            "0" | "f" | "F" | "FALSE" | "false" | "False" => Ok("false".to_owned()),
            _ => Err("the value is neither true nor false\nwrite true or false".to_owned()),
        },
        Kind::Decimal if is_decimal(&text) || value.as_f64().is_some_and(|number| number >= 0.0) => Ok(text),
        Kind::Decimal => Err("the value is not a number\nwrite digits, and a point before a fraction".to_owned()),
        Kind::Level if LEVELS.contains(&text.to_lowercase().as_str()) => Ok(text),
        Kind::Level => Err(format!("the ECS agent has no such level\nwrite one of {}", LEVELS.join(", "))),
        Kind::Number if text.len() < 20 && text.chars().all(|c| c.is_ascii_digit()) => Ok(text),
        Kind::Number => Err("the value is not a whole number\nwrite digits only".to_owned()),
        Kind::Duration if seconds(&text).is_some() => Ok(text),
        Kind::Duration => {
            Err("the value is not a duration\nwrite numbers with units, such as 30s, 5m or 1h30m".to_owned())
        }
        Kind::OneOf(words) if words.contains(&text.as_str()) => Ok(text),
        Kind::OneOf(words) => {
            Err(format!("the value is not one that the ECS agent accepts\nwrite one of {}", words.join(", ")))
        }
        Kind::List if json().is_some_and(|json| json.is_array()) => Ok(text),
        Kind::List => Err("the value is not a list\nwrite a list, or a JSON array as a string".to_owned()),
        Kind::Object | Kind::SecretObject if json().is_some_and(|json| json.is_object()) => Ok(text),
        Kind::Object | Kind::SecretObject => {
            Err("the value is not a mapping\nwrite a mapping, or a JSON object as a string".to_owned())
        }
        Kind::Elsewhere(key) => Err(format!("this variable has a key of its own\nuse `{key}`")),
    }
}

/// A number as the agent's `strconv.ParseFloat` takes it and a person writes it.
fn is_decimal(text: &str) -> bool {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    plain && text.len() < 20 && text.parse().is_ok_and(f64::is_finite)
}

fn plain(value: &Value, text: String) -> Result<String, String> {
    match value.is_array() || value.is_object() {
        true => Err("the value is a list or a mapping, but text is expected".to_owned()),
        false => Ok(text),
    }
}

/// The seconds of Go's `time.ParseDuration`, without signs: decimal numbers, each with its unit.
fn seconds(text: &str) -> Option<f64> {
    const UNITS: [(&str, f64); 7] =
        [("ns", 1e-9), ("us", 1e-6), ("µs", 1e-6), ("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];
    let (mut rest, mut sum) = (text, 0.0);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        // Longest first: `ms` begins with `m`.
        let (unit, factor) =
            UNITS.iter().filter(|(unit, _)| rest.starts_with(unit)).max_by_key(|(unit, _)| unit.len())?;
        sum += number * factor;
        rest = &rest[unit.len()..];
    }
    (!text.is_empty()).then_some(sum)
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

struct VariableName(String, Kind);

impl<'de> Deserialize<'de> for VariableName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        match kind(&name) {
            Some(Kind::Elsewhere(key)) => Err(D::Error::custom(format!("`{name}` has a key of its own\nuse `{key}`"))),
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
        values::check(name, &text).map_err(D::Error::custom)?;
        line::check(name, &text).map_err(D::Error::custom)?;
        Ok(text)
    }
}

#[cfg(test)]
mod tests;
