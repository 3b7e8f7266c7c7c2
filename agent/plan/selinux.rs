//! SELinux: gives files on fresh filesystems the labels of the host's policy.
//!
//! A fresh filesystem has no labels, and a file that is made in a directory without a label never gets one. Only the host's
//! own restorecon(8) can tell which label a path gets. The policy knows Docker's default data root alone, so a moved data
//! root is declared to be like the default: a line in the policy's file of substitutes, which semanage(8) and others write
//! too.

use serde_json::{Map, Value};

use super::action::Action;
use super::contents::Contents;
use super::daemon_json;
use super::edit::Edit;
use super::planned::{Planned, edited_or_restored, planned};
use crate::config::{Config, Volume};
use crate::instance::Instance;
use crate::well_known::{DOCKER_DATA, SELINUX_ENABLED, SUBSTITUTES};

/// The consequence of `selinux-enabled` without labels for containers.
pub const NO_CONTAINERS: &str = "no container starts, the ECS agent's included";

/// Tells whether new files on a volume get labels. A mount option can give one label to the whole volume instead.
pub fn is_labelled(volume: &Volume, instance: &Instance) -> bool {
    instance.image.selinux.is_some() && !volume.has_one_label()
}

/// Plans the label of a fresh filesystem's root.
pub fn root(volume: &Volume) -> Planned {
    let action = Action::EnsureLabel { path: volume.mount.to_string() };
    planned(action, "SELinux is on, and a fresh filesystem has no label; one with content keeps its own")
}

/// Plans the policy's line for a moved data root, or the removal of an earlier run's line.
pub fn substitute(config: &Config, instance: &Instance) -> Option<Planned> {
    let selinux = instance.image.selinux.as_ref()?;
    let line = |path: String| (path.into(), Contents::Open(DOCKER_DATA.to_owned()));
    let edit = Edit {
        path: format!("{}/{SUBSTITUTES}", selinux.file_contexts()),
        lines: moved_data_root(config, instance).map(line).into_iter().collect(),
        separator: " ",
        ..Edit::default()
    };
    let why = "the path gets the SELinux label of Docker's default data root, unless another line names it";
    edited_or_restored(edit, why, "the data root is no longer moved", instance)
}

/// Plans the label of a moved data root.
pub fn label(config: &Config, instance: &Instance) -> Option<Planned> {
    instance.image.selinux.as_ref()?;
    let action = Action::EnsureLabel { path: moved_data_root(config, instance)? };
    Some(planned(action, format!("before Docker starts: containers need the SELinux label of {DOCKER_DATA}")))
}

/// Returns Docker's data root, if it was moved and gets the label of the default one.
fn moved_data_root(config: &Config, instance: &Instance) -> Option<String> {
    let data_root = daemon_json::data_root(config, &instance.image.daemon_json);
    let volume = config.volume_of(&data_root);
    // A data root of the image's own, on its own disk, has the label that the image gave it.
    let is_ours = volume.is_some() || config.data_root().is_some();
    let is_moved = is_ours && data_root != DOCKER_DATA && !has_blank(&data_root);
    let is_moved = is_moved && volume.is_none_or(|volume| is_labelled(volume, instance));
    is_moved.then_some(data_root)
}

/// Tells whether a path has a blank, which would end the path in the file of substitutes.
fn has_blank(path: &str) -> bool {
    path.contains(char::is_whitespace)
}

/// Tells a person of containers that can't start, or of a data root that can't be labelled.
pub fn note(config: &Config, instance: &Instance) -> Option<String> {
    let selinux = instance.image.selinux.as_ref()?;
    let of_config = config.docker.as_ref().and_then(|docker| docker.daemon.get(SELINUX_ENABLED));
    let is_enabled = |of_image: &Map<String, Value>| of_config.or(of_image.get(SELINUX_ENABLED)) == Some(&true.into());
    if !selinux.containers && is_enabled(&instance.image.daemon_json) {
        return Some(format!(
            "Docker has `{SELINUX_ENABLED}: true`, and the image's SELinux policy has no labels for containers: \
             {NO_CONTAINERS}; bake an image with container-selinux, or set it to false in `docker.daemon`"
        ));
    }
    let data_root = daemon_json::data_root(config, &instance.image.daemon_json);
    has_blank(&data_root).then(|| {
        format!("`{data_root}` does not get the SELinux label of {DOCKER_DATA}: the policy takes no path with a blank")
    })
}
