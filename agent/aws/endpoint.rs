//! Endpoints of AWS services: from the environment, as in the AWS SDKs, else by their rules from region and variant.

use url::Url;

use crate::config::Aws;
use crate::http;

/// The variable that asks for FIPS 140 validated endpoints.
pub const USE_FIPS: &str = "AWS_USE_FIPS_ENDPOINT";
/// The variable that asks for dual-stack endpoints.
pub const USE_DUALSTACK: &str = "AWS_USE_DUALSTACK_ENDPOINT";
/// The variable for the endpoint of all services. The variable for a single service begins with the same name.
pub const OF_ALL: &str = "AWS_ENDPOINT_URL";

/// A partition of AWS, as the SDKs' `partitions.json` describes it.
struct Partition {
    /// The beginning of the names of its regions.
    regions: &'static str,
    domain: &'static str,
    dual_stack_domain: &'static str,
}

const CHINA: &str = "cn-";
const GOVCLOUD: &str = "us-gov-";

/// The partitions. A region of none of the first is taken for one of the last, as the SDKs do.
#[rustfmt::skip]
const PARTITIONS: [Partition; 8] = [
    Partition { regions: CHINA, domain: "amazonaws.com.cn", dual_stack_domain: "api.amazonwebservices.com.cn" },
    Partition { regions: GOVCLOUD, domain: "amazonaws.com", dual_stack_domain: "api.aws" },
    Partition { regions: "eusc-", domain: "amazonaws.eu", dual_stack_domain: "api.amazonwebservices.eu" },
    Partition { regions: "us-iso-", domain: "c2s.ic.gov", dual_stack_domain: "api.aws.ic.gov" },
    Partition { regions: "us-isob-", domain: "sc2s.sgov.gov", dual_stack_domain: "api.aws.scloud" },
    Partition { regions: "eu-isoe-", domain: "cloud.adc-e.uk", dual_stack_domain: "api.cloud-aws.adc-e.uk" },
    Partition { regions: "us-isof-", domain: "csp.hci.ic.gov", dual_stack_domain: "api.aws.hci.ic.gov" },
    Partition { regions: "", domain: "amazonaws.com", dual_stack_domain: "api.aws" },
];

impl Partition {
    fn of(region: &str) -> &'static Partition {
        let [.., rest] = &PARTITIONS;
        PARTITIONS.iter().find(|partition| region.starts_with(partition.regions)).unwrap_or(rest)
    }
}

/// Returns the DNS suffix of the partition that a region belongs to.
pub fn domain_of(region: &str) -> &'static str {
    Partition::of(region).domain
}

/// The variant of an endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Variant {
    /// The endpoint's cryptography is FIPS 140 validated.
    pub fips: bool,
    /// The endpoint has IPv4 and IPv6 addresses.
    pub dual_stack: bool,
}

impl From<Aws> for Variant {
    fn from(aws: Aws) -> Self {
        Variant { fips: aws.fips == Some(true), dual_stack: aws.dual_stack == Some(true) }
    }
}

impl Variant {
    /// Returns the variant for requests of this agent: each key of the configuration, else its variable.
    fn of_this_agent(aws: Aws) -> Self {
        let is_on = |name: &str| set(name).is_some_and(|value| value.eq_ignore_ascii_case("true"));
        Variant {
            fips: aws.fips.unwrap_or_else(|| is_on(USE_FIPS)),
            dual_stack: aws.dual_stack.unwrap_or_else(|| is_on(USE_DUALSTACK)),
        }
    }
}

/// The services that this agent, the ECS agent and the CloudWatch agent ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// CloudFormation.
    CloudFormation,
    /// Auto Scaling.
    AutoScaling,
    /// Systems Manager, for its Parameter Store.
    Ssm,
    /// Secrets Manager.
    SecretsManager,
    /// Elastic Container Registry.
    Ecr,
    /// Elastic Container Service.
    Ecs,
    /// CloudWatch Logs.
    Logs,
}

impl Service {
    /// All services.
    pub const ALL: [Service; 7] = [
        Service::CloudFormation,
        Service::AutoScaling,
        Service::Ssm,
        Service::SecretsManager,
        Service::Ecr,
        Service::Ecs,
        Service::Logs,
    ];

