//! The figures.

use std::time::Duration;

use ecs_firstrun::rehearse::cloud::Server;

use super::doubles::{BURST, RATE, SERVERS, Seen};
use super::instance::Boot;

pub fn print(took: Duration, ended: &[Boot], seen: &Seen) {
    let costs: Vec<_> = ended.iter().filter_map(|boot| boot.cost.as_ref()).collect();
    let own: Vec<_> = costs.iter().map(|cost| cost.own as f64 / 1e6).collect();
    let all: Vec<_> = costs.iter().map(|cost| cost.all as f64 / 1e3).collect();
    let memory: Vec<_> = costs.iter().map(|cost| cost.memory as f64 / 1024.0).collect();
    let least = costs.iter().map(|cost| cost.least).max().unwrap_or_default() as f64 / 1024.0;
    let seconds = took.as_secs_f64();
    let requests: u64 = seen.requests.values().sum();
    let accepted: Vec<_> = seen.told.iter().map(|told| told.accepted.len()).filter(|count| *count > 0).collect();
    let signals: usize = accepted.iter().sum();
    row("wall time", format!("{seconds:.1} s"));
    row("CPU time, agents alone", format!("{:.1} s", own.iter().sum::<f64>() / 1e3));
    row("CPU time, with their programs", format!("{:.1} s", all.iter().sum::<f64>() / 1e3));
    row("CPU time per agent, alone", format!("{} ms        (median, 99th percentile, maximum)", spread(own)));
    row("CPU time per agent, with programs", format!("{} ms", spread(all)));
    row("peak memory per agent", format!("{} MiB (nothing below {least:.1} is told)", spread(memory)));
    row("requests", format!("{requests}, {:.0} a second", requests as f64 / seconds));
    for server in SERVERS {
        let of = |counts: &std::collections::BTreeMap<Server, u64>| counts.get(&server).copied().unwrap_or_default();
        let faults: u64 = seen.faults.iter().filter(|((of, _), _)| *of == server).map(|(_, count)| count).sum();
        let text = format!("{}, {faults} failed, {} slow", of(&seen.requests), of(&seen.slow));
        row(&format!("  {server:?}"), text);
    }
    let faults: Vec<_> =
        seen.faults.iter().map(|((server, fault), count)| format!("{server:?} {fault:?} {count}")).collect();
    row("faults injected", seen.faults.values().sum::<u64>().to_string());
    faults.chunks(3).for_each(|chunk| row("", chunk.join(", ")));
    row("throttled", format!("{} ({RATE} a second, {BURST} at once are allowed)", seen.throttled));
    let repeated = signals - accepted.len();
    row(
        "signals accepted",
        format!(
            "{signals}, {:.1} a second, of {} instances; {repeated} repeated",
            signals as f64 / seconds,
            accepted.len()
        ),
    );
}

fn row(what: &str, measured: String) {
    println!("{what:<42} {measured}");
}

/// Median, 99th percentile and maximum.
fn spread(mut values: Vec<f64>) -> String {
    values.sort_by(f64::total_cmp);
    let at = |part: f64| values.get(((values.len() as f64 - 1.0) * part).round() as usize).copied().unwrap_or_default();
    format!("{:.1}, {:.1}, {:.1}", at(0.5), at(0.99), at(1.0))
}
