//! The recipients of a run's outcome: a resource of a stack or a wait condition, and a lifecycle hook.

use std::collections::BTreeMap;

use crate::aws::auto_scaling::Hook;
use crate::aws::cloudformation::Target;
use crate::aws::imds::Identity;
use crate::config::{Aws, Config, LifecycleHook, Signal};

/// The tag that Auto Scaling puts on its instances.
const GROUP_TAG: &str = "aws:autoscaling:groupName";
/// The reason for not telling a lifecycle hook, with its remedy.
pub(super) const NO_GROUP: &str = "the name of the instance's Auto Scaling group is not known (set signal.lifecycle_hook.group, or \
                        InstanceMetadataTags: enabled in the metadata options of the launch template)";

/// The recipients of the outcome of a run.
#[derive(Debug, Default)]
pub(super) struct Recipients {
    /// The resource of a stack, or the wait condition.
    pub(super) target: Option<Target>,
    /// The lifecycle hook.
    pub(super) hook: Option<HookRecipient>,
    /// Set where a part of the user data that could not be read may name others.
    pub(super) may_be_others: bool,
}

/// The lifecycle hook of a configuration.
#[derive(Debug, PartialEq)]
pub(super) enum HookRecipient {
    /// It can be told.
    Known(Hook),
    /// It can't be told: the group's name is not known. Holds the hook's name in the configuration.
    Unknown(String),
}

impl Recipients {
    /// Finds those whom the configuration names. In a warm pool that is the lifecycle hook alone: no stack counts such an
    /// instance.
    pub(super) fn named_by(config: &Config, identity: &Identity, instance_id: &str) -> Self {
        let signal = config.signal.as_ref();
        let hook = signal.and_then(|signal| signal.lifecycle_hook.as_ref());
        Recipients {
            target: signal.and_then(target).filter(|_| !identity.is_warming()),
            hook: hook.map(|hook| HookRecipient::of(hook, identity, instance_id, config.aws)),
            may_be_others: false,
        }
    }

    /// Finds those whom the readable part of the configuration names. Where that has no target, the instance's tags may.
    pub(super) fn named_in_part(config: &Config, identity: &Identity, instance_id: &str) -> Self {
        let known = Self::named_by(config, identity, instance_id);
        let of_tags = || target_in_tags(&identity.tags).filter(|_| !identity.is_warming());
        Recipients { target: known.target.or_else(of_tags), may_be_others: true, ..known }
    }

    pub(super) fn nobody(&self) -> bool {
        self.target.is_none() && self.hook.is_none()
    }
}

impl HookRecipient {
    fn of(wanted: &LifecycleHook, identity: &Identity, instance_id: &str, aws: Aws) -> Self {
        let group = wanted.group.as_ref().map(ToString::to_string).or_else(|| identity.tags.get(GROUP_TAG).cloned());
        let name = wanted.name.to_string();
        match group {
            Some(group) => HookRecipient::Known(Hook {
                name,
                group,
                instance_id: instance_id.to_owned(),
                region: identity.region.clone(),
                partition_domain: identity.partition_domain.clone(),
                aws,
            }),
            None => HookRecipient::Unknown(name),
        }
    }
}

impl std::fmt::Display for HookRecipient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            HookRecipient::Known(hook) => hook.fmt(f),
            HookRecipient::Unknown(name) => write!(f, "lifecycle hook {name}"),
        }
    }
}

/// Finds the target that the configuration names.
fn target(signal: &Signal) -> Option<Target> {
    let resource = || {
        let (stack, resource) = (signal.stack.as_ref()?, signal.resource.as_ref()?);
        Some(Target::Resource { stack: stack.to_string(), resource: resource.to_string() })
    };
    signal.wait_handle.as_ref().map(|handle| Target::WaitHandle(handle.0.reveal().clone())).or_else(resource)
}

/// Finds the target in the instance's own tags, if the instance metadata shows them. CloudFormation tags what it makes with
/// the stack's ARN and the logical id.
fn target_in_tags(tags: &BTreeMap<String, String>) -> Option<Target> {
    let tag = |name: &str| tags.get(&format!("aws:cloudformation:{name}")).cloned();
    Some(Target::Resource { stack: tag("stack-id").or_else(|| tag("stack-name"))?, resource: tag("logical-id")? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::documents;

    const SIGNAL: &str = "signal: {stack: web, resource: Instances, lifecycle_hook: {name: ready}}";

    fn config(document: &str) -> Config {
        let parsed = documents("user data", format!("#ecs-firstrun\n{document}\n").as_bytes());
        assert!(parsed.problems.is_empty(), "{document}");
        parsed.config
    }

    fn identity(tags: &[(&str, &str)], target_lifecycle_state: Option<&str>) -> Identity {
        Identity {
            region: "eu-west-1".to_owned(),
            tags: tags.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            target_lifecycle_state: target_lifecycle_state.map(str::to_owned),
            ..Identity::default()
        }
    }

    fn resource(stack: &str) -> Option<Target> {
        Some(Target::Resource { stack: stack.to_owned(), resource: "Instances".to_owned() })
    }

    #[test]
    fn a_stack_does_not_wait_for_an_instance_of_a_warm_pool_but_a_hook_does() {
        let tags = [(GROUP_TAG, "web-Instances-1"), ("aws:cloudformation:stack-name", "web")];
        for (state, target) in [(None, resource("web")), (Some("Warmed:Stopped"), None)] {
            let recipients = Recipients::named_by(&config(SIGNAL), &identity(&tags, state), "i-1");
            assert_eq!(recipients.target, target);
            let Some(HookRecipient::Known(hook)) = recipients.hook else { panic!("the hook is not known") };
            assert_eq!((hook.group.as_str(), hook.instance_id.as_str()), ("web-Instances-1", "i-1"));
        }
    }

    #[test]
    fn a_hook_without_a_group_is_somebody_who_cannot_be_told() {
        let config = config("signal: {lifecycle_hook: {name: ready}}");
        let recipients = Recipients::named_by(&config, &identity(&[], None), "i-1");
        assert!(!recipients.nobody() && recipients.target.is_none());
        let hook = recipients.hook.unwrap();
        assert_eq!(hook.to_string(), "lifecycle hook ready");
        assert_eq!(hook, HookRecipient::Unknown("ready".to_owned()));
    }

    #[test]
    fn tags_name_the_target_only_where_the_configuration_may_have_named_another() {
        let tags = [
            ("aws:cloudformation:stack-name", "web"),
            ("aws:cloudformation:stack-id", "arn:aws:cloudformation:eu-west-1:111122223333:stack/web/1"),
            ("aws:cloudformation:logical-id", "Instances"),
        ];
        let nothing = Config::default();
        assert!(Recipients::named_by(&nothing, &identity(&tags, None), "i-1").nobody());
        for (config, state, target) in [
            (&nothing, None, resource(tags[1].1)),
            (&nothing, Some("Warmed:Running"), None),
            (&config(SIGNAL), None, resource("web")),
        ] {
            let recipients = Recipients::named_in_part(config, &identity(&tags, state), "i-1");
            assert_eq!((recipients.target, recipients.may_be_others), (target, true));
        }
        // Of two tags that make a target together one says nothing.
        assert!(Recipients::named_in_part(&nothing, &identity(&tags[..2], None), "i-1").nobody());
    }
}
