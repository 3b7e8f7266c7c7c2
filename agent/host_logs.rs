//! The logs of the host that are sent to CloudWatch Logs, and their log groups.

use crate::well_known::{ECS_AGENT_LOG, ECS_INIT_LOG, LOG_FILE, RUNS_FILE};

/// The writer of a log of the host.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Origin {
    /// The program itself writes the log.
    Program,
    /// Amazon Linux 2 writes the log at boot; newer systems do not.
    BootMessages,
    /// rsyslogd writes the log.
    Syslog,
}

/// A log of the host: one that the replaced shell script sent, under the same log group, or our own.
#[derive(Clone, Copy, Debug)]
pub struct HostLog {
    /// The file.
    pub path: &'static str,
    /// The end of the log group's name, after the prefix. The replaced shell script kept `.log` in one name only.
    pub group: &'static str,
    /// The format of the times in the log's lines. A format that ends in `Z` is in UTC.
    pub timestamp_format: Option<&'static str>,
    /// The writer of the file.
    pub origin: Origin,
}

const ISO: Option<&str> = Some("%Y-%m-%dT%H:%M:%SZ");

/// The logs of the host.
#[rustfmt::skip]
pub const ALL_HOST_LOGS: [HostLog; 7] = [
    HostLog { path: "/var/log/dmesg", group: "/var/log/dmesg", timestamp_format: None, origin: Origin::BootMessages },
    HostLog { path: "/var/log/messages", group: "/var/log/messages", timestamp_format: Some("%b %d %H:%M:%S"), origin: Origin::Syslog },
    HostLog { path: ECS_INIT_LOG, group: "/var/log/ecs/ecs-init", timestamp_format: ISO, origin: Origin::Program },
    HostLog { path: ECS_AGENT_LOG, group: "/var/log/ecs/ecs-agent", timestamp_format: ISO, origin: Origin::Program },
    HostLog { path: "/var/log/ecs/audit.log", group: "/var/log/ecs/audit.log", timestamp_format: ISO, origin: Origin::Program },
    HostLog { path: LOG_FILE, group: "/var/log/ecs-firstrun", timestamp_format: ISO, origin: Origin::Program },
    HostLog { path: RUNS_FILE, group: "/var/log/ecs-firstrun/runs", timestamp_format: ISO, origin: Origin::Program },
];

/// The log group of Docker's entries in the journal.
pub const DOCKER_GROUP: &str = "/var/log/docker";
/// The log group of the kernel's messages.
pub const KERNEL_GROUP: &str = "/var/log/dmesg";
/// The log group of the host's messages.
pub const MESSAGES_GROUP: &str = "/var/log/messages";

/// Lists the names of all log groups of a host, without the prefix.
pub fn groups() -> impl Iterator<Item = &'static str> {
    let of_journal = [DOCKER_GROUP, KERNEL_GROUP, MESSAGES_GROUP];
    ALL_HOST_LOGS.iter().map(|log| log.group).chain(of_journal)
}
