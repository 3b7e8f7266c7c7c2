//! Checks whether the log agent stays up, what it says if not, and which files are in its way.

use std::time::Duration;

use anyhow::Result;
use tokio::time::timeout;

use super::agent_log::quotable;
use super::docker_log::journal;
use super::finding::{Check, Finding};
use super::local::{LOCAL, since};
use crate::aws::imds::Identity;
use crate::cloudwatch_agent::Conflict;
use crate::config::{Config, LogAgent};
use crate::host::{Host, Life, UnitState};
use crate::plan::toml_error;
use crate::well_known::{AWSLOGS_UNIT, CLOUDWATCH_COMMON, CLOUDWATCH_LOG, CLOUDWATCH_UNIT};

/// The time after which a unit that systemd has restarted counts as staying up.
const STAYS_UP: Duration = Duration::from_secs(120);
/// The files that the log agents write once they run.
const LOGS: [(&str, &str); 2] = [(CLOUDWATCH_UNIT, CLOUDWATCH_LOG), (AWSLOGS_UNIT, "/var/log/awslogs.log")];
/// Bytes that are read from the end of a log agent's own log.
const LOG_TAIL: u64 = 32 << 10;
/// The words from which on a line says why an agent ended, the most decisive ones first.
const DECISIVE: [&[&str]; 2] = [
    &[
        "Under path : ",
        "failed to parse common-config",
        "failed to open common-config",
        "unable to scan config dir",
        "unable to get old json config",
    ],
    &["panic: ", "fatal error: ", "Error running agent: "],
];
/// Words before an error that has none of the decisive words.
const ERRORS: [&[&str]; 1] = [&["E! ", "ERROR", "Error: "]];
/// Words of lines that only follow from others, or that hold the proxy's password.
const IGNORED: [&str; 4] = [
    "_PROXY is set to",
    "process exited with non-zero status",
    "Cannot translate JSON",
    "configuration validation first phase failed",
];
const WHY: &str = "no log leaves the instance, so nobody could tell from outside why a boot failed";

/// Judges the log agent of a host with this configuration.
pub(super) async fn findings(host: &Host, config: Option<&Config>, identity: &Identity) -> Result<Vec<Finding>> {
    let Some(config) = config else { return Ok(Vec::new()) };
    let Some(unit) = unit(host, config.logs.agent)? else { return Ok(Vec::new()) };
    let mut findings =
        if unit == CLOUDWATCH_UNIT { of_files(host, None, config, &identity.region) } else { Vec::new() };
    findings.push(match host.unit_state(unit).await {
        Ok(state) => match judge(host, unit, &state).await {
            Some(trouble) => trouble,
            None => Finding::ok(Check::LogAgent, format!("{unit} is {} ({})", state.active, state.sub)),
        },
        Err(error) => Finding::not_made(Check::LogAgent, &error),
    });
    Ok(findings.into_iter().map(Finding::that_causes_nothing).collect())
}

/// Tells why a log agent that a run has started does not stay up, and what to do. None if the agent stays up, or if that
/// can't be seen in time.
pub async fn trouble(host: &Host, unit: &str) -> Option<String> {
    let look = async {
        let state = host.unit_state(unit).await.ok()?;
        // A shutdown stops the agent, too.
        if state.life() == Life::Stopped { None } else { judge(host, unit, &state).await }
    };
    timeout(LOCAL, look).await.ok()?.map(|finding| finding.line())
}

/// Finds files that keep the CloudWatch agent from starting, or from doing what our file says. `ours` is the text of our
/// file that a run would write; if it is none, the file on the host counts.
pub(super) fn of_files(host: &Host, ours: Option<&str>, config: &Config, region: &str) -> Vec<Finding> {
    let check = Check::LogAgent;
    let mut findings: Vec<_> = match host.cloudwatch_conflicts(ours, config, region) {
        Ok(conflicts) => {
            let problem = |conflict: Conflict| Finding::problem(check, conflict.found, conflict.why, conflict.remedy);
            conflicts.into_iter().map(problem).collect()
        }
        Err(error) => vec![Finding::not_made(check, &error)],
    };
    let common = host.read(CLOUDWATCH_COMMON).ok().flatten();
    findings.extend(common.and_then(|text| toml_error(&text)).map(|why| {
        let found = format!("{CLOUDWATCH_COMMON} is not valid TOML ({why})");
        let remedy = "correct it in the image, or empty it there";
        Finding::problem(check, found, "the CloudWatch agent does not start", remedy)
    }));
    findings
}

/// Returns the unit of the log agent that is used.
fn unit(host: &Host, wanted: LogAgent) -> Result<Option<&'static str>> {
    let (cloudwatch, awslogs) = host.log_agents()?;
    Ok(wanted.used(cloudwatch.is_some(), awslogs).unit())
}

/// Returns the problem of a log agent that does not stay up.
async fn judge(host: &Host, unit: &str, state: &UnitState) -> Option<Finding> {
    let words = ending(unit, state, host.uptime())?;
    let check = Check::LogAgent;
    let log = LOGS.iter().find(|(of, _)| *of == unit).map(|(_, log)| *log).unwrap_or_default();
    Some(match last_words(host, unit, log).await {
        Some(said) => {
            let remedy = format!("remove the cause that it names, then `systemctl restart {unit}`");
            Finding::problem(check, format!("{words}: it says `{said}`"), WHY, remedy)
        }
        None => Finding::problem(check, words, WHY, format!("`journalctl -u {unit}` and {log} say why")),
    })
}

