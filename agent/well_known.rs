//! The names, paths and numbers of the host that several modules use, each with its meaning and its source.
//!
//! Constants used by a single module are defined in that module.

// Units.

/// Runs the ECS agent: the unit of ecs-init.
pub const ECS_UNIT: &str = "ecs.service";
/// Runs Docker.
pub const DOCKER_UNIT: &str = "docker.service";
/// Starts Docker when the first client connects to its socket.
pub const DOCKER_SOCKET_UNIT: &str = "docker.socket";
/// Runs containerd, through which Docker runs containers and may keep images.
pub const CONTAINERD_UNIT: &str = "containerd.service";
/// Runs this agent at boot. The unit is in `builder-scripts/files`.
pub const OUR_UNIT: &str = "ecs-firstrun.service";
/// Runs cloud-init's second stage, which brings the network and the user data: the name before cloud-init 24.3.
pub const CLOUD_INIT_UNIT: &str = "cloud-init.service";
/// Runs cloud-init's second stage: the name since cloud-init 24.3.
pub const CLOUD_INIT_NETWORK_UNIT: &str = "cloud-init-network.service";
/// Runs the scripts of the user data: the last of cloud-init's stages. On Amazon Linux `ecs.service` is ordered after it.
pub const CLOUD_FINAL_UNIT: &str = "cloud-final.service";
/// Runs the agent of Systems Manager.
pub const SSM_AGENT_UNIT: &str = "amazon-ssm-agent.service";
/// Runs the CloudWatch agent.
pub const CLOUDWATCH_UNIT: &str = "amazon-cloudwatch-agent.service";
/// Runs the CloudWatch Logs agent of Amazon Linux 2.
pub const AWSLOGS_UNIT: &str = "awslogsd.service";

/// The folder of the administrator's units, in which this agent writes its own (systemd.unit(5)).
pub const UNITS: &str = "/etc/systemd/system";
/// The folder of the units that packages install (systemd.unit(5)).
pub const VENDOR_UNITS: &str = "/usr/lib/systemd/system";
/// The folder of the units that systemd makes of /etc/fstab (systemd-fstab-generator(8)).
pub const RUN_UNITS: &str = "/run/systemd/generator";

// The ECS agent.

/// The ECS agent's configuration, one `NAME=value` a line, without comments or quotes: both ecs-init and systemd read it.
pub const ECS_CONFIG: &str = "/etc/ecs/ecs.config";
/// The folder of the ECS agent's saved state, which names its instance and its cluster (`ECS_DATADIR` on the host).
pub const ECS_DATA: &str = "/var/lib/ecs/data";
/// The folder of the logs of the ECS agent and ecs-init.
pub const ECS_LOGS: &str = "/var/log/ecs";
/// The ECS agent's own log.
pub const ECS_AGENT_LOG: &str = "/var/log/ecs/ecs-agent.log";
/// The log of ecs-init, which runs the ECS agent.
pub const ECS_INIT_LOG: &str = "/var/log/ecs/ecs-init.log";
/// The ECS agent's introspection endpoint, which answers once the agent has registered.
pub const ECS_ENDPOINT: &str = "http://127.0.0.1:51678";
/// The address at which the ECS agent gives tasks their credentials.
pub const ECS_CREDENTIALS_ADDRESS: &str = "169.254.170.2";
/// The exit code of an ECS agent that will never register: `ExitTerminal` of amazon-ecs-agent. systemd does not restart the
/// agent after this code.
pub const ECS_EXIT_TERMINAL: i32 = 5;

// Docker.

/// Docker's configuration.
pub const DAEMON_JSON: &str = "/etc/docker/daemon.json";
/// The folder of images, containers and volumes, unless Docker is given another one.
pub const DOCKER_DATA: &str = "/var/lib/docker";
/// Directory in which containerd keeps Docker's images and containers, from Docker 29 on.
pub const CONTAINERD_DATA: &str = "/var/lib/containerd";
/// containerd's configuration, which may name another directory.
pub const CONTAINERD_TOML: &str = "/etc/containerd/config.toml";
/// Docker's directive for SELinux labels of its containers.
pub const SELINUX_ENABLED: &str = "selinux-enabled";
/// Docker's socket.
pub const DOCKER_SOCKET: &str = "/run/docker.sock";
/// Docker's socket under the name that its clients use: `/var/run` is a link to `/run`.
pub const DOCKER_SOCKET_OF_CLIENTS: &str = "/var/run/docker.sock";

