//! The logs that are sent to CloudWatch Logs, in the form of the agent that the image has.

use serde_json::{Value, json};

use super::{Action, Contents, Edit, File, Planned, Start, planned, proxy, wanted_or_removed};
use crate::config::types::{Mode, Variable};
use crate::config::{Config, LogAgent, LogFile, Proxy};
use crate::instance::Instance;
use crate::well_known::{AWSLOGS_UNIT, CLOUDWATCH_COMMON, CLOUDWATCH_UNIT, DOCKER_UNIT, ECS_AGENT_LOG, LOG_FILE};

/// Our part of the CloudWatch agent's configuration, which merges the files of this folder.
pub const CLOUDWATCH_JSON: &str = "/opt/aws/amazon-cloudwatch-agent/etc/amazon-cloudwatch-agent.d/ecs-firstrun.json";
/// The configuration of awslogs: which files it sends where.
pub const AWSLOGS_CONF: &str = "/etc/awslogs/awslogs.conf";
/// The region that awslogs sends to.
pub const AWSLOGS_CLI_CONF: &str = "/etc/awslogs/awscli.conf";
/// The proxy of awslogs.
pub const AWSLOGS_PROXY_CONF: &str = "/etc/awslogs/proxy.conf";

/// Where a log of the host comes from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Origin {
    /// The program writes it itself.
    Program,
    /// Amazon Linux 2 writes it at boot, newer systems do not.
    BootMessages,
    /// rsyslogd writes it.
    Syslog,
}

/// A log of the host: those of the shell script that this agent replaces, under the same log groups, and our own.
#[derive(Clone, Copy, Debug)]
pub struct HostLog {
    /// The file.
    pub path: &'static str,
    /// What follows the prefix in the log group's name. The original kept `.log` in one name only.
    pub group: &'static str,
    /// How its lines tell the time.
    pub timestamp_format: Option<&'static str>,
    /// Where it comes from.
    pub origin: Origin,
}

const ISO: Option<&str> = Some("%Y-%m-%dT%H:%M:%SZ");

/// The logs of the host.
#[rustfmt::skip]
pub const ALL_HOST_LOGS: [HostLog; 6] = [
    HostLog { path: "/var/log/dmesg", group: "/var/log/dmesg", timestamp_format: None, origin: Origin::BootMessages },
    HostLog { path: "/var/log/messages", group: "/var/log/messages", timestamp_format: Some("%b %d %H:%M:%S"), origin: Origin::Syslog },
    HostLog { path: "/var/log/ecs/ecs-init.log", group: "/var/log/ecs/ecs-init", timestamp_format: ISO, origin: Origin::Program },
    HostLog { path: ECS_AGENT_LOG, group: "/var/log/ecs/ecs-agent", timestamp_format: ISO, origin: Origin::Program },
    HostLog { path: "/var/log/ecs/audit.log", group: "/var/log/ecs/audit.log", timestamp_format: ISO, origin: Origin::Program },
    HostLog { path: LOG_FILE, group: "/var/log/ecs-firstrun", timestamp_format: ISO, origin: Origin::Program },
];

#[derive(Clone, Copy, PartialEq)]
enum Agent {
    Cloudwatch,
    Awslogs,
}

/// The agent that is used: the one asked for, else the one that the image has.
fn agent(config: &Config, instance: &Instance) -> Option<Agent> {
    match config.logs.agent {
        LogAgent::None => None,
        LogAgent::Cloudwatch => Some(Agent::Cloudwatch),
        LogAgent::Awslogs => Some(Agent::Awslogs),
        LogAgent::Auto if instance.image.cloudwatch_agent.is_some() => Some(Agent::Cloudwatch),
        LogAgent::Auto if instance.image.awslogs => Some(Agent::Awslogs),
        LogAgent::Auto => None,
    }
}

pub fn note(config: &Config, instance: &Instance) -> Option<String> {
    let missing = config.logs.agent == LogAgent::Auto && agent(config, instance).is_none();
    missing.then(|| "the image has no agent for CloudWatch Logs: no logs are sent".to_owned())
}

