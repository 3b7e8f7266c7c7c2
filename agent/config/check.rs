//! The checks that concern more than one value of the configuration.

mod checks;
mod logs;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ops::Bound;
use std::path::Path;

use self::checks::Checks;
use super::hooks::HookPoint;
use super::mount_options::{self, Fault};
use super::mount_points;
use super::sections::{Aws, Config, Docker, Signal, Volume};
use super::types::{Device, StackName};
use crate::document::problem::Problem;
use crate::document::yaml::{Node, NodeId};

/// Checks a configuration for mistakes that concern more than one value. The configuration lacks the refused parts of its
/// tree.
pub fn check_together(config: &Config, root: &Node, refused: &HashSet<NodeId>) -> Vec<Problem> {
    let mut checks = Checks { root, refused, problems: Vec::new() };
    if let Some(signal) = &config.signal {
        checks.signal(signal);
    }
    logs::check(config, &mut checks);
    checks.hooks(config);
    checks.volumes(&config.storage);
    checks.aws(config);
    checks.pulls(config);
    let given_twice = |docker: &Docker| docker.data_root.is_some() && docker.daemon.contains_key("data-root");
    if config.docker.as_ref().is_some_and(given_twice) {
        let at = ["docker", "daemon", "data-root"];
        checks.report(&at, "Docker's data root is given twice", "keep `docker.data_root`");
    }
    checks.problems
}

