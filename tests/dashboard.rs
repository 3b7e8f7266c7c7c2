//! The dashboard and the documented queries: all that they ask for is in lines that the binary wrote.

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::LazyLock;

use ecs_firstrun::rehearse::Scenario;
use ecs_firstrun::rehearse::cloud::CfnAnswer;
use serde_json::Value;

use crate::run_log::lines;
use crate::support::host::Host;
use crate::support::user_data::{COMPLETE, misspelt, with_signal};
use crate::support::{repository, skip};

/// Words of the query language that are no fields, and fields that CloudWatch Logs adds.
/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_QuerySyntax.html>
const WORDS: [&str; 17] = [
    "fields",
    "filter",
    "stats",
    "sort",
    "limit",
    "display",
    "by",
    "as",
    "in",
    "and",
    "or",
    "not",
    "desc",
    "asc",
    "like",
    "@timestamp",
    "@logStream",
];
const FUNCTIONS: [&str; 8] = ["count", "count_distinct", "avg", "max", "min", "pct", "earliest", "latest"];

/// Lines of runs that have all that a line can have: each step, failures, what can become of a signal.
fn lines_of_all_kinds() -> Vec<Value> {
    let user_data = with_signal("timeout: 20s");
    let answered = |answer| Host::in_cloud(&user_data, |options| options.cloudformation = vec![answer].into());
    let error = |text| CfnAnswer::Error(400, "ValidationError", text);
    let refused = Host::in_cloud(&misspelt(&user_data), |_| {});
    let hosts = [
        Host::of(Scenario::Proxy, COMPLETE),
        Host::of(Scenario::AgentExits5, user_data.as_str()),
        answered(error("Stack web is in ROLLBACK_IN_PROGRESS state and cannot be signaled")),
        answered(error("Stack:web does not exist")),
        refused,
    ];
    hosts.iter().for_each(|host| drop(host.run()));
    let undelivered = Host::in_cloud(&user_data, |_| {});
    undelivered.run_with(&[("AWS_ENDPOINT_URL_CLOUDFORMATION", "http://127.0.0.1:9")]);
    hosts.iter().chain([&undelivered]).flat_map(lines).collect()
}

/// Names of all fields, with dots for what is nested, and all values that are text. The runs are made once for all tests.
static KNOWN: LazyLock<(BTreeSet<String>, BTreeSet<String>)> = LazyLock::new(known);

fn known() -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut fields, mut values) = (BTreeSet::new(), BTreeSet::new());
    for line in lines_of_all_kinds() {
        for (key, value) in line.as_object().unwrap() {
            fields.insert(key.clone());
            values.extend(value.as_str().map(str::to_owned));
            fields.extend(value.as_object().into_iter().flatten().map(|(name, _)| format!("{key}.{name}")));
        }
    }
    (fields, values)
}

/// Splits a text into what is in double quotes, and the rest.
fn without_texts(text: &str) -> (Vec<&str>, String) {
    let parts: Vec<&str> = text.split('"').collect();
    assert!(parts.len() % 2 == 1, "a quote is open in {text}");
    let (rest, texts): (Vec<_>, Vec<_>) = parts.iter().enumerate().partition(|(at, _)| at % 2 == 0);
    (
        texts.into_iter().map(|(_, text)| *text).collect(),
        rest.into_iter().map(|(_, rest)| *rest).collect::<Vec<_>>().join(" "),
    )
}

/// The fields that a query asks for, and the values that it compares them with.
fn asked_for(query: &str) -> (BTreeSet<String>, Vec<&str>) {
    let (texts, rest) = without_texts(query);
    let is_separator = |c: char| !(c.is_ascii_alphanumeric() || "_.@(".contains(c));
    // A function keeps its bracket.
    let spaced = rest.replace('(', "( ");
    let mut tokens = spaced.split(is_separator).filter(|token| !token.is_empty() && *token != "(").peekable();
    let (mut fields, mut aliases) = (BTreeSet::new(), BTreeSet::new());
    while let Some(token) = tokens.next() {
        if let Some(function) = token.strip_suffix('(') {
            assert!(FUNCTIONS.contains(&function), "the function {function} in {query}");
        } else if token == "as" {
            aliases.extend(tokens.next());
        } else if !WORDS.contains(&token)
            && !token.starts_with(|c: char| c.is_ascii_digit())
            && !aliases.contains(token)
        {
            fields.insert(token.to_owned());
        }
    }
    (fields, texts)
}

/// The queries of the dashboard, each with the log group that it reads.
fn queries_of_the_dashboard(template: &str) -> Vec<String> {
    let body = template.split_once("DashboardBody: !Sub |\n").unwrap().1.split("\nOutputs:").next().unwrap();
    let body: Value = serde_json::from_str(body).unwrap_or_else(|error| panic!("the body of the dashboard: {error}"));
    let widgets = body["widgets"].as_array().unwrap();
    widgets.iter().filter_map(|widget| widget["properties"]["query"].as_str()).map(str::to_owned).collect()
}

