//! A device with anything on it that is not the filesystem asked for is refused with what was found, byte for byte
//! untouched.

use super::{EXT4, EXT4_SIZE, XFS, XFS_SIZE, remedies};
use crate::support::disks::{Loop, Machine, OWN_MOUNTS, can_run, shell};

/// The disk's contents, its size in MiB, the program that is needed, the command, and the refusal's words.
type Case = (&'static str, u64, &'static str, &'static str, &'static str);

const FILESYSTEMS: [Case; 25] = [
    ("ext2", 16, "mkfs.ext2", "mkfs.ext2 -q $DEV", "it holds ext2, not xfs"),
    ("ext3", 16, "mkfs.ext3", "mkfs.ext3 -q $DEV", "it holds ext3, not xfs"),
    ("ext4", 16, "mkfs.ext4", "mkfs.ext4 -q $DEV", "it holds ext4, not xfs"),
    (
        "another label",
        320,
        "mkfs.xfs",
        "mkfs.xfs -q -L other $DEV",
        "it holds xfs with the label `other`, not `docker`",
    ),
    ("no label", 320, "mkfs.xfs", "mkfs.xfs -q $DEV", "it holds xfs without a label, not with `docker`"),
    ("our label", 16, "mkfs.ext4", "mkfs.ext4 -q -L docker $DEV", "it holds ext4 with the label `docker`, not xfs"),
    ("btrfs", 128, "mkfs.btrfs", "mkfs.btrfs -q $DEV", "it holds btrfs, not xfs"),
    ("f2fs", 64, "mkfs.f2fs", "mkfs.f2fs -q -l docker $DEV", "it holds f2fs with the label `docker`, not xfs"),
    ("vfat", 16, "mkfs.vfat", "mkfs.vfat -n BOOT $DEV", "it holds vfat with the label `BOOT`, not xfs"),
    ("ntfs", 16, "mkfs.ntfs", "mkfs.ntfs -q -F -f $DEV", "it holds ntfs, not xfs"),
    ("exfat", 16, "mkfs.exfat", "mkfs.exfat $DEV", "it holds exfat and a partition table (dos)"),
    ("jfs", 16, "mkfs.jfs", "mkfs.jfs -q $DEV", "it holds jfs, not xfs"),
    ("nilfs2", 160, "mkfs.nilfs2", "mkfs.nilfs2 -q $DEV", "it holds nilfs2, not xfs"),
    ("reiserfs", 64, "mkfs.reiserfs", "mkfs.reiserfs -q -f $DEV", "it holds reiserfs, not xfs"),
    ("reiser4", 64, "mkfs.reiser4", "mkfs.reiser4 -y -f $DEV", "it holds reiser4, not xfs"),
    ("udf", 16, "mkudffs", "mkudffs $DEV", "it holds udf with the label `LinuxUDF` and a partition table (dos)"),
    ("minix", 16, "mkfs.minix", "mkfs.minix $DEV", "it holds minix, not xfs"),
    ("minix 3", 16, "mkfs.minix", "mkfs.minix -3 $DEV", "it holds minix, not xfs"),
    ("bfs", 16, "mkfs.bfs", "mkfs.bfs $DEV", "it holds bfs, not xfs"),
    (
        "cramfs",
        16,
        "mkfs.cramfs",
        "$IMAGE mkfs.cramfs /etc/apt $I; $COPY",
        "it holds cramfs with the label `Compressed`, not xfs",
    ),
    ("squashfs", 16, "mksquashfs", "$IMAGE mksquashfs /etc/apt $I; $COPY", "it holds squashfs, not xfs"),
    ("erofs", 16, "mkfs.erofs", "$IMAGE mkfs.erofs $I /etc/apt; $COPY", "it holds erofs, not xfs"),
    (
        "iso9660",
        16,
        "genisoimage",
        "$IMAGE genisoimage -quiet -o $I /etc/apt; $COPY",
        "it holds iso9660 with the label `CDROM`, not xfs",
    ),
    ("ocfs2", 64, "mkfs.ocfs2", "mkfs.ocfs2 -q -F -M local -N 1 -x $DEV", "it holds ocfs2, not xfs"),
    ("gfs2", 64, "mkfs.gfs2", "mkfs.gfs2 -q -O -p lock_nolock -j 1 -J 16 $DEV", "it holds gfs2, not xfs"),
];

const LUKS: &str =
    "echo secret | cryptsetup --batch-mode luksFormat --pbkdf pbkdf2 --pbkdf-force-iterations 1000 $DEV -";

