//! The part of `mdadm` that an instance store needs: create, assemble, remove a superblock.
//!
//! The files that the kernel would show for an array are written below the root's `/sys`.

use std::fs;
use std::io;
use std::path::Path;

use super::args::Args;
use super::record::{field, on_device, uuid};
use crate::rehearse::programs::call::ProgramOutput;
use crate::rehearse::programs::state::{ARRAYS, FILESYSTEMS, StubState};

/// The device node of an array. Linux counts down from this number.
const NODE: &str = "md127";

pub(super) fn mdadm(args: &Args<'_>, state: &StubState) -> io::Result<ProgramOutput> {
    let Some((first, others)) = args.operands.split_first() else {
        return Ok(ProgramOutput::default());
    };
    if args.value("--zero-superblock").is_some() {
        return zero(first, state);
    }
    for member in others {
        if !state.device(member).exists() {
            return Ok(ProgramOutput::failed(1, format!("mdadm: cannot open {member}: No such file or directory\n")));
        }
        if fs::read_dir(state.hosted(&holders(member))).is_ok_and(|mut held| held.next().is_some()) {
            return Ok(ProgramOutput::failed(1, format!("mdadm: {member} is busy - skipping\n")));
        }
    }
    if args.value("--create").is_some() {
        return create(first, others, args, state);
    }
    if args.value("--assemble").is_some() {
        return assemble(first, others, state);
    }
    Ok(ProgramOutput::failed(2, "mdadm: An option must be given to set the mode before a second device\n"))
}

fn create(array: &str, members: &[&str], args: &Args<'_>, state: &StubState) -> io::Result<ProgramOutput> {
    if args.value("--raid-devices") != Some(members.len().to_string().as_str()) {
        let text = format!("mdadm: You haven't given enough devices (real or missing) to create this array\n{array}\n");
        return Ok(ProgramOutput::failed(1, text));
    }
    let id = uuid(array, "array", &members.join(" "));
    let value = |option: &str| args.value(option).unwrap_or_default();
    let label = format!("{}:{}", value("--homehost"), value("--name"));
    for member in members {
        let own = uuid(member, "member", &label);
        let text =
            format!("UUID={id}\nUUID_SUB={own}\nLABEL={label}\nVERSION=1.2\nTYPE=linux_raid_member\nUSAGE=raid\n");
        state.write(FILESYSTEMS, &state.real(member), &text)?;
    }
    state.write(ARRAYS, &id, &members.len().to_string())?;
    state.remove(FILESYSTEMS, &state.real(&format!("/dev/{NODE}")))?;
    start(array, members, state)?;
    Ok(ProgramOutput::failed(0, format!("mdadm: Defaulting to version 1.2 metadata\nmdadm: array {array} started.\n")))
}

fn assemble(array: &str, members: &[&str], state: &StubState) -> io::Result<ProgramOutput> {
    let mut ids = Vec::new();
    for member in members {
        let found = on_device(member, state).unwrap_or_default();
        let Some(id) = field(&found, "UUID").filter(|_| field(&found, "TYPE") == Some("linux_raid_member")) else {
            let text = format!(
                "mdadm: no recogniseable superblock on {member}\nmdadm: {member} has no superblock - assembly aborted\n"
            );
            return Ok(ProgramOutput::failed(1, text));
        };
        ids.push(id.to_owned());
    }
    let wanted = ids.first().and_then(|id| state.read(ARRAYS, id)).unwrap_or_default();
    if wanted != members.len().to_string() {
        let text = format!("mdadm: {array} assembled from {} drives - not enough to start the array.\n", members.len());
        return Ok(ProgramOutput::failed(1, text));
    }
    start(array, members, state)?;
    Ok(ProgramOutput::failed(0, format!("mdadm: {array} has been started with {wanted} drives.\n")))
}

fn zero(member: &str, state: &StubState) -> io::Result<ProgramOutput> {
    let found = on_device(member, state).unwrap_or_default();
    if field(&found, "TYPE") != Some("linux_raid_member") {
        return Ok(ProgramOutput::failed(2, format!("mdadm: Unrecognised md component device - {member}\n")));
    }
    state.remove(FILESYSTEMS, &state.real(member))?;
    Ok(ProgramOutput::default())
}

/// Writes the files of an array as the kernel shows them, its node, and the link that udev makes.
fn start(array: &str, members: &[&str], state: &StubState) -> io::Result<()> {
    let write = |path: String, text: &str| {
        let at = state.hosted(&path);
        at.parent().map_or(Ok(()), fs::create_dir_all)?;
        fs::write(at, text)
    };
    for member in members {
        write(format!("{}/{NODE}", holders(member)), "")?;
    }
    write(format!("/sys/class/block/{NODE}/md/array_state"), "clean\n")?;
    write(format!("/sys/class/block/{NODE}/md/raid_disks"), &format!("{}\n", members.len()))?;
    write(format!("/dev/{NODE}"), "")?;
    let link = state.hosted(array);
    link.parent().map_or(Ok(()), fs::create_dir_all)?;
    let _ = fs::remove_file(&link);
    std::os::unix::fs::symlink(state.hosted(&format!("/dev/{NODE}")), link)
}

/// Returns the folder in which sysfs lists the holders of a device.
fn holders(member: &str) -> String {
    let name = Path::new(member).file_name().unwrap_or_default().to_string_lossy().into_owned();
    format!("/sys/class/block/{name}/holders")
}
