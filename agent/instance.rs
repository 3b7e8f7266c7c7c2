//! The facts about this instance that a plan depends on, gathered before it is made.
//!
//! The facts can be printed (`ecs-firstrun facts`) and given back (`plan --facts FILE`). So facts that were recorded on an
//! instance can be replayed on a laptop. The facts hold no secret.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};

use crate::aws::imds::is_of_a_warm_pool;
use crate::secrets::redact_json;
use crate::text::json_error;
use crate::well_known::DNF_CONF;

/// The version of the JSON form of [`Instance`].
pub const VERSION: u32 = 1;

/// The most bytes that facts can have. The facts of an instance have one or two KiB. With 50 tags, each of the greatest
/// length and in letters of three bytes, they have 45 KiB.
const LONGEST: usize = 64 << 10;

/// The facts about an instance and the image that it runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Instance {
    /// [`VERSION`] of the agent that wrote these facts.
    pub version: u32,
    /// The instance's id, `i-…`.
    pub instance_id: String,
    /// Region, such as `eu-central-1`.
    pub region: String,
    /// Id of the AWS account.
    pub account_id: String,
    /// Availability zone, such as `eu-central-1a`.
    pub availability_zone: String,
    /// Instance type, such as `m7g.large`.
    pub instance_type: String,
    /// DNS suffix of the partition, such as `amazonaws.com`.
    pub partition_domain: String,
    /// The instance's tags, where the instance metadata exposes them.
    pub tags: BTreeMap<String, String>,
    /// The launch index: the instance's number, from 0, among those launched together. Facts recorded by older releases lack it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub launch_index: Option<u32>,
    /// The state to which Auto Scaling is bringing the instance, such as `InService` or `Warmed:Stopped`.
    pub target_lifecycle_state: Option<String>,
    /// Memory in MiB, as the kernel reports it. Facts that older releases recorded lack the memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_mib: Option<u64>,
    /// The operating system, from os-release(5).
    pub os: OperatingSystem,
    /// The programs and configuration of the image.
    pub image: Image,
    /// Files of an earlier run of this agent, and files of others that hold lines of ours.
    pub ours: BTreeSet<String>,
    /// Names of the users' commands that have succeeded on this instance.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub hooks: BTreeSet<String>,
    /// Names of the images that were pulled on this instance.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub pulled: BTreeSet<String>,
}

/// The fields of os-release(5) that matter here.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OperatingSystem {
    /// `ID`, such as `amzn`.
    pub id: String,
    /// `VERSION_ID`, such as `2023`.
    pub version_id: String,
}

/// Programs and configuration that came with the image.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Image {
    /// Version of the CloudWatch agent, such as `1.300070.0b2`.
    pub cloudwatch_agent: Option<String>,
    /// True if the older CloudWatch Logs agent is installed.
    pub awslogs: bool,
    /// True if rsyslogd writes `/var/log/messages` and its like.
    pub rsyslog: bool,
    /// True if the SSM agent is installed.
    pub ssm_agent: bool,
    /// The configuration of the package manager: `/etc/dnf/dnf.conf` or `/etc/yum.conf`.
    pub package_manager: Option<String>,
    /// Docker's `daemon.json` as the image has it. Printed facts mask the secrets in this file.
    #[serde(serialize_with = "without_secrets")]
    pub daemon_json: Map<String, Value>,
    /// True if Docker has images, containers or volumes in its default place.
    #[serde(default)]
    pub docker_data: bool,
    /// Version of dockerd, such as `25.0.16`, if the plan asked for the version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub docker: Option<String>,
    /// The directory in which containerd keeps its data, where its configuration names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub containerd_root: Option<String>,
    /// The reason why nothing can be mounted on containerd's default directory, such as `it holds images or containers`.
    /// None if a mount there hides nothing of value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub containerd_data: Option<String>,
    /// The SELinux policy; none where SELinux is off. Facts that older releases recorded lack the policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selinux: Option<Selinux>,
}

/// The policy of an SELinux that is on, enforcing or not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Selinux {
    /// Name of the policy, such as `targeted`: `SELINUXTYPE` of /etc/selinux/config.
    pub policy: String,
    /// True if the policy has labels for containers, as with the package container-selinux.
    pub containers: bool,
}

impl Selinux {
    /// Returns the folder of the policy's files that say which path has which label.
    pub fn file_contexts(&self) -> String {
        format!("/etc/selinux/{}/contexts/files", self.policy)
    }
}

