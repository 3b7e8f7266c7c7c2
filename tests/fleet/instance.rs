//! An instance: what it must come to, its scratch root, and its boot, which is a process of the agent.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ecs_firstrun::rehearse::cloud::{IdentityDouble, Server};
use ecs_firstrun::report::Report;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use super::chance::Chance;
use super::doubles::Doubles;

/// The binary that `make build` makes.
const AGENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/dist/ecs-firstrun");
/// The argument that makes this program the one that watches over an agent.
pub const CELL: &str = "--watch-over";
/// An agent is killed after that.
const LIMIT: Duration = Duration::from_secs(300);
/// The ECS agent registers at the latest so long after its start.
const REGISTERS: Duration = Duration::from_secs(4);

/// The outcome that an instance will have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Right,
    /// Its configuration has a mistake.
    Refused,
    /// Its ECS agent never registers.
    Never,
    /// Its ECS agent registers with another cluster.
    WrongCluster,
    /// Its stack waits for nothing.
    NotWaitedFor,
}

impl Fate {
    fn of(number: u64) -> Self {
        match number * 37 % 100 {
            0..80 => Fate::Right,
            80..88 => Fate::Refused,
            88..93 => Fate::Never,
            93..96 => Fate::WrongCluster,
            _ => Fate::NotWaitedFor,
        }
    }

    /// The exit code, the outcome in the report, and the status that CloudFormation accepts.
    pub fn expected(self) -> (i32, &'static str, Option<&'static str>) {
        match self {
            Fate::Right => (0, "success, signal accepted", Some("SUCCESS")),
            Fate::Refused => (2, "refused, signal accepted", Some("FAILURE")),
            Fate::Never | Fate::WrongCluster => (1, "failure, signal accepted", Some("FAILURE")),
            Fate::NotWaitedFor => (0, "success, signal not_waited_for", None),
        }
    }
}

#[derive(Clone, Debug)]
pub struct Instance {
    pub number: u64,
    pub id: String,
    pub fate: Fate,
    pub registers_after: Duration,
    folder: PathBuf,
}

/// The result of a boot.
pub struct Boot {
    pub number: u64,
    pub code: Option<i32>,
    /// The outcome and the delivery of the signal, as the report has them.
    pub outcome: String,
    /// Docker's configuration.
    pub docker: String,
    pub cost: Option<Cost>,
    /// The last line of the log.
    pub last_words: String,
}

/// The cost of an agent.
#[derive(Debug, Serialize, Deserialize)]
pub struct Cost {
    code: Option<i32>,
    /// CPU time of the agent alone, in nanoseconds.
    pub own: u64,
    /// CPU time of the agent and of the programs that it started, in microseconds.
    pub all: u64,
    /// The most memory that it had, in KiB.
    pub memory: i64,
    /// The most memory of the watching process, in KiB. The kernel counts a process's memory from its parent's, so a lower
    /// value can't be measured.
    pub least: i64,
}

impl Instance {
    pub fn new(number: u64, fleet: &Path, chance: &mut Chance) -> Self {
        let id = format!("i-{number:017x}");
        let folder = fleet.join(&id);
        Instance { number, fate: Fate::of(number), registers_after: chance.span(REGISTERS), id, folder }
    }

    pub fn identity(&self) -> IdentityDouble {
        IdentityDouble { instance_id: self.id.clone(), ..IdentityDouble::default() }
    }

    /// By what it proves to CloudFormation who it is.
    pub fn authorization(&self) -> String {
        let identity = self.identity();
        format!("CFN_V1 {}:{}", STANDARD.encode(identity.document()), identity.signature().replace('\n', ""))
    }

    pub fn user_data(&self) -> String {
        let cluster = if self.fate == Fate::Refused { "clusterr" } else { "cluster" };
        let timeout = if self.fate == Fate::Never { "3s" } else { "4m" };
        format!(
            "#ecs-firstrun\nsignal: {{stack: fleet, resource: Instances, timeout: 10m}}\nlogs: {{agent: none}}\n\
             docker: {{daemon: {{log-opts: {{tag: {{ssm: {}}}}}}}}}\n\
             ecs: {{{cluster}: production}}\nwait: {{timeout: {timeout}}}\n",
            self.parameter()
        )
    }

    /// The name of its own parameter.
    pub fn parameter(&self) -> String {
        format!("/fleet/{}", self.id)
    }

    /// The value of its parameter, which ends in Docker's configuration.
    pub fn value(&self) -> String {
        format!("of {}", self.id)
    }

