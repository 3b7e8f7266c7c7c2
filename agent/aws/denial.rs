//! The policy that denies a request, as AWS's message names it, and the remedy.

/// The policies: the name in AWS's messages, and words that say whose policy it is.
const POLICIES: [(&str, &str); 8] = [
    ("service control polic", "a service control policy of the organization"),
    ("resource control polic", "a resource control policy of the organization"),
    ("VPC endpoint polic", "the policy of the VPC endpoint"),
    ("permissions boundar", "the permissions boundary of the instance's role"),
    ("session polic", "the session policy of the credentials"),
    ("resource-based polic", "the policy of the resource, such as a bucket or a key"),
    ("role trust polic", "the trust policy of the role"),
    ("identity-based polic", ROLES_OWN),
];

const ROLES_OWN: &str = "a policy of the instance's role";

/// A policy that denies a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Denial {
    /// The policy and its owner, in words.
    pub policy: &'static str,
    /// True if the policy has a deny; otherwise the policy only lacks an allow.
    pub is_explicit: bool,
}

impl Denial {
    /// Reads the denying policy out of AWS's message.
    ///
    /// There is none where the role just lacks an allow, or AWS names no policy. Then the caller knows which permission the
    /// role needs.
    /// The forms are `… with an explicit deny in a service control policy`, with or without the policy's ARN after it, and
    /// `… because no identity-based policy allows the ecs:Poll action`.
    #[must_use]
    pub fn of(message: &str) -> Option<Self> {
        let named = |rest: &str| {
            let rest = rest.trim_start_matches(" in").trim_start();
            let rest = ["a ", "an ", "the "].iter().find_map(|article| rest.strip_prefix(article)).unwrap_or(rest);
            POLICIES.iter().find(|(name, _)| rest.starts_with(name)).map(|(_, policy)| *policy)
        };
        if let Some((_, rest)) = message.split_once("explicit deny") {
            let policy = named(rest).unwrap_or("a policy that AWS does not name (the role's, or the organization's)");
            return Some(Self { policy, is_explicit: true });
        }
        let policy = message.split("because no ").skip(1).find_map(named).filter(|policy| *policy != ROLES_OWN)?;
        Some(Self { policy, is_explicit: false })
    }

    /// Says what to change, and where.
    #[must_use]
    pub fn remedy(&self) -> String {
        match self.is_explicit {
            true => format!("remove the deny from {}: it overrides every allow", self.policy),
            false => format!("allow the action in {}", self.policy),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USER: &str = "User: arn:aws:sts::210987654321:assumed-role/web-instances/i-0a is not authorized to perform: \
                        ecs:Poll on resource: *";

    #[test]
    fn each_policy_is_told_from_the_others_with_its_own_remedy() {
        for (named, policy) in [
            ("a service control policy", "a service control policy"),
            (
                "a service control policy: arn:aws:organizations::1:policy/o-1/service_control_policy/p-1",
                "the organization",
            ),
            ("a resource control policy", "a resource control policy"),
            ("a VPC endpoint policy", "the VPC endpoint"),
            ("a permissions boundary", "the permissions boundary"),
            ("a session policy", "the session policy"),
            ("a resource-based policy", "the policy of the resource"),
            ("the role trust policy", "the trust policy"),
            ("an identity-based policy", "a policy of the instance's role"),
            ("an identity-based policy: arn:aws:iam::210987654321:policy/session-policy", "instance's role"),
        ] {
            let denied = Denial::of(&format!("{USER} with an explicit deny in {named}")).unwrap();
            let remedy = denied.remedy();
            assert!(denied.is_explicit && remedy.contains(policy) && remedy.starts_with("remove the deny"), "{remedy}");
            let bare = named.split_once(' ').unwrap().1.split(':').next().unwrap();
            let not_allowed = Denial::of(&format!("{USER} because no {bare} allows the ecs:Poll action"));
            let expected = Some(Denial { is_explicit: false, ..denied }).filter(|_| bare != "identity-based policy");
            assert_eq!(not_allowed, expected, "{named}");
            assert!(not_allowed.is_none_or(|denial| denial.remedy().starts_with("allow the action in ")), "{named}");
        }
    }

    #[test]
    fn a_deny_in_a_policy_that_is_not_named_is_a_deny() {
        for text in [format!("{USER} with an explicit deny"), "explicit deny in a stack policy".to_owned()] {
            let denied = Denial::of(&text).unwrap();
            assert!(denied.is_explicit && denied.policy.starts_with("a policy that AWS does not name"), "{denied:?}");
        }
    }

    #[test]
    fn a_message_that_names_no_policy_tells_nothing() {
        for text in ["", USER, "Access Denied", "because no such bucket exists", "explicitly denied by the proxy"] {
            assert_eq!(Denial::of(text), None, "{text}");
        }
    }
}
