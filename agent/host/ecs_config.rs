//! The ECS agent's settings, as ecs-init reads them from its files and passes them to the agent.
//!
//! ecs-init (`ecs-init/docker/docker.go`) splits a line at its first `=` into a name and a value, and keeps the value's
//! quotes; it knows no comments. The last line of a name counts, and the file in `/etc` counts before the other file.

use std::fmt;

use anyhow::Result;

use super::Host;
use crate::ecs_agent::{DEFAULT_CLUSTER, same_cluster};
use crate::secrets::redact;
use crate::well_known::ECS_CONFIG;

/// The files of the settings, in the order in which they count.
const FILES: [&str; 2] = [ECS_CONFIG, "/var/lib/ecs/ecs.config"];
/// The setting that names the cluster.
const CLUSTER: &str = "ECS_CLUSTER";

/// The remedy for an ECS agent that keeps to its saved state.
pub const START_ANEW: &str = "stop ecs.service, delete /var/lib/ecs/data, start ecs.service again";

/// A setting that counts, and the place of its line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The setting's value.
    pub value: String,
    path: &'static str,
    line: usize,
    text: String,
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` in line {} of {}", redact(&self.text), self.line, self.path)
    }
}

impl Host {
    /// Returns the setting of the ECS agent that counts; none if no file has it.
    ///
    /// # Errors
    /// A file that can't be read.
    pub fn ecs_setting(&self, name: &str) -> Result<Option<Setting>> {
        for path in FILES {
            // ecs-init reads bytes, so a file that is not UTF-8 counts as well.
            let text = self.read_bytes(path)?.unwrap_or_default();
            if let Some(setting) = last(path, &String::from_utf8_lossy(&text), name) {
                return Ok(Some(setting));
            }
        }
        Ok(None)
    }

    /// Returns the line of the ECS agent's settings that names the cluster.
    ///
    /// # Errors
    /// A file that can't be read.
    pub fn configured_cluster(&self) -> Result<Option<Setting>> {
        self.ecs_setting(CLUSTER)
    }

    /// Returns the cluster that the ECS agent is to join. The configuration's cluster counts first, then the cluster in the
    /// agent's present settings, then `default`.
    ///
    /// # Errors
    /// Settings that are needed and can't be read.
    pub fn cluster(&self, configured: Option<&str>) -> Result<String> {
        if let Some(cluster) = configured {
            return Ok(cluster.to_owned());
        }
        let set = self.configured_cluster()?.map(|line| line.value).filter(|value| !value.is_empty());
        Ok(set.unwrap_or_else(|| DEFAULT_CLUSTER.to_owned()))
    }

    /// Says which line of the ECS agent's settings names the cluster.
    pub fn cluster_set_by(&self) -> String {
        match self.configured_cluster() {
            Ok(Some(line)) => format!("set by {line}"),
            Ok(None) => "no file sets ECS_CLUSTER".to_owned(),
            Err(error) => format!("{error:#}"),
        }
    }

    /// Returns the remedy for an ECS agent that is not in the `wanted` cluster of the configuration. If a line of the
    /// agent's settings, which somebody else wrote, names another cluster, the remedy names that line.
    pub fn remedy_for_another_cluster(&self, wanted: &str) -> String {
        match self.configured_cluster() {
            Ok(Some(line)) if !same_cluster(wanted, &line.value) => format!(
                "{line} wins over the configuration: remove that line and what writes it, such as a script of the user \
                 data, or name that cluster in `ecs.cluster`; then {START_ANEW}"
            ),
            _ => START_ANEW.to_owned(),
        }
    }
}

/// Finds the last line of a file that sets `name`.
fn last(path: &'static str, text: &str, name: &str) -> Option<Setting> {
    let settings = text.lines().enumerate().filter_map(|(at, line)| {
        let (found, value) = line.trim().split_once('=')?;
        let (value, text) = (value.trim().to_owned(), line.trim().to_owned());
        (found == name).then_some(Setting { value, path, line: at + 1, text })
    });
    settings.last()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::scratch;

    #[test]
    fn the_last_line_of_a_name_counts_as_ecs_init_reads_it() {
        let value = |text: &str| last(ECS_CONFIG, text, CLUSTER).map(|setting| (setting.value, setting.line));
        for (text, expected) in [
            ("ECS_CLUSTER=blue\n\n  ECS_CLUSTER=green  \r\nX=1\n", Some(("green", 3))),
            ("ECS_CLUSTER=blue\nECS_CLUSTER=\n", Some(("", 2))),
            ("ECS_CLUSTER=\"blue\"", Some(("\"blue\"", 1))),
            ("ECS_CLUSTER=arn:aws:ecs:x:1:cluster/a=b", Some(("arn:aws:ecs:x:1:cluster/a=b", 1))),
            ("#ECS_CLUSTER=blue\nexport ECS_CLUSTER=blue\nECS_CLUSTER =blue\nECS_CLUSTER\n", None),
        ] {
            assert_eq!(value(text), expected.map(|(value, line)| (value.to_owned(), line)), "{text}");
        }
    }

    #[test]
    fn the_file_in_etc_counts_more_and_a_line_of_others_is_named_in_the_remedy() {
        let (_root, host) = scratch();
        assert_eq!(host.configured_cluster().unwrap(), None);
        host.write("/var/lib/ecs/ecs.config", b"ECS_CLUSTER=low\n", 0o600).unwrap();
        let remedy = host.remedy_for_another_cluster("high");
        assert!(remedy.starts_with("`ECS_CLUSTER=low` in line 1 of /var/lib/ecs/ecs.config wins"), "{remedy}");
        host.write(ECS_CONFIG, b"ECS_CLUSTER=high\n", 0o600).unwrap();
        assert_eq!(host.configured_cluster().unwrap().unwrap().value, "high");
        assert!(host.remedy_for_another_cluster("high").starts_with("stop ecs.service"));
    }
}
