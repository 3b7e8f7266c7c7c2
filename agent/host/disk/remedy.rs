//! Remedies for disks that are refused. A command or setting that keeps the data comes first; one that destroys data comes
//! last.

use std::path::{Path, PathBuf};

use super::probe::DeviceContents;
use super::wanted::Wanted;
use crate::config::Filesystem;
use crate::config::types::{Device, FilesystemLabel};

/// An end state that can't be brought about, as a finding and its remedy. Nothing was changed.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct EndStateRefused(pub(in crate::host) String);

/// Returns the error for a disk that is refused, with what was found and what to do.
pub(super) fn refusal(device: &str, node: &Path, what: &str, remedy: &str) -> anyhow::Error {
    let node = node.display();
    EndStateRefused(format!("{device} ({node}) can't be used, and nothing on it was changed: {what}; {remedy}")).into()
}

/// Chooses the remedy for a disk that nobody uses, and that does not hold what was asked for.
pub(super) fn of_contents(found: &DeviceContents, wanted: &Wanted<'_>, node: &Path) -> String {
    let (filesystem, label, node) = (wanted.filesystem, wanted.label, node.display().to_string());
    let is_useless = found.unfinished || wanted.is_without_ftype(found);
    let kept = if is_useless { None } else { keeping(found, wanted, &node) };
    if let Some(kept) = &kept
        && found.kind.as_deref() == Some(filesystem.name())
    {
        return format!("{kept}; or choose another device");
    }
    let ftype = if wanted.is_without_ftype(found) { "-n ftype=1 " } else { "" };
    let (force, ftype) = match filesystem {
        Filesystem::Xfs => ("-f", ftype),
        Filesystem::Ext4 => ("-F", ""),
    };
    // Both are needed: mkfs leaves signatures that lie far from the ends, and wipefs(8) leaves data without a signature.
    let has_signature = found.kind.is_some() || found.partition_table.is_some();
    let wipe = if has_signature { format!("wipefs -a {node} && ") } else { String::new() };
    let make = format!("{wipe}mkfs.{} {force} {ftype}-L {label} {node}", filesystem.name());
    let kept = kept.map(|kept| format!("{kept}; or ")).unwrap_or_default();
    format!("{kept}choose another device; or, if nothing on this one is needed, run `{make}`")
}

/// Returns the way to make the disk or the configuration fit without a loss of data. None if there is no such way.
fn keeping(found: &DeviceContents, wanted: &Wanted<'_>, node: &str) -> Option<String> {
    let kind = found.kind.as_deref();
    let filesystem = match kind {
        Some("xfs") => Filesystem::Xfs,
        Some("ext2" | "ext3" | "ext4") => Filesystem::Ext4,
        None if found.partition_table.is_some() => {
            let Device::Named(device) = wanted.device else { return None };
            let part = if device.as_str().starts_with("/dev/disk/") { "-part1" } else { "1" };
            return Some(format!("set `device: {device}{part}` in `storage`, if its first partition is meant"));
        }
        _ => return None,
    };
    let (is_old, has_table) = (matches!(kind, Some("ext2" | "ext3")), found.partition_table.is_some());
    let is_other_label = found.label.as_deref() != Some(wanted.label);
    let longest = filesystem.longest_label();
    let is_usable = |label: &&String| label.len() <= longest && FilesystemLabel::try_from((*label).clone()).is_ok();
    let usable = found.label.as_ref().filter(is_usable);
    let with_label = |label: Option<&str>| {
        let name = (filesystem != wanted.filesystem).then(|| format!("`filesystem: {}`", filesystem.name()));
        let label = label.map(|label| format!("`label: {label}`"));
        name.into_iter().chain(label).collect::<Vec<_>>().join(" and ")
    };
    let as_it_is = (!is_old && !has_table && (!is_other_label || usable.is_some())).then(|| {
        let label = usable.filter(|_| is_other_label).map(String::as_str);
        format!("set {} in `storage`", with_label(label))
    });
    if filesystem != wanted.filesystem && as_it_is.is_some() {
        return as_it_is.map(|set| format!("{set} to keep it as it is"));
    }
    let label = &wanted.label[..wanted.label.len().min(longest)];
    // A filesystem leaves some bytes of a partition table below it.
    let wipe = found.partition_table.as_ref().map(|table| format!("wipefs -a -t {table} {node}"));
    // A copy of a disk in use has entries in its log, which would undo the change. A mount replays the log before.
    let nouuid = if filesystem == Filesystem::Xfs { "-o nouuid " } else { "" };
    let replay = format!("mount {nouuid}{node} /mnt && umount /mnt");
    let relabel = (is_old || is_other_label).then(|| format!("{replay} && {}", relabel(kind, label, node)));
    let command = wipe.into_iter().chain(relabel).collect::<Vec<_>>().join(" && ");
    let settings = with_label((label != wanted.label).then_some(label));
    let set = if settings.is_empty() { String::new() } else { format!(" and set {settings} in `storage`") };
    let or = as_it_is.map(|set| format!("; or {set}")).unwrap_or_default();
    Some(format!("run `{command}`{set} to keep its data{or}"))
}

/// Chooses the remedy for the disks of an instance store. `array` is an array over the disks that has to be stopped first.
pub(super) fn of_array(found: &[&DeviceContents], disks: &[PathBuf], array: Option<&str>) -> String {
    let name = found.first().and_then(|found| found.array());
    let is_one = found.iter().all(|other| other.array() == name && other.uuid == found[0].uuid);
    let is_label = |name: &&str| FilesystemLabel::try_from((*name).to_owned()).is_ok();
    let kept = name
        .filter(is_label)
        .filter(|_| is_one)
        .map(|name| format!("set `label: {name}` in `storage` to keep it; or "));
    let stop = array.map(|array| format!("mdadm --stop {array}"));
    let zero = disks.iter().map(|disk| format!("blkdiscard -z {}", disk.display()));
    let command = stop.into_iter().chain(zero).collect::<Vec<_>>().join(" && ");
    format!(
        "{}start a new instance, whose disks are blank; or, if nothing on these is needed, run `{command}`",
        kept.unwrap_or_default()
    )
}

/// Returns the command that gives a filesystem a label, and turns ext2 or ext3 into ext4.
pub(super) fn relabel(kind: Option<&str>, label: &str, node: &str) -> String {
    match kind {
        Some("xfs") => format!("xfs_admin -L {label} {node}"),
        Some("ext2" | "ext3") => format!("tune2fs -O has_journal,extents -L {label} {node}"),
        _ => format!("e2label {node} {label}"),
    }
}
