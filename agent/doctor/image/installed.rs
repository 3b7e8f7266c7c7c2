//! Checks the files of this agent itself: the binary, its unit, and the files beside it.

use super::super::finding::{Check, Finding};
use super::elf::{self, Program};
use crate::host::Host;
use crate::well_known::{BINARY, OUR_UNIT};

/// Paths of a program that each image has, and that tells the image's processor.
const SYSTEMD: [&str; 2] = ["/usr/lib/systemd/systemd", "/lib/systemd/systemd"];
/// Folders in which systemd looks before it looks in /usr/lib/systemd.
const BEFORE: [&str; 3] = ["/etc/systemd", "/run/systemd", "/usr/local/lib/systemd"];

/// Pairs the path of an installed file with the text that this binary has of it.
macro_rules! with_text {
    ($path:literal) => {
        ($path, include_str!(concat!("../../../builder-scripts/files", $path)))
    };
}

/// The files that an image needs beside the binary, with the texts that belong to this binary.
pub const INSTALLED: [(&str, &str); 8] = [
    with_text!("/usr/lib/systemd/system/ecs-firstrun.service"),
    with_text!("/usr/lib/systemd/system/docker.service.d/10-ecs-firstrun.conf"),
    with_text!("/usr/lib/systemd/system/ecs.service.d/10-ecs-firstrun.conf"),
    with_text!("/usr/lib/systemd/system/cloud-init.service.d/10-ecs-firstrun.conf"),
    with_text!("/usr/lib/systemd/system/cloud-init-network.service.d/10-ecs-firstrun.conf"),
    with_text!("/usr/lib/ecs-firstrun/part_handler.py"),
    with_text!("/usr/lib/systemd/system-preset/10-ecs-firstrun.preset"),
    with_text!("/etc/cloud/cloud.cfg.d/91-ecs-firstrun.cfg"),
];

/// Checks whether the binary would run on each instance.
pub fn binary(host: &Host) -> Finding {
    let check = Check::Binary;
    let problem = |found: String, remedy: &str| {
        Finding::problem(check, found, format!("{OUR_UNIT} runs this binary, which does all the work"), remedy)
    };
    let (head, executable) = match host.head(BINARY, elf::HEAD) {
        Ok(Some(found)) => found,
        Ok(None) => return problem(format!("{BINARY} is missing"), "install it: builder-scripts/install.sh does"),
        Err(error) => return Finding::not_made(check, &error),
    };
    if !executable {
        return problem(format!("{BINARY} is not executable"), &format!("`chmod 0755 {BINARY}`"));
    }
    let Some(program) = elf::read(&head) else {
        let found = format!("{BINARY} is not a program for x86_64 or arm64");
        return problem(found, "it may be incomplete: install it again");
    };
    let Program { machine, is_static } = program;
    if !is_static {
        return problem(
            format!("{BINARY} needs a dynamic linker"),
            "install the static binary that `make build` makes, which needs no C library of the image",
        );
    }
    let systemd = SYSTEMD.into_iter().find_map(|path| elf::read(&host.head(path, elf::HEAD).ok()??.0));
    match systemd {
        Some(systemd) if systemd.machine != machine => problem(
            format!("{BINARY} is made for {machine}, and the image for {}", systemd.machine),
            "build it for the image's architecture: `make build ARCH=x86_64`, or ARCH=arm64",
        ),
        Some(_) => Finding::ok(check, format!("static, and for {machine}, like the image")),
        None => Finding::unknown(
            check,
            format!("it is static, for {machine}; the image has no systemd to compare that with"),
        ),
    }
}

/// Checks that the files belong to this binary, and that systemd reads these files and no others in their place.
pub fn files(host: &Host) -> Vec<Finding> {
    let check = Check::Installed;
    let mut findings: Vec<_> = INSTALLED.iter().filter_map(|(path, text)| differs(host, path, text)).collect();
    if findings.is_empty() {
        let names = INSTALLED.iter().filter_map(|(path, _)| path.rsplit('/').next());
        findings.push(Finding::ok(check, format!("{} files match this version, among them {OUR_UNIT}", names.count())));
    }
    findings
}

fn differs(host: &Host, path: &str, text: &str) -> Option<Finding> {
    let problem = |found: String, remedy: String| {
        let why = "this version of ecs-firstrun needs the file that belongs to it, unchanged";
        Some(Finding::problem(Check::Installed, found, why, remedy))
    };
    let reinstall = || "install it again with builder-scripts/install.sh".to_owned();
    match host.read(path) {
        Ok(None) => return problem(format!("{path} is missing"), reinstall()),
        Ok(Some(found)) if found != text => {
            let found = format!("{path} is not the file of ecs-firstrun {}", env!("CARGO_PKG_VERSION"));
            return problem(found, reinstall());
        }
        Ok(Some(_)) => {}
        Err(error) => return Some(Finding::not_made(Check::Installed, &error)),
    }
    let below = path.strip_prefix("/usr/lib/systemd")?;
    let stands_before = BEFORE.iter().map(|folder| format!("{folder}{below}")).find(|path| host.has(path))?;
    let remedy = "delete it; put the image's own changes into a drop-in with another name".to_owned();
    problem(format!("{stands_before} overrides {path}"), remedy)
}
