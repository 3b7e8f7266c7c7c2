//! The logs of a host that are sent to CloudWatch Logs, for either log agent.

use std::collections::BTreeMap;

use crate::config::types::{Placeholder, Region, RetentionDays, TimestampFormat};
use crate::config::{Config, LogFile, LogNames};
use crate::host_logs::{ALL_HOST_LOGS, HostLog, Origin};
use crate::instance::Instance;
use crate::plan::planned::{Planned, open_file, planned};

/// The logs of a host, by its configuration and its facts.
pub(super) struct HostLogs<'a> {
    pub(super) config: &'a Config,
    pub(super) instance: &'a Instance,
}

/// A log to send: one file, or the files that a pattern finds.
pub(super) struct SentLog<'a> {
    pub(super) path: &'a str,
    pub(super) group: String,
    pub(super) stream: String,
    pub(super) retention: Option<RetentionDays>,
    pub(super) timestamp_format: Option<&'a str>,
    pub(super) is_utc: bool,
    /// True unless a known program writes the log, and that program is not the CloudWatch agent.
    pub(super) may_be_anything: bool,
    /// The log's entry in the configuration; none for the host's own logs.
    pub(super) file: Option<&'a LogFile>,
}

impl<'a> HostLogs<'a> {
    /// Returns the names of groups and streams, with placeholders filled in by `placeholder`.
    pub(super) fn names(&self, placeholder: &'a dyn Fn(Placeholder) -> String) -> LogNames<'a> {
        let Instance { region, account_id, .. } = self.instance;
        LogNames::new(self.config, (region, account_id), placeholder)
    }

    /// Lists the logs that a log agent sends, in the order of the host's logs and of the configuration.
    pub(super) fn entries(&self, names: &LogNames<'_>) -> Vec<SentLog<'a>> {
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

    pub(super) fn region(&self) -> &str {
        self.config.logs.region.as_ref().map_or(&self.instance.region, Region::as_str)
    }

    /// Returns the prefix of the log groups, which the reason for a file names.
    pub(super) fn destination(&self) -> String {
        self.names(&Placeholder::text).group("")
    }

    /// Fills in a placeholder that the log agent doesn't. A placeholder without a known value becomes the instance's id, so
    /// that no two instances share a stream.
    pub(super) fn fill_in(&self, placeholder: Placeholder) -> String {
        match placeholder {
            // For the log agent, the region is the one to which it sends.
            Placeholder::AwsRegion => self.region(),
            Placeholder::AccountId => &self.instance.account_id,
            _ => &self.instance.instance_id,
        }
        .to_owned()
    }

    pub(super) fn file(&self, path: &str, text: String, unit: &str, why: String) -> Planned {
        planned(open_file(path, text, vec![unit.to_owned()]), why)
    }
}
