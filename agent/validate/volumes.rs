//! Warnings on volumes: mount options that fail or prevent necessary writes, and volumes that only an image can map.

use serde_json::Map;

use super::template::surroundings::Surroundings;
use crate::config::mount_options::{Fault, fault};
use crate::config::types::Device;
use crate::config::{Config, Volume};
use crate::plan::docker_data_root;

/// Warns of mount options that a kernel may refuse, and of `ro` where something has to be written.
pub(super) fn options(config: &Config, warn: &mut impl FnMut(&[&str], String, &str)) {
    for (at, volume) in config.storage.iter().enumerate() {
        let at = at.to_string();
        for (index, option) in volume.options.iter().enumerate() {
            let name = volume.filesystem.name();
            let (message, remedy) = match fault(option.as_str(), volume.filesystem) {
                Some(Fault::Lost) => (
                    format!("`{option}` is refused by {name} since Linux 4.19, so also on Amazon Linux 2023"),
                    "leave it out".to_owned(),
                ),
                Some(Fault::Unknown(nearest)) => (
                    format!(
                        "`{option}` is not a known option of {name}, and a kernel that doesn't know it refuses the mount"
                    ),
                    match nearest {
                        Some(nearest) => format!("did you mean `{nearest}`?"),
                        None => format!("see mount(8) and {name}(5)"),
                    },
                ),
                _ => continue,
            };
            warn(&["storage", &at, "options", &index.to_string()], message, &remedy);
        }
        if let Some(index) = read_only(volume)
            && let Some(what) = written(config, volume)
        {
            let message = format!("with `ro` nothing can be written to {}, where {what}", volume.mount);
            warn(
                &["storage", &at, "options", &index.to_string()],
                message,
                "leave it out, or mount another volume there",
            );
        }
    }
}

/// Warns of volumes that the launch template doesn't map, if updates need an image with a root volume alone.
pub(super) fn of_the_image(config: &Config, around: &Surroundings, warn: &mut impl FnMut(&[&str], String, &str)) {
    let Some((group, mapped)) = &around.updates.root_replaced else { return };
    for (at, volume) in config.storage.iter().enumerate() {
        let Device::Named(device) = &volume.device else { continue };
        let is_mapped = mapped.iter().any(|name| name == device.as_str()) || device.as_str().starts_with("/dev/disk/");
        if !is_mapped {
            let message = format!(
                "the launch template does not map {device}; if the image does, updates of `{group}` fail: a root volume \
                 replacement needs an image with only a root volume"
            );
            let remedy = "map it in `BlockDeviceMappings`, and bake the image with `root_volume_alone=true`";
            warn(&["storage", &at.to_string(), "device"], message, remedy);
        }
    }
}

/// Returns the index of the option that makes a volume read-only: of `ro` and `rw`, the last one holds.
fn read_only(volume: &Volume) -> Option<usize> {
    let last = volume.options.iter().rposition(|option| matches!(option.as_str(), "ro" | "rw"))?;
    (volume.options[last].as_str() == "ro").then_some(last)
}

/// Names the content that has to be written to a volume, if any.
fn written(config: &Config, volume: &Volume) -> Option<&'static str> {
    if config.is_of_docker(volume, &docker_data_root(config, &Map::new())) {
        return Some("Docker keeps its data");
    }
    (!volume.directories.is_empty()).then_some("its `directories` are made")
}
