//! The printed table: by configuration and system call, how many points were tried and how many converged.

use std::collections::BTreeMap;
use std::fmt;

use crate::points::Counted;
use crate::trials::{ERRORS, Effect, Trial, Verdict, Well, Where};

#[derive(Clone, Copy, Default)]
struct Cell {
    tried: usize,
    converged: usize,
}

#[derive(Default)]
pub struct Table {
    /// By configuration and call, a cell for each effect.
    rows: BTreeMap<(String, String), BTreeMap<&'static str, Cell>>,
    left_out: BTreeMap<&'static str, usize>,
    told_twice: usize,
    not_reached: usize,
    failed: Vec<String>,
}

impl Table {
    pub fn left_out(&mut self, counted: &Counted) {
        counted.left_out.iter().for_each(|(why, count)| *self.left_out.entry(why).or_default() += count);
    }

    pub fn unusable(&mut self, configuration: &str, why: &str) {
        self.failed.push(format!("{configuration}: {why}"));
    }

    pub fn add(&mut self, trial: &Trial, verdict: &Verdict) {
        if *verdict == Ok(Well::NotReached) {
            self.not_reached += 1;
            return;
        }
        let (call, effect) = match &trial.place {
            Where::Call(effect, point) => (point.call.clone(), effect.name()),
            Where::Disk(disk) => ("disk takes nothing".to_owned(), disk.name()),
            Where::Program(disturbed) => (format!("program {}", disturbed.words()[0]), Effect::Kill.name()),
        };
        let cells = self.rows.entry((trial.configuration.name.to_owned(), call)).or_default();
        let cell = cells.entry(effect).or_default();
        cell.tried += 1;
        match verdict {
            Ok(well) => {
                cell.converged += 1;
                self.told_twice += usize::from(*well == Well::ToldTwice);
            }
            Err(_) => self.failed.push(trial.to_string()),
        }
    }

    pub fn has_failed(&self) -> bool {
        !self.failed.is_empty()
    }
}

fn line(f: &mut fmt::Formatter<'_>, name: &str, call: &str, cells: &BTreeMap<&'static str, Cell>) -> fmt::Result {
    write!(f, "{name:16} {call:20}")?;
    for effect in [Effect::Kill.name()].into_iter().chain(ERRORS.map(|error| error.0)) {
        let text = cells.get(effect).map(|cell| format!("{}/{}", cell.converged, cell.tried)).unwrap_or_default();
        write!(f, " {text:>11}")?;
    }
    writeln!(f)
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "\n{:16} {:20} {:>11}   converged/tried where the call fails with",
            "configuration", "call", "killed"
        )?;
        let names = ERRORS.map(|error| format!(" {:>11}", error.0)).concat();
        writeln!(f, "{:49}{names}", "")?;
        let mut totals: BTreeMap<&str, BTreeMap<&'static str, Cell>> = BTreeMap::new();
        for ((name, call), cells) in &self.rows {
            line(f, name, call, cells)?;
            for of in [name.as_str(), "~"] {
                for (effect, cell) in cells {
                    let total = totals.entry(of).or_default().entry(effect).or_default();
                    total.tried += cell.tried;
                    total.converged += cell.converged;
                }
            }
        }
        writeln!(f)?;
        for (name, cells) in &totals {
            line(f, if *name == "~" { "all" } else { name }, "", cells)?;
        }
        let all: Vec<_> = totals.get("~").into_iter().flat_map(BTreeMap::values).collect();
        let (tried, converged): (usize, usize) =
            (all.iter().map(|cell| cell.tried).sum(), all.iter().map(|cell| cell.converged).sum());
        writeln!(f, "\n{tried} points tried, {converged} converged.")?;
        if self.told_twice > 0 {
            writeln!(
                f,
                "{} of them told CloudFormation the same status twice: disturbed after it was sent and before it was kept that it was accepted.",
                self.told_twice
            )?;
        }
        if self.not_reached > 0 {
            writeln!(
                f,
                "{} more were not reached: the number of some calls, such as looks at the ECS agent, is not the same in each run.",
                self.not_reached
            )?;
        }
        writeln!(f, "Of the undisturbed runs' calls these were left out, as they change nothing on the host:")?;
        self.left_out.iter().try_for_each(|(why, count)| writeln!(f, "{count:>8} {why}"))?;
        if self.has_failed() {
            writeln!(f, "\n{} did not converge:", self.failed.len())?;
        }
        self.failed.iter().try_for_each(|failed| writeln!(f, "  {failed}"))
    }
}
