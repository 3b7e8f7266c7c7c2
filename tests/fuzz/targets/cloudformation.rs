//! An HTTP answer of CloudFormation, of Auto Scaling, or of what stands before them.
#![no_main]

use ecs_firstrun::fuzzing::{ANSWER_LIMIT, HttpAnswer};
use ecs_firstrun_fuzz::within_bounds;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let cut = bytes.windows(2).position(|window| window == b"\n\n").unwrap_or(bytes.len());
    let head = String::from_utf8_lossy(&bytes[..cut]);
    let header = |name: &str| {
        let values = head.lines().filter_map(|line| line.split_once(": "));
        values.filter(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned()).next()
    };
    let status = head.lines().next().and_then(|line| line.split(' ').nth(1)?.parse().ok()).unwrap_or(400);
    let body = bytes.get(cut + 2..).unwrap_or_default();
    let body = body[..body.len().min(ANSWER_LIMIT)].to_vec();
    let answer = HttpAnswer { status, retry_after: header("retry-after"), date: header("date"), body };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    within_bounds(bytes, || runtime.block_on(answer.judged()));
});
