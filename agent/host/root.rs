//! The root of the machine, and the troubles that failed no action.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use crate::well_known::STATE_DIRECTORY;

/// The machine under a root.
pub struct Host {
    root: PathBuf,
    /// Troubles that failed no action.
    warnings: RefCell<Vec<String>>,
}

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Host").field("root", &self.root).finish_non_exhaustive()
    }
}

impl Host {
    /// Takes the machine under `root`.
    pub fn rooted_at(root: &Path) -> Self {
        Host { root: root.to_owned(), warnings: RefCell::default() }
    }

    /// Tells whether the root is `/`, so that the programs of this machine can be run.
    pub fn is_this_machine(&self) -> bool {
        self.root == Path::new("/")
    }

    /// Returns the path on this machine for an absolute path of the plan.
    pub fn at(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// Returns the path of a file in the state directory.
    pub fn state_path(&self, name: &str) -> String {
        format!("{STATE_DIRECTORY}/{name}")
    }

    /// Logs a trouble that failed no action, and keeps it for the report.
    pub(super) fn warn(&self, words: String) {
        tracing::warn!("{words}");
        self.warnings.borrow_mut().push(words);
    }

    /// Takes the troubles, since the last call, that failed no action.
    pub fn take_warnings(&self) -> Vec<String> {
        self.warnings.take()
    }
}

/// Makes a machine under a new folder, which is removed with the returned guard.
#[cfg(test)]
pub(crate) fn scratch() -> (tempfile::TempDir, Host) {
    let root = tempfile::tempdir().unwrap();
    let host = Host::rooted_at(root.path());
    (root, host)
}
