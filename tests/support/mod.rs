//! What several tests share.

pub mod agreement;
pub mod bounds;
pub mod disks;
pub mod doctor;
pub mod documents;
pub mod golden;
pub mod host;
pub mod selinux;
pub mod terminal;
pub mod tmpfs;
pub mod user_data;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use flate2::Compression;
use flate2::write::GzEncoder;

/// A path in the repository.
pub fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Packs as `gzip --fast` does.
pub fn gzip(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes.as_ref()).unwrap();
    encoder.finish().unwrap()
}

/// Tells whether strace is missing, for which the test is skipped.
pub fn lacks_strace() -> bool {
    let lacks = Command::new("strace").arg("-V").output().is_err();
    if lacks {
        skip("needs strace");
    }
    lacks
}

/// What could not be tested, and why: `make test` counts these and shows them at its end.
const SKIPPED: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/skipped");

/// Says what a test leaves untested here, under its name. Not through `eprintln`, which the harness shows for failed
/// tests only.
pub fn skip(why: &str) {
    let test = std::thread::current().name().unwrap_or_default().to_owned();
    let line = format!("{test}: skipped: {why}\n");
    let _ = std::io::stderr().write_all(line.as_bytes());
    let file = std::fs::OpenOptions::new().append(true).create(true).open(SKIPPED);
    let _ = file.and_then(|mut file| file.write_all(line.as_bytes()));
}
