//! `systemctl`, over units whose behaviour is written down beforehand.

use std::io;

use super::call::{ProgramOutput, now};
use super::state::{ACTIVATING, JOBS, SHUTDOWN, STARTED, STOPPED, StubState};
use super::{disks, hooks};
use crate::well_known::{CLOUD_FINAL_UNIT, CLOUDWATCH_UNIT, ECS_EXIT_TERMINAL, ECS_UNIT};

/// Exit code for a unit that doesn't exist, from the standard for init scripts.
const NOT_FOUND: i32 = 5;
/// Exit code for a job that systemd refuses.
const REFUSED: i32 = 4;

/// Two units: on Amazon Linux, the second is ordered after the first.
const ORDERED: (&str, &str) = (CLOUD_FINAL_UNIT, ECS_UNIT);

/// The parts of a command line of the agent.
#[derive(Debug, Default)]
struct Invocation<'a> {
    verb: &'a str,
    units: Vec<&'a str>,
    properties: Vec<&'a str>,
    no_block: bool,
}

pub(super) fn run(args: &[String], state: &StubState) -> io::Result<ProgramOutput> {
    let mut request = Invocation::default();
    for arg in args {
        match (arg.as_str(), arg.strip_prefix("--property=")) {
            ("--no-block", _) => request.no_block = true,
            (_, Some(properties)) => request.properties.extend(properties.split(',')),
            (option, None) if option.starts_with('-') => {
                let text = format!("systemctl: unrecognized option '{option}'\n");
                return Ok(ProgramOutput::failed(1, text));
            }
            (verb, None) if request.verb.is_empty() => request.verb = verb,
            (unit, None) => request.units.push(unit),
        }
    }
    match request.verb {
        "daemon-reload" => Ok(ProgramOutput::default()),
        "poweroff" => {
            state.write(SHUTDOWN, SHUTDOWN, "")?;
            Ok(ProgramOutput::default())
        }
        "start" | "restart" => start(&request, state),
        "stop" => stop(&request, state),
        "reset-failed" => reset_failed(&request, state),
        "show" if request.units.is_empty() => Ok(ProgramOutput::printed(match is_shutting_down(state) {
            true => "SystemState=stopping\n",
            false => "SystemState=running\n",
        })),
        "show" => {
            let shown = request.units.iter().map(|unit| properties(unit, &request, state));
            Ok(ProgramOutput::printed(shown.collect::<Vec<_>>().join("\n")))
        }
        verb => Ok(ProgramOutput::failed(1, format!("Unknown command verb '{verb}'.\n"))),
    }
}

fn start(request: &Invocation<'_>, state: &StubState) -> io::Result<ProgramOutput> {
    let mut outcome = ProgramOutput::default();
    for unit in &request.units {
        if !state.has_unit(unit) {
            outcome.exit = NOT_FOUND;
            outcome.stderr += &format!("Failed to {} {unit}: Unit {unit} not found.\n", request.verb);
            continue;
        }
        if is_shutting_down(state) {
            outcome.exit = REFUSED;
            outcome.stderr += &format!(
                "Failed to start {unit}: Transaction for {unit}/start is destructive ({unit} has 'stop' job queued, but \
                'start' is included in transaction).\nSee system logs and 'systemctl status {unit}' for details.\n"
            );
            continue;
        }
        // `start` does not restart a running unit.
        if request.verb != "start" || unit_state(unit, state).active != "active" {
            start_one(unit, state)?;
        }
        // With `--no-block`, the caller learns of the job's failure from the unit's state only.
        if !request.no_block && unit_state(unit, state).active == "failed" {
            outcome.exit = 1;
            outcome.stderr += &job_failed(unit);
        }
    }
    Ok(outcome)
}

fn is_shutting_down(state: &StubState) -> bool {
    state.read(SHUTDOWN, SHUTDOWN).is_some()
}

fn start_one(unit: &str, state: &StubState) -> io::Result<()> {
    state.remove(STOPPED, unit)?;
    if unit == ORDERED.1 && state.read(ACTIVATING, ORDERED.0).is_some() {
        return state.write(JOBS, unit, "1234");
    }
    let mounted = if unit.ends_with(".mount") { disks::mount_unit(unit, state)? } else { true };
    let text = if mounted { now().to_string() } else { format!("{} failed", now()) };
    state.write(STARTED, unit, &text)
}

/// Returns the messages of mount(8) in the journal of mount units that failed.
pub(super) fn mount_errors(args: &[String], state: &StubState) -> String {
    let units = args.iter().filter_map(|arg| arg.strip_prefix("_SYSTEMD_UNIT="));
    let failed = units.filter(|unit| unit_state(unit, state).active == "failed" && unit.ends_with(".mount"));
    failed.map(|unit| disks::mount_error(unit, state)).collect()
}

fn job_failed(unit: &str) -> String {
    let is_mount = unit.ends_with(".mount");
    let why = if is_mount { "" } else { " because the control process exited with error code" };
    format!(
        "Job for {unit} failed{why}.\nSee \"systemctl status {unit}\" and \"journalctl -xeu {unit}\" for details.\n"
    )
}

