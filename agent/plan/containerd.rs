//! The data of containerd: on the volume of Docker's data, where Docker keeps images and containers in containerd.
//!
//! containerd's directory keeps its path, where every program looks for it, and is mounted there from the volume. containerd
//! may be enabled, so its own drop-in pulls no mount in: mounts come before local-fs.target and this agent after it, and a
//! boot would wait in vain for an instance store that this agent has yet to format. containerd waits for this agent instead,
//! and starts on a mount only.

use serde_json::{Map, Value};

use super::action::{Action, Start};
use super::planned::{Planned, open_file, planned, wanted_or_removed};
use super::systemd::{self, mount_unit, mounts_path};
use super::{daemon_json, selinux};
use crate::config::{Config, Volume};
use crate::instance::Instance;
use crate::well_known::{
    CONTAINERD_DATA, CONTAINERD_TOML, CONTAINERD_UNIT, DOCKER_UNIT, OUR_UNIT, UNITS, WRITTEN_BY_US,
};

/// The directory below Docker's data root that is mounted as containerd's own. Docker keeps nothing under such a name, and
/// does not take the name for that of a graph driver.
const BELOW_DATA_ROOT: &str = "ecs-firstrun-containerd";
/// Graph drivers of Docker 29. With one of them as `storage-driver`, Docker keeps nothing in containerd.
const GRAPH_DRIVERS: [&str; 5] = ["btrfs", "fuse-overlayfs", "overlay2", "vfs", "zfs"];
/// The first version of Docker that keeps images in containerd unless told otherwise.
const BY_DEFAULT: (u32, u32) = (29, 0);
/// The first version of Docker that can be asked to keep images in containerd.
const IF_ASKED: (u32, u32) = (23, 0);
/// The first version of Docker with a containerd of its own, below the data root.
const EMBEDDED: (u32, u32) = (29, 7);

/// Returns the path of the unit that mounts containerd's directory from the volume.
pub fn mount_path() -> String {
    format!("{UNITS}/{}", mount_unit(CONTAINERD_DATA))
}

/// The place for containerd's data.
#[derive(Debug, PartialEq)]
enum Place {
    /// containerd's data stays where it is; this agent has no part in that.
    AsItIs,
    /// containerd's data stays where it is for this reason, though Docker's data is on a volume.
    Left(String),
    /// containerd's data stays where it is, on the volume that is mounted here.
    OnVolume(String),
    /// containerd's data are mounted from a directory of a volume.
    Bound {
        /// The directory of the volume.
        source: String,
        /// The reason why Docker keeps images in containerd.
        why: String,
    },
}

fn place(config: &Config, instance: &Instance) -> Place {
    let own = instance.image.containerd_root.as_deref().unwrap_or(CONTAINERD_DATA);
    if let Some(volume) = config.volume_of(own) {
        return Place::OnVolume(volume.mount.to_string());
    }
    let root = daemon_json::data_root(config, &instance.image.daemon_json);
    let Some(volume) = config.volume_of(&root) else { return Place::AsItIs };
    let directives = daemon_json::directives(config, &instance.image.daemon_json);
    let Some(why) = kept_in_containerd(&directives, instance) else { return Place::AsItIs };
    let by_root = (own != CONTAINERD_DATA).then(|| format!("that is its `root` in {CONTAINERD_TOML}"));
    let obstacle = by_root.or_else(|| instance.image.containerd_data.clone());
    let source = format!("{root}/{BELOW_DATA_ROOT}");
    match obstacle {
        Some(obstacle) => {
            let rest = match instance.ours.contains(&mount_path()) {
                true => format!("; data that containerd kept in {source} after an earlier run stays there, unused"),
                false => String::new(),
            };
            let volume = &volume.mount;
            Place::Left(format!(
                "{why}, and containerd's data stays in {own}, not on the volume {volume}: {obstacle}{rest}"
            ))
        }
        None => Place::Bound { source, why },
    }
}

