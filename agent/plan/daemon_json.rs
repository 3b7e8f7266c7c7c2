//! Docker's directives: those of the image's own `daemon.json`, with those of the configuration over them.

use serde_json::{Map, Value};

use crate::config::Config;
use crate::well_known::{DOCKER_DATA, STATE_DIRECTORY};

/// Returns the path at which the image's own `daemon.json` is kept while ours stands in its place.
pub fn image_daemon_json() -> String {
    format!("{STATE_DIRECTORY}/image/daemon.json")
}

/// Returns dockerd's directives from the configuration: `docker.data_root` and `docker.daemon`.
pub fn wanted(config: &Config) -> Map<String, Value> {
    let mut wanted = Map::new();
    if let Some(docker) = &config.docker {
        if let Some(data_root) = &docker.data_root {
            wanted.insert("data-root".to_owned(), data_root.as_str().into());
        }
        wanted.extend(docker.daemon.clone());
    }
    wanted
}

/// Returns Docker's directives: the configuration's, merged over those of the image's `daemon.json`.
pub fn directives(config: &Config, image: &Map<String, Value>) -> Map<String, Value> {
    merged(image.clone(), wanted(config))
}

/// Returns Docker's data root with this configuration, on an image with this `daemon.json`.
pub fn data_root(config: &Config, image: &Map<String, Value>) -> String {
    let directives = directives(config, image);
    let given = directives.get("data-root").and_then(Value::as_str).map(|root| root.trim_end_matches('/'));
    given.filter(|root| !root.is_empty()).unwrap_or(DOCKER_DATA).to_owned()
}

/// Merges the wanted settings over those of the image, as a JSON merge patch.
pub fn merged(mut base: Map<String, Value>, patch: Map<String, Value>) -> Map<String, Value> {
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
