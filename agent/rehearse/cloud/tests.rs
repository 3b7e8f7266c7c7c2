use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use super::*;

/// Sends a whole request, and returns the answer's status and text. Each request has its own connection, which the server
/// closes.
fn exchange(endpoint: &str, head: &str, body: &str) -> std::io::Result<(u16, String)> {
    let mut stream = TcpStream::connect(endpoint.trim_start_matches("http://"))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    speak(&mut stream, head, body)
}

fn speak(stream: &mut TcpStream, head: &str, body: &str) -> std::io::Result<(u16, String)> {
    let length = body.len();
    write!(stream, "{head}\r\nhost: double\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let status = answer.get(9..12).and_then(|status| status.parse().ok());
    Ok((status.unwrap_or(0), answer))
}

fn text_of(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").map_or("", |(_, body)| body)
}

fn token(cloud: &Cloud) -> String {
    let head = "PUT /latest/api/token HTTP/1.1\r\nX-aws-ec2-metadata-token-ttl-seconds: 60";
    let (status, answer) = exchange(&cloud.imds_endpoint(), head, "").unwrap();
    assert_eq!(status, 200);
    text_of(&answer).to_owned()
}

fn get(cloud: &Cloud, token: &str, path: &str) -> (u16, String) {
    let head = format!("GET {path} HTTP/1.1\r\nX-aws-ec2-metadata-token: {token}");
    let (status, answer) = exchange(&cloud.imds_endpoint(), &head, "").unwrap();
    (status, text_of(&answer).to_owned())
}

const SIGNAL: &str = "/?Action=SignalResource&ContentType=JSON&LogicalResourceId=Instances&StackName=blue\
                      &Status=SUCCESS&UniqueId=i-0f1e2d3c4b5a69788&Version=2010-05-15";

fn signal(endpoint: &str, target: &str, authorization: &str) -> std::io::Result<(u16, String)> {
    exchange(endpoint, &format!("GET {target} HTTP/1.1\r\nAuthorization: {authorization}"), "")
}

#[test]
fn tokens_are_asked_for_and_checked() {
    let cloud = Cloud::start(CloudOptions::default()).unwrap();
    let put = |fields: &str| {
        let head = format!("PUT /latest/api/token HTTP/1.1{fields}");
        exchange(&cloud.imds_endpoint(), &head, "").unwrap().0
    };
    assert_eq!(put(""), 400);
    assert_eq!(put("\r\nX-aws-ec2-metadata-token-ttl-seconds: 0"), 400);
    assert_eq!(put("\r\nX-aws-ec2-metadata-token-ttl-seconds: 21601"), 400);
    assert_eq!(put("\r\nX-aws-ec2-metadata-token-ttl-seconds: 60\r\nX-Forwarded-For: 10.0.0.1"), 403);
    assert_eq!(get(&cloud, "made-up", "/latest/meta-data/instance-id").0, 401);
    let token = token(&cloud);
    let (status, text) = get(&cloud, &token, "/latest/meta-data/instance-id");
    assert_eq!((status, text.as_str()), (200, "i-0f1e2d3c4b5a69788"));
    assert_eq!(get(&cloud, &token, "/latest/user-data").0, 404);
    assert_eq!(get(&cloud, &token, "/latest/meta-data/autoscaling/target-lifecycle-state").0, 404);
    let statuses: Vec<_> = cloud.requests().iter().map(|request| request.status).collect();
    assert_eq!(statuses, [400, 400, 400, 403, 401, 200, 200, 404, 404]);
}

#[test]
fn a_token_expires() {
    let imds_faults = ImdsFaults { unavailable: 1, first_token_uses: Some(1), ..ImdsFaults::default() };
    let cloud = Cloud::start(CloudOptions { imds_faults, ..CloudOptions::default() }).unwrap();
    assert_eq!(get(&cloud, "none", "/latest/meta-data/instance-id").0, 503);
    let token = token(&cloud);
    assert_eq!(get(&cloud, &token, "/latest/meta-data/instance-id").0, 200);
    assert_eq!(get(&cloud, &token, "/latest/meta-data/instance-id").0, 401);
}

#[test]
fn folders_list_their_children() {
    let tags = [("Name", "first"), ("team", "payments")].map(|(key, value)| (key.into(), value.into()));
    let user_data = Some(b"#ecs-firstrun\n\xff".to_vec());
    let cloud = Cloud::start(CloudOptions { tags: tags.into(), user_data, ..CloudOptions::default() }).unwrap();
    let token = token(&cloud);
    let text = |path| get(&cloud, &token, path).1;
    assert_eq!(text("/latest/"), "dynamic/\nmeta-data/\nuser-data");
    assert_eq!(text("/latest/dynamic/instance-identity/"), "document\nsignature");
    assert_eq!(text("/latest/meta-data/tags/instance/"), "Name\nteam");
    assert_eq!(text("/2021-03-23/meta-data/tags/instance/team"), "payments");
    assert_eq!(text("/latest/meta-data/placement"), "availability-zone\nregion");
    let signature = text("/latest/dynamic/instance-identity/signature");
    assert_eq!(signature.lines().count(), 3);
}

#[test]
fn the_agent_refuses_until_it_has_registered() {
    let registers_after = |delay| {
        let registration = Registration::After(delay, RegisteredAs { cluster: "blue".into() });
        Cloud::start(CloudOptions { registration, ..CloudOptions::default() }).unwrap()
    };
    let refused = |error: std::io::Error| error.kind() == std::io::ErrorKind::ConnectionRefused;
    let (late, cloud) = (registers_after(Duration::from_secs(3600)), registers_after(Duration::from_millis(40)));
    late.begin_registration();
    let ask = |path: &str| exchange(&cloud.ecs_endpoint(), &format!("GET {path} HTTP/1.1"), "");
    std::thread::sleep(Duration::from_millis(60));
    assert!(ask("/v1/metadata").is_err_and(refused), "it counts from the units' start");
    assert!(exchange(&late.ecs_endpoint(), "GET /v1/metadata HTTP/1.1", "").is_err_and(refused), "it takes an hour");
    cloud.begin_registration();
    let mut refusals = 0;
    let answer = loop {
        match ask("/v1/metadata") {
            Ok((_, answer)) => break answer,
            Err(_) if refusals < 5000 => std::thread::sleep(Duration::from_millis(2)),
            Err(error) => panic!("{error}"),
        }
        refusals += 1;
    };
    let arn = "arn:aws:ecs:eu-central-1:123456789012:container-instance/blue/";
    assert!(answer.contains(arn) && answer.contains(r#""Cluster":"blue""#), "{answer}");
    let (status, answer) = ask("/v2/nothing").unwrap();
    assert_eq!(status, 200);
    assert!(answer.contains("text/plain") && answer.contains("AvailableCommands"), "{answer}");
}

#[test]
fn a_file_begins_the_registration() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ecs.service");
    let registration = Registration::After(Duration::ZERO, RegisteredAs { cluster: "blue".into() });
    let registration_starts_on = Some(path.clone());
    let cloud = Cloud::start(CloudOptions { registration, registration_starts_on, ..Default::default() }).unwrap();
    std::fs::write(path, "").unwrap();
    std::thread::sleep(Duration::from_millis(100));
    let ask = || exchange(&cloud.ecs_endpoint(), "GET /v1/metadata HTTP/1.1", "").unwrap();
    assert!(ask().1.contains("container-instance/blue/"));
}

#[test]
fn a_signal_needs_this_very_instance() {
    let cloud = Cloud::start(CloudOptions::default()).unwrap();
    let endpoint = cloud.cloudformation_endpoint();
    let other = IdentityDouble { instance_id: "i-00000000000000000".into(), ..IdentityDouble::default() };
    let (status, text) = signal(&endpoint, SIGNAL, &other.authorization()).unwrap();
    assert_eq!(status, 403);
    assert!(text.contains(r#""Code":"AccessDenied""#), "{text}");
    let right = IdentityDouble::default().authorization();
    let (status, text) = signal(&endpoint, &SIGNAL.replace("SUCCESS", "DONE"), &right).unwrap();
    assert_eq!(status, 400);
    assert!(text.contains("ValidationError"), "{text}");
    assert_eq!(cloud.signals(), []);
    assert_eq!(signal(&endpoint, SIGNAL, &right).unwrap().0, 200);
    let signals = cloud.signals();
    let [signal] = signals.as_slice() else { panic!("{signals:?}") };
    assert_eq!((signal.stack.as_str(), signal.resource.as_str()), ("blue", "Instances"));
    assert_eq!((signal.auth, signal.proxied), (SignalAuth::InstanceIdentity, false));
}

#[test]
fn an_sdk_posts_a_signed_form() {
    let cloud = Cloud::start(CloudOptions::default()).unwrap();
    let head = "POST / HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded\r\nAuthorization: \
                AWS4-HMAC-SHA256 Credential=ASIA/20260102/eu-central-1/SERVICE/aws4_request, SignedHeaders=host, Signature=00";
    let body = SIGNAL.trim_start_matches("/?").replace("&ContentType=JSON", "");
    let post = |service| exchange(&cloud.cloudformation_endpoint(), &head.replace("SERVICE", service), &body).unwrap();
    assert_eq!(post("ec2").0, 403);
    let (status, text) = post("cloudformation");
    assert_eq!(status, 200);
    assert!(text.contains("<SignalResourceResponse"), "{text}");
    assert_eq!(cloud.signals()[0].auth, SignalAuth::Iam);
}

#[test]
fn answers_come_in_order_and_then_it_accepts() {
    let cloudformation = [CfnAnswer::Throttle, CfnAnswer::HtmlPage(403), CfnAnswer::CannotBeSignaled, CfnAnswer::Reset];
    let cloud = Cloud::start(CloudOptions { cloudformation: cloudformation.into(), ..Default::default() }).unwrap();
    let right = IdentityDouble::default().authorization();
    let ask = || signal(&cloud.cloudformation_endpoint(), SIGNAL, &right);
    let (status, text) = ask().unwrap();
    assert!(status == 400 && text.contains("Throttling"), "{text}");
    let (status, text) = ask().unwrap();
    assert!(status == 403 && text.contains("text/html"), "{text}");
    assert!(ask().unwrap().1.contains("cannot be signaled"));
    assert_eq!(ask().unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
    assert_eq!(cloud.signals(), []);
    assert_eq!(ask().unwrap().0, 200);
    assert_eq!(cloud.signals().len(), 1);
}

#[test]
fn an_id_that_has_signalled_is_taken_again_with_a_failure_only() {
    let cloud = Cloud::start(CloudOptions { cloudformation: [CfnAnswer::Lost].into(), ..Default::default() }).unwrap();
    let right = IdentityDouble::default().authorization();
    let ask = |query: &str| signal(&cloud.cloudformation_endpoint(), query, &right);
    assert_eq!(ask(SIGNAL).unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
    let in_arn = "arn%3Aaws%3Acloudformation%3Aeu-central-1%3A123456789012%3Astack%2Fblue%2F5f";
    for again in [SIGNAL.to_owned(), SIGNAL.replace("StackName=blue", &format!("StackName={in_arn}"))] {
        let (status, text) = ask(&again).unwrap();
        assert!(
            status == 400 && text.contains("already exists.  Signals may only be updated with a FAILURE"),
            "{text}"
        );
    }
    for (query, expected) in [
        (SIGNAL.replace("StackName=blue", "StackName=green"), 200),
        (SIGNAL.replace("Instances", "Others"), 200),
        (SIGNAL.replace("SUCCESS", "FAILURE"), 200),
        (SIGNAL.to_owned(), 400),
    ] {
        assert_eq!(ask(&query).unwrap().0, expected, "{query}");
    }
    assert_eq!(cloud.signals().len(), 4);
}

#[test]
fn a_wait_handle_takes_no_content_type() {
    let cloud = Cloud::start(CloudOptions::default()).unwrap();
    let url = cloud.wait_handle_url();
    let path = url.strip_prefix(&cloud.cloudformation_endpoint()).unwrap();
    let body = r#"{"Status":"FAILURE","Reason":"no disk","UniqueId":"i-1","Data":""}"#;
    let put = |field: &str| {
        exchange(&cloud.cloudformation_endpoint(), &format!("PUT {path} HTTP/1.1{field}"), body).unwrap().0
    };
    assert_eq!(put("\r\nContent-Type: application/json"), 403);
    assert_eq!(put(""), 200);
    let signals = cloud.signals();
    assert_eq!(signals[0].reason.as_deref(), Some("no disk"));
    assert_eq!(signals[0].auth, SignalAuth::WaitHandle);
}

#[test]
fn the_proxy_tunnels_and_forwards() {
    let cloud = Cloud::start(CloudOptions::default()).unwrap();
    let right = IdentityDouble::default().authorization();
    let mut tunnel = TcpStream::connect(cloud.proxy_endpoint().trim_start_matches("http://")).unwrap();
    let host = "cloudformation.eu-central-1.amazonaws.com";
    write!(tunnel, "CONNECT {host}:443 HTTP/1.1\r\nHost: {host}:443\r\n\r\n").unwrap();
    let mut greeting = [0; "HTTP/1.1 200 Connection established\r\n\r\n".len()];
    tunnel.read_exact(&mut greeting).unwrap();
    let head = format!("GET {SIGNAL} HTTP/1.1\r\nAuthorization: {right}");
    assert_eq!(speak(&mut tunnel, &head, "").unwrap().0, 200);
    let absolute = format!("http://{host}{}", SIGNAL.replace("SUCCESS", "FAILURE"));
    assert_eq!(signal(&cloud.proxy_endpoint(), &absolute, &right).unwrap().0, 200);
    assert_eq!(cloud.signals().iter().filter(|signal| signal.proxied).count(), 2);
    let metadata = "http://169.254.169.254/latest/user-data";
    assert_eq!(signal(&cloud.proxy_endpoint(), metadata, "").unwrap().0, 403);
    let seen: Vec<_> = cloud.requests().into_iter().filter(|request| request.server == Server::Proxy).collect();
    let statuses: Vec<_> = seen.iter().map(|request| request.status).collect();
    assert_eq!(statuses, [200, 200, 403]);
}

#[test]
fn the_proxy_may_ask_for_credentials() {
    let wanted = ProxyCredentials { user: "agent".into(), password: "hush".into() };
    let cloud = Cloud::start(CloudOptions { proxy_credentials: Some(wanted), ..Default::default() }).unwrap();
    let connect = "CONNECT example.com:443 HTTP/1.1";
    let (status, text) = exchange(&cloud.proxy_endpoint(), connect, "").unwrap();
    assert!(status == 407 && text.contains("Proxy-Authenticate: Basic"), "{text}");
    let mut tunnel = TcpStream::connect(cloud.proxy_endpoint().trim_start_matches("http://")).unwrap();
    write!(tunnel, "{connect}\r\nProxy-Authorization: Basic YWdlbnQ6aHVzaA==\r\n\r\n").unwrap();
    let mut status = [0; 12];
    tunnel.read_exact(&mut status).unwrap();
    assert_eq!(&status, b"HTTP/1.1 200");
}
