//! Killed anywhere: runs of the real binary that are disturbed at each system call which changes something, and what the
//! next run makes of that.
//!
//! `make prove-kill` tries all of it, `make prove-kill ARGS='smallest/KILL'` what has that in its name.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    missing_docs,
    reason = "tests make files and processes of their own, and fail by panicking"
)]

mod configurations;
mod disk;
mod points;
mod programs;
#[allow(dead_code, reason = "other tests share it")]
#[path = "../support/mod.rs"]
mod support;
mod table;
mod tree;
mod trials;
mod verdict;

use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Mutex, OnceLock, PoisonError};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

use crate::support::disks::which;
use crate::trials::Trial;

/// The number of runs at once: each run sometimes waits for a program or a double.
const AT_ONCE: usize = 6;
const PROGRAMS: &[&str] = &[
    "strace",
    "losetup",
    "blkid",
    "mount",
    "mkfs.xfs",
    "mkfs.ext4",
    "xfs_repair",
    "e2fsck",
    "xfs_growfs",
    "resize2fs",
];

fn main() -> ExitCode {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    if let Some(missing) = missing() {
        println!("killed anywhere: skipped: {missing}");
        return ExitCode::SUCCESS;
    }
    prepare();
    let (trials, mut table) = trials::all(&wanted);
    println!("{} points", trials.len());
    // A trial says itself what was wrong.
    std::panic::set_hook(Box::new(|_| {}));
    let queue = Mutex::new(trials.into_iter());
    let tried = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(trial) = next(&queue) {
                    let verdict = trial.verdict();
                    if let Err(why) = &verdict {
                        println!("{trial}:\n    {why}");
                    }
                    let mut tried = tried.lock().unwrap_or_else(PoisonError::into_inner);
                    tried.push((trial, verdict));
                    if tried.len() % 500 == 0 {
                        println!("{} tried", tried.len());
                    }
                }
            });
        }
    });
    tried
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner)
        .iter()
        .for_each(|(trial, verdict)| table.add(trial, verdict));
    print!("{table}");
    if table.has_failed() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn next(queue: &Mutex<impl Iterator<Item = Trial>>) -> Option<Trial> {
    queue.lock().unwrap_or_else(PoisonError::into_inner).next()
}

fn missing() -> Option<String> {
    if !nix::unistd::geteuid().is_root() {
        return Some("this takes root, for loop devices and mounts".to_owned());
    }
    let missing: Vec<_> = PROGRAMS.iter().copied().filter(|program| which(program).is_none()).collect();
    (!missing.is_empty()).then(|| format!("{} missing; on Debian `make setup-disks` installs that", missing.join(", ")))
}

/// The folder of all scratch hosts, in memory. The machine's own temporary folder may hold this repository and its
/// programs.
const SCRATCH: &str = "/mnt";

/// Leaves the mounts of this machine, and puts all scratch hosts into memory.
fn prepare() {
    unshare(CloneFlags::CLONE_NEWNS).expect("leave the machine's mounts");
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>).expect("own mounts");
    mount(Some("tmpfs"), SCRATCH, Some("tmpfs"), MsFlags::empty(), None::<&str>).expect("a tmpfs");
    tempfile::env::override_temp_dir(Path::new(SCRATCH)).expect("no other folder was set");
}

/// The socket on which systemd is told; what comes there is thrown away.
fn systemd() -> &'static str {
    static PATH: OnceLock<String> = OnceLock::new();
    PATH.get_or_init(|| {
        let path = format!("{SCRATCH}/notify");
        let socket = UnixDatagram::bind(&path).expect("a socket");
        std::thread::spawn(move || while socket.recv(&mut [0; 4096]).is_ok() {});
        path
    })
}