    /// Returns the service's name, as host names and signatures have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::CloudFormation => "cloudformation",
            Self::AutoScaling => "autoscaling",
            Self::Ssm => "ssm",
            Self::SecretsManager => "secretsmanager",
            Self::Ecr => "ecr",
            Self::Ecs => "ecs",
            Self::Logs => "logs",
        }
    }

    /// Returns the end of the variable that names the service's endpoint.
    fn variable(self) -> Option<&'static str> {
        match self {
            // This variable is read with an option of the command line.
            Self::CloudFormation => None,
            Self::AutoScaling => Some("AUTO_SCALING"),
            Self::Ssm => Some("SSM"),
            Self::SecretsManager => Some("SECRETS_MANAGER"),
            Self::Ecr => Some("ECR"),
            Self::Ecs => Some("ECS"),
            Self::Logs => Some("CLOUDWATCH_LOGS"),
        }
    }

    /// Returns the endpoint that this agent asks in a region. `partition_domain` comes from the instance metadata, and is
    /// empty if not known. An endpoint that a variable names wins over the variant that `aws` of the configuration asks for.
    pub fn endpoint(self, region: &str, partition_domain: &str, aws: Aws) -> String {
        let by_rule = || self.by_rule(region, partition_domain, Variant::of_this_agent(aws));
        self.set_by_variable().unwrap_or_else(by_rule)
    }

    /// Returns the endpoint that a variable of the environment names.
    pub(crate) fn set_by_variable(self) -> Option<String> {
        let own = self.variable().and_then(|service| set(&format!("{OF_ALL}_{service}")));
        own.or_else(|| set(OF_ALL))
    }

    /// Returns the region's endpoint, by the endpoint rules of the AWS SDKs.
    pub fn by_rule(self, region: &str, partition_domain: &str, variant: Variant) -> String {
        let partition = Partition::of(region);
        let dual_stack = variant.dual_stack && self.has_dual_stack_name(partition, variant.fips);
        let fips = if variant.fips && self.has_fips_name(partition, dual_stack) { "-fips" } else { "" };
        let domain = match (dual_stack, partition_domain) {
            (true, _) => partition.dual_stack_domain,
            (false, "") => partition.domain,
            (false, domain) => domain,
        };
        let api = if self == Self::Ecr && !dual_stack { "api." } else { "" };
        format!("https://{api}{}{fips}.{region}.{domain}", self.name())
    }

    /// Tells whether the FIPS endpoint has a name of its own. In GovCloud, the plain endpoints of most services are validated.
    fn has_fips_name(self, partition: &Partition, dual_stack: bool) -> bool {
        let is_marked_everywhere = matches!(self, Self::SecretsManager | Self::Ecr | Self::Ecs);
        partition.regions != GOVCLOUD || dual_stack || is_marked_everywhere
    }

    /// Tells whether the dual-stack endpoint has a name of its own. Secrets Manager answers over IPv6 at its plain names.
    fn has_dual_stack_name(self, partition: &Partition, fips: bool) -> bool {
        match partition.regions {
            "" | GOVCLOUD => self != Self::SecretsManager,
            CHINA => self != Self::SecretsManager || fips,
            _ => true,
        }
    }
}

/// Returns the remedy for the name of an endpoint that does not resolve, if it may be one that AWS does not have.
pub(crate) fn remedy_of_name(host: &str) -> Option<&'static str> {
    let is_of = |partition: &Partition| host.ends_with(partition.dual_stack_domain);
    match (host.contains("-fips."), PARTITIONS.iter().any(is_of)) {
        (true, _) => {
            Some("not every service has a FIPS endpoint in every region: leave `aws.fips` out if there is none")
        }
        (false, true) => Some(
            "not every service has a dual-stack endpoint in every region: leave `aws.dual_stack` out if there is none",
        ),
        (false, false) => None,
    }
}

