//! Users' own commands: each runs as a transient unit of systemd, outside the confinement of this agent's unit.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, anyhow};
use tokio::time::{Instant, sleep, timeout};

use super::program::failure;
use super::wait::whole_seconds;
use super::{Host, UnitState};
use crate::config::types::HookName;
use crate::config::{Command, OnFailure, SHELL};
use crate::plan::HookRun;
use crate::report::Change;
use crate::secrets::redact;
use crate::text::one_line;
use crate::well_known::OUR_UNIT;

/// The first pause between two looks at a command. The pauses grow up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// The longest pause between two looks at a command. Each look runs systemctl.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// Time from SIGTERM to SIGKILL for a command that has used up its time.
const STOP: Duration = Duration::from_secs(5);
/// Time that is kept before the run's deadline, to end a command and to say what it printed last.
const LAST_WORDS: Duration = Duration::from_secs(20);
/// Time that a command whose failure is a warning leaves to the rest of the run.
const FOR_THE_REST: Duration = Duration::from_secs(120);
/// Time for which systemd may not answer.
const UNREACHABLE: Duration = Duration::from_secs(60);
/// Time that journald may take for an answer.
const JOURNAL: Duration = Duration::from_secs(7);
/// Folders that this agent's unit hides: `ProtectHome=yes` and `PrivateTmp=yes`, systemd.exec(5).
const HIDDEN: [&str; 5] = ["/root", "/home", "/run/user", "/tmp", "/var/tmp"];
/// The exit status of a unit whose program can't be executed: systemd.exec(5).
const EXIT_EXEC: &str = "203";
/// The most bytes of a command's last line that are quoted.
const QUOTED: usize = 300;

impl Host {
    /// Runs a user's command to its end.
    ///
    /// # Errors
    /// The way in which the command failed, and its last line, if a failure fails the run. Otherwise it is a warning.
    pub(super) async fn run_hook(&self, hook: &HookRun, deadline: Instant) -> Result<Change> {
        match (self.run_to_end(hook, deadline).await, hook.on_failure) {
            (Ok(()), _) => Ok(Change::Made),
            (Err(error), OnFailure::Fail) => Err(error),
            (Err(error), OnFailure::Warn) => {
                self.warn(format!("the hook {} {error:#}", hook.name));
                Ok(Change::Failed)
            }
        }
    }

    async fn run_to_end(&self, hook: &HookRun, deadline: Instant) -> Result<()> {
        let allowed = allowed(hook.timeout, hook.on_failure == OnFailure::Fail, deadline);
        let words = format!("running the hook {}, at most {}", hook.name, humantime::format_duration(allowed));
        tracing::info!("{words}");
        self.say_status(&words);
        let unit = unit_of(&hook.name);
        // An earlier run may have been killed while its command ran.
        self.unload(&unit).await?;
        let (program, arguments) = outside_the_sandbox(&hook.command);
        let options = options(hook, &unit, allowed, program);
        let options: Vec<_> = options.iter().map(String::as_str).collect();
        // systemd replaces variables in arguments: systemd.service(5).
        let arguments: Vec<_> = arguments.iter().map(|argument| argument.replace('$', "$$")).collect();
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        let called = self.output_of("systemd-run", &options, &arguments).await?;
        let state = self.ended(&unit).await?;
        if state.load == "not-found" {
            return Err(match called.status.success() {
                true => anyhow!("was stopped before it had ended"),
                // It was killed.
                false if called.stderr.trim_ascii().is_empty() => failure("systemd-run", &options[..1], &called),
                // Such as a program that is not there.
                false => anyhow!("can't run: {}", quoted(&String::from_utf8_lossy(&called.stderr))),
            });
        }
        // systemd counts SIGTERM, SIGHUP and SIGINT as clean exits of a service: systemd.service(5).
        let result = match state.is_active() && !state.is_killed {
            true => Ok(()),
            false => Err(self.failure_of(hook, &state, allowed).await),
        };
        if let Err(error) = self.unload(&unit).await {
            tracing::warn!("systemd does not forget {unit}: {error:#}");
        }
        result
    }

