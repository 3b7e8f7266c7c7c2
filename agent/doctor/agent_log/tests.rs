use super::*;

/// Reads the log of a situation that was observed.
fn fixture(name: &str) -> String {
    let folder = format!("{}/tests/doctor/{name}", env!("CARGO_MANIFEST_DIR"));
    let logs = ["ecs-agent.log", "ecs-init.log"].map(|log| std::fs::read_to_string(format!("{folder}/{log}")));
    logs.into_iter().flatten().next().unwrap_or_else(|| panic!("{folder} has no log"))
}

fn found(log: &str) -> Option<CauseKind> {
    cause(log, "", "the cluster").map(|cause| cause.kind)
}

#[test]
fn each_situation_is_told_apart_and_quotes_what_decides() {
    for (name, kind, quoted) in [
        ("cluster-not-found", CauseKind::ClusterNotFound, "ClientException: Cluster not found."),
        ("cluster-changed", CauseKind::ClusterChanged, "Data mismatch; saved cluster 'staging' does not match"),
        (
            "denied",
            CauseKind::Denied,
            "AccessDeniedException: User: arn:aws:sts::210987654321:assumed-role/web-instances/i-",
        ),
        ("badtoken", CauseKind::BadCredentials, "UnrecognizedClientException: The security token included in"),
        ("throttled", CauseKind::Throttled, "ThrottlingException: Rate exceeded"),
        (
            "unreachable",
            CauseKind::Unreachable,
            "Post \"https://ecs.eu-central-1.amazonaws.com/\": dial tcp 192.0.2.10:443",
        ),
        (
            "dns",
            CauseKind::NameUnknown,
            "Post \"https://ecs.eu-central-1.amazonaws.com/\": dial tcp: lookup ecs.eu-central",
        ),
        (
            "proxy-refused",
            CauseKind::ProxyUnreachable,
            "Post \"https://ecs.eu-central-1.amazonaws.com/\": proxyconnect tcp",
        ),
        ("no-docker", CauseKind::NoDocker, "DockerGoClient: Docker SDK client unable to connect to Docker daemon."),
        (
            "bad-attributes-json",
            CauseKind::BadSetting,
            "Invalid format for ECS_INSTANCE_ATTRIBUTES. Expected a json hash",
        ),
        (
            "attribute-refused",
            CauseKind::BadAttribute,
            "Attribute validation failed, missingAttributes=\"shop.rack-position\"",
        ),
        ("cloud-init-none", CauseKind::CloudInit, "Cloud-init failure detected: cloud-init used DataSourceNone"),
        ("metadata-blocked", CauseKind::NoMetadata, "Unable to communicate with EC2 Metadata service to infer region:"),
        ("reserved-memory", CauseKind::Memory, "Unable to fetch host resources"),
        ("state-damaged", CauseKind::SavedState, "invalid database"),
        ("deregistered", CauseKind::Deregistered, "ClientException: Container instance is inactive. Instance arn:"),
        (
            "deregistered-running",
            CauseKind::Deregistered,
            "InactiveInstanceException: The container instance is inactive",
        ),
        ("docker-down", CauseKind::NoDocker, "cannot connect to Docker endpoint"),
        (
            "not-started",
            CauseKind::NotStarted,
            "could not start Agent: API error (500): failed to create task for container",
        ),
        (
            "old-agent",
            CauseKind::Unreachable,
            "Post \"https://ecs.eu-central-1.amazonaws.com/\": net/http: request canceled",
        ),
        ("registered", CauseKind::Disconnected, "websocket client: unable to dial ecs-a-1.eu-central-1.amazonaws.com"),
    ] {
        let cause = cause(&fixture(name), "", "the cluster `production`").unwrap_or_else(|| panic!("{name}: no cause"));
        assert_eq!(cause.kind, kind, "{name}");
        assert!(cause.quoted.starts_with(quoted), "{name}: {}", cause.quoted);
        assert!(cause.at.as_ref().is_some_and(|at| at.starts_with("2026-10-05T06:14:")), "{name}: {:?}", cause.at);
        assert!(!cause.remedy.is_empty(), "{name}: {}", cause.what);
    }
}

const NEXT: &str = "level=info time=2026-10-05T06:15:00Z msg=\"Starting Amazon ECS Agent\" version=\"1.105.1\"\n";

