//! The words of the tables, as they stand in logs.

use super::*;
use crate::doctor::agent_log::cause;

fn found(log: &str) -> Option<Kind> {
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

/// A line of the SDK for Go v1, as agents up to 1.91 write it.
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
        ("dial tcp 192.0.2.10:443: i/o timeout", Kind::Unreachable),
        ("EOF", Kind::Unreachable),
        ("dial tcp: lookup ecs.eu-central-1.amazonaws.com on 10.0.0.2:53: no such host", Kind::NameUnknown),
        ("x509: certificate signed by unknown authority", Kind::Untrusted),
        ("x509: certificate has expired or is not yet valid: current time", Kind::WrongClock),
        ("proxyconnect tcp: dial tcp: lookup squid.internal: no such host", Kind::ProxyUnknown),
        ("proxyconnect tcp: dial tcp 10.0.0.9:3128: connect: connection refused", Kind::ProxyUnreachable),
        ("proxyconnect tcp: tls: first record does not look like a TLS handshake", Kind::ProxyScheme),
        ("Proxy Authentication Required", Kind::ProxyCredentials),
        ("Forbidden", Kind::ProxyRefused),
    ] {
        let cause = cause(&of_v1(&format!("{sent}{said}")), "", "it").unwrap();
        assert_eq!(cause.kind, kind, "{said}");
        assert_eq!(cause.quoted, format!("Post \"https://ecs.eu-central-1.amazonaws.com/\": {said}"));
    }
    let answered = r"\n\tstatus code: 400, request id: 407c0de4-0b3d-4a9e-8a52-17d2c9b1f0aa";
    for (said, kind) in [
        ("AccessDeniedException: User: a is not authorized to perform: ecs:RegisterContainerInstance", Kind::Denied),
        ("ClientException: Cluster not found.", Kind::ClusterNotFound),
        ("ClientException: Container instance 9d3f5b7a1c2e4f60 is inactive.", Kind::Deregistered),
        ("UnrecognizedClientException: The security token included in the request is invalid.", Kind::BadCredentials),
        ("InvalidSignatureException: Signature expired: 20261005T0614", Kind::WrongClock),
        ("InvalidParameterException: Tag key must not start with aws:", Kind::BadTag),
        ("ThrottlingException: Rate exceeded", Kind::Throttled),
        ("ServerException: Service Unavailable. Please try again later.", Kind::ServiceFails),
    ] {
        let cause = cause(&of_v1(&format!("{said}{answered}")), "", "it").unwrap();
        assert_eq!((cause.kind, cause.quoted.as_str()), (kind, said), "{said}");
    }
    let none =
        of_v1(r"NoCredentialProviders: no valid providers in chain. Deprecated.\n\tFor verbose messaging see aws");
    let cause = cause(&none, "", "it").unwrap();
    assert_eq!(cause.kind, Kind::NoCredentials);
    assert!(cause.quoted.starts_with("no valid providers in chain."), "{}", cause.quoted);
}

#[test]
fn a_start_of_an_old_agent_begins_anew() {
    let before = of_v1("ThrottlingException: Rate exceeded");
    let start = before.lines().next().unwrap();
    let odd = "level=critical time=2026-10-05T06:14:09Z msg=\"The flux has frozen\" module=flux.go";
    assert_eq!(found(&format!("{before}{start}\n{odd}\n")), Some(Kind::Other));
    assert_eq!(found(&format!("{before}{odd}\n")), Some(Kind::Throttled));
}

