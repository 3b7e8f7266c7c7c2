//! The configuration and its sections, but for `logs`: what a person may write, with what is left out.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::hooks::Hooks;
use super::logs::Logs;
use super::on_failure::AfterFailure;
use super::pulls::ImagePull;
use super::references::PlacedReference;
use super::types::*;
use crate::ecs_variables::EcsVariables;
use crate::http::ProxyRoute;
use crate::well_known::{CONTAINERD_DATA, DOCKER_SOCKET_OF_CLIENTS, ECS_CREDENTIALS_ADDRESS, IMDS_ADDRESS};

/// The whole configuration. What is left out has its default.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The recipients of the outcome: a resource of a stack, a wait condition, a lifecycle hook. Without this section, nobody is told.
    pub signal: Option<Signal>,
    /// The HTTP proxy of every program on the host that needs one. Without this section, no program gets a proxy.
    pub proxy: Option<Proxy>,
    /// The volumes, in the order in which they are set up.
    pub storage: Vec<Volume>,
    /// Docker's own settings. Without this section, Docker's settings are left alone.
    pub docker: Option<Docker>,
    /// The logs that are sent to CloudWatch Logs.
    pub logs: Logs,
    /// Users' own commands.
    pub hooks: Hooks,
    /// The ECS agent. Without this section, the ECS agent is neither configured nor started.
    pub ecs: Option<Ecs>,
    /// The wait for the ECS agent's registration.
    pub wait: Wait,
    /// The end of an instance whose first run has failed. Without this section, the instance goes on.
    pub on_failure: AfterFailure,
    /// The variant of AWS's endpoints that this agent, the ECS agent and the CloudWatch agent ask.
    pub aws: Aws,
    /// The references of the documents, each with its place. The configuration has their values, or stand-ins.
    #[serde(skip)]
    pub references: Vec<PlacedReference>,
}

/// `signal`: the CloudFormation resource, the wait condition handle and the lifecycle hook that wait for this instance.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Signal {
    /// Name or ARN of the stack, as `${AWS::StackName}` or `${AWS::StackId}` gives it.
    pub stack: Option<StackName>,
    /// Logical id of the Auto Scaling group or instance in the template, which waits for the signal.
    pub resource: Option<LogicalId>,
    /// Region of the stack; that of the stack's ARN, else the instance's, unless given.
    pub region: Option<Region>,
    /// Authentication of the request.
    pub auth: Auth,
    /// The stack's own timeout. The run gives up 15 s to 60 s before it, to send FAILURE in time.
    pub timeout: SignalTimeout,
    /// Instead of `stack` and `resource`: the URL of a wait condition handle, which `!Ref` gives.
    pub wait_handle: Option<WaitHandle>,
    /// The lifecycle hook of the Auto Scaling group to complete when the instance is ready. Can be given alone, or beside the
    /// other keys.
    pub lifecycle_hook: Option<LifecycleHook>,
}

/// `signal.auth`: the authentication of a signal to a stack's resource.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Auth {
    /// By the signed instance identity document; needs no IAM permission.
    InstanceIdentity,
    /// By credentials that permit `cloudformation:SignalResource`.
    Iam,
    /// By the instance identity document; where that is refused, by credentials.
    #[default]
    Auto,
}

/// `signal.lifecycle_hook`: a hook of the Auto Scaling group on the launch of its instances.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct LifecycleHook {
    /// The hook's name.
    pub name: LifecycleHookName,
    /// The group's name; unless given, what the instance's tag `aws:autoscaling:groupName` says.
    pub group: Option<GroupName>,
}

/// `signal.timeout`, 15 minutes unless given.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct SignalTimeout(pub TimeSpan);

impl Default for SignalTimeout {
    fn default() -> Self {
        SignalTimeout(TimeSpan(Duration::from_secs(15 * 60)))
    }
}

/// `proxy`: the HTTP proxy of every program on the host that needs one.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Proxy {
    /// The proxy's URL, or a reference to it. User and password in it are kept from all users of the host but root.
    pub url: ProxyUrl,
    /// Hosts, domains and networks to reach without the proxy; with `:PORT` at that port only. An ECS host reaches some
    /// addresses so in any case. Go's programs and this agent read the list alike. dnf and yum have no such list: a repository
    /// that must be reached directly needs `proxy=_none_` in its own file.
    #[serde(default)]
    pub no_proxy: Vec<NoProxyEntry>,
}

