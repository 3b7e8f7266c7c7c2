//! Checks the units of an image: what pulls our unit in, and what would start before it.

use super::super::finding::{Check, Finding};
use crate::host::Host;
use crate::well_known::{
    AWSLOGS_UNIT, CLOUD_INIT_NETWORK_UNIT, CLOUD_INIT_UNIT, CLOUDWATCH_UNIT, CONTAINERD_UNIT, DOCKER_SOCKET_UNIT,
    DOCKER_UNIT, ECS_UNIT, OUR_UNIT, UNITS, VENDOR_UNITS,
};

/// The target that pulls our unit in on every boot.
const TARGET: &str = "cloud-init.target";
/// The stage of cloud-init that brings the network and the user data. Its unit was renamed in cloud-init 24.3.
const NETWORK_STAGE: [&str; 2] = [CLOUD_INIT_UNIT, CLOUD_INIT_NETWORK_UNIT];
/// Units that start before ours. A unit that they pull in can't wait for ours: systemd would break the cycle by leaving a
/// job out.
const BEFORE_US: [&str; 8] = [
    "sysinit.target",
    "basic.target",
    "sockets.target",
    "local-fs.target",
    "network.target",
    "network-online.target",
    CLOUD_INIT_UNIT,
    CLOUD_INIT_NETWORK_UNIT,
];
/// Folders in which systemd looks for units, in systemd's order (systemd.unit(5)).
const FOLDERS: [&str; 4] = [UNITS, "/usr/local/lib/systemd/system", VENDOR_UNITS, "/lib/systemd/system"];
/// Endings of the folders whose links pull a unit in.
const PULLS_IN: [&str; 3] = [".wants", ".requires", ".upholds"];

/// Returns the path of a unit's file.
pub fn file(host: &Host, unit: &str) -> Option<String> {
    FOLDERS.iter().map(|folder| format!("{folder}/{unit}")).find(|path| host.has(path))
}

fn is_masked(host: &Host, unit: &str) -> bool {
    file(host, unit).and_then(|path| host.link(&path)).is_some_and(|target| target == "/dev/null")
}

/// Lists the units that pull this unit in, under any of the unit's names.
fn pulled_in_by(host: &Host, unit: &str) -> Vec<String> {
    let mut by = Vec::new();
    for folder in FOLDERS {
        for name in host.names(folder).unwrap_or_default() {
            let Some(other) = PULLS_IN.iter().find_map(|end| name.strip_suffix(end)) else { continue };
            let links = format!("{folder}/{name}");
            let is_it = |entry: &String| {
                entry == unit
                    || host
                        .link(&format!("{links}/{entry}"))
                        .is_some_and(|target| target.rsplit('/').next() == Some(unit))
            };
            if host.names(&links).unwrap_or_default().iter().any(is_it) && !by.contains(&other.to_owned()) {
                by.push(other.to_owned());
            }
        }
    }
    by
}

/// Checks that cloud-init is installed, and neither disabled nor masked.
pub fn cloud_init(host: &Host) -> Finding {
    let check = Check::CloudInit;
    let problem = |found: String, remedy: &str| {
        let why = format!("cloud-init's {TARGET} pulls {OUR_UNIT} in: without it nothing happens at boot");
        Finding::problem(check, found, why, remedy)
    };
    let has_stage = NETWORK_STAGE.iter().any(|unit| file(host, unit).is_some());
    if file(host, TARGET).is_none() || !has_stage {
        let remedy = "install cloud-init; the ECS-optimized images have it";
        return problem("cloud-init is missing".to_owned(), remedy);
    }
    let disabled = "/etc/cloud/cloud-init.disabled";
    if host.has(disabled) {
        return problem(format!("{disabled} disables cloud-init"), "delete it");
    }
    let masked = [TARGET].into_iter().chain(NETWORK_STAGE).find(|unit| is_masked(host, unit));
    match masked {
        Some(unit) => problem(format!("{unit} is masked"), &format!("`systemctl unmask {unit}`")),
        None => Finding::ok(check, "it is there, and not disabled"),
    }
}

