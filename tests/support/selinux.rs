//! Labels of SELinux.

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use nix::libc;

/// Gives a file a label, as a kernel with SELinux would show it. This takes root, and a filesystem with such attributes.
pub fn set_label(path: &Path, kind: &str) -> bool {
    let place = CString::new(path.as_os_str().as_bytes()).unwrap();
    let label = format!("system_u:object_r:{kind}:s0\0");
    #[expect(unsafe_code, reason = "both names end with a zero byte, and the length is that of the label")]
    let set =
        unsafe { libc::lsetxattr(place.as_ptr(), c"security.selinux".as_ptr(), label.as_ptr().cast(), label.len(), 0) };
    if set != 0 {
        super::skip("no label can be set here");
    }
    set == 0
}
