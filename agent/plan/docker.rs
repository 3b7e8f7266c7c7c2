//! Docker: its daemon's configuration, and the volumes that it must not start without.

use serde_json::{Map, Value};

use super::systemd::path_in_list;
use super::{Action, Contents, File, Planned, containerd, planned, proxy, wanted_or_removed};
use crate::config::Config;
use crate::config::types::Mode;
use crate::ecs_variables::holds_secret;
use crate::instance::Instance;
use crate::well_known::{DAEMON_JSON, DOCKER_DATA, DOCKER_UNIT, STATE_DIRECTORY, UNITS, WRITTEN_BY_US};

/// Where the image's own `daemon.json` is kept while ours stands in its place.
pub fn image_daemon_json() -> String {
    format!("{STATE_DIRECTORY}/image/daemon.json")
}

/// What a person should know: Docker begins anew elsewhere, and what it had so far stays behind.
pub fn note(config: &Config, instance: &Instance) -> Option<String> {
    let data_root = config.docker.as_ref()?.data_root.as_ref()?;
    let elsewhere = data_root.as_str() != DOCKER_DATA && instance.image.docker_data;
    elsewhere.then(|| {
        format!(
            "the images, containers or volumes that Docker has in {DOCKER_DATA} stay there and are not used: Docker's data are in {data_root} now; copy or delete them by hand"
        )
    })
}

/// The directives that are asked for.
fn wanted(config: &Config) -> Map<String, Value> {
    let mut wanted = Map::new();
    if let Some(docker) = &config.docker {
        if let Some(data_root) = &docker.data_root {
            wanted.insert("data-root".to_owned(), data_root.as_str().into());
        }
        wanted.extend(docker.daemon.clone());
    }
    wanted
}

/// Docker's directives, as `daemon.json` has them once it is written over that of the image.
pub fn directives(config: &Config, image: &Map<String, Value>) -> Map<String, Value> {
    merged(image.clone(), wanted(config))
}

/// Docker's data root with this configuration, on an image with this `daemon.json`.
pub fn data_root(config: &Config, image: &Map<String, Value>) -> String {
    let directives = directives(config, image);
    let given = directives.get("data-root").and_then(Value::as_str).map(|root| root.trim_end_matches('/'));
    given.filter(|root| !root.is_empty()).unwrap_or(DOCKER_DATA).to_owned()
}

pub fn actions(config: &Config, instance: &Instance) -> Vec<Planned> {
    let wanted = wanted(config);
    let kept = image_daemon_json();
    if wanted.is_empty() && !instance.ours.contains(&kept) {
        return Vec::new();
    }
    let image = &instance.image.daemon_json;
    let merged = merged(image.clone(), wanted);
    let file = |path: &str, json: &Map<String, Value>, read_by: &[&str]| {
        let json = Value::Object(json.clone());
        let text = format!("{json:#}\n");
        // A proxy may be named with its password, and a log driver with its token.
        let secret = holds_secret(&json);
        let contents = if secret { Contents::Secret(text) } else { Contents::Open(text) };
        let mode = proxy::mode(&contents);
        Action::WriteFile(File {
            path: path.to_owned(),
            contents,
            mode,
            read_by: read_by.iter().map(|unit| (*unit).to_owned()).collect(),
        })
    };
    vec![
        planned(file(&kept, image, &[]), "a copy of the image's own daemon.json, for later runs to merge into"),
        planned(file(DAEMON_JSON, &merged, &[DOCKER_UNIT]), "Docker's settings, over those of the image"),
    ]
}

/// The image's settings with those asked for over them, as a JSON merge patch.
fn merged(mut base: Map<String, Value>, patch: Map<String, Value>) -> Map<String, Value> {
    base.retain(|key, _| patch.get(key) != Some(&Value::Null));
    for (key, value) in patch {
        match value {
            Value::Null => {}
            Value::Object(patch) => {
                let below = match base.get(&key) {
                    Some(Value::Object(below)) => below.clone(),
                    _ => Map::new(),
                };
                base.insert(key, Value::Object(merged(below, patch)));
            }
            value => {
                base.insert(key, value);
            }
        }
    }
    base
}

/// The drop-in that has to do with the volumes.
pub fn mounts_path(unit: &str) -> String {
    format!("{UNITS}/{unit}.d/ecs-firstrun-mounts.conf")
}

/// The drop-in that makes Docker need the volumes, or the removal of an earlier one.
pub fn mounts(config: &Config, instance: &Instance) -> Option<Planned> {
    let path = mounts_path(DOCKER_UNIT);
    let volumes = config.storage.iter().map(|volume| path_in_list(volume.mount.as_str()));
    let places: Vec<_> = volumes.chain(containerd::bound(config, instance)).collect();
    let write = || {
        let text = format!("{WRITTEN_BY_US}\n[Unit]\nRequiresMountsFor={}\n", places.join(" "));
        let file = File {
            path: path.clone(),
            contents: Contents::Open(text),
            mode: Mode(0o644),
            read_by: vec![DOCKER_UNIT.to_owned()],
        };
        planned(Action::WriteFile(file), "Docker must not start on the bare directory under a mount")
    };
    let wanted = (!places.is_empty()).then(write);
    wanted_or_removed(wanted, &path, Some(DOCKER_UNIT), instance)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn settings_are_merged_as_a_json_merge_patch() {
        let object = |value: Value| value.as_object().unwrap().clone();
        let image = json!({
            "kept": 1, "gone": 1, "text": "x", "log-opts": { "max-size": "1m", "max-file": "2", "tag": "t" },
        });
        let wanted = json!({
            "gone": null, "never": null, "text": { "y": 1 }, "log-opts": { "max-size": "9m", "max-file": null },
            "new": { "y": 1, "z": null },
        });
        let expected = json!({
            "kept": 1, "text": { "y": 1 }, "log-opts": { "max-size": "9m", "tag": "t" }, "new": { "y": 1 },
        });
        assert_eq!(Value::Object(merged(object(image), object(wanted))), expected);
    }
}
