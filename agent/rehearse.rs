//! `ecs-firstrun rehearse`: the whole job on this machine, against a fake cloud and stub programs.
//!
//! The job is the `run` of this same binary, in a process of its own. Only its endpoints, root and environment differ from
//! those on an instance.

#![allow(clippy::disallowed_methods, reason = "it builds the scratch folder that stands for a host")]

mod boot;
pub mod cloud;
pub mod programs;
mod scenario;
mod show;
mod time;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::{Args, ValueEnum as _};

use self::cloud::{Cloud, CloudOptions, DockerSocket, ReceivedSignal};
use self::programs::Programs;
pub use self::scenario::Scenario;
use self::time::TimeScale;
use crate::cloudwatch_agent;
use crate::config::types::Device;
use crate::config::{Ecs, Parsed};
use crate::report::{Report, milliseconds};
use crate::streams::{eprint, print, read_input};
use crate::text::{COLUMNS, FAINT, Paint, STRONG, hanging, wrap};
use crate::well_known::{
    CLOUDWATCH_COMMON, CLOUDWATCH_UNIT, CLOUDWATCH_VERSION, CONSOLE, DNF_CONF, DOCKER_SOCKET, DOCKER_UNIT, DOCUMENTS,
    ECS_AGENT_LOG, ECS_CONFIG, ECS_EXIT_TERMINAL, ECS_UNIT, OS_RELEASE, REPORT_FILE, SSM_AGENT, SSM_AGENT_UNIT,
    STATE_DIRECTORY,
};

/// The user data of a rehearsal if no other is given.
const EXAMPLE: &str = include_str!("../examples/user-data/complete.yaml");

/// Units that the scratch host has.
const UNITS: [&str; 4] = [CLOUDWATCH_UNIT, SSM_AGENT_UNIT, DOCKER_UNIT, ECS_UNIT];

/// The arguments of `rehearse`.
#[derive(Args, Clone, Debug)]
pub struct RehearseArguments {
    /// Scenario to rehearse; --list shows all
    #[arg(long, value_name = "NAME", default_value = "success")]
    scenario: Scenario,
    /// Your own user data instead of that of examples/
    #[arg(long, value_name = "FILE")]
    user_data: Option<PathBuf>,
    /// List the scenarios
    #[arg(long)]
    list: bool,
    /// Leave the scratch host in this folder, which must be empty or missing
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Multiply the time to wait for the registration by this factor: with 0.01, 10m becomes 6s
    ///
    /// The user data is served with one more document, which sets the shorter `wait.timeout`; the run itself knows
    /// nothing of it. Without this, a scenario that waits to the end does so for 3 s; with 1, for as long as on an instance.
    #[arg(long, value_name = "FACTOR")]
    time_scale: Option<TimeScale>,
    /// Run the commands of `hooks` on this machine, in the scratch folder, with your own rights
    ///
    /// A program is looked for below the scratch folder first. Without this, hooks are recorded, and each succeeds.
    #[arg(long)]
    run_hooks: bool,
}

/// Rehearses a boot and shows its result. `paint` is for the result, `progress` for the messages before the result.
///
/// # Errors
/// The scratch host or the fake cloud can't be made.
pub async fn rehearse(arguments: RehearseArguments, paint: Paint, progress: Paint) -> Result<u8> {
    if arguments.list {
        for scenario in Scenario::value_variants() {
            let (name, what) = scenario.words();
            print(&format!("{name:<15} {what}\n"))?;
        }
        return Ok(0);
    }
    let scratch = tempfile::Builder::new().prefix("ecs-firstrun-").tempdir().context("make a scratch folder")?;
    let folder = arguments.keep.clone().unwrap_or_else(|| scratch.path().to_owned());
    if arguments.keep.is_some() && folder.read_dir().is_ok_and(|mut entries| entries.next().is_some()) {
        anyhow::bail!("{} is not empty; choose another folder", folder.display());
    }
    let (rehearsal, note) = Rehearsal::prepare(&arguments, &folder)?;
    let (name, what) = arguments.scenario.words();
    eprint(&format!("{} {what}\n", progress.paint(STRONG, &format!("{name}:"))));
    let lines = note.iter().flat_map(|note| wrap(note, COLUMNS));
    lines.for_each(|line| eprint(&format!("{}\n", progress.paint(FAINT, &line))));
    let mut status = rehearsal.boot(progress).await?;
    if arguments.scenario == Scenario::Reboot {
        print(&format!("\n{}\n\n{}", paint.paint(STRONG, "first boot"), rehearsal.report()?.render(paint)))?;
        rehearsal.restart()?;
        status = rehearsal.boot(progress).await?;
        print(&format!("\n{}\n", paint.paint(STRONG, "second boot")))?;
    }
    print(&rehearsal.shown(paint)?)?;
    if let Some(folder) = &arguments.keep {
        print(&format!("\nThe scratch host is in {}.\n", folder.display()))?;
    }
    let code = status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
    print(&format!("\nexit code {code}\n"))?;
    Ok(code)
}

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
    scenario: Scenario,
    parsed: Parsed,
    /// The contents of the image's files, by path.
    image: BTreeMap<String, Vec<u8>>,
}

