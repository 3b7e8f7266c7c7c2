//! The identify page of an NVMe controller: the whole of it, or the vendor's part.
#![no_main]

use ecs_firstrun::fuzzing::nvme_name;
use ecs_firstrun_fuzz::within_bounds;
use libfuzzer_sys::fuzz_target;

const PAGE: usize = 4096;
const VENDOR_DATA: usize = 3072;

fuzz_target!(|bytes: &[u8]| {
    let mut page = [0; PAGE];
    let begins = if bytes.len() > PAGE - VENDOR_DATA { 0 } else { VENDOR_DATA };
    page[begins..].iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    let name = within_bounds(bytes, || nvme_name(&page));
    // It becomes a part of a path.
    assert!(name.is_none_or(|name| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric())));
});
