//! The record of a device's content.

use std::hash::{DefaultHasher, Hash, Hasher};

use crate::rehearse::programs::state::{FILESYSTEMS, StubState};

/// Returns the record for a device, in the export format of blkid without the device's name.
pub(in crate::rehearse::programs) fn found(device: &str, kind: &str, label: &str) -> String {
    let usage = match kind {
        "LVM2_member" | "linux_raid_member" => "raid",
        "crypto_LUKS" => "crypto",
        "swap" => "other",
        _ => "filesystem",
    };
    let label = if label.is_empty() { String::new() } else { format!("LABEL={label}\n") };
    format!("{label}UUID={}\nBLOCK_SIZE=4096\nTYPE={kind}\nUSAGE={usage}\n", uuid(device, kind, label.trim()))
}

/// Derives an ID from a device, a type and a label, so that every rehearsal gives the same output.
pub(super) fn uuid(device: &str, kind: &str, label: &str) -> String {
    let mut hasher = DefaultHasher::new();
    (device, kind, label).hash(&mut hasher);
    let (high, low) = (hasher.finish(), hasher.finish().rotate_left(23));
    format!(
        "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
        high >> 32,
        high >> 16 & 0xffff,
        high & 0xfff,
        low >> 52,
        low & 0xffff_ffff_ffff
    )
}

pub(super) fn on_device(device: &str, state: &StubState) -> Option<String> {
    state.read(FILESYSTEMS, &state.real(device))
}

pub(super) fn field<'a>(found: &'a str, name: &str) -> Option<&'a str> {
    let mut fields = found.lines().filter_map(|line| line.split_once('='));
    fields.find(|(field, _)| *field == name).map(|(_, value)| value)
}
