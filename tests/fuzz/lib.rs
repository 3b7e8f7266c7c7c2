//! Code that the fuzz targets share: each input is read within bounds of time and memory, and what the dearest cost is said.

// The tests have all of these.
#![allow(dead_code, reason = "what is shared with the tests is not all used here")]

#[path = "../support/agreement.rs"]
pub mod agreement;
#[path = "../support/bounds.rs"]
pub mod bounds;
#[path = "../support/documents.rs"]
pub mod documents;

use std::cell::RefCell;
use std::time::Duration;

use bounds::{Cost, Counting, MEMORY, TIME, least};
use ecs_firstrun::config::Parsed;
use ecs_firstrun::document::problem::Problem;
use ecs_firstrun::instance::Instance;
use ecs_firstrun::plan::plan;
use ecs_firstrun::preview::{Changes, Preview};
use ecs_firstrun::run::documents;
use ecs_firstrun::text::Paint;

/// Beside what a reader holds there is what the target itself and the schema's validator do.
#[global_allocator]
static ALLOCATOR: Counting<{ 2 * MEMORY }> = Counting;

/// By how much a build that counts which way it goes and what it compares is slower, at least: docs/PROOF.md has more.
const INSTRUMENTED: u32 = 2;

/// Reads something, and panics where that takes more time or memory than it may.
pub fn within_bounds<T>(input: &[u8], read: impl Fn() -> T) -> T {
    let (result, least) = least(TIME * INSTRUMENTED, read);
    DEAREST.with_borrow_mut(|dearest| dearest.note(input, least));
    assert!(least.time <= TIME * INSTRUMENTED, "reading it takes {:?} of processor time", least.time);
    assert!(least.memory <= MEMORY, "reading it takes {} KiB of memory", least.memory >> 10);
    result
}

thread_local! {
    static DEAREST: RefCell<Dearest> = const { RefCell::new(Dearest { cost: Cost { time: Duration::ZERO, memory: 0 }, length: 0 }) };
}

/// The cost of the most expensive of all inputs.
struct Dearest {
    cost: Cost,
    /// The length of the slowest, in bytes.
    length: usize,
}

impl Dearest {
    fn note(&mut self, input: &[u8], cost: Cost) {
        let (slower, larger) = (cost.time > self.cost.time, cost.memory > self.cost.memory);
        if slower {
            (self.cost.time, self.length) = (cost.time, input.len());
            // To be looked at, and measured in the binary of an image.
            if let Some(path) = std::env::var_os("SLOWEST") {
                let _ = std::fs::write(path, input);
            }
        }
        self.cost.memory = self.cost.memory.max(cost.memory);
        if slower || larger {
            let (time, kib) = (self.cost.time.as_secs_f64() * 1e3, self.cost.memory >> 10);
            eprintln!("dearest: {time:.1} ms ({} bytes), {kib} KiB", self.length);
        }
    }
}

/// Renders problems as `validate` shows them.
pub fn rendered(problems: &[Problem]) {
    problems.iter().for_each(|problem| drop(problem.render(true)));
}

/// Formats problems as a run reports them: in its log, and to CloudFormation.
pub fn logged(problems: &[Problem]) {
    problems.iter().for_each(|problem| drop(problem.to_string()));
    ecs_firstrun::config::summary(problems);
}

/// Reads user data as a run does: problems are logged, and the rest is planned.
pub fn run(input: &[u8], user_data: &[u8]) {
    let parsed = within_bounds(input, || {
        let parsed = documents("user data", user_data);
        logged(&parsed.problems);
        parsed
    });
    within_bounds(input, || planned(&parsed, &Instance::example()));
}

/// The plan of a configuration, also of one that is refused: what is right in it serves to report that.
pub fn planned(parsed: &Parsed, instance: &Instance) {
    let plan = plan(&parsed.config, instance);
    let preview = Preview { plan: &plan, foresights: None, changes: Changes::Shown };
    preview.render(Paint::Colored);
    let _ = serde_json::to_string_pretty(&preview);
}
