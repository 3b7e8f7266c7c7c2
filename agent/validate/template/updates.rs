//! Updates of an Auto Scaling group that fail by its template alone. Keys that a macro may add are not reported as missing.

use std::time::Duration;

use super::functions::InStack;
use super::nodes::{function, items, refers_to};
use super::policies::{GROUP, duration};
use super::user_data::UserDataPlace;
use super::world::World;
use crate::config::Config;
use crate::config::types::{LogicalId, spellings};
use crate::document::problem::{Problem, Span};
use crate::document::yaml::Node;
use crate::text::did_you_mean;

const WARM_POOL: &str = "AWS::AutoScaling::WarmPool";
const REPLACE_ROOT: &str = "ReplaceRootVolume";
/// The strategies of an instance refresh.
/// <https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-attribute-updatepolicy.html>
const STRATEGIES: [&str; 2] = ["Rolling", REPLACE_ROOT];
/// The longest timeouts that CloudFormation takes.
const LONGEST: [(&[&str], &str, Duration); 2] = [
    (&["CreationPolicy", "ResourceSignal"], "Timeout", Duration::from_secs(12 * 3600)),
    (&["UpdatePolicy", "AutoScalingRollingUpdate"], "PauseTime", Duration::from_secs(3600)),
];

/// The updates of the groups that use some user data.
#[derive(Debug, Default)]
pub struct Updates {
    /// The causes of failing updates, each at its place in the template.
    pub problems: Vec<Problem>,
    /// The group whose instances get new root volumes, and the devices that their launch template maps, if all are known.
    pub root_replaced: Option<(String, Vec<String>)>,
}

