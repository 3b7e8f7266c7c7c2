//! Stub programs: this binary under the names of the programs that the agent calls, on a separate `PATH`.
//!
//! The stubs behave like the real programs, failures included. They record their work in a folder, and do nothing to the
//! machine.
#![allow(clippy::disallowed_methods, reason = "the doubles stand outside the host boundary")]

mod call;
mod disks;
mod hooks;
mod state;
mod systemctl;

use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use self::call::Call;
use self::call::{ProgramOutput, now};
use self::state::StubState;

/// The variable that names the folder where the stubs keep their state.
pub const STATE_VARIABLE: &str = "ECS_FIRSTRUN_REHEARSAL";

/// The variable that names the root the agent works under.
const ROOT_VARIABLE: &str = "ECS_FIRSTRUN_ROOT";

/// The programs that have stubs.
pub const NAMES: &[&str] = &[
    "systemctl",
    "systemd-run",
    "journalctl",
    "dmesg",
    "blkid",
    "mkfs.xfs",
    "mkfs.ext4",
    "xfs_growfs",
    "resize2fs",
    "udevadm",
    "mdadm",
    "dockerd",
];

/// Links the stubs into a folder, under their names.
fn install(dir: &Path, binary: &Path) -> io::Result<()> {
    std::fs::create_dir_all(dir)?;
    for name in NAMES {
        let link = dir.join(name);
        // A rehearsal may be repeated in the same folder, with another build of the binary.
        state::unless_missing(std::fs::remove_file(&link))?;
        std::os::unix::fs::symlink(binary, &link)?;
    }
    Ok(())
}

/// Does a stub's work if the binary was called by the stub's name, and returns the exit code.
pub fn main_if_stub(argv0: &OsStr, args: impl IntoIterator<Item = OsString>) -> Option<i32> {
    let called = Path::new(argv0).file_name()?.to_str()?;
    let program = NAMES.iter().find(|name| **name == called)?;
    let Some(folder) = std::env::var_os(STATE_VARIABLE) else {
        eprintln!("{program}: a stub, and {STATE_VARIABLE} isn't set");
        return Some(127);
    };
    let root = std::env::var_os(ROOT_VARIABLE).unwrap_or_else(|| "/".into());
    let state = StubState::new(folder.into(), root.into());
    let text = |arg: OsString| arg.to_string_lossy().into_owned();
    let args: Vec<String> = args.into_iter().map(text).collect();
    let outcome = run(program, &args, &state).unwrap_or_else(|error| {
        ProgramOutput::failed(126, format!("{program}: the stub's own state failed: {error}\n"))
    });
    // The caller may have closed the pipes; the exit code still tells the result.
    let _ = io::stderr().write_all(outcome.stderr.as_bytes());
    let _ = io::stdout().write_all(outcome.stdout.as_bytes());
    Some(outcome.exit)
}

/// Runs a stub and records the call.
fn run(program: &str, args: &[String], state: &StubState) -> io::Result<ProgramOutput> {
    let start = now();
    let outcome = match program {
        "systemctl" => systemctl::run(args, state),
        "systemd-run" => hooks::run(args, state),
        "journalctl" => Ok(journal(args, state)),
        // As on Amazon Linux.
        "dockerd" => Ok(ProgramOutput::printed("Docker version 25.0.16, build 0000000\n")),
        // The kernel mounts nothing in a rehearsal, so its log is empty.
        "dmesg" | "udevadm" => Ok(ProgramOutput::default()),
        _ => disks::run(program, args, state),
    }?;
    // A plan doesn't show the arguments of a hook, and neither does the record.
    let shown = if program == "systemd-run" { hooks::without_arguments(args) } else { args };
    let (program, args) = (program.to_owned(), shown.to_vec());
    let exit = outcome.exit;
    state.record(&Call { program, args, start, exit })?;
    Ok(outcome)
}

/// Returns the journal of the requested units: the text prepared for each, and the messages of mount(8).
fn journal(args: &[String], state: &StubState) -> ProgramOutput {
    let units = args.iter().filter_map(|arg| arg.strip_prefix("--unit="));
    let put: String = units.filter_map(|unit| state.read(state::JOURNAL, unit)).collect();
    let unit = args.iter().find_map(|arg| arg.strip_prefix("_SYSTEMD_UNIT="));
    if let Some(line) = unit.and_then(|unit| hooks::last_line(unit, state)) {
        return ProgramOutput::printed(line);
    }
    ProgramOutput::printed(put + &systemctl::mount_errors(args, state))
}

/// The stubs and their state, prepared before a rehearsal.
#[derive(Debug)]
pub struct Programs {
    state: StubState,
}

impl Programs {
    /// Links the stubs into `bin_dir` and prepares their state, with the units that systemd knows.
    pub fn prepare(state: &Path, bin_dir: &Path, binary: &Path, units: &[&str]) -> io::Result<Self> {
        install(bin_dir, binary)?;
        std::fs::create_dir_all(state)?;
        std::fs::write(state.join(state::UNITS), units.join("\n"))?;
        Ok(Self { state: StubState::new(state.to_owned(), "/".into()) })
    }

    /// Makes a unit fail after a delay from each start; its main process ends with this exit code.
    pub fn fail_after(&self, unit: &str, delay: Duration, code: i32) -> io::Result<()> {
        self.state.write(state::FAIL_AFTER, unit, &format!("{} {code}", delay.as_millis()))
    }

    /// Makes a unit stay `activating` for ever. `ecs.service` is ordered after `cloud-final.service`, and waits while that
    /// unit is `activating`.
    pub fn starts_without_end(&self, unit: &str) -> io::Result<()> {
        self.state.write(state::ACTIVATING, unit, "")
    }

    /// Puts this text of a unit into the journal.
    pub fn journal(&self, unit: &str, text: &str) -> io::Result<()> {
        self.state.write(state::JOURNAL, unit, text)
    }

    /// Makes the stub of systemd-run run the commands of hooks, and not only record them.
    pub fn run_hooks(&self) -> io::Result<()> {
        self.state.write(state::RUN_HOOKS, state::RUN_HOOKS, "")
    }

    /// Makes systemd refuse every start from now on, since the host shuts down.
    pub fn shut_down(&self) -> io::Result<()> {
        self.state.write(state::SHUTDOWN, state::SHUTDOWN, "")
    }

    /// Puts a filesystem, or whatever else has a type (`LVM2_member`, `swap`…), on a device.
    pub fn existing_filesystem(&self, device: &Path, kind: &str, label: &str) -> io::Result<()> {
        let device = self.state.real(&device.to_string_lossy());
        self.state.write(state::FILESYSTEMS, &device, &disks::record::found(&device, kind, label))
    }

    /// Forgets the state that does not outlast a boot, such as started units and mounts.
    pub fn restart(&self) -> io::Result<()> {
        for folder in [
            state::STARTED,
            state::STOPPED,
            state::ACTIVATING,
            state::JOBS,
            state::MOUNTS,
            state::SHUTDOWN,
            state::TRANSIENT,
        ] {
            self.state.clear(folder)?;
        }
        Ok(())
    }

    /// Returns the stubs' calls so far, in the order in which the calls ended. Without any call the list is empty.
    pub fn calls(&self) -> Vec<Call> {
        self.state.calls()
    }

    /// Returns the file that appears when a unit starts, for
    /// [`CloudOptions::registration_starts_on`](super::cloud::CloudOptions).
    pub fn started_marker(&self, unit: &str) -> PathBuf {
        self.state.entry(state::STARTED, unit)
    }
}

#[cfg(test)]
mod tests;
