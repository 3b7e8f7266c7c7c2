//! A scratch host with its cloud: its files, and the commands on that host.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::cloud::{Cloud, CloudOptions, DockerSocket, StoredValues};
use super::programs::Programs;
use super::scenario::{self, Scenario};
use crate::aws::ecr::Registry;
use crate::cloudwatch_agent;
use crate::config::types::Device;
use crate::config::{self, Config, Ecs, Parsed, PlacedReference, Reference, Secret};
use crate::ecs_variables::{VariableKind, kind};
use crate::report::Report;
use crate::well_known::{
    CLOUDWATCH_COMMON, CLOUDWATCH_UNIT, CLOUDWATCH_VERSION, CONSOLE, DNF_CONF, DOCKER_SOCKET, DOCKER_UNIT, DOCUMENTS,
    ECS_AGENT_LOG, ECS_CONFIG, ECS_EXIT_TERMINAL, ECS_UNIT, OS_RELEASE, REPORT_FILE, SSM_AGENT, SSM_AGENT_UNIT,
    STATE_DIRECTORY,
};

/// Units that the scratch host has.
const UNITS: [&str; 4] = [CLOUDWATCH_UNIT, SSM_AGENT_UNIT, DOCKER_UNIT, ECS_UNIT];

/// A scratch host with its cloud.
#[derive(Debug)]
pub struct Rehearsal {
    /// The root of the scratch host.
    pub root: PathBuf,
    /// The folder of the stub programs.
    pub bin: PathBuf,
    state: PathBuf,
    /// The stub programs.
    pub programs: Programs,
    /// The fake cloud.
    pub cloud: Cloud,
    pub(super) scenario: Scenario,
    pub(super) parsed: Parsed,
    /// The contents of the image's files, by path.
    pub(super) image: BTreeMap<String, Vec<u8>>,
}

impl Rehearsal {
    /// Makes a scratch host for a scenario, with this user data. Its stub programs are links to `binary`.
    ///
    /// # Errors
    /// The folder can't be written, or loopback has no port.
    pub fn of(scenario: Scenario, user_data: Vec<u8>, folder: &Path, binary: &Path) -> Result<Self> {
        let (root, state, bin) = (folder.join("root"), folder.join("rehearsal"), folder.join("bin"));
        let parsed = crate::run::documents("user data", &user_data);
        furnish(&root, scenario, &parsed)?;
        let programs = Programs::prepare(&state, &bin, binary, &UNITS).context("prepare the stub programs")?;
        let cluster = parsed.config.ecs.as_ref().and_then(Ecs::cluster).unwrap_or_default();
        match scenario {
            Scenario::AgentExits5 => {
                programs.fail_after(ECS_UNIT, Duration::from_millis(500), ECS_EXIT_TERMINAL)?;
            }
            Scenario::LogAgentEnds => {
                let write = |(name, text)| put(&root, &format!("{}/{name}", cloudwatch_agent::FOLDER), text);
                scenario::FILES_OF_IMAGE.into_iter().try_for_each(write)?;
                programs.fail_after(CLOUDWATCH_UNIT, Duration::from_millis(500), 1)?;
                programs.journal(CLOUDWATCH_UNIT, scenario::LAST_WORDS)?;
            }
            Scenario::ForeignDisk => {
                for device in devices(&parsed) {
                    programs.existing_filesystem(&below(&root, &device), "ext4", "somebody-else")?;
                }
            }
            _ => {}
        }
        let (parameters, secrets) = stored_values(&parsed.config);
        let mut options = CloudOptions {
            user_data: Some(user_data),
            parameters,
            secrets,
            registration: scenario.registration(cluster),
            registration_starts_on: Some(programs.started_marker(ECS_UNIT)),
            docker: Some(docker_socket(&root, &programs)),
            ..CloudOptions::default()
        };
        let has_hook = parsed.config.signal.as_ref().is_some_and(|signal| signal.lifecycle_hook.is_some());
        let has_references = !parsed.config.references.is_empty() || scenario == Scenario::ReferenceDenied;
        let asks_signed = has_hook || has_references || pulls_from_ecr(&parsed);
        if asks_signed || parsed.config.on_failure.health.is_some() {
            options.iam_role = Some("rehearsal".to_owned());
        }
        scenario.change(&mut options);
        let cloud = Cloud::start(options)?;
        if scenario == Scenario::Proxy {
            let text = format!("proxy:\n  url: {}\n", cloud.proxy_endpoint());
            put(&root, &format!("{DOCUMENTS}/50-rehearsal-proxy.yaml"), &text)?;
        }
        let image = files(&root)?.into_iter().map(|(path, ..)| (path.clone(), contents(&root, &path))).collect();
        Ok(Rehearsal { root, bin, state, programs, cloud, scenario, parsed, image })
    }

