//! Failures that end a start of the ECS agent before it registers, and those that end ecs-init.

use super::row::{CauseKind, Row};
use crate::host::START_ANEW;

/// The rows, from the particular to the general; the first that fits counts.
pub(super) const ALL: &[Row] = &[
    Row {
        kind: CauseKind::CloudInit,
        words: &["Cloud-init failure detected|Userdata was not executed"],
        what: "cloud-init used no data source, so it did not see the user data",
        remedy: "fix its data source: bake the image without `datasource_list: [None]`",
    },
    Row {
        kind: CauseKind::DiskFull,
        words: &["no space left on device|disk quota exceeded"],
        what: "the disk is full",
        remedy: "make room, or give the instance a larger volume",
    },
    Row {
        kind: CauseKind::SavedState,
        words: &["Error loading previously saved state|Error creating data client|invalid database"],
        what: "the ECS agent's saved state can't be read",
        remedy: START_ANEW,
    },
    Row {
        kind: CauseKind::SavedState,
        words: &["Error checking compatibility with previously saved state"],
        what: "the ECS agent's saved tasks don't fit its settings",
        remedy: "set ECS_ENABLE_TASK_CPU_MEM_LIMIT back in `ecs.config`; or stop ecs.service, delete /var/lib/ecs/data, \
            start ecs.service again",
    },
    Row {
        kind: CauseKind::NoMetadata,
        words: &["Unable to communicate with EC2 Metadata service|Missing required fields: AWSRegion|\
            Error creating EC2 metadata client|from instance metadata"],
        what: "the ECS agent can't reach the instance metadata",
        remedy: "enable the instance metadata, keep 169.254.169.254 in NO_PROXY, and let no firewall on the host block it",
    },
    Row {
        kind: CauseKind::BadSetting,
        words: &["Invalid logging drivers"],
        what: "the ECS agent does not know a logging driver",
        remedy: "correct ECS_AVAILABLE_LOGGING_DRIVERS in `ecs.config`",
    },
    Row {
        kind: CauseKind::BadSetting,
        words: &["invalid value for docker container"],
        what: "a timeout of the ECS agent is too short",
        remedy: "raise ECS_CONTAINER_STOP_TIMEOUT or ECS_CONTAINER_START_TIMEOUT in `ecs.config`",
    },
    Row {
        kind: CauseKind::BadSetting,
        words: &["Invalid format for|Error reading cfg json|Unable to read cfg file"],
        what: SETTING,
        remedy: SETTING_REMEDY,
    },
    Row {
        kind: CauseKind::DockerVersion,
        words: &["is too old. Minimum supported|Required minimum docker API version"],
        what: "the ECS agent and Docker have no API version in common",
        remedy: "bake the image with a newer ECS agent (ecs-init), or with another version of Docker",
    },
    Row {
        kind: CauseKind::Gpu,
        words: &["Nvidia GPU Manager|Nvidia GPU devices failed"],
        what: "the GPUs can't be set up",
        remedy: "take ECS_ENABLE_GPU_SUPPORT out of `ecs.config` where there is no GPU; else bake the image with NVIDIA's \
            driver and container toolkit",
    },
    Row {
        kind: CauseKind::NoDocker,
        words: &[
            "unable to connect to Docker daemon|unable to ping Docker daemon|Cannot connect to the Docker daemon|\
            cannot connect to Docker endpoint|could not create docker client|could not check Docker for|\
            Could not get supported docker versions|docker.sock: connect|Error creating Docker client",
        ],
        what: "the ECS agent can't reach Docker",
        remedy: "`journalctl -u docker.service` says why Docker does not run",
    },
    Row {
        kind: CauseKind::Cgroup,
        words: &["Unable to initialize cgroup root|unable to setup '/ecs' cgroup"],
        what: "the ECS agent can't set up its cgroup root",
        remedy: "take ECS_ENABLE_TASK_CPU_MEM_LIMIT out of `ecs.config`, or bake an image whose kernel mounts cgroups",
    },
    Row {
        kind: CauseKind::Memory,
        words: &["Unable to fetch host resources|reserved memory is higher than available memory"],
        what: "ECS_RESERVED_MEMORY is more than the instance has",
        remedy: "lower ECS_RESERVED_MEMORY in `ecs.config` (it is in MiB), or take a larger instance type",
    },
    Row {
        kind: CauseKind::WarmPool,
        words: &["Could not determine target lifecycle of instance"],
        what: "the ECS agent can't tell when the instance goes into service",
        remedy: "remove ECS_WARM_POOLS_CHECK from `ecs.config` unless the instance belongs to an Auto Scaling group with a warm pool",
    },
    Row {
        kind: CauseKind::TaskEni,
        words: &["agent is not started with an init system"],
        what: "the ECS agent is the first process of its container",
        remedy: "let ecs.service start it, as the package ecs-init has it",
    },
    Row {
        kind: CauseKind::TaskEni,
        words: &["doesn't support the capability"],
        what: "a CNI plugin is of another version than the ECS agent",
        remedy: "bake the image with one whole version of the package ecs-init",
    },
    Row {
        kind: CauseKind::NoImage,
        words: &["could not load Amazon Elastic Container Service Agent|\
            could not download Amazon Elastic Container Service Agent"],
        what: "the ECS agent's own image can't be loaded",
        remedy: "bake the image with the file of the ECS agent in /var/cache/ecs, and see that Docker's disk is not full",
    },
    Row {
        kind: CauseKind::NoRoutes,
        words: &["could not enable loopback routing|could not disable ipv6 router advertisements|\
            could not create routes for task metadata server|could not create route to the credentials proxy|\
            Error searching '"],
        what: "ecs-init can't set up the routes that tasks need",
        remedy: "bake the image with iptables and sysctl, and with the kernel modules that they need",
    },
    Row {
        kind: CauseKind::NotStarted,
        words: &["could not start Agent|could not remove existing Agent container"],
        what: "Docker can't start the ECS agent's container",
        remedy: "correct the cause that Docker names; where an older container is in the way, `docker rm -f ecs-agent`",
    },
];

