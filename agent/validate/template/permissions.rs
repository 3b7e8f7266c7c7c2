//! The permissions of the instances' role, as far as the template shows them.

use super::functions::Resolved;
use super::nodes::{function, items, refers_to};
use super::user_data::UserDataPlace;
use super::world::World;
use crate::document::yaml::{Node, Value};
use crate::text::is_match;

const INSTANCE_PROFILE: &str = "AWS::IAM::InstanceProfile";
const ROLE: &str = "AWS::IAM::Role";
/// The part between the partition and the name in the ARN of an AWS managed policy.
const OF_AWS: &str = ":aws:policy/";

/// AWS managed policies that a container instance may have, each with the actions that it allows for `*`, of those that this
/// agent and the log agent use.
/// <https://docs.aws.amazon.com/aws-managed-policy/latest/reference/policy-list.html>, as of March 2026.
const MANAGED: [(&[&str], &[&str]); 7] = [
    (
        &[
            "AdministratorAccess",
            "AmazonEC2ContainerRegistryFullAccess",
            "AmazonEC2ContainerRegistryPowerUser",
            "AmazonEC2ContainerRegistryPullOnly",
            "AmazonEC2ContainerRegistryReadOnly",
            "AmazonEC2ContainerServiceforEC2Role",
            "AmazonECSTaskExecutionRolePolicy",
            "AmazonSageMakerFullAccess",
            "AWSAppRunnerServicePolicyForECRAccess",
            "EC2InstanceProfileForImageBuilderECRContainerBuilds",
            "PowerUserAccess",
            "ReadOnlyAccess",
        ],
        &[
            "ecr:getauthorizationtoken",
            "ecr:batchgetimage",
            "ecr:getdownloadurlforlayer",
            "ecr:batchchecklayeravailability",
        ],
    ),
    (
        &[
            "AdministratorAccess",
            "AmazonElasticFileSystemsUtils",
            "AmazonSSMFullAccess",
            "CloudWatchAgentAdminPolicy",
            "CloudWatchAgentServerPolicy",
            "CloudWatchFullAccess",
            "CloudWatchFullAccessV2",
            "CloudWatchLogsFullAccess",
            "PowerUserAccess",
            "SystemAdministrator",
        ],
        &["logs:*"],
    ),
    (
        &["AmazonEC2RolePolicyForLaunchWizard", "AmazonEC2RoleforSSM", "AmazonECS_FullAccess"],
        &["logs:createloggroup", "logs:describeloggroups"],
    ),
    (
        &[
            "AWS_ConfigRole",
            "CloudWatchLogsReadOnlyAccess",
            "CloudWatchReadOnlyAccess",
            "ReadOnlyAccess",
            "SecurityAudit",
            "ViewOnlyAccess",
        ],
        &["logs:describeloggroups"],
    ),
    (
        &[
            "AdministratorAccess",
            "AmazonEC2RoleforSSM",
            "AmazonSSMFullAccess",
            "AmazonSSMManagedInstanceCore",
            "AmazonSSMReadOnlyAccess",
            "PowerUserAccess",
            "ReadOnlyAccess",
        ],
        &["ssm:getparameter"],
    ),
    (&["AdministratorAccess", "PowerUserAccess", "SecretsManagerReadWrite"], &["secretsmanager:getsecretvalue"]),
    (
        &["AdministratorAccess", "AmazonEC2FullAccess", "AutoScalingFullAccess", "PowerUserAccess"],
        &["autoscaling:setinstancehealth"],
    ),
];

/// The statements that allow actions to the instances' role.
#[derive(Debug, Default)]
pub struct Permissions {
    statements: Vec<Statement>,
}

/// A statement that allows actions, as IAM patterns.
#[derive(Debug)]
struct Statement {
    /// The actions, in small letters.
    actions: Vec<String>,
    /// Set if all actions but these are allowed (`NotAction`).
    is_of_others: bool,
    /// The resources; nothing if the template doesn't show all of them.
    resources: Option<Vec<String>>,
}

