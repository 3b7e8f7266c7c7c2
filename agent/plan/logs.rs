//! The logs that are sent to CloudWatch Logs, in the form of the agent that the image has.

mod awslogs;
mod cloudwatch;

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::Value;

pub use self::awslogs::{AWSLOGS_CLI_CONF, AWSLOGS_CONF};
pub use self::cloudwatch::CLOUDWATCH_YAML;
use super::{Action, Contents, Edit, File, Planned, Start, planned, private, proxy, wanted_or_removed};
use crate::config::types::{Mode, Placeholder, Region, RetentionDays, TimestampFormat};
use crate::config::{Config, LogAgent, LogFile, LogNames, Proxy};
use crate::host_logs::{ALL_HOST_LOGS, HostLog, Origin};
use crate::instance::Instance;
use crate::well_known::{AWSLOGS_UNIT, CLOUDWATCH_COMMON, CLOUDWATCH_JSON, CLOUDWATCH_UNIT};

/// The proxy of awslogs.
pub const AWSLOGS_PROXY_CONF: &str = "/etc/awslogs/proxy.conf";

fn agent(config: &Config, instance: &Instance) -> LogAgent {
    config.logs.agent.used(instance.image.cloudwatch_agent.is_some(), instance.image.awslogs)
}

/// Says that no agent sends logs, where one was to be found in the image.
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
    let mut actions: Vec<Planned> = [
        wanted_or_removed(cloudwatch.map(HostLogs::cloudwatch_json), CLOUDWATCH_JSON, Some(CLOUDWATCH_UNIT), instance),
        wanted_or_removed(
            cloudwatch.and_then(HostLogs::cloudwatch_yaml),
            CLOUDWATCH_YAML,
            Some(CLOUDWATCH_UNIT),
            instance,
        ),
        logs.proxy_edit(cloudwatch.is_some(), &CLOUDWATCH_PROXY),
        wanted_or_removed(awslogs.map(HostLogs::awslogs_conf), AWSLOGS_CONF, Some(AWSLOGS_UNIT), instance),
        wanted_or_removed(awslogs.map(HostLogs::awslogs_cli_conf), AWSLOGS_CLI_CONF, Some(AWSLOGS_UNIT), instance),
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
        actions.push(planned(start, "first of all, so that what fails later reaches CloudWatch Logs"));
    }
    actions
}

/// How a log agent is told of the proxy.
struct ProxyFile {
    path: &'static str,
    section: Option<&'static str>,
    separator: &'static str,
    keys: [&'static str; 3],
    /// The value as the file's syntax wants it.
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

struct HostLogs<'a> {
    config: &'a Config,
    instance: &'a Instance,
}

/// A log to send: that of one path, or of the files that a pattern finds.
struct SentLog<'a> {
    path: &'a str,
    group: String,
    stream: String,
    retention: Option<RetentionDays>,
    timestamp_format: Option<&'a str>,
    is_utc: bool,
    /// Set unless a known program writes it, which is not the CloudWatch agent.
    may_be_anything: bool,
    /// Its entry in the configuration, unless it is one of the host's own.
    file: Option<&'a LogFile>,
}

impl<'a> HostLogs<'a> {
    /// The names, with placeholders as `fill_in` has them.
    fn names(&self, placeholder: &'a dyn Fn(Placeholder) -> String) -> LogNames<'a> {
        let Instance { region, account_id, .. } = self.instance;
        LogNames::new(self.config, (region, account_id), placeholder)
    }

    /// The logs that a log agent sends, in the order of the host's logs and of the configuration.
    fn entries(&self, names: &LogNames<'_>) -> Vec<SentLog<'a>> {
        let os = &self.instance.os;
        let writes_boot_messages = os.id == "amzn" && os.version_id == "2";
        let listed = |log: &HostLog| self.config.logs.files.iter().any(|file| file.path.as_str() == log.path);
        let of_host = ALL_HOST_LOGS.iter().filter(|log| !listed(log)).filter(|log| match log.origin {
            Origin::Program => true,
            Origin::BootMessages => writes_boot_messages,
            Origin::Syslog => self.instance.image.rsyslog,
        });
        let of_host = of_host.map(|log| SentLog {
            path: log.path,
            group: names.group(log.group),
            stream: names.stream(None),
            retention: self.config.logs.retention_days,
            timestamp_format: log.timestamp_format,
            is_utc: log.timestamp_format.is_some_and(|format| format.ends_with('Z')),
            may_be_anything: log.origin == Origin::Syslog,
            file: None,
        });
        let wanted = self.config.logs.files.iter().map(|file| SentLog {
            path: file.path.as_str(),
            group: names.group_of(file),
            stream: names.stream(Some(file)),
            retention: file.retention_days.or(self.config.logs.retention_days),
            timestamp_format: file.timestamp_format.as_ref().map(TimestampFormat::as_str),
            is_utc: file.is_utc(),
            may_be_anything: true,
            file: Some(file),
        });
        let mut entries: Vec<_> = of_host.chain(wanted).collect();
        self.agree_on_retention(&mut entries);
        entries
    }

    /// Gives entries of one log group the retention of the first, since the CloudWatch agent doesn't start with two. The parser
    /// refuses those that it knows to be of one group; this region or account may make further ones.
    fn agree_on_retention(&self, entries: &mut [SentLog<'_>]) {
        let mut first: BTreeMap<String, RetentionDays> = BTreeMap::new();
        for entry in entries {
            let region = entry.group.replace(&Placeholder::AwsRegion.text(), self.region());
            let group = region.replace(&Placeholder::AccountId.text(), &self.instance.account_id).to_lowercase();
            entry.retention = entry.retention.map(|days| *first.entry(group).or_insert(days));
        }
    }

    fn region(&self) -> &str {
        self.config.logs.region.as_ref().map_or(&self.instance.region, Region::as_str)
    }

    /// The prefix of the log groups, for the reason of a file.
    fn destination(&self) -> String {
        self.names(&Placeholder::text).group("")
    }

    /// Fills in what the log agent doesn't: a placeholder whose value is not known here becomes the instance's id, so that
    /// no two instances have one stream.
    fn fill_in(&self, placeholder: Placeholder) -> String {
        match placeholder {
            // The log agent takes that to which it sends.
            Placeholder::AwsRegion => self.region(),
            Placeholder::AccountId => &self.instance.account_id,
            _ => &self.instance.instance_id,
        }
        .to_owned()
    }

    fn file(&self, path: &str, text: String, unit: &str, why: String) -> Planned {
        let file = File {
            path: path.to_owned(),
            contents: Contents::Open(text),
            mode: Mode(0o644),
            read_by: vec![unit.to_owned()],
        };
        planned(Action::WriteFile(file), why)
    }

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
            at_top: false,
            private: false,
            set_aside: &[],
            separator: file.separator,
            read_by: Some(file.unit.to_owned()),
        };
        proxy::edited_or_restored(edit, "the log agent goes through the proxy", self.instance)
    }
}
