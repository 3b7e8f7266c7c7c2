//! What several tests share.

pub mod disks;
pub mod golden;
pub mod host;
pub mod terminal;

use std::path::{Path, PathBuf};

/// A path in the repository.
pub fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}