/// The log of an agent that registered, and whose WebSocket fails so.
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
        ("proxy: unknown scheme: https", Kind::ProxyScheme, "write `proxy.url` with http://"),
        ("proxy: unknown scheme: socks4", Kind::ProxyScheme, "write `proxy.url` with http://"),
        ("x509: certificate signed by unknown authority", Kind::Untrusted, "put the CA of an inspecting proxy"),
        ("dial tcp: lookup ecs-a-1.eu-central-1.amazonaws.com: no such host", Kind::NameUnknown, "enableDnsSupport"),
        ("dial tcp: lookup squid.internal: no such host", Kind::NameUnknown, "correct the host in `proxy.url`"),
        ("Proxy Authentication Required", Kind::ProxyCredentials, "correct user and password"),
        ("Forbidden", Kind::ProxyRefused, "allow the hosts ecs, ecs-a-* and ecs-t-*"),
        ("<html>blocked</html>: websocket: bad handshake", Kind::ProxyRefused, "allow the hosts ecs, ecs-a-*"),
        ("dial tcp 192.0.2.30:443: i/o timeout", Kind::Disconnected, "a route to the hosts ecs-a-* and ecs-t-*"),
        ("websocket: bad handshake", Kind::Disconnected, "let WebSocket through"),
        (
            "AccessDeniedException: not authorized to perform: ecs:Poll",
            Kind::Denied,
            "the role of the instance profile",
        ),
        ("Signature expired: 20261005T0614", Kind::WrongClock, "compare `date -u`"),
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
            "take the deny",
        ),
        (
            "with an explicit deny in a service control policy",
            "a service control policy of the org",
            "take the deny out",
        ),
        (
            "because no VPC endpoint policy allows the ecs:Poll action",
            "the policy of the VPC endpoint does not allow",
            "allow",
        ),
        (
            "with an explicit deny in a permissions boundary",
            "the permissions boundary of the instance's",
            "take the deny",
        ),
    ] {
        let user =
            "User: arn:aws:sts::210987654321:assumed-role/web-instances/i-0a is not authorized to perform: ecs:Poll";
        let line =
            format!("level=error msg=\"x\" error=\"operation error ECS: Y, AccessDeniedException: {user} {why}\"");
        let cause = cause(&line, "", "it").unwrap();
        assert_eq!(cause.kind, Kind::Denied);
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
        ("Tag key must not start with aws:", Kind::BadTag, "`ecs.tags`"),
        ("Too many tags were given for resource.", Kind::BadTag, "`ecs.tags`"),
        ("Invalid attribute name: rack position", Kind::BadAttribute, "`ecs.attributes`"),
        ("Attribute value is longer than 128 characters.", Kind::BadAttribute, "`ecs.attributes`"),
        ("Invalid cluster name.", Kind::BadCluster, "`ecs.cluster`"),
        ("Identifier is for 123456789012. Your accountId is 210987654321", Kind::BadCluster, "`ecs.cluster`"),
        ("The referenced cluster was inactive.", Kind::ClusterNotFound, "create it"),
        ("Arguments on this idempotent request are inconsistent", Kind::SavedState, "delete /var/lib/ecs/data"),
        ("The storm of staging is not known.", Kind::Refused, "correct what the line names"),
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
            Kind::Cgroup,
            "CPU_MEM",
        ),
        (
            "critical",
            "Could not initialize Nvidia GPU Manager: could not read GPU file content",
            Kind::Gpu,
            "GPU_SUPPORT",
        ),
        ("error", "Nvidia GPU Manager: setup failed: error initializing nvidia nvml", Kind::Gpu, "NVIDIA's driver"),
        (
            "critical",
            "Error loading previously saved state: no task of container",
            Kind::SavedState,
            "/var/lib/ecs/data",
        ),
        (
            "critical",
            "Error checking compatibility with previously saved state: x",
            Kind::SavedState,
            "CPU_MEM_LIMIT back",
        ),
        ("critical", "Could not determine target lifecycle of instance: x", Kind::WarmPool, "ECS_WARM_POOLS_CHECK"),
        (
            "critical",
            "Required minimum docker API version 1.21 is not supported",
            Kind::DockerVersion,
            "newer ECS agent",
        ),
        ("critical", "Could not get supported docker versions.", Kind::NoDocker, "journalctl -u docker"),
        (
            "critical",
            "Unable to initialize Task ENI dependencies: agent is not started with an init system",
            Kind::TaskEni,
            "ecs-init",
        ),
        (
            "critical",
            "Unable to initialize Task ENI dependencies: plugin 'vpc-eni' doesn't support the capability: awsvpc",
            Kind::TaskEni,
            "one whole version",
        ),
        (
            "critical",
            "Unable to detect VPC ID and Subnet: unable to get vpc id from instance metadata: x",
            Kind::NoMetadata,
            "NO_PROXY",
        ),
        (
            "critical",
            "The current instance type does not match the registered instance type. Please revert",
            Kind::InstanceTypeChanged,
            "deregister",
        ),
        (
            "critical",
            "Error calling DescribeTags API: operation error EC2: DescribeTags, request send failed",
            Kind::BadTag,
            "PROPAGATE_TAGS_FROM",
        ),
        (
            "error",
            "could not remove existing Agent container: API error (409): removal in progress",
            Kind::NotStarted,
            "docker rm",
        ),
        (
            "error",
            "could not start Agent: API error (500): write /x: no space left on device",
            Kind::DiskFull,
            "make room",
        ),
        ("error", "could not enable loopback routing: exit status 255", Kind::NoRoutes, "iptables and sysctl"),
        (
            "error",
            "could not create route to the credentials proxy: exit status 127",
            Kind::NoRoutes,
            "iptables and sysctl",
        ),
        (
            "error",
            "could not load Amazon Elastic Container Service Agent from cache: no such file",
            Kind::NoImage,
            "/var/cache/ecs",
        ),
        (
            "error",
            "could not create docker client: cannot connect to Docker endpoint",
            Kind::NoDocker,
            "journalctl -u docker",
        ),
        ("error", "could not check Docker for Agent image presence: x", Kind::NoDocker, "journalctl -u docker"),
    ] {
        let line = format!("level={level} time=2026-10-05T06:15:01Z msg=\"{message}\" module=x.go");
        let cause = cause(&line, "", "it").unwrap();
        assert_eq!(cause.kind, kind, "{message}");
        assert!(cause.remedy.contains(remedy) && cause.quoted == message, "{message}: {cause:?}");
    }
}
