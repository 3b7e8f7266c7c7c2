//! `systemd-run`, for the hooks: their units are recorded, and their commands run only where a person asks for it.

use std::fs::File;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::call::ProgramOutput;
use super::state::{JOURNAL, RUN_HOOKS, StubState, TRANSIENT};

/// The interval between looks at a command that runs.
const POLL: Duration = Duration::from_millis(10);

/// The end of a command: `Result`, `ExecMainCode` and `ExecMainStatus` of its unit.
type Ended = (&'static str, i32, i32);

/// The end of a command whose program can't be executed.
const EXEC: Ended = ("exit-code", 1, 203);

/// Returns the properties of a transient unit whose command has ended; nothing if there is no such unit.
pub(super) fn properties(unit: &str, state: &StubState) -> Option<String> {
    state.read(TRANSIENT, unit)
}

/// Has systemd forget a unit: `stop` one that succeeded, `reset-failed` one that failed. Tells whether it was there.
pub(super) fn forget(unit: &str, verb: &str, state: &StubState) -> io::Result<bool> {
    let Some(properties) = properties(unit, state) else { return Ok(false) };
    if properties.contains("ActiveState=failed") == (verb == "reset-failed") {
        state.remove(TRANSIENT, unit)?;
    }
    Ok(true)
}

/// Returns the last line that a transient unit has printed.
pub(super) fn last_line(unit: &str, state: &StubState) -> Option<String> {
    properties(unit, state)?;
    Some(state.read(JOURNAL, unit)?.lines().last()?.to_owned() + "\n")
}

/// Returns the command line without the arguments of the program that is run.
pub(super) fn without_arguments(args: &[String]) -> &[String] {
    let end = args.iter().position(|arg| arg == "--").map_or(args.len(), |at| at + 2);
    &args[..end.min(args.len())]
}

pub(super) fn run(args: &[String], state: &StubState) -> io::Result<ProgramOutput> {
    let mut parts = args.splitn(2, |arg| arg == "--");
    let options = parts.next().unwrap_or_default();
    let [program, arguments @ ..] = parts.next().unwrap_or_default() else {
        return Ok(ProgramOutput::failed(1, "Command line to execute required.\n"));
    };
    let value = |name: &str| options.iter().find_map(|option| option.strip_prefix(name));
    let unit = value("--unit=").unwrap_or("run-r0.service");
    if properties(unit, state).is_some() {
        let text =
            format!("Failed to start transient service unit: Unit {unit} was already loaded or has a fragment file.\n");
        return Ok(ProgramOutput::failed(1, text));
    }
    let (result, code, status) = match (state.scripted_failure(unit), state.read(RUN_HOOKS, RUN_HOOKS)) {
        (Some((_, 0)), _) | (None, None) => ("success", 1, 0),
        (Some((_, exit)), _) => ("exit-code", 1, exit),
        (None, Some(_)) => {
            let limit = value("--property=RuntimeMaxSec=").and_then(|text| text.strip_suffix("ms")?.parse().ok());
            let limit = Duration::from_millis(limit.unwrap_or(u64::MAX));
            let program = match found(program, state) {
                Ok(program) => program,
                Err(why) => {
                    return Ok(ProgramOutput::failed(1, format!("Failed to find executable {program}: {why}\n")));
                }
            };
            execute(&program, arguments, limit, value("--property=EnvironmentFile="), unit, state)?
        }
    };
    // RemainAfterExit=yes keeps a unit active.
    let (active, sub) = if result == "success" { ("active", "exited") } else { ("failed", "failed") };
    let properties = format!(
        "Result={result}\nExecMainCode={code}\nExecMainStatus={status}\nLoadState=loaded\nActiveState={active}\n\
        SubState={sub}\n"
    );
    state.write(TRANSIENT, unit, &properties)?;
    // systemd-run waits until the program is executed, and no longer.
    Ok(match (result, code, status) {
        EXEC => ProgramOutput::failed(
            1,
            format!("Job for {unit} failed because the control process exited with error code.\n"),
        ),
        _ => ProgramOutput::default(),
    })
}

/// Runs a command in the scratch root to its end, and kills its process group when its time is over.
fn execute(
    program: &Path,
    arguments: &[String],
    limit: Duration,
    environment: Option<&str>,
    unit: &str,
    state: &StubState,
) -> io::Result<Ended> {
    state.write(JOURNAL, unit, "")?;
    let output = File::create(state.entry(JOURNAL, unit))?;
    let mut command = Command::new(program);
    command.args(arguments.iter().map(|argument| argument.replace("$$", "$"))).current_dir(state.hosted("/"));
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.envs(environment.map(|file| variables(file, state)).unwrap_or_default());
    command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output).process_group(0);
    let Ok(mut child) = command.spawn() else { return Ok(EXEC) };
    let began = Instant::now();
    let kill_group = |id: u32| {
        Command::new("/bin/sh").args(["-c", &format!("kill -s KILL -- -{id}")]).stderr(Stdio::null()).status()
    };
    let ended = loop {
        if let Some(status) = child.try_wait()? {
            break match (status.code(), status.signal()) {
                (Some(0), _) => ("success", 1, 0),
                (Some(code), _) => ("exit-code", 1, code),
                // SIGHUP, SIGINT, SIGPIPE and SIGTERM are clean exits of a service: systemd.service(5).
                (None, Some(signal @ (1 | 2 | 13 | 15))) => ("success", 2, signal),
                (None, signal) => ("signal", 2, signal.unwrap_or_default()),
            };
        }
        if began.elapsed() >= limit {
            kill_group(child.id())?;
            child.wait()?;
            return Ok(("timeout", 2, 9));
        }
        std::thread::sleep(POLL);
    };
    // systemd ends what a command leaves behind.
    kill_group(child.id())?;
    Ok(ended)
}

/// Finds a program below the scratch root, else on this machine.
fn found(program: &str, state: &StubState) -> Result<PathBuf, &'static str> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let candidates: Vec<PathBuf> = match program.starts_with('/') {
        true => vec![state.hosted(program), program.into()],
        false => std::env::split_paths(&path).map(|folder| folder.join(program)).collect(),
    };
    let mut files = candidates.into_iter().filter(|path| path.is_file()).peekable();
    let missing = if files.peek().is_some() { "Permission denied" } else { "No such file or directory" };
    let is_program = |path: &PathBuf| path.metadata().is_ok_and(|file| file.permissions().mode() & 0o111 != 0);
    files.find(is_program).ok_or(missing)
}

/// Reads the variables of a file for `EnvironmentFile=`.
fn variables(file: &str, state: &StubState) -> Vec<(String, String)> {
    let text = std::fs::read_to_string(state.hosted(file)).unwrap_or_default();
    let variable = |line: &str| {
        let (name, value) = line.split_once('=')?;
        Some((name.to_owned(), value.trim_matches('"').replace('\\', "")))
    };
    text.lines().filter(|line| !line.starts_with('#')).filter_map(variable).collect()
}