impl Permissions {
    /// Collects the statements of the role in the instance profile beside the user data. Without a profile, the statements
    /// of all roles count. Returns nothing if the role is not the template's own, or has a policy that is neither the
    /// template's own nor AWS's.
    pub(super) fn of<'a>(world: &World<'a>, place: &UserDataPlace<'a>) -> Option<Self> {
        if !world.template.is_complete {
            return None;
        }
        let resources = world.template.roles.iter().copied().filter(|(_, resource)| world.is_made(resource));
        let resources: Vec<(&str, &Node)> = resources.collect();
        let roles: Vec<&(&str, &Node)> =
            resources.iter().filter(|(_, resource)| world.template.kind(resource) == ROLE).collect();
        let used = match world.at(place.beside, &["IamInstanceProfile"]).ok()? {
            Some(profile) => Some(in_profile(world, profile, &roles)?),
            None => None,
        };
        let is_used = |role: &(&str, &Node)| used.as_ref().is_none_or(|used| used.contains(&role.0));
        let mut found = Permissions::default();
        let mut attached = Vec::new();
        for role in roles.into_iter().filter(|role| is_used(role)) {
            attached.extend(found.add_role(world, role.1, &resources)?);
        }
        for (id, policy) in resources.iter().filter(|(_, resource)| world.template.kind(resource) != ROLE) {
            let properties = policy.get("Properties")?;
            let names = ["Roles", "RoleName"].iter().filter_map(|key| properties.get(key));
            let is_of_role = |used: &Vec<&str>| {
                names.clone().any(|names| used.iter().any(|role| names_resource(world, names, role, "RoleName")))
            };
            if attached.contains(id) || used.as_ref().is_none_or(is_of_role) {
                found.add_document(world, properties)?;
            }
        }
        Some(found)
    }

    /// Returns the ARN patterns for which an action is allowed; nothing if the template doesn't show all of them.
    pub fn allowed(&self, action: &str) -> Option<Vec<&str>> {
        let action = action.to_ascii_lowercase();
        let is_about = |statement: &&Statement| {
            statement.actions.iter().any(|pattern| is_match(pattern, &action)) != statement.is_of_others
        };
        let mut allowed = Vec::new();
        for statement in self.statements.iter().filter(is_about) {
            allowed.extend(statement.resources.as_ref()?.iter().map(String::as_str));
        }
        Some(allowed)
    }

    /// Adds the statements in a role itself, and returns the template's own policies that the role names.
    fn add_role<'a, 'n>(
        &mut self,
        world: &World<'a>,
        role: &'a Node,
        resources: &[(&'n str, &'a Node)],
    ) -> Option<Vec<&'n str>> {
        let properties = role.get("Properties")?;
        let mut attached = Vec::new();
        for arn in known(world, world.at(properties, &["ManagedPolicyArns"]))? {
            if let Some((id, _)) = resources.iter().find(|(id, _)| refers_to(arn, id)) {
                attached.push(*id);
                continue;
            }
            // A policy that a parameter names, or that is the account's own, may allow anything.
            let arn = world.text(arn).string();
            let (_, name) = arn.split_once(OF_AWS)?;
            let name = name.rsplit('/').next().unwrap_or_default();
            let of_policy = MANAGED.iter().filter(|(names, _)| names.contains(&name));
            self.statements.extend(of_policy.map(|(_, actions)| Statement {
                actions: actions.iter().map(|action| (*action).to_owned()).collect(),
                is_of_others: false,
                resources: Some(vec!["*".to_owned()]),
            }));
        }
        for policy in known(world, world.at(properties, &["Policies"]))? {
            if function(policy).is_some() {
                return None;
            }
            self.add_document(world, policy)?;
        }
        Some(attached)
    }

    fn add_document<'a>(&mut self, world: &World<'a>, policy: &'a Node) -> Option<()> {
        for statement in known(world, world.at(policy, &["PolicyDocument", "Statement"]))? {
            if function(statement).is_some() {
                return None;
            }
            let effect = world.node_at(statement, &["Effect"]).map(|node| world.text(node).string());
            if effect.as_deref() != Some("Allow") {
                continue;
            }
            let is_of_others = statement.get("NotAction").is_some();
            let actions = world.at(statement, &[if is_of_others { "NotAction" } else { "Action" }]);
            let actions = known(world, actions)?.into_iter().map(|node| world.text(node).string().to_ascii_lowercase());
            let resources = known(world, world.at(statement, &["Resource"]))
                .filter(|_| statement.get("NotResource").is_none())
                .and_then(|resources| resources.into_iter().map(|node| world.known(node)).collect());
            self.statements.push(Statement { actions: actions.collect(), is_of_others, resources });
        }
        Some(())
    }
}

