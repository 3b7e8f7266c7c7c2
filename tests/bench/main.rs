//! The agent's cost on this machine: `make bench` prints it, `make bench-check` holds what does not depend on a
//! machine's mood.
//!
//! - `budgets`: the binary that an image gets against what it may cost;
//! - `beside`: that binary, the same job as a shell script, and curl making the same requests, one after the other;
//! - `instructions`: those that `plan` and `validate` take, as valgrind counts them, against the recorded figures.
//!
//! Times are no test: machines are noisy, so no time fails anything.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::expect_used, missing_docs, reason = "a benchmark")]

mod beside;
mod budgets;
mod cost;
mod instructions;
#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "shared with the tests")]
mod support;

/// The binary that `make build` makes.
const AGENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/dist/ecs-firstrun");

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["measure", result, command @ ..] => cost::measure(result, command),
        ["check"] => std::process::exit(i32::from(!instructions::check())),
        _ => {
            budgets::table();
            beside::table();
            instructions::table();
        }
    }
}

/// The smallest, the middle and the largest of some figures.
fn spread(figures: impl Iterator<Item = f64>, unit: &str) -> String {
    let mut figures: Vec<_> = figures.collect();
    figures.sort_by(f64::total_cmp);
    let [first, .., last] = figures.as_slice() else { return "not measured".to_owned() };
    let digits = if *last >= 100.0 { 0 } else { 1 };
    let middle = figures[figures.len() / 2];
    format!("{first:.digits$} / {middle:.digits$} / {last:.digits$} {unit}")
}
