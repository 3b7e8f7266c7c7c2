//! SELinux: the policy of the host, and the labels of files, which the host's own programs set.

use std::ffi::CString;
use std::fs::{self, DirBuilder, Permissions};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use nix::libc;
use tokio::time::timeout;

use super::Host;
use super::program::failure;
use crate::instance::Selinux;
use crate::report::Change;

/// The file that exists only where SELinux is on; `0` in it says that SELinux is permissive.
const ENFORCE: &str = "/sys/fs/selinux/enforce";
const SETTINGS: &str = "/etc/selinux/config";
/// The policy if the settings name none, as libselinux has it.
const DEFAULT_POLICY: &str = "targeted";
/// The type of Docker's data in policies with labels for containers.
const TYPE_OF_CONTAINERS: &str = "container_var_lib_t";
/// Time allowed for restorecon(8). A missing label is only a warning, and no reason to wait longer.
const LABELLING: Duration = Duration::from_secs(20);
/// Bytes of the longest label that is read; usual labels have 30.
const LONGEST_LABEL: usize = 1024;

/// The directory that mke2fs(8) makes in a filesystem's root.
const LOST_AND_FOUND: &str = "lost+found";
/// The mode of Docker's data root, as Docker makes it.
const DATA_ROOT: u32 = 0o710;
/// The mode of a directory that has no label yet. Hardly any directory is meant to have this mode.
const UNFINISHED: u32 = 0o1700;

impl Host {
    /// Returns the policy of SELinux; none if SELinux is off.
    pub fn selinux(&self) -> Option<Selinux> {
        if !self.at(ENFORCE).exists() {
            return None;
        }
        Some(self.selinux_policy())
    }

    /// Tells whether SELinux denies what its policy forbids, and does not only log it. True if the mode can't be read.
    pub fn selinux_enforces(&self) -> bool {
        self.read(ENFORCE).ok().flatten().is_none_or(|mode| mode.trim() != "0")
    }

    /// Returns the policy of an image that is no running machine; none if the image's settings turn SELinux off.
    pub fn selinux_of_image(&self) -> Option<Selinux> {
        let is_on = matches!(self.selinux_setting("SELINUX").as_deref(), Some("enforcing" | "permissive"));
        self.selinux().or_else(|| (is_on && !self.is_this_machine()).then(|| self.selinux_policy()))
    }

    fn selinux_policy(&self) -> Selinux {
        let named = self.selinux_setting("SELINUXTYPE").filter(|name| !name.is_empty() && !name.contains('/'));
        let mut selinux = Selinux { policy: named.unwrap_or_else(|| DEFAULT_POLICY.to_owned()), containers: true };
        let text = self.read(&format!("{}/file_contexts", selinux.file_contexts())).ok().flatten();
        selinux.containers = text.is_none_or(|text| text.contains(TYPE_OF_CONTAINERS));
        selinux
    }

    /// Reads a line of the settings, as libselinux does.
    fn selinux_setting(&self, name: &str) -> Option<String> {
        let text = self.read(SETTINGS).ok()??;
        let value = text.lines().find_map(|line| line.trim_start().strip_prefix(name)?.strip_prefix('='));
        value.map(|value| value.trim().to_owned())
    }

    /// Gives an empty directory the label of the policy. A missing directory is made.
    pub(super) async fn ensure_label(&self, path: &str) -> Result<Change> {
        let at = self.at(path);
        let context = || format!("label {path}");
        if !self.has(path) {
            self.make_directory(&at, true).await.with_context(context)?;
            fs::set_permissions(&at, Permissions::from_mode(DATA_ROOT)).with_context(context)?;
            return Ok(Change::Made);
        }
        match self.is_fresh(path)? {
            Some(places) => Ok(self.label(&places).await),
            None => Ok(Change::AlreadyDone),
        }
    }

    /// Tells whether a run would change a directory's label.
    pub(crate) async fn has_label(&self, path: &str) -> Result<bool> {
        if !self.has(path) {
            return Ok(false);
        }
        match self.is_fresh(path)? {
            Some(_) => Ok(self.wrong_label(path).await?.is_none()),
            None => Ok(true),
        }
    }

    /// Returns the paths of a directory and of what mkfs made there. None if the directory has other content or is a link.
    fn is_fresh(&self, path: &str) -> Result<Option<Vec<PathBuf>>> {
        let at = self.at(path);
        if fs::symlink_metadata(&at).with_context(|| format!("look at {path}"))?.is_symlink() {
            return Ok(None);
        }
        let is_of_mkfs = |name: &String| name == LOST_AND_FOUND;
        let names = self.names(path)?;
        let places = names.iter().map(|name| at.join(name));
        Ok(names.iter().all(is_of_mkfs).then(|| std::iter::once(at.clone()).chain(places).collect()))
    }

    /// Makes a directory and the missing ones above it. With `label` the new directories get labels, and the directory
    /// itself is left with the mode [`UNFINISHED`].
    pub(super) async fn make_directory(&self, at: &Path, label: bool) -> std::io::Result<()> {
        if !label {
            return fs::create_dir_all(at);
        }
        let mut made: Vec<_> = at.ancestors().take_while(|place| !place.exists()).map(Path::to_owned).collect();
        if made.is_empty() {
            made.push(at.to_owned());
        } else {
            at.parent().map_or(Ok(()), fs::create_dir_all)?;
            DirBuilder::new().mode(UNFINISHED).create(at)?;
        }
        self.label(&made).await;
        Ok(())
    }

    /// Tells whether a run made this directory, and was killed before the directory had its label and its final mode.
    pub(super) fn is_unfinished(&self, path: &str) -> bool {
        self.mode_of(path) == Some(UNFINISHED)
    }

