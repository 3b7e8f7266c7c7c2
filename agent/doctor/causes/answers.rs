//! Answers of AWS to the ECS agent, or of the network in its place.

use super::row::{CauseKind, Row};
use crate::host::START_ANEW;

/// Words of errors in the agent's requests to ECS (SDK for Go v2, v1), and in its WebSocket to ECS.
const CALLS: &str = "operation error ECS:|caused by: Post |SerializationError|unable to dial";
/// The words of [`CALLS`] that are only in errors of the requests.
const REQUESTS: &str = "operation error ECS:|caused by: Post ";

/// Refusals of ECS whose message names what is refused.
const REFUSALS: &str = "InvalidParameterException|ClientException";

/// The remedy that makes the ECS agent register anew, and keeps the agent's state out of the image.
const AS_NEW_AND_BAKE: &str =
    "stop ecs.service, delete /var/lib/ecs/data, start ecs.service again; bake images without that directory";

/// The rows, from the particular to the general; the first that fits counts.
pub(super) const ALL: &[Row] = &[
    Row {
        kind: CauseKind::ClusterNotFound,
        words: &[
            "Cluster not found|cluster was inactive|luster is inactive|ClusterNotFoundException|InvalidClusterException",
        ],
        what: "the cluster does not exist",
        remedy: "create it in the instance's region and account, or correct `ecs.cluster`",
    },
    Row {
        kind: CauseKind::ClusterChanged,
        words: &["Data mismatch; saved cluster"],
        what: "the ECS agent's saved state belongs to another cluster",
        remedy: AS_NEW_AND_BAKE,
    },
    Row {
        kind: CauseKind::InstanceTypeChanged,
        words: &["Container instance type changes are not supported|instance type mismatch|\
            does not match the registered instance type"],
        what: "the instance type has changed since the instance was registered",
        remedy: "deregister the container instance, stop ecs.service, delete /var/lib/ecs/data, start ecs.service again",
    },
    Row {
        kind: CauseKind::Deregistered,
        words: &["InactiveInstanceException|InvalidInstanceException|Container instance is deregistered"],
        what: "the container instance was deregistered",
        remedy: START_ANEW,
    },
    Row {
        kind: CauseKind::Deregistered,
        words: &["is inactive|was inactive|was deregistered", "ontainer instance"],
        what: "the container instance was deregistered",
        remedy: START_ANEW,
    },
    Row {
        kind: CauseKind::SavedState,
        words: &["Arguments on this idempotent request are inconsistent"],
        what: "the ECS agent's saved state belongs to another instance",
        remedy: AS_NEW_AND_BAKE,
    },
    // The policy that denies is read from the line.
    Row {
        kind: CauseKind::Denied,
        words: &["AccessDenied|UnauthorizedOperation|is not authorized to perform"],
        what: "the instance's role lacks a permission that the ECS agent needs",
        remedy: "allow the action in the role of the instance profile (the managed policy \
            AmazonEC2ContainerServiceforEC2Role allows all that is needed)",
    },
    Row {
        kind: CauseKind::BadCredentials,
        words: &["UnrecognizedClientException|InvalidClientTokenId|ExpiredToken|InvalidAccessKeyId|AuthFailure|\
            MissingAuthenticationToken|OptInRequired|request signature we calculated does not match"],
        what: "AWS rejects the credentials that the ECS agent uses",
        remedy: "if `ecs.config` has AWS_ACCESS_KEY_ID, remove it, so that the instance's role is used; else detach the \
            instance profile and attach it again, and check that the region is enabled for the account",
    },
    Row {
        kind: CauseKind::WrongClock,
        words: &["InvalidSignatureException|SignatureDoesNotMatch|Signature expired|Signature not yet current|\
            RequestTimeTooSkewed|RequestExpired"],
        what: "AWS refuses the signature of the request, as it does when the clock is wrong",
        remedy: CLOCK,
    },
    Row {
        kind: CauseKind::WrongClock,
        words: &["certificate has expired or is not yet valid", CALLS],
        what: "the certificate is not valid at the host's time",
        remedy: CLOCK,
    },
    Row {
        kind: CauseKind::Throttled,
        words: &["ThrottlingException|Throttling:|Rate exceeded|TooManyRequests|RequestLimitExceeded"],
        what: "ECS throttles the registration, since too many requests come from this account",
        remedy: "wait: the ECS agent keeps trying for an hour; launch fewer instances at once, or request a higher \
            rate limit for RegisterContainerInstance",
    },
    Row {
        kind: CauseKind::Quota,
        words: &["LimitExceededException"],
        what: "a quota of ECS is used up",
        remedy: "request a higher quota, or deregister container instances that are no longer there",
    },
    Row {
        kind: CauseKind::ServiceFails,
        words: &["ServerException|InternalFailure|InternalServerError|ServiceUnavailableException"],
        what: "ECS answers with an internal failure",
        remedy: "wait: the ECS agent tries again; the AWS Health Dashboard shows disruptions",
    },
    Row {
        kind: CauseKind::BadTag,
        words: &["Tag| tag", REFUSALS],
        what: "ECS refuses a tag of the container instance",
        remedy: "correct it in `ecs.tags`: keys must not begin with `aws:`, and no more than 50 are allowed",
    },
    Row {
        kind: CauseKind::BadAttribute,
        words: &["Error registering attributes|Attribute validation failed|invalid attribute"],
        what: "ECS refuses an attribute of the container instance",
        remedy: ATTRIBUTE,
    },
    Row {
        kind: CauseKind::BadAttribute,
        words: &["ttribute", REFUSALS],
        what: "ECS refuses an attribute of the container instance",
        remedy: ATTRIBUTE,
    },
    Row {
        kind: CauseKind::BadCluster,
        words: &["luster name|luster ARN|luster reference|nvalid cluster|dentifier", REFUSALS],
        what: "ECS refuses the name of the cluster",
        remedy: "correct `ecs.cluster`",
    },
    Row {
        kind: CauseKind::Deregistered,
        words: &["re-registration attempt with client performing invalid action"],
        what: "ECS refuses the container instance that the ECS agent has saved",
        remedy: START_ANEW,
    },
    Row {
        kind: CauseKind::Refused,
        words: &["InvalidParameterException|ClientException|ValidationException|UnsupportedFeatureException"],
        what: "ECS refuses the registration",
        remedy: "correct what the line names; attributes come from `ecs.attributes`, tags from `ecs.tags`",
    },
    Row {
        kind: CauseKind::BadSetting,
        words: &["failed to resolve service endpoint|Invalid Configuration|MissingRegion|UnknownEndpoint"],
        what: "the ECS agent can't determine ECS's endpoint",
        remedy: "correct AWS_DEFAULT_REGION and ECS_BACKEND_HOST in `ecs.config`",
    },
    Row {
        kind: CauseKind::NoCredentials,
        words: &["no EC2 IMDS role found|failed to refresh cached credentials|NoCredentialProviders|\
            no valid providers in chain|Error getting valid credentials|EC2RoleRequestError"],
        what: "the ECS agent finds no credentials",
        remedy: "attach an instance profile with a role, and keep 169.254.169.254 in NO_PROXY",
    },
    Row {
        kind: CauseKind::ProxyScheme,
        words: &["proxy: unknown scheme"],
        what: "the ECS agent's WebSocket supports no https:// proxy",
        remedy: "write `proxy.url` with http://",
    },
    Row {
        kind: CauseKind::ProxyScheme,
        words: &["proxyconnect tcp: tls: first record|proxyconnect tcp: EOF|server gave HTTP response to HTTPS client"],
        what: "the proxy does not speak TLS",
        remedy: "write `proxy.url` with http://",
    },
    Row {
        kind: CauseKind::ProxyCredentials,
        words: &["Proxy Authentication Required|Code: 407|code: 407| 407 ", CALLS],
        what: "the proxy wants other credentials than it is given",
        remedy: "correct user and password in `proxy.url`",
    },
    Row {
        kind: CauseKind::Untrusted,
        words: &["x509:|tls: failed to verify|tls: unknown certificate", CALLS],
        what: "the ECS agent does not trust the certificate that it receives",
        remedy: "put the CA of an inspecting proxy into the host's trust store, or let the proxy pass ecs, ecs-a-* and \
            ecs-t-* of the region as they are; check the clock",
    },
    Row {
        kind: CauseKind::ProxyUnknown,
        words: &["proxyconnect tcp: dial tcp: lookup"],
        what: "the name of the proxy does not resolve",
        remedy: "correct the host in `proxy.url`, or the VPC's DNS",
    },
    Row {
        kind: CauseKind::ProxyUnreachable,
        words: &["proxyconnect tcp"],
        what: "the ECS agent can't reach the proxy",
        remedy: "correct host and port in `proxy.url`, or let the security groups pass this port; see that the proxy runs",
    },
    Row {
        kind: CauseKind::NameUnknown,
        words: &[UNKNOWN_NAME, "operation error ECS:|caused by: Post |lookup ecs"],
        what: "the name of the ECS endpoint does not resolve",
        remedy: "see that the VPC resolves names (enableDnsSupport, its DHCP options), and that the region is right",
    },
    Row {
        kind: CauseKind::NameUnknown,
        words: &[UNKNOWN_NAME, "unable to dial"],
        what: "a name that the ECS agent needs does not resolve",
        remedy: "correct the host in `proxy.url`, or the VPC's DNS",
    },
    Row {
        kind: CauseKind::ProxyRefused,
        words: &[
            "Forbidden|Bad Gateway|Service Unavailable|Gateway Time|Method Not Allowed|: Not Found|: Bad Request|\
            : Unauthorized|Code: 403|code: 403| 403 |invalid character '<'|<html",
            CALLS,
        ],
        what: "the proxy does not let the ECS agent through",
        remedy: "allow the hosts ecs, ecs-a-* and ecs-t-* of the region in the proxy",
    },
    Row {
        kind: CauseKind::Unreachable,
        words: &[
            "dial tcp|i/o timeout|deadline exceeded|Client.Timeout exceeded|handshake timeout|connection reset by peer|\
            EOF",
            REQUESTS,
        ],
        what: "the ECS agent can't connect to ECS",
        remedy: "give the subnet a route to ECS: a NAT gateway, the VPC endpoints ecs, ecs-agent and ecs-telemetry, or \
                 a `proxy`; and let the security group allow outbound TCP 443",
    },
    Row {
        kind: CauseKind::Disconnected,
        words: &["Failed to connect to ACS|Error connecting to ACS|Unable to discover poll endpoint|ACS session ended"],
        what: "the ECS agent is registered but can't hold its connection, so ECS gives it no tasks",
        remedy: "give the subnet, or the proxy, a route to the hosts ecs-a-* and ecs-t-* of the region, on TCP 443, \
            and let WebSocket through",
    },
];

const UNKNOWN_NAME: &str = "no such host|Temporary failure in name resolution|server misbehaving|dial tcp: lookup";

const CLOCK: &str = "compare `date -u` with the real time, and let chronyd use 169.254.169.123";

const ATTRIBUTE: &str = "correct it in `ecs.attributes`: names and values have at most 128 characters, and the \
    container instance at most 10 of them";
