//! The answer of the ECS agent's introspection endpoint: a line with the status and the cluster that is wanted, then the body.
#![no_main]

use ecs_firstrun::ecs_agent::judge;
use ecs_firstrun_fuzz::within_bounds;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let at = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let head = String::from_utf8_lossy(&bytes[..at]);
    let body = bytes.get(at + 1..).unwrap_or_default();
    let (status, wanted) = head.split_once(' ').unwrap_or((&head, ""));
    within_bounds(bytes, || format!("{:?}", judge(status.parse().unwrap_or(200), body, wanted)));
});
