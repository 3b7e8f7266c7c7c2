//! `logs`: the logs that are sent to CloudWatch Logs, and the names of their groups and streams.

use serde::{Deserialize, Serialize};

use super::types::*;
use crate::well_known::{AWSLOGS_UNIT, CLOUDWATCH_UNIT};

/// `logs`: what is sent to CloudWatch Logs.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Logs {
    /// The agent that sends them; `auto` is the one that the image has.
    pub agent: LogAgent,
    /// Prefix of the log groups' names. `${stack}`, `${resource}`, `${region}`, `${account}` and `${cluster}` are filled in;
    /// inside `Fn::Sub` they are written as `${!stack}`. Unless given: `${stack}/ec2/${resource}`, without a stack
    /// `${cluster}/ec2`, without a cluster `ecs-firstrun/${account}`.
    pub group: Option<LogGroupName>,
    /// Name of the log streams, with the same variables. The log agent fills in `{instance_id}`, `{hostname}`,
    /// `{local_hostname}`, `{ip_address}`, `{aws_region}`, `{account_id}` and `{date}`, in groups too.
    pub stream: LogStreamName,
    /// Days that CloudWatch Logs keeps events; for ever unless given.
    pub retention_days: Option<RetentionDays>,
    /// Class of the log groups that the log agent makes; it can't be changed later. Groups of the journal are `STANDARD`.
    pub class: Option<LogGroupClass>,
    /// The role that the log agent sends as; the instance's own unless given.
    pub role_arn: Option<RoleArn>,
    /// The region that the logs are sent to; the instance's unless given. The CloudWatch agent's metrics go there too.
    pub region: Option<Region>,
    /// Files that are sent beside the host's own logs, at most 10,000 entries.
    pub files: Vec<LogFile>,
    /// Sends the journal, where the CloudWatch agent can read it (from 1.300070): from the boot's first line on.
    pub journal: bool,
    /// Fails a boot whose log agent does not stay up; else the report, `status` and `doctor` tell of it.
    pub required: bool,
}

impl Default for Logs {
    fn default() -> Self {
        Logs {
            agent: LogAgent::Auto,
            group: None,
            stream: constant("{instance_id}"),
            retention_days: None,
            class: None,
            role_arn: None,
            region: None,
            files: Vec::new(),
            journal: true,
            required: false,
        }
    }
}

pub(super) fn constant<T: TryFrom<String, Error = String>>(text: &'static str) -> T {
    #[expect(clippy::unwrap_used, reason = "each text is a constant, and a test makes it")]
    T::try_from(text.to_owned()).unwrap()
}

/// The agents that can send logs to CloudWatch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum LogAgent {
    /// The one that the image has.
    Auto,
    /// The CloudWatch agent.
    Cloudwatch,
    /// The older CloudWatch Logs agent of Amazon Linux 2.
    Awslogs,
    /// No logs are sent.
    None,
}

impl LogAgent {
    /// Returns the agent that is used, on an image that has these: the agent asked for, else an installed one.
    pub fn used(self, cloudwatch: bool, awslogs: bool) -> Self {
        match self {
            LogAgent::Auto if cloudwatch => LogAgent::Cloudwatch,
            LogAgent::Auto if awslogs => LogAgent::Awslogs,
            LogAgent::Auto => LogAgent::None,
            asked_for => asked_for,
        }
    }

    /// Returns the unit of the agent, if the agent has one.
    pub fn unit(self) -> Option<&'static str> {
        match self {
            LogAgent::Cloudwatch => Some(CLOUDWATCH_UNIT),
            LogAgent::Awslogs => Some(AWSLOGS_UNIT),
            LogAgent::Auto | LogAgent::None => None,
        }
    }
}

/// The classes of log groups that an agent can write to.
/// <https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_CreateLogGroup.html>
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum LogGroupClass {
    /// All features of CloudWatch Logs.
    Standard,
    /// Half the price of ingestion; no metric filters, no subscriptions, no live tail.
    InfrequentAccess,
}

/// A file of `logs.files`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct LogFile {
    /// The file, or a pattern such as `/var/log/app/*.log` or `/var/log/**.log`. Every file that matches is sent, each in a
    /// stream of its own; archives and folders are not.
    pub path: LogPath,
    /// Name of the log group, with the same variables as `logs.group`; unless given, the path below `logs.group`.
    pub group: Option<LogGroupName>,
    /// Name of the log stream; `logs.stream` unless given.
    pub stream: Option<LogStreamName>,
    /// Days that CloudWatch Logs keeps events; `logs.retention_days` unless given.
    pub retention_days: Option<RetentionDays>,
    /// Format of the times in the file's lines, such as `%Y-%m-%d %H:%M:%S`: `%Y %y %m %-m %b %B %d %-d %a %A %H %I %-I %p %M %-M %S %-S %f %z %Z`
    /// and no others. Unless given, a line has the time at which it is read.
    pub timestamp_format: Option<TimestampFormat>,
    /// Time zone of these times: `local`, the instance's own, unless given. A format that ends in a plain `Z` is `utc`.
    pub timezone: Option<LogTimeZone>,
    /// Regular expression of the first line of an event; or `{timestamp_format}`. Unless given, a line that doesn't begin with
    /// a blank begins an event.
    pub multi_line_start_pattern: Option<StartPattern>,
    /// Encoding of the file, such as `utf-16` or `iso-8859-1`; `utf-8` unless given.
    pub encoding: Option<Encoding>,
    /// Filters of events: those that pass every one are sent.
    #[serde(default)]
    pub filters: Vec<LogFilter>,
    /// Regular expression of names of files that are not sent, although their paths match.
    pub exclude: Option<RegularExpression>,
}

/// The time zones in which the lines of a log can tell the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum LogTimeZone {
    /// Coordinated Universal Time.
    Utc,
    /// The time zone of the instance.
    Local,
}

/// A filter of the events of a file.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct LogFilter {
    /// Sends events that match, or leaves them out.
    #[serde(rename = "type")]
    pub kind: LogFilterType,
    /// The regular expression, in the syntax of Go.
    pub expression: RegularExpression,
}

/// The kinds of filters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum LogFilterType {
    /// Only events that match are sent.
    Include,
    /// Events that match are not sent.
    Exclude,
}

impl Logs {
    /// Lists the keys that are set but that the awslogs agent does not support.
    pub fn unknown_to_awslogs(&self) -> Vec<&'static str> {
        let any = |has: fn(&LogFile) -> bool| self.files.iter().any(has);
        let keys = [
            ("retention_days", self.retention_days.is_some() || any(|file| file.retention_days.is_some())),
            ("class", self.class.is_some()),
            ("role_arn", self.role_arn.is_some()),
            ("filters", any(|file| !file.filters.is_empty())),
            ("exclude", any(|file| file.exclude.is_some())),
        ];
        keys.into_iter().filter(|(_, is_set)| *is_set).map(|(key, _)| key).collect()
    }
}

impl LogFile {
    /// Tells whether the times in the file are in UTC.
    pub fn is_utc(&self) -> bool {
        let ends_in_z = self.timestamp_format.as_ref().is_some_and(TimestampFormat::ends_in_z);
        ends_in_z || self.timezone == Some(LogTimeZone::Utc)
    }

    /// Returns the file's path as a part of a log group's name. Characters that CloudWatch Logs doesn't allow there become
    /// `_`.
    pub fn group_suffix(&self) -> String {
        let allowed = |c: char| if c.is_ascii_alphanumeric() || "-_/.#".contains(c) { c } else { '_' };
        self.path.as_str().chars().map(allowed).collect()
    }
}
