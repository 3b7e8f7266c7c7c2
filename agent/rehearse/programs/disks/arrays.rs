//! The part of `mdadm` that an instance store needs: create, assemble, remove a superblock, stop.
//!
//! The files that the kernel would show for an array are written below the root's `/sys`.

use std::fs;
use std::io;
use std::path::Path;

use super::super::ProgramOutput;
use super::super::state::{ARRAYS, FILESYSTEMS, StubState, real};
use super::{Args, field, on_device, uuid};

/// The device node of an array. Linux counts down from this number.
const NODE: &str = "md127";

pub(super) fn mdadm(args: &Args<'_>, state: &StubState) -> io::Result<ProgramOutput> {
    let Some((first, others)) = args.operands.split_first() else {
        return Ok(ProgramOutput::default());
    };
    if args.has(&["--zero-superblock"]) {
        return zero(first, state);
    }
    if args.has(&["--stop", "-S"]) {
        stop(state)?;
        return Ok(ProgramOutput::failed(0, format!("mdadm: stopped {first}\n")));
    }
    for member in others {
        if !state.device(member).exists() {
            return Ok(ProgramOutput::failed(1, format!("mdadm: cannot open {member}: No such file or directory\n")));
        }
        if fs::read_dir(state.hosted(&holders(member))).is_ok_and(|mut held| held.next().is_some()) {
            return Ok(ProgramOutput::failed(1, format!("mdadm: {member} is busy - skipping\n")));
        }
    }
    if args.has(&["--create", "-C"]) {
        return create(first, others, args, state);
    }
    if args.has(&["--assemble", "-A"]) {
        return assemble(first, others, state);
    }
    Ok(ProgramOutput::failed(2, "mdadm: An option must be given to set the mode before a second device\n"))
}

fn create(array: &str, members: &[&str], args: &Args<'_>, state: &StubState) -> io::Result<ProgramOutput> {
    if args.value(&["-n", "--raid-devices"]) != Some(members.len().to_string().as_str()) {
        let text = format!("mdadm: You haven't given enough devices (real or missing) to create this array\n{array}\n");
        return Ok(ProgramOutput::failed(1, text));
    }
    let id = uuid(Path::new(array), "array", &members.join(" "));
    let (host, name) = (args.value(&["--homehost"]), args.value(&["-N", "--name"]).unwrap_or_default());
    let label = host.map_or_else(|| name.to_owned(), |host| format!("{host}:{name}"));
    for member in members {
        let own = uuid(Path::new(member), "member", &label);
        let text =
            format!("UUID={id}\nUUID_SUB={own}\nLABEL={label}\nVERSION=1.2\nTYPE=linux_raid_member\nUSAGE=raid\n");
        state.write(FILESYSTEMS, &real(&state.device(member)).to_string_lossy(), &text)?;
    }
    state.write(ARRAYS, &id, &members.len().to_string())?;
    let node = state.hosted(&format!("/dev/{NODE}"));
    state.remove(FILESYSTEMS, &real(&node).to_string_lossy())?;
    start(array, members, state)?;
    Ok(ProgramOutput::failed(0, format!("mdadm: Defaulting to version 1.2 metadata\nmdadm: array {array} started.\n")))
}

fn assemble(array: &str, members: &[&str], state: &StubState) -> io::Result<ProgramOutput> {
    let mut ids = Vec::new();
    for member in members {
        let found = on_device(&state.device(member), state).unwrap_or_default();
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
    let found = on_device(&state.device(member), state).unwrap_or_default();
    if field(&found, "TYPE") != Some("linux_raid_member") {
        return Ok(ProgramOutput::failed(2, format!("mdadm: Unrecognised md component device - {member}\n")));
    }
    state.remove(FILESYSTEMS, &real(&state.device(member)).to_string_lossy())?;
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

fn stop(state: &StubState) -> io::Result<()> {
    let blocks = state.hosted("/sys/class/block");
    for block in fs::read_dir(&blocks).into_iter().flatten().flatten() {
        let _ = fs::remove_file(block.path().join("holders").join(NODE));
    }
    let _ = fs::remove_dir_all(blocks.join(NODE));
    let _ = fs::remove_file(state.hosted(&format!("/dev/{NODE}")));
    Ok(())
}

/// Returns the folder in which sysfs lists the holders of a device.
fn holders(member: &str) -> String {
    let name = Path::new(member).file_name().unwrap_or_default().to_string_lossy().into_owned();
    format!("/sys/class/block/{name}/holders")
}
