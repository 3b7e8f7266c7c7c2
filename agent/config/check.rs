//! The checks that concern more than one value of the configuration.

mod logs;
mod meant;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ops::Bound;
use std::path::Path;

use self::meant::{indices, is_meant};
use super::hooks::HookPoint;
use super::mount_options::{self, Fault};
use super::mount_points;
use super::sections::{Config, Docker, Signal, Volume};
use super::types::{Device, StackName};
use crate::document::problem::{self, Problem};
use crate::document::yaml::{Node, NodeId};

/// Checks a configuration for mistakes that concern more than one value. The configuration lacks the refused parts of its
/// tree.
pub fn check_together(config: &Config, root: &Node, refused: &HashSet<NodeId>) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut report = |path: &[&str], message: String, remedy: &str| {
        if problems.len() > problem::MOST {
            return;
        }
        let nearest = (0..=path.len()).rev().find_map(|length| root.at(&path[..length]));
        let problem = nearest.map_or_else(|| Problem::general(&message), |node| Problem::at(&node.span, &message));
        problems.push(problem.remedy(remedy));
    };
    if let Some(signal) = &config.signal {
        check_signal(signal, root, refused, &mut report);
    }
    logs::check(config, root, refused, &mut report);
    check_hooks(config, root, refused, &mut report);
    let indices = indices(root, &["storage"], refused);
    let mut mounts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut labels: BTreeMap<String, usize> = BTreeMap::new();
    let mut devices: BTreeMap<String, (usize, &Device)> = BTreeMap::new();
    let mut places: BTreeSet<&Path> = BTreeSet::new();
    for (volume, index) in config.storage.iter().zip(indices) {
        let at = index.to_string();
        let (label, longest) = (volume.label(), volume.filesystem.longest_label());
        if label.len() > longest {
            let name = volume.filesystem.name();
            report(
                &["storage", &at, "label"],
                format!("the label `{label}` is too long for {name}"),
                &format!("{name} has labels of up to {longest} characters"),
            );
        }
        check_options(volume, &at, root, refused, &mut report);
        if let Some(why) = mount_points::why_not(&volume.mount) {
            let message = format!("a volume can't be mounted on {}: {why}", volume.mount);
            report(
                &["storage", &at, "mount"],
                message,
                "choose a separate directory, such as /data or /var/lib/docker",
            );
        }
        if let Some(other) = mounts.insert(volume.mount.as_str(), index) {
            report(
                &["storage", &at, "mount"],
                format!("`storage[{other}]` is already mounted on {}", volume.mount),
                "choose another path",
            );
        }
        if let Some(other) = devices.insert(volume.device.disk(), (index, &volume.device)) {
            let (other, device) = other;
            let message = match device == &volume.device {
                true => format!("`storage[{other}]` already uses {device}"),
                false => format!("`storage[{other}]` already uses {device}, which is another name of this disk"),
            };
            report(&["storage", &at, "device"], message, "give each volume its own device");
        }
        let mount = Path::new(volume.mount.as_str());
        // In the order of paths, a path below another one follows it.
        let mut next = places.range::<Path, _>((Bound::Excluded(mount), Bound::Unbounded));
        let below = next.next().filter(|below| below.starts_with(mount)).map(|below| below.display());
        if let Some(below) = below {
            let message = format!("mounting {} would hide {below}, which is mounted before it", volume.mount);
            report(&["storage", &at, "mount"], message, "put the volume with the shorter path first");
        }
        places.insert(mount);
        if let Some(other) = labels.insert(label.clone(), index) {
            report(
                &["storage", &at],
                format!("`storage[{other}]` already has the label `{label}`"),
                "give each volume its own label: volumes are mounted by label",
            );
        }
    }
    let given_twice = |docker: &Docker| docker.data_root.is_some() && docker.daemon.contains_key("data-root");
    if config.docker.as_ref().is_some_and(given_twice) {
        let message = "Docker's data root is given twice".to_owned();
        report(&["docker", "daemon", "data-root"], message, "keep `docker.data_root`");
    }
    problems
}

