//! The words of the tables, as they stand in logs.

use super::*;
use crate::doctor::agent_log::cause;

fn found(log: &str) -> Option<CauseKind> {
    cause(log, "", "the cluster").map(|cause| cause.kind)
}

#[test]
fn each_row_of_the_table_is_reached_by_its_own_words() {
    for row in rows() {
        for line in row.examples() {
            let kind = found(&line);
            assert_eq!(kind, Some(row.kind), "{line}");
        }
    }
}

/// Returns the lines with an error of the SDK for Go v1, as agents up to 1.91 write them.
fn of_v1(said: &str) -> String {
    format!(
        "level=info time=2026-10-05T06:14:02Z msg=\"Amazon ECS agent Version: 1.86.3, Commit: 0bad1dea\" module=agent.go\n\
         level=error time=2026-10-05T06:14:08Z msg=\"Unable to register as a container instance with ECS: {said}\" \
         module=client.go\nlevel=error time=2026-10-05T06:14:08Z msg=\"Error registering: {said}\" module=agent.go\n"
    )
}

#[test]
fn the_words_of_the_old_sdk_are_known_too() {
    let sent = r#"RequestError: send request failed\ncaused by: Post \"https://ecs.eu-central-1.amazonaws.com/\": "#;
    for (said, kind) in [
        ("dial tcp 192.0.2.10:443: i/o timeout", CauseKind::Unreachable),
        ("EOF", CauseKind::Unreachable),
        ("dial tcp: lookup ecs.eu-central-1.amazonaws.com on 10.0.0.2:53: no such host", CauseKind::NameUnknown),
        ("x509: certificate signed by unknown authority", CauseKind::Untrusted),
        ("x509: certificate has expired or is not yet valid: current time", CauseKind::WrongClock),
        ("proxyconnect tcp: dial tcp: lookup squid.internal: no such host", CauseKind::ProxyUnknown),
        ("proxyconnect tcp: dial tcp 10.0.0.9:3128: connect: connection refused", CauseKind::ProxyUnreachable),
        ("proxyconnect tcp: tls: first record does not look like a TLS handshake", CauseKind::ProxyScheme),
        ("Proxy Authentication Required", CauseKind::ProxyCredentials),
        ("Forbidden", CauseKind::ProxyRefused),
    ] {
        let cause = cause(&of_v1(&format!("{sent}{said}")), "", "it").unwrap();
        assert_eq!(cause.kind, kind, "{said}");
        assert_eq!(cause.quoted, format!("Post \"https://ecs.eu-central-1.amazonaws.com/\": {said}"));
    }
    let answered = r"\n\tstatus code: 400, request id: 407c0de4-0b3d-4a9e-8a52-17d2c9b1f0aa";
    for (said, kind) in [
        (
            "AccessDeniedException: User: a is not authorized to perform: ecs:RegisterContainerInstance",
            CauseKind::Denied,
        ),
        ("ClientException: Cluster not found.", CauseKind::ClusterNotFound),
        ("ClientException: Container instance 9d3f5b7a1c2e4f60 is inactive.", CauseKind::Deregistered),
        (
            "UnrecognizedClientException: The security token included in the request is invalid.",
            CauseKind::BadCredentials,
        ),
        ("InvalidSignatureException: Signature expired: 20261005T0614", CauseKind::WrongClock),
        ("InvalidParameterException: Tag key must not start with aws:", CauseKind::BadTag),
        ("ThrottlingException: Rate exceeded", CauseKind::Throttled),
        ("ServerException: Service Unavailable. Please try again later.", CauseKind::ServiceFails),
    ] {
        let cause = cause(&of_v1(&format!("{said}{answered}")), "", "it").unwrap();
        assert_eq!((cause.kind, cause.quoted.as_str()), (kind, said), "{said}");
    }
    let none =
        of_v1(r"NoCredentialProviders: no valid providers in chain. Deprecated.\n\tFor verbose messaging see aws");
    let cause = cause(&none, "", "it").unwrap();
    assert_eq!(cause.kind, CauseKind::NoCredentials);
    assert!(cause.quoted.starts_with("no valid providers in chain."), "{}", cause.quoted);
}

#[test]
fn a_start_of_an_old_agent_begins_anew() {
    let before = of_v1("ThrottlingException: Rate exceeded");
    let start = before.lines().next().unwrap();
    let odd = "level=critical time=2026-10-05T06:14:09Z msg=\"The flux has frozen\" module=flux.go";
    assert_eq!(found(&format!("{before}{start}\n{odd}\n")), Some(CauseKind::Other));
    assert_eq!(found(&format!("{before}{odd}\n")), Some(CauseKind::Throttled));
}