const OTHERS: [Case; 13] = [
    ("swap", 16, "mkswap", "mkswap $DEV", "it is swap space, not xfs"),
    ("labelled swap", 16, "mkswap", "mkswap -L docker $DEV", "it is swap space with the label `docker`, not xfs"),
    ("LUKS 1", 16, "cryptsetup", "$LUKS --type luks1", "it is encrypted (LUKS)"),
    ("LUKS 2", 32, "cryptsetup", "$LUKS --type luks2 --label docker", "it is encrypted (LUKS) with the label `docker`"),
    ("LVM", 16, "pvcreate", "pvcreate -qq $DEV", "it is a physical volume of LVM"),
    ("bcache", 16, "make-bcache", "make-bcache -B $DEV", "it belongs to a bcache"),
    ("bcache's cache", 64, "make-bcache", "make-bcache -C $DEV", "it belongs to a bcache"),
    ("GPT", 16, "sfdisk", "echo label: gpt | sfdisk -q $DEV", "it has a partition table (gpt)"),
    (
        "GPT with a partition",
        16,
        "sfdisk",
        "printf 'label: gpt\n,\n' | sfdisk -q --no-reread $DEV",
        "it has a partition table (gpt)",
    ),
    ("MBR", 16, "sfdisk", "echo label: dos | sfdisk -q $DEV", "it has a partition table (dos)"),
    (
        "MBR with a partition",
        16,
        "sfdisk",
        "printf 'label: dos\n,\n' | sfdisk -q --no-reread $DEV",
        "it has a partition table (dos)",
    ),
    (
        "the end of a GPT",
        64,
        "sfdisk",
        "echo label: gpt | sfdisk -q $DEV; dd status=none if=/dev/zero of=$DEV bs=1M count=1",
        // The copy of the header fills the last sector.
        "it has no filesystem, but it is not blank either (data at byte 67108352)",
    ),
    (
        "two at once",
        16,
        "mkfs.ext4",
        "$IMAGE truncate -s 320M $I; mkfs.xfs -q $I; mkfs.ext4 -q $DEV; dd status=none if=$I of=$DEV bs=512 count=1",
        "it holds the traces of several filesystems, not xfs",
    ),
];

fn is_refused(machine: &Machine, disk: &Loop, expected: &str, what: &str) {
    machine.attach("xvdcy", disk);
    let before = disk.bytes();
    let reason = machine.reason();
    assert!(reason.contains(expected), "{what}: {reason}");
    let is_refusal = format!("/dev/xvdcy ({}) can't be used, and nothing on it was changed: ", disk.node.display());
    assert!(reason.contains(&is_refusal), "{what}: {reason}");
    assert!(before == disk.bytes(), "{what}: the disk was changed");
}

fn all_are_refused(cases: &[Case]) {
    if !can_run(&["mkfs.xfs"]) {
        return;
    }
    let machine = Machine::with_storage(XFS);
    for (what, size, program, command, expected) in cases {
        if !can_run(&[program]) {
            crate::support::skip(&format!("that is, for {what}"));
            continue;
        }
        let image = machine.folder().join("image").display().to_string();
        let command = command
            .replace("$LUKS", LUKS)
            .replace("$IMAGE", &format!("rm -f {image};"))
            .replace("$COPY", "dd status=none if=$I of=$DEV")
            .replace("$I", &image);
        let disk = Loop::of(*size);
        shell(&command, &disk.node);
        is_refused(&machine, &disk, expected, what);
        let prepare = |disk: &Loop| drop(shell(&command, &disk.node));
        remedies::lead_out(what, XFS, XFS_SIZE, &prepare);
    }
}

#[test]
fn every_foreign_filesystem_is_refused() {
    all_are_refused(&FILESYSTEMS);
}

#[test]
fn swap_encryption_volume_groups_and_partition_tables_are_refused() {
    all_are_refused(&OTHERS);
}

#[test]
fn a_member_of_an_array_is_refused_wherever_its_metadata_lie() {
    if !can_run(&["mkfs.xfs"]) {
        return;
    }
    let machine = Machine::with_storage(XFS);
    const SIZE: u64 = 64;
    // Version 1.2 is 4 KiB from the beginning, version 1.0 at least 8 KiB from the end.
    for at in [4096, (SIZE << 20) - 8192] {
        let disk = Loop::of(SIZE);
        disk.write(at, &array_superblock(at / 512));
        is_refused(&machine, &disk, "it is a member of the RAID array `store`", "RAID");
    }
}

