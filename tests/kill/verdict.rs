//! Rules for a host after a disturbed run, and after the next one.

use ecs_firstrun::report::BUG;

use crate::configurations::{Bench, Configuration};
use crate::support::host::Ended;
use crate::tree::{By, STATE, Tree, differences, half_written, is_temporary};

/// An undisturbed run: what it found, what it left, what it told.
pub struct Reference {
    pub before: Tree,
    /// After the run that the others are disturbed in.
    pub after: Tree,
    /// After all that follows it.
    pub end: Tree,
    pub told: Vec<String>,
    code: Option<i32>,
    pub by: By,
}

impl Reference {
    pub fn of(configuration: &Configuration) -> Result<Self, String> {
        let bench = configuration.bench();
        let before = bench.tree();
        let mut ended = bench.run();
        let after = bench.tree();
        if let Some(meanwhile) = configuration.meanwhile {
            meanwhile(&bench);
            ended = bench.run();
        }
        let end = bench.tree();
        if ended.code.is_none_or(|code| !matches!(code, 0 | 2)) {
            return Err(format!("an undisturbed run ends with {:?}: {}", ended.code, end_of(&ended.stderr)));
        }
        let by = if configuration.meanwhile.is_some() { By::Files } else { By::All };
        bench.disk_damage().map_or(Ok(()), Err)?;
        Ok(Reference { before, after, end, told: bench.told(), code: ended.code, by })
    }

    /// Nothing on the host is half-written.
    pub fn nothing_half_written(&self, bench: &Bench) -> Result<(), String> {
        let now = bench.tree();
        let mut wrong = half_written(&self.before, &self.after, &now);
        for path in [STATE, "var/lib/ecs-firstrun/report.json"] {
            let text = std::fs::read_to_string(bench.root().join(path));
            if text.is_ok_and(|text| serde_json::from_str::<serde_json::Value>(&text).is_err()) {
                wrong.push(format!("/{path} is half-written"));
            }
        }
        all_well(wrong)
    }

    /// The next run ends what was begun, and contradicts nothing.
    pub fn converges(&self, configuration: &Configuration, bench: &Bench, by: By) -> Result<(), String> {
        if let Some(meanwhile) = configuration.meanwhile {
            meanwhile(bench);
        }
        let ended = bench.run();
        let mut wrong = Vec::new();
        if ended.code != self.code {
            wrong.push(format!("the next run ends with {:?}: {}", ended.code, end_of(&ended.stderr)));
        }
        let now = bench.tree();
        let temporary = now.keys().filter(|path| is_temporary(path));
        wrong.extend(temporary.map(|path| format!("/{path} was left")));
        wrong.extend(differences(&self.end, &now, by));
        wrong.extend(bench.disk_damage());
        all_well(wrong)
    }

    /// CloudFormation has one status, if any is due: once, or again by the next run where the first did not come to keep
    /// that it was accepted. Gives how often.
    pub fn one_status(&self, bench: &Bench, at_most: usize) -> Result<usize, String> {
        let told = bench.told();
        let same = told.iter().all(|status| *status == told[0]);
        match told.len() {
            0 if self.told.is_empty() => Ok(0),
            count if same && count > 0 && count <= at_most.max(self.told.len()) => Ok(count),
            _ => Err(format!("CloudFormation was told {told:?}")),
        }
    }

    /// A run that something failed in has ended with an outcome, and told it with a reason in which there are these words.
    pub fn failed_clearly(&self, bench: &Bench, ended: &Ended, words: &[&str]) -> Result<(), String> {
        let mut wrong = Vec::new();
        if ["panicked", BUG].iter().any(|panic| ended.stderr.contains(panic)) || ended.code.is_none() {
            wrong.push(format!("it did not end by itself: {:?}: {}", ended.code, end_of(&ended.stderr)));
        }
        let console = std::fs::read_to_string(bench.root().join("dev/console")).unwrap_or_default();
        let told = bench.told();
        if told.len() != self.told.len() {
            wrong.push(format!("CloudFormation was told {told:?}: {}", end_of(&ended.stderr)));
        }
        if told != self.told || ended.code != self.code {
            let lines = console.lines().filter(|line| line.contains("FAILURE: ") || line.contains("signal "));
            let reason: String = lines.collect();
            wrong.extend(
                words
                    .iter()
                    .filter(|word| !reason.contains(**word))
                    .map(|word| format!("the reason does not have `{word}`: {reason}")),
            );
        } else {
            let complete = differences(&self.after, &bench.tree(), By::Host).into_iter();
            wrong.extend(
                complete.filter(|what| !is_told_only(what)).map(|what| format!("in spite of its outcome, {what}")),
            );
        }
        all_well(wrong)
    }
}

/// Tells whether a difference is only in a run's own records, which the configuration does not ask for.
fn is_told_only(what: &str) -> bool {
    let path = what.split(' ').next().unwrap_or_default();
    let below = ["/var/lib/ecs-firstrun", "/run/ecs-firstrun", "/var/log", "/dev/console"];
    path == "/var/lib"
        || path == "/run"
        || (below.iter().any(|told| path.starts_with(told)) && path != "/run/ecs-firstrun/configured")
}

/// So much of what a run said as is of use.
fn end_of(text: &str) -> &str {
    let start = text.char_indices().rev().nth(800).map_or(0, |(at, _)| at);
    &text[start..]
}

fn all_well(wrong: Vec<String>) -> Result<(), String> {
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n    ")) }
}