impl Proxy {
    /// Addresses that an ECS host never reaches through a proxy.
    ///
    /// These addresses are the host itself, the instance metadata (IPv4 and IPv6), the credentials of tasks, and Docker's
    /// socket, which Docker's client in the ECS agent takes for a host.
    pub const ALWAYS_DIRECT: [&str; 7] = [
        "localhost",
        "127.0.0.1",
        "::1",
        IMDS_ADDRESS,
        "fd00:ec2::254",
        ECS_CREDENTIALS_ADDRESS,
        DOCKER_SOCKET_OF_CLIENTS,
    ];

    /// Returns the proxy for requests of this agent.
    fn route(&self) -> ProxyRoute {
        ProxyRoute { url: self.url.0.reveal().clone(), no_proxy: self.no_proxy() }
    }

    /// Returns the NO_PROXY list, without repetitions.
    pub fn no_proxy(&self) -> Vec<String> {
        let mut seen = BTreeSet::new();
        let always = Self::ALWAYS_DIRECT.iter().map(|entry| (*entry).to_owned());
        always
            .chain(self.no_proxy.iter().map(NoProxyEntry::to_string))
            .filter(|entry| seen.insert(entry.clone()))
            .collect()
    }
}

/// An entry of `storage`: one volume.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Volume {
    /// Name in the block device mapping, whatever the kernel calls it; or `instance_store`, for the instance's own disks.
    pub device: Device,
    /// The filesystem to make on a blank device. The filesystem grows when the volume has grown.
    #[serde(default)]
    pub filesystem: Filesystem,
    /// Label of the filesystem, by which it is mounted; the last part of `mount` unless given.
    pub label: Option<FilesystemLabel>,
    /// The mount point.
    pub mount: AbsolutePath,
    /// Options of mount(8) that the filesystem takes.
    #[serde(default)]
    pub options: Vec<MountOption>,
    /// Directories that are made on it.
    #[serde(default)]
    pub directories: Vec<Directory>,
}

impl Volume {
    /// Tells whether a mount option gives one SELinux label to all that is on the volume.
    pub fn has_one_label(&self) -> bool {
        self.options.iter().any(|option| option.as_str().starts_with("context="))
    }

    /// Returns the label, given or from the mount: `/data/docker` gives `docker`, cut to what the filesystem allows.
    pub fn label(&self) -> String {
        let from_mount = || {
            let name = self.mount.as_str().rsplit('/').next().unwrap_or_default();
            let kept = name.chars().filter(|c| c.is_ascii_alphanumeric() || "-_.".contains(*c));
            let label: String = kept.take(self.filesystem.longest_label()).collect();
            if label.is_empty() { "data".to_owned() } else { label }
        };
        self.label.as_ref().map_or_else(from_mount, FilesystemLabel::to_string)
    }
}

/// The filesystems that a volume can get.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, serde::Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Filesystem {
    /// XFS, the filesystem of Amazon Linux.
    #[default]
    Xfs,
    /// The fourth extended filesystem.
    Ext4,
}

impl Filesystem {
    /// Returns the filesystem's name, as blkid(8) and mount(8) have it.
    pub fn name(self) -> &'static str {
        match self {
            Filesystem::Xfs => "xfs",
            Filesystem::Ext4 => "ext4",
        }
    }

    /// Returns the most bytes that the filesystem's label can have: xfs_admin(8), mke2fs(8).
    pub fn longest_label(self) -> usize {
        match self {
            Filesystem::Xfs => 12,
            Filesystem::Ext4 => 16,
        }
    }
}

/// A directory on a volume.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Directory {
    /// Path below the mount.
    pub path: RelativePath,
    /// Numeric owner and group, in quotes; root unless given.
    pub owner: Option<Owner>,
    /// Permissions in octal, in quotes; `"0755"` unless given.
    pub mode: Option<Mode>,
}

/// `docker`: Docker's own settings.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Docker {
    /// The directory in which Docker keeps images and containers; Docker's own default unless given.
    pub data_root: Option<AbsolutePath>,
    /// Docker's directives, merged into the image's own `/etc/docker/daemon.json` and checked as dockerd checks them.
    /// Numbers and booleans in `log-opts` are written as the text that Docker wants there. A reference may stand for any text.
    pub daemon: serde_json::Map<String, serde_json::Value>,
    /// Images that Docker has before tasks ask for them. They are pulled one after the other, in their order.
    pub pull: Vec<ImagePull>,
}

