//! The table of what keeps an ECS agent from its cluster: the words that its log has for it, the cause, the remedy.

/// The known causes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The cluster does not exist.
    ClusterNotFound,
    /// The saved state is that of another cluster.
    ClusterChanged,
    /// The saved state is that of another instance type.
    InstanceTypeChanged,
    /// IAM does not allow it.
    Denied,
    /// The policy of a VPC endpoint does not allow it.
    DeniedByEndpoint,
    /// AWS does not take the credentials.
    BadCredentials,
    /// There are no credentials.
    NoCredentials,
    /// AWS refuses signatures because the clock is wrong.
    WrongClock,
    /// AWS throttles.
    Throttled,
    /// The proxy's name does not resolve.
    ProxyUnknown,
    /// The proxy can't be reached.
    ProxyUnreachable,
    /// The proxy wants credentials.
    ProxyCredentials,
    /// The proxy does not let the request through.
    ProxyRefused,
    /// A name does not resolve.
    NameUnknown,
    /// A certificate is not trusted.
    Untrusted,
    /// No connection to AWS.
    Unreachable,
    /// Docker can't be reached.
    NoDocker,
    /// A setting is not what the agent can read.
    BadSetting,
    /// ECS refuses an attribute or a parameter.
    Refused,
    /// The agent's image can't be loaded.
    NoImage,
    /// Registered, but not connected.
    Disconnected,
}

impl Kind {
    /// Whether something else that can be checked is behind it.
    pub fn is_symptom(self) -> bool {
        matches!(self, Kind::NoDocker | Kind::NoCredentials | Kind::WrongClock | Kind::BadCredentials)
    }
}

/// A line of the table.
pub(super) struct Row {
    pub(super) kind: Kind,
    /// One of these is in the log's line.
    any: &'static [&'static str],
    /// And this; it may be empty.
    with: &'static str,
    pub(super) what: &'static str,
    pub(super) remedy: &'static str,
}

impl Row {
    pub(super) fn is_of(&self, line: &str) -> bool {
        line.contains(self.with) && self.any.iter().any(|words| line.contains(words))
    }

    /// A line for each of the alternatives.
    #[cfg(test)]
    pub(super) fn examples(&self) -> Vec<String> {
        self.any.iter().map(|words| format!("level=error msg=\"{} {words}\"", self.with)).collect()
    }
}

/// What stands for the cluster in a text, for its name to be put there.
pub(super) const CLUSTER: &str = "the cluster";

/// In the agent's requests to ECS, and nowhere else.
const REQUEST: &str = "operation error ECS:";

const CHECK_CREDENTIALS: &str = "if `ecs.config` has AWS_ACCESS_KEY_ID, remove it, so that the instance's role is \
     used; else detach the instance profile and attach it again, and check that the region is enabled for the account";

