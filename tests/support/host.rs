//! A scratch host on which the real binary runs, with a fake cloud around it.

use std::collections::BTreeMap;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use ecs_firstrun::rehearse::cloud::{
    Cloud, CloudOptions, ReceivedSignal, RegisteredAs, Registration, Request, Server, SignalAuth,
};
use ecs_firstrun::rehearse::{Rehearsal, Scenario, docker_socket};
use ecs_firstrun::report::Report;
use nix::sys::signal::Signal;
use nix::unistd::Pid;

/// The instance of the fake cloud.
pub const INSTANCE: &str = "i-0f1e2d3c4b5a69788";

/// The binary under test.
pub const BINARY: &str = env!("CARGO_BIN_EXE_ecs-firstrun");

/// The state file, with what a run has decided.
pub const STATE: &str = "/var/lib/ecs-firstrun/state.json";

/// A document of the image that [`Host::put_mistake`] adds.
const MISTAKE: &str = "/etc/ecs-firstrun/conf.d/60-mistake.yaml";

/// Mode and bytes of each file, by path.
pub type Tree = BTreeMap<String, (u32, Vec<u8>)>;

/// A scratch host.
pub struct Host {
    pub folder: tempfile::TempDir,
    pub rehearsal: Rehearsal,
}

/// The end of a run of the binary.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Host {
    pub fn of(scenario: Scenario, user_data: impl Into<Vec<u8>>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let rehearsal = Rehearsal::of(scenario, user_data.into(), folder.path(), Path::new(BINARY)).unwrap();
        Host { folder, rehearsal }
    }

    /// A host in a cloud that is not as usual. The ECS agent registers at once.
    pub fn in_cloud(user_data: &str, change: impl FnOnce(&mut CloudOptions)) -> Self {
        let mut host = Self::of(Scenario::Success, user_data);
        let cluster = "production".to_owned();
        let mut options = CloudOptions {
            user_data: Some(user_data.into()),
            registration: Registration::After(std::time::Duration::ZERO, RegisteredAs { cluster }),
            registration_starts_on: Some(host.rehearsal.programs.started_marker("ecs.service")),
            docker: Some(docker_socket(&host.rehearsal.root, &host.rehearsal.programs)),
            ..CloudOptions::default()
        };
        change(&mut options);
        host.rehearsal.cloud = Cloud::start(options).unwrap();
        host
    }

    pub fn run(&self) -> Ended {
        self.run_with(&[])
    }

    pub fn run_with(&self, variables: &[(&str, &str)]) -> Ended {
        self.call(&["run"], variables)
    }

    /// Runs a command of the binary on this host.
    pub fn call(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Ended {
        let mut command = self.rehearsal.command_of(Path::new(BINARY)).into_std();
        command.args(arguments).envs(variables.iter().copied()).current_dir(self.folder.path());
        Ended::from(command.output().unwrap())
    }

    /// Runs, and does something with the process's id meanwhile.
    pub fn run_and(&self, meanwhile: impl FnOnce(u32)) -> Ended {
        let mut command = self.rehearsal.command(Path::new(BINARY)).into_std();
        command.current_dir(self.folder.path()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().unwrap();
        meanwhile(child.id());
        Ended::from(child.wait_with_output().unwrap())
    }

    /// Runs under strace with these options.
    pub fn traced(&self, options: &[&str]) -> Ended {
        self.traced_with(options, &[])
    }

    pub fn traced_with(&self, options: &[&str], variables: &[(&str, &str)]) -> Ended {
        let run = self.rehearsal.command(Path::new(BINARY)).into_std();
        let mut command = std::process::Command::new("strace");
        command.args(options).arg(run.get_program()).args(run.get_args()).current_dir(self.folder.path());
        for (name, value) in run.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        Ended::from(command.envs(variables.iter().copied()).output().unwrap())
    }

    /// The one signal that CloudFormation has received.
    pub fn one_signal(&self, status: &str) -> ReceivedSignal {
        let signals = self.rehearsal.cloud.signals();
        assert_eq!(signals.len(), 1, "{signals:?}");
        let signal = signals.into_iter().next().unwrap();
        let got = (signal.status.as_str(), signal.stack.as_str(), signal.resource.as_str(), signal.unique_id.as_str());
        assert_eq!(got, (status, "web", "Instances", INSTANCE));
        assert_eq!(signal.auth, SignalAuth::InstanceIdentity);
        signal
    }

    pub fn report(&self) -> Report {
        self.rehearsal.report().unwrap()
    }

    /// The reason that the report gives for a failure; empty after a success.
    pub fn reason(&self) -> String {
        self.report().reason.unwrap_or_default()
    }

    /// The statuses of the signals that CloudFormation has received.
    pub fn statuses(&self) -> Vec<String> {
        self.rehearsal.cloud.signals().into_iter().map(|signal| signal.status).collect()
    }

    /// The status that the state file keeps, and whether CloudFormation is known to have it.
    pub fn decision(&self) -> Option<(String, bool)> {
        let text = std::fs::read_to_string(self.at(STATE)).ok()?;
        let state: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
        let decision = state.get("decision").filter(|decision| !decision.is_null())?;
        Some((decision["status"].as_str().unwrap().to_owned(), !decision["settled"].is_null()))
    }

    /// Adds a document with an unknown key, for which a run is refused.
    pub fn put_mistake(&self) {
        self.put(MISTAKE, "ecs: {clusterr: x}\n");
    }

    pub fn remove_mistake(&self) {
        std::fs::remove_file(self.at(MISTAKE)).unwrap();
    }

    pub fn at(&self, path: &str) -> PathBuf {
        self.rehearsal.root.join(path.trim_start_matches('/'))
    }

    pub fn text(&self, path: &str) -> String {
        std::fs::read_to_string(self.at(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    pub fn put(&self, path: &str, text: &str) {
        std::fs::create_dir_all(self.at(path).parent().unwrap()).unwrap();
        std::fs::write(self.at(path), text).unwrap();
    }

    /// The host's files, without those that tell of each run.
    pub fn tree(&self) -> Tree {
        let mut tree = tree(&self.rehearsal.root);
        for told in [
            "var/lib/ecs-firstrun/report.json",
            "var/lib/ecs-firstrun/state.json",
            // The size and time of the stub: those of the binary.
            "var/lib/ecs-firstrun/docker-version",
            "var/log/ecs-firstrun.log",
            "var/log/ecs-firstrun-runs.log",
            "dev/console",
            "run/ecs-firstrun/configured",
            "run/ecs-firstrun/status",
        ] {
            tree.remove(told);
        }
        tree
    }

    pub fn requests(&self, server: Server) -> Vec<Request> {
        self.rehearsal.cloud.requests().into_iter().filter(|request| request.server == server).collect()
    }

    /// Units that were started or restarted.
    pub fn started(&self) -> Vec<String> {
        let calls = self.rehearsal.programs.calls().into_iter().filter(|call| call.program == "systemctl");
        let starting = calls.filter(|call| call.args.iter().any(|arg| arg == "start" || arg == "restart"));
        starting.filter_map(|call| call.args.last().cloned()).collect()
    }
}

impl From<std::process::Output> for Ended {
    fn from(output: std::process::Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Ended { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

/// Reads all files below a folder.
pub fn tree(folder: &Path) -> Tree {
    tree_without(folder, &[])
}

/// Reads all files below a folder, but for those in some of its own folders.
fn tree_without(folder: &Path, left_out: &[&str]) -> Tree {
    let mut tree = Tree::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in next.read_dir().unwrap().map(Result::unwrap) {
            let metadata = entry.path().symlink_metadata().unwrap();
            let name = entry.path().strip_prefix(folder).unwrap().display().to_string();
            if metadata.is_dir() {
                if !left_out.contains(&name.as_str()) {
                    folders.push(entry.path());
                }
            } else if !metadata.file_type().is_socket() {
                let bytes = std::fs::read(entry.path()).unwrap();
                tree.insert(name, (metadata.permissions().mode() & 0o7777, bytes));
            }
        }
    }
    tree
}

/// Reads all files beside the root, but for the stub programs (links to the binary) and their state.
pub fn beside_the_root(host: &Host) -> Tree {
    tree_without(host.folder.path(), &["root", "rehearsal", "bin"])
}

/// Sends a signal to a process.
pub fn kill(pid: u32, signal: Signal) {
    nix::sys::signal::kill(Pid::from_raw(pid.cast_signed()), signal).unwrap();
}

/// Waits for what must come to be within half a minute.
pub fn until(condition: impl Fn() -> bool) {
    let began = std::time::Instant::now();
    while !condition() {
        assert!(began.elapsed().as_secs() < 30, "it never came to be");
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}
