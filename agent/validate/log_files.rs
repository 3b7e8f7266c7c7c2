//! Settings of `logs` with which nothing is sent, or not in the expected way.

use std::collections::BTreeMap;

use crate::config::types::{Placeholder, is_pattern, timestamp_pitfall};
use crate::config::{Config, LogAgent, LogNames};
use crate::host_logs::{ALL_HOST_LOGS, groups};
use crate::instance::Instance;
use crate::text::is_path_match;
use crate::well_known::ECS_LOGS;

/// Folders of every host; a log agent sends files only.
const FOLDERS: [&str; 10] =
    ["/etc", "/home", "/opt", "/root", "/run", "/tmp", "/var", "/var/lib", "/var/log", ECS_LOGS];

/// Warns of files that are not sent, of times that are not read, and of two logs in one stream.
pub(super) fn check(config: &Config, warn: &mut impl FnMut(&[&str], String, &str)) {
    for (index, file) in config.logs.files.iter().enumerate() {
        let index = index.to_string();
        if let Some((message, remedy)) =
            file.timestamp_format.as_ref().and_then(|format| timestamp_pitfall(format.as_str()))
        {
            warn(&["logs", "files", &index, "timestamp_format"], message.to_owned(), remedy);
        }
        if file.timezone.is_some() && file.timestamp_format.is_none() {
            let message = "without a `timestamp_format` no time is read, so `timezone` has no effect".to_owned();
            warn(&["logs", "files", &index, "timezone"], message, "add the format, or leave `timezone` out");
        }
        if let Some((message, remedy)) = never_sent(config, file.path.as_str()) {
            warn(&["logs", "files", &index, "path"], message, remedy);
        }
        if config.logs.agent == LogAgent::Awslogs && is_pattern(file.path.as_str()) {
            let message = format!("the awslogs agent sends only the newest of the files that match {}", file.path);
            warn(&["logs", "files", &index, "path"], message, "list each file, or use the CloudWatch agent");
        }
    }
    sent_twice(config, warn);
    shared_streams(config, warn);
    if config.logs.agent == LogAgent::Awslogs {
        unknown_to_awslogs(config, warn);
    }
}

fn never_sent(config: &Config, path: &str) -> Option<(String, &'static str)> {
    let directories = config.storage.iter().flat_map(|volume| {
        let below = volume.directories.iter().map(|directory| format!("{}/{}", volume.mount, directory.path));
        below.chain([volume.mount.to_string()])
    });
    if FOLDERS.contains(&path) || directories.into_iter().any(|directory| directory == path) {
        return Some((format!("{path} is a folder: nothing is sent"), "name files, such as /var/log/app/*.log"));
    }
    // Without `**` the pattern is one of Go's filepath.Glob, which has no alternatives.
    // A variable that nothing fills in has its own warning.
    (path.contains(['{', '}']) && !path.contains("**") && !path.contains("${")).then(|| {
        let message = format!("the CloudWatch agent reads the braces in {path} as part of the file's name");
        (message, "list each path by itself: braces work only in patterns with **")
    })
}

/// Warns of patterns that match a file which another entry sends as well. Entries with `exclude` are left out: its effect
/// is not known here.
fn sent_twice(config: &Config, warn: &mut impl FnMut(&[&str], String, &str)) {
    let listed = || config.logs.files.iter().map(|file| file.path.as_str()).filter(|path| !is_pattern(path));
    let of_host = || ALL_HOST_LOGS.iter().map(|log| log.path);
    for (index, file) in config.logs.files.iter().enumerate() {
        let pattern = file.path.as_str();
        let found = |other: &&str| is_path_match(pattern, other);
        if !is_pattern(pattern) || file.exclude.is_some() {
            continue;
        }
        if let Some(other) = listed().chain(of_host()).find(found) {
            let message = format!(
                "{pattern} also matches {other}, which is sent anyway: its lines are sent twice, and not all of them after a restart"
            );
            let remedy = "leave that file out with `exclude`, a regular expression for its name";
            warn(&["logs", "files", &index.to_string(), "path"], message, remedy);
        }
    }
}

/// Warns of entries whose lines end in one log stream, mixed.
fn shared_streams(config: &Config, warn: &mut impl FnMut(&[&str], String, &str)) {
    let Instance { region, account_id, .. } = Instance::example();
    let names = LogNames::new(config, (&region, &account_id), &Placeholder::text);
    let listed = |group: &str| {
        let log = ALL_HOST_LOGS.iter().find(|log| log.group == group);
        log.is_some_and(|log| config.logs.files.iter().any(|file| file.path.as_str() == log.path))
    };
    let of_host = groups().filter(|group| !listed(group));
    let mut ends = BTreeMap::new();
    ends.extend(of_host.map(|group| ((names.group(group), names.stream(None)), group.to_owned())));
    for (index, file) in config.logs.files.iter().enumerate().filter(|(_, file)| !is_pattern(file.path.as_str())) {
        let end = (names.group_of(file), names.stream(Some(file)));
        let Some(other) = ends.insert(end, file.path.to_string()) else { continue };
        let key = if file.group.is_some() { "group" } else { "path" };
        let message = format!("{} ends in the same log stream as {other}", file.path);
        let remedy = "give it a `group` or a `stream` of its own";
        warn(&["logs", "files", &index.to_string(), key], message, remedy);
    }
}

fn unknown_to_awslogs(config: &Config, warn: &mut impl FnMut(&[&str], String, &str)) {
    for key in config.logs.unknown_to_awslogs() {
        let message = format!("the awslogs agent has no `{key}`: the key has no effect");
        let holder = config.logs.files.iter().position(|file| match key {
            "filters" => !file.filters.is_empty(),
            "exclude" => file.exclude.is_some(),
            "retention_days" => config.logs.retention_days.is_none() && file.retention_days.is_some(),
            _ => false,
        });
        let remedy = "leave it out, or use the CloudWatch agent";
        match holder {
            Some(index) => warn(&["logs", "files", &index.to_string(), key], message, remedy),
            None => warn(&["logs", key], message, remedy),
        }
    }
}
