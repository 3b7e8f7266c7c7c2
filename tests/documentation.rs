//! The documentation: its console blocks are what the commands print, and the table of the keys is that of the types.

use std::fmt::Write as _;
use std::process::{Command, Stdio};

use ecs_firstrun::config::schema::{FORM, schema};
use serde_json::{Map, Value};

use crate::schema::drift;
use crate::support::host::BINARY;
use crate::support::repository;

/// The documents with console blocks.
const DOCUMENTS: [&str; 9] = [
    "README.md",
    "docs/operations.md",
    "docs/configuration.md",
    "docs/image.md",
    "docs/plan.md",
    "docs/security.md",
    "docs/status.md",
    "docs/user-data-of-others.md",
    "CONTRIBUTING.md",
];
/// The line in `docs/configuration.md` after which the text is generated.
const GENERATED: &str = "<!-- What follows is made from the types: UPDATE=1 make test -->\n";

#[test]
fn the_keys_are_documented_as_the_types_have_them() {
    let path = "docs/configuration.md";
    let text = std::fs::read_to_string(repository(path)).unwrap();
    let (by_hand, _) = text.split_once(GENERATED).expect("the line that begins what is generated");
    drift(path, &format!("{by_hand}{GENERATED}{}", keys(&schema())));
}

/// The keys of each section, in a table, and the variables of `ecs.config` in one of their own.
fn keys(schema: &Value) -> String {
    let mut text = String::new();
    for (section, part) in schema["properties"].as_object().unwrap() {
        let list = if part.get("items").is_some() { "[]" } else { "" };
        let _ = write!(
            text,
            "\n## `{section}`\n\n{}\n\n| key | value | default | meaning |\n| --- | --- | --- | --- |\n",
            described(part)
        );
        rows(part.get("items").unwrap_or(part), &format!("{section}{list}"), &mut text);
    }
    let variables = schema["properties"]["ecs"]["properties"]["config"]["properties"].as_object().unwrap();
    text += "\n## Variables of the ECS agent\n\nKeys of `ecs.config`. What has a key of its own, as `ECS_CLUSTER`, is refused there.\n\n| variable | value |\n| --- | --- |\n";
    for (name, variable) in variables {
        let value = if variable["description"] == "One of these words." { kind(variable) } else { described(variable) };
        let _ = writeln!(text, "| `{name}` | {value} |");
    }
    text
}

fn rows(part: &Value, above: &str, text: &mut String) {
    let required = part["required"].as_array().cloned().unwrap_or_default();
    for (key, value) in part["properties"].as_object().into_iter().flatten() {
        let path = format!("{above}.{key}");
        let default = match value.get("default") {
            _ if required.contains(&Value::from(key.as_str())) => "required".to_owned(),
            Some(default) => format!("`{}`", default.as_str().map_or_else(|| default.to_string(), str::to_owned)),
            None => String::new(),
        };
        let _ = writeln!(text, "| `{path}` | {} | {default} | {} |", kind(value), described(value));
        if let Some(items) = value.get("items") {
            rows(items, &format!("{path}[]"), text);
        } else if !["ecs.config", "docker.daemon"].contains(&path.as_str()) {
            rows(value, &path, text);
        }
    }
}

/// Splits a key's description into the meaning and, if given, the form of the value.
fn meaning_and_form(value: &Value) -> (&str, Option<&str>) {
    let text = value["description"].as_str().unwrap_or_default();
    text.split_once(FORM).map_or((text, None), |(meaning, form)| (meaning.trim_end(), Some(form)))
}

fn described(value: &Value) -> String {
    let mut text = meaning_and_form(value).0.to_owned();
    for form in value["oneOf"].as_array().into_iter().flatten() {
        let _ = write!(
            text,
            " `{}`: {}",
            form["const"].as_str().unwrap_or_default(),
            form["description"].as_str().unwrap_or_default()
        );
    }
    text.replace('|', "\\|")
}

/// Describes the form of a value in words.
fn kind(value: &Value) -> String {
    let words = |values: &[Value]| {
        let shown = values.iter().filter(|value| !value.is_null());
        shown
            .map(|value| format!("`{}`", value.as_str().map_or_else(|| value.to_string(), str::to_owned)))
            .collect::<Vec<_>>()
            .join(", ")
    };
    if let Some(values) = value["enum"].as_array() {
        return words(values);
    }
    if let Some(forms) = value["oneOf"].as_array() {
        let constants: Vec<_> = forms.iter().map(|form| form["const"].clone()).collect();
        return words(&constants);
    }
    if let (_, Some(form)) = meaning_and_form(value) {
        return form.replace('|', "\\|");
    }
    // A value that may be left out: it, or null.
    if let Some(forms) = value["anyOf"].as_array() {
        return kind(&forms[0]);
    }
    let kinds = value["type"].as_array().cloned().unwrap_or_else(|| vec![value["type"].clone()]);
    match kinds[0].as_str().unwrap_or_default() {
        "boolean" => "`true`, `false`".to_owned(),
        "array" => match value["items"].get("properties") {
            Some(_) => "a list of mappings".to_owned(),
            None => format!("a list: {}", kind(&value["items"])),
        },
        "object" => {
            match value["patternProperties"].as_object().and_then(|patterns: &Map<_, _>| patterns.values().next()) {
                Some(values) if value.get("properties").is_none() => format!("a mapping; each value: {}", kind(values)),
                _ => "a mapping".to_owned(),
            }
        }
        _ => "text".to_owned(),
    }
}