/// Rows for failures that may follow from others. They count only if no line of the same attempt is in [`ALL`].
pub(super) const CONSEQUENCES: &[Row] = &[
    Row {
        kind: CauseKind::BadSetting,
        words: &["Error loading config|Error creating EC2 client|Unable to create new agent config accessor"],
        what: SETTING,
        remedy: SETTING_REMEDY,
    },
    Row {
        kind: CauseKind::PauseContainer,
        words: &["Failed to load pause container"],
        what: "the image of the pause container can't be loaded",
        remedy: "bake the image with the whole package ecs-init, and see that Docker's disk is not full",
    },
    Row {
        kind: CauseKind::TaskEni,
        words: &["Unable to initialize Task ENI dependencies|Unable to detect VPC ID and Subnet"],
        what: "the ECS agent can't prepare the network interfaces of tasks",
        remedy: "correct what the line names, or set ECS_ENABLE_TASK_ENI to false in `ecs.config`",
    },
    Row {
        kind: CauseKind::BadTag,
        words: &["Error calling DescribeTags API"],
        what: "the ECS agent can't read the instance's tags from EC2",
        remedy: "give the subnet a route to EC2, or take ECS_CONTAINER_INSTANCE_PROPAGATE_TAGS_FROM out of `ecs.config`",
    },
    Row {
        kind: CauseKind::ClusterNotFound,
        words: &["Could not create cluster"],
        what: "the cluster `default` can't be created",
        remedy: "create it, or name another in `ecs.cluster`",
    },
];

const SETTING: &str = "the ECS agent can't read a setting";

const SETTING_REMEDY: &str =
    "correct that variable in /etc/ecs/ecs.config, which `ecs.attributes`, `ecs.tags` and `ecs.config` make";