/// Returns the log of an agent that registered, and whose WebSocket then fails with these words.
fn disconnected(said: &str) -> String {
    format!(
        "level=info time=2026-10-05T06:14:07Z msg=\"Instance registration completed successfully\" cluster=\"production\"\n\
         level=error time=2026-10-05T06:14:08Z msg=\"Failed to connect to ACS\" error=\"websocket client: unable to dial \
         ecs-a-1.eu-central-1.amazonaws.com response: : {said}\"\n"
    )
}

#[test]
fn each_failure_of_the_websocket_has_its_own_remedy() {
    for (said, kind, remedy) in [
        ("proxy: unknown scheme: https", CauseKind::ProxyScheme, "write `proxy.url` with http://"),
        ("proxy: unknown scheme: socks4", CauseKind::ProxyScheme, "write `proxy.url` with http://"),
        ("x509: certificate signed by unknown authority", CauseKind::Untrusted, "put the CA of an inspecting proxy"),
        (
            "dial tcp: lookup ecs-a-1.eu-central-1.amazonaws.com: no such host",
            CauseKind::NameUnknown,
            "enableDnsSupport",
        ),
        ("dial tcp: lookup squid.internal: no such host", CauseKind::NameUnknown, "correct the host in `proxy.url`"),
        ("Proxy Authentication Required", CauseKind::ProxyCredentials, "correct user and password"),
        ("Forbidden", CauseKind::ProxyRefused, "allow the hosts ecs, ecs-a-* and ecs-t-*"),
        ("<html>blocked</html>: websocket: bad handshake", CauseKind::ProxyRefused, "allow the hosts ecs, ecs-a-*"),
        ("dial tcp 192.0.2.30:443: i/o timeout", CauseKind::Disconnected, "a route to the hosts ecs-a-* and ecs-t-*"),
        ("websocket: bad handshake", CauseKind::Disconnected, "let WebSocket through"),
        (
            "AccessDeniedException: not authorized to perform: ecs:Poll",
            CauseKind::Denied,
            "the role of the instance profile",
        ),
        ("Signature expired: 20261005T0614", CauseKind::WrongClock, "compare `date -u`"),
    ] {
        let cause = cause(&disconnected(said), "", "it").unwrap_or_else(|| panic!("{said}"));
        assert_eq!(cause.kind, kind, "{said}");
        assert!(cause.remedy.contains(remedy), "{said}: {}", cause.remedy);
    }
}

#[test]
fn a_denial_is_mended_where_the_policy_is() {
    for (why, what, remedy) in [
        (
            "because no identity-based policy allows the ecs:Poll action",
            "the instance's role lacks",
            "AmazonEC2Container",
        ),
        ("", "the instance's role lacks", "in the role of the instance profile"),
        (
            "with an explicit deny in an identity-based policy",
            "a policy of the instance's role denies",
            "remove the deny",
        ),
        (
            "with an explicit deny in a service control policy",
            "a service control policy of the org",
            "remove the deny from",
        ),
        (
            "because no VPC endpoint policy allows the ecs:Poll action",
            "the policy of the VPC endpoint does not allow",
            "allow",
        ),
        (
            "with an explicit deny in a permissions boundary",
            "the permissions boundary of the instance's",
            "remove the deny",
        ),
    ] {
        let user =
            "User: arn:aws:sts::210987654321:assumed-role/web-instances/i-0a is not authorized to perform: ecs:Poll";
        let line =
            format!("level=error msg=\"x\" error=\"operation error ECS: Y, AccessDeniedException: {user} {why}\"");
        let cause = cause(&line, "", "it").unwrap();
        assert_eq!(cause.kind, CauseKind::Denied);
        assert!(
            cause.what.starts_with(what) && cause.remedy.contains(remedy),
            "{why}: {} {}",
            cause.what,
            cause.remedy
        );
    }
}