fn stop(request: &Invocation<'_>, state: &StubState) -> io::Result<ProgramOutput> {
    let mut outcome = ProgramOutput::default();
    for unit in &request.units {
        if hooks::forget(unit, "stop", state)? {
            continue;
        }
        if !state.has_unit(unit) {
            outcome.exit = NOT_FOUND;
            outcome.stderr += &format!("Failed to stop {unit}: Unit {unit} not loaded.\n");
            continue;
        }
        if unit.ends_with(".mount") {
            disks::unmount_unit(unit, state)?;
        }
        if state.read(STARTED, unit).is_some() {
            state.write(STOPPED, unit, "")?;
        }
        state.remove(STARTED, unit)?;
    }
    Ok(outcome)
}

fn reset_failed(request: &Invocation<'_>, state: &StubState) -> io::Result<ProgramOutput> {
    let mut outcome = ProgramOutput::default();
    for unit in &request.units {
        if !hooks::forget(unit, "reset-failed", state)? && !state.has_unit(unit) {
            outcome.exit = 1;
            outcome.stderr += &format!("Failed to reset failed state of unit {unit}: Unit {unit} not loaded.\n");
        }
    }
    Ok(outcome)
}

/// The state of a unit, as systemd would tell it.
struct StubUnit {
    active: &'static str,
    sub: &'static str,
    result: &'static str,
    exit: i32,
}

fn unit_state(unit: &str, state: &StubState) -> StubUnit {
    let is_mount = unit.ends_with(".mount");
    let known = |active, sub, result, exit| StubUnit { active, sub, result, exit };
    if state.read(ACTIVATING, unit).is_some() {
        return known("activating", "start", "success", 0);
    }
    let Some(started) = state.read(STARTED, unit) else {
        return known("inactive", "dead", "success", 0);
    };
    if started.ends_with(" failed") {
        return known("failed", "failed", "exit-code", 32);
    }
    let since = started.parse().map_or(0, |started| now().saturating_sub(started));
    match state.scripted_failure(unit) {
        Some((after, 0)) if since >= after => known("inactive", "dead", "success", 0),
        // Both units have Restart=on-failure: the CloudWatch agent's with RestartSec=60s, ecs.service with RestartSec=10s
        // and RestartPreventExitStatus=5.
        Some((after, exit))
            if since >= after && (unit == CLOUDWATCH_UNIT || unit == ECS_UNIT && exit != ECS_EXIT_TERMINAL) =>
        {
            known("activating", "auto-restart", "exit-code", exit)
        }
        Some((after, exit)) if since >= after => known("failed", "failed", "exit-code", exit),
        _ if is_mount => known("active", "mounted", "success", 0),
        _ if unit.ends_with(".target") => known("active", "active", "success", 0),
        _ if unit.ends_with(".socket") => known("active", "listening", "success", 0),
        _ => known("active", "running", "success", 0),
    }
}

/// Returns the requested properties, in the order of systemd and not in the order of the request.
fn properties(unit: &str, request: &Invocation<'_>, state: &StubState) -> String {
    if let Some(properties) = hooks::properties(unit, state) {
        return properties;
    }
    let load = if state.has_unit(unit) { "loaded" } else { "not-found" };
    let is_service = unit.ends_with(".service");
    let now = unit_state(unit, state);
    let exit = now.exit.to_string();
    let job = state.read(JOBS, unit).unwrap_or_default();
    let [started, stopped, main_ended] = times(unit, &now, state);
    let is_running = now.active == "active" || main_ended == "0";
    let all = [
        ("NRestarts", if now.sub == "auto-restart" { "3" } else { "0" }),
        ("Result", now.result),
        ("ExecMainExitTimestampMonotonic", main_ended),
        ("ExecMainCode", if is_running { "0" } else { "1" }),
        ("ExecMainStatus", exit.as_str()),
        ("LoadState", load),
        ("ActiveState", now.active),
        ("SubState", now.sub),
        ("InactiveExitTimestampMonotonic", started),
        ("ActiveExitTimestampMonotonic", stopped),
        ("Job", &job),
    ];
    let is_of_services = |name: &str| name == "NRestarts" || name.starts_with("ExecMain");
    let is_there = |name: &str| (is_service || !is_of_services(name)) && (name != "Job" || !job.is_empty());
    let shown = all.iter().filter(|(name, _)| request.properties.contains(name) && is_there(name));
    shown.map(|(name, value)| format!("{name}={value}\n")).collect()
}

/// Returns the times at which a unit left `inactive`, left `active`, and its main process ended. The times are in
/// microseconds since the boot, and `0` for an event that has not happened.
fn times(unit: &str, now: &StubUnit, state: &StubState) -> [&'static str; 3] {
    match (now.active, state.read(STARTED, unit), state.read(STOPPED, unit)) {
        (_, None, Some(_)) => ["1000000", "2000000", "3000000"],
        (_, None, None) => ["0"; 3],
        ("inactive" | "failed", ..) | ("activating", Some(_), _) if now.sub != "start" => {
            ["1000000", "2000000", "2000000"]
        }
        _ => ["1000000", "0", "0"],
    }
}
