//! `blkid`, `mkfs` and similar programs, and the mounts of mount units, over a record of each device's content.

mod args;
mod arrays;
pub(super) mod record;

use std::fs;
use std::io;

use self::args::Args;
use self::record::{field, found, on_device};
use super::call::ProgramOutput;
use super::state::{FILESYSTEMS, Mount, StubState};

/// The longest label of each filesystem, in bytes.
const XFS_LABEL: usize = 12;
const EXT4_LABEL: usize = 16;

pub(super) fn run(program: &str, args: &[String], state: &StubState) -> io::Result<ProgramOutput> {
    let args = Args::parse(args);
    match program {
        "blkid" => Ok(blkid(&args, state)),
        "mkfs.xfs" => mkfs_xfs(&args, state),
        "mkfs.ext4" => mkfs_ext4(&args, state),
        "mdadm" => arrays::mdadm(&args, state),
        "xfs_growfs" => Ok(xfs_growfs(&args, state)),
        "resize2fs" => Ok(resize2fs(&args, state)),
        _ => Ok(ProgramOutput::failed(127, format!("{program}: no such stub\n"))),
    }
}

/// Prints the record of a device in the format `export`. Like the real blkid, ends with exit code 2 and no output if nothing
/// is found, or if the device does not exist.
fn blkid(args: &Args<'_>, state: &StubState) -> ProgramOutput {
    let device = args.operand();
    match on_device(device, state) {
        Some(found) => ProgramOutput::printed(format!("DEVNAME={device}\n{found}")),
        None => ProgramOutput::failed(2, ""),
    }
}

/// Returns the one device of a mkfs, or the error of mkfs if the device is missing or mounted.
fn device<'a>(program: &str, args: &Args<'a>, state: &StubState) -> Result<&'a str, ProgramOutput> {
    let device = args.operand();
    if !state.device(device).exists() {
        let text = format!("{program}: cannot open {device}: No such file or directory\n");
        return Err(ProgramOutput::failed(1, text));
    }
    if state.mounts().iter().any(|mount| state.real(&mount.source) == state.real(device)) {
        let text = format!("{program}: {device} contains a mounted filesystem\n");
        return Err(ProgramOutput::failed(1, text));
    }
    Ok(device)
}

fn make(device: &str, kind: &str, label: &str, state: &StubState) -> io::Result<()> {
    let device = state.real(device);
    state.write(FILESYSTEMS, &device, &found(&device, kind, label))
}

fn mkfs_xfs(args: &Args<'_>, state: &StubState) -> io::Result<ProgramOutput> {
    let label = args.value("-L").unwrap_or_default();
    if label.len() > XFS_LABEL {
        return Ok(ProgramOutput::failed(1, format!("Invalid value {label} for -L option\nUsage: mkfs.xfs\n")));
    }
    let device = match device("mkfs.xfs", args, state) {
        Ok(device) => device,
        Err(outcome) => return Ok(outcome),
    };
    if let Some(found) = on_device(device, state).filter(|_| args.value("-f").is_none()) {
        let kind = field(&found, "TYPE").unwrap_or("unknown");
        return Ok(ProgramOutput::failed(
            1,
            format!(
                "mkfs.xfs: {device} appears to contain an existing filesystem ({kind}).\nmkfs.xfs: Use the -f option to \
                 force overwrite.\n"
            ),
        ));
    }
    make(device, "xfs", label, state)?;
    Ok(ProgramOutput::printed(format!("meta-data={device:<22} isize=512    agcount=4, agsize=65536 blks\n")))
}

/// Makes an ext4 filesystem, and overwrites an existing one without asking, as mke2fs does without a terminal.
/// A label that is too long is cut with a warning, as by mke2fs.
fn mkfs_ext4(args: &Args<'_>, state: &StubState) -> io::Result<ProgramOutput> {
    let device = match device("mke2fs", args, state) {
        Ok(device) => device,
        Err(outcome) => return Ok(outcome),
    };
    let given = args.value("-L").unwrap_or_default();
    let label = &given[..given.floor_char_boundary(EXT4_LABEL)];
    let mut stderr = String::new();
    if label != given {
        stderr = format!("Warning: label too long; will be truncated to '{label}'\n\n");
    }
    make(device, "ext4", label, state)?;
    Ok(ProgramOutput { exit: 0, stdout: "Creating filesystem with 65536 4k blocks and 65536 inodes\n".into(), stderr })
}