/// Checks that our unit is pulled in. Another check looks for the unit's file.
pub fn ours(host: &Host) -> Finding {
    let by = pulled_in_by(host, OUR_UNIT);
    match by.iter().any(|unit| unit == TARGET) {
        true => Finding::ok(Check::Units, format!("{OUR_UNIT} is enabled")),
        false => Finding::problem(
            Check::Units,
            format!("{OUR_UNIT} is not enabled: {TARGET} does not pull it in"),
            "nothing would start it, so nothing would happen at boot",
            format!("`systemctl enable {OUR_UNIT}`"),
        ),
    }
}

/// Checks that the units that this agent starts exist, and wait for it.
pub fn started_by_us(host: &Host) -> Vec<Finding> {
    let mut findings = Vec::new();
    for unit in [DOCKER_UNIT, ECS_UNIT] {
        if file(host, unit).is_none() {
            findings.push(Finding::problem(
                Check::Units,
                format!("{unit} is missing"),
                "an ECS container instance needs Docker and the ECS agent",
                "bake from an image that has them (ecs-init), such as the ECS-optimized ones",
            ));
        }
    }
    for unit in [DOCKER_UNIT, DOCKER_SOCKET_UNIT, ECS_UNIT, CLOUDWATCH_UNIT, AWSLOGS_UNIT] {
        findings.extend(too_early_or_never(host, unit));
    }
    findings.extend(containerd_too_early(host));
    if findings.is_empty() {
        findings.push(Finding::ok(Check::Units, "Docker, the ECS agent and the log agent wait for it"));
    }
    findings
}

/// Finds a containerd that is enabled and does not wait for our unit. A volume may be mounted on containerd's directory,
/// which containerd must not have open by then.
fn containerd_too_early(host: &Host) -> Option<Finding> {
    let by = pulled_in_by(host, CONTAINERD_UNIT);
    let early: Vec<_> = by.iter().filter(|unit| BEFORE_US.contains(&unit.as_str())).map(String::as_str).collect();
    let (units, remedy) = match early.as_slice() {
        [] if by.is_empty() || waits_for_us(host, CONTAINERD_UNIT) => return None,
        [] => (by.join(", "), "install ecs-firstrun again with builder-scripts/install.sh".to_owned()),
        _ => (
            early.join(", "),
            format!("`systemctl disable {CONTAINERD_UNIT}`, or let multi-user.target alone pull it in"),
        ),
    };
    Some(Finding::problem(
        Check::Units,
        format!("{CONTAINERD_UNIT} is enabled, and would not wait for {OUR_UNIT}: {units} pulls it in"),
        "Docker may keep images in containerd, whose directory is mounted from a volume before it starts",
        remedy,
    ))
}

/// Tells whether a unit is ordered after our unit, by our unit's file or by its own drop-ins.
fn waits_for_us(host: &Host, unit: &str) -> bool {
    let text = file(host, OUR_UNIT).and_then(|path| host.read(&path).ok().flatten()).unwrap_or_default();
    let mut orders = text.lines().filter_map(|line| line.strip_prefix("Before="));
    let drop_ins = FOLDERS.iter().flat_map(|folder| host.read_folder(&format!("{folder}/{unit}.d"), ".conf"));
    orders.any(|units| units.split(' ').any(|name| name == unit))
        || drop_ins.flatten().any(|(_, text)| text.contains(OUR_UNIT))
}

fn too_early_or_never(host: &Host, unit: &str) -> Option<Finding> {
    if is_masked(host, unit) {
        return Some(Finding::problem(
            Check::Units,
            format!("{unit} is masked"),
            "a unit that is masked can't be started",
            format!("`systemctl unmask {unit}`"),
        ));
    }
    let by = pulled_in_by(host, unit);
    if by.is_empty() {
        return None;
    }
    Some(Finding::problem(
        Check::Units,
        format!("{unit} is enabled: {} pulls it in", by.join(", ")),
        format!("it would start before {OUR_UNIT} has configured it, or hold the boot up for it"),
        format!("`systemctl disable {unit}`; {OUR_UNIT} starts it on every boot"),
    ))
}