/// Returns the roles of the instance profile that a value names. Nothing if the profile is not the template's own, or has
/// none of its roles.
fn in_profile<'a, 'n>(world: &World<'a>, profile: &'a Node, roles: &[&(&'n str, &'a Node)]) -> Option<Vec<&'n str>> {
    let mut profiles = world.template.of_kind(INSTANCE_PROFILE).filter(|(_, resource)| world.is_made(resource));
    let named = profiles.find(|(id, _)| names_resource(world, profile, id, "InstanceProfileName"));
    let names = named.and_then(|(_, resource)| resource.get("Properties")?.get("Roles"))?;
    let used = roles.iter().filter(|(id, _)| names_resource(world, names, id, "RoleName")).map(|(id, _)| *id);
    Some(used.collect()).filter(|used: &Vec<&str>| !used.is_empty())
}

/// Tells whether a value refers to a resource, or is the name that the resource has under this key.
fn names_resource<'a>(world: &World<'a>, value: &'a Node, id: &str, key: &str) -> bool {
    if refers_to(value, id) {
        return true;
    }
    let resource = world.template.resources.get(id);
    let name = resource.and_then(|resource| world.known_at(resource, &["Properties", key]));
    let Some(name) = name else { return false };
    let texts = match &value.value {
        Value::Mapping(entries) if function(value).is_none() => entries.iter().map(|entry| &entry.value).collect(),
        _ => one_or_more(value),
    };
    texts.into_iter().any(|node| world.text(node).string().rsplit('/').next() == Some(&name))
}

/// Returns the values of a list, or the single value in its place. Nothing if only the stack knows one of them.
fn known<'a>(world: &World<'a>, value: Resolved<'a>) -> Option<Vec<&'a Node>> {
    let values = value.ok()?.map(one_or_more).unwrap_or_default();
    let resolved: Result<Vec<_>, _> = values.into_iter().map(|value| world.resolve(value)).collect();
    Some(resolved.ok()?.into_iter().flatten().collect())
}

/// Returns the items of a list, or the single value in its place.
fn one_or_more(node: &Node) -> Vec<&Node> {
    match node.value {
        Value::Sequence(_) => items(node).iter().collect(),
        _ => vec![node],
    }
}

/// Tells whether an ARN pattern of a statement covers a resource of a service, given as the last part of its ARN. The region
/// and the account may be the stack's, which are not known here, so they are not compared.
pub fn covers(pattern: &str, service: &str, resource: &str) -> bool {
    let mut parts = pattern.splitn(6, ':').skip(2);
    let of_service = parts.next().unwrap_or("*");
    let of_resource = parts.nth(2).unwrap_or("*");
    let is_whole = of_resource != "*" || pattern.ends_with('*');
    // A star may stand for several parts.
    let covers_all = || is_match(pattern, &format!("arn:aws:{service}:::{resource}"));
    is_match(of_service, service) && (is_whole && is_match(of_resource, resource) || covers_all())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_cover_what_those_of_iam_cover() {
        for (pattern, expected) in [
            ("*", true),
            ("arn:aws:ecr:*", true),
            ("arn:aws:ecr:*:repository/team/*", true),
            ("arn:aws:ecr:*:*:*", true),
            ("arn:aws:ecr:us-east-1:210987654321:repository/team/*", true),
            ("arn:aws:ecr:*:*:repository/*", true),
            ("arn:aws:ecr:*:*:repository/other", false),
            ("arn:aws:ecr", false),
            ("arn:aws:s3:::*", false),
            ("arn:aws:ecs:*:*:*", false),
        ] {
            assert_eq!(covers(pattern, "ecr", "repository/team/base"), expected, "{pattern}");
        }
        assert!(covers("arn:aws:secretsmanager:*:*:secret:base-??????", "secretsmanager", "secret:base-AbCdEf"));
        assert!(!covers("arn:aws:secretsmanager:*:*:secret:base", "secretsmanager", "secret:base-AbCdEf"));
    }
}