pub fn actions(config: &Config, instance: &Instance) -> Vec<Planned> {
    let used = agent(config, instance);
    let logs = HostLogs { config, instance };
    let cloudwatch = (used == Some(Agent::Cloudwatch)).then_some(&logs);
    let awslogs = (used == Some(Agent::Awslogs)).then_some(&logs);
    let mut actions: Vec<Planned> = [
        wanted_or_removed(cloudwatch.map(HostLogs::cloudwatch_json), CLOUDWATCH_JSON, Some(CLOUDWATCH_UNIT), instance),
        logs.proxy_edit(cloudwatch.is_some(), &CLOUDWATCH_PROXY),
        wanted_or_removed(awslogs.map(HostLogs::awslogs_conf), AWSLOGS_CONF, Some(AWSLOGS_UNIT), instance),
        wanted_or_removed(awslogs.map(HostLogs::awslogs_cli_conf), AWSLOGS_CLI_CONF, Some(AWSLOGS_UNIT), instance),
        logs.proxy_edit(awslogs.is_some(), &AWSLOGS_PROXY),
    ]
    .into_iter()
    .flatten()
    .collect();
    if let Some(used) = used {
        let unit = if used == Agent::Cloudwatch { CLOUDWATCH_UNIT } else { AWSLOGS_UNIT };
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

impl HostLogs<'_> {
    fn expand(&self, variable: Variable) -> String {
        let signal = self.config.signal.as_ref();
        match variable {
            Variable::Stack => signal.and_then(|signal| signal.stack.as_ref()).map(|stack| stack.name().to_owned()),
            Variable::Resource => signal.and_then(|signal| signal.resource.as_ref()).map(ToString::to_string),
            Variable::Cluster => self.config.ecs.as_ref().map(|ecs| ecs.cluster.name().to_owned()),
            Variable::Region => Some(self.instance.region.clone()),
            Variable::Account => Some(self.instance.account_id.clone()),
        }
        .unwrap_or_default()
    }

    fn group(&self, suffix: &str) -> String {
        let prefix = self.config.log_group().expand(|variable| self.expand(variable));
        format!("{}/{}", prefix.trim_end_matches('/'), suffix.trim_start_matches('/'))
    }

    fn stream(&self) -> String {
        self.config.logs.stream.expand(|variable| self.expand(variable))
    }

    /// Each file with its log group and the way its lines tell the time.
    fn files(&self) -> Vec<(String, String, Option<String>)> {
        let os = &self.instance.os;
        let writes_boot_messages = os.id == "amzn" && os.version_id == "2";
        let host = ALL_HOST_LOGS.iter().filter(|log| match log.origin {
            Origin::Program => true,
            Origin::BootMessages => writes_boot_messages,
            Origin::Syslog => self.instance.image.rsyslog,
        });
        let host =
            host.map(|log| (log.path.to_owned(), self.group(log.group), log.timestamp_format.map(str::to_owned)));
        let wanted = self.config.logs.files.iter().map(|LogFile { path, timestamp_format }| {
            // What CloudWatch Logs does not allow in the name of a log group.
            let allowed = |c: char| if c.is_ascii_alphanumeric() || "-_/.#".contains(c) { c } else { '_' };
            let name: String = path.as_str().chars().map(allowed).collect();
            (path.to_string(), self.group(&name), timestamp_format.as_ref().map(ToString::to_string))
        });
        let wanted: Vec<_> = wanted.collect();
        let mut files: Vec<_> = host.filter(|(path, ..)| wanted.iter().all(|(other, ..)| other != path)).collect();
        files.extend(wanted);
        files
    }

    fn cloudwatch_json(&self) -> Planned {
        let with_common = |mut entry: Value, group: &str| {
            entry["log_group_name"] = group.into();
            entry["log_stream_name"] = self.stream().into();
            if let Some(days) = self.config.logs.retention_days {
                entry["retention_in_days"] = i64::from(days).into();
            }
            entry
        };
        let files = self.files().into_iter().map(|(path, group, format)| {
            let mut entry = with_common(json!({ "file_path": path }), &group);
            if let Some(format) = format {
                entry["timestamp_format"] = format.into();
            }
            entry
        });
        let files: Vec<Value> = files.collect();
        let mut collected = json!({ "files": { "collect_list": files } });
        let reads_journal = self.config.logs.journal && self.instance.cloudwatch_agent_reads_journal();
        if reads_journal {
            let mut entries = vec![with_common(json!({ "units": [DOCKER_UNIT] }), &self.group("/var/log/docker"))];
            if !self.instance.image.rsyslog {
                entries.push(with_common(
                    json!({ "matches": [{ "_TRANSPORT": "kernel" }] }),
                    &self.group("/var/log/dmesg"),
                ));
                entries.push(with_common(json!({}), &self.group("/var/log/messages")));
            }
            collected["journald"] = json!({ "collect_list": entries });
        }
        let text = format!("{:#}\n", json!({ "logs": { "logs_collected": collected } }));
        let what = if reads_journal { "the host's logs and journal" } else { "the host's logs" };
        self.file(
            CLOUDWATCH_JSON,
            text,
            CLOUDWATCH_UNIT,
            format!("{what} go to CloudWatch Logs, under {}", self.group("")),
        )
    }

    fn awslogs_conf(&self) -> Planned {
        let mut text = "# Written by ecs-firstrun.\n[general]\nstate_file = /var/lib/awslogs/agent-state\n".to_owned();
        for (path, group, format) in self.files() {
            text +=
                &format!("\n[{path}]\nfile = {path}\nlog_group_name = {group}\nlog_stream_name = {}\n", self.stream());
            text += &format.map(|format| format!("datetime_format = {format}\n")).unwrap_or_default();
        }
        self.file(
            AWSLOGS_CONF,
            text,
            AWSLOGS_UNIT,
            format!("the host's logs go to CloudWatch Logs, under {}", self.group("")),
        )
    }

    fn awslogs_cli_conf(&self) -> Planned {
        let text = format!(
            "# Written by ecs-firstrun.\n[plugins]\ncwlogs = cwlogs\n[default]\nregion = {}\n",
            self.instance.region
        );
        self.file(AWSLOGS_CLI_CONF, text, AWSLOGS_UNIT, "it would send the logs to us-east-1".to_owned())
    }

    fn file(&self, path: &str, text: String, unit: &str, why: String) -> Planned {
        let file = File {
            path: path.to_owned(),
            contents: Contents::Open(text),
            mode: Mode(0o644),
            read_by: Some(unit.to_owned()),
        };
        planned(Action::WriteFile(file), why)
    }

    /// Puts the proxy into a log agent's own file, or takes it out.
    fn proxy_edit(&self, used: bool, file: &ProxyFile) -> Option<Planned> {
        let lines = |proxy: &Proxy| {
            let values = proxy::variables(proxy).into_iter().map(|(_, value)| (file.quote)(&value));
            file.keys.into_iter().zip(values.map(|value| proxy::contents(proxy, value))).collect()
        };
        let lines: Vec<_> = self.config.proxy.as_ref().filter(|_| used).map(lines).unwrap_or_default();
        let edit = Edit {
            path: file.path.to_owned(),
            section: file.section,
            lines,
            set_aside: &[],
            separator: file.separator,
            read_by: Some(file.unit.to_owned()),
        };
        proxy::edited_or_restored(edit, "the log agent goes through the proxy", self.instance)
    }
}
