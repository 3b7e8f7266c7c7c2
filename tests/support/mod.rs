//! Helpers that several tests share.

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

use std::collections::VecDeque;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

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

/// Makes checks at the same time, six at once, all to their end: most of a run is spent waiting.
pub fn at_once<F: FnOnce() + Send>(checks: impl Iterator<Item = F>) {
    let checks = Mutex::new(checks.collect::<VecDeque<_>>());
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                while let Some(check) = { checks.lock().unwrap().pop_front() } {
                    check();
                }
            });
        }
    });
}

/// Tells whether strace is missing, for which the test is skipped.
pub fn lacks_strace() -> bool {
    let lacks = Command::new("strace").arg("-V").output().is_err();
    if lacks {
        skip("needs strace");
    }
    lacks
}

/// The file of the skipped tests and the reasons: `make test` counts these and shows them at its end.
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