    /// Gives these paths, and nothing below them, the label of the policy. A failure is only a warning.
    async fn label(&self, places: &[PathBuf]) -> Change {
        let names: Vec<_> = places.iter().map(|place| place.to_string_lossy()).collect();
        let arguments: Vec<&str> = std::iter::once("-v").chain(names.iter().map(|name| &**name)).collect();
        let said = match timeout(LABELLING, self.output("restorecon", &arguments)).await {
            Ok(Ok(output)) if output.status.success() => {
                return if output.stdout.is_empty() { Change::AlreadyDone } else { Change::Made };
            }
            Ok(Ok(output)) => failure("restorecon", &arguments, &output),
            Ok(Err(error)) => error.context("install policycoreutils in the image"),
            Err(_) => anyhow!("restorecon takes longer than {} s", LABELLING.as_secs()),
        };
        self.warn(format!("the SELinux label of {} is not set: {said:#}", names.join(", ")));
        Change::AlreadyDone
    }

    /// Asks restorecon(8) what it would change of a path alone. None if the path's label is that of the policy, or can't be
    /// changed.
    ///
    /// # Errors
    /// A restorecon that is missing or fails.
    pub async fn wrong_label(&self, path: &str) -> Result<Option<String>> {
        let place = self.at(path);
        let said = self.run("restorecon", &["-n", "-v", &place.to_string_lossy()]).await?;
        Ok(Some(said.trim().to_owned()).filter(|said| !said.is_empty()))
    }

    /// Returns the label that the policy has for a path.
    ///
    /// # Errors
    /// A matchpathcon that is missing or fails.
    pub async fn label_in_policy(&self, path: &str) -> Result<String> {
        Ok(self.run("matchpathcon", &["-n", path]).await?.trim().to_owned())
    }

    /// Reads the label of a file without following a link. None if the file has no label, or if the label can't be read.
    pub fn label_of(&self, path: &str) -> Option<String> {
        let at = CString::new(self.at(path).as_os_str().as_bytes()).ok()?;
        let mut label = [0_u8; LONGEST_LABEL];
        #[expect(
            unsafe_code,
            reason = "both names end with a zero byte, and the kernel writes no more than it is told"
        )]
        let length = unsafe {
            libc::lgetxattr(at.as_ptr(), c"security.selinux".as_ptr(), label.as_mut_ptr().cast(), label.len())
        };
        let label = label.get(..usize::try_from(length).ok()?)?;
        Some(String::from_utf8_lossy(label).trim_end_matches('\0').to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::scratch;

    fn put(host: &Host, path: &str, text: &str) {
        host.write(path, text.as_bytes(), 0o644).unwrap();
    }

    #[test]
    fn the_policy_is_the_one_that_the_settings_name_where_selinux_is_on() {
        let (_root, host) = scratch();
        put(&host, SETTINGS, "SELINUX=enforcing\nSELINUXTYPE=mls\n");
        assert_eq!(host.selinux(), None);
        put(&host, ENFORCE, "1");
        for (settings, policy) in [
            ("SELINUX=enforcing\nSELINUXTYPE=mls\n", "mls"),
            ("#SELINUXTYPE=mls\n  SELINUXTYPE= default \n", "default"),
            ("SELINUXTYPE=\n", "targeted"),
            ("SELINUXTYPE=../x\n", "targeted"),
            ("", "targeted"),
        ] {
            put(&host, SETTINGS, settings);
            assert_eq!(host.selinux().unwrap().policy, policy, "{settings}");
        }
        host.remove(SETTINGS).unwrap();
        let selinux = host.selinux().unwrap();
        assert_eq!((selinux.policy.as_str(), selinux.containers), ("targeted", true), "no file says otherwise");
        let contexts = "/etc/selinux/targeted/contexts/files/file_contexts";
        for (line, containers) in [
            ("/var/lib(/.*)?\tsystem_u:object_r:var_lib_t:s0\n", false),
            ("/var/lib/docker(/.*)?\tsystem_u:object_r:container_var_lib_t:s0\n", true),
        ] {
            put(&host, contexts, line);
            assert_eq!(host.selinux().unwrap().containers, containers);
        }
    }

    #[test]
    fn an_image_in_a_folder_has_selinux_on_where_its_settings_say_so() {
        let (_root, host) = scratch();
        for (settings, is_on) in
            [("", false), ("SELINUX=disabled\n", false), ("SELINUX=permissive\n", true), ("SELINUX=enforcing\n", true)]
        {
            put(&host, SETTINGS, settings);
            assert_eq!(host.selinux_of_image().is_some(), is_on, "{settings}");
        }
    }

    #[test]
    fn a_label_is_read_from_the_file_itself() {
        let (_root, host) = scratch();
        put(&host, "/labelled", "");
        assert_eq!((host.label_of("/labelled"), host.label_of("/none")), (None, None));
        let at = CString::new(host.at("/labelled").as_os_str().as_bytes()).unwrap();
        let label = c"system_u:object_r:user_tmp_t:s0".to_bytes_with_nul();
        #[expect(unsafe_code, reason = "both names end with a zero byte, and the length is that of the label")]
        let set = unsafe {
            libc::lsetxattr(at.as_ptr(), c"security.selinux".as_ptr(), label.as_ptr().cast(), label.len(), 0)
        };
        // Setting a label takes root, and a filesystem that has such attributes.
        if set == 0 {
            assert_eq!(host.label_of("/labelled").as_deref(), Some("system_u:object_r:user_tmp_t:s0"));
        }
    }
}