/// Says why Docker keeps images in containerd, by the rules of dockerd's own choice; nothing if Docker does not.
fn kept_in_containerd(directives: &Map<String, Value>, instance: &Instance) -> Option<String> {
    let feature = |name: &str| directives.get("features")?.get(name)?.as_bool();
    let text = |name: &str| directives.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let version = instance.docker_version();
    let is_from = |first: (u32, u32)| version.is_none_or(|version| version >= first);
    if feature("embedded-containerd") == Some(true) && is_from(EMBEDDED) {
        return None;
    }
    match feature("containerd-snapshotter") {
        Some(true) => {
            return is_from(IF_ASKED).then(|| {
                "`features.containerd-snapshotter` makes Docker keep images and containers in containerd".into()
            });
        }
        None if text("userns-remap").is_none()
            && text("storage-driver").is_none_or(|driver| !GRAPH_DRIVERS.contains(&driver)) => {}
        _ => return None,
    }
    match (version, &instance.image.docker) {
        (Some(version), Some(name)) if version >= BY_DEFAULT => Some(format!(
            "Docker {name} keeps images and containers in containerd, unless its data root has images or containers of an older Docker"
        )),
        // Without a version, the finding of an earlier run is the best that is known.
        (None, _) if instance.ours.contains(&mount_path()) => {
            Some("an earlier run found that Docker keeps images and containers in containerd".to_owned())
        }
        _ => None,
    }
}

/// Tells whether the plan depends on the version of Docker, which only a program can tell.
pub fn asks_for_version(config: &Config, instance: &Instance) -> bool {
    let with = |version: Option<&str>| {
        let mut instance = instance.clone();
        instance.image.docker = version.map(str::to_owned);
        place(config, &instance)
    };
    let older = with(Some("0"));
    ["29.0", "29.7"].iter().any(|version| with(Some(version)) != older)
}

/// Returns containerd's directory, if the plan mounts it from a volume.
pub fn bound(config: &Config, instance: &Instance) -> Option<String> {
    matches!(place(config, instance), Place::Bound { .. }).then(|| CONTAINERD_DATA.to_owned())
}

/// Tells a person that containerd's data is not on the volume of Docker's data.
pub fn note(config: &Config, instance: &Instance) -> Option<String> {
    match place(config, instance) {
        Place::Left(why) => Some(why),
        _ => None,
    }
}

/// Plans the unit files of the mount and of containerd, or the removal of earlier ones.
pub fn units(config: &Config, instance: &Instance) -> Vec<Planned> {
    let (mount, needed) = match place(config, instance) {
        Place::Bound { source, why } => (Some(mount_file(&source, why)), Some(CONTAINERD_DATA.to_owned())),
        Place::OnVolume(mount) => (None, Some(mount)),
        _ => (None, None),
    };
    // The unit of a volume is written with those of the other volumes.
    let is_a_volume = config.storage.iter().any(|volume| volume.mount.as_str() == CONTAINERD_DATA);
    let mount = match is_a_volume {
        true => None,
        false => wanted_or_removed(mount, &mount_path(), None, instance),
    };
    let drop_in = needed.map(|mount| drop_in(&mount));
    let drop_in = wanted_or_removed(drop_in, &mounts_path(CONTAINERD_UNIT), None, instance);
    mount.into_iter().chain(drop_in).collect()
}

fn mount_file(source: &str, why: String) -> Planned {
    let text = format!(
        "Description=Data of containerd, beside those of Docker\n\
         Before={CONTAINERD_UNIT} {DOCKER_UNIT}\n\
         \n\
         [Mount]\n\
         What={}\n\
         Where={CONTAINERD_DATA}\n\
         Type=none\n\
         Options=bind\n\
         DirectoryMode=0711\n",
        systemd::path(source)
    );
    planned(unit_file(mount_path(), &text, vec![mount_unit(CONTAINERD_DATA), DOCKER_UNIT.to_owned()]), why)
}

fn drop_in(mount: &str) -> Planned {
    let (unit, place) = (mount_unit(mount), systemd::path(mount));
    let text = format!("After={OUR_UNIT} {unit}\nAssertPathIsMountPoint={place}\n");
    let file = unit_file(mounts_path(CONTAINERD_UNIT), &text, Vec::new());
    planned(file, "containerd must not start on the bare directory under a mount")
}

fn unit_file(path: String, text: &str, read_by: Vec<String>) -> Action {
    open_file(path, format!("{WRITTEN_BY_US}\n[Unit]\n{text}"), read_by)
}

/// Plans the mount itself, once the volumes are there.
pub fn mounted(config: &Config, instance: &Instance) -> Vec<Planned> {
    let Place::Bound { source, .. } = place(config, instance) else { return Vec::new() };
    let unit = mount_unit(CONTAINERD_DATA);
    let is_labelled = config.volume_of(&source).is_some_and(|volume| selinux::is_labelled(volume, instance));
    let label = planned(
        Action::EnsureLabel { path: CONTAINERD_DATA.to_owned() },
        "before containerd starts: containers need the SELinux label of its directory",
    );
    let start = Action::StartUnit { unit: unit.clone(), start: Start::Await };
    [stopped(&unit), planned(start, format!("containerd's data is in {source} from now on"))]
        .into_iter()
        .chain(is_labelled.then_some(label))
        .collect()
}

