//! Probes what is on a device, and decides what to do with the device.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::super::Host;
use super::super::program::failure;
use super::data::{Data, SAMPLES, data_on};
use super::wanted::Wanted;
use crate::plan::VolumeUser;

/// The most samples with data where mkfs was interrupted: mkfs writes little, and mostly zeros.
const MOST_OF_MKFS: u64 = SAMPLES / 20;
/// Bytes of XFS's superblock that are read. Offsets and bits are those of `struct xfs_dsb` in the kernel's
/// `fs/xfs/libxfs/xfs_format.h`.
const XFS_SUPERBLOCK: usize = 220;
/// `sb_versionnum`: the version is in its lowest four bits.
const XFS_VERSION: usize = 100;
/// `sb_inprogress`: set while mkfs.xfs runs.
const XFS_IN_PROGRESS: usize = 126;
/// `sb_features2`, of version 4, with `XFS_SB_VERSION2_FTYPE`.
const XFS_FEATURES2: (usize, u32) = (200, 0x200);
/// `sb_features_incompat`, of version 5, with `XFS_SB_FEAT_INCOMPAT_FTYPE`.
const XFS_INCOMPATIBLE: (usize, u32) = (216, 1);

/// The contents of a device.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct DeviceContents {
    /// `TYPE` of blkid(8).
    pub(super) kind: Option<String>,
    /// `LABEL` of blkid(8).
    pub(super) label: Option<String>,
    /// `UUID` of blkid(8).
    pub(super) uuid: Option<String>,
    /// `PTTYPE` of blkid(8).
    pub(super) partition_table: Option<String>,
    /// True if the filesystem itself says that its mkfs did not finish.
    pub(super) unfinished: bool,
    /// True for an XFS whose directories don't hold the types of their entries.
    pub(super) without_ftype: bool,
    /// The data on a device without a signature.
    pub(super) data: Data,
}

impl DeviceContents {
    /// Tells whether nothing at all is on the device.
    pub(super) fn is_blank(&self) -> bool {
        *self == DeviceContents::default()
    }

    /// Returns the name of the array that the device is a member of, without the name of its host.
    pub(super) fn array(&self) -> Option<&str> {
        let label = self.label.as_deref().filter(|_| self.kind.as_deref() == Some("linux_raid_member"))?;
        label.rsplit(':').next()
    }

    /// Describes what was found.
    pub(super) fn in_words(&self) -> String {
        let labelled = match self.label.as_deref() {
            Some(label) if !label.is_empty() => format!(" with the label `{label}`"),
            _ => String::new(),
        };
        let table = match &self.partition_table {
            Some(table) => format!("a partition table ({table})"),
            None => String::new(),
        };
        match self.kind.as_deref() {
            Some("swap") => format!("it is swap space{labelled}"),
            Some("LVM2_member") => "it is a physical volume of LVM".to_owned(),
            Some("linux_raid_member") => {
                format!("it is a member of the RAID array `{}`", self.array().unwrap_or_default())
            }
            Some("crypto_LUKS") => format!("it is encrypted (LUKS){labelled}"),
            Some("bcache") => "it belongs to a bcache".to_owned(),
            Some(kind) if table.is_empty() => format!("it holds {kind}{labelled}"),
            Some(kind) => format!("it holds {kind}{labelled} and {table}"),
            None if !table.is_empty() => format!("it has {table}"),
            None => match self.data.first {
                Some(first) => format!("it has no filesystem, but it is not blank either (data at byte {first})"),
                None => "it is blank".to_owned(),
            },
        }
    }
}

#[derive(Debug, PartialEq)]
pub(super) enum FormatDecision {
    Make,
    /// Makes the filesystem again, over what an interrupted mkfs left.
    MakeAgain,
    Keep,
    Refuse(String),
}

/// Decides what to do with a device. A blank device is formatted, and a matching filesystem is kept. Anything else is
/// refused, except for what an interrupted mkfs of this agent left.
pub(super) fn decide(found: &DeviceContents, wanted: &Wanted<'_>, interrupted: bool) -> FormatDecision {
    let (words, label) = (found.in_words(), wanted.label);
    let is_wanted = |kind: &str| kind == wanted.filesystem.name();
    match (&found.partition_table, found.kind.as_deref()) {
        (None, None) if found.data.first.is_none() => FormatDecision::Make,
        (None, None) if interrupted && found.data.samples <= MOST_OF_MKFS => FormatDecision::MakeAgain,
        (None, Some(kind)) if is_wanted(kind) && wanted.is_without_ftype(found) => {
            FormatDecision::Refuse(format!("{words}, made without ftype (d_type), which Docker's overlay2 needs"))
        }
        (None, Some(kind)) if is_wanted(kind) && found.label.as_deref() == Some(label) => {
            match (found.unfinished, interrupted) {
                (false, _) => FormatDecision::Keep,
                (true, true) => FormatDecision::MakeAgain,
                (true, false) => FormatDecision::Refuse(format!("{words}, but the mkfs that made it was interrupted")),
            }
        }
        (None, Some(kind)) if is_wanted(kind) => FormatDecision::Refuse(match found.label {
            Some(_) => format!("{words}, not `{label}`"),
            None => format!("{words} without a label, not with `{label}`"),
        }),
        (None, Some(_)) => FormatDecision::Refuse(format!("{words}, not {}", wanted.filesystem.name())),
        _ => FormatDecision::Refuse(words),
    }
}

