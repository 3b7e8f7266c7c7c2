//! Reasons why a volume was not mounted. systemctl(1) quotes neither mount(8) nor the kernel.

use std::path::Path;
use std::time::Duration;

use anyhow::{Error, anyhow};
use tokio::time::{Instant, timeout};

use super::super::Host;
use crate::secrets::redact;

/// Time allowed for each program that is asked for the reason.
const PATIENCE: Duration = Duration::from_secs(5);
/// Seconds by which the kernel's clock may differ from the uptime.
const SLACK: f64 = 1.0;

/// Words of mount(8) and of the kernel, and the remedy for the cause that they name. The remedy has `NODE` for the disk, and
/// `REPAIR` for the command that mends its filesystem.
const REMEDIES: [(&[&str], &str); 6] = [
    (
        &["duplicate UUID"],
        "it is a copy of a disk that is mounted: set `options: [nouuid]` in `storage`; or run `mount -o nouuid NODE /mnt \
         && umount /mnt && xfs_admin -U generate NODE`",
    ),
    (
        &["exceeds size of device", "last sector read failed", "beyond end of device"],
        "the volume is smaller than its filesystem: give it at least the size that it was made with",
    ),
    (
        &["unsupported", "unknown filesystem type", "unknown incompatible", "unknown read-only", " V4 "],
        "this kernel can't read that filesystem: use an image with another kernel, or choose another device",
    ),
    (&["write-protected", "read-only"], "run `blockdev --setrw NODE`; or set `options: [ro]` in `storage`"),
    (
        &["needs cleaning", "orrupt", "xfs_repair", "read superblock", "CRC", "e2fsck", "fsck"],
        "it is damaged: run `REPAIR NODE`; or restore the volume from an earlier snapshot",
    ),
    (&["already mounted", "busy"], "end what uses NODE, or choose another device"),
];
/// Words of the kernel, by release, before the name of an option that it refuses.
const BEFORE_OPTION: [&str; 4] =
    ["Unknown parameter '", "Bad value for '", "Unrecognized mount option \"", "unknown mount option ["];
/// Words of the kernel about a mount that succeeds, or ends.
const OF_SUCCESS: [&str; 3] = ["ounting ", "mounted filesystem", "clean mount"];

impl Host {
    /// Adds a remedy, and the words of mount(8) and of the kernel, to the error of a mount unit. Words from before `began`
    /// don't count.
    pub(super) async fn mount_failure(&self, error: Error, unit: &str, node: &Path, began: Instant) -> Error {
        let since = format!("--since=-{}s", began.elapsed().as_secs() + 1);
        let of_unit = format!("_SYSTEMD_UNIT={unit}");
        self.lines_of("journalctl", &["--sync"]).await;
        let options = ["--quiet", "--no-pager", "--output=cat", &since, "_TRANSPORT=kernel", "+", &of_unit];
        let journal = self.lines_of("journalctl", &options).await;
        let disk = super::names::kernel_name(node);
        let mut kernel = last_of_kernel(journal.iter().map(String::as_str), &disk);
        // ProtectKernelLogs= keeps the kernel's log from this agent's unit, but not from the journal: dmesg(1) is for a run
        // by hand.
        if kernel.is_none() {
            let log = self.lines_of("dmesg", &[]).await;
            let oldest = self.uptime().as_secs_f64() - began.elapsed().as_secs_f64() - SLACK;
            kernel = last_of_kernel(log.iter().filter_map(|line| since_in(line, oldest)), &disk);
        }
        let mount = journal.iter().rev().find_map(|line| line.strip_prefix("mount: "));
        let mount = mount.map(|words| redact(words.trim_end_matches('.')));
        let kind = self.probe(node).await.unwrap_or_default().kind;
        let error = format!("{error:#}");
        let said = said(&error, unit, mount.as_deref(), kernel.as_deref());
        let of_mount = mount.as_deref().or_else(|| Some(error.split_once("mount: ")?.1)).unwrap_or_default();
        // The mount point comes first, and is cut off because its name may contain any words.
        let (_, of_mount) = of_mount.split_once(": ").unwrap_or_default();
        let words = format!("{of_mount} {}", kernel.unwrap_or_default());
        anyhow!("{said}; {}", remedy(&words, unit, node, kind.as_deref()))
    }