/// Reports mount options with which no kernel mounts the volume.
fn check_options(
    volume: &Volume,
    at: &str,
    root: &Node,
    refused: &HashSet<NodeId>,
    report: &mut impl FnMut(&[&str], String, &str),
) {
    for (option, index) in volume.options.iter().zip(indices(root, &["storage", at, "options"], refused)) {
        let (message, remedy) = match mount_options::fault(option.as_str(), volume.filesystem) {
            Some(Fault::Never) => (
                format!("no volume can be mounted with `{option}`"),
                "leave it out: a volume is a disk, and is mounted itself",
            ),
            Some(Fault::OfOther(other)) => {
                let (other, own) = (other.name(), volume.filesystem.name());
                (format!("`{option}` is an option of {other}, which {own} refuses"), "leave it out")
            }
            Some(Fault::Lost | Fault::Unknown(_)) | None => continue,
        };
        report(&["storage", at, "options", &index.to_string()], message, remedy);
    }
}

fn check_signal(
    signal: &Signal,
    root: &Node,
    refused: &HashSet<NodeId>,
    report: &mut impl FnMut(&[&str], String, &str),
) {
    let both = "`signal` wants `stack` and `resource`, or `wait_handle`";
    let any = "`signal` wants `stack` and `resource`, or `wait_handle`, or `lifecycle_hook`";
    // Where the text breaks off, the target may have been meant to follow.
    if root.get("signal").is_none_or(|signal| signal.cut) {
        return;
    }
    let given = |key: &str| is_meant(root, &["signal", key], refused);
    match (given("stack"), given("resource"), given("wait_handle")) {
        (true, true, false) | (false, false, true) => {}
        (_, _, true) => report(&["signal", "wait_handle"], "there are two targets for one signal".to_owned(), both),
        (true, false, _) => report(
            &["signal", "stack"],
            "the signal has a stack, but no resource".to_owned(),
            "add `resource`: the logical id of the Auto Scaling group or instance in the template",
        ),
        (false, true, _) => report(
            &["signal", "resource"],
            "the signal has a resource, but no stack".to_owned(),
            "add `stack`: ${AWS::StackName} or ${AWS::StackId}",
        ),
        (false, false, false) if given("lifecycle_hook") => {}
        (false, false, false) => report(&["signal"], "the signal has no target".to_owned(), any),
    }
    if let (Some(region), Some(of_stack)) = (&signal.region, signal.stack.as_ref().and_then(StackName::region))
        && region.as_str() != of_stack
    {
        report(
            &["signal", "region"],
            format!("the stack is in {of_stack}, not in {region}"),
            "leave `region` out: the stack's ARN has it",
        );
    }
}

/// Reports hooks with the name of another one, and those that wait for a registration that nobody asks for.
fn check_hooks(
    config: &Config,
    root: &Node,
    refused: &HashSet<NodeId>,
    report: &mut impl FnMut(&[&str], String, &str),
) {
    let mut names: BTreeMap<&str, String> = BTreeMap::new();
    for point in HookPoint::ALL {
        for (hook, index) in config.hooks.at(point).iter().zip(indices(root, &["hooks", point.key()], refused)) {
            let place = format!("hooks.{}[{index}]", point.key());
            if let Some(other) = names.insert(hook.name.as_str(), place) {
                report(
                    &["hooks", point.key(), &index.to_string(), "name"],
                    format!("`{other}` already has the name `{}`", hook.name),
                    "give each hook its own name: by its name the instance knows whether the hook has run",
                );
            }
        }
    }
    if !config.hooks.after_registration.is_empty() && !is_meant(root, &["ecs"], refused) {
        report(
            &["hooks", "after_registration"],
            "nothing registers here: there is no `ecs`".to_owned(),
            "add `ecs`, or move these hooks to `before_docker` or `before_ecs`",
        );
    }
}