    /// Returns the URL of a service. In the proxy scenario the URL has the real name, which only the proxy can reach here.
    fn endpoint(&self, service: &str, of_cloud: String) -> String {
        match self.scenario {
            Scenario::Proxy => format!("http://{service}.eu-central-1.amazonaws.com"),
            _ => of_cloud,
        }
    }

    /// Returns the command that runs the job on this host.
    pub fn command(&self, binary: &Path) -> tokio::process::Command {
        let mut command = self.command_of(binary);
        command.arg("run");
        command
    }

    /// Returns the binary as a command in the environment of this host, without a subcommand yet.
    pub fn command_of(&self, binary: &Path) -> tokio::process::Command {
        let mut path = std::ffi::OsString::from(&self.bin);
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        let cloudformation = self.endpoint("cloudformation", self.cloud.cloudformation_endpoint());
        let auto_scaling = self.endpoint("autoscaling", self.cloud.auto_scaling_endpoint());
        let ssm = self.endpoint("ssm", self.cloud.ssm_endpoint());
        let secrets_manager = self.endpoint("secretsmanager", self.cloud.secrets_manager_endpoint());
        let ecr = self.endpoint("api.ecr", self.cloud.ecr_endpoint());
        let mut command = tokio::process::Command::new(binary);
        let ignored = crate::config::SHELL_VARIABLES.iter().map(|(name, _)| *name).chain([
            "NOTIFY_SOCKET",
            "HTTP_PROXY",
            "HTTPS_PROXY",
            "NO_PROXY",
            "AWS_ENDPOINT_URL",
            "AWS_ENDPOINT_URL_ECS",
            "AWS_ENDPOINT_URL_CLOUDWATCH_LOGS",
            "AWS_USE_FIPS_ENDPOINT",
            "AWS_USE_DUALSTACK_ENDPOINT",
            "AWS_ACCESS_KEY_ID",
            "AWS_SECRET_ACCESS_KEY",
            "AWS_SESSION_TOKEN",
            "AWS_PROFILE",
            "AWS_CA_BUNDLE",
            "SSL_CERT_FILE",
            "SSL_CERT_DIR",
        ]);
        for name in ignored {
            command.env_remove(name);
        }
        command
            .env("PATH", path)
            // The user's own credentials are kept out: only the fake instance's role may have credentials.
            .env("AWS_CONFIG_FILE", "/dev/null")
            .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
            .env("ECS_FIRSTRUN_REHEARSAL", &self.state)
            .env("ECS_FIRSTRUN_ROOT", &self.root)
            .env("AWS_EC2_METADATA_SERVICE_ENDPOINT", self.cloud.imds_endpoint())
            .env("ECS_FIRSTRUN_ECS_ENDPOINT", self.cloud.ecs_endpoint())
            .env("AWS_ENDPOINT_URL_CLOUDFORMATION", cloudformation)
            .env("AWS_ENDPOINT_URL_AUTO_SCALING", auto_scaling)
            .env("AWS_ENDPOINT_URL_SSM", ssm)
            .env("AWS_ENDPOINT_URL_SECRETS_MANAGER", secrets_manager)
            .env("AWS_ENDPOINT_URL_ECR", ecr)
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// Reads the report that the last run left.
    ///
    /// # Errors
    /// There is no report, or it can't be read.
    pub fn report(&self) -> Result<Report> {
        let path = below(&self.root, STATE_DIRECTORY).join(REPORT_FILE);
        let text = std::fs::read_to_string(path).context("read the report")?;
        Report::parse(&text).map_err(anyhow::Error::msg)
    }
}

/// Returns Docker's socket below a root, which appears once the stub has started Docker.
pub fn docker_socket(root: &Path, programs: &Programs) -> DockerSocket {
    DockerSocket { path: below(root, DOCKER_SOCKET), starts_on: programs.started_marker(DOCKER_UNIT) }
}

/// Makes a value for each reference of a configuration, of the kind that its place needs.
fn stored_values(config: &Config) -> (StoredValues, StoredValues) {
    let (mut parameters, mut secrets) = (StoredValues::default(), StoredValues::default());
    let mut objects: BTreeMap<String, serde_json::Map<String, serde_json::Value>> = BTreeMap::new();
    for PlacedReference { place, reference, .. } in &config.references {
        let value = match config::keys(place)[..] {
            ["proxy", "url"] => "http://rehearsal:secret@proxy.internal:3128".to_owned(),
            ["ecs", "config", name] if kind(name).is_some_and(VariableKind::is_object) => {
                r#"{"rehearsal": {"auth": "secret"}}"#.to_owned()
            }
            _ => "rehearsal-secret".to_owned(),
        };
        match reference {
            Reference::Parameter(parameter) => {
                parameters.values.insert(parameter.name.clone(), value);
            }
            Reference::Secret(Secret { id, key: Some(key), .. }) => {
                objects.entry(id.clone()).or_default().insert(key.clone(), value.into());
            }
            Reference::Secret(Secret { id, .. }) => {
                secrets.values.insert(id.clone(), value);
            }
        }
    }
    secrets.values.extend(objects.into_iter().map(|(id, keys)| (id, serde_json::Value::from(keys).to_string())));
    (parameters, secrets)
}

fn pulls_from_ecr(parsed: &Parsed) -> bool {
    let mut pulls = parsed.config.docker.iter().flat_map(|docker| &docker.pull);
    pulls.any(|pull| Registry::of(pull.image.host()).is_some())
}

pub(super) fn devices(parsed: &Parsed) -> Vec<String> {
    let named = parsed.config.storage.iter().filter_map(|volume| match &volume.device {
        Device::Named(path) => Some(path.to_string()),
        Device::InstanceStore => None,
    });
    named.collect()
}

/// Makes the root look like an ECS-optimized Amazon Linux 2023 image with the CloudWatch agent.
fn furnish(root: &Path, scenario: Scenario, parsed: &Parsed) -> Result<()> {
    put(root, OS_RELEASE, "NAME=\"Amazon Linux\"\nID=\"amzn\"\nVERSION_ID=\"2023\"\n")?;
    put(root, DNF_CONF, "[main]\ngpgcheck=1\ninstallonly_limit=3\nclean_requirements_on_remove=True\n")?;
    put(root, ECS_CONFIG, "")?;
    put(root, CLOUDWATCH_VERSION, "1.300071.0\n")?;
    let common = "# This common-config is used to configure items used for both ssm and cloudwatch access\n";
    put(root, CLOUDWATCH_COMMON, common)?;
    put(root, SSM_AGENT, "")?;
    put(root, CONSOLE, "")?;
    if scenario != Scenario::LateDevice {
        devices(parsed).iter().try_for_each(|device| make_disk(root, device))?;
    }
    // A run finds an instance store volume by the model that the kernel shows.
    if parsed.config.storage.iter().any(|volume| volume.device == Device::InstanceStore) {
        put(root, "/sys/block/nvme1n1/device/model", "Amazon EC2 NVMe Instance Storage        \n")?;
        put(root, "/dev/nvme1n1", "")?;
    }
    if scenario.waits_to_the_end() {
        put(root, &format!("{DOCUMENTS}/50-rehearsal.yaml"), "wait:\n  timeout: 3s\n")?;
    }
    if scenario == Scenario::ReferenceDenied {
        put(root, &format!("{DOCUMENTS}/50-rehearsal-reference.yaml"), "proxy: {url: {ssm: /rehearsal/proxy-url}}\n")?;
    }
    match scenario.agent_log() {
        Some(log) => put(root, ECS_AGENT_LOG, log),
        None => Ok(()),
    }
}

/// Puts a blank disk of 64 MiB in place. The disk appears with its full size.
pub(super) fn make_disk(root: &Path, device: &str) -> Result<()> {
    let unfinished = format!("{device}.unfinished");
    put(root, &unfinished, "")?;
    let unfinished = below(root, &unfinished);
    let disk = std::fs::OpenOptions::new().write(true).open(&unfinished).context("make a disk")?;
    disk.set_len(64 << 20).context("make a disk")?;
    std::fs::rename(unfinished, below(root, device)).context("make a disk")
}

/// Returns the place of a host's path below the root.
fn below(root: &Path, path: &str) -> PathBuf {
    root.join(path.trim_start_matches('/'))
}

fn put(root: &Path, path: &str, text: &str) -> Result<()> {
    let at = below(root, path);
    std::fs::create_dir_all(at.parent().unwrap_or(root)).with_context(|| format!("make the folder of {path}"))?;
    std::fs::write(&at, text).with_context(|| format!("write {path}"))
}

pub(super) fn contents(root: &Path, path: &str) -> Vec<u8> {
    std::fs::read(below(root, path)).unwrap_or_default()
}

/// Lists the files that the agent can have written, below `/etc`, `/opt` and `/var`, with size and mode.
pub(super) fn files(root: &Path) -> Result<Vec<(String, u64, u32)>> {
    use std::os::unix::fs::PermissionsExt as _;
    let mut found = Vec::new();
    let mut folders: Vec<_> = ["etc", "opt", "var"].iter().map(|name| root.join(name)).collect();
    while let Some(folder) = folders.pop() {
        for entry in folder.read_dir().into_iter().flatten() {
            let entry = entry?;
            let metadata = entry.metadata()?;
            match metadata.is_dir() {
                true => folders.push(entry.path()),
                false => {
                    let path = format!("/{}", entry.path().strip_prefix(root).unwrap_or(&entry.path()).display());
                    found.push((path, metadata.len(), metadata.permissions().mode() & 0o7777));
                }
            }
        }
    }
    found.sort();
    Ok(found)
}
