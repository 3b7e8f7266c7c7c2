//! Grows a mounted filesystem that is smaller than its device, because the volume was enlarged.

use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use super::super::Host;
use super::data::size_of;
use crate::config::Filesystem;
use crate::config::types::Device;
use crate::report::Change;

/// Bytes that a filesystem may leave unused at its device's end, where no whole group of blocks fits. EBS volumes grow by
/// gibibytes.
const UNUSED: u64 = 16 << 20;
/// Offset of the superblock of ext4, which lies behind a boot sector.
const EXT4_SUPERBLOCK: u64 = 1024;
const EXT4_MAGIC: u16 = 0xef53;
const EXT4_64BIT: u32 = 0x80;

impl Host {
    /// Grows the filesystem of a device, which is mounted, if it is smaller than the device.
    pub(in crate::host) async fn ensure_filled(
        &self,
        device: &Device,
        filesystem: Filesystem,
        mount: &str,
    ) -> Result<Change> {
        if self.fills_device(device, filesystem, mount)? == Some(true) {
            return Ok(Change::AlreadyDone);
        }
        let said = match filesystem {
            Filesystem::Xfs => self.run("xfs_growfs", &[&self.at(mount).to_string_lossy()]).await?,
            Filesystem::Ext4 => self.run("resize2fs", &[&self.one_disk(device)?.to_string_lossy()]).await?,
        };
        Ok(if has_grown(&said) { Change::Made } else { Change::AlreadyDone })
    }

    /// Tells whether the mounted filesystem is as large as its device. None if the filesystem's size can't be read.
    pub(crate) fn fills_device(&self, device: &Device, filesystem: Filesystem, mount: &str) -> Result<Option<bool>> {
        let node = self.one_disk(device)?;
        let size = match filesystem {
            Filesystem::Xfs => xfs_size(&self.at(mount)),
            Filesystem::Ext4 => ext4_size(&node),
        };
        size.map(|size| Ok(size + UNUSED > size_of(&node)?)).transpose()
    }

    fn one_disk(&self, device: &Device) -> Result<PathBuf> {
        match self.find_device(device)?.as_slice() {
            [node] => Ok(node.clone()),
            _ => bail!("{device} is not attached; {}", self.devices_in_words(device)),
        }
    }
}

/// Tells whether xfs_growfs(8) or resize2fs(8) says that it had something to do.
fn has_grown(said: &str) -> bool {
    said.contains("data blocks changed") || said.contains("is now")
}

/// `struct xfs_fsop_geom_v1` of `xfs/xfs_fs.h`, as far as it is used here.
#[repr(C)]
#[derive(Default)]
pub struct XfsGeometry {
    block_size: u32,
    others: [u32; 7],
    data_blocks: u64,
    rest: [u64; 9],
}

mod ioctl {
    nix::ioctl_read!(xfs_geometry, b'X', 100, super::XfsGeometry);
}

/// Reads the size of a mounted XFS, in bytes, from the kernel. The superblock on the device is out of date while the
/// filesystem is mounted.
fn xfs_size(mount: &Path) -> Option<u64> {
    let file = File::open(mount).ok()?;
    let mut geometry = XfsGeometry::default();
    #[expect(unsafe_code, reason = "the kernel writes the structure, which has the size that the command says")]
    unsafe {
        ioctl::xfs_geometry(file.as_raw_fd(), &mut geometry).ok()?;
    }
    Some(geometry.data_blocks * u64::from(geometry.block_size))
}

/// Reads the size of an ext4, in bytes, from its superblock, which the kernel changes in the device's cache.
fn ext4_size(node: &Path) -> Option<u64> {
    let mut superblock = [0; 1024];
    File::open(node).ok()?.read_exact_at(&mut superblock, EXT4_SUPERBLOCK).ok()?;
    size_in(&superblock)
}

/// Computes the size of an ext4 from its count of blocks, which is in two parts, and its block size. The offsets are those
/// of "Ext4 Disk Layout" in the kernel's documentation.
fn size_in(superblock: &[u8; 1024]) -> Option<u64> {
    let number = |at: usize| u32::from_le_bytes([0, 1, 2, 3].map(|byte| superblock[at + byte]));
    let magic = u16::from_le_bytes([superblock[0x38], superblock[0x39]]);
    let high = if number(0x60) & EXT4_64BIT == 0 { 0 } else { number(0x150) };
    let blocks = u64::from(high) << 32 | u64::from(number(0x4));
    let block_size = 1024_u64.checked_shl(number(0x18)).filter(|_| magic == EXT4_MAGIC)?;
    blocks.checked_mul(block_size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_of_an_ext4_is_read_from_its_superblock() {
        let mut superblock = [0; 1024];
        assert_eq!(size_in(&superblock), None);
        superblock[0x38..0x3a].copy_from_slice(&[0x53, 0xef]);
        superblock[0x4..0x8].copy_from_slice(&0x0405_0607_u32.to_le_bytes());
        superblock[0x18] = 2;
        superblock[0x150] = 1;
        assert_eq!(size_in(&superblock), Some(0x0405_0607 * 4096));
        superblock[0x60] = 0x80;
        assert_eq!(size_in(&superblock), Some((1 << 44) + 0x0405_0607 * 4096));
    }

    #[test]
    fn a_filesystem_may_leave_less_than_16_mib_of_its_device() {
        let (_root, host) = crate::host::scratch();
        let mut superblock = [0; 1024];
        superblock[0x38..0x3a].copy_from_slice(&EXT4_MAGIC.to_le_bytes());
        superblock[0x4..0x8].copy_from_slice(&4096_u32.to_le_bytes());
        superblock[0x18] = 2;
        host.write("/dev/xvdf", &[[0; 1024], superblock].concat(), 0o644).unwrap();
        let device = Device::Named("/dev/xvdf".to_owned().try_into().unwrap());
        for (unused, fills) in [((16 << 20) - 1, true), (16 << 20, false)] {
            let disk = File::options().write(true).open(host.at("/dev/xvdf")).unwrap();
            disk.set_len((16 << 20) + unused).unwrap();
            assert_eq!(host.fills_device(&device, Filesystem::Ext4, "/data").unwrap(), Some(fills), "{unused}");
        }
        assert_eq!(host.fills_device(&device, Filesystem::Xfs, "/data").unwrap(), None);
        let absent = Device::Named("/dev/xvdg".to_owned().try_into().unwrap());
        let error = host.fills_device(&absent, Filesystem::Ext4, "/data").unwrap_err();
        assert!(error.to_string().starts_with("/dev/xvdg is not attached; no disk is there; "), "{error}");
    }

    #[test]
    fn the_geometry_has_the_size_that_the_kernel_expects() {
        assert_eq!(std::mem::size_of::<XfsGeometry>(), 112);
    }

    #[test]
    fn the_programs_say_whether_the_filesystem_has_grown() {
        assert!(has_grown("data blocks changed from 81920 to 131072\n"));
        assert!(has_grown("The filesystem on /dev/loop0 is now 131072 (4k) blocks long.\n"));
        assert!(!has_grown("meta-data=/dev/loop0 isize=512\ndata size unchanged, skipping\n"));
    }
}