impl Rehearsal {
    /// Prepares the scratch host, and returns a note on its user data for a person, if any.
    fn prepare(arguments: &RehearseArguments, folder: &Path) -> Result<(Self, Option<String>)> {
        let scenario = arguments.scenario;
        let text = match (&arguments.user_data, scenario) {
            (Some(path), _) => read_input(path)?,
            (None, Scenario::BadUserData) => EXAMPLE.replace("cluster:", "clusterr:").into_bytes(),
            (None, _) => EXAMPLE.as_bytes().to_vec(),
        };
        let parsed = crate::run::documents("user data", &text);
        let needs_device = matches!(scenario, Scenario::LateDevice | Scenario::ForeignDisk);
        let idle = (needs_device && devices(&parsed).is_empty())
            .then(|| "the user data has no device in `storage`, so this is the same as `success`".to_owned());
        let other = match arguments.time_scale {
            Some(scale) => time::scaled(&text, &parsed, scale),
            None if scenario.waits_to_the_end() => time::shortened(&text, &parsed),
            None => None,
        };
        let (text, note) = other.map_or((text, idle), |other| (other.user_data, Some(other.note)));
        let binary = std::env::current_exe().context("find this program")?;
        let rehearsal = Self::of(scenario, text, folder, &binary)?;
        if arguments.run_hooks {
            rehearsal.programs.run_hooks()?;
        }
        Ok((rehearsal, note))
    }

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
        let mut options = CloudOptions {
            user_data: Some(user_data),
            registration: scenario.registration(cluster),
            registration_starts_on: Some(programs.started_marker(ECS_UNIT)),
            docker: Some(docker_socket(&root, &programs)),
            ..CloudOptions::default()
        };
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
        let mut command = tokio::process::Command::new(binary);
        let ignored = crate::config::SHELL_VARIABLES.iter().map(|(name, _)| *name).chain([
            "NOTIFY_SOCKET",
            "HTTP_PROXY",
            "HTTPS_PROXY",
            "NO_PROXY",
            "AWS_ENDPOINT_URL",
            "AWS_ENDPOINT_URL_ECS",
            "AWS_ENDPOINT_URL_CLOUDWATCH_LOGS",
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

    fn shown(&self, paint: Paint) -> Result<String> {
        let mut out = String::new();
        writeln!(out, "\n{}", self.report()?.render(paint))?;
        writeln!(out, "{}", paint.paint(STRONG, "files written"))?;
        for (path, size, mode) in files(&self.root)? {
            if self.image.get(&path) != Some(&contents(&self.root, &path)) {
                out.push_str(&hanging(&format!("  {mode:04o} {size:>6}  "), &path));
            }
        }
        writeln!(out, "\n{}", paint.paint(STRONG, "programs"))?;
        for call in self.programs.calls().iter().filter(|call| !call.args.iter().any(|arg| arg == "show")) {
            let arguments = call.args.join(" ").replace(&self.root.display().to_string(), "");
            out.push_str(&hanging("  ", &format!("{} {arguments}", call.program)));
        }
        writeln!(out, "\n{}", paint.paint(STRONG, "requests received"))?;
        out.push_str(&show::requests(&self.cloud.requests()));
        writeln!(out, "\n{}", paint.paint(STRONG, "CloudFormation received"))?;
        let signals = self.cloud.signals();
        for signal in &signals {
            let way = if signal.proxied { "through the proxy" } else { "directly" };
            let at = milliseconds(crate::apply::millis(signal.at));
            let ReceivedSignal { status, stack, resource, unique_id, .. } = signal;
            writeln!(out, "  {status} for {stack} {resource} from {unique_id}, {way}, at {at}")?;
        }
        if signals.is_empty() {
            writeln!(out, "  nothing")?;
        }
        let calls = self.cloud.lifecycle_calls();
        if !calls.is_empty() {
            writeln!(out, "\n{}", paint.paint(STRONG, "Auto Scaling received"))?;
        }
        for call in calls {
            let what = call.result.as_deref().unwrap_or("a heartbeat");
            let at = milliseconds(crate::apply::millis(call.at));
            writeln!(out, "  {what} for {} {} from {}, at {at}", call.group, call.hook, call.instance_id)?;
        }
        Ok(out)
    }
}

/// Returns Docker's socket below a root, which appears once the stub has started Docker.
pub fn docker_socket(root: &Path, programs: &Programs) -> DockerSocket {
    DockerSocket { path: below(root, DOCKER_SOCKET), starts_on: programs.started_marker(DOCKER_UNIT) }
}

fn devices(parsed: &Parsed) -> Vec<String> {
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
    match scenario.agent_log() {
        Some(log) => put(root, ECS_AGENT_LOG, log),
        None => Ok(()),
    }
}

/// Puts a blank disk of 64 MiB in place. The disk appears with its full size.
fn make_disk(root: &Path, device: &str) -> Result<()> {
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

fn contents(root: &Path, path: &str) -> Vec<u8> {
    std::fs::read(below(root, path)).unwrap_or_default()
}

/// Lists the files that the agent can have written, below `/etc`, `/opt` and `/var`, with size and mode.
fn files(root: &Path) -> Result<Vec<(String, u64, u32)>> {
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
