//! A scratch host on which the real binary runs, with a fake cloud around it.

use std::collections::BTreeMap;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use ecs_firstrun::rehearse::cloud::{Cloud, CloudOptions, RegisteredAs, Registration, Request, Server};
use ecs_firstrun::rehearse::{Rehearsal, Scenario, docker_socket};
use ecs_firstrun::report::Report;

/// The binary under test.
pub const BINARY: &str = env!("CARGO_BIN_EXE_ecs-firstrun");

/// Mode and bytes of each file, by path.
pub type Tree = BTreeMap<String, (u32, Vec<u8>)>;

/// A scratch host.
pub struct Host {
    pub folder: tempfile::TempDir,
    pub rehearsal: Rehearsal,
}

/// How a run of the binary ended.
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
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let output = runtime.block_on(async {
            let mut command = self.rehearsal.command_of(Path::new(BINARY));
            command.args(arguments).envs(variables.iter().copied());
            command.current_dir(self.folder.path()).output().await.unwrap()
        });
        Ended::from(output)
    }

    pub fn report(&self) -> Report {
        self.rehearsal.report().unwrap()
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
            "var/log/ecs-firstrun.log",
            "dev/console",
            "run/ecs-firstrun/configured",
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

/// All files below a folder.
pub fn tree(folder: &Path) -> Tree {
    let mut tree = Tree::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in next.read_dir().unwrap().map(Result::unwrap) {
            let metadata = entry.path().symlink_metadata().unwrap();
            let name = entry.path().strip_prefix(folder).unwrap().display().to_string();
            if metadata.is_dir() {
                folders.push(entry.path());
            } else if !metadata.file_type().is_socket() {
                let bytes = std::fs::read(entry.path()).unwrap();
                tree.insert(name, (metadata.permissions().mode() & 0o7777, bytes));
            }
        }
    }
    tree
}