impl Checks<'_> {
    fn signal(&mut self, signal: &Signal) {
        let both = "`signal` needs `stack` and `resource`, or `wait_handle`";
        let any = "`signal` needs `stack` and `resource`, or `wait_handle`, or `lifecycle_hook`";
        // Where the text breaks off, the target may have been meant to follow.
        if self.root.get("signal").is_none_or(|signal| signal.cut) {
            return;
        }
        let given = ["stack", "resource", "wait_handle"].map(|key| self.is_meant(&["signal", key]));
        match given {
            [true, true, false] | [false, false, true] => {}
            [_, _, true] => self.report(&["signal", "wait_handle"], "there are two targets for one signal", both),
            [true, false, _] => self.report(
                &["signal", "stack"],
                "the signal has a stack, but no resource",
                "add `resource`: the logical ID of the Auto Scaling group or instance in the template",
            ),
            [false, true, _] => self.report(
                &["signal", "resource"],
                "the signal has a resource, but no stack",
                "add `stack`: ${AWS::StackName} or ${AWS::StackId}",
            ),
            [false, false, false] if self.is_meant(&["signal", "lifecycle_hook"]) => {}
            [false, false, false] => self.report(&["signal"], "the signal has no target", any),
        }
        if let (Some(region), Some(of_stack)) = (&signal.region, signal.stack.as_ref().and_then(StackName::region))
            && region.as_str() != of_stack
        {
            let message = format!("the stack is in {of_stack}, not in {region}");
            self.report(&["signal", "region"], message, "leave `region` out: the stack's ARN has it");
        }
    }

    /// Reports hooks with the name of another one, and those that wait for a registration that nobody asks for.
    fn hooks(&mut self, config: &Config) {
        let mut names: BTreeMap<&str, String> = BTreeMap::new();
        for point in HookPoint::ALL {
            for (hook, index) in config.hooks.at(point).iter().zip(self.indices(&["hooks", point.key()])) {
                let place = format!("hooks.{}[{index}]", point.key());
                if let Some(other) = names.insert(hook.name.as_str(), place) {
                    let message = format!("`{other}` already has the name `{}`", hook.name);
                    let remedy = "give each hook its own name: by its name the instance knows whether the hook has run";
                    self.report(&["hooks", point.key(), &index.to_string(), "name"], message, remedy);
                }
            }
        }
        let starts_docker = self.is_meant(&["ecs"]) || self.is_meant(&["docker"]);
        if !config.hooks.before_ecs.is_empty() && !starts_docker {
            let remedy = "add `ecs`, or move these hooks to `before_docker`";
            self.report(&["hooks", "before_ecs"], "nothing starts Docker here: there is no `ecs`", remedy);
        }
        if !config.hooks.after_registration.is_empty() && !self.is_meant(&["ecs"]) {
            let remedy = "add `ecs`, or move these hooks to `before_docker` or `before_ecs`";
            self.report(&["hooks", "after_registration"], "nothing registers here: there is no `ecs`", remedy);
        }
    }

    /// Reports variables of the ECS agent that contradict `aws`.
    fn aws(&mut self, config: &Config) {
        let Aws { fips, dual_stack } = config.aws;
        for (key, wanted, variable) in
            [("fips", fips, "AWS_USE_FIPS_ENDPOINT"), ("dual_stack", dual_stack, "AWS_USE_DUALSTACK_ENDPOINT")]
        {
            let set = config.ecs.as_ref().and_then(|ecs| ecs.config.0.get(variable));
            if let (Some(wanted), Some(set)) = (wanted, set)
                && *set != wanted.to_string()
            {
                let message = format!("`aws.{key}` is {wanted}, and `{variable}` is {set}");
                self.report(
                    &["ecs", "config", variable],
                    message,
                    "leave the variable out: `aws` is for the ECS agent as well",
                );
            }
        }
    }

    /// Reports images that are listed twice, perhaps under two spellings of their name.
    fn pulls(&mut self, config: &Config) {
        let mut listed: BTreeMap<String, usize> = BTreeMap::new();
        let pulls = config.docker.iter().flat_map(|docker| &docker.pull);
        for (pull, index) in pulls.zip(self.indices(&["docker", "pull"])) {
            let name = pull.image.listed();
            if let Some(other) = listed.get(&name) {
                let message = format!("`docker.pull[{other}]` already pulls {name}");
                self.report(&["docker", "pull", &index.to_string(), "image"], message, "leave one of the two out");
                continue;
            }
            listed.insert(name, index);
        }
    }

    fn volumes(&mut self, volumes: &[Volume]) {
        let mut mounts: BTreeMap<&str, usize> = BTreeMap::new();
        let mut labels: BTreeMap<String, usize> = BTreeMap::new();
        let mut devices: BTreeMap<String, (usize, &Device)> = BTreeMap::new();
        let mut places: BTreeSet<&Path> = BTreeSet::new();
        for (volume, index) in volumes.iter().zip(self.indices(&["storage"])) {
            let at = index.to_string();
            let (label, longest) = (volume.label(), volume.filesystem.longest_label());
            if label.len() > longest {
                let name = volume.filesystem.name();
                let message = format!("the label `{label}` is too long for {name}");
                let remedy = format!("{name} has labels of up to {longest} characters");
                self.report(&["storage", &at, "label"], message, &remedy);
            }
            self.options(volume, &at);
            if let Some(why) = mount_points::why_not(&volume.mount) {
                let message = format!("a volume can't be mounted on {}: {why}", volume.mount);
                let remedy = "choose a separate directory, such as /data or /var/lib/docker";
                self.report(&["storage", &at, "mount"], message, remedy);
            }
            if let Some(other) = mounts.insert(volume.mount.as_str(), index) {
                let message = format!("`storage[{other}]` is already mounted on {}", volume.mount);
                self.report(&["storage", &at, "mount"], message, "choose another path");
            }
            if let Some((other, device)) = devices.insert(volume.device.disk(), (index, &volume.device)) {
                let name = if device == &volume.device { "" } else { ", which is another name of this disk" };
                let message = format!("`storage[{other}]` already uses {device}{name}");
                self.report(&["storage", &at, "device"], message, "give each volume its own device");
            }
            let mount = Path::new(volume.mount.as_str());
            // In the order of paths, a path below another one follows it.
            let mut next = places.range::<Path, _>((Bound::Excluded(mount), Bound::Unbounded));
            if let Some(below) = next.next().filter(|below| below.starts_with(mount)) {
                let below = below.display();
                let message = format!("mounting {} would hide {below}, which is mounted before it", volume.mount);
                self.report(&["storage", &at, "mount"], message, "put the volume with the shorter path first");
            }
            places.insert(mount);
            if let Some(other) = labels.insert(label.clone(), index) {
                let message = format!("`storage[{other}]` already has the label `{label}`");
                let remedy = "give each volume its own label: volumes are mounted by label";
                self.report(&["storage", &at], message, remedy);
            }
        }
    }

    /// Reports mount options with which no kernel mounts the volume.
    fn options(&mut self, volume: &Volume, at: &str) {
        for (option, index) in volume.options.iter().zip(self.indices(&["storage", at, "options"])) {
            let (message, remedy) = match mount_options::fault(option.as_str(), volume.filesystem) {
                Some(Fault::Never) => (
                    format!("no volume can be mounted with `{option}`"),
                    "leave it out: a volume's disk is mounted directly",
                ),
                Some(Fault::OfOther(other)) => {
                    let (other, own) = (other.name(), volume.filesystem.name());
                    (format!("`{option}` is an option of {other}, which {own} refuses"), "leave it out")
                }
                Some(Fault::Lost | Fault::Unknown(_)) | None => continue,
            };
            self.report(&["storage", at, "options", &index.to_string()], message, remedy);
        }
    }
}