    /// Waits until a command has ended. systemd ends it when its time is over. A command that updates systemd makes it
    /// unreachable for a moment.
    async fn ended(&self, unit: &str) -> Result<UnitState> {
        let (mut pause, mut answered) = (FIRST_PAUSE, Instant::now());
        loop {
            match self.unit_state(unit).await {
                Ok(state) if state.sub == "exited" || matches!(state.active.as_str(), "failed" | "inactive") => {
                    return Ok(state);
                }
                Ok(_) => answered = Instant::now(),
                Err(error) if answered.elapsed() >= UNREACHABLE => return Err(error),
                Err(error) => tracing::debug!("systemd does not answer: {error:#}"),
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Stops a command that still runs, with all its processes, and has systemd forget its unit.
    async fn unload(&self, unit: &str) -> Result<()> {
        if self.unit_state(unit).await?.load == "not-found" {
            return Ok(());
        }
        self.run("systemctl", &["stop", unit]).await?;
        // A unit that did not fail is gone now, and reset-failed fails.
        self.output("systemctl", &["reset-failed", unit]).await.map(drop)
    }

    /// Returns the error of a command: how it ended, and its last line.
    async fn failure_of(&self, hook: &HookRun, state: &UnitState, allowed: Duration) -> anyhow::Error {
        let ending = match (state.result.as_str(), state.exit.as_str()) {
            ("timeout", _) => {
                let whose =
                    if allowed < hook.timeout { ", when the time of the run was over (`signal.timeout`)" } else { "" };
                format!("had not ended after {}{whose}, and was stopped", humantime::format_duration(allowed))
            }
            ("oom-kill", _) => "was killed, since memory ran out (OOM)".to_owned(),
            ("exit-code", EXIT_EXEC) => {
                return anyhow!(
                    "can't run: the program has no `#!` line, its interpreter is missing, or it is built for another processor"
                );
            }
            ("exit-code", status) => format!("ended with exit status {status}"),
            (_, signal) if state.is_killed => format!("was killed by signal {signal}"),
            ("success", _) => "was stopped before it had ended".to_owned(),
            (result, _) => format!("failed ({result})"),
        };
        let said = match self.last_line(&unit_of(&hook.name)).await {
            Ok(line) if line.is_empty() => "it printed nothing".to_owned(),
            Ok(line) => format!("its last line is: {line}"),
            Err(_) => "its output can't be read in time".to_owned(),
        };
        anyhow!("{ending}; {said} (`journalctl -u {}` has the rest)", unit_of(&hook.name))
    }

    /// Returns the last line that the processes of a unit have printed on this boot.
    async fn last_line(&self, unit: &str) -> Result<String> {
        // journald may not have written the line yet.
        let synchronised = timeout(JOURNAL, self.run("journalctl", &["--sync"])).await;
        // By the unit: a journald that is late does not know the invocation any more once the unit has failed.
        let printed = format!("_SYSTEMD_UNIT={unit}");
        let read = ["--quiet", "--boot", "--output=cat", "--lines=1", &printed];
        let line = quoted(&timeout(JOURNAL, self.run("journalctl", &read)).await??);
        match line.is_empty() {
            true => synchronised.map(|_| line).map_err(Into::into),
            false => Ok(line),
        }
    }
}

/// Returns the time for a command, or another work of this length, before the run's deadline.
pub(super) fn allowed(timeout: Duration, fails_the_run: bool, deadline: Instant) -> Duration {
    let left = deadline.saturating_duration_since(Instant::now());
    let kept = if fails_the_run { LAST_WORDS } else { FOR_THE_REST };
    timeout.min(whole_seconds(left - kept.min(left / 2)))
}

/// Returns a text of others in one line that is not too long, without what looks like a secret.
fn quoted(text: &str) -> String {
    let text = redact(text.trim());
    one_line(&text[..text.floor_char_boundary(QUOTED)])
}

/// Returns a program and its arguments as systemd-run can find them. systemd-run looks the program up itself, and this agent's
/// unit hides some folders from it.
fn outside_the_sandbox(command: &Command) -> (&str, Vec<&str>) {
    let arguments = command.arguments.iter().map(String::as_str);
    match HIDDEN.iter().any(|folder| Path::new(&command.program).starts_with(folder)) {
        true => (SHELL, ["-c", "exec \"$0\" \"$@\"", command.program.as_str()].into_iter().chain(arguments).collect()),
        false => (&command.program, arguments.collect()),
    }
}

/// Names the unit of a command.
fn unit_of(name: &HookName) -> String {
    format!("ecs-firstrun-hook-{name}.service")
}

/// Returns the options of systemd-run(1), and the program that it runs. The unit stays until its state is read, and a stop of
/// this agent's unit ends the hook's unit, too.
fn options(hook: &HookRun, unit: &str, allowed: Duration, program: &str) -> Vec<String> {
    let mut options = vec![
        format!("--unit={unit}"),
        "--quiet".to_owned(),
        format!("--description=The hook {} of ecs-firstrun", hook.name),
        "--property=Type=exec".to_owned(),
        "--property=RemainAfterExit=yes".to_owned(),
        // Zero is no limit.
        format!("--property=RuntimeMaxSec={}ms", allowed.as_millis().max(1)),
        format!("--property=TimeoutStopSec={}", STOP.as_secs()),
        // PartOf= would run the command once more when this agent's unit is restarted.
        format!("--property=StopPropagatedFrom={OUR_UNIT}"),
        // The last of many lines must not be lost.
        "--property=LogRateLimitIntervalSec=1s".to_owned(),
        "--property=LogRateLimitBurst=1000000".to_owned(),
    ];
    options.extend(hook.environment.map(|file| format!("--property=EnvironmentFile={file}")));
    options.extend(["--".to_owned(), program.to_owned()]);
    options
}
