//! The configuration of the CloudWatch agent: JSON for files, OpenTelemetry's YAML for the journal.

use serde_json::{Map, Value, json};

use super::entries::{HostLogs, SentLog};
use crate::aws::endpoint::{Service, Variant};
use crate::config::LogNames;
use crate::config::types::{Placeholder, RegularExpression, is_pattern};
use crate::host_logs::{DOCKER_GROUP, KERNEL_GROUP, MESSAGES_GROUP};
use crate::plan::planned::Planned;
use crate::well_known::{CLOUDWATCH_JSON, CLOUDWATCH_UNIT, DOCKER_UNIT, RUNS_FILE};

/// The file of our pipelines for the CloudWatch agent, which merges the OpenTelemetry configurations of this folder.
///
/// Only such pipelines can read the journal from its beginning: `journald` in the JSON begins with the last ten entries.
pub const CLOUDWATCH_YAML: &str = "/opt/aws/amazon-cloudwatch-agent/etc/amazon-cloudwatch-agent.d/ecs-firstrun.yaml";

/// The folder in which the CloudWatch agent keeps its place in the journal. Each instance has a folder of its own below this
/// one, since an image may be made of an instance that has booted.
const CURSORS: &str = "/opt/aws/amazon-cloudwatch-agent/logs/state/ecs-firstrun";

/// The name of the extension that keeps the place in the journal, and the entries that are not sent yet.
const STORAGE: &str = "file_storage/ecs-firstrun";

/// The words with which the CloudWatch agent prints its proxy when it starts, password included. From
/// `cfg/envconfig/file.go` of the agent's sources.
const NAMES_PROXY: &str = "_PROXY is set to";

/// Days of retention that the CloudWatch agent takes for files and not for the journal. `ValidateRetentionValue` of its
/// `awscloudwatchlogs` exporter doesn't know this number, and the agent doesn't start.
const NO_RETENTION_OF_JOURNAL: i64 = 1096;

/// The variant for which the CloudWatch agent has a switch. It is not used beside an endpoint that is named: the AWS SDK
/// refuses both together.
const DUAL_STACK: Variant = Variant { fips: false, dual_stack: true };

