//! Programs of the host: found through PATH, without a shell, with their errors kept.

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{Output, Stdio};

use anyhow::{Context as _, Result, anyhow};

use super::Host;
use crate::secrets::redact;

/// The folders that are searched after those of PATH. PATH can be empty in a unit or in a cron job.
const SYSTEM_FOLDERS: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Variables that can hold a secret of this agent, and that are not passed to programs.
const SECRET_VARIABLES: [&str; 4] = ["PROXY_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];

/// Bytes that are quoted from the end of a failed program's output.
const QUOTED: usize = 600;
/// Bytes before the quoted end that are searched for secrets.
const LOOKED_AT: usize = 4096;

impl Host {
    /// Runs a program to its end and returns what it printed. The program is killed if the caller stops waiting.
    ///
    /// # Errors
    /// A program that is missing, or that ended with anything but 0: its command line, how it ended, what it said.
    pub async fn run(&self, program: &str, arguments: &[&str]) -> Result<String> {
        let output = self.output(program, arguments).await?;
        if !output.status.success() {
            return Err(failure(program, arguments, &output));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Finds the file that is run as this program.
    pub(super) fn find(&self, program: &str) -> Option<PathBuf> {
        find(program, &folders())
    }

    /// Runs a program to its end, however it ends.
    ///
    /// # Errors
    /// A program that can't be run.
    pub async fn output(&self, program: &str, arguments: &[&str]) -> Result<Output> {
        self.output_of(program, arguments, &[]).await
    }

    /// Runs a program like [`Host::output`], with more arguments at the end, which are not shown.
    ///
    /// # Errors
    /// A program that can't be run.
    pub(super) async fn output_of(&self, program: &str, arguments: &[&str], hidden: &[&str]) -> Result<Output> {
        let path = folders();
        tracing::debug!("run {}", command_line(program, arguments));
        // The programs are those of the host: what they read must not depend on who called this agent.
        let found = find(program, &path).with_context(|| format!("{program} is not installed"))?;
        let mut command = tokio::process::Command::new(found);
        for name in SECRET_VARIABLES {
            command.env_remove(name);
        }
        command
            .arg0(program)
            .args(arguments)
            .args(hidden)
            .env("PATH", path)
            .env("LC_ALL", "C")
            .env_remove("NOTIFY_SOCKET")
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .map_err(|error| anyhow!("run {}: {error}", command_line(program, arguments)))
    }
}

/// Returns the folders of programs, those of PATH first.
fn folders() -> OsString {
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    if !path.is_empty() {
        path.push(":");
    }
    path.push(SYSTEM_FOLDERS);
    path
}

fn find(program: &str, path: &OsString) -> Option<PathBuf> {
    std::env::split_paths(path).map(|folder| folder.join(program)).find(|candidate| candidate.is_file())
}

/// Returns the error of a program that failed.
pub fn failure(program: &str, arguments: &[&str], output: &Output) -> anyhow::Error {
    let said = if output.stderr.trim_ascii().is_empty() { &output.stdout } else { &output.stderr };
    // Secrets are searched in more than is quoted, so that a URL is known even if its beginning is cut off.
    let looked_at = &said[said.len().saturating_sub(QUOTED + LOOKED_AT)..];
    let whole = redact(&String::from_utf8_lossy(looked_at));
    let tail = &whole[whole.ceil_char_boundary(whole.len().saturating_sub(QUOTED))..];
    let tail = tail.split_whitespace().collect::<Vec<_>>().join(" ");
    let tail = if tail.is_empty() { "no output".to_owned() } else { tail };
    // This agent kills only programs that it no longer waits for, so the signal came from elsewhere.
    let hint = match output.status.signal() {
        Some(9) => "; the kernel does this when memory runs out (OOM): see `journalctl -k`",
        _ => "",
    };
    anyhow!("`{}` failed ({}): {tail}{hint}", command_line(program, arguments), output.status)
}

fn command_line(program: &str, arguments: &[&str]) -> String {
    std::iter::once(program).chain(arguments.iter().copied()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use std::process::ExitStatus;

    use super::*;

    #[test]
    fn what_a_program_says_is_quoted_without_what_looks_like_a_secret() {
        let said = |text: &str| {
            let output = Output { status: ExitStatus::from_raw(256), stdout: Vec::new(), stderr: text.into() };
            failure("dnf", &["makecache"], &output).to_string()
        };
        assert_eq!(said("no route"), "`dnf makecache` failed (exit status: 1): no route");
        let words = said("curl: proxy http://me:hunter2@proxy:3128 refused");
        assert!(words.ends_with("proxy http://***@proxy:3128 refused"), "{words}");
        // A password is hidden even if the beginning of its URL is cut off.
        let words = said(&format!("http://me:{}hunter2@h {}", "p".repeat(QUOTED), "x".repeat(QUOTED - 9)));
        assert!(!words.contains("hunter2"), "{words}");
    }
}
