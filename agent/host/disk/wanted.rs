//! The filesystem that a device is to hold.

use crate::config::Filesystem;
use crate::config::types::Device;
use crate::plan::VolumeUser;

/// The filesystem that a device is to hold.
pub(crate) struct Wanted<'a> {
    pub(crate) device: &'a Device,
    pub(crate) filesystem: Filesystem,
    pub(crate) label: &'a str,
    pub(crate) user: VolumeUser,
}
