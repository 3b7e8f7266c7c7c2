//! The disk that a volume is on.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::checked_text::{AbsolutePath, is_word};

/// The device of a volume.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub enum Device {
    /// The name in the block device mapping, or a path under `/dev/disk`.
    Named(AbsolutePath),
    /// The instance's own disks.
    InstanceStore,
}

impl Device {
    /// Returns the disk by one of its names: `/dev/sdf` and `/dev/xvdf` give the same.
    pub fn disk(&self) -> String {
        spellings(&self.to_string()).into_iter().min().unwrap_or_default()
    }
}

/// Returns a device's name, and the name with `sd` for `xvd` or the other way round. Block device mappings have either, and
/// the kernel of a Xen instance may have the other.
pub fn spellings(path: &str) -> Vec<String> {
    let other = match path.strip_prefix("/dev/") {
        Some(name) if name.starts_with("xvd") => Some(format!("/dev/sd{}", &name[3..])),
        Some(name) if name.starts_with("sd") => Some(format!("/dev/xvd{}", &name[2..])),
        _ => None,
    };
    std::iter::once(path.to_owned()).chain(other).collect()
}

impl TryFrom<String> for Device {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let remedy = "write the name in the block device mapping, as /dev/xvdcy, or instance_store";
        if text == "instance_store" {
            return Ok(Device::InstanceStore);
        }
        if text.starts_with("/dev/nvme") {
            return Err(format!("`{text}` may be another disk after the next boot\n{remedy}"));
        }
        match text.strip_prefix("/dev/") {
            Some(name) if !name.is_empty() && is_word(name, "-_./:@+") => {
                AbsolutePath::try_from(text).map(Device::Named)
            }
            _ => Err(format!("`{text}` is not a device\n{remedy}")),
        }
    }
}

impl From<Device> for String {
    fn from(device: Device) -> String {
        device.to_string()
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Device::Named(path) => path.fmt(f),
            Device::InstanceStore => f.write_str("instance_store"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_has_two_spellings() {
        assert_eq!(spellings("/dev/xvdcy"), ["/dev/xvdcy", "/dev/sdcy"]);
        assert_eq!(spellings("/dev/sdf"), ["/dev/sdf", "/dev/xvdf"]);
        assert_eq!(spellings("/dev/disk/by-id/x"), ["/dev/disk/by-id/x"]);
        let disk = |text: &str| Device::try_from(text.to_owned()).unwrap().disk();
        assert_eq!(disk("/dev/xvdf"), disk("/dev/sdf"));
        assert_ne!(disk("/dev/xvdf"), disk("/dev/sdg"));
        assert_eq!(disk("instance_store"), "instance_store");
    }
}
