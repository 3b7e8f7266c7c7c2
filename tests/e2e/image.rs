//! The image that the machines boot, and the way in which QEMU runs them.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

/// Programs that this needs beside QEMU.
const PROGRAMS: &[&str] = &["mmdebstrap", "qemu-system-x86_64", "qemu-img", "socat", "setpriv", "mke2fs", "tinyproxy"];
/// The agent under test: what an image gets.
const BINARY: &str = "dist/ecs-firstrun";

/// The disk of a machine that has never been booted, and what boots it.
pub struct Image {
    pub disk: PathBuf,
    pub kernel: PathBuf,
    /// QEMU's arguments for the processor.
    pub processor: &'static [&'static str],
}

/// A path in the repository.
pub fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Names the reason why no machine can run here.
pub fn missing() -> Option<String> {
    if !nix::unistd::geteuid().is_root() {
        return Some("this takes root, to make the disk".to_owned());
    }
    let folders: Vec<_> =
        std::env::var_os("PATH").map(|path| std::env::split_paths(&path).collect()).unwrap_or_default();
    let is_there = |program: &str| folders.iter().any(|folder: &PathBuf| folder.join(program).is_file());
    let missing: Vec<_> = PROGRAMS.iter().filter(|program| !is_there(program)).copied().collect();
    (!missing.is_empty()).then(|| format!("{} missing; `make setup-e2e` installs that", missing.join(", ")))
}

/// Builds the image unless it is up to date.
pub fn build() -> Result<Image> {
    build_variant("")
}

/// Builds a variant of the image, which is kept beside it.
pub fn build_variant(variant: &str) -> Result<Image> {
    let binary = repository(BINARY);
    ensure!(binary.is_file(), "{} is missing; `make build` makes it", binary.display());
    let folder = repository("target/e2e");
    let script = repository("tests/e2e/image.sh");
    let status =
        Command::new(&script).arg(binary).arg(&folder).arg(variant).status().context("run tests/e2e/image.sh")?;
    ensure!(status.success(), "tests/e2e/image.sh ended with {status}");
    let suffix = if variant.is_empty() { String::new() } else { format!("-{variant}") };
    let kernel = folder.join(format!("vmlinuz{suffix}"));
    let processor = processor(&kernel)?;
    Ok(Image { disk: folder.join(format!("disk{suffix}.img")), kernel, processor })
}

/// The host's own processor if the host lets us have it. /dev/kvm can be there and still not work: a kernel without a
/// root comes to its end within seconds, where anything runs at all.
fn processor(kernel: &Path) -> Result<&'static [&'static str]> {
    const HARDWARE: &[&str] = &["-accel", "kvm", "-cpu", "host"];
    // For a processor that can't get another beside it, QEMU before 8.1 leaves the guest's memory barriers out; but the
    // disks read its memory in a thread of their own, miss a doorbell of NVMe now and then, and hang for good.
    const SOFTWARE: &[&str] = &["-accel", "tcg,thread=multi", "-smp", "cpus=1,maxcpus=2", "-cpu", "max"];
    if !Path::new("/dev/kvm").exists() {
        return Ok(SOFTWARE);
    }
    let mut trial = Command::new("qemu-system-x86_64")
        .args(HARDWARE)
        .args(["-nodefaults", "-display", "none", "-no-reboot", "-append", "panic=-1", "-kernel"])
        .arg(kernel)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("run qemu-system-x86_64")?;
    let began = Instant::now();
    let mut ended = None;
    while ended.is_none() && began.elapsed() < Duration::from_secs(10) {
        std::thread::sleep(Duration::from_millis(100));
        ended = trial.try_wait()?;
    }
    if ended.is_none() {
        trial.kill()?;
        trial.wait()?;
    }
    Ok(if ended.is_some_and(|status| status.success()) { HARDWARE } else { SOFTWARE })
}
