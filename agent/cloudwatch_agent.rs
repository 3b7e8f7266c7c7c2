//! Merges files as the CloudWatch agent does, and finds contradictions between our files and those of an image.
//!
//! The agent reads `amazon-cloudwatch-agent.json`, then the folder `amazon-cloudwatch-agent.d` with all its subfolders, by
//! name. Files that contradict each other end the agent, long after `systemctl start` has succeeded. The rules are those of
//! the agent's translator (`translator/jsonconfig` of 1.300071).

mod files;
mod leaks;

use std::collections::BTreeMap;

use serde_json::{Map, Value};

pub use self::files::{Conflict, FOLDER, MAIN_FILE};
use self::files::{in_order, object};
pub use self::leaks::leaks;
use crate::text::json_error;
use crate::well_known::{CLOUDWATCH_COMMON, CLOUDWATCH_JSON};

/// Objects that are merged key by key. Any other value must be the same in each file that has it.
const SECTIONS: [&str; 16] = [
    "agent",
    "csm",
    "logs",
    "logs.logs_collected",
    "logs.logs_collected.files",
    "logs.logs_collected.windows_events",
    "logs.metrics_collected",
    "logs.metrics_collected.ecs",
    "logs.metrics_collected.kubernetes",
    "logs.metrics_collected.prometheus",
    "metrics",
    "metrics.metrics_collected",
    "opentelemetry",
    "opentelemetry.collect",
    "traces",
    "traces.traces_collected",
];
/// Lists to which each file may add entries of its own.
const LISTS: [&str; 4] = [
    "agent.usage_metadata",
    FILES,
    "logs.logs_collected.windows_events.collect_list",
    "metrics.metrics_collected.procstat",
];
/// The files whose lines are sent.
const FILES: &str = "logs.logs_collected.files.collect_list";
/// Keys whose values from several files form a list, wherever the keys stand.
const ANYWHERE: [&str; 2] = ["jmx", "otlp"];
/// Keys that must have one value in all entries of a log group.
const OF_A_GROUP: [&str; 2] = ["retention_in_days", "log_group_class"];

/// The placeholder of the region in the name of a log group.
const REGION: &str = "{aws_region}";

const DOES_NOT_START: &str = "the CloudWatch agent does not start";
/// The remedy for a file that can't be read.
const REMEDY: &str = "correct it in the image, or move it out of that folder";

/// The classes that count; the CloudWatch agent ignores all others.
const CLASSES: [&str; 2] = ["STANDARD", "INFREQUENT_ACCESS"];

/// Finds contradictions among the files that the CloudWatch agent reads, each given by path and contents.
///
/// `region` is the region of the instance, empty where that is not known.
pub fn conflicts(files: &[(String, Vec<u8>)], region: &str) -> Vec<Conflict> {
    let (yaml, json): (Vec<_>, Vec<_>) = in_order(files).into_iter().partition(|(path, _)| path.ends_with(".yaml"));
    let mut conflicts: Vec<_> = yaml.into_iter().filter_map(|(path, text)| broken_yaml(path, text)).collect();
    let of_files = || {
        let mut objects = json.iter().map_while(|(_, text)| Some(Value::Object(object(text).ok()?)));
        objects.find_map(|object| Some(object["agent"]["region"].as_str()?.to_owned()))
    };
    let mut merged = Merged { region: of_files().unwrap_or_else(|| region.to_owned()), ..Merged::default() };
    let mut is_ours_read = false;
    for (path, text) in json {
        match object(text) {
            Ok(object) => {
                is_ours_read |= path == CLOUDWATCH_JSON;
                merged.add(path, object);
            }
            Err(error) => {
                conflicts.push(broken(path, &json_error(&error), is_ours_read));
                break;
            }
        }
    }
    conflicts.extend(elsewhere(&merged, region).filter(|_| merged.conflicts.is_empty()));
    conflicts.extend(merged.conflicts);
    conflicts
}

/// Describes an image without the package's `common-config.toml`, which the CloudWatch agent's start program always opens.
pub fn without_common_config() -> Conflict {
    let found = format!("{CLOUDWATCH_COMMON} is missing");
    Conflict::of(found, DOES_NOT_START, "create it in the image; an empty file is enough")
}

/// Describes a host on which an entry of `logs.files` is a folder.
pub fn a_folder(path: &str) -> Conflict {
    let (found, remedy) =
        (format!("{path} in `logs.files` is a folder"), format!("name its files, such as {path}/*.log"));
    Conflict::harmless(found, "the CloudWatch agent sends nothing of it", remedy)
}

