//! Policies of a template that wait for a signal, and their timeouts.

use std::time::Duration;

use super::functions::{InStack, Resolved, STACK};
use super::nodes::{items, refers_to};
use super::sections::Template;
use super::user_data::UserDataPlace;
use super::world::World;
use crate::config::Config;
use crate::config::types::LogicalId;
use crate::document::yaml::Node;
use crate::text::did_you_mean;

/// The timeout of creation policies, and of rolling updates that wait for signals, if a policy gives none.
const DEFAULT_WAIT: Duration = Duration::from_secs(5 * 60);
/// The resources for which a stack can wait: <https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-attribute-creationpolicy.html>
const WAITED_FOR: [&str; 2] = [GROUP, "AWS::EC2::Instance"];
pub(super) const GROUP: &str = "AWS::AutoScaling::AutoScalingGroup";
const HOOK: &str = "AWS::AutoScaling::LifecycleHook";
const LAUNCHING: &str = "autoscaling:EC2_INSTANCE_LAUNCHING";

/// The policies that wait for the signal of a configuration.
#[derive(Debug, Default, PartialEq)]
pub enum Waits {
    /// Not known: the signal is for another stack, or its target is known only in the stack.
    #[default]
    Elsewhere,
    /// These policies, if any, and the remedy if there are none.
    By(Vec<WaitingPolicy>, String),
    /// No policies, since the template has no resource of this name; with the remedy.
    NoResource(String),
}

/// A policy of the template that waits for a signal.
#[derive(Debug, PartialEq)]
pub struct WaitingPolicy {
    /// The key, as the template has it.
    pub key: &'static str,
    /// The timeout.
    pub time: PolicyTimeout,
}

/// The timeout of a policy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PolicyTimeout {
    /// A known time.
    Known(Duration),
    /// A time known only in the stack.
    InStack,
    /// A value that CloudFormation doesn't take for a time.
    Wrong,
}

/// An update policy by which instances are replaced without any signal.
#[derive(Debug, PartialEq)]
pub struct Refresh {
    /// The group's logical ID.
    pub group: String,
    /// The names of the group's hooks on the launch of an instance; nothing if only the stack knows them.
    pub hooks: Option<Vec<String>>,
}

impl<'a> World<'a> {
    /// Finds the policies that wait for the signal.
    pub(super) fn waits(&self, config: &Config) -> Waits {
        let Some(signal) = &config.signal else { return Waits::Elsewhere };
        if let Some(handle) = &signal.wait_handle {
            return self.wait_conditions(handle.0.reveal());
        }
        let (Some(stack), Some(id)) = (&signal.stack, &signal.resource) else { return Waits::Elsewhere };
        let is_ours = stack.name() == STACK;
        let Some(resource) = self.template.resources.get(id.as_str()) else {
            // A stack that is given by a fixed name may be another stack.
            return match is_ours && self.template.is_complete {
                true => Waits::NoResource(self.template.remedy_for_no_resource(id)),
                false => Waits::Elsewhere,
            };
        };
        if !self.is_made(resource) || resource.cut {
            return Waits::Elsewhere;
        }
        let (creation, update) = (self.creation_policy(resource), self.update_policy(resource));
        let (Ok(creation), Ok(update)) = (creation, update) else {
            let unknown = WaitingPolicy { key: "CreationPolicy", time: PolicyTimeout::InStack };
            return Waits::By(vec![unknown], String::new());
        };
        let remedy = self.template.remedy_for_no_policy(id, resource, self.refreshes(resource));
        Waits::By(creation.into_iter().chain(update).collect(), remedy)
    }