#[test]
fn what_a_start_ends_with_is_quoted_where_its_words_are_not_known() {
    let odd = "level=critical time=2026-10-05T06:15:01Z msg=\"The flux has frozen\" error=\"too cold\"\n";
    let error = "level=error time=2026-10-05T06:15:02Z msg=\"The flux is not warm\"\n";
    let quoted = |log: &str| cause(log, "", "it").map(|cause| (cause.kind, cause.quoted));
    let other = |words: &str| Some((CauseKind::Other, words.to_owned()));
    assert_eq!(quoted(&(NEXT.to_owned() + odd)), other("The flux has frozen: too cold"));
    assert_eq!(
        quoted(&(NEXT.to_owned() + odd + error)),
        other("The flux has frozen: too cold"),
        "the critical one ended it"
    );
    assert_eq!(quoted(&(NEXT.to_owned() + error)), other("The flux is not warm"));
    let repeats = "level=critical time=2026-10-05T06:15:03Z msg=\"Unable to initialize new task engine: cold\"\n";
    assert_eq!(quoted(&(NEXT.to_owned() + odd + repeats)), other("The flux has frozen: too cold"));
    assert_eq!(quoted(&(NEXT.to_owned() + "level=warn msg=\"The flux is lukewarm\"\n")), None);
    // A known cause of the attempt before counts more than an error, unless the error has ended this attempt, too.
    assert_eq!(found(&(fixture("dns") + NEXT + error)), Some(CauseKind::NameUnknown));
    assert_eq!(found(&(fixture("dns") + NEXT + odd)), Some(CauseKind::Other));
    let well = "level=info msg=\"Connected to ACS endpoint\"\n";
    assert_eq!(found(&(NEXT.to_owned() + well + odd + error)), None, "that is about tasks");
    assert_eq!(found(&(well.to_owned() + NEXT + odd)), Some(CauseKind::Other));
    let terminal = "level=error time=2026-10-05T06:15:03Z msg=\"agent exited with terminal exit code: 5\"\n";
    assert_eq!(found(terminal), None);
}

#[test]
fn a_line_counts_by_its_level_in_each_format() {
    for (form, counts) in [
        ("level=error time=2026-10-05T06:14:08Z msg=\"@\"", true),
        ("level=critical time=2026-10-05T06:14:08Z msg=\"@\"", true),
        ("{\"level\":\"error\",\"time\":\"2026-10-05T06:14:08Z\",\"msg\":\"@\"}", true),
        ("2026-10-05T06:14:08Z [CRITICAL] @", true),
        ("level=warn time=2026-10-05T06:14:08Z msg=\"@\"", false),
        ("level=trace time=2026-10-05T06:14:08Z msg=\"level=error @\"", false),
        ("{\"level\":\"info\",\"time\":\"2026-10-05T06:14:08Z\",\"msg\":\"@\"}", false),
        ("2026-10-05T06:14:08Z [WARN] @", false),
        // A continuation of the line before has no level.
        ("caused by: Post \"https://ecs.eu-central-1.amazonaws.com/\": @", true),
    ] {
        let line = form.replace('@', "dial tcp: unable to setup '/ecs' cgroup");
        assert_eq!(found(&line).is_some(), counts, "{line}");
    }
}

#[test]
fn tasks_of_a_registered_agent_are_not_the_cause() {
    let pull = "level=error time=2026-10-05T07:00:00Z msg=\"Failed to pull image\" error=\"AccessDeniedException: User: a \
                is not authorized to perform: ecr:GetAuthorizationToken\"\n";
    let well = "level=info time=2026-10-05T06:59:00Z msg=\"Connected to ACS endpoint\"\n";
    assert_eq!(found(&(well.to_owned() + pull)), None);
    assert_eq!(found(&(well.to_owned() + NEXT + pull)), Some(CauseKind::Denied), "of the next start");
    let of_registered = |log: &str| cause_if_registered(log, "", "it").map(|cause| cause.kind);
    assert_eq!(of_registered(pull), None, "the registration is rotated away");
    let dropped = "level=error time=2026-10-05T07:00:01Z msg=\"Failed to connect to ACS\" error=\"x\"\n";
    assert_eq!(of_registered(&(dropped.to_owned() + pull)), Some(CauseKind::Disconnected));
}

#[test]
fn a_pause_container_ends_only_a_start_that_needs_it() {
    let pause = "level=error time=2026-10-05T06:15:01Z msg=\"Failed to load pause container: container load: x\"\n";
    let goes_on = "level=info time=2026-10-05T06:15:02Z msg=\"Registering Instance with ECS\"\n";
    assert_eq!(found(&(NEXT.to_owned() + pause)), Some(CauseKind::PauseContainer));
    assert_eq!(found(&(NEXT.to_owned() + pause + goes_on)), None);
}

