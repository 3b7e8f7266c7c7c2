//! A small filesystem in memory.

use std::path::Path;

use nix::mount::{MsFlags, mount, umount};

/// A tmpfs that is unmounted with this value, also when the test fails.
pub struct Tmpfs<'a>(&'a Path);

impl<'a> Tmpfs<'a> {
    /// Mounts one of this size on a new folder. Without root there is none, and the test is skipped.
    pub fn mount(folder: &'a Path, size: &str) -> Option<Self> {
        std::fs::create_dir_all(folder).unwrap();
        let options = format!("size={size}");
        match mount(Some("none"), folder, Some("tmpfs"), MsFlags::empty(), Some(options.as_str())) {
            Ok(()) => Some(Self(folder)),
            Err(error) => {
                super::skip(&format!("needs root to mount a tmpfs: {error}"));
                None
            }
        }
    }

    pub fn make_read_only(&self) {
        let flags = MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
        mount(None::<&str>, self.0, None::<&str>, flags, None::<&str>).unwrap();
    }
}

impl Drop for Tmpfs<'_> {
    fn drop(&mut self) {
        umount(self.0).unwrap();
    }
}
