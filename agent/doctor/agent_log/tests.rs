use super::*;

fn fixture(name: &str) -> String {
    let path = format!("{}/tests/doctor/{name}/ecs-agent.log", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn found(log: &str) -> Option<Kind> {
    cause(log, "", "the cluster").map(|cause| cause.kind)
}

#[test]
fn each_situation_is_told_apart_and_quotes_what_decides() {
    for (name, kind, quoted) in [
        ("cluster-not-found", Kind::ClusterNotFound, "ClientException: Cluster not found."),
        ("cluster-changed", Kind::ClusterChanged, "Data mismatch; saved cluster 'staging' does not match"),
        (
            "denied",
            Kind::Denied,
            "AccessDeniedException: User: arn:aws:sts::210987654321:assumed-role/web-instances/i-",
        ),
        ("badtoken", Kind::BadCredentials, "UnrecognizedClientException: The security token included in"),
        ("throttled", Kind::Throttled, "ThrottlingException: Rate exceeded"),
        ("unreachable", Kind::Unreachable, "Post \"https://ecs.eu-central-1.amazonaws.com/\": dial tcp 192.0.2.10:443"),
        ("dns", Kind::NameUnknown, "Post \"https://ecs.eu-central-1.amazonaws.com/\": dial tcp: lookup ecs.eu-central"),
        ("proxy-refused", Kind::ProxyUnreachable, "Post \"https://ecs.eu-central-1.amazonaws.com/\": proxyconnect tcp"),
        ("no-docker", Kind::NoDocker, "DockerGoClient: Docker SDK client unable to connect to Docker daemon."),
        ("bad-attributes-json", Kind::BadSetting, "Invalid format for ECS_INSTANCE_ATTRIBUTES. Expected a json hash"),
        ("registered", Kind::Disconnected, "websocket client: unable to dial ecs-a-1.eu-central-1.amazonaws.com"),
    ] {
        let cause = cause(&fixture(name), "", "the cluster `production`").unwrap_or_else(|| panic!("{name}: no cause"));
        assert_eq!(cause.kind, kind, "{name}");
        assert!(cause.quoted.starts_with(quoted), "{name}: {}", cause.quoted);
        assert!(cause.at.as_ref().is_some_and(|at| at.starts_with("2026-10-05T06:14:")), "{name}: {:?}", cause.at);
        assert!(!cause.remedy.is_empty(), "{name}: {}", cause.what);
    }
}

#[test]
fn each_row_of_the_table_is_reached_by_its_own_words() {
    for row in super::super::causes::CAUSES {
        for line in row.examples() {
            let kind = found(&line);
            assert_eq!(kind, Some(row.kind), "{line}");
        }
    }
}

#[test]
fn what_came_before_a_registration_does_not_count() {
    let well =
        "level=info time=2026-10-05T07:00:00Z msg=\"Instance registration completed successfully\" cluster=\"x\"\n";
    assert_eq!(found(&(fixture("denied") + well)), None);
    let connected = "level=info time=2026-10-05T07:00:01Z msg=\"Connected to ACS endpoint\"\n";
    assert_eq!(found(&(fixture("registered") + connected)), None);
    assert_eq!(found(&(well.to_owned() + &fixture("denied"))), Some(Kind::Denied));
}

#[test]
fn an_attempt_that_has_not_failed_yet_does_not_hide_the_one_before() {
    let next = "level=info time=2026-10-05T06:15:00Z msg=\"Starting Amazon ECS Agent\" version=\"1.105.1\"\n";
    assert_eq!(found(&(fixture("dns") + next)), Some(Kind::NameUnknown));
    assert_eq!(found(&(fixture("dns") + next + &fixture("denied"))), Some(Kind::Denied));
}

#[test]
fn lines_of_an_earlier_boot_do_not_count() {
    for (since, expected) in [("2026-10-05T06:14:00Z", Some(Kind::Denied)), ("2026-10-05T06:15:00Z", None)] {
        assert_eq!(cause(&fixture("denied"), since, "it").map(|cause| cause.kind), expected, "{since}");
    }
}

#[test]
fn a_log_in_json_and_one_of_an_old_agent_are_read_too() {
    let json = r#"{"level":"error","time":"2026-10-05T06:14:08Z","msg":"Error registering","error":"operation error ECS: RegisterContainerInstance, https response error StatusCode: 400, RequestID: 1, ClientException: Cluster not found."}"#;
    let cause_of = |log: &str| cause(log, "2026-01-01T00:00:00Z", "it").unwrap();
    assert_eq!(cause_of(json).quoted, "ClientException: Cluster not found.");
    let old = "2026-10-05T06:14:08Z [ERROR] Unable to register: ClientException: Cluster not found.";
    assert_eq!((cause_of(old).at.as_deref(), cause_of(old).quoted.as_str()), (Some("2026-10-05T06:14:08Z"), old));
}

#[test]
fn a_secret_in_a_line_is_not_quoted() {
    let line = r#"level=error time=2026-10-05T06:14:08Z msg="Unable to register" error="operation error ECS: RegisterContainerInstance, request send failed, Post \"https://ecs.eu-central-1.amazonaws.com/\": proxyconnect tcp: dial http://squid:hunter2canary@proxy.internal:3128/: refused""#;
    let cause = cause(line, "", "it").unwrap();
    assert_eq!(cause.kind, Kind::ProxyUnreachable);
    assert!(!cause.quoted.contains("hunter2canary"), "{}", cause.quoted);
}

#[test]
fn noise_names_no_cause() {
    assert_eq!(found(""), None);
    let noise = "level=warn time=2026-10-05T06:14:08Z msg=\"Unable to access EC2 Metadata service\" error=\"operation error ec2imds: GetMetadata, dial tcp 169.254.169.254:80\"";
    assert_eq!(found(noise), None);
    assert_eq!(found(&"é".repeat(200)), None);
}
