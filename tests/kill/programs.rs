//! Programs that the agent runs, killed: alone, or with the agent, as systemd does with all of a unit's processes.

use std::os::unix::fs::PermissionsExt as _;

use ecs_firstrun::rehearse::programs::NAMES;

use crate::configurations::{Bench, Configuration};
use crate::support::disks::which;

/// The file in which each run of a program is a line.
const RUNS: &str = "programs";

#[derive(Clone, Copy, Debug, PartialEq)]
enum How {
    Before,
    After,
    /// At its so manieth write to the disk.
    AtWrite(usize),
    BeforeWithAgent,
    AfterWithAgent,
}

/// A run of a program that is disturbed.
pub struct Disturbed {
    /// The how manieth program of a run it is, from 1; none runs as often as this in a run that only counts.
    n: usize,
    command: String,
    how: How,
}

impl std::fmt::Display for Disturbed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let how = match self.how {
            How::Before => "killed before its work".to_owned(),
            How::After => "killed after its work".to_owned(),
            How::AtWrite(n) => format!("killed at write {n}"),
            How::BeforeWithAgent => "killed before its work, and the agent".to_owned(),
            How::AfterWithAgent => "killed after its work, and the agent".to_owned(),
        };
        write!(f, "{} ({}): {how}", self.command, self.n)
    }
}

/// Each program that a run of this configuration runs, with each way to kill it.
pub fn all(configuration: &Configuration) -> Vec<Disturbed> {
    let bench = configuration.bench();
    Disturbed { n: 0, command: String::new(), how: How::Before }.prepare(&bench);
    bench.run();
    let runs = std::fs::read_to_string(bench.beside(RUNS)).unwrap_or_default();
    let mut all = Vec::new();
    // The stand-in for systemd looks for labels with blkid, as udev does there.
    let of_agent = runs.lines().enumerate().filter(|(_, command)| !command.contains("-s LABEL"));
    for (index, command) in of_agent {
        let command = command.replace(&bench.root().display().to_string(), "");
        let of = |how| Disturbed { n: index + 1, command: command.clone(), how };
        all.extend([How::Before, How::BeforeWithAgent].map(of));
        let looks = ["show ", "blkid "].iter().any(|look| command.contains(look));
        if !looks {
            all.extend([How::After, How::AfterWithAgent].map(of));
        }
        if command.starts_with("mkfs") {
            all.extend((1..=writes(configuration, index + 1)).map(How::AtWrite).map(of));
        }
    }
    all
}

/// Counts the writes of the `n`th program, an mkfs.
fn writes(configuration: &Configuration, n: usize) -> usize {
    let bench = configuration.bench();
    Disturbed { n, command: String::new(), how: How::AtWrite(usize::from(u16::MAX) - 1) }.prepare(&bench);
    bench.run();
    let trace = std::fs::read_to_string(bench.beside("mkfs")).unwrap_or_default();
    trace.lines().filter(|line| line.contains("pwrite64(")).count()
}

impl Disturbed {
    /// The words that the reason must have.
    pub fn words(&self) -> [&str; 2] {
        match self.command.split(' ').next().unwrap_or_default() {
            // systemd runs mount(8), and systemctl(1) says only that the unit failed.
            "mount" => ["systemctl", "failed"],
            program => [program, "SIGKILL"],
        }
    }

    pub fn with_the_agent(&self) -> bool {
        matches!(self.how, How::BeforeWithAgent | How::AfterWithAgent)
    }

    /// Tells whether the run started as many programs as `n`.
    pub fn was_reached(&self, bench: &Bench) -> bool {
        let runs = std::fs::read_to_string(bench.beside(RUNS)).unwrap_or_default();
        runs.lines().count() >= self.n
    }

    /// Puts a program in the place of each, which runs it, but for one time.
    pub fn prepare(&self, bench: &Bench) {
        let real_ones = bench.beside("real");
        std::fs::create_dir(&real_ones).unwrap();
        for name in NAMES.iter().chain(&["mount"]) {
            let stub = bench.machine.bin(name);
            let moved = real_ones.join(name);
            let moved = std::fs::rename(&stub, &moved).is_ok().then_some(moved);
            let Some(real) = moved.or_else(|| which(name)) else { continue };
            let runs = bench.beside(RUNS);
            let text = format!(
                "#!/bin/sh\necho {name} \"$@\" >>{runs}\n[ \"$(wc -l <{runs})\" = {n} ] || exec {real} \"$@\"\n{how}\n",
                runs = runs.display(),
                n = self.n,
                real = real.display(),
                how = self.script(&format!("{} \"$@\"", real.display()), bench),
            );
            std::fs::write(&stub, text).unwrap();
            std::fs::set_permissions(&stub, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
    }

    fn script(&self, run: &str, bench: &Bench) -> String {
        let trace = bench.beside("mkfs").display().to_string();
        match self.how {
            How::Before => "kill -KILL $$".to_owned(),
            How::After => format!("{run}\nkill -KILL $$"),
            How::AtWrite(n) => {
                format!("exec strace -f -qq -o {trace} -e trace=pwrite64 -e inject=pwrite64:signal=KILL:when={n} {run}")
            }
            How::BeforeWithAgent => "kill -KILL $PPID $$".to_owned(),
            How::AfterWithAgent => format!("{run}\nkill -KILL $PPID $$"),
        }
    }
}
