//! Endpoints of AWS services: from the environment, as in the AWS SDKs, else from region and partition.

/// The variable that asks for FIPS 140 validated endpoints.
const USE_FIPS: &str = "AWS_USE_FIPS_ENDPOINT";
/// The variable that asks for dual-stack endpoints.
const USE_DUALSTACK: &str = "AWS_USE_DUALSTACK_ENDPOINT";
/// The variable for the endpoint of all services. The variable for a single service begins with the same name.
const OF_ALL: &str = "AWS_ENDPOINT_URL";
const DEFAULT_DOMAIN: &str = "amazonaws.com";

/// The services that this agent asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    /// CloudFormation.
    CloudFormation,
    /// Auto Scaling.
    AutoScaling,
    /// Systems Manager, for its parameters.
    Ssm,
    /// Secrets Manager.
    SecretsManager,
    /// Amazon ECR.
    Ecr,
}

impl Service {
    /// Returns the service's name, as host names and signatures have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::CloudFormation => "cloudformation",
            Self::AutoScaling => "autoscaling",
            Self::Ssm => "ssm",
            Self::SecretsManager => "secretsmanager",
            Self::Ecr => "ecr",
        }
    }

    /// Returns the end of the name of the service's own variable for its endpoint; none for CloudFormation, whose variable
    /// is read with an option of the command line.
    fn variable(self) -> Option<&'static str> {
        match self {
            Self::CloudFormation => None,
            Self::AutoScaling => Some("AUTO_SCALING"),
            Self::Ssm => Some("SSM"),
            Self::SecretsManager => Some("SECRETS_MANAGER"),
            Self::Ecr => Some("ECR"),
        }
    }

    /// Returns the endpoint in a region. `partition_domain` comes from the instance metadata, and is empty if not known.
    pub fn endpoint(self, region: &str, partition_domain: &str) -> String {
        let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let is_on = |name: &str| set(name).is_some_and(|value| value.eq_ignore_ascii_case("true"));
        let own = self.variable().and_then(|end| set(&format!("{OF_ALL}_{end}")));
        let default = || self.default_endpoint(region, partition_domain, is_on(USE_FIPS), is_on(USE_DUALSTACK));
        own.or_else(|| set(OF_ALL)).unwrap_or_else(default)
    }

    /// Returns the region's endpoint, by the endpoint rules of the AWS SDKs.
    fn default_endpoint(self, region: &str, partition_domain: &str, fips: bool, dualstack: bool) -> String {
        // In GovCloud, the plain endpoints are FIPS 140 validated.
        let is_marked = fips && (dualstack || !region.starts_with("us-gov-"));
        let fips = if is_marked { "-fips" } else { "" };
        let domain = match (dualstack, partition_domain) {
            (true, "amazonaws.com.cn") => "api.amazonwebservices.com.cn",
            (true, _) => "api.aws",
            (false, "") => DEFAULT_DOMAIN,
            (false, domain) => domain,
        };
        let api = if self == Self::Ecr && !dualstack { "api." } else { "" };
        format!("https://{api}{}{fips}.{region}.{domain}", self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_endpoint_is_the_regions_in_its_partition() {
        use Service::{AutoScaling, CloudFormation};
        for (service, region, domain, fips, dualstack, expected) in [
            (CloudFormation, "eu-west-1", "", false, false, "https://cloudformation.eu-west-1.amazonaws.com"),
            (
                CloudFormation,
                "us-east-1",
                "amazonaws.com",
                true,
                false,
                "https://cloudformation-fips.us-east-1.amazonaws.com",
            ),
            (CloudFormation, "us-east-1", "amazonaws.com", false, true, "https://cloudformation.us-east-1.api.aws"),
            (CloudFormation, "us-east-1", "amazonaws.com", true, true, "https://cloudformation-fips.us-east-1.api.aws"),
            (
                CloudFormation,
                "cn-north-1",
                "amazonaws.com.cn",
                false,
                false,
                "https://cloudformation.cn-north-1.amazonaws.com.cn",
            ),
            (
                CloudFormation,
                "cn-north-1",
                "amazonaws.com.cn",
                false,
                true,
                "https://cloudformation.cn-north-1.api.amazonwebservices.com.cn",
            ),
            (AutoScaling, "us-iso-east-1", "c2s.ic.gov", false, false, "https://autoscaling.us-iso-east-1.c2s.ic.gov"),
            (
                AutoScaling,
                "us-gov-west-1",
                "amazonaws.com",
                true,
                false,
                "https://autoscaling.us-gov-west-1.amazonaws.com",
            ),
            (
                AutoScaling,
                "us-gov-west-1",
                "amazonaws.com",
                true,
                true,
                "https://autoscaling-fips.us-gov-west-1.api.aws",
            ),
        ] {
            assert_eq!(service.default_endpoint(region, domain, fips, dualstack), expected);
        }
    }
}