/// `ecs`: the ECS agent.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Ecs {
    /// Name or ARN of the cluster to join. Unless given, the last `ECS_CLUSTER` in `/etc/ecs/ecs.config` names it when the
    /// ECS agent starts, as AWS Batch or a script writes it; the cluster is `default` where there is none.
    pub cluster: Option<ClusterName>,
    /// Custom attributes of the container instance, for placement constraints.
    pub attributes: BTreeMap<AttributeName, AttributeValue>,
    /// Tags of the container instance.
    pub tags: BTreeMap<TagKey, TagValue>,
    /// Variables of the ECS agent, as `/etc/ecs/ecs.config` has them. A reference may stand for a text or an object.
    pub config: EcsVariables,
}

impl Ecs {
    /// Returns the cluster that the configuration names, by name or ARN.
    pub fn cluster(&self) -> Option<String> {
        self.cluster.as_ref().map(ToString::to_string)
    }
}

/// `wait`: the wait for the registration.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Wait {
    /// The longest that the registration may take.
    pub timeout: TimeSpan,
}

impl Default for Wait {
    fn default() -> Self {
        Wait { timeout: TimeSpan(Duration::from_secs(10 * 60)) }
    }
}

/// `aws`: the variant of AWS's endpoints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Aws {
    /// True for endpoints with FIPS 140 validated cryptography. Unless given, this agent goes by `AWS_USE_FIPS_ENDPOINT` in
    /// its environment; false overrides that variable.
    pub fips: Option<bool>,
    /// True for endpoints with IPv4 and IPv6 addresses. Unless given, this agent goes by `AWS_USE_DUALSTACK_ENDPOINT` in its
    /// environment; false overrides that variable.
    pub dual_stack: Option<bool>,
}

impl Aws {
    /// Adds the keys of an earlier document which this one lacks.
    pub(crate) fn or(self, earlier: Self) -> Self {
        Aws { fips: self.fips.or(earlier.fips), dual_stack: self.dual_stack.or(earlier.dual_stack) }
    }
}

impl Config {
    /// Tells whether a value at these keys, or below them, comes from a reference: such a value is a secret.
    pub fn has_reference(&self, keys: &[&str]) -> bool {
        self.references.iter().any(|placed| placed.is_below(keys))
    }

    /// Returns the proxy for requests of this agent; none while the proxy's URL is a reference without its value.
    pub fn proxy_route(&self) -> Option<ProxyRoute> {
        let is_unknown = |placed: &PlacedReference| placed.is_below(&["proxy", "url"]) && !placed.is_resolved;
        let known = self.proxy.as_ref().filter(|_| !self.references.iter().any(is_unknown));
        known.map(Proxy::route)
    }

    /// Returns Docker's data root, where the configuration names one.
    pub fn data_root(&self) -> Option<&str> {
        let docker = self.docker.as_ref()?;
        docker.data_root.as_ref().map_or_else(|| docker.daemon.get("data-root")?.as_str(), |root| Some(root.as_str()))
    }

    /// Returns the volume on which a path lies.
    pub fn volume_of(&self, path: &str) -> Option<&Volume> {
        let holders = self.storage.iter().filter(|volume| Path::new(path).starts_with(volume.mount.as_str()));
        holders.max_by_key(|volume| volume.mount.as_str().len())
    }

    /// Tells whether a mount option gives all that is on the volume of a path one SELinux label.
    pub fn gives_one_label(&self, path: &str) -> bool {
        self.volume_of(path).is_some_and(Volume::has_one_label)
    }

    /// Tells whether Docker with this data root, or containerd on its behalf, keeps data on a volume.
    pub fn is_of_docker(&self, volume: &Volume, data_root: &str) -> bool {
        let is_holder = |path| self.volume_of(path).is_some_and(|holder| holder.mount == volume.mount);
        [data_root, CONTAINERD_DATA].into_iter().any(is_holder)
    }

    /// Returns the time that the stack still waits, as far as the host knows from its `uptime`.
    ///
    /// The stack has waited since before the boot. Once the stack's timeout is over, nobody waits any more, as in a run by
    /// hand, and the whole timeout is allowed again.
    pub fn time_left(&self, uptime: Duration) -> Duration {
        let timeout = self.signal.clone().unwrap_or_default().timeout.0.0;
        timeout.checked_sub(uptime).filter(|left| !left.is_zero()).unwrap_or(timeout)
    }

    /// Returns the time after the start by which everything must have ended.
    ///
    /// FAILURE must come before the stack's own timeout. So a tenth of the time left, at least 15 s and at most 60 s, is
    /// kept for the signal; if less than 30 s are left, half of them.
    pub fn time_allowed(&self, uptime: Duration) -> Duration {
        let left = self.time_left(uptime);
        let reserve = (left / 10).clamp(Duration::from_secs(15), Duration::from_secs(60));
        left.saturating_sub(reserve).max(left / 2)
    }
}
