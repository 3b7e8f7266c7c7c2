//! Files of an image through which the CloudWatch agent gives away the proxy's password.
//!
//! The agent prints the proxy's URL to the journal and to its own log when it starts. Our files keep that line back.

use serde_json::{Map, Value};

use super::files::{Conflict, in_order, object};
use crate::text::is_path_match;
use crate::well_known::{CLOUDWATCH_JSON, CLOUDWATCH_LOG, CLOUDWATCH_UNIT, CLOUDWATCH_VALIDATION_LOG};

/// Files that get the line: those that rsyslog writes from the journal, and the agent's own.
const LOGS: [&str; 6] = [
    CLOUDWATCH_LOG,
    CLOUDWATCH_VALIDATION_LOG,
    "/var/log/messages",
    "/var/log/syslog",
    "/var/log/daemon.log",
    "/var/log/user.log",
];
/// Fields that the journal has with each such line.
const OWN_FIELDS: [(&str, &str); 3] = [("_SYSTEMD_UNIT", CLOUDWATCH_UNIT), ("_TRANSPORT", "stdout"), ("PRIORITY", "6")];
/// Priorities with which journalctl leaves out such a line.
const ABOVE_INFO: [&str; 15] =
    ["0", "1", "2", "3", "4", "5", "emerg", "alert", "crit", "err", "error", "warning", "warn", "notice", "panic"];
/// The words of such lines, up to the scheme of the URL.
const LINES: [&str; 2] = ["I! HTTP_PROXY is set to http", "I! HTTPS_PROXY is set to http"];
/// The words that all of `LINES` have in common.
const WORDS: &str = "_PROXY is set to";

/// Finds files of an image that send the proxy's URL to CloudWatch Logs, or let every user read the URL.
///
/// Every user can read the URL in a log file that is not private. `files` are paths with contents; our own file is skipped.
/// `is_private` tells whether other users can't read a log file.
pub fn leaks(files: &[(String, Vec<u8>)], is_private: impl Fn(&str) -> bool) -> Vec<Conflict> {
    let json = in_order(files).into_iter().filter(|(path, _)| !path.ends_with(".yaml"));
    // The agent reads nothing after a file that is not JSON.
    let read = json.map_while(|(path, text)| Some((path.as_str(), Value::Object(object(text).ok()?))));
    let read: Vec<_> = read.filter(|(path, _)| *path != CLOUDWATCH_JSON).collect();
    let named = read.iter().find_map(|(_, json)| json["agent"]["logfile"].as_str()).unwrap_or(CLOUDWATCH_LOG);
    read.iter()
        .flat_map(|(path, json)| {
            let sends = sent(json, named).into_iter().map(|(what, group)| of_entry(path, &what, group));
            let logfile = json["agent"]["logfile"].as_str();
            // With an empty name, the agent logs to the journal.
            let open = logfile.filter(|log| !log.is_empty() && *log != CLOUDWATCH_LOG && !is_private(log));
            sends.chain(open.map(|log| of_logfile(path, log))).collect::<Vec<_>>()
        })
        .collect()
}

/// Finds the entries of a file that send the line. Each comes as the log that it reads and the name of its log group.
fn sent<'a>(json: &'a Value, logfile: &str) -> Vec<(String, &'a str)> {
    let collected = &json["logs"]["logs_collected"];
    let entries =
        |kind: &str| collected[kind]["collect_list"].as_array().into_iter().flatten().filter_map(Value::as_object);
    let journal =
        entries("journald").filter(|entry| reads_own_unit(entry)).map(|entry| ("the journal".to_owned(), entry));
    let files = entries("files").filter_map(|entry| {
        let path = entry.get("file_path")?.as_str()?;
        let is_log = |log: &&str| is_path_match(path, log);
        LOGS.iter().copied().chain([logfile]).find(|log| is_log(log)).map(|log| (log.to_owned(), entry))
    });
    let taken = journal.chain(files).filter(|(_, entry)| takes_line(entry));
    taken.map(|(what, entry)| (what, entry.get("log_group_name").and_then(Value::as_str).unwrap_or_default())).collect()
}

