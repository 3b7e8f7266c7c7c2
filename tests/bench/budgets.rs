//! The binary of an image against what it may cost, in the scratch host of `rehearse` with its fake cloud; the programs
//! that the agent starts are stubs.

use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use ecs_firstrun::rehearse::cloud::{Cloud, CloudOptions, RegisteredAs, Registration};

use super::support::host::{Host, until};
use super::support::repository;
use super::{AGENT, spread};

const RUNS: usize = 20;
const USER_DATA: &str = include_str!("../../examples/user-data/smallest.yaml");

/// The cost of one run of the agent.
struct Cost {
    /// CPU time of the agent alone.
    cpu: Duration,
    /// The most memory it held, in KiB.
    memory: u64,
}

pub fn table() {
    let mut table = vec![("static binary", format!("{:.2} MB", size(AGENT) as f64 / 1e6), "8 MB")];
    let plans: Vec<_> = (0..RUNS).map(|_| plan()).collect();
    table.push(("plan, CPU time", milliseconds(plans.iter().map(|cost| cost.cpu)), "10 ms"));
    let (runs, signals): (Vec<_>, Vec<_>) = (0..RUNS).map(first_boot).unzip();
    table.push(("run, its own CPU time", milliseconds(runs.iter().map(|cost| cost.cpu)), "50 ms"));
    let memory = runs.iter().map(|cost| cost.memory).max().unwrap_or_default();
    table.push(("run, peak memory", format!("{:.1} MiB", memory as f64 / 1024.0), "16 MiB"));
    table.push(("registration visible to signal received", milliseconds(signals.into_iter()), "150 ms"));
    table.push(("reboot with nothing to do, start to READY", milliseconds((0..RUNS).map(|_| reboot())), "200 ms"));
    println!("{:<46} {:<36} budget", format!("{RUNS} times each"), "smallest / middle / largest");
    for (what, measured, budget) in table {
        println!("{what:<46} {measured:<36} {budget}");
    }
}

fn size(path: &str) -> u64 {
    std::fs::metadata(path).unwrap().len()
}

fn milliseconds(times: impl Iterator<Item = Duration>) -> String {
    spread(times.map(|time| time.as_secs_f64() * 1e3), "ms")
}

fn plan() -> Cost {
    let mut command = Command::new(AGENT);
    command.arg("plan").arg("--user-data").arg(repository("examples/user-data/complete.yaml"));
    command.arg("--facts").arg(repository("examples/facts/amazon-linux-2023.json")).stdout(Stdio::null());
    cost(command)
}

/// A first boot whose ECS agent registers at an arbitrary moment; the cost, and how long the signal took from there.
fn first_boot(run: usize) -> (Cost, Duration) {
    let mut host = Host::of(ecs_firstrun::rehearse::Scenario::Success, USER_DATA);
    let cluster = "production".to_owned();
    let options = CloudOptions {
        user_data: Some(USER_DATA.into()),
        registration: Registration::After(Duration::ZERO, RegisteredAs { cluster }),
        ..CloudOptions::default()
    };
    host.rehearsal.cloud = Cloud::start(options).unwrap();
    let command = quiet(&host);
    std::thread::scope(|scope| {
        let running = scope.spawn(|| cost(command));
        let marker = host.rehearsal.programs.started_marker("ecs.service");
        until(|| marker.exists());
        // Different moments between two looks of the agent.
        std::thread::sleep(Duration::from_millis(300 + 7 * run as u64));
        let registered = Instant::now();
        host.rehearsal.cloud.begin_registration();
        until(|| !host.rehearsal.cloud.signals().is_empty());
        let signalled = registered.elapsed();
        (running.join().unwrap(), signalled)
    })
}

/// The second boot of a host, on which everything is as it should be.
fn reboot() -> Duration {
    let host = Host::in_cloud(USER_DATA, |_| {});
    cost(quiet(&host));
    let socket = UnixDatagram::bind(host.folder.path().join("notify")).unwrap();
    let mut command = quiet(&host);
    command.env("NOTIFY_SOCKET", host.folder.path().join("notify"));
    let began = Instant::now();
    let mut child = command.spawn().unwrap();
    let mut message = [0; 4096];
    let ready = loop {
        let length = socket.recv(&mut message).unwrap();
        if message[..length].split(|byte| *byte == b'\n').any(|line| line == b"READY=1") {
            break began.elapsed();
        }
    };
    child.wait().unwrap();
    ready
}

fn quiet(host: &Host) -> Command {
    let mut command = host.rehearsal.command(Path::new(AGENT)).into_std();
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// Runs a command to its end. Its process has one thread, whose CPU time the kernel reports until the process is reaped.
fn cost(mut command: Command) -> Cost {
    use nix::sys::wait::{Id, WaitPidFlag, waitid};
    let mut child = command.spawn().unwrap();
    let proc = format!("/proc/{}", child.id());
    let mut memory = 0;
    loop {
        let status = std::fs::read_to_string(format!("{proc}/status")).unwrap();
        let peak =
            status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok());
        memory = memory.max(peak.unwrap_or(0));
        let id = Id::Pid(nix::unistd::Pid::from_raw(child.id() as i32));
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT | WaitPidFlag::WNOHANG;
        if waitid(id, flags).unwrap() != nix::sys::wait::WaitStatus::StillAlive {
            break;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    let scheduled = std::fs::read_to_string(format!("{proc}/schedstat")).unwrap();
    let nanoseconds = scheduled.split(' ').next().unwrap().parse().unwrap();
    child.wait().unwrap();
    Cost { cpu: Duration::from_nanos(nanoseconds), memory }
}