/// Stops the programs that have files open in containerd's directory, before a volume is mounted over the directory.
pub fn before_volume(volume: &Volume, config: &Config, instance: &Instance) -> Option<Planned> {
    let is_its = place(config, instance) == Place::OnVolume(volume.mount.to_string());
    is_its.then(|| stopped(&mount_unit(volume.mount.as_str())))
}

fn stopped(mount: &str) -> Planned {
    let units = [DOCKER_UNIT, CONTAINERD_UNIT].map(str::to_owned).to_vec();
    let action = Action::StopUnits { units, unless: mount.to_owned() };
    planned(action, "Docker and containerd would go on using files that the mount hides")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::configured;

    const DATA: &str = "storage: [{device: /dev/xvdcy, mount: /data}]\ndocker: ";

    fn place_of(document: &str, version: &str, daemon_json: Value) -> Place {
        let mut instance = Instance::example();
        instance.image.docker = Some(version.to_owned()).filter(|version| !version.is_empty());
        instance.image.daemon_json = daemon_json.as_object().unwrap().clone();
        place(&configured(document), &instance)
    }

    #[test]
    fn the_store_is_chosen_as_dockerd_chooses_it() {
        for (version, daemon, is_bound) in [
            ("29.0.0", "{}", true),
            ("29.0.0~rc.2", "{}", true),
            ("31.2", "{}", true),
            ("28.5.2", "{}", false),
            ("25.0.16-ce", "{}", false),
            ("", "{}", false),
            ("25.0.16", "{features: {containerd-snapshotter: true}}", true),
            ("", "{features: {containerd-snapshotter: true}}", true),
            ("20.10.24+dfsg1", "{features: {containerd-snapshotter: true}}", false),
            ("28.5.2", "{features: {containerd-snapshotter: false}}", false),
            ("29.7.2", "{features: {containerd-snapshotter: false}}", false),
            ("29.7.2", "{features: {buildkit: true}}", true),
            ("29.7.2", "{userns-remap: default}", false),
            ("29.7.2", "{userns-remap: ''}", true),
            ("29.7.2", "{storage-driver: overlay2}", false),
            ("29.7.2", "{storage-driver: overlayfs}", true),
            ("29.7.2", "{storage-driver: overlay2, features: {containerd-snapshotter: true}}", true),
            ("29.7.2", "{features: {embedded-containerd: true}}", false),
            ("29.6.0", "{features: {embedded-containerd: true}}", true),
        ] {
            let document = format!("{DATA}{{data_root: /data/docker, daemon: {daemon}}}");
            let found = place_of(&document, version, serde_json::json!({}));
            assert_eq!(matches!(found, Place::Bound { .. }), is_bound, "{version} {daemon}: {found:?}");
        }
    }

    #[test]
    fn the_data_root_counts_whoever_names_it() {
        let storage = "storage: [{device: /dev/xvdcy, mount: /data}, {device: /dev/xvdf, mount: /data/deeper}]\n";
        let of_image = serde_json::json!({ "data-root": "/data/deeper/docker/" });
        for (document, daemon_json, source) in [
            ("", of_image.clone(), Some("/data/deeper/docker/ecs-firstrun-containerd")),
            ("docker: {daemon: {data-root: null}}", of_image, None),
            ("docker: {daemon: {data-root: /data}}", serde_json::json!({}), Some("/data/ecs-firstrun-containerd")),
            ("docker: {data_root: /data/deeper}", serde_json::json!({}), Some("/data/deeper/ecs-firstrun-containerd")),
            ("docker: {data_root: /database}", serde_json::json!({}), None),
            ("", serde_json::json!({}), None),
        ] {
            let found = match place_of(&format!("{storage}{document}"), "29.0.0", daemon_json) {
                Place::Bound { source, .. } => Some(source),
                _ => None,
            };
            assert_eq!(found.as_deref(), source, "{document}");
        }
    }

    #[test]
    fn the_version_is_asked_for_only_where_it_decides() {
        for (document, asks) in [
            ("docker: {data_root: /data/docker}", false),
            ("storage: [{device: /dev/xvdcy, mount: /data}]", false),
            ("storage: [{device: /dev/xvdcy, mount: /var/lib/docker}]", true),
            (&format!("{DATA}{{data_root: /data/docker}}"), true),
            (&format!("{DATA}{{data_root: /data/docker, daemon: {{storage-driver: overlay2}}}}"), false),
        ] {
            assert_eq!(asks_for_version(&configured(document), &Instance::example()), asks, "{document}");
        }
    }
}