/// From the particular to the general: the first that fits counts.
pub(super) const CAUSES: &[Row] = &[
    Row {
        kind: Kind::ClusterNotFound,
        any: &["Cluster not found"],
        with: "",
        what: "the cluster does not exist",
        remedy: "create it in the instance's region and account, or correct `ecs.cluster`",
    },
    Row {
        kind: Kind::ClusterChanged,
        any: &["Data mismatch; saved cluster"],
        with: "",
        what: "the ECS agent's saved state is that of another cluster",
        remedy: "stop ecs.service, delete /var/lib/ecs/data, start it again; an image must be baked without that \
            directory",
    },
    Row {
        kind: Kind::InstanceTypeChanged,
        any: &["Container instance type changes are not supported", "instance type mismatch"],
        with: "",
        what: "the instance has another type than when it was registered",
        remedy: "deregister the container instance, stop ecs.service, delete /var/lib/ecs/data, start it again",
    },
    Row {
        kind: Kind::DeniedByEndpoint,
        any: &["VPC endpoint policy"],
        with: "AccessDenied",
        what: "the policy of a VPC endpoint denies what the ECS agent needs",
        remedy: "allow the action in the endpoint's policy",
    },
    Row {
        kind: Kind::Denied,
        any: &["AccessDeniedException", "AccessDenied:", "UnauthorizedOperation"],
        with: "",
        what: "the instance's role lacks a permission that the ECS agent needs",
        remedy: "allow the action in the role of the instance profile (the managed policy \
            AmazonEC2ContainerServiceforEC2Role allows all that is needed)",
    },
    Row {
        kind: Kind::WrongClock,
        any: &["InvalidSignatureException", "Signature expired", "Signature not yet current", "RequestTimeTooSkewed"],
        with: "",
        what: "AWS refuses the signature of the request, as it does when the clock is wrong",
        remedy: "compare `date -u` with the real time, and let chronyd use 169.254.169.123",
    },
    Row {
        kind: Kind::BadCredentials,
        any: &["UnrecognizedClientException", "InvalidClientTokenId", "ExpiredToken", "InvalidAccessKeyId"],
        with: "",
        what: "AWS rejects the credentials that the ECS agent uses",
        remedy: CHECK_CREDENTIALS,
    },
    Row {
        kind: Kind::Throttled,
        any: &["ThrottlingException", "Rate exceeded"],
        with: "",
        what: "ECS throttles the registration, since too many requests come from this account",
        remedy: "wait: the ECS agent keeps trying for an hour; launch fewer instances at once, or request a higher \
            rate limit for RegisterContainerInstance",
    },
    Row {
        kind: Kind::ProxyCredentials,
        any: &["Proxy Authentication Required"],
        with: "",
        what: "the proxy wants other credentials than it is given",
        remedy: "correct user and password in `proxy.url`",
    },
    Row {
        kind: Kind::ProxyUnknown,
        any: &["proxyconnect tcp: dial tcp: lookup"],
        with: "",
        what: "the name of the proxy does not resolve",
        remedy: "correct the host in `proxy.url`, or the VPC's DNS",
    },
    Row {
        kind: Kind::ProxyUnreachable,
        any: &["proxyconnect tcp"],
        with: "",
        what: "the ECS agent can't reach the proxy",
        remedy: "correct host and port in `proxy.url`, or let the security groups pass this port; see that the proxy runs",
    },
    Row {
        kind: Kind::NameUnknown,
        any: &["no such host", "Temporary failure in name resolution", "server misbehaving", "dial tcp: lookup"],
        with: REQUEST,
        what: "the name of the ECS endpoint does not resolve",
        remedy: "see that the VPC resolves names (enableDnsSupport, its DHCP options), and that the region is right",
    },
    Row {
        kind: Kind::Untrusted,
        any: &["x509:", "tls: failed to verify"],
        with: REQUEST,
        what: "the ECS agent does not trust the certificate that it is shown",
        remedy: "put the CA of an inspecting proxy into the host's trust store, or let the proxy pass AWS through; check the clock",
    },
    Row {
        kind: Kind::NoCredentials,
        any: &["no EC2 IMDS role found", "failed to refresh cached credentials", "NoCredentialProviders"],
        with: "",
        what: "the ECS agent finds no credentials",
        remedy: "attach an instance profile with a role, and keep 169.254.169.254 in NO_PROXY",
    },
    Row {
        kind: Kind::Unreachable,
        any: &[
            "dial tcp",
            "context deadline exceeded",
            "Client.Timeout exceeded",
            "connection reset by peer",
            "TLS handshake timeout",
        ],
        with: REQUEST,
        what: "the ECS agent can't connect to ECS",
        remedy: "give the subnet a route to ECS: a NAT gateway, the VPC endpoints ecs, ecs-agent and ecs-telemetry, or \
                 a `proxy`; and let the security group allow outbound TCP 443",
    },
    Row {
        kind: Kind::ProxyRefused,
        any: &["\\\": Forbidden", "\\\": Bad Gateway", "\\\": Service Unavailable"],
        with: REQUEST,
        what: "the proxy does not let the ECS agent through",
        remedy: "allow the hosts ecs, ecs-a-* and ecs-t-* of the region in the proxy",
    },
    Row {
        kind: Kind::NoDocker,
        any: &[
            "unable to connect to Docker daemon",
            "Error creating Docker client",
            "Cannot connect to the Docker daemon",
        ],
        with: "",
        what: "the ECS agent can't reach Docker",
        remedy: "`journalctl -u docker.service` says why Docker does not run",
    },
    Row {
        kind: Kind::BadSetting,
        any: &["Invalid format for ECS_", "Error loading config"],
        with: "",
        what: "the ECS agent can't read a setting",
        remedy: "correct that variable in /etc/ecs/ecs.config, which `ecs.attributes`, `ecs.tags` and `ecs.config` make",
    },
    Row {
        kind: Kind::Refused,
        any: &["InvalidParameterException", "invalid attribute", "ClientException", "LimitExceededException"],
        with: "",
        what: "ECS refuses the registration",
        remedy: "correct what the line names; attributes come from `ecs.attributes`",
    },
    Row {
        kind: Kind::NoImage,
        any: &[
            "could not load Amazon Elastic Container Service Agent",
            "could not download Amazon Elastic Container Service Agent",
        ],
        with: "",
        what: "the ECS agent's own image can't be loaded",
        remedy: "bake the image with the file of the ECS agent in /var/cache/ecs, and see that Docker's disk is not full",
    },
    Row {
        kind: Kind::Disconnected,
        any: &["Failed to connect to ACS", "Error connecting to ACS"],
        with: "",
        what: "the ECS agent is registered but can't hold its connection, so that it is given no tasks",
        remedy: "give the subnet, or the proxy, a route to the hosts ecs-a-* and ecs-t-* of the region, on TCP 443, \
            and let WebSocket through",
    },
];