    /// Finds the wait conditions of a handle. Only the template's own handle counts: the condition of another stack's
    /// handle may be in that stack.
    fn wait_conditions(&self, handle: &url::Url) -> Waits {
        let id = handle.path().trim_start_matches('/');
        let own = self.template.resources.get(id).map(|resource| self.template.kind(resource));
        if own != Some("AWS::CloudFormation::WaitConditionHandle") || !self.template.is_complete {
            return Waits::Elsewhere;
        }
        let of_handle = |(_, condition): &(&str, &'a Node)| {
            let own = self.node_at(condition, &["Properties", "Handle"]);
            own.is_some_and(|own| self.text(own).string() == handle.as_str())
        };
        let conditions = self.template.of_kind("AWS::CloudFormation::WaitCondition").filter(of_handle);
        let conditions = conditions.filter(|(_, condition)| self.is_made(condition));
        let seconds = |text: &str| text.parse().ok().map(Duration::from_secs);
        let waits = conditions.map(|(_, condition)| WaitingPolicy {
            key: "WaitCondition",
            time: self.time(self.at(condition, &["Properties", "Timeout"]), seconds),
        });
        let remedy = "add an `AWS::CloudFormation::WaitCondition` with this handle as its `Handle`";
        Waits::By(waits.collect(), remedy.to_owned())
    }

    fn time(&self, value: Resolved<'a>, read: impl Fn(&str) -> Option<Duration>) -> PolicyTimeout {
        match value {
            Ok(Some(node)) => match self.known(node) {
                Some(text) => read(&text).map_or(PolicyTimeout::Wrong, PolicyTimeout::Known),
                None => PolicyTimeout::InStack,
            },
            Ok(None) => PolicyTimeout::Known(DEFAULT_WAIT),
            Err(InStack) => PolicyTimeout::InStack,
        }
    }

    /// Returns the wait of the creation policy, if any; an error if only the stack knows whether there is one.
    fn creation_policy(&self, resource: &'a Node) -> Result<Option<WaitingPolicy>, InStack> {
        let Some(policy) = self.at(resource, &["CreationPolicy", "ResourceSignal"])? else { return Ok(None) };
        Ok(Some(WaitingPolicy { key: "CreationPolicy", time: self.time(self.at(policy, &["Timeout"]), duration) }))
    }

    fn update_policy(&self, resource: &'a Node) -> Result<Option<WaitingPolicy>, InStack> {
        let policy = self.at(resource, &["UpdatePolicy", "AutoScalingRollingUpdate"])?;
        let Some(policy) = policy.filter(|_| !self.will_replace(resource)) else { return Ok(None) };
        let Some(waits) = self.at(policy, &["WaitOnResourceSignals"])? else { return Ok(None) };
        let time = match self.known(waits) {
            Some(waits) if !waits.eq_ignore_ascii_case("true") => return Ok(None),
            Some(_) => self.time(self.at(policy, &["PauseTime"]), duration),
            None => PolicyTimeout::InStack,
        };
        Ok(Some(WaitingPolicy { key: "UpdatePolicy", time }))
    }

    fn refreshes(&self, group: &'a Node) -> bool {
        let refresh = self.node_at(group, &["UpdatePolicy", "AutoScalingInstanceRefresh"]);
        refresh.is_some() && !self.will_replace(group)
    }

    /// Finds the groups that are updated by instance refresh: the signalled one, else those that use this user data.
    /// <https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-attribute-updatepolicy.html>
    pub(super) fn refreshed(&self, place: &UserDataPlace<'a>, config: &Config) -> Vec<Refresh> {
        let Some(signal) = &config.signal else { return Vec::new() };
        let signalled = signal.resource.as_ref().map(LogicalId::as_str);
        let is_meant = |id: &str, group: &Node| match signalled {
            Some(signalled) => signalled == id,
            None => group.get("Properties").is_some_and(|properties| refers_to(properties, place.resource)),
        };
        let groups = self.template.of_kind(GROUP).filter(|(id, group)| is_meant(id, group) && self.is_made(group));
        let groups = groups.filter(|(_, group)| self.refreshes(group));
        groups.map(|(id, group)| Refresh { group: id.to_owned(), hooks: self.launch_hooks(id, group) }).collect()
    }

