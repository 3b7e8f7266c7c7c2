//! CloudFormation templates, in which `validate` checks the user data.
#![no_main]

use ecs_firstrun::validate::check_template;
use ecs_firstrun_fuzz::{rendered, within_bounds};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    within_bounds(bytes, || {
        let verdict = check_template("stack.yaml", bytes);
        rendered(&verdict.errors);
        rendered(&verdict.warnings);
    });
});