impl HostLogs<'_> {
    pub(super) fn cloudwatch_json(&self) -> Planned {
        let entries = self.entries(&self.names(&Placeholder::text));
        let files: Vec<Value> = entries.iter().map(|entry| self.file_entry(entry)).collect();
        let mut logs = json!({ "logs_collected": { "files": { "collect_list": files } } });
        if let Some(role) = &self.config.logs.role_arn {
            logs["credentials"] = json!({ "role_arn": role });
        }
        if let Some(endpoint) = self.fips_endpoint() {
            logs["endpoint_override"] = endpoint.into();
        }
        let mut agent = Map::new();
        if let Some(region) = &self.config.logs.region {
            agent.insert("region".to_owned(), json!(region));
        }
        if self.variant() == DUAL_STACK {
            agent.insert("use_dualstack_endpoint".to_owned(), true.into());
        }
        let mut all = Map::new();
        if !agent.is_empty() {
            all.insert("agent".to_owned(), agent.into());
        }
        all.insert("logs".to_owned(), logs);
        let why = format!("the host's logs go to CloudWatch Logs, under {}", self.destination());
        self.file(CLOUDWATCH_JSON, format!("{:#}\n", Value::Object(all)), CLOUDWATCH_UNIT, why)
    }

    fn variant(&self) -> Variant {
        self.config.aws.into()
    }

    /// Returns the endpoint of CloudWatch Logs for the CloudWatch agent, which has no switch for FIPS.
    fn fips_endpoint(&self) -> Option<String> {
        let region = self.region();
        let domain = if region == self.instance.region { &self.instance.partition_domain } else { "" };
        self.variant().fips.then(|| Service::Logs.by_rule(region, domain, self.variant()))
    }

    fn file_entry(&self, entry: &SentLog<'_>) -> Value {
        let mut json =
            json!({ "file_path": entry.path, "log_group_name": entry.group, "log_stream_name": entry.stream });
        let mut set = |key: &str, value: Option<Value>| {
            if let Some(value) = value {
                json[key] = value;
            }
        };
        // Metric filters, which a dashboard needs, are for the class STANDARD alone.
        let class = self.config.logs.class.filter(|_| entry.path != RUNS_FILE);
        set("log_group_class", class.map(|class| json!(class)));
        set("retention_in_days", entry.retention.map(|days| i64::from(days).into()));
        set("timestamp_format", entry.timestamp_format.map(Value::from));
        set("timezone", entry.is_utc.then(|| "UTC".into()));
        set("publish_multi_logs", is_pattern(entry.path).then_some(true.into()));
        let file = entry.file;
        let pattern = file.and_then(|file| file.multi_line_start_pattern.as_ref());
        set("multi_line_start_pattern", pattern.map(|pattern| pattern.as_str().into()));
        set("encoding", file.and_then(|file| Some(file.encoding.as_ref()?.as_str().into())));
        set("blacklist", file.and_then(|file| Some(file.exclude.as_ref().map(RegularExpression::as_str)?.into())));
        let own = file.iter().flat_map(|file| &file.filters).map(|filter| json!(filter));
        let password = entry.may_be_anything.then(|| json!({ "type": "exclude", "expression": NAMES_PROXY }));
        let filters: Vec<Value> = own.chain(password).collect();
        set("filters", (!filters.is_empty()).then(|| filters.into()));
        json
    }

    /// Plans the file for the journal, where the installed agent reads the journal. JSON is YAML.
    pub(super) fn cloudwatch_yaml(&self) -> Option<Planned> {
        if !self.reads_journal() {
            return None;
        }
        let common = ["filter/ecs-firstrun", "batch/ecs-firstrun"];
        let fill_in = |placeholder| self.fill_in(placeholder);
        let names = self.names(&fill_in);
        let (mut receivers, mut exporters, mut pipelines) = (Map::new(), Map::new(), Map::new());
        for (name, group, filter) in self.journal_parts() {
            let [receiver, exporter, pipeline] =
                ["journald", "awscloudwatchlogs", "logs"].map(|kind| format!("{kind}/ecs-firstrun-{name}"));
            let mut reads = json!({ "start_at": "beginning", "storage": STORAGE, "priority": "debug" });
            if let (Value::Object(reads), Value::Object(filter)) = (&mut reads, filter) {
                reads.extend(filter);
            }
            let whole = json!({ "receivers": [receiver], "processors": common, "exporters": [exporter] });
            receivers.insert(receiver, reads);
            exporters.insert(exporter, self.journal_exporter(&names, group));
            pipelines.insert(pipeline, whole);
        }
        let directory = format!("{CURSORS}/{}", self.instance.instance_id);
        let configuration = json!({
            "receivers": receivers,
            "processors": {
                common[0]: { "error_mode": "ignore", "logs": { "log_record": [format!("IsMatch(body, \"{NAMES_PROXY}\")")] } },
                common[1]: { "timeout": "5s" },
            },
            "exporters": exporters,
            "extensions": { STORAGE: { "directory": directory, "create_directory": true } },
            "service": { "extensions": [STORAGE], "pipelines": pipelines },
        });
        let why = "the journal goes to CloudWatch Logs, from the boot's first line on".to_owned();
        Some(self.file(CLOUDWATCH_YAML, format!("{configuration:#}\n"), CLOUDWATCH_UNIT, why))
    }

    fn reads_journal(&self) -> bool {
        self.config.logs.journal && self.instance.cloudwatch_agent_reads_journal()
    }

    /// Lists the parts of the journal to send, each with its own name, its log group, and its filter.
    fn journal_parts(&self) -> Vec<(&'static str, &'static str, Value)> {
        let mut parts = vec![("docker", DOCKER_GROUP, json!({ "units": [DOCKER_UNIT] }))];
        if !self.instance.image.rsyslog {
            parts.push(("dmesg", KERNEL_GROUP, json!({ "matches": [{ "_TRANSPORT": "kernel" }] })));
            parts.push(("messages", MESSAGES_GROUP, json!({})));
        }
        parts
    }

    fn journal_exporter(&self, names: &LogNames<'_>, group: &str) -> Value {
        // The agent expands variables of the environment twice, when it merges its configurations and when it reads the whole.
        let plain = |name: String| name.replace('$', "$$$$");
        let mut exporter = json!({
            "log_group_name": plain(names.group(group)),
            "log_stream_name": plain(names.stream(None)),
            "region": self.region(),
            // Entries that can't be sent are kept and sent later, after a restart too; the agent's own limit is five
            // minutes.
            "retry_on_failure": { "max_elapsed_time": "0s" },
            "sending_queue": { "storage": STORAGE },
        });
        let days = self.config.logs.retention_days.map(i64::from);
        if let Some(days) = days.filter(|days| *days != NO_RETENTION_OF_JOURNAL) {
            exporter["log_retention"] = days.into();
        }
        if let Some(endpoint) = self.fips_endpoint() {
            exporter["endpoint"] = endpoint.into();
        }
        if let Some(role) = &self.config.logs.role_arn {
            exporter["role_arn"] = json!(role);
        }
        exporter
    }

    pub(super) fn cloudwatch_notes(&self) -> Vec<String> {
        if !self.reads_journal() {
            let note = "the journal is not sent: the CloudWatch agent can read it from version 1.300070 on".to_owned();
            return self.config.logs.journal.then_some(note).into_iter().collect();
        }
        let mut notes = Vec::new();
        if self.config.logs.retention_days.map(i64::from) == Some(NO_RETENTION_OF_JOURNAL) {
            notes.push(format!(
                "the journal's log groups keep events for ever: the CloudWatch agent accepts {NO_RETENTION_OF_JOURNAL} days only for files"
            ));
        }
        if self.config.logs.class.is_some() {
            notes.push(
                "the journal's log groups are of the class STANDARD: the CloudWatch agent can't give them another"
                    .to_owned(),
            );
        }
        let is_known = |held: &Placeholder| {
            matches!(held, Placeholder::InstanceId | Placeholder::AwsRegion | Placeholder::AccountId)
        };
        let (group, stream) = (self.config.log_group().0, &self.config.logs.stream.0);
        let unknown = group.placeholders().chain(stream.placeholders()).find(|held| !is_known(held));
        if let Some(placeholder) = unknown {
            notes.push(format!(
                "in the journal's names, {} becomes the instance ID: the CloudWatch agent fills in no placeholders there",
                placeholder.text()
            ));
        }
        notes
    }
}