fn of_entry(path: &str, what: &str, group: &str) -> Conflict {
    let group = if group.is_empty() { String::new() } else { format!(" to the log group {group}") };
    let found = format!("{path} sends {what}{group} with the CloudWatch agent's own lines");
    let filter = format!("{{\"type\": \"exclude\", \"expression\": \"{WORDS}\"}}");
    let remedy = format!("add {filter} to the `filters` of that entry in the image");
    Conflict::harmless(found, "the proxy's password leaves the instance in one of these lines", remedy)
}

fn of_logfile(path: &str, log: &str) -> Conflict {
    let found = format!("{path} sets `agent.logfile` to {log}");
    let why = "the CloudWatch agent writes the proxy's password there, for every user to read";
    Conflict::harmless(found, why, "remove `logfile` from it, or create that log file in the image with mode 0600")
}

/// Tells whether an entry for the journal reads the lines of the agent's own unit. The entry may name the unit without
/// `.service`.
fn reads_own_unit(entry: &Map<String, Value>) -> bool {
    let list = |key: &str| entry.get(key).and_then(Value::as_array).into_iter().flatten().collect::<Vec<_>>();
    let is_own = |unit: &str| {
        let unit = if unit.contains('.') { unit.to_owned() } else { format!("{unit}.service") };
        is_path_match(&unit, CLOUDWATCH_UNIT)
    };
    let (units, matches) = (list("units"), list("matches"));
    let is_in =
        |fields: &Value| OWN_FIELDS.iter().all(|(key, own)| fields[*key].as_str().is_none_or(|other| other == *own));
    let priority = entry.get("priority").and_then(Value::as_str).unwrap_or_default();
    (units.is_empty() || units.into_iter().filter_map(Value::as_str).any(is_own))
        && (matches.is_empty() || matches.into_iter().any(is_in))
        && !ABOVE_INFO.contains(&priority)
}

/// Tells whether a line with the URL passes the filters of an entry. A line must pass all of them.
fn takes_line(entry: &Map<String, Value>) -> bool {
    let filters: Vec<_> = entry.get("filters").and_then(Value::as_array).into_iter().flatten().collect();
    LINES.iter().any(|line| {
        filters.iter().all(|filter| {
            let expression = filter["expression"].as_str().unwrap_or_default();
            match filter["type"].as_str() {
                Some("exclude") => !is_found(expression, line).unwrap_or_else(|| expression.contains("PROXY")),
                Some("include") => is_found(expression, line).unwrap_or(true),
                _ => true,
            }
        })
    })
}