/// Returns the error of a request to AWS in one line, with a remedy for the name of an endpoint that AWS may not have.
pub(crate) fn explain(error: reqwest::Error) -> String {
    let remedy = error.url().and_then(Url::host_str).and_then(remedy_of_name);
    let text = http::explain(error);
    match remedy.filter(|_| text.contains("dns error")) {
        Some(remedy) => format!("{text} ({remedy})"),
        None => text,
    }
}

fn set(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: Variant = Variant { fips: true, dual_stack: true };
    const FIPS: Variant = Variant { fips: true, dual_stack: false };
    const DUAL_STACK: Variant = Variant { fips: false, dual_stack: true };
    const PLAIN: Variant = Variant { fips: false, dual_stack: false };

    #[test]
    fn the_endpoint_is_the_regions_in_its_partition() {
        use Service::{AutoScaling, CloudFormation, Ecr, Ecs, SecretsManager};
        for (service, region, domain, variant, expected) in [
            (CloudFormation, "eu-west-1", "", PLAIN, "cloudformation.eu-west-1.amazonaws.com"),
            (CloudFormation, "us-east-1", "amazonaws.com", FIPS, "cloudformation-fips.us-east-1.amazonaws.com"),
            (CloudFormation, "us-east-1", "amazonaws.com", DUAL_STACK, "cloudformation.us-east-1.api.aws"),
            (CloudFormation, "us-east-1", "amazonaws.com", BOTH, "cloudformation-fips.us-east-1.api.aws"),
            (CloudFormation, "cn-north-1", "", PLAIN, "cloudformation.cn-north-1.amazonaws.com.cn"),
            (
                CloudFormation,
                "cn-north-1",
                "amazonaws.com.cn",
                DUAL_STACK,
                "cloudformation.cn-north-1.api.amazonwebservices.com.cn",
            ),
            (AutoScaling, "us-iso-east-1", "c2s.ic.gov", PLAIN, "autoscaling.us-iso-east-1.c2s.ic.gov"),
            (AutoScaling, "us-isob-east-1", "", DUAL_STACK, "autoscaling.us-isob-east-1.api.aws.scloud"),
            (AutoScaling, "us-gov-west-1", "amazonaws.com", FIPS, "autoscaling.us-gov-west-1.amazonaws.com"),
            (AutoScaling, "us-gov-west-1", "amazonaws.com", BOTH, "autoscaling-fips.us-gov-west-1.api.aws"),
            (Ecs, "us-gov-west-1", "", FIPS, "ecs-fips.us-gov-west-1.amazonaws.com"),
            (Ecr, "eusc-de-east-1", "", FIPS, "api.ecr-fips.eusc-de-east-1.amazonaws.eu"),
            (Ecr, "eu-central-1", "", BOTH, "ecr-fips.eu-central-1.api.aws"),
            (SecretsManager, "eu-central-1", "", BOTH, "secretsmanager-fips.eu-central-1.amazonaws.com"),
            (SecretsManager, "eu-isoe-west-1", "", DUAL_STACK, "secretsmanager.eu-isoe-west-1.api.cloud-aws.adc-e.uk"),
            // A domain that the instance metadata names wins over the region's.
            (CloudFormation, "xx-new-1", "amazonaws.new", PLAIN, "cloudformation.xx-new-1.amazonaws.new"),
        ] {
            assert_eq!(service.by_rule(region, domain, variant), format!("https://{expected}"));
        }
    }

    #[test]
    fn a_name_that_aws_may_not_have_has_a_remedy() {
        for (host, words) in [
            ("cloudformation-fips.eu-central-1.amazonaws.com", Some("`aws.fips`")),
            ("cloudformation-fips.eu-central-1.api.aws", Some("`aws.fips`")),
            ("ecr.us-isob-east-1.api.aws.scloud", Some("`aws.dual_stack`")),
            ("cloudformation.eu-central-1.amazonaws.com", None),
            ("proxy.internal", None),
        ] {
            let remedy = remedy_of_name(host);
            assert_eq!(remedy.is_some(), words.is_some(), "{host}");
            assert!(words.is_none_or(|words| remedy.is_some_and(|remedy| remedy.contains(words))), "{remedy:?}");
        }
    }
}
