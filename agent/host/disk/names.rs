//! Names of devices.

use std::path::Path;

/// Returns the kernel's name for a device.
pub(super) fn kernel_name(node: &Path) -> String {
    node.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
