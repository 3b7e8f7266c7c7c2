//! The checks of `logs` that concern more than one value: complete names, times, and settings of one log group.

use std::collections::{BTreeMap, BTreeSet};

use super::checks::Checks;
use crate::config::log_names::{ACCOUNT, LogNames};
use crate::config::logs::{LogAgent, LogFile, LogTimeZone};
use crate::config::sections::Config;
use crate::config::types::{LONGEST_LOG_NAME, LONGEST_REGION, NameTemplate, Placeholder, StartPattern, Variable};
use crate::host_logs::{ALL_HOST_LOGS, HostLog, groups};

/// The most files that a document can list. With the host's own, the files stay below the 16,384 of the CloudWatch agent's
/// schema.
const MOST_FILES: usize = 10_000;

pub(super) fn check(config: &Config, checks: &mut Checks<'_>) {
    if config.logs.required && config.logs.agent == LogAgent::None {
        let message = "`logs.required` needs a log agent, but `logs.agent` is `none`";
        checks.report(&["logs", "required"], message, "leave one of them out");
    }
    let indices = checks.indices(&["logs", "files"]);
    let files = || config.logs.files.iter().zip(indices.iter().copied());
    if config.logs.files.len() > MOST_FILES {
        let message = format!("there are more than {MOST_FILES} files");
        return checks.report(&["logs", "files"], message, "use patterns, such as /var/log/app/*.log");
    }
    let mut listed = BTreeSet::new();
    for (file, index) in files() {
        let index = index.to_string();
        let at = &["logs", "files", &index];
        if !listed.insert(&file.path) {
            checks.report(&[at, &["path"][..]].concat(), format!("{} is listed twice", file.path), "list it once");
        }
        check_times(file, at, checks);
        let (group, stream) = (file.group.as_ref(), file.stream.as_ref());
        let names = [("group", group.map(|name| &name.0)), ("stream", stream.map(|name| &name.0))];
        check_variables(at, &names, checks);
    }
    let group = config.logs.group.as_ref().map(|name| &name.0);
    let names = [("group", group), ("stream", Some(&config.logs.stream.0))];
    check_variables(&["logs"], &names, checks);
    check_lengths(config, files(), checks);
    check_retention(config, files(), checks);
}

fn check_times(file: &LogFile, at: &[&str], checks: &mut Checks<'_>) {
    let ends_in_z = file.timestamp_format.as_ref().is_some_and(|format| format.ends_in_z());
    if ends_in_z && file.timezone == Some(LogTimeZone::Local) {
        let message = "a format that ends in Z means that times are in UTC";
        checks.report(&[at, &["timezone"]].concat(), message, "leave `timezone` out, or the Z");
    }
    let starts_with_time = file
        .multi_line_start_pattern
        .as_ref()
        .is_some_and(|pattern| pattern.as_str() == StartPattern::TIMESTAMP_FORMAT);
    if starts_with_time && file.timestamp_format.is_none() {
        let message = format!("`{}` needs a `timestamp_format`", StartPattern::TIMESTAMP_FORMAT);
        checks.report(&[at, &["multi_line_start_pattern"]].concat(), message, "add one, or write a regular expression");
    }
}

fn check_variables(at: &[&str], names: &[(&str, Option<&NameTemplate>)], checks: &mut Checks<'_>) {
    let named = names.iter().filter_map(|(key, name)| Some((*key, (*name)?)));
    for (key, variable) in named.flat_map(|(key, name)| name.variables().map(move |variable| (key, variable))) {
        let source: [&str; 2] = match variable {
            Variable::Stack => ["signal", "stack"],
            Variable::Resource => ["signal", "resource"],
            Variable::Cluster => ["ecs", "cluster"],
            Variable::Region | Variable::Account => continue,
        };
        if !checks.is_meant(&source) {
            let message = format!("`${{{}}}` has no value here", variable.name());
            let remedy = format!("set `{}`, or write the name itself", source.join("."));
            checks.report(&[at, &[key]].concat(), message, &remedy);
        }
    }
}

/// Checks the lengths of complete names, with the longest values of placeholders and regions. A name that is too long keeps
/// the CloudWatch agent from starting.
fn check_lengths<'a>(config: &Config, files: impl Iterator<Item = (&'a LogFile, usize)>, checks: &mut Checks<'_>) {
    let names = LogNames::new(config, (LONGEST_REGION, ACCOUNT), &Placeholder::longest);
    let mut check = |at: &[&str], what: &str, name: String| {
        let length = name.chars().count();
        let is_too_long = length > LONGEST_LOG_NAME;
        if is_too_long {
            let message =
                format!("the name of the log {what} can have {length} characters, more than {LONGEST_LOG_NAME}");
            checks.report(
                at,
                message,
                "shorten it: variables, placeholders and the part after the prefix count as well",
            );
        }
        is_too_long
    };
    let longest = groups().map(|suffix| names.group(suffix)).max_by_key(|name| name.chars().count());
    let prefix_is_too_long = check(&["logs", "group"], "group", longest.unwrap_or_default());
    check(&["logs", "stream"], "stream", names.stream(None));
    for (file, index) in files {
        let index = index.to_string();
        let at = &["logs", "files", &index][..];
        let key = if file.group.is_some() { "group" } else { "path" };
        if file.group.is_some() || !prefix_is_too_long {
            check(&[at, &[key]].concat(), "group", names.group_of(file));
        }
        if file.stream.is_some() {
            check(&[at, &["stream"]].concat(), "stream", names.stream(Some(file)));
        }
    }
}

/// Refuses two retentions for one log group, with which the CloudWatch agent doesn't start. Upper case counts as lower case
/// there.
fn check_retention<'a>(config: &Config, files: impl Iterator<Item = (&'a LogFile, usize)>, checks: &mut Checks<'_>) {
    let names = LogNames::new(config, (LONGEST_REGION, ACCOUNT), &LogNames::alike);
    let listed = |log: &&HostLog| config.logs.files.iter().any(|file| file.path.as_str() == log.path);
    let of_host = config.logs.retention_days.map(|days| (days, "`logs.retention_days`".to_owned()));
    let host_logs = ALL_HOST_LOGS.iter().filter(|log| !listed(log)).map(|log| names.group(log.group).to_lowercase());
    let mut known: BTreeMap<String, _> = BTreeMap::new();
    known.extend(of_host.into_iter().flat_map(|days| host_logs.clone().map(move |group| (group, days.clone()))));
    for (file, index) in files {
        let Some(days) = file.retention_days.or(config.logs.retention_days) else { continue };
        let group = names.group_of(file).to_lowercase();
        let (first, of) = known.entry(group).or_insert((days, format!("`logs.files[{index}]`")));
        if *first != days {
            let message = format!("this log group gets another retention from {of}");
            let at = ["logs", "files", &index.to_string(), "retention_days"];
            checks.report(&at, message, "give all entries of a log group the same `retention_days`");
        }
    }
}
