//! Docker's own last error: text of the journal in, the decisive line out.

use std::time::Duration;

use tokio::time::timeout;

use super::agent_log::{field, quotable};
use crate::host::Host;
use crate::well_known::DOCKER_UNIT;

/// Time allowed for the journal to answer.
const ANSWER: Duration = Duration::from_secs(1);
/// The number of lines that are read from the journal's end. Docker's last start has some tens of lines.
const LINES: &str = "--lines=100";
/// Words of a line that says why Docker ended, the most decisive ones first.
const DECISIVE: [&[&str]; 3] = [
    &["failed to start ", "unable to configure the Docker daemon", "level=fatal"],
    // A flag that dockerd does not know; a crash; an obstacle that keeps systemd from starting dockerd.
    &[
        "unknown flag",
        "unknown shorthand flag",
        "invalid argument",
        "panic: ",
        "fatal error: ",
        "Failed to locate executable",
        "Failed at step",
        "Failed to load environment files",
        "Dependency failed for ",
    ],
    &["level=error", "rror: "],
];
/// The beginnings of lines in which systemd tells of the unit's life, not of a cause.
const OF_SYSTEMD: [&str; 8] =
    ["docker.service: ", "Starting ", "Started ", "Stopping ", "Stopped ", "Failed to start ", "Closed ", "Listening "];

/// Returns the last error that Docker has logged on this boot, without what looks like a secret.
pub(super) async fn last_error(host: &Host) -> Option<String> {
    decisive(&journal(host, DOCKER_UNIT).await?).map(message)
}

/// Returns the last lines that a unit has logged on this boot.
pub(super) async fn journal(host: &Host, unit: &str) -> Option<String> {
    let unit = format!("--unit={unit}");
    let arguments = [unit.as_str(), "--boot", LINES, "--output=cat", "--no-pager", "--quiet"];
    timeout(ANSWER, host.run("journalctl", &arguments)).await.ok()?.ok()
}

/// Finds the line that says the most about why Docker ended.
fn decisive(journal: &str) -> Option<&str> {
    let lines = || journal.lines().rev().filter(|line| !line.trim().is_empty());
    let with = |words: &&[&str]| lines().find(|line| words.iter().any(|word| line.contains(word)));
    let any = || lines().find(|line| !OF_SYSTEMD.iter().any(|beginning| line.starts_with(beginning)));
    DECISIVE.iter().find_map(with).or_else(any)
}

/// Returns a line's message and error, cut off if they are long.
fn message(line: &str) -> String {
    let text = match (field(line, "msg"), field(line, "error")) {
        (Some(message), Some(error)) => format!("{message}: {error}"),
        (Some(text), None) | (None, Some(text)) => text,
        (None, None) => line.trim().to_owned(),
    };
    quotable(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_that_says_why_is_found_among_those_of_systemd_and_of_earlier_starts() {
        let before = "Starting docker.service - Docker Application Container Engine...\n\
             time=\"2026-11-29T14:28:20Z\" level=info msg=\"Starting up\"\n\
             time=\"2026-11-29T14:28:20Z\" level=error msg=\"a plugin is missing\"\n";
        let after = "docker.service: Main process exited, code=exited, status=1/FAILURE\n\
             docker.service: Failed with result 'exit-code'.\n\
             Failed to start docker.service - Docker Application Container Engine.\n";
        for (said, expected) in [
            (
                "failed to start daemon: error initializing graphdriver: driver not supported: zap",
                "failed to start daemon: error initializing graphdriver: driver not supported: zap",
            ),
            (
                "unable to configure the Docker daemon with file /etc/docker/daemon.json: invalid character 'x'",
                "unable to configure the Docker daemon with file /etc/docker/daemon.json: invalid character 'x'",
            ),
            (
                "time=\"2026-11-29T14:28:21Z\" level=fatal msg=\"no sockets via http://u:hunter2@proxy:3128\"",
                "no sockets via http://***@proxy:3128",
            ),
            (
                "time=\"2026-11-29T14:28:21Z\" level=error msg=\"failed to start daemon\" error=\"no \\\"overlay2\\\"\"",
                "failed to start daemon: no \"overlay2\"",
            ),
            ("unknown flag: --storage-drivr", "unknown flag: --storage-drivr"),
            (
                "docker.service: Failed to locate executable /usr/bin/dockerd: No such file or directory",
                "docker.service: \
             Failed to locate executable /usr/bin/dockerd: No such file or directory",
            ),
            ("", "a plugin is missing"),
        ] {
            let journal = format!("{before}{said}\n{after}");
            assert_eq!(decisive(&journal).map(message).as_deref(), Some(expected));
        }
        let plain = format!("docker-setup-runtimes.sh: no such directory\n{after}");
        assert_eq!(decisive(&plain), Some("docker-setup-runtimes.sh: no such directory"));
        assert_eq!(decisive(after), None);
    }
}
