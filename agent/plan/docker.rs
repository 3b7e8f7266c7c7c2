//! Docker: its daemon's configuration, and the volumes that it must not start without.

use serde_json::{Map, Value};

use super::action::{Action, File};
use super::containerd;
use super::contents::Contents;
use super::daemon_json::{image_daemon_json, merged, wanted};
use super::planned::{Planned, open_file, planned, wanted_or_removed};
use super::systemd::{mounts_path, path_in_list};
use crate::config::Config;
use crate::config::types::Mode;
use crate::ecs_variables::holds_secret;
use crate::instance::Instance;
use crate::well_known::{DAEMON_JSON, DOCKER_DATA, DOCKER_UNIT, WRITTEN_BY_US};

/// Tells a person that Docker begins anew elsewhere, and that its data so far stay behind.
pub fn note(config: &Config, instance: &Instance) -> Option<String> {
    let data_root = config.docker.as_ref()?.data_root.as_ref()?;
    let elsewhere = data_root.as_str() != DOCKER_DATA && instance.image.docker_data;
    elsewhere.then(|| {
        format!(
            "the images, containers or volumes that Docker has in {DOCKER_DATA} stay there and are not used: Docker's data is in {data_root} now; copy or delete them by hand"
        )
    })
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
        let is_secret = holds_secret(&json) || config.has_reference(&["docker", "daemon"]);
        Action::WriteFile(File {
            path: path.to_owned(),
            contents: Contents::of(text, is_secret),
            mode: Mode(if is_secret { 0o600 } else { 0o644 }),
            read_by: read_by.iter().map(|unit| (*unit).to_owned()).collect(),
        })
    };
    vec![
        planned(file(&kept, image, &[]), "a copy of the image's own daemon.json, for later runs to merge into"),
        planned(file(DAEMON_JSON, &merged, &[DOCKER_UNIT]), "Docker's settings, merged over those of the image"),
    ]
}

/// Plans the drop-in that makes Docker need the volumes, or the removal of an earlier one.
pub fn mounts(config: &Config, instance: &Instance) -> Option<Planned> {
    let path = mounts_path(DOCKER_UNIT);
    let volumes = config.storage.iter().map(|volume| path_in_list(volume.mount.as_str()));
    let places: Vec<_> = volumes.chain(containerd::bound(config, instance)).collect();
    let write = || {
        let text = format!("{WRITTEN_BY_US}\n[Unit]\nRequiresMountsFor={}\n", places.join(" "));
        let file = open_file(&path, text, vec![DOCKER_UNIT.to_owned()]);
        planned(file, "Docker must not start on the bare directory under a mount")
    };
    let wanted = (!places.is_empty()).then(write);
    wanted_or_removed(wanted, &path, Some(DOCKER_UNIT), instance)
}
