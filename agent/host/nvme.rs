//! The name that EBS gives an NVMe disk, read from the identify data of its controller.
//!
//! NVM Express Base Specification, "Identify Controller": model at byte 24, 40 characters; from byte 3072 on the vendor's
//! own data, where EBS writes the name in the block device mapping, as amazon-ec2-utils' `ebsnvme-id` reads it.

use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::path::PathBuf;

/// Bytes of an identify page.
const PAGE: usize = 4096;
const VENDOR_DATA: usize = 3072;
const VENDOR_NAME: usize = 32;

/// The model of EBS volumes.
pub const EBS: &str = "Amazon Elastic Block Store";
/// The model of the disks of an instance store.
pub const INSTANCE_STORE: &str = "Amazon EC2 NVMe Instance Storage";

/// An NVMe disk.
#[derive(Debug)]
pub struct Disk {
    /// The disk's node.
    pub node: PathBuf,
    /// The disk's model, as sysfs has it.
    pub model: String,
}

impl Disk {
    /// Returns the name under which the disk is attached, without `/dev/`; none if the disk does not tell it.
    pub fn attached_as(&self) -> Option<String> {
        let file = File::open(&self.node).ok()?;
        name_in(&identify(&file).ok()?)
    }
}

/// Reads the name in the vendor's data of an identify page: with or without `/dev/`, padded with blanks or NULs.
pub fn name_in(page: &[u8; PAGE]) -> Option<String> {
    let bytes = &page[VENDOR_DATA..VENDOR_DATA + VENDOR_NAME];
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    let text = std::str::from_utf8(&bytes[..end]).ok()?.trim();
    let name = text.strip_prefix("/dev/").unwrap_or(text);
    (!name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric())).then(|| name.to_owned())
}

/// `struct nvme_admin_cmd` of `linux/nvme_ioctl.h`.
#[repr(C)]
#[derive(Default)]
pub struct AdminCommand {
    opcode: u8,
    flags: u8,
    reserved: u16,
    nsid: u32,
    cdw2_and_3: [u32; 2],
    metadata: u64,
    addr: u64,
    metadata_len: u32,
    data_len: u32,
    cdw10: u32,
    /// `cdw11` to `cdw15`, `timeout_ms` and `result`.
    rest: [u32; 7],
}

mod ioctl {
    nix::ioctl_readwrite!(admin_command, b'N', 0x41, super::AdminCommand);
}

fn identify(file: &File) -> nix::Result<[u8; PAGE]> {
    let mut page = [0; PAGE];
    // Opcode 6 is Identify; 1 in the tenth double word asks for the controller.
    let mut command = AdminCommand {
        opcode: 6,
        addr: page.as_mut_ptr() as u64,
        data_len: PAGE as u32,
        cdw10: 1,
        ..AdminCommand::default()
    };
    #[expect(
        unsafe_code,
        reason = "the kernel writes `data_len` bytes at `addr`, and `page` has as many and outlives the call"
    )]
    unsafe {
        ioctl::admin_command(file.as_raw_fd(), &mut command)?;
    }
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_read_in_each_form() {
        let table: [(&[u8], Option<&str>); 10] = [
            (b"/dev/sdf                        ", Some("sdf")),
            (b"xvdcy                           ", Some("xvdcy")),
            (b"/dev/xvdcy\0\0\0\0\0\0", Some("xvdcy")),
            (b"xvdf  \0\0  ", Some("xvdf")),
            (b"sda1\0garbage", Some("sda1")),
            (b"                                ", None),
            (b"", None),
            (b"/dev/                           ", None),
            (b"../sda                          ", None),
            (b"\xff\xfe", None),
        ];
        for (bytes, name) in table {
            let mut page = [0; PAGE];
            page[VENDOR_DATA..VENDOR_DATA + bytes.len()].copy_from_slice(bytes);
            assert_eq!(name_in(&page).as_deref(), name);
        }
    }

    #[test]
    fn the_command_has_the_size_that_the_kernel_expects() {
        assert_eq!(size_of::<AdminCommand>(), 0x48);
    }
}