    /// Runs a program and returns its output by lines; empty if the program can't be run in time.
    async fn lines_of(&self, program: &str, arguments: &[&str]) -> Vec<String> {
        match timeout(PATIENCE, self.output(program, arguments)).await {
            Ok(Ok(output)) => String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect(),
            _ => Vec::new(),
        }
    }
}

/// Removes the time from a line of dmesg(1), such as `[   12.345678] XFS (vdb): …`. None if the line is older than `oldest`,
/// in seconds since the boot.
fn since_in(line: &str, oldest: f64) -> Option<&str> {
    let (time, words) = line.strip_prefix('[')?.split_once("] ")?;
    time.trim().parse().is_ok_and(|time: f64| time >= oldest).then_some(words)
}

/// Finds the kernel's last words against the mount of a disk.
fn last_of_kernel<'a>(lines: impl DoubleEndedIterator<Item = &'a str>, disk: &str) -> Option<String> {
    let of_disk = format!("({disk})");
    let is_of_it = |line: &str| line.contains(&of_disk) || line.starts_with("xfs: ") || line.starts_with("ext4: ");
    let is_of_success = |line: &str| OF_SUCCESS.iter().any(|words| line.contains(words));
    lines.rev().find(|line| is_of_it(line) && !is_of_success(line)).map(redact)
}

fn said(error: &str, unit: &str, mount: Option<&str>, kernel: Option<&str>) -> String {
    // mount(8) uses these words for any error of the kernel.
    let is_vague = |words: &str| words.contains("wrong fs type, bad option") || words.contains("can't read superblock");
    match (mount, kernel) {
        (None, None) => error.to_owned(),
        (None, Some(kernel)) if !is_vague(error) && error.contains("mount: ") => {
            format!("{error}; the kernel says `{kernel}`")
        }
        (Some(mount), None) => format!("{unit} was not mounted: {mount}"),
        (Some(mount), Some(kernel)) if !is_vague(mount) => {
            format!("{unit} was not mounted: {mount}; the kernel says `{kernel}`")
        }
        (_, Some(kernel)) => format!("{unit} was not mounted: the kernel says `{kernel}`"),
    }
}

/// Chooses the remedy for a mount that failed with these words.
fn remedy(words: &str, unit: &str, node: &Path, kind: Option<&str>) -> String {
    if let Some(option) = refused_option(words) {
        return format!("take `{option}` out of `options` in `storage`, or write it as mount(8) has it");
    }
    let repair = if kind == Some("xfs") { "xfs_repair" } else { "e2fsck -fy" };
    match REMEDIES.iter().find(|(signs, _)| signs.iter().any(|sign| words.contains(sign))) {
        Some((_, remedy)) => remedy.replace("REPAIR", repair).replace("NODE", &node.to_string_lossy()),
        None => format!("`journalctl -u {unit}` and `dmesg` may say more"),
    }
}

fn refused_option(words: &str) -> Option<&str> {
    let behind = BEFORE_OPTION.iter().find_map(|before| Some(words.split_once(before)?.1))?;
    behind.split(['\'', '"', ']']).next().filter(|option| !option.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cause_that_says_the_most_counts() {
        let remedy = |words: &str| remedy(words, "data.mount", Path::new("/dev/vdb"), Some("xfs"));
        for (words, begins) in [
            (
                "XFS (vdb): Superblock has unknown read-only compatible features (0x20) enabled.",
                "this kernel can't read",
            ),
            ("cannot mount /dev/vdb read-only.", "run `blockdev --setrw /dev/vdb`"),
            ("XFS (vdb): Corruption detected. Unmount and run xfs_repair", "it is damaged: run `xfs_repair /dev/vdb`"),
            ("", "`journalctl -u data.mount` and `dmesg`"),
        ] {
            assert!(remedy(words).starts_with(begins), "{words}: {}", remedy(words));
        }
    }
}