    /// The ID of its own key, by which it signs requests.
    pub fn key_id(&self) -> String {
        format!("AKID{:016}", self.number)
    }

    /// The file that is there once a unit has been started.
    pub fn started(&self, unit: &str) -> PathBuf {
        self.folder.join("started").join(unit)
    }

    /// Boots, to the end.
    pub fn boot(&self, doubles: &Doubles) -> Boot {
        let root = self.folder.join("root");
        std::fs::create_dir_all(root.join("etc")).unwrap();
        std::fs::create_dir_all(self.folder.join("started")).unwrap();
        std::fs::write(root.join("etc/os-release"), "ID=\"amzn\"\nVERSION_ID=\"2023\"\n").unwrap();
        let bin = self.folder.with_file_name("bin");
        let mut cell = Command::new("/proc/self/exe");
        cell.args([CELL, AGENT]).current_dir(&self.folder).env_clear();
        cell.env("PATH", format!("{}:/usr/bin:/bin", bin.display())).env("ECS_FIRSTRUN_ROOT", &root);
        cell.env("STARTED", self.folder.join("started"));
        let own = |service| format!("{}/{}", doubles.endpoint(service), self.id);
        cell.env("AWS_EC2_METADATA_SERVICE_ENDPOINT", own(Server::Imds));
        cell.env("ECS_FIRSTRUN_ECS_ENDPOINT", own(Server::Ecs));
        cell.env("AWS_ENDPOINT_URL_CLOUDFORMATION", doubles.endpoint(Server::CloudFormation));
        cell.env("AWS_ENDPOINT_URL_SSM", doubles.endpoint(Server::Ssm));
        cell.env("AWS_ACCESS_KEY_ID", self.key_id()).env("AWS_SECRET_ACCESS_KEY", "secret");
        let watched = cell.stdin(Stdio::null()).output().unwrap();
        let cost: Option<Cost> = serde_json::from_slice(&watched.stdout).ok();
        let log = std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        let boot = Boot {
            number: self.number,
            code: cost.as_ref().and_then(|cost| cost.code),
            outcome: outcome(&root).unwrap_or_default(),
            docker: std::fs::read_to_string(root.join("etc/docker/daemon.json")).unwrap_or_default(),
            cost,
            last_words: log.lines().last().unwrap_or_default().to_owned(),
        };
        std::fs::remove_dir_all(&self.folder).unwrap();
        boot
    }
}

fn outcome(root: &Path) -> Option<String> {
    let text = std::fs::read_to_string(root.join("var/lib/ecs-firstrun/report.json")).ok()?;
    let report = Report::parse(&text).ok()?;
    let word = |value: serde_json::Value| value.as_str().map(str::to_owned);
    let delivery = word(serde_json::to_value(report.signal?.delivery).ok()?)?;
    Some(format!("{}, signal {delivery}", word(serde_json::to_value(report.outcome).ok()?)?))
}

/// Puts the one `systemctl` of all instances beside their folders.
pub fn install_systemctl(fleet: &Path) {
    let path = fleet.join("bin/systemctl");
    std::fs::create_dir(fleet.join("bin")).unwrap();
    std::fs::copy(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/systemctl.sh"), path).unwrap();
}

/// Runs an agent, and prints what it cost. In a process of its own: what the kernel tells of children it tells of all together.
pub fn watch(agent: &str) {
    let log = File::create("log").unwrap();
    let mut command = Command::new(agent);
    command.arg("run").stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
    let mut child = command.spawn().unwrap();
    let pid = Pid::from_raw(child.id() as i32);
    std::thread::spawn(move || {
        std::thread::sleep(LIMIT);
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
    });
    // The kernel still reports the CPU time of a process that has ended and was not waited for. The process has one thread.
    waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT).unwrap();
    let scheduled = std::fs::read_to_string(format!("/proc/{pid}/schedstat")).unwrap();
    let own = scheduled.split(' ').next().unwrap().parse().unwrap();
    let code = child.wait().unwrap().code();
    let all = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap();
    let time = [all.user_time(), all.system_time()].map(|time| time.tv_sec() * 1_000_000 + time.tv_usec());
    let all_time = u64::try_from(time[0] + time[1]).unwrap();
    let cost = Cost { code, own, all: all_time, memory: all.max_rss(), least: own_peak() };
    println!("{}", serde_json::to_string(&cost).unwrap());
}

/// The most memory that this process had, in KiB.
fn own_peak() -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    peak.trim().trim_end_matches(" kB").parse().unwrap()
}
