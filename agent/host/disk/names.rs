//! Names of devices and of entries of folders.

use std::path::{Path, PathBuf};

/// The name that the kernel has for a device.
pub(super) fn kernel_name(node: &Path) -> String {
    node.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The names of the entries of a folder, sorted; none if there is no such folder.
pub(super) fn names_in(folder: &PathBuf) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    let mut names: Vec<_> = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    names.sort_unstable();
    names
}
