//! A disturbed run, and the verdict on it.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use crate::configurations::{ALL, Configuration};
use crate::disk::Disk;
use crate::points::{self, Point};
use crate::programs::{self, Disturbed};
use crate::table::Table;
use crate::tree::By;
use crate::verdict::Reference;

/// Errors in the place of a system call's answer, and the words in which a person reads of them.
pub const ERRORS: [(&str, &str, &str); 4] = [
    ("ENOSPC", "No space left on device", "make room"),
    ("EIO", "Input/output error", "the disk fails"),
    ("EROFS", "Read-only file system", "mounted read-only"),
    ("EACCES", "Permission denied", "as root"),
];

/// The disturbance of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Effect {
    /// The agent is killed when it calls.
    Kill,
    /// The call fails, by the number in `ERRORS`.
    Error(usize),
}

impl Effect {
    pub fn name(self) -> &'static str {
        match self {
            Effect::Kill => "KILL",
            Effect::Error(number) => ERRORS[number].0,
        }
    }
}

/// The place at which a run is disturbed.
pub enum Where {
    /// At a system call of the agent.
    Call(Effect, Point),
    /// At a program that it runs.
    Program(Disturbed),
    /// At whatever it writes, to a disk that takes nothing.
    Disk(Disk),
}

pub struct Trial {
    pub configuration: &'static Configuration,
    reference: Arc<Reference>,
    pub place: Where,
}

/// The ways in which a trial comes out well.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Well {
    Converged,
    /// The same status was told once more.
    ToldTwice,
    /// The run ended before it came to that call: the number of some calls is not the same each time.
    NotReached,
}

pub type Verdict = Result<Well, String>;

impl std::fmt::Display for Trial {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = self.configuration.name;
        match &self.place {
            Where::Call(effect, point) => write!(f, "{name}/{}/{point}", effect.name()),
            Where::Program(disturbed) => write!(f, "{name}/program/{disturbed}"),
            Where::Disk(disk) => write!(f, "{name}/disk/{}", disk.name()),
        }
    }
}

/// All trials whose names hold one of these texts.
pub fn all(wanted: &[String]) -> (Vec<Trial>, Table) {
    let mut table = Table::default();
    let mut trials = Vec::new();
    for configuration in ALL {
        let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|wanted| name.contains(wanted.as_str()));
        let reference = match Reference::of(configuration) {
            Ok(reference) => Arc::new(reference),
            Err(why) => {
                table.unusable(configuration.name, &why);
                continue;
            }
        };
        let bench = configuration.bench();
        let trace = bench.beside("trace");
        bench.traced(&points::counting(&trace));
        let counted = points::counted(&std::fs::read_to_string(trace).unwrap(), bench.root());
        table.left_out(&counted);
        let effects = [Effect::Kill].into_iter().chain((0..ERRORS.len()).map(Effect::Error));
        // With another configuration in the next run, there is no result to compare with after an error.
        let effects = effects.filter(|effect| configuration.meanwhile.is_none() || *effect == Effect::Kill);
        let points = |effect: Effect| {
            let points = &counted.points;
            let is_tried = move |index: &usize| match effect {
                Effect::Kill => true,
                Effect::Error(error) => points::fails(points, *index, error, ERRORS.len()),
            };
            (0..points.len()).filter(is_tried).map(|index| points[index].clone())
        };
        let calls = effects.flat_map(|effect| points(effect).map(move |point| Where::Call(effect, point)));
        let programs = programs::all(configuration).into_iter().map(Where::Program);
        let others = programs.chain(Disk::ALL.map(Where::Disk)).filter(|_| configuration.meanwhile.is_none());
        let places = calls.chain(others);
        let of_all = places.map(|place| Trial { configuration, reference: Arc::clone(&reference), place });
        trials.extend(of_all.filter(|trial| is_wanted(&trial.to_string())));
    }
    (trials, table)
}

impl Trial {
    /// Tries it. A panic of the test's own is a verdict, too.
    pub fn verdict(&self) -> Verdict {
        let verdict = std::panic::catch_unwind(AssertUnwindSafe(|| match &self.place {
            Where::Call(Effect::Kill, point) => self.killed(point),
            Where::Call(Effect::Error(number), point) => self.failed(point, *number),
            Where::Program(disturbed) => self.program(disturbed),
            Where::Disk(disk) => self.disk(*disk),
        }));
        verdict.unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().cloned();
            Err(text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default())
        })
    }

    fn killed(&self, point: &Point) -> Verdict {
        let bench = self.configuration.bench();
        let mut options = point.options(bench.root(), "signal=KILL");
        options.extend(["-o".to_owned(), "/dev/null".to_owned()]);
        let ended = bench.traced(&options);
        if ended.code.is_some() {
            return Ok(Well::NotReached);
        }
        self.reference.nothing_half_written(&bench)?;
        self.comes_out_well(&bench, self.reference.by)
    }

    /// After a run that was killed: the next one ends what it began.
    fn comes_out_well(&self, bench: &crate::configurations::Bench, by: By) -> Verdict {
        self.reference.converges(self.configuration, bench, by)?;
        let count = self.reference.one_status(bench, 2)?;
        Ok(if count > self.reference.told.len() { Well::ToldTwice } else { Well::Converged })
    }

    fn failed(&self, point: &Point, number: usize) -> Verdict {
        let (name, text, remedy) = ERRORS[number];
        let bench = self.configuration.bench();
        let trace = bench.beside("trace");
        let mut options = point.options(bench.root(), &format!("error={name}"));
        options.extend(["-o".to_owned(), trace.display().to_string()]);
        let ended = bench.traced(&options);
        if !std::fs::read_to_string(trace).unwrap_or_default().contains("(INJECTED)") {
            return Ok(Well::NotReached);
        }
        let file = point.path.as_deref().unwrap_or_default().rsplit('/').next().unwrap_or_default();
        let file = file.strip_prefix('.').and_then(|name| name.strip_suffix(".ecs-firstrun")).unwrap_or(file);
        let words = if point.path.is_some() { vec![text, remedy, file] } else { vec![text] };
        self.reference.failed_clearly(&bench, &ended, &words)?;
        self.after_failure(&bench)
    }

    fn program(&self, disturbed: &Disturbed) -> Verdict {
        let bench = self.configuration.bench();
        disturbed.prepare(&bench);
        let ended = bench.run();
        if disturbed.with_the_agent() {
            if ended.code.is_some() {
                return Ok(Well::NotReached);
            }
            self.reference.nothing_half_written(&bench)?;
            return self.comes_out_well(&bench, self.reference.by);
        }
        if !disturbed.was_reached(&bench) {
            return Ok(Well::NotReached);
        }
        self.reference.failed_clearly(&bench, &ended, &disturbed.words())?;
        self.after_failure(&bench)
    }

    fn disk(&self, disk: Disk) -> Verdict {
        let bench = self.configuration.bench();
        disk.refuse(&bench);
        let ended = bench.run();
        let words = disk.words();
        disk.take_again(&bench);
        self.reference.failed_clearly(&bench, &ended, &words)?;
        self.after_failure(&bench)
    }

    /// After a run that failed: nothing is half-written, and the next run brings the host to what was asked for. What was
    /// decided stays.
    fn after_failure(&self, bench: &crate::configurations::Bench) -> Verdict {
        self.reference.nothing_half_written(bench)?;
        self.reference.converges(self.configuration, bench, By::Host)?;
        let count = self.reference.one_status(bench, 2)?;
        Ok(if count > self.reference.told.len() { Well::ToldTwice } else { Well::Converged })
    }
}