impl Wanted<'_> {
    /// Tells whether a filesystem for Docker lacks ftype, so that Docker can't use it.
    pub(super) fn is_without_ftype(&self, found: &DeviceContents) -> bool {
        self.user == VolumeUser::Docker && found.without_ftype
    }
}

impl Host {
    pub(super) async fn probe(&self, node: &Path) -> Result<DeviceContents> {
        let name = node.to_string_lossy();
        let arguments = ["-p", "-o", "export", &name];
        let output = self.output("blkid", &arguments).await?;
        let shown = String::from_utf8_lossy(&output.stdout);
        let value =
            |key: &str| shown.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('=')).map(str::to_owned);
        match output.status.code() {
            Some(0) => {
                let kind = value("TYPE");
                let (unfinished, without_ftype) = match kind.as_deref() {
                    Some("xfs") => xfs_state(node)?,
                    _ => (false, false),
                };
                Ok(DeviceContents {
                    kind,
                    label: value("LABEL"),
                    uuid: value("UUID"),
                    partition_table: value("PTTYPE"),
                    unfinished,
                    without_ftype,
                    data: Data::default(),
                })
            }
            // blkid(8): nothing was found.
            Some(2) => Ok(DeviceContents { data: data_on(node)?, ..DeviceContents::default() }),
            // blkid(8): several filesystems at once.
            Some(8) => Ok(DeviceContents {
                kind: Some("the traces of several filesystems".to_owned()),
                ..DeviceContents::default()
            }),
            _ => Err(failure("blkid", &arguments, &output)),
        }
    }
}