    fn launch_hooks(&self, id: &str, group: &'a Node) -> Option<Vec<String>> {
        let name = |hook: &'a Node| match self.known_at(hook, &["LifecycleTransition"]).as_deref() {
            Some(LAUNCHING) => Some(self.known_at(hook, &["LifecycleHookName"])),
            Some(_) => None,
            None => Some(None),
        };
        let own = self.at(group, &["Properties", "LifecycleHookSpecificationList"]).ok()?.map_or(&[][..], items);
        let own = own.iter().filter(|hook| !matches!(self.resolve(hook), Ok(None))).filter_map(name);
        let of_group = |(_, hook): &(&str, &'a Node)| {
            let properties = hook.get("Properties");
            let name = properties.and_then(|properties| properties.get("AutoScalingGroupName"));
            name.is_none_or(|name| self.names_group(name, id, group))
        };
        let others = self.template.of_kind(HOOK).filter(of_group).filter(|(_, hook)| self.is_made(hook));
        let others = others.filter_map(|(_, hook)| name(hook.get("Properties")?));
        own.chain(others).collect()
    }

    /// Tells whether a value names a group of the template.
    pub(super) fn names_group(&self, value: &'a Node, id: &str, group: &'a Node) -> bool {
        let own = self.node_at(group, &["Properties", "AutoScalingGroupName"]);
        refers_to(value, id) || own.is_some_and(|own| self.text(own).string() == self.text(value).string())
    }

    /// Tells whether updates replace a whole group. The group's other update policies don't count then.
    pub(super) fn will_replace(&self, group: &'a Node) -> bool {
        let value = self.known_at(group, &["UpdatePolicy", "AutoScalingReplacingUpdate", "WillReplace"]);
        value.is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }
}

impl<'a> Template<'a> {
    fn remedy_for_no_resource(&self, wanted: &LogicalId) -> String {
        let can_wait = self.in_order.iter().filter(|(_, node)| WAITED_FOR.contains(&self.kind(node)));
        let waited_for: Vec<&str> = can_wait.map(|(id, _)| *id).collect();
        let all = || self.in_order.iter().map(|(id, _)| *id);
        let question = did_you_mean(wanted.as_str(), waited_for.iter().copied());
        question.or_else(|| did_you_mean(wanted.as_str(), all())).unwrap_or_else(|| match &waited_for[..] {
            [] => "name an Auto Scaling group or an instance of this template".to_owned(),
            ids => format!(
                "a stack can wait for {}",
                ids.iter().take(10).map(|id| format!("`{id}`")).collect::<Vec<_>>().join(", ")
            ),
        })
    }

    fn remedy_for_no_policy(&self, id: &LogicalId, resource: &'a Node, refreshes: bool) -> String {
        let is_replaced = resource.get("UpdatePolicy").and_then(|policy| policy.get("AutoScalingReplacingUpdate"));
        let more = match self.kind(resource) {
            GROUP if refreshes => {
                "; an instance refresh waits for no signal, but for a lifecycle hook on the launch of instances"
            }
            GROUP if is_replaced.is_some() => ", which also applies to a replacing update",
            GROUP => ", and an `UpdatePolicy` with `WaitOnResourceSignals`",
            "AWS::EC2::Instance" => "",
            "" => return "name an Auto Scaling group or an instance".to_owned(),
            other => return format!("`{id}` is an {other}; name the Auto Scaling group or the instance"),
        };
        format!("give that resource a `CreationPolicy`{more}")
    }
}

/// Parses a span of time in the part of ISO 8601 that CloudFormation takes, such as `PT1H30M`.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let mut seconds = 0_u64;
    let mut rest = text.strip_prefix("PT").filter(|rest| !rest.is_empty())?;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let unit = match rest.as_bytes()[digits] {
            b'H' => 3600,
            b'M' => 60,
            b'S' => 1,
            _ => return None,
        };
        seconds = seconds.checked_add(rest[..digits].parse::<u64>().ok()?.checked_mul(unit)?)?;
        rest = &rest[digits + 1..];
    }
    Some(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_of_time_are_those_of_cloudformation() {
        let table = [
            ("PT15M", Some(900)),
            ("PT1H30M5S", Some(5405)),
            ("PT", None),
            ("15M", None),
            ("PT5", None),
            ("P1D", None),
        ];
        for (text, seconds) in table {
            assert_eq!(duration(text), seconds.map(Duration::from_secs), "{text}");
        }
    }
}
