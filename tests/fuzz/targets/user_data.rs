//! User data, byte for byte: as a run reads them, and as `validate` does.
#![no_main]

use ecs_firstrun::validate::check;
use ecs_firstrun_fuzz::{rendered, run, within_bounds};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    run(bytes, bytes);
    within_bounds(bytes, || {
        let verdict = check("user-data", bytes);
        rendered(&verdict.errors);
        rendered(&verdict.warnings);
    });
});