impl<'a> World<'a> {
    /// Looks at the updates of the groups that use this user data, or get its signals.
    pub(super) fn updates(&self, place: &UserDataPlace<'a>, config: &Config) -> Updates {
        let signalled = config.signal.as_ref().and_then(|signal| signal.resource.as_ref()).map(LogicalId::as_str);
        let is_meant = |id: &str, group: &'a Node| {
            let uses = |properties| refers_to(properties, place.resource);
            signalled == Some(id) || group.get("Properties").is_some_and(uses)
        };
        let groups = self.template.of_kind(GROUP).filter(|(id, group)| is_meant(id, group) && self.is_made(group));
        let mut updates = Updates::default();
        for (id, group) in groups {
            self.too_long(group, &mut updates.problems);
            self.replacing(id, group, &mut updates.problems);
            if self.refreshing(id, group, &mut updates.problems) {
                self.root_replacing(id, group, &mut updates.problems);
                updates.root_replaced = self.mapped(place).map(|mapped| (id.to_owned(), mapped));
            }
        }
        updates
    }

    fn too_long(&self, group: &'a Node, problems: &mut Vec<Problem>) {
        for (policy, key, longest) in LONGEST {
            let time = self.node_at(group, &[policy, &[key]].concat()).map(|node| (node, self.known(node)));
            if let Some((node, Some(text))) = time
                && duration(&text).is_some_and(|time| time > longest)
            {
                let hours = longest.as_secs() / 3600;
                let message = format!("`{key}` is {text}, and CloudFormation takes PT{hours}H at most");
                problems.push(Problem::at(&node.span, message).remedy("make it shorter"));
            }
        }
    }

    /// Finds a replacing update of a group with a fixed name. The new group is made while the old one still has the name.
    fn replacing(&self, id: &str, group: &'a Node, problems: &mut Vec<Problem>) {
        let name = self.node_at(group, &["Properties", "AutoScalingGroupName"]);
        let Some(name) = name.filter(|_| self.will_replace(group)) else { return };
        if self.text(name).words_of_open().is_none() {
            let message =
                format!("updates of `{id}` fail: they make a second group, which can't have the name of the first");
            problems.push(Problem::at(&name.span, message).remedy("leave `AutoScalingGroupName` out"));
        }
    }

    /// Checks an instance refresh, and tells whether it replaces root volumes.
    fn refreshing(&self, id: &str, group: &'a Node, problems: &mut Vec<Problem>) -> bool {
        let Some(policies) = self.node_at(group, &["UpdatePolicy"]) else { return false };
        let Some(refresh) = self.node_at(policies, &["AutoScalingInstanceRefresh"]) else { return false };
        if self.node_at(policies, &["AutoScalingRollingUpdate"]).is_some() {
            let message = format!(
                "`{id}` has AutoScalingInstanceRefresh and AutoScalingRollingUpdate, so each update of the stack fails"
            );
            problems.push(at_key(policies, "AutoScalingRollingUpdate", message).remedy("leave one of them out"));
        }
        let set = "set it to `Rolling`, or to `ReplaceRootVolume`";
        match self.at(refresh, &["Strategy"]) {
            Ok(None) if self.template.is_complete => {
                let message = format!("the AutoScalingInstanceRefresh of `{id}` has no `Strategy`");
                problems.push(at_key(policies, "AutoScalingInstanceRefresh", message).remedy(set));
                false
            }
            Ok(Some(node)) => match self.known(node) {
                Some(strategy) if !STRATEGIES.contains(&strategy.as_str()) => {
                    let remedy = did_you_mean(&strategy, STRATEGIES).unwrap_or_else(|| set.to_owned());
                    let message = format!("`{strategy}` is not a `Strategy` of an instance refresh");
                    problems.push(Problem::at(&node.span, message).remedy(remedy));
                    false
                }
                strategy => strategy.as_deref() == Some(REPLACE_ROOT),
            },
            _ => false,
        }
    }

    /// Checks the requirements of a root volume replacement.
    /// <https://docs.aws.amazon.com/autoscaling/ec2/userguide/replace-root-volume.html>
    fn root_replacing(&self, id: &str, group: &'a Node, problems: &mut Vec<Problem>) {
        let mut fails = |span: &Span, what: &str, remedy: &str| {
            let message = format!("updates of `{id}` fail: a root volume replacement needs {what}");
            problems.push(Problem::at(span, message).remedy(remedy));
        };
        for (_, pool) in self.template.of_kind(WARM_POOL).filter(|(_, pool)| self.is_made(pool)) {
            let name = self.node_at(pool, &["Properties", "AutoScalingGroupName"]);
            if let Some(name) = name.filter(|name| self.names_group(name, id, group)) {
                let remedy = "leave the warm pool out, or use the strategy `Rolling`";
                fails(&name.span, "a group without a warm pool", remedy);
            }
        }
        let Some(properties) = self.node_at(group, &["Properties"]) else { return };
        let remedy =
            "replace `LaunchTemplate` by a `MixedInstancesPolicy` with an `ImageId` in each of its `Overrides`";
        let mixed = match self.at(properties, &["MixedInstancesPolicy", "LaunchTemplate"]) {
            Ok(Some(mixed)) => mixed,
            Ok(None) if self.template.is_complete => {
                let span = self.node_at(group, &["UpdatePolicy", "AutoScalingInstanceRefresh", "Strategy"]);
                return fails(&span.unwrap_or(group).span, "a `MixedInstancesPolicy`", remedy);
            }
            _ => return,
        };
        let specifications = |node: &'a Node| self.node_at(node, &["LaunchTemplateSpecification", "Version"]);
        let overrides = match self.at(mixed, &["Overrides"]) {
            Ok(Some(list)) => items(list),
            Ok(None) if self.template.is_complete => {
                fails(&mixed.span, "`Overrides`, each with an `ImageId`", "add one for each instance type");
                &[]
            }
            _ => &[],
        };
        let overrides: Vec<&Node> = overrides.iter().filter_map(|item| self.resolve(item).ok()?).collect();
        for item in &overrides {
            if matches!(self.at(item, &["ImageId"]), Ok(None)) && self.template.is_complete {
                fails(&item.span, "an `ImageId` in each override", "add it");
            }
        }
        for version in overrides.into_iter().chain([mixed]).filter_map(specifications) {
            if let Some("$Latest" | "$Default") = self.known(version).as_deref() {
                let remedy = "write `!GetAtt` with the launch template's `LatestVersionNumber`";
                fails(&version.span, "the number of a launch template's version", remedy);
            }
        }
    }

    /// Returns the devices that a launch template maps; nothing if only the stack knows one of them.
    fn mapped(&self, place: &UserDataPlace<'a>) -> Option<Vec<String>> {
        let mappings = match self.at(place.beside, &["BlockDeviceMappings"]) {
            Ok(Some(list)) if function(list).is_none() => items(list),
            Ok(None) if self.template.is_complete => &[],
            _ => return None,
        };
        let devices = mappings.iter().map(|mapping| match self.resolve(mapping) {
            Ok(Some(mapping)) if mapping.get("NoDevice").is_none() => {
                Some(spellings(&self.known_at(mapping, &["DeviceName"])?))
            }
            Err(InStack) => None,
            _ => Some(Vec::new()),
        });
        devices.collect::<Option<Vec<_>>>().map(|devices| devices.concat())
    }
}

/// Makes a problem at a key, or at the mapping if the key comes from elsewhere.
fn at_key(mapping: &Node, key: &str, message: String) -> Problem {
    Problem::at(mapping.entry(key).map_or(&mapping.span, |entry| &entry.key_span), message)
}