/// Tells whether an expression matches a line, if the alternatives of the expression are plain words. Other expressions are
/// not judged.
fn is_found(expression: &str, line: &str) -> Option<bool> {
    let is_plain = !expression.contains(['\\', '.', '+', '*', '?', '(', ')', '[', ']', '{', '}', '^', '$']);
    (is_plain || [".", ".*"].contains(&expression))
        .then(|| !is_plain || expression.split('|').any(|words| line.contains(words)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloudwatch_agent::files::{FOLDER, MAIN_FILE};

    fn found(json: &str) -> Vec<Conflict> {
        leaks(&[(format!("{FOLDER}/shop.json"), json.into())], |path| path == "/srv/private.log")
    }

    fn journal(rest: &str) -> String {
        format!(
            r#"{{"logs": {{"logs_collected": {{"journald": {{"collect_list": [{{"log_group_name": "j"{rest}}}]}}}}}}}}"#
        )
    }

    fn file(path: &str, rest: &str) -> String {
        let entry = format!(r#"{{"file_path": "{path}", "log_group_name": "f"{rest}}}"#);
        format!(r#"{{"logs": {{"logs_collected": {{"files": {{"collect_list": [{entry}]}}}}}}}}"#)
    }

    #[test]
    fn an_entry_that_takes_the_line_is_told_with_its_remedy() {
        let told = found(&journal(""));
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].is_harmless, "the logs are sent");
        assert_eq!(
            told[0].to_string(),
            format!(
                "{FOLDER}/shop.json sends the journal to the log group j with the CloudWatch agent's own lines, so the proxy's \
                 password leaves the instance in one of these lines; add {{\"type\": \"exclude\", \"expression\": \"_PROXY is set to\"}} \
                 to the `filters` of that entry in the image"
            )
        );
        for (json, is_told) in [
            (journal(r#", "units": []"#), true),
            (journal(r#", "units": ["sshd.service", "amazon-cloudwatch-agent"]"#), true),
            (journal(r#", "units": ["amazon-*"]"#), true),
            (journal(r#", "units": ["sshd.service", "amazon-ssm-agent.service"]"#), false),
            (journal(r#", "filters": [{"type": "exclude", "expression": "_PROXY is set to"}]"#), false),
            (journal(r#", "filters": [{"type": "exclude", "expression": "debug|PROXY is set"}]"#), false),
            (journal(r#", "filters": [{"type": "exclude", "expression": "HTTPS?_PROXY is"}]"#), false),
            (journal(r#", "filters": [{"type": "exclude", "expression": "HTTPS_PROXY is set to"}]"#), true),
            (journal(r#", "filters": [{"type": "exclude", "expression": "debug"}]"#), true),
            (journal(r#", "filters": [{"type": "exclude", "expression": "^debug.*"}]"#), true),
            (journal(r#", "filters": [{"type": "include", "expression": "ERROR|WARN"}]"#), false),
            (journal(r#", "filters": [{"type": "include", "expression": ".*"}]"#), true),
            (journal(r#", "priority": "err""#), false),
            (journal(r#", "priority": "debug""#), true),
            (journal(r#", "matches": [{"_TRANSPORT": "kernel"}]"#), false),
            (journal(r#", "matches": [{"_SYSTEMD_UNIT": "a.service"}, {"_UID": "0"}]"#), true),
            (file("/var/log/messages", ""), true),
            (file("/var/log/*", ""), true),
            (file("/var/log/[mn]essage?", ""), true),
            (file("/opt/aws/**.log", ""), true),
            (file(CLOUDWATCH_LOG, ""), true),
            (
                file("/var/log/messages", r#", "filters": [{"type": "exclude", "expression": "_PROXY is set to"}]"#),
                false,
            ),
            (file("/var/log/nginx/*.log", ""), false),
            (file("/var/*", ""), false),
            ("null".to_owned(), false),
        ] {
            assert_eq!(found(&json).len(), usize::from(is_told), "{json}: {:?}", found(&json));
        }
    }

    #[test]
    fn a_log_of_another_name_is_told_unless_it_is_private() {
        let of = |log: &str| format!(r#"{{"agent": {{"logfile": "{log}"}}}}"#);
        for (log, is_told) in
            [("/srv/agent.log", true), ("/srv/private.log", false), (CLOUDWATCH_LOG, false), ("", false)]
        {
            assert_eq!(found(&of(log)).len(), usize::from(is_told), "{log}");
        }
        let told = &found(&of("/srv/agent.log"))[0];
        assert!(
            told.found.ends_with("/shop.json sets `agent.logfile` to /srv/agent.log") && told.is_harmless,
            "{told}"
        );
        // The log's file is also sent by another entry.
        let files = [
            (MAIN_FILE.to_owned(), of("/srv/private.log").into()),
            (format!("{FOLDER}/x"), file("/srv/*.log", "").into()),
        ];
        assert_eq!(leaks(&files, |_| true).len(), 1);
    }

    #[test]
    fn what_is_ours_or_never_read_is_not_told() {
        let at = |name: &str, text: &str| (format!("{FOLDER}/{name}"), text.as_bytes().to_vec());
        let all = journal("");
        for (files, count) in [
            (vec![(CLOUDWATCH_JSON.to_owned(), all.clone().into_bytes())], 0),
            (vec![at("a.json", "{"), at("b.json", &all)], 0),
            (vec![at("b.json", "{"), at("a.json", &all)], 1),
            (vec![at("a.json.tmp", &all), at("a.yaml", &all)], 0),
        ] {
            assert_eq!(leaks(&files, |_| false).len(), count, "{files:?}");
        }
    }
}
