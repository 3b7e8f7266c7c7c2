//! The instructions that `plan` and `validate` take, as callgrind counts them: unlike times, they are the same on a busy
//! machine. `UPDATE=1 make bench-check` records them anew.

use std::collections::BTreeMap;
use std::process::Command;

use super::AGENT;
use super::support::repository;

/// The share by which a count may exceed the recorded count. Another CPU takes other paths through libc: some percent.
const TOLERANCE: f64 = 0.05;
/// The largest binary, in bytes.
const LARGEST: u64 = 8_000_000;
const RECORDED: &str = "tests/bench/instructions.json";
const USER_DATA: &str = "examples/user-data/complete.yaml";
const FACTS: &str = "examples/facts/amazon-linux-2023.json";

/// The commands whose instructions are counted.
const COMMANDS: [(&str, &[&str]); 2] =
    [("plan", &["plan", "--user-data", USER_DATA, "--facts", FACTS]), ("validate", &["validate", USER_DATA])];

pub fn table() {
    let recorded = recorded();
    println!("\n{:<46} {:<24} recorded", "instructions", "now");
    for (name, arguments) in COMMANDS {
        let now = count(arguments).map_or("no valgrind".to_owned(), in_words);
        println!("{name:<46} {now:<24} {}", recorded.get(name).copied().map_or("nothing".to_owned(), in_words));
    }
}

/// Texts of what must not be in the binary: glibc's resolver, which loads modules of the host, and paths of the machine that
/// built the binary.
const FOREIGN: [&str; 2] = ["/etc/nsswitch.conf", "/registry/src/"];

/// Tells whether no command takes more than is recorded, and the binary is no larger than it may be, with nothing foreign.
pub fn check() -> bool {
    let binary = std::fs::read(AGENT).unwrap();
    let size = binary.len() as u64;
    let mut fits = size <= LARGEST;
    println!("{:<12} {size} bytes of {LARGEST}: {}", "binary", verdict(fits));
    for text in FOREIGN {
        let has = binary.windows(text.len()).any(|window| window == text.as_bytes());
        fits &= !has;
        println!("{:<12} {text}: {}", "binary", if has { "is in it" } else { "ok" });
    }
    let now: BTreeMap<_, _> = COMMANDS
        .iter()
        .map(|(name, arguments)| (*name, count(arguments).expect("valgrind is needed: `make setup-bench`")))
        .collect();
    if std::env::var_os("UPDATE").is_some_and(|value| !value.is_empty()) {
        std::fs::write(repository(RECORDED), serde_json::to_string_pretty(&now).unwrap() + "\n").unwrap();
    }
    let recorded = recorded();
    for (name, now) in now {
        let before = recorded.get(name).copied().unwrap_or_default();
        let more = now as f64 / before as f64 - 1.0;
        let is_good = more <= TOLERANCE;
        fits &= is_good;
        let (now, before) = (in_words(now), in_words(before));
        println!("{name:<12} {now} of {before} instructions ({:+.1} %): {}", more * 100.0, verdict(is_good));
    }
    fits
}

fn verdict(is_good: bool) -> &'static str {
    if is_good { "ok" } else { "too much" }
}

fn in_words(count: u64) -> String {
    format!("{:.2} million", count as f64 / 1e6)
}

fn recorded() -> BTreeMap<String, u64> {
    serde_json::from_str(&std::fs::read_to_string(repository(RECORDED)).unwrap_or_else(|_| "{}".to_owned())).unwrap()
}

/// The instructions of one command; nothing without valgrind.
fn count(arguments: &[&str]) -> Option<u64> {
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null", AGENT]).args(arguments);
    let output = command.current_dir(repository("")).output().ok()?;
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let count = said.lines().find_map(|line| line.split_once("Collected : ")).map(|(_, count)| count.trim().parse());
    Some(count.unwrap_or_else(|| panic!("callgrind did not say: {said}")).unwrap())
}