/// Says how a unit that should stay up has ended; none if the unit stays up or is starting.
fn ending(unit: &str, state: &UnitState, uptime: Duration) -> Option<String> {
    let ended = format!("{unit} {}", state.ending());
    let again = state.restarts.parse().unwrap_or(0_u32);
    let is_new = state.active_since.is_zero() || uptime.saturating_sub(state.active_since) < STAYS_UP;
    Some(match state.life() {
        _ if state.load == "not-found" => format!("{unit} is not installed"),
        Life::Running if again > 0 && is_new => {
            format!("{unit} does not stay up: systemd has restarted it {again} times so far")
        }
        Life::Running | Life::Starting => return None,
        Life::Repeating => format!("{ended}, and systemd starts it again"),
        Life::Failed => ended,
        Life::Ended => format!("{ended} soon after its start, which systemd takes for a success"),
        Life::Stopped => format!("{unit} was stopped on this boot, by hand or by a script"),
        // systemd forgets the end of a unit that is not enabled.
        Life::NeverStarted => format!("{unit} is {}: it has ended, or was not started on this boot", state.active),
    })
}

/// Finds the agent's own words for its end, without what looks like a secret. Decisive words in the journal count first,
/// then those in the agent's own log, then other errors in both.
async fn last_words(host: &Host, unit: &str, log: &str) -> Option<String> {
    let journal = journal(host, unit).await.unwrap_or_default();
    // The agent's own log also has lines of earlier boots.
    let since = since(host);
    let log = host.tail(log, LOG_TAIL).ok().flatten().unwrap_or_default();
    let log = log.lines().filter(|line| line.get(..since.len()).is_some_and(|time| time >= since.as_str()));
    let log = log.collect::<Vec<_>>().join("\n");
    let said =
        decisive(&journal, &DECISIVE).or_else(|| decisive(&log, &DECISIVE)).or_else(|| decisive(&journal, &ERRORS));
    said.or_else(|| decisive(&log, &ERRORS))
}

/// Finds the last line with one of the words, and returns the line from that word on.
fn decisive(text: &str, words: &[&[&str]]) -> Option<String> {
    let lines = || text.lines().rev().filter(|line| !IGNORED.iter().any(|word| line.contains(word)));
    let from = |line: &str, words: &[&str]| words.iter().find_map(|word| Some(line[line.find(word)?..].to_owned()));
    let said = words.iter().find_map(|words| lines().find_map(|line| from(line, words)))?;
    Some(quotable(said.trim_start_matches("E! ").trim().trim_end_matches(']')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_cloudwatch_agent_says_is_told_from_what_follows_of_it_and_from_the_password() {
        for (said, expected) in [
            (
                "2026/11/30 01:16:21 Failed to merge multiple json config files.\n\
                 2026/11/30 01:16:21 Under path : /logs/logs_collected/journald | Error : Different values are specified for journald\n\
                 2026/11/30 01:16:21 E! configuration validation first phase failed. Agent version: 1.0.\n\
                 E! config-translator process exited with non-zero status: 1\n",
                "Under path : /logs/logs_collected/journald | Error : Different values are specified for journald",
            ),
            (
                "E! failed to generate TOML configuration validation content: [Under path : /logs/x/ | Error : Different retention_in_days]\n",
                "Under path : /logs/x/ | Error : Different retention_in_days",
            ),
            (
                "Executing config-translator with arguments: [-mode auto]2026/11/30 01:16:28 E! failed to parse common-config file /x with error: toml: line 3: Key 'proxy' has already been defined.\n",
                "failed to parse common-config file /x with error: toml: line 3: Key 'proxy' has already been defined.",
            ),
            (
                "2026-11-30T01:16:20Z I! HTTPS_PROXY is set to http://u:canary@proxy:3128 E! x\n\
                 2026-11-30T01:16:20Z E! Error running agent: no route by http://u:canary@proxy:3128\n",
                "Error running agent: no route by http://***@proxy:3128",
            ),
        ] {
            assert_eq!(decisive(said, &DECISIVE).as_deref(), Some(expected));
        }
        assert_eq!(decisive("a\n2026-11-30T01:16:20Z E! no region\nb\n", &ERRORS).as_deref(), Some("no region"));
        assert_eq!(decisive("HTTP_PROXY is set to http://u:canary@h E! x\n", &ERRORS), None);
    }

    #[test]
    fn a_unit_that_systemd_starts_again_and_again_does_not_stay_up() {
        let state = |restarts: &str, active_since| UnitState {
            active: "active".to_owned(),
            restarts: restarts.to_owned(),
            active_since: Duration::from_secs(active_since),
            ..UnitState::default()
        };
        let day = Duration::from_secs(86_400);
        for (state, stays) in [
            (state("0", 86_390), true),
            (state("", 86_390), true),
            (state("3", 86_390), false),
            (state("3", 600), true),
            (state("1", 0), false),
        ] {
            assert_eq!(ending("x.service", &state, day).is_none(), stays, "{state:?}");
        }
    }
}