#[test]
fn what_ecs_refuses_is_told_by_its_subject() {
    for (said, kind, remedy) in [
        ("Tag key must not start with aws:", CauseKind::BadTag, "`ecs.tags`"),
        ("Too many tags were given for resource.", CauseKind::BadTag, "`ecs.tags`"),
        ("Invalid attribute name: rack position", CauseKind::BadAttribute, "`ecs.attributes`"),
        ("Attribute value is longer than 128 characters.", CauseKind::BadAttribute, "`ecs.attributes`"),
        ("Invalid cluster name.", CauseKind::BadCluster, "`ecs.cluster`"),
        ("Identifier is for 123456789012. Your accountId is 210987654321", CauseKind::BadCluster, "`ecs.cluster`"),
        ("The referenced cluster was inactive.", CauseKind::ClusterNotFound, "create it"),
        ("Arguments on this idempotent request are inconsistent", CauseKind::SavedState, "delete /var/lib/ecs/data"),
        ("The storm of staging is not known.", CauseKind::Refused, "correct what the line names"),
    ] {
        for exception in ["InvalidParameterException", "ClientException"] {
            let line = format!(
                "level=error msg=\"Unable to register as a container instance with ECS\" error=\"operation error ECS: \
                 RegisterContainerInstance, https response error StatusCode: 400, RequestID: 1, {exception}: {said}\""
            );
            let cause = cause(&line, "", "it").unwrap();
            assert_eq!((cause.kind, cause.quoted), (kind, format!("{exception}: {said}")));
            assert!(cause.remedy.contains(remedy), "{said}: {}", cause.remedy);
        }
    }
}

#[test]
fn each_end_of_a_start_has_its_cause_and_remedy() {
    for (level, message, kind, remedy) in [
        (
            "critical",
            "Unable to initialize cgroup root for ECS: unable to setup '/ecs' cgroup: x",
            CauseKind::Cgroup,
            "CPU_MEM",
        ),
        (
            "critical",
            "Could not initialize Nvidia GPU Manager: could not read GPU file content",
            CauseKind::Gpu,
            "GPU_SUPPORT",
        ),
        (
            "error",
            "Nvidia GPU Manager: setup failed: error initializing nvidia nvml",
            CauseKind::Gpu,
            "NVIDIA's driver",
        ),
        (
            "critical",
            "Error loading previously saved state: no task of container",
            CauseKind::SavedState,
            "/var/lib/ecs/data",
        ),
        (
            "critical",
            "Error checking compatibility with previously saved state: x",
            CauseKind::SavedState,
            "CPU_MEM_LIMIT back",
        ),
        (
            "critical",
            "Could not determine target lifecycle of instance: x",
            CauseKind::WarmPool,
            "ECS_WARM_POOLS_CHECK",
        ),
        (
            "critical",
            "Required minimum docker API version 1.21 is not supported",
            CauseKind::DockerVersion,
            "newer ECS agent",
        ),
        ("critical", "Could not get supported docker versions.", CauseKind::NoDocker, "journalctl -u docker"),
        (
            "critical",
            "Unable to initialize Task ENI dependencies: agent is not started with an init system",
            CauseKind::TaskEni,
            "ecs-init",
        ),
        (
            "critical",
            "Unable to initialize Task ENI dependencies: plugin 'vpc-eni' doesn't support the capability: awsvpc",
            CauseKind::TaskEni,
            "one whole version",
        ),
        (
            "critical",
            "Unable to detect VPC ID and Subnet: unable to get vpc id from instance metadata: x",
            CauseKind::NoMetadata,
            "NO_PROXY",
        ),
        (
            "critical",
            "The current instance type does not match the registered instance type. Please revert",
            CauseKind::InstanceTypeChanged,
            "deregister",
        ),
        (
            "critical",
            "Error calling DescribeTags API: operation error EC2: DescribeTags, request send failed",
            CauseKind::BadTag,
            "PROPAGATE_TAGS_FROM",
        ),
        (
            "error",
            "could not remove existing Agent container: API error (409): removal in progress",
            CauseKind::NotStarted,
            "docker rm",
        ),
        (
            "error",
            "could not start Agent: API error (500): write /x: no space left on device",
            CauseKind::DiskFull,
            "make room",
        ),
        ("error", "could not enable loopback routing: exit status 255", CauseKind::NoRoutes, "iptables and sysctl"),
        (
            "error",
            "could not create route to the credentials proxy: exit status 127",
            CauseKind::NoRoutes,
            "iptables and sysctl",
        ),
        (
            "error",
            "could not load Amazon Elastic Container Service Agent from cache: no such file",
            CauseKind::NoImage,
            "/var/cache/ecs",
        ),
        (
            "error",
            "could not create docker client: cannot connect to Docker endpoint",
            CauseKind::NoDocker,
            "journalctl -u docker",
        ),
        ("error", "could not check Docker for Agent image presence: x", CauseKind::NoDocker, "journalctl -u docker"),
    ] {
        let line = format!("level={level} time=2026-10-05T06:15:01Z msg=\"{message}\" module=x.go");
        let cause = cause(&line, "", "it").unwrap();
        assert_eq!(cause.kind, kind, "{message}");
        assert!(cause.remedy.contains(remedy) && cause.quoted == message, "{message}: {cause:?}");
    }
}