/// Finds a region that a file of the image sets for all logs, if that region is not the instance's.
fn elsewhere(merged: &Merged, region: &str) -> Option<Conflict> {
    let (file, value) = merged.values.get("agent.region")?;
    let other = value.as_str().filter(|other| !region.is_empty() && *other != region && file != CLOUDWATCH_JSON)?;
    let found = format!("{file} sets `agent.region` to {other}, and the instance is in {region}");
    let remedy = format!("remove it from {file} in the image");
    Some(Conflict::harmless(found, "the CloudWatch agent sends all logs to that region", remedy))
}

/// Reports a file of the CloudWatch agent's collector that is not YAML.
fn broken_yaml(path: &str, text: &[u8]) -> Option<Conflict> {
    let text = String::from_utf8_lossy(text);
    let error = saphyr_parser::Parser::new_from_str(&text).find_map(Result::err)?;
    let found = format!("{path} is not valid YAML (line {})", error.marker().line());
    Some(Conflict::of(found, DOES_NOT_START, REMEDY))
}

/// Describes a file that is not JSON. The end of the file's name does not matter: the CloudWatch agent also reads
/// `notes.txt` and `x.json.bak`.
fn broken(path: &str, error: &str, is_ours_read: bool) -> Conflict {
    let found = format!("{path} is not a JSON object ({error})");
    match (path == MAIN_FILE, is_ours_read) {
        (true, _) => Conflict::of(found, DOES_NOT_START, REMEDY),
        (_, true) => Conflict::harmless(found, "the CloudWatch agent reads no file after it", REMEDY),
        (_, false) => {
            Conflict::of(found, "the CloudWatch agent reads no file after it, ecs-firstrun.json included", REMEDY)
        }
    }
}

/// The values of the files read so far, and their contradictions.
#[derive(Default)]
struct Merged {
    /// The region that the agent fills in; empty where it is not known.
    region: String,
    /// Values by path, with the file that has set them.
    values: BTreeMap<String, (String, Value)>,
    conflicts: Vec<Conflict>,
}

impl Merged {
    fn add(&mut self, file: &str, object: Map<String, Value>) {
        // Nothing reads a key at the top that is not a section.
        for (key, value) in object.into_iter().filter(|(key, _)| SECTIONS.contains(&key.as_str())) {
            self.add_value(file, key, value);
        }
    }

    fn add_value(&mut self, file: &str, path: String, value: Value) {
        let key = path.rsplit('.').next().unwrap_or_default();
        match value {
            Value::Object(object) if SECTIONS.contains(&path.as_str()) => {
                for (key, value) in object {
                    self.add_value(file, format!("{path}.{key}"), value);
                }
            }
            Value::Array(entries) if path == FILES => {
                entries.into_iter().for_each(|entry| self.add_entry(file, &entry))
            }
            _ if SECTIONS.contains(&path.as_str()) || LISTS.contains(&path.as_str()) || ANYWHERE.contains(&key) => {}
            value => self.set(file, path.clone(), value, &format!("`{path}`")),
        }
    }

    /// Adds the settings of an entry's log group. Case does not matter in the group's name, and the region is filled in.
    fn add_entry(&mut self, file: &str, entry: &Value) {
        let Some(group) = entry["log_group_name"].as_str() else { return };
        let name = match self.region.as_str() {
            "" => group.to_owned(),
            region => group.replace(REGION, region),
        };
        for key in OF_A_GROUP {
            let value = match &entry[key] {
                Value::Number(days) if days.as_f64().is_some_and(|days| days >= 1.0) => entry[key].clone(),
                Value::String(class) if CLASSES.contains(&class.to_uppercase().as_str()) => class.to_uppercase().into(),
                _ => continue,
            };
            let words = format!("`{key}` of the log group {group}");
            self.set(file, format!("{key} {}", name.to_lowercase()), value, &words);
        }
    }

    fn set(&mut self, file: &str, path: String, value: Value, words: &str) {
        let (other, before) = self.values.entry(path).or_insert_with(|| (file.to_owned(), value.clone()));
        if is_same(before, &value) {
            return;
        }
        let other = other.as_str();
        let of_image = if file == CLOUDWATCH_JSON { other } else { file };
        let found = match other == file {
            true => format!("{file} gives two values for {words}"),
            false => format!("{other} and {file} give different values for {words}"),
        };
        let remedy = format!("remove it from {of_image} in the image");
        let conflict = Conflict::of(found, DOES_NOT_START, remedy);
        if !self.conflicts.contains(&conflict) {
            self.conflicts.push(conflict);
        }
    }
}

/// Tells whether two values are the same for Go, which reads every number as a float.
fn is_same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one.as_f64() == other.as_f64(),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| is_same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            let same = |(key, value): (&String, &Value)| other.get(key).is_some_and(|other| is_same(value, other));
            one.len() == other.len() && one.iter().all(same)
        }
        _ => one == other,
    }
}

#[cfg(test)]
mod tests;
