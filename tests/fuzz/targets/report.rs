//! `report.json`, as `status` and `doctor` read it back.
#![no_main]

use ecs_firstrun::report::Report;
use ecs_firstrun::text::Paint;
use ecs_firstrun_fuzz::within_bounds;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    within_bounds(bytes, || Report::parse(text).is_ok_and(|report| !report.render(Paint::Colored).is_empty()));
    within_bounds(bytes, || Report::parse(text).is_ok_and(|report| !report.svg().is_empty()));
    let Ok(report) = Report::parse(text) else { return };
    report.began();
    let again = serde_json::to_string_pretty(&report).unwrap();
    assert_eq!(Report::parse(&again).unwrap(), report);
});
