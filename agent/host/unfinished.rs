//! Temporary files that a killed run left beside the files that it was writing.
//!
//! A file is first written under a temporary name. The next write of that file overwrites the temporary one, but the next
//! configuration may no longer ask for that file.

use std::fs;
use std::path::{Path, PathBuf};

use super::Host;
use crate::plan::leftovers;
use crate::well_known::{CHANGED, CONFIGURED, HANDED_OVER_FILE, STATE_DIRECTORY, STATUS};

const ENDING: &str = ".ecs-firstrun";

/// Returns the path of a file while the file is incomplete. Each file has one such path, so the next run overwrites what a
/// killed run left there.
pub(super) fn temporary(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!(".{name}{ENDING}"))
}

impl Host {
    /// Removes the temporary files that killed runs left. A failure is only logged, since such a file does no harm.
    pub fn remove_unfinished(&self) {
        let own = [parent(CONFIGURED), parent(STATUS), CHANGED].map(str::to_owned);
        let folders = leftovers::folders().into_iter().chain(own).map(|folder| self.at(&folder));
        let entries = folders.chain(self.folders_of_state()).filter_map(|folder| fs::read_dir(folder).ok()).flatten();
        // The one file that another process may be writing: a run inside cloud-init hands its configuration over.
        let of_others = temporary(Path::new(""), HANDED_OVER_FILE);
        for entry in entries.flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let is_ours = name.starts_with('.') && name.ends_with(ENDING) && Path::new(&*name) != of_others;
            if is_ours && entry.file_type().is_ok_and(|kind| kind.is_file()) {
                match fs::remove_file(entry.path()) {
                    Ok(()) => tracing::info!("removed {}, which a killed run had left", entry.path().display()),
                    Err(error) => {
                        tracing::warn!("can't remove {}, which a killed run left: {error}", entry.path().display())
                    }
                }
            }
        }
    }

    /// Lists the state directory and all directories below it.
    fn folders_of_state(&self) -> Vec<PathBuf> {
        let mut folders = vec![self.at(STATE_DIRECTORY)];
        let mut next = 0;
        while let Some(folder) = folders.get(next).cloned() {
            next += 1;
            let entries = fs::read_dir(folder).into_iter().flatten().flatten();
            folders.extend(entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|e| e.path()));
        }
        folders
    }
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

#[cfg(test)]
mod tests {
    use crate::host::scratch;
    use crate::report::Change;

    #[test]
    fn what_was_left_beside_files_is_removed_and_nothing_else() {
        let (_root, host) = scratch();
        let left = [
            "/etc/ecs/.ecs.config.ecs-firstrun",
            "/etc/systemd/system/.data.mount.ecs-firstrun",
            "/etc/systemd/system/docker.service.d/.ecs-firstrun-proxy.conf.ecs-firstrun",
            "/var/lib/ecs-firstrun/modes/etc/dnf/.dnf.conf.ecs-firstrun",
            "/run/ecs-firstrun/.status.ecs-firstrun",
            "/run/ecs-firstrun/changed/.docker.service.ecs-firstrun",
        ];
        let kept = [
            "/etc/ecs/.ecs.config",
            "/etc/ecs/ecs.config.ecs-firstrun",
            "/etc/other/.ecs.config.ecs-firstrun",
            "/var/lib/ecs-firstrun/.handed-over.json.ecs-firstrun",
        ];
        left.iter().chain(&kept).for_each(|path| assert_eq!(host.write(path, b"half", 0o600).unwrap(), Change::Made));
        host.remove_unfinished();
        assert!(left.iter().all(|path| !host.at(path).exists()));
        assert!(kept.iter().all(|path| host.at(path).exists()));
    }
}
