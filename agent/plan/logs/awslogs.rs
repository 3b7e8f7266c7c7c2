//! The configuration of awslogs, the older agent of Amazon Linux 2.
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/AgentReference.html>

use super::entries::{HostLogs, SentLog};
use crate::config::types::{Placeholder, is_pattern};
use crate::plan::planned::Planned;
use crate::well_known::{AWSLOGS_UNIT, WRITTEN_BY_US};

/// The configuration of awslogs: which files it sends where.
pub const AWSLOGS_CONF: &str = "/etc/awslogs/awslogs.conf";
/// The region that awslogs sends to.
pub const AWSLOGS_CLI_CONF: &str = "/etc/awslogs/awscli.conf";

impl HostLogs<'_> {
    pub(super) fn awslogs_conf(&self) -> Planned {
        let fill_in = |placeholder| match placeholder {
            // awslogs fills in these itself.
            Placeholder::InstanceId | Placeholder::Hostname | Placeholder::IpAddress => placeholder.text(),
            Placeholder::LocalHostname => Placeholder::Hostname.text(),
            _ => self.fill_in(placeholder),
        };
        let mut text = format!("{WRITTEN_BY_US}\n[general]\nstate_file = /var/lib/awslogs/agent-state\n");
        for SentLog { path, group, stream, timestamp_format, is_utc, file, .. } in self.entries(&self.names(&fill_in)) {
            let pattern = file.and_then(|file| file.multi_line_start_pattern.as_ref());
            // awslogs has its own name for the time of a line.
            let pattern = pattern.map(|pattern| pattern.as_str().replace("{timestamp_format}", "{datetime_format}"));
            let settings = [
                ("file", Some(path.to_owned())),
                ("log_group_name", Some(group)),
                ("log_stream_name", Some(stream)),
                ("datetime_format", timestamp_format.map(str::to_owned)),
                ("time_zone", is_utc.then(|| "UTC".to_owned())),
                ("multi_line_start_pattern", pattern),
                ("encoding", file.and_then(|file| Some(file.encoding.as_ref()?.to_string()))),
            ];
            text += &format!("\n[{path}]\n");
            text.extend(settings.into_iter().filter_map(|(name, value)| Some(format!("{name} = {}\n", value?))));
        }
        let why = format!("the host's logs go to CloudWatch Logs, under {}", self.destination());
        self.file(AWSLOGS_CONF, text, AWSLOGS_UNIT, why)
    }

    pub(super) fn awslogs_cli_conf(&self) -> Planned {
        let region = self.region();
        let text = format!("{WRITTEN_BY_US}\n[plugins]\ncwlogs = cwlogs\n[default]\nregion = {region}\n");
        let why = "the log agent would otherwise send the logs to us-east-1".to_owned();
        self.file(AWSLOGS_CLI_CONF, text, AWSLOGS_UNIT, why)
    }

    pub(super) fn awslogs_notes(&self) -> Vec<String> {
        let logs = &self.config.logs;
        let unknown = logs.unknown_to_awslogs();
        let mut notes = Vec::new();
        if !unknown.is_empty() {
            notes.push(format!("the awslogs agent has no {}: these keys have no effect", unknown.join(", ")));
        }
        if logs.files.iter().any(|file| is_pattern(file.path.as_str())) {
            notes.push("the awslogs agent sends only the newest of the files that match a pattern".to_owned());
        }
        notes
    }
}
