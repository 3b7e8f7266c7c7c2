//! The same first boot three times: by the binary of an image, by a shell script with curl, jq and the AWS CLI, and by curl
//! that makes the same requests and does nothing else. All against the same fake cloud, with the same stub of systemctl,
//! and with nothing of the disk in memory, as when an instance boots.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use ecs_firstrun::rehearse::cloud::{Cloud, CloudOptions, RegisteredAs, Registration};

use super::cost::{self, Cost};
use super::support::host::{Host, INSTANCE, until};
use super::support::repository;
use super::{AGENT, spread};

const RUNS: usize = 10;
const USER_DATA: &str = include_str!("../../examples/user-data/smallest.yaml");
/// The folder into which `make setup-bench` puts the AWS CLI.
const AWS_CLI: &str = "target/bench/venv/bin";

/// The program that does the job.
#[derive(Clone, Copy)]
enum Worker {
    Agent,
    Script,
    Curl,
}

/// One first boot.
struct Boot {
    cost: Cost,
    /// From the registration to CloudFormation's receipt of the signal.
    signalled: Duration,
    /// From the start to the end, without the wait for the registration.
    own: Duration,
}

pub fn table() {
    let workers = [Worker::Agent, Worker::Script, Worker::Curl];
    let is_cold = cost::forget_files();
    let boots = workers.map(|worker| (0..RUNS).map(|run| boot(worker, run)).collect::<Vec<_>>());
    let processes = workers.map(processes);
    println!();
    let files = if is_cold { "nothing of the disk in memory" } else { "not root: all files in memory" };
    println!("{:<46} {:<24} {:<24} curl, requests only", format!("{RUNS} first boots, {files}"), "", "");
    println!("{:<46} {:<24} {:<24}", "smallest / middle / largest", "ecs-firstrun", "shell script");
    let row = |what: &str, unit: &str, figure: fn(&Boot) -> f64| {
        let [agent, script, curl] = boots.each_ref().map(|boots| spread(boots.iter().map(figure), unit));
        println!("{what:<46} {agent:<24} {script:<24} {curl}");
    };
    row("registration to signal", "ms", |boot| boot.signalled.as_secs_f64() * 1e3);
    row("time without the wait", "ms", |boot| boot.own.as_secs_f64() * 1e3);
    row("CPU time", "ms", |boot| boot.cost.processor.as_secs_f64() * 1e3);
    row("largest process", "MiB", |boot| boot.cost.memory as f64 / 1024.0);
    if is_cold {
        row("read from disk", "MiB", |boot| boot.cost.read as f64 / f64::from(1 << 20));
    }
    let [agent, script, curl] = processes.map(|count| count.map_or("no strace".to_owned(), |count| count.to_string()));
    println!("{:<46} {agent:<24} {script:<24} {curl}", "processes");
}

fn boot(worker: Worker, run: usize) -> Boot {
    let host = host();
    let result = host.folder.path().join("cost");
    let mut command = cost::measured(&command(worker, &host), &result);
    let errors = std::fs::File::create(host.folder.path().join("errors")).unwrap();
    command.stdout(Stdio::null()).stderr(errors);
    let marker = host.rehearsal.programs.started_marker("ecs.service");
    cost::forget_files();
    let began = Instant::now();
    let mut child = command.spawn().unwrap();
    until(|| marker.exists());
    let before = began.elapsed();
    // Different moments between two looks.
    std::thread::sleep(Duration::from_millis(1_000 + 97 * run as u64));
    let registered = Instant::now();
    host.rehearsal.cloud.begin_registration();
    until(|| !host.rehearsal.cloud.signals().is_empty());
    let signalled = registered.elapsed();
    let status = child.wait().unwrap();
    let own = before + registered.elapsed();
    let errors = std::fs::read_to_string(host.folder.path().join("errors")).unwrap();
    assert!(status.success(), "{errors}");
    let cost = serde_json::from_str(&std::fs::read_to_string(result).unwrap()).unwrap();
    Boot { cost, signalled, own }
}

/// A host whose ECS agent registers when that is said.
fn host() -> Host {
    let mut host = Host::of(ecs_firstrun::rehearse::Scenario::Success, USER_DATA);
    let options = CloudOptions {
        user_data: Some(USER_DATA.into()),
        registration: Registration::After(Duration::ZERO, RegisteredAs { cluster: "production".to_owned() }),
        iam_role: Some("web-instances".to_owned()),
        ..CloudOptions::default()
    };
    host.rehearsal.cloud = Cloud::start(options).unwrap();
    let started = host.rehearsal.programs.started_marker("ecs.service");
    std::fs::create_dir_all(started.parent().unwrap()).unwrap();
    let systemctl = host.rehearsal.bin.join("systemctl");
    std::fs::remove_file(&systemctl).unwrap();
    std::fs::copy(repository("tests/support/systemctl.sh"), systemctl).unwrap();
    host
}

fn command(worker: Worker, host: &Host) -> Command {
    let script = |name: &str| repository("tests/bench").join(name);
    let program = match worker {
        Worker::Agent => AGENT.into(),
        Worker::Script => script("original.sh"),
        Worker::Curl => script("requests.sh"),
    };
    let mut command = host.rehearsal.command_of(&program).into_std();
    if matches!(worker, Worker::Agent) {
        command.arg("run");
    }
    let started = host.rehearsal.programs.started_marker("ecs.service");
    command.env("STARTED", started.parent().unwrap());
    let path = std::env::join_paths(
        [host.rehearsal.bin.clone(), repository(AWS_CLI)]
            .into_iter()
            .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())),
    );
    let signal = [
        "Action=SignalResource&Version=2010-05-15&StackName=web&LogicalResourceId=Instances&Status=SUCCESS&UniqueId=",
        INSTANCE,
    ];
    command
        .env("PATH", path.unwrap())
        .env("FOLDER", host.folder.path())
        .env("SIGNAL", signal.concat())
        .current_dir(host.folder.path());
    if matches!(worker, Worker::Script) {
        command.env("ECS_CLUSTER", "production").env("STACK_NAME", "web").env("AUTOSCALING_GROUP", "Instances");
    }
    command
}

fn processes(worker: Worker) -> Option<usize> {
    let host = host();
    // Registered at once: how often the registration is asked for is not what is counted.
    host.rehearsal.cloud.begin_registration();
    std::thread::sleep(Duration::from_millis(100));
    cost::processes(&command(worker, &host), Path::new(host.folder.path()))
}
