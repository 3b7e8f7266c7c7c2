//! The logs that are sent to CloudWatch Logs, in the form of the agent that the image has.

mod awslogs;
mod cloudwatch;
mod entries;

use std::borrow::Cow;

use serde_json::Value;

pub use self::awslogs::{AWSLOGS_CLI_CONF, AWSLOGS_CONF};
pub use self::cloudwatch::CLOUDWATCH_YAML;
use self::entries::HostLogs;
use super::action::{Action, Start};
use super::edit::Edit;
use super::planned::{Planned, edited_or_restored, planned, wanted_or_removed};
use super::{private, proxy};
use crate::config::{Config, LogAgent, Proxy};
use crate::instance::Instance;
use crate::well_known::{AWSLOGS_UNIT, CLOUDWATCH_COMMON, CLOUDWATCH_JSON, CLOUDWATCH_UNIT};

/// The proxy of awslogs.
pub const AWSLOGS_PROXY_CONF: &str = "/etc/awslogs/proxy.conf";

/// Returns the log agent that is used on this instance.
pub fn agent(config: &Config, instance: &Instance) -> LogAgent {
    config.logs.agent.used(instance.image.cloudwatch_agent.is_some(), instance.image.awslogs)
}

/// Says that no logs are sent, if the image was to bring a log agent and has none.
pub fn missing(config: &Config, instance: &Instance) -> Option<String> {
    let missing = config.logs.agent == LogAgent::Auto && agent(config, instance) == LogAgent::None;
    missing.then(|| "the image has no agent for CloudWatch Logs: no logs are sent".to_owned())
}

pub fn notes(config: &Config, instance: &Instance) -> Vec<String> {
    let logs = HostLogs { config, instance };
    match agent(config, instance) {
        LogAgent::Cloudwatch => logs.cloudwatch_notes(),
        LogAgent::Awslogs => logs.awslogs_notes(),
        LogAgent::Auto | LogAgent::None => missing(config, instance).into_iter().collect(),
    }
}

pub fn actions(config: &Config, instance: &Instance) -> Vec<Planned> {
    let used = agent(config, instance);
    let logs = HostLogs { config, instance };
    let cloudwatch = (used == LogAgent::Cloudwatch).then_some(&logs);
    let awslogs = (used == LogAgent::Awslogs).then_some(&logs);
    let file = |wanted, path, unit| wanted_or_removed(wanted, path, Some(unit), instance);
    let mut actions: Vec<Planned> = [
        file(cloudwatch.map(HostLogs::cloudwatch_json), CLOUDWATCH_JSON, CLOUDWATCH_UNIT),
        file(cloudwatch.and_then(HostLogs::cloudwatch_yaml), CLOUDWATCH_YAML, CLOUDWATCH_UNIT),
        logs.proxy_edit(cloudwatch.is_some(), &CLOUDWATCH_PROXY),
        file(awslogs.map(HostLogs::awslogs_conf), AWSLOGS_CONF, AWSLOGS_UNIT),
        file(awslogs.map(HostLogs::awslogs_cli_conf), AWSLOGS_CLI_CONF, AWSLOGS_UNIT),
        logs.proxy_edit(awslogs.is_some(), &AWSLOGS_PROXY),
    ]
    .into_iter()
    .flatten()
    .collect();
    if cloudwatch.is_some() {
        actions.extend(private::actions());
    }
    if let Some(unit) = used.unit() {
        let start = Action::StartUnit { unit: unit.to_owned(), start: Start::Await };
        actions.push(planned(start, "started first, so that later failures reach CloudWatch Logs"));
    }
    actions
}

/// The form in which a log agent's own file names the proxy.
struct ProxyFile {
    path: &'static str,
    section: Option<&'static str>,
    separator: &'static str,
    keys: [&'static str; 3],
    /// Writes a value in the syntax of the file.
    quote: fn(&str) -> String,
    unit: &'static str,
}

const CLOUDWATCH_PROXY: ProxyFile = ProxyFile {
    path: CLOUDWATCH_COMMON,
    section: Some("proxy"),
    separator: " = ",
    keys: ["http_proxy", "https_proxy", "no_proxy"],
    // A JSON string is a TOML basic string as well.
    quote: |value| Value::from(value).to_string(),
    unit: CLOUDWATCH_UNIT,
};

const AWSLOGS_PROXY: ProxyFile = ProxyFile {
    path: AWSLOGS_PROXY_CONF,
    section: None,
    separator: "=",
    keys: ["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"],
    quote: str::to_owned,
    unit: AWSLOGS_UNIT,
};

impl HostLogs<'_> {
    /// Puts the proxy into a log agent's own file, or takes it out.
    fn proxy_edit(&self, used: bool, file: &ProxyFile) -> Option<Planned> {
        let lines = |proxy: &Proxy| {
            let values = proxy::variables(proxy).into_iter().map(|(_, value)| (file.quote)(&value));
            file.keys.into_iter().map(Cow::Borrowed).zip(values.map(|value| proxy::contents(proxy, value))).collect()
        };
        let lines: Vec<_> = self.config.proxy.as_ref().filter(|_| used).map(lines).unwrap_or_default();
        let edit = Edit {
            path: file.path.to_owned(),
            section: file.section,
            lines,
            separator: file.separator,
            read_by: Some(file.unit.to_owned()),
            ..Edit::default()
        };
        edited_or_restored(edit, "the log agent goes through the proxy", proxy::NO_PROXY, self.instance)
    }
}