/// The queries of a section of the documentation.
fn documented(section: &str) -> Vec<String> {
    let text = std::fs::read_to_string(repository("docs/operations.md")).unwrap();
    let section = text.split_once(&format!("\n## {section}\n")).unwrap().1.split("\n## ").next().unwrap();
    section.split("```insights\n").skip(1).map(|block| block.split("```").next().unwrap().to_owned()).collect()
}

#[test]
fn the_queries_ask_for_fields_and_values_of_lines_that_were_written() {
    let (fields, values) = &*KNOWN;
    let template = std::fs::read_to_string(repository("examples/cloudformation/dashboard.yaml")).unwrap();
    let queries = queries_of_the_dashboard(&template);
    let group = "SOURCE '${LogGroups}/var/log/ecs-firstrun/runs' | ";
    let queries = queries.iter().map(|query| query.strip_prefix(group).unwrap_or_else(|| panic!("{query}")).to_owned());
    let queries: Vec<String> = queries.chain(documented("A fleet at a glance")).collect();
    assert!(queries.len() >= 9, "{queries:?}");
    for query in &queries {
        let (asked, texts) = asked_for(query);
        assert!(asked.len() >= 2, "{query}: {asked:?}");
        let missing: Vec<_> = asked.difference(fields).collect();
        assert!(missing.is_empty(), "no line has {missing:?}, which {query} asks for; lines have {fields:?}");
        let strange: Vec<_> = texts.iter().filter(|text| !values.contains(**text)).collect();
        assert!(strange.is_empty(), "no line has a value {strange:?}, as {query} has");
    }
}

/// Fields of journald: systemd.journal-fields(7).
const JOURNAL_FIELDS: [&str; 7] =
    ["MESSAGE", "PRIORITY", "SYSLOG_IDENTIFIER", "UNIT", "_BOOT_ID", "_SYSTEMD_UNIT", "_TRANSPORT"];

#[test]
fn the_documented_queries_of_the_journal_ask_for_fields_of_journald() {
    let queries = documented("The journal in CloudWatch Logs");
    assert!(queries.len() >= 3, "{queries:?}");
    let mut fields = BTreeSet::new();
    for query in &queries {
        for field in asked_for(query).0 {
            let name =
                field.strip_prefix("body.").unwrap_or_else(|| panic!("{field} is outside of the entry, in {query}"));
            assert!(JOURNAL_FIELDS.contains(&name), "journald has no {name}, which {query} asks for");
            fields.insert(name.to_owned());
        }
    }
    assert!(fields.len() >= 6, "{fields:?}");
    let of_machine = Command::new("journalctl").args(["--fields", "--no-pager"]).output().map(|output| output.stdout);
    let of_machine = String::from_utf8(of_machine.unwrap_or_default()).unwrap();
    if of_machine.is_empty() {
        skip("the fields of the journal, by a real one: this machine has none that this user can read");
        return;
    }
    let missing: Vec<_> = JOURNAL_FIELDS.iter().filter(|name| !of_machine.lines().any(|line| line == **name)).collect();
    assert!(missing.is_empty(), "no entry of this machine has {missing:?}; entries have {of_machine}");
}

#[test]
fn the_metric_filters_match_fields_and_values_of_lines_that_were_written() {
    let (fields, values) = &*KNOWN;
    let template = std::fs::read_to_string(repository("examples/cloudformation/dashboard.yaml")).unwrap();
    let names = template
        .split("$.")
        .skip(1)
        .map(|rest| rest.split(|c: char| !(c.is_ascii_alphanumeric() || "_.".contains(c))).next().unwrap());
    let names: Vec<_> = names.collect();
    assert!(names.len() >= 10, "{names:?}");
    names.iter().for_each(|name| assert!(fields.contains(*name), "no line has {name}; lines have {fields:?}"));
    let patterns: Vec<_> = template.lines().filter_map(|line| line.trim().strip_prefix("FilterPattern: ")).collect();
    assert!(patterns.len() >= 6, "{patterns:?}");
    for pattern in patterns {
        let (texts, _) = without_texts(pattern);
        let strange: Vec<_> = texts.iter().filter(|text| **text != "*" && !values.contains(**text)).collect();
        assert!(strange.is_empty() && !texts.is_empty(), "no line has a value {strange:?}, as {pattern} has");
    }
}

#[test]
fn each_key_of_a_line_is_documented() {
    let (fields, _) = &*KNOWN;
    let text = std::fs::read_to_string(repository("docs/status.md")).unwrap();
    let section = text.split_once("\n## The log of runs\n").unwrap().1;
    let documented: BTreeSet<_> = section
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split(" | ").next())
        .flat_map(|keys| keys.split("`").map(str::to_owned))
        .collect();
    let missing: Vec<_> = fields.iter().filter(|key| !key.contains('.') && !documented.contains(*key)).collect();
    assert!(missing.is_empty() && fields.len() >= 20, "{missing:?} of {fields:?}");
}
