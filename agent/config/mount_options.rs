//! Options of mount(8): those that are known, and which filesystem takes them.
//!
//! After mount(8), systemd.mount(5), xfs(5), ext4(5), and "The SGI XFS Filesystem" and "ext4 General Information" of the
//! kernel's documentation. An option that ends in `=` takes any value; an option with values behind the `=` takes these
//! alone.

use super::sections::Filesystem;
use crate::text::nearest;

/// Options of every filesystem.
const ANY: &str = "_netdev async atime auto comment= context= defaults defcontext= dev diratime dirsync exec fscontext= \
    group iversion lazytime loud mand noatime noauto nodev nodiratime noexec nofail noiversion nolazytime nomand \
    norelatime nostrictatime nosuid nosymfollow nouser owner private relatime ro rootcontext= rprivate rshared rslave \
    runbindable rw shared silent slave strictatime suid symfollow sync unbindable user user= users";
/// Options of both filesystems here.
const BOTH: &str = "bsdgroups dax dax=always|inode|never discard grpid grpquota nodiscard nogrpid noquota norecovery \
    prjquota quota sysvgroups usrquota";
const XFS: &str = "allocsize= attr2 barrier errortag= filestreams gqnoenforce gquota ikeep inode32 inode64 largeio \
    lifetime logbsize= logbufs= logdev= max_atomic_write= max_open_zones= noalign noattr2 nobarrier noikeep nolargeio \
    nolifetime nouuid pqnoenforce pquota qnoenforce rtdev= sunit= swalloc swidth= uqnoenforce uquota wsync";
const EXT4: &str = "abort acl auto_da_alloc auto_da_alloc= barrier barrier= bh block_validity bsddf check=none commit= \
    data=journal|ordered|writeback data_err=abort|ignore debug debug_want_extra_isize= delalloc dioread_lock \
    dioread_nolock errors=continue|panic|remount-ro fc_debug_force grpjquota grpjquota= i_version init_itable \
    init_itable= inlinecrypt inode_readahead_blks= journal_async_commit journal_checksum journal_dev= journal_ioprio= \
    journal_path= jqfmt=vfsold|vfsv0|vfsv1 max_batch_time= max_dir_size_kb= mb_optimize_scan= mblk_io_submit \
    min_batch_time= minixdf no_mbcache no_prefetch_block_bitmaps noacl noauto_da_alloc nobarrier nobh \
    noblock_validity nocheck nodelalloc nodioread_nolock noinit_itable nojournal_checksum noload nomblk_io_submit \
    nombcache noreservation nouid32 nouser_xattr nowarn_on_error oldalloc orlov prefetch_block_bitmaps reservation \
    resgid= resuid= sb= stripe= test_dummy_encryption test_dummy_encryption= user_xattr usrjquota usrjquota= \
    warn_on_error";
/// Options with which mount(8) mounts no disk, or a loop device over it.
const NEVER: &str = "bind encryption= loop loop= move offset= rbind remount sizelimit=";
/// Options that XFS lost with Linux 4.19.
const XFS_LOST: &str = "barrier nobarrier";

/// Reasons against an option.
#[derive(Debug, PartialEq)]
pub enum Fault {
    /// No volume can be mounted with the option.
    Never,
    /// Only this other filesystem takes the option.
    OfOther(Filesystem),
    /// Newer kernels refuse the option.
    Lost,
    /// The option is not known here. Holds the nearest known option.
    Unknown(Option<&'static str>),
}

/// Returns the reason against an option of a filesystem; none if the option is valid.
pub fn fault(option: &str, filesystem: Filesystem) -> Option<Fault> {
    let (own, others, other) = match filesystem {
        Filesystem::Xfs => (XFS, EXT4, Filesystem::Ext4),
        Filesystem::Ext4 => (EXT4, XFS, Filesystem::Xfs),
    };
    let is_of_users = option.starts_with("x-") || option.starts_with("X-");
    if has(NEVER, option) {
        Some(Fault::Never)
    } else if filesystem == Filesystem::Xfs && has(XFS_LOST, option) {
        Some(Fault::Lost)
    } else if is_of_users || [ANY, BOTH, own].iter().any(|list| has(list, option)) {
        None
    } else if names(others).any(|name| name == name_of(option)) && !names(own).any(|name| name == name_of(option)) {
        Some(Fault::OfOther(other))
    } else {
        let mut words = [ANY, BOTH, own].into_iter().flat_map(str::split_ascii_whitespace);
        let same = words.clone().find(|word| name_of(word) == name_of(option));
        Some(Fault::Unknown(same.or_else(|| nearest(option, &mut words))))
    }
}

/// Tells whether a list has an option, with this value.
fn has(list: &str, option: &str) -> bool {
    list.split_ascii_whitespace().any(|known| match (known.split_once('='), option.split_once('=')) {
        (None, None) => known == option,
        (Some((name, values)), Some((given, value))) => {
            let is_allowed = if values.is_empty() { !value.is_empty() } else { values.split('|').any(|v| v == value) };
            name == given && is_allowed
        }
        _ => false,
    })
}

fn names(list: &str) -> impl Iterator<Item = &str> {
    list.split_ascii_whitespace().map(name_of)
}

fn name_of(option: &str) -> &str {
    option.split('=').next().unwrap_or(option)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(option: &str) -> [Option<Fault>; 2] {
        [fault(option, Filesystem::Xfs), fault(option, Filesystem::Ext4)]
    }

    #[test]
    fn an_option_is_of_all_filesystems_or_of_one() {
        for option in ["noatime", "nofail", "x-systemd.growfs", "X-mount.mkdir", "context=a:b", "dax=inode", "usrquota"]
        {
            assert_eq!(on(option), [None, None], "{option}");
        }
        for option in ["nouuid", "logbsize=256k", "inode64", "uquota"] {
            assert_eq!(on(option), [None, Some(Fault::OfOther(Filesystem::Xfs))], "{option}");
        }
        for option in ["data=ordered", "data=tidy", "commit=30", "errors=remount-ro", "acl", "stripe"] {
            assert_eq!(fault(option, Filesystem::Xfs), Some(Fault::OfOther(Filesystem::Ext4)), "{option}");
        }
        assert_eq!(on("barrier"), [Some(Fault::Lost), None]);
        assert_eq!(on("barrier=0"), [Some(Fault::Unknown(Some("barrier"))), None]);
        for option in ["bind", "rbind", "remount", "loop", "loop=/dev/loop7", "offset=512"] {
            assert_eq!(on(option), [Some(Fault::Never), Some(Fault::Never)], "{option}");
        }
    }

    #[test]
    fn a_misspelt_option_is_told_the_nearest() {
        let nearest = |option: &str| match fault(option, Filesystem::Ext4) {
            Some(Fault::Unknown(nearest)) => nearest,
            other => panic!("{option}: {other:?}"),
        };
        assert_eq!(nearest("nofial"), Some("nofail"));
        assert_eq!(nearest("Noatime"), Some("noatime"));
        assert_eq!(nearest("errors=remount_ro"), Some("errors=continue|panic|remount-ro"));
        assert_eq!(nearest("commit"), Some("commit="));
        assert_eq!(nearest("noatime=1"), Some("noatime"));
        assert_eq!(nearest("zzzzzzzz"), None);
    }
}