// The rest of the host.

/// Tells the distribution and its version (os-release(5)).
pub const OS_RELEASE: &str = "/etc/os-release";
/// The configuration of the package manager of Amazon Linux 2023.
pub const DNF_CONF: &str = "/etc/dnf/dnf.conf";
/// The configuration of the package manager of Amazon Linux 2.
pub const YUM_CONF: &str = "/etc/yum.conf";
/// The file of an SELinux policy with its substitutes: paths, each with the one that it is like.
pub const SUBSTITUTES: &str = "file_contexts.subs";
/// The program of the SSM agent.
pub const SSM_AGENT: &str = "/usr/bin/amazon-ssm-agent";
/// The version of the CloudWatch agent.
pub const CLOUDWATCH_VERSION: &str = "/opt/aws/amazon-cloudwatch-agent/bin/CWAGENT_VERSION";
/// The CloudWatch agent's settings for its connections, the proxy among them.
pub const CLOUDWATCH_COMMON: &str = "/opt/aws/amazon-cloudwatch-agent/etc/common-config.toml";
/// Our part of the CloudWatch agent's configuration, which merges the files of this folder.
pub const CLOUDWATCH_JSON: &str = "/opt/aws/amazon-cloudwatch-agent/etc/amazon-cloudwatch-agent.d/ecs-firstrun.json";
/// The log of the CloudWatch agent itself.
pub const CLOUDWATCH_LOG: &str = "/opt/aws/amazon-cloudwatch-agent/logs/amazon-cloudwatch-agent.log";
/// The log of the program by which a person configures the CloudWatch agent.
pub const CLOUDWATCH_VALIDATION_LOG: &str = "/opt/aws/amazon-cloudwatch-agent/logs/configuration-validation.log";
/// The console, from which EC2 reads the console output.
pub const CONSOLE: &str = "/dev/console";

// The instance metadata service.

/// The address of the instance metadata service.
pub const IMDS_ADDRESS: &str = "169.254.169.254";
/// The endpoints of the instance metadata service on every instance. The IPv6 endpoint answers only on Nitro instances, and
/// only when it is enabled.
pub const IMDS_ENDPOINTS: [&str; 2] = ["http://169.254.169.254", "http://[fd00:ec2::254]"];

// This agent's own files.

/// The binary, where [`OUR_UNIT`] starts it.
pub const BINARY: &str = "/usr/bin/ecs-firstrun";
/// The folder of the agent's state.
pub const STATE_DIRECTORY: &str = "/var/lib/ecs-firstrun";
/// The last run, step by step: a file in [`STATE_DIRECTORY`].
pub const REPORT_FILE: &str = "report.json";
/// The outcome of the instance: a file in [`STATE_DIRECTORY`].
pub const STATE_FILE: &str = "state.json";
/// The file in [`STATE_DIRECTORY`] that a run inside cloud-init hands over to [`OUR_UNIT`].
pub const HANDED_OVER_FILE: &str = "handed-over.json";
/// The agent's own log.
pub const LOG_FILE: &str = "/var/log/ecs-firstrun.log";
/// The log of runs, one line of JSON for each.
pub const RUNS_FILE: &str = "/var/log/ecs-firstrun-runs.log";
/// The folder of an image's own documents.
pub const DOCUMENTS: &str = "/etc/ecs-firstrun/conf.d";
/// The file that marks the host as configured on this boot. The drop-ins of Docker and ECS in `builder-scripts/files` assert
/// that the file exists.
pub const CONFIGURED: &str = "/run/ecs-firstrun/configured";
/// The file with the step that a run is at, in one line.
pub const STATUS: &str = "/run/ecs-firstrun/status";
/// The folder of marks for units that have to be restarted, because a file that they read has changed.
pub const CHANGED: &str = "/run/ecs-firstrun/changed";
/// The state for a host whose disk can't be written. This file is in memory, and lasts until the next boot.
pub const STATE_IN_MEMORY: &str = "/run/ecs-firstrun/state.json";
/// The first line of each file that this agent writes as a whole into a folder of others. A later run knows the file by this
/// line.
pub const WRITTEN_BY_US: &str = "# Written by ecs-firstrun.";
