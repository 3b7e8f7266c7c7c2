//! The cost of a program, with all that it starts: this benchmark starts itself again between, so that what the kernel
//! adds up for children is that of this one program.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use serde::{Deserialize, Serialize};

/// The cost of a program.
#[derive(Serialize, Deserialize)]
pub struct Cost {
    /// From its start to its end.
    pub wall: Duration,
    /// CPU time of all the program's processes.
    pub processor: Duration,
    /// The most memory that one of its processes held, in KiB.
    pub memory: i64,
    /// Bytes that the program's processes read from disk.
    pub read: i64,
}

/// The command that measures another one, and leaves the result in a file.
pub fn measured(command: &Command, result: &Path) -> Command {
    let mut measuring = Command::new(std::env::current_exe().unwrap());
    measuring.arg("measure").arg(result);
    copy(command, &mut measuring);
    measuring
}

/// Has `other` run a command, in its environment.
fn copy(command: &Command, other: &mut Command) {
    other.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => other.env(name, value),
            None => other.env_remove(name),
        };
    }
}

/// Runs the command of [`measured`].
pub fn measure(result: &str, command: &[&str]) {
    let began = Instant::now();
    let status = Command::new(command[0]).args(&command[1..]).status().unwrap();
    let wall = began.elapsed();
    assert!(status.success(), "{command:?}: {status}");
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap();
    let time = |time: nix::sys::time::TimeVal| {
        Duration::from_micros(nix::sys::time::TimeValLike::num_microseconds(&time) as u64)
    };
    let processor = time(usage.user_time()) + time(usage.system_time());
    // The kernel counts in blocks of 512 bytes, whatever the disk has.
    let cost = Cost { wall, processor, memory: usage.max_rss(), read: usage.block_reads() * 512 };
    std::fs::write(result, serde_json::to_string(&cost).unwrap()).unwrap();
}

/// Has every file read from disk again, as at the first boot from an image.
pub fn forget_files() -> bool {
    nix::unistd::sync();
    std::fs::write("/proc/sys/vm/drop_caches", "3").is_ok()
}

/// Counts the processes that a command starts, with the command's own process.
pub fn processes(command: &Command, folder: &Path) -> Option<usize> {
    let trace = folder.join("trace");
    let mut traced = Command::new("strace");
    traced.args(["-f", "-qq", "-e", "trace=clone,clone3,fork,vfork", "-e", "signal=none", "-o"]).arg(&trace);
    copy(command, &mut traced);
    traced.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    assert!(traced.status().ok()?.success());
    let text = std::fs::read_to_string(trace).unwrap();
    let began = text.lines().filter(|line| !line.contains("CLONE_THREAD") && !line.contains("resumed>"));
    Some(1 + began.count())
}