fn without_secrets<S: Serializer>(daemon_json: &Map<String, Value>, serializer: S) -> Result<S::Ok, S::Error> {
    redact_json(&Value::Object(daemon_json.clone())).serialize(serializer)
}

impl Instance {
    /// Returns facts of an instance that does not exist, for a plan on a machine without instance metadata.
    ///
    /// The instance runs an ECS-optimized Amazon Linux 2023 image with a CloudWatch agent that reads the journal.
    pub fn example() -> Self {
        Instance {
            version: VERSION,
            instance_id: "i-0123456789abcdef0".to_owned(),
            region: "us-east-1".to_owned(),
            account_id: "123456789012".to_owned(),
            availability_zone: "us-east-1a".to_owned(),
            instance_type: "m7i.large".to_owned(),
            partition_domain: "amazonaws.com".to_owned(),
            tags: BTreeMap::new(),
            launch_index: Some(0),
            target_lifecycle_state: None,
            memory_mib: None,
            os: OperatingSystem { id: "amzn".to_owned(), version_id: "2023".to_owned() },
            image: Image {
                cloudwatch_agent: Some("1.300071.0".to_owned()),
                ssm_agent: true,
                package_manager: Some(DNF_CONF.to_owned()),
                ..Image::default()
            },
            ours: BTreeSet::new(),
            hooks: BTreeSet::new(),
            pulled: BTreeSet::new(),
        }
    }

    /// Reads facts back.
    ///
    /// # Errors
    /// The bytes are not facts, or are facts of another version. The message goes on after the name of the facts' file.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() > LONGEST {
            return Err(format!("does not hold facts: it is longer than {} KiB", LONGEST >> 10));
        }
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        let failed = |error| format!("does not hold facts; `ecs-firstrun facts` prints them: {}", json_error(&error));
        // Facts of another version may have another shape, so the version is looked at first.
        let Versioned { version } = serde_json::from_slice(bytes).map_err(failed)?;
        if version != VERSION {
            return Err(format!("holds facts of version {version}, this ecs-firstrun reads version {VERSION}"));
        }
        serde_json::from_slice(bytes).map_err(failed)
    }

    /// Tells whether Auto Scaling keeps the instance in a warm pool, or is bringing it there.
    pub fn is_warming(&self) -> bool {
        is_of_a_warm_pool(self.target_lifecycle_state.as_deref())
    }

    /// Returns the major and minor version of Docker, if known. The text after them differs by distribution, as in
    /// `25.0.16-ce`.
    pub fn docker_version(&self) -> Option<(u32, u32)> {
        numbers_of(self.image.docker.as_deref()?.trim_start_matches('v'))
    }

    /// Tells whether the installed CloudWatch agent reads the journal. The agent does since 1.300070.0; an older agent does
    /// not start with that part in its configuration.
    pub fn cloudwatch_agent_reads_journal(&self) -> bool {
        self.image.cloudwatch_agent.as_deref().and_then(numbers_of) >= Some((1, 300_070))
    }
}

/// Reads the major and the minor number of a version; the minor is 0 where there is none.
fn numbers_of(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.trim().split(|c: char| !c.is_ascii_digit());
    let major = numbers.next()?.parse().ok()?;
    Some((major, numbers.next().and_then(|minor| minor.parse().ok()).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_dockers_version_the_leading_digits_count() {
        for (version, known) in [
            ("25.0.16", Some((25, 0))),
            ("25.0.16-ce", Some((25, 0))),
            ("20.10.24+dfsg1", Some((20, 10))),
            ("v29.7.0~rc.1", Some((29, 7))),
            ("30", Some((30, 0))),
            ("library-import", None),
            ("", None),
        ] {
            let mut instance = Instance::example();
            instance.image.docker = Some(version.to_owned());
            assert_eq!(instance.docker_version(), known, "{version}");
        }
    }

    #[test]
    fn the_journal_is_read_from_1_300070_on() {
        for (version, reads) in
            [("1.300069.3b1", false), ("1.300070.0", true), ("1.300071.0b5\n", true), ("2.0", true), ("", false)]
        {
            let mut instance = Instance::example();
            instance.image.cloudwatch_agent = Some(version.to_owned());
            assert_eq!(instance.cloudwatch_agent_reads_journal(), reads, "{version}");
        }
    }
}