/// Finds the device and the filesystem that a mount's source names.
fn resolved(source: &str, state: &StubState) -> Option<(String, String)> {
    let named = |field_name: &str, wanted: &str| {
        let mut all = state.entries(FILESYSTEMS).into_iter();
        let (name, found) = all.find(|(_, found)| field(found, field_name) == Some(wanted))?;
        Some((name.replace("%2F", "/").replace("%25", "%"), found))
    };
    for (prefix, name) in [("/dev/disk/by-label/", "LABEL"), ("/dev/disk/by-uuid/", "UUID")] {
        if let Some(wanted) = source.strip_prefix(prefix) {
            return named(name, wanted);
        }
    }
    Some((state.real(source), on_device(source, state)?))
}

/// Mounts as a mount unit's own file says. Returns false if there is no filesystem of the unit's type to mount.
pub(super) fn mount_unit(unit: &str, state: &StubState) -> io::Result<bool> {
    let text = fs::read_to_string(state.unit_file(unit)).unwrap_or_default();
    let get = |key: &str| field(&text, key).unwrap_or_default().trim();
    if get("Options") == "bind" {
        // Like systemd, makes the source of a bind mount.
        fs::create_dir_all(state.hosted(get("What")))?;
        let (source, target) = (get("What").to_owned(), state.hosted(get("Where")));
        state.mount(&Mount { source, target, kind: get("Type").to_owned() })?;
        return Ok(true);
    }
    let Some((source, found)) = resolved(get("What"), state) else { return Ok(false) };
    let kind = field(&found, "TYPE").unwrap_or_default().to_owned();
    if kind != get("Type") {
        return Ok(false);
    }
    state.mount(&Mount { source, target: state.hosted(get("Where")), kind })?;
    Ok(true)
}

/// Returns the message of mount(8) about a mount unit that failed.
pub(super) fn mount_error(unit: &str, state: &StubState) -> String {
    let text = fs::read_to_string(state.unit_file(unit)).unwrap_or_default();
    let get = |key: &str| field(&text, key).unwrap_or_default().trim();
    let (place, source) = (get("Where"), get("What"));
    match resolved(source, state) {
        None => format!("mount: {place}: special device {source} does not exist.\n"),
        Some((source, _)) => format!(
            "mount: {place}: wrong fs type, bad option, bad superblock on {source}, missing codepage or helper \
             program, or other error.\n"
        ),
    }
}

/// Unmounts what a mount unit mounted.
pub(super) fn unmount_unit(unit: &str, state: &StubState) -> io::Result<()> {
    let text = fs::read_to_string(state.unit_file(unit)).unwrap_or_default();
    state.unmount(&state.hosted(field(&text, "Where").unwrap_or_default()))
}

/// Reports an unchanged size: no device of a rehearsal is enlarged.
fn xfs_growfs(args: &Args<'_>, state: &StubState) -> ProgramOutput {
    let target = args.operand();
    let of_xfs = |mount: &Mount| mount.target == state.hosted(target) && mount.kind == "xfs";
    match state.mounts().iter().find(|mount| of_xfs(mount)) {
        Some(mount) => ProgramOutput::printed(format!(
            "meta-data={:<22} isize=512    agcount=4, agsize=65536 blks\ndata size unchanged, skipping\n",
            mount.source
        )),
        None => ProgramOutput::failed(1, format!("xfs_growfs: {target} is not a mounted XFS filesystem\n")),
    }
}

fn resize2fs(args: &Args<'_>, state: &StubState) -> ProgramOutput {
    const VERSION: &str = "resize2fs 1.47.0 (5-Feb-2023)\n";
    let device = args.operand();
    let found = on_device(device, state).unwrap_or_default();
    if field(&found, "TYPE") == Some("ext4") {
        let text = format!("{VERSION}The filesystem is already 65536 (4k) blocks long.  Nothing to do!\n\n");
        return ProgramOutput { exit: 0, stdout: String::new(), stderr: text };
    }
    let text = format!(
        "{VERSION}resize2fs: Bad magic number in super-block while trying to open {device}\nCouldn't find valid filesystem superblock.\n"
    );
    ProgramOutput::failed(1, text)
}
