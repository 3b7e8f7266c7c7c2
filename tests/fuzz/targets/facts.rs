//! Facts, as `plan --facts` takes them.
#![no_main]

use ecs_firstrun::instance::Instance;
use ecs_firstrun::run::documents;
use ecs_firstrun_fuzz::{planned, within_bounds};
use libfuzzer_sys::fuzz_target;

/// A document that makes use of all facts: every log, Docker's own settings, a proxy.
const COMPLETE: &[u8] = include_bytes!("../../../examples/user-data/complete.yaml");
/// A document that has a run remove the files of an earlier run.
const SMALLEST: &[u8] = include_bytes!("../../../examples/user-data/smallest.yaml");

fuzz_target!(|bytes: &[u8]| {
    within_bounds(bytes, || {
        let Ok(instance) = Instance::parse(bytes) else { return };
        for user_data in [COMPLETE, SMALLEST] {
            planned(&documents("user data", user_data), &instance);
        }
        // They are read back as they were printed, but for what is masked in Docker's settings.
        let printed = serde_json::to_vec_pretty(&instance).unwrap();
        let mut again = Instance::parse(&printed).unwrap();
        again.image.daemon_json = instance.image.daemon_json;
        assert_eq!(serde_json::to_vec_pretty(&again).unwrap(), printed);
    });
});