#[test]
fn a_consequence_counts_only_without_its_cause() {
    let eni = "level=critical time=2026-10-05T06:15:03Z msg=\"Unable to initialize Task ENI dependencies: ";
    assert_eq!(found(&format!("{eni}unable to create ENI watcher\"")), Some(CauseKind::TaskEni));
    let mac = "unable to get mac address of instance's primary ENI from instance metadata: timeout\"";
    assert_eq!(found(&format!("{eni}{mac}")), Some(CauseKind::NoMetadata));
    let config = "level=critical time=2026-10-05T06:15:03Z msg=\"Error loading config: ";
    let vague = format!("{config}something\"\n");
    assert_eq!(found(&vague), Some(CauseKind::BadSetting));
    let metadata = "level=critical time=2026-10-05T06:15:02Z msg=\"Unable to communicate with EC2 Metadata service\"\n";
    assert_eq!(found(&(metadata.to_owned() + &vague)), Some(CauseKind::NoMetadata));
    assert_eq!(found(&(metadata.to_owned() + NEXT + &vague)), Some(CauseKind::BadSetting), "of the start before");
    for (words, remedy) in [
        ("Invalid logging drivers: smoke", "ECS_AVAILABLE_LOGGING_DRIVERS"),
        ("config: invalid value for docker container stop timeout: 1ms", "ECS_CONTAINER_STOP_TIMEOUT"),
    ] {
        let cause = cause(&format!("{config}{words}\""), "", "it").unwrap();
        assert!(cause.kind == CauseKind::BadSetting && cause.remedy.contains(remedy), "{}", cause.remedy);
    }
}

#[test]
fn versions_of_docker_that_do_not_fit_are_told_from_a_docker_that_is_down() {
    let old = "level=info time=2026-10-05T06:14:02Z msg=\"Unable to get Docker client for version 1.21: Error response from \
               daemon: client version 1.21 is too old. Minimum supported API version is 1.44\" module=sdkclientfactory.go\n";
    assert_eq!(found(old), None);
    let no_docker = fixture("no-docker");
    let (start, rest) = no_docker.split_once('\n').unwrap();
    assert_eq!(found(&format!("{start}\n{old}{rest}")), Some(CauseKind::DockerVersion));
    assert_eq!(found(&format!("{start}\n{old}{no_docker}")), Some(CauseKind::NoDocker), "of the start before");
}

#[test]
fn what_came_before_a_registration_does_not_count() {
    let well =
        "level=info time=2026-10-05T07:00:00Z msg=\"Instance registration completed successfully\" cluster=\"x\"\n";
    assert_eq!(found(&(fixture("denied") + well)), None);
    let connected = "level=info time=2026-10-05T07:00:01Z msg=\"Connected to ACS endpoint\"\n";
    assert_eq!(found(&(fixture("registered") + connected)), None);
    assert_eq!(found(&(well.to_owned() + &fixture("denied"))), Some(CauseKind::Denied));
}

#[test]
fn an_attempt_that_has_not_failed_yet_does_not_hide_the_one_before() {
    let next = "level=info time=2026-10-05T06:15:00Z msg=\"Starting Amazon ECS Agent\" version=\"1.105.1\"\n";
    assert_eq!(found(&(fixture("dns") + next)), Some(CauseKind::NameUnknown));
    assert_eq!(found(&(fixture("dns") + next + &fixture("denied"))), Some(CauseKind::Denied));
}

#[test]
fn lines_of_an_earlier_boot_do_not_count() {
    for (since, expected) in [("2026-10-05T06:14:00Z", Some(CauseKind::Denied)), ("2026-10-05T06:15:00Z", None)] {
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
    assert_eq!(cause.kind, CauseKind::ProxyUnreachable);
    assert!(!cause.quoted.contains("hunter2canary"), "{}", cause.quoted);
}

#[test]
fn noise_names_no_cause() {
    assert_eq!(found(""), None);
    let noise = "level=warn time=2026-10-05T06:14:08Z msg=\"Unable to access EC2 Metadata service\" error=\"operation error ec2imds: GetMetadata, dial tcp 169.254.169.254:80\"";
    assert_eq!(found(noise), None);
    assert_eq!(found(&"é".repeat(200)), None);
}
