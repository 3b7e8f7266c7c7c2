//! The checks that concern more than one value of the configuration.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::path::Path;

use super::problem::{self, Problem};
use super::types::{StackName, Variable};
use super::yaml::{Node, Value};
use super::{Config, Docker, Signal, mount_points};

/// The checks that concern more than one value.
pub fn check_together(config: &Config, root: &Node) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut report = |path: &[&str], message: String, remedy: &str| {
        if problems.len() > problem::MOST {
            return;
        }
        let nearest = (0..=path.len()).rev().find_map(|length| root.at(&path[..length]));
        problems.push(Problem {
            span: nearest.map(|node| node.span.clone()),
            message,
            remedy: Some(remedy.to_owned()),
        });
    };
    if let Some(signal) = &config.signal {
        check_signal(signal, root, &mut report);
    }
    check_log_names(config, &mut report);
    let mut mounts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut labels: BTreeMap<String, usize> = BTreeMap::new();
    let mut devices: BTreeMap<String, usize> = BTreeMap::new();
    let mut places: BTreeSet<&Path> = BTreeSet::new();
    for (index, volume) in config.storage.iter().enumerate() {
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
        if let Some(why) = mount_points::why_not(&volume.mount) {
            let message = format!("a volume can't be mounted on {}: {why}", volume.mount);
            report(
                &["storage", &at, "mount"],
                message,
                "choose a directory of its own, such as /data or /var/lib/docker",
            );
        }
        if let Some(other) = mounts.insert(volume.mount.as_str(), index) {
            report(
                &["storage", &at, "mount"],
                format!("`storage[{other}]` is already mounted on {}", volume.mount),
                "choose another path",
            );
        }
        if let Some(other) = devices.insert(volume.device.disk(), index) {
            let message = match &config.storage[other].device {
                same if *same == volume.device => format!("`storage[{other}]` already uses {same}"),
                other_name => {
                    format!("`storage[{other}]` already uses {other_name}, which is another name of this disk")
                }
            };
            report(&["storage", &at, "device"], message, "give each volume a device of its own");
        }
        let mount = Path::new(volume.mount.as_str());
        // In the order of paths, what lies below one follows it.
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
                "give each volume a label of its own: it is mounted by it",
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

fn check_signal(signal: &Signal, root: &Node, report: &mut impl FnMut(&[&str], String, &str)) {
    let both = "`signal` wants `stack` and `resource`, or `wait_handle`";
    let any = "`signal` wants `stack` and `resource`, or `wait_handle`, or `lifecycle_hook`";
    // A value that was refused is missing in the signal, too, and has been reported; nothing is as good as left out.
    let given = |key: &str| root.at(&["signal", key]).is_some_and(|node| node.value != Value::Null);
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

fn check_log_names(config: &Config, report: &mut impl FnMut(&[&str], String, &str)) {
    let mut listed = BTreeSet::new();
    for (index, file) in config.logs.files.iter().enumerate() {
        if !listed.insert(&file.path) {
            let at = index.to_string();
            report(&["logs", "files", &at, "path"], format!("{} is listed twice", file.path), "list it once");
        }
    }
    let signal = config.signal.as_ref();
    let templates = [("group", config.logs.group.as_ref()), ("stream", Some(&config.logs.stream))];
    for (key, template) in templates.into_iter().filter_map(|(key, template)| Some((key, template?))) {
        for variable in template.variables() {
            let (name, known, remedy) = match variable {
                Variable::Stack => (
                    "${stack}",
                    signal.is_some_and(|signal| signal.stack.is_some()),
                    "set `signal.stack`, or write the name itself",
                ),
                Variable::Resource => (
                    "${resource}",
                    signal.is_some_and(|signal| signal.resource.is_some()),
                    "set `signal.resource`, or write the name itself",
                ),
                Variable::Cluster => {
                    ("${cluster}", config.ecs.is_some(), "set `ecs.cluster`, or write the name itself")
                }
                Variable::Region | Variable::Account => continue,
            };
            if !known {
                report(&["logs", key], format!("`{name}` has no value here"), remedy);
            }
        }
    }
}
