//! Docker and containerd: the version of Docker, and the contents of containerd's directory.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::time::Duration;

use anyhow::Result;
use tokio::time::timeout;

use super::Host;
use crate::plan::{containerd_mount, toml_text};
use crate::well_known::{CONTAINERD_DATA, CONTAINERD_TOML, RUN_UNITS, UNITS, VENDOR_UNITS, WRITTEN_BY_US};

const DOCKERD: &str = "dockerd";
/// The file of dockerd's version, in the state directory.
const VERSION_FILE: &str = "docker-version";
/// Time allowed for dockerd to tell its version. dockerd needs tens of milliseconds, and more if it is read from a new
/// volume.
const LIMIT: Duration = Duration::from_secs(20);

/// The words for a default directory of containerd that has content.
pub const CONTAINERD_FILLED: &str = "it holds images or containers, which a mount would hide";
const LINK: &str = "it is a symbolic link";
const MOUNT: &str = "something else is mounted there";

impl Host {
    /// Returns the version of dockerd, such as `25.0.16`. The version that an earlier run kept counts, unless the program
    /// has changed since; then dockerd is asked. None if dockerd does not tell its version.
    pub async fn docker_version(&self) -> Option<String> {
        let kept = self.read(&self.state_path(VERSION_FILE)).ok().flatten().unwrap_or_default();
        if let Some(version) = self.dockerd_now().and_then(|now| kept.strip_suffix(&now)) {
            return Some(version.to_owned());
        }
        let told = timeout(LIMIT, self.output(DOCKERD, &["--version"])).await.ok().and_then(Result::ok);
        let said = String::from_utf8(told.map(|told| told.stdout).unwrap_or_default()).unwrap_or_default();
        // As cobra prints it: `Docker version 25.0.16, build 1234567`.
        let version = said.trim().strip_prefix("Docker version ").and_then(|rest| rest.split(',').next());
        if version.is_none() {
            tracing::warn!("`{DOCKERD} --version` does not tell the version, so containerd's data stays where it was");
        }
        version.map(str::to_owned)
    }

    /// Keeps the version for later runs, which then need not start dockerd.
    ///
    /// # Errors
    /// The error of the filesystem.
    pub fn keep_docker_version(&self, version: &str) -> Result<()> {
        let Some(now) = self.dockerd_now() else { return Ok(()) };
        self.write_for_now(&self.state_path(VERSION_FILE), format!("{version}{now}").as_bytes(), 0o644).map(drop)
    }

    /// Returns the size and time of dockerd's file, which tell one dockerd from the next.
    fn dockerd_now(&self) -> Option<String> {
        let found = fs::metadata(self.find(DOCKERD)?).ok()?;
        Some(format!(" {} bytes of {}.{:09}\n", found.size(), found.mtime(), found.mtime_nsec()))
    }

    /// Returns the directory in which containerd keeps its data, if its configuration names another than the default.
    pub fn containerd_root(&self) -> Option<String> {
        let text = self.read(CONTAINERD_TOML).ok()??;
        let root = toml_text(&text, "root").filter(|root| root.starts_with('/'))?;
        let root = root.trim_end_matches('/');
        (root != CONTAINERD_DATA).then(|| root.to_owned())
    }