/// Tells whether an XFS was not made to the end, and whether it lacks ftype.
fn xfs_state(node: &Path) -> Result<(bool, bool)> {
    let mut superblock = [0; XFS_SUPERBLOCK];
    let read = File::open(node).and_then(|file| file.read_at(&mut superblock, 0));
    read.with_context(|| format!("read {}", node.display()))?;
    let number = |at: usize| u32::from_be_bytes([0, 1, 2, 3].map(|byte| superblock[at + byte]));
    let (at, bit) = match superblock[XFS_VERSION + 1] & 0xf {
        4 => XFS_FEATURES2,
        5 => XFS_INCOMPATIBLE,
        _ => return Ok((superblock[XFS_IN_PROGRESS] != 0, false)),
    };
    Ok((superblock[XFS_IN_PROGRESS] != 0, number(at) & bit == 0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Filesystem;
    use crate::config::types::Device;

    fn found(kind: &str, label: &str, table: &str, first: Option<u64>) -> DeviceContents {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let data = Data { first, samples: 0 };
        DeviceContents {
            kind: some(kind),
            label: some(label),
            partition_table: some(table),
            data,
            ..DeviceContents::default()
        }
    }

    fn decide_on(found: &DeviceContents, filesystem: Filesystem, label: &str, interrupted: bool) -> FormatDecision {
        let device = Device::InstanceStore;
        let wanted = Wanted { device: &device, filesystem, label, user: VolumeUser::Others };
        decide(found, &wanted, interrupted)
    }

    #[test]
    fn only_a_blank_device_is_formatted() {
        for interrupted in [false, true] {
            let decide = |found: &DeviceContents| decide_on(found, Filesystem::Xfs, "docker", interrupted);
            assert_eq!(decide(&found("", "", "", None)), FormatDecision::Make);
            assert_eq!(decide(&found("xfs", "docker", "", None)), FormatDecision::Keep);
            let refused = [
                found("xfs", "", "", None),
                found("xfs", "other", "", None),
                found("ext4", "docker", "", None),
                found("LVM2_member", "", "", None),
                found("", "", "gpt", None),
                found("xfs", "docker", "dos", None),
            ];
            for found in refused {
                assert!(matches!(decide(&found), FormatDecision::Refuse(_)), "{found:?}");
            }
        }
    }

    #[test]
    fn what_an_interrupted_mkfs_left_is_formatted_again_only_if_it_was_ours() {
        let with_data = found("", "", "", Some(7));
        assert!(matches!(decide_on(&with_data, Filesystem::Xfs, "docker", false), FormatDecision::Refuse(_)));
        assert_eq!(decide_on(&with_data, Filesystem::Xfs, "docker", true), FormatDecision::MakeAgain);
        let too_much =
            DeviceContents { data: Data { first: Some(7), samples: MOST_OF_MKFS + 1 }, ..DeviceContents::default() };
        assert!(matches!(decide_on(&too_much, Filesystem::Xfs, "docker", true), FormatDecision::Refuse(_)));
        let unfinished = |label: &str| DeviceContents { unfinished: true, ..found("xfs", label, "", None) };
        assert!(matches!(
            decide_on(&unfinished("docker"), Filesystem::Xfs, "docker", false),
            FormatDecision::Refuse(_)
        ));
        assert_eq!(decide_on(&unfinished("docker"), Filesystem::Xfs, "docker", true), FormatDecision::MakeAgain);
        assert!(matches!(decide_on(&unfinished("other"), Filesystem::Xfs, "docker", true), FormatDecision::Refuse(_)));
    }

    #[test]
    fn what_is_found_is_told_in_words() {
        for (kind, label, table, first, words) in [
            ("", "", "", None, "it is blank"),
            ("", "", "", Some(7), "it has no filesystem, but it is not blank either (data at byte 7)"),
            ("", "", "gpt", None, "it has a partition table (gpt)"),
            ("", "", "gpt", Some(7), "it has a partition table (gpt)"),
            ("ext4", "", "", None, "it holds ext4"),
            ("ext4", "data", "", None, "it holds ext4 with the label `data`"),
            ("ext4", "data", "dos", None, "it holds ext4 with the label `data` and a partition table (dos)"),
            ("swap", "", "", None, "it is swap space"),
            ("swap", "old", "", None, "it is swap space with the label `old`"),
            ("LVM2_member", "", "", None, "it is a physical volume of LVM"),
            ("linux_raid_member", "host:docker", "", None, "it is a member of the RAID array `docker`"),
            ("linux_raid_member", "docker", "", None, "it is a member of the RAID array `docker`"),
            ("linux_raid_member", "", "", None, "it is a member of the RAID array ``"),
            ("crypto_LUKS", "", "", None, "it is encrypted (LUKS)"),
            ("bcache", "", "", None, "it belongs to a bcache"),
        ] {
            let found = found(kind, label, table, first);
            assert_eq!(found.in_words(), words);
            assert_eq!(found.is_blank(), words == "it is blank");
        }
        assert_eq!(
            DeviceContents { label: Some(String::new()), ..found("ext4", "", "", None) }.in_words(),
            "it holds ext4"
        );
        assert_eq!(found("ext4", "host:docker", "", None).array(), None);
    }

    #[test]
    fn a_refusal_says_what_was_wanted() {
        let refused = |found: &DeviceContents, label: &str| match decide_on(found, Filesystem::Xfs, label, false) {
            FormatDecision::Refuse(why) => why,
            other => panic!("{other:?}"),
        };
        let other = found("xfs", "other", "", None);
        assert_eq!(refused(&other, "docker"), "it holds xfs with the label `other`, not `docker`");
        let none = found("xfs", "", "", None);
        assert_eq!(refused(&none, "docker"), "it holds xfs without a label, not with `docker`");
        let ext4 = found("ext4", "docker", "", None);
        assert_eq!(refused(&ext4, "docker"), "it holds ext4 with the label `docker`, not xfs");
        let unfinished = DeviceContents { unfinished: true, ..found("xfs", "docker", "", None) };
        let words = "it holds xfs with the label `docker`, but the mkfs that made it was interrupted";
        assert_eq!(refused(&unfinished, "docker"), words);
    }

    #[test]
    fn a_twentieth_of_the_samples_may_be_of_an_interrupted_mkfs() {
        for (samples, expected) in [(51, true), (52, false)] {
            let found = DeviceContents { data: Data { first: Some(7), samples }, ..DeviceContents::default() };
            let decision = decide_on(&found, Filesystem::Ext4, "docker", true);
            assert_eq!(decision == FormatDecision::MakeAgain, expected, "{samples}: {decision:?}");
        }
    }

    #[test]
    fn an_xfs_says_itself_that_it_is_not_made_to_the_end() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(512).unwrap();
        assert_eq!(xfs_state(file.path()).unwrap(), (false, false));
        file.as_file().write_all_at(&[1], 126).unwrap();
        assert_eq!(xfs_state(file.path()).unwrap(), (true, false));
    }

    #[test]
    fn an_xfs_says_whether_its_directories_hold_the_types_of_their_entries() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for (version, features2, incompatible, without) in [
            (0xb4a4, 0x8a, 0, true),
            (0xb4a4, 0x28a, 0, false),
            (0xb4a5, 0x18a, 0xb, false),
            (0xb4a5, 0x38a, 0xa, true),
        ] {
            let (version, features2, incompatible) = (version as u16, features2 as u32, incompatible as u32);
            file.as_file().write_all_at(&version.to_be_bytes(), 100).unwrap();
            file.as_file().write_all_at(&features2.to_be_bytes(), 200).unwrap();
            file.as_file().write_all_at(&incompatible.to_be_bytes(), 216).unwrap();
            assert_eq!(xfs_state(file.path()).unwrap(), (false, without), "{version:x} {features2:x}");
        }
    }

    #[test]
    fn a_device_that_cannot_be_opened_is_not_taken_for_a_used_one() {
        let (_root, host) = crate::host::scratch();
        let error = host.user_of(&host.at("/dev/none")).unwrap_err().to_string();
        assert!(error.starts_with("open ") && error.ends_with("/dev/none"), "{error}");
    }
}
