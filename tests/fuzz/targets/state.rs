//! `state.json` and `handed-over.json`, as a later boot reads them back.
#![no_main]

use ecs_firstrun::fuzzing::{handed_over, kept};
use ecs_firstrun::instance::Instance;
use ecs_firstrun_fuzz::{logged, planned, within_bounds};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    within_bounds(bytes, || {
        if let Ok(parsed) = kept(text) {
            logged(&parsed.problems);
            planned(&parsed, &Instance::example());
        }
    });
    within_bounds(bytes, || {
        if let Ok((_, parsed)) = handed_over(text) {
            logged(&parsed.problems);
            planned(&parsed, &Instance::example());
        }
    });
});