    /// Returns the reason why nothing can be mounted on containerd's default directory. A containerd that was only started
    /// once leaves directories without images or containers there, which are no reason.
    pub fn containerd_data(&self) -> Option<&'static str> {
        let at = self.at(CONTAINERD_DATA);
        let found = fs::symlink_metadata(&at).ok()?;
        if found.is_symlink() {
            return Some(LINK);
        }
        let mount = containerd_mount();
        let name = mount.rsplit('/').next().unwrap_or_default();
        let is_ours = |text: &str| text.starts_with(WRITTEN_BY_US);
        let is_mounted = found.dev() != fs::metadata(at.join("..")).map_or(0, |above| above.dev());
        let mut units = [UNITS, VENDOR_UNITS, RUN_UNITS].iter().map(|folder| format!("{folder}/{name}"));
        match units.find_map(|path| self.read(&path).ok().flatten()) {
            Some(text) if !is_ours(&text) => Some(MOUNT),
            // The data on the volume counts. Data that was written while the volume was not mounted is hidden again.
            Some(_) => {
                if !is_mounted && self.has_containerd_data() {
                    tracing::warn!("{CONTAINERD_DATA} has images or containers, which its mount hides");
                }
                None
            }
            None if is_mounted => Some(MOUNT),
            None => self.has_containerd_data().then_some(CONTAINERD_FILLED),
        }
    }

    /// Tells whether containerd has images or containers. Layers and images are blobs; unpacked layers and the files of
    /// containers are snapshots.
    fn has_containerd_data(&self) -> bool {
        let names = |path: &str| self.names(path).unwrap_or_default();
        names(CONTAINERD_DATA).iter().any(|plugin| {
            let kind = plugin.strip_prefix("io.containerd.").and_then(|rest| rest.split('.').next());
            let below: &[&str] = match kind {
                Some("content") => &["blobs/sha256", "blobs/sha512"],
                Some("snapshotter") => &["snapshots", "active"],
                _ => &[],
            };
            below.iter().any(|folder| !names(&format!("{CONTAINERD_DATA}/{plugin}/{folder}")).is_empty())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::scratch;

    #[test]
    fn a_containerd_that_was_only_started_has_no_data() {
        let (_root, host) = scratch();
        assert_eq!(host.containerd_data(), None);
        let put = |path: &str| host.write(&format!("{CONTAINERD_DATA}/{path}"), b"", 0o600).unwrap();
        put("io.containerd.metadata.v1.bolt/meta.db");
        fs::create_dir_all(host.at(&format!("{CONTAINERD_DATA}/io.containerd.content.v1.content/blobs"))).unwrap();
        fs::create_dir_all(host.at(&format!("{CONTAINERD_DATA}/io.containerd.content.v1.content/ingest/x"))).unwrap();
        fs::create_dir_all(host.at(&format!("{CONTAINERD_DATA}/io.containerd.snapshotter.v1.overlayfs/snapshots")))
            .unwrap();
        fs::create_dir_all(host.at(&format!("{CONTAINERD_DATA}/tmpmounts"))).unwrap();
        assert_eq!(host.containerd_data(), None);
        for path in [
            "io.containerd.content.v1.content/blobs/sha256/0a1b",
            "io.containerd.snapshotter.v1.overlayfs/snapshots/1/fs",
            "io.containerd.snapshotter.v1.native/snapshots/1",
            "io.containerd.snapshotter.v1.btrfs/active/1",
        ] {
            let (_root, host) = scratch();
            host.write(&format!("{CONTAINERD_DATA}/{path}"), b"", 0o600).unwrap();
            assert_eq!(host.containerd_data(), Some(CONTAINERD_FILLED), "{path}");
        }
    }

    #[test]
    fn what_others_made_of_containerds_directory_is_seen() {
        let (_root, host) = scratch();
        let unit = containerd_mount();
        host.write(&unit, b"# Written by ecs-firstrun.\n[Unit]\n", 0o644).unwrap();
        fs::create_dir_all(host.at(CONTAINERD_DATA)).unwrap();
        assert_eq!(host.containerd_data(), None);
        host.write(&unit, b"[Mount]\nWhat=/mnt/containerd\n", 0o644).unwrap();
        assert_eq!(host.containerd_data(), Some(MOUNT));
        host.remove(&unit).unwrap();
        host.write("/run/systemd/generator/var-lib-containerd.mount", b"[Mount]\n", 0o644).unwrap();
        assert_eq!(host.containerd_data(), Some(MOUNT));
        fs::remove_dir(host.at(CONTAINERD_DATA)).unwrap();
        std::os::unix::fs::symlink("/mnt/containerd", host.at(CONTAINERD_DATA)).unwrap();
        assert_eq!(host.containerd_data(), Some(LINK));
    }

    #[test]
    fn containerds_own_configuration_names_its_directory() {
        let (_root, host) = scratch();
        assert_eq!(host.containerd_root(), None);
        for (text, root) in [
            ("version = 2\nroot = \"/mnt/containerd/\" # moved\n", Some("/mnt/containerd")),
            ("root='/srv/it''\n", None),
            ("[plugins]\nroot = \"/mnt/x\"\n", None),
            ("root = \"/var/lib/containerd\"\n", None),
            ("'root' = '/srv/it'\n[plugins.\"x\"]\nroot = '/y'\n", Some("/srv/it")),
            ("#root = \"/mnt/containerd\"\n", None),
        ] {
            host.write(CONTAINERD_TOML, text.as_bytes(), 0o644).unwrap();
            assert_eq!(host.containerd_root().as_deref(), root, "{text}");
        }
    }
}
