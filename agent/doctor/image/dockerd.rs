//! Asks Docker itself about the image's `daemon.json`: `dockerd --validate`, with the flags of Docker's unit.

use std::time::Duration;

use anyhow::Result;
use tokio::time::timeout;

use crate::host::Host;
use crate::well_known::{DAEMON_JSON, DOCKER_UNIT};

/// Time allowed for dockerd, which only reads its configuration and needs tens of milliseconds.
const LIMIT: Duration = Duration::from_secs(10);

/// Returns the words with which dockerd refuses the image's own configuration. None if dockerd accepts it or can't be asked.
///
/// dockerd knows `--validate` from version 23 on. In a folder, dockerd may be a program for another processor, so it is not
/// run there.
pub(super) async fn refusal(host: &Host) -> Option<String> {
    if !host.is_this_machine() || !host.has(DAEMON_JSON) {
        return None;
    }
    let flags = flags(host).await.unwrap_or_default();
    let arguments: Vec<&str> =
        ["--validate", "--config-file", DAEMON_JSON].into_iter().chain(flags.iter().map(String::as_str)).collect();
    let output = timeout(LIMIT, host.output("dockerd", &arguments)).await.ok()?.ok()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let is_of_file = !output.status.success() && said.contains(DAEMON_JSON);
    is_of_file.then(|| said.lines().find(|line| line.contains(DAEMON_JSON)).unwrap_or_default().to_owned())
}

/// Returns the flags of Docker's unit from systemd, which knows all drop-ins, with the variables filled in.
async fn flags(host: &Host) -> Result<Vec<String>> {
    let shown = host.run("systemctl", &["show", DOCKER_UNIT, "--property=ExecStart,EnvironmentFiles"]).await?;
    let value = |name: &str| shown.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    let (_, command) = value("ExecStart=").split_once("argv[]=").unwrap_or_default();
    let (command, _) = command.split_once(" ; ").unwrap_or((command, ""));
    let files = shown.lines().filter_map(|line| line.strip_prefix("EnvironmentFiles=")?.split(' ').next());
    let texts: Vec<String> = files.filter_map(|path| host.read(path).ok().flatten()).collect();
    let words = command.split_whitespace().skip(1).flat_map(|word| match word.strip_prefix('$') {
        Some(name) => variable(&texts, name.trim_matches(['{', '}'])),
        None => vec![word.to_owned()],
    });
    Ok(words.collect())
}

/// Returns the words of a variable, from the last line that sets it, without quotes.
fn variable(files: &[String], name: &str) -> Vec<String> {
    let lines = files.iter().flat_map(|text| text.lines());
    let set = lines.filter_map(|line| line.trim().strip_prefix(name)?.strip_prefix('=')).next_back();
    set.map(|value| value.trim_matches(['"', '\'']).split_whitespace().map(str::to_owned).collect()).unwrap_or_default()
}