/// A block of a document: commands, and what each prints.
#[derive(Debug, PartialEq)]
struct Block {
    document: &'static str,
    command: String,
    shown: String,
}

fn blocks() -> Vec<Block> {
    let mut blocks = Vec::new();
    for document in DOCUMENTS {
        let text = std::fs::read_to_string(repository(document)).unwrap();
        for block in text.split("```console\n").skip(1) {
            let block = block.split("```").next().unwrap_or_default();
            for part in block.split_inclusive('\n').fold(Vec::<String>::new(), |mut parts, line| {
                match (line.strip_prefix("$ "), parts.last_mut()) {
                    (None, Some(last)) => last.push_str(line),
                    _ => parts.push(line.to_owned()),
                }
                parts
            }) {
                let (command, shown) = part.split_once('\n').unwrap_or((&part, ""));
                let command = command.strip_prefix("$ ").unwrap_or(command).to_owned();
                blocks.push(Block { document, command, shown: shown.to_owned() });
            }
        }
    }
    blocks
}

/// Returns the command's standard output, followed by its standard error.
fn printed(command: &str) -> String {
    let mut words = command.split(' ');
    assert_eq!(words.next(), Some("ecs-firstrun"), "{command}");
    let mut run = Command::new(BINARY);
    run.args(words).current_dir(repository("")).env("NO_COLOR", "1").stdin(Stdio::null());
    run.env("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:9");
    let output = run.output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// A line without what differs from run to run: times, their bars, and the blanks that line them up.
fn masked(line: &str) -> String {
    let words: Vec<_> = line.split_whitespace().collect();
    let number = |word: &str| word.trim_end_matches(',').parse::<f64>().is_ok();
    let unit = |word: Option<&&str>| word.is_some_and(|word| ["ms", "ms,", "s", "s,"].contains(word));
    let mut kept = Vec::new();
    for (index, word) in words.iter().enumerate() {
        let after_number = index > 0 && number(words[index - 1]) && unit(Some(word));
        match () {
            () if number(word) && unit(words.get(index + 1)) => kept.push("TIME"),
            () if after_number => {}
            () if word.chars().all(|c| ('▀'..='▟').contains(&c)) => {}
            () if word.starts_with("20") && word.trim_end_matches(',').ends_with('Z') => kept.push("DATE"),
            () => kept.push(word),
        }
    }
    kept.join(" ")
}

/// Tells whether the lines match the shown lines, in which `…` matches any number of lines.
fn fits(shown: &[String], lines: &[String]) -> bool {
    match shown.split_first() {
        None => lines.is_empty(),
        Some((first, rest)) if first == "…" => (0..=lines.len()).any(|skipped| fits(rest, &lines[skipped..])),
        Some((first, rest)) => lines.split_first().is_some_and(|(line, others)| line == first && fits(rest, others)),
    }
}

#[test]
fn what_the_documents_show_is_what_the_commands_print() {
    let blocks = blocks();
    assert!(blocks.len() >= 4, "{blocks:?}");
    for Block { document, command, shown } in blocks {
        let lines = |text: &str| text.trim().lines().map(masked).collect::<Vec<_>>();
        let printed = printed(&command);
        assert!(fits(&lines(&shown), &lines(&printed)), "{document}: `{command}` prints\n{printed}\nand not\n{shown}");
    }
}

/// A reason is broken into lines in the document.
#[test]
fn the_reasons_that_are_shown_are_those_of_the_rehearsals() {
    let text = std::fs::read_to_string(repository("docs/operations.md")).unwrap();
    let joined = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut checked = 0;
    for (before, block) in text.match_indices("```text\nreason: ").map(|(at, _)| text.split_at(at)) {
        let scenario = before.rsplit("--scenario ").next().unwrap().split(['`', ';']).next().unwrap();
        let shown = joined(block.trim_start_matches("```text").split("```").next().unwrap());
        let printed = joined(&printed(&format!("ecs-firstrun rehearse --scenario {scenario}")));
        assert!(printed.contains(&shown), "{scenario}: {printed}\nhas no\n{shown}");
        checked += 1;
    }
    assert_eq!(checked, 3);
}

#[test]
fn the_readme_has_the_smallest_user_data_and_few_lines() {
    let readme = std::fs::read_to_string(repository("README.md")).unwrap();
    assert!(readme.contains(&std::fs::read_to_string(repository("examples/user-data/smallest.yaml")).unwrap()));
    assert!(readme.lines().count() <= 260, "{} lines: move what is long to docs/", readme.lines().count());
}

#[test]
fn the_documents_link_to_files_that_are_there() {
    for document in DOCUMENTS.iter().chain(&["examples/README.md", "CHANGELOG.md"]) {
        let text = std::fs::read_to_string(repository(document)).unwrap();
        let folder = repository(document).parent().unwrap().to_owned();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next()) {
            assert!(
                link.is_empty() || link.starts_with("https://") || folder.join(link).exists(),
                "{document}: {link}"
            );
        }
    }
}
