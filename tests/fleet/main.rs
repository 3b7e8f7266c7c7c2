//! A fleet: `make fleet` boots a thousand instances, each a real process of the binary of an image, against one set of doubles
//! on loopback that throttles, is slow, and fails one time in ten.
//!
//! The outcome of each instance is known beforehand. `FLEET=N` boots so many, `FLEET_AT_A_TIME=N` so many at a time instead of
//! as many as memory holds, and `FLEET_SEED=N` has other faults.

#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::expect_used, missing_docs, reason = "a test")]

#[path = "../support/bucket.rs"]
mod bucket;
mod chance;
mod doubles;
mod instance;
mod report;

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Instant;

use chance::Chance;
use doubles::Doubles;
use instance::{Fate, Instance};

/// The memory that an instance may take: the agent's budget.
const MEMORY: u64 = 16 << 20;

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    if let [cell, agent] = arguments.as_slice()
        && cell == instance::CELL
    {
        return instance::watch(agent);
    }
    let fleet = number("FLEET").unwrap_or(1000);
    let at_a_time = number("FLEET_AT_A_TIME").unwrap_or_else(as_many_as_memory_holds).clamp(1, fleet);
    let seed = number("FLEET_SEED").unwrap_or(1);
    let folder = tempfile::tempdir().unwrap();
    instance::install_systemctl(folder.path());
    let mut chance = Chance::seeded(seed);
    let instances: Vec<_> = (0..fleet).map(|number| Instance::new(number, folder.path(), &mut chance)).collect();
    let doubles = Doubles::start(&instances, chance);

    println!("{fleet} instances, {at_a_time} at a time, seed {seed}");
    let began = Instant::now();
    let queue = Mutex::new(instances.iter().collect::<VecDeque<_>>());
    let ended = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..at_a_time {
            scope.spawn(|| {
                while let Some(instance) = { queue.lock().unwrap().pop_front() } {
                    let boot = instance.boot(&doubles);
                    ended.lock().unwrap().push(boot);
                }
            });
        }
    });
    let took = began.elapsed();
    let (ended, seen) = (ended.into_inner().unwrap(), doubles.end());
    report::print(took, &ended, &seen);
    let wrong = wrong(&instances, &ended, &seen);
    wrong.iter().take(20).for_each(|line| println!("wrong: {line}"));
    let right = fleet as usize - wrong.len();
    println!("{right} of {fleet} came to what they had to");
    assert!(wrong.is_empty(), "{} instances did not", wrong.len());
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{variable}={text} is no number")))
}

/// Half of what is available.
fn as_many_as_memory_holds() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:")).unwrap();
    let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse().unwrap();
    (kibibytes << 10) / 2 / MEMORY
}

/// Instances that came to something else, or of which CloudFormation heard something else: it has to hear one status of each,
/// however often.
fn wrong(instances: &[Instance], ended: &[instance::Boot], seen: &doubles::Seen) -> Vec<String> {
    let mut wrong = Vec::new();
    for boot in ended {
        let (instance, told) = (&instances[boot.number as usize], &seen.told[boot.number as usize]);
        let (code, outcome, status) = instance.fate.expected();
        let statuses: Vec<_> = told.accepted.iter().map(String::as_str).collect();
        let is_told = match status {
            Some(status) => !statuses.is_empty() && statuses.iter().all(|told| *told == status),
            None => statuses.is_empty() && told.not_waited_for > 0,
        };
        let has_value = boot.docker.contains(&format!("\"{}\"", instance.value()));
        if boot.code != Some(code)
            || boot.outcome != outcome
            || !is_told
            || has_value != (instance.fate != Fate::Refused)
        {
            wrong.push(format!(
                "{} {:?}: exit code {:?}, {}, told {statuses:?}: {}",
                instance.id, instance.fate, boot.code, boot.outcome, boot.last_words
            ));
        }
    }
    let strangers = seen.strangers;
    wrong.extend(
        (strangers > 0).then(|| format!("{strangers} requests came from nobody of this fleet, or without proof")),
    );
    wrong.extend((ended.len() != instances.len()).then(|| format!("{} only have ended", ended.len())));
    assert!(instances.iter().any(|instance| instance.fate == Fate::Right));
    wrong
}