/// `struct mdp_superblock_1` of the kernel's `linux/raid/md_p.h`, for one of two members of a RAID 0 `any:store`.
pub fn array_superblock(sector: u64) -> Vec<u8> {
    let mut block = vec![0; 512];
    let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &0xa92b_4efc_u32.to_le_bytes());
    put(4, &1_u32.to_le_bytes());
    put(16, &[7; 16]);
    put(32, b"any:store");
    put(80, &65536_u64.to_le_bytes());
    put(88, &1024_u32.to_le_bytes());
    put(92, &2_u32.to_le_bytes());
    put(128, &2048_u64.to_le_bytes());
    put(136, &65536_u64.to_le_bytes());
    put(144, &sector.to_le_bytes());
    put(168, &[9; 16]);
    put(220, &128_u32.to_le_bytes());
    put(256, &[0, 0, 1, 0]);
    let words = block.chunks(4).map(|word| u64::from(u32::from_le_bytes(word.try_into().unwrap())));
    let sum: u64 = words.sum();
    let folded = (sum & 0xffff_ffff) as u32;
    block[216..220].copy_from_slice(&folded.wrapping_add((sum >> 32) as u32).to_le_bytes());
    block
}

#[test]
fn data_without_a_signature_are_refused_at_both_ends_and_where_they_are_long_in_between() {
    if !can_run(&["mkfs.xfs"]) {
        return;
    }
    let machine = Machine::with_storage(XFS);
    let end = XFS_SIZE << 20;
    let edge = 16 << 20;
    for (at, length) in [
        (0, 1),
        (700_001, 1),
        (edge - 1, 1),
        (end - edge, 1),
        (end - 1_000_000, 100),
        (end - 1, 1),
        ((200 << 20) + 12_345, 512 << 10),
    ] {
        let disk = Loop::of(XFS_SIZE);
        disk.write(at, &vec![1; length]);
        is_refused(
            &machine,
            &disk,
            "it has no filesystem, but it is not blank either (data at byte ",
            &format!("at {at}"),
        );
    }
}

#[test]
fn a_disk_that_somebody_uses_is_refused_though_it_looks_blank() {
    if !can_run(&["mkfs.ext4", "mount", "unshare"]) {
        return;
    }
    let machine = Machine::with_storage(EXT4);
    let zero = |disk: &Loop| disk.write(0, &vec![0; (EXT4_SIZE << 20) as usize]);

    let mounted = Loop::of(EXT4_SIZE);
    let place = machine.folder().join("elsewhere");
    std::fs::create_dir(&place).unwrap();
    shell(&format!("mkfs.ext4 -q $DEV; mount -o ro $DEV {}", place.display()), &mounted.node);
    zero(&mounted);
    is_refused(&machine, &mounted, &format!("it is in use, mounted on {}", place.display()), "mounted");

    let below = Loop::of(EXT4_SIZE);
    let above = Loop::over(&below);
    let holder = above.node.file_name().unwrap().to_str().unwrap();
    is_refused(&machine, &below, &format!("it is in use, by {holder}"), "below a loop device");
    drop(above);

    let hidden = Loop::of(EXT4_SIZE);
    shell("mkfs.ext4 -q $DEV", &hidden.node);
    let script = format!("{OWN_MOUNTS}; mount -o ro {} /mnt && echo mounted && read wait", hidden.node.display());
    let mut namespace = std::process::Command::new("unshare")
        .args(["--mount", "bash", "-c", &script])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = [0; 8];
    std::io::Read::read_exact(namespace.stdout.as_mut().unwrap(), &mut said).unwrap();
    zero(&hidden);
    let expected = "it is in use, by another program, or mounted in another namespace";
    is_refused(&machine, &hidden, expected, "in another namespace");
    drop(namespace.stdin.take());
    namespace.wait().unwrap();
    // With nobody left, it is a blank disk like any other.
    assert!(machine.made().contains(&"make ext4 `docker` on /dev/xvdcy if it is blank".to_owned()));
}

/// As on a host where somebody detaches a loop device just then.
#[test]
fn a_loop_device_that_goes_away_is_in_nobodys_way() {
    if !can_run(&["mkfs.ext4", "mount", "strace"]) {
        return;
    }
    let machine = Machine::with_storage(EXT4);
    let (disk, other) = (Loop::of(EXT4_SIZE), Loop::of(EXT4_SIZE));
    machine.attach("xvdcy", &disk);
    let backing = format!("/sys/block/{}/loop/backing_file", other.node.file_name().unwrap().to_str().unwrap());
    let trace = machine.folder().join("trace");
    let ended =
        machine.host.traced(&["-f", "-o", trace.to_str().unwrap(), "-e", "inject=read:error=ENODEV", "-P", &backing]);
    assert!(std::fs::read_to_string(trace).unwrap().contains("ENODEV (No such device) (INJECTED)"));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(disk.value("LABEL"), "docker");
}
