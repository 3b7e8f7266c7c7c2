//! The agent on a machine: scenarios in a virtual machine with the real systemd, cloud-init and Docker.
//!
//! `make e2e` runs them all, `make e2e ARGS=first` those with `first` in their names. Each scenario has a cloud of its own
//! (the doubles of `ecs-firstrun rehearse`, which record every request) and a machine whose disk no other one writes to.
#![allow(clippy::disallowed_methods, missing_docs, reason = "tests make files and processes of their own")]

mod checks;
mod image;
mod lab;
mod machine;
mod scenarios;

use std::cell::Cell;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;
use libtest_mimic::{Arguments, Completion, Failed, Trial};

use crate::image::{Image, repository};
use crate::lab::Stage;

/// The number of machines that run at once: in software each takes more than one CPU.
const AT_ONCE: usize = 2;
/// The number of the console's last lines that are shown when a scenario fails.
const TAIL: usize = 60;

/// A row of the table.
struct Row {
    name: &'static str,
    verdict: &'static str,
    time: Duration,
    remark: String,
}

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(AT_ONCE);
    let table = Arc::new(Mutex::new(Vec::new()));
    let image = Arc::new(OnceLock::new());
    let missing = image::missing();
    let trials = scenarios::ALL.iter().map(|&(name, scenario)| {
        let (table, image, missing) = (Arc::clone(&table), Arc::clone(&image), missing.clone());
        Trial::ignorable_test(name, move || {
            if let Some(missing) = missing {
                note(&table, Row { name, verdict: "skipped", time: Duration::ZERO, remark: missing.clone() });
                return Ok(Completion::ignored_with(missing));
            }
            let image = image.get_or_init(|| image::build().map_err(|error| format!("{error:#}")));
            let image = image.as_ref().map_err(|error| Failed::from(error.clone()))?;
            let began = Instant::now();
            let (result, remark) = play(name, scenario, image);
            let verdict = if result.is_ok() { "passed" } else { "FAILED" };
            note(&table, Row { name, verdict, time: began.elapsed(), remark });
            result.map(|()| Completion::Completed)
        })
    });
    let conclusion = libtest_mimic::run(&arguments, trials.collect());
    show(&table.lock().unwrap_or_else(PoisonError::into_inner));
    conclusion.exit_code()
}

fn note(table: &Mutex<Vec<Row>>, row: Row) {
    table.lock().unwrap_or_else(PoisonError::into_inner).push(row);
}

/// Plays a scenario, in a folder of its own; its logs stay there, its disks don't.
fn play(name: &str, scenario: fn(&Stage) -> Result<()>, image: &Image) -> (Result<(), Failed>, String) {
    let folder = repository("target/e2e/logs").join(name);
    // The folder of an earlier run; it may be missing.
    let _ = std::fs::remove_dir_all(&folder);
    if let Err(error) = std::fs::create_dir_all(&folder) {
        return (Err(Failed::from(format!("{}: {error}", folder.display()))), String::new());
    }
    let stage = Stage { image, folder, remark: Cell::default() };
    let result = scenario(&stage).map_err(|error| {
        let error = format!("{error:#}");
        // The table is the last that is printed: all that is left of a run whose log is cut.
        stage.remark.set(error.lines().next().unwrap_or_default().to_owned());
        let why = format!("{error}\n{}", stage.tail(TAIL));
        // The runner shows it when all scenarios are over.
        let _ = std::fs::write(stage.folder.join("failure.log"), &why);
        Failed::from(why)
    });
    stage.remove_disks();
    (result, stage.remark.take())
}

fn show(rows: &[Row]) {
    if rows.is_empty() {
        return;
    }
    let width = rows.iter().map(|row| row.name.len()).max().unwrap_or_default();
    println!();
    for Row { name, verdict, time, remark } in rows {
        println!("{name:width$}  {verdict}  {:>4} s  {remark}", time.as_secs());
    }
    println!();
}
