use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::http::{ProxyRoute, outbound};

mod fleet;
mod tries;

const CLOSED: &str =
    r#"{"Error":{"Code":"ValidationError","Message":"Stack s is in CREATE_COMPLETE state and cannot be signaled"}}"#;
const THROTTLED: &str = r#"{"Error":{"Code":"Throttling","Message":"Rate exceeded"}}"#;
const DENIED: &str = r#"{"Error":{"Code":"AccessDenied","Message":"not in this stack"}}"#;
const DENIED_XML: &str =
    "<ErrorResponse><Error><Code>AccessDenied</Code><Message>no permission</Message></Error></ErrorResponse>";
const SIGNALLED: &str =
    "<SignalResourceResponse><ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></SignalResourceResponse>";
const PAGE: &str = "<!DOCTYPE html><html>Please log in</html>";

/// A server that gives these answers in turn, the last one for ever, and keeps the requests in order.
pub(crate) struct Server {
    pub(crate) address: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    pub(crate) async fn start(answers: &[(u16, &str)]) -> Self {
        let answers: Vec<_> = answers.iter().map(|(status, body)| (*status, body.to_string())).collect();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let kept = requests.clone();
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let request = read_request(&mut stream).await;
                let n = {
                    let mut kept = kept.lock().unwrap();
                    kept.push(request);
                    kept.len() - 1
                };
                let (status, body) = answers.get(n).or(answers.last()).unwrap();
                let answer =
                    format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        Self { address, requests }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

async fn read_request(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    let mut buffer = [0; 4096];
    loop {
        let n = stream.read(&mut buffer).await.unwrap();
        text.push_str(std::str::from_utf8(&buffer[..n]).unwrap());
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let length = header(head, "content-length").map_or(0, |value| value.parse().unwrap());
        if n == 0 || body.len() >= length {
            return text;
        }
    }
}

fn header<'a>(request: &'a str, name: &str) -> Option<&'a str> {
    let lines = request.lines().skip(1).map_while(|line| line.split_once(": "));
    let mut values = lines.filter(|(found, _)| found.eq_ignore_ascii_case(name));
    values.next().map(|(_, value)| value)
}

fn signal(endpoint: &str, auth: Auth) -> SignalRequest {
    SignalRequest {
        target: Target::Resource {
            stack: "arn:aws:cloudformation:eu-west-1:1:stack/my stack/é".to_owned(),
            resource: "Instances".to_owned(),
        },
        status: Status::Success,
        unique_id: "i-0123".to_owned(),
        reason: String::new(),
        data: String::new(),
        region: "eu-west-1".to_owned(),
        partition_domain: String::new(),
        aws: crate::config::Aws::default(),
        endpoint: Some(endpoint.to_owned()),
        auth,
    }
}

/// Delivers with the identity document `{}\n` and fixed credentials.
async fn deliver(signal: &SignalRequest, client: &reqwest::Client, seconds: f32) -> Delivery {
    let credentials = Credentials::new("AKIDEXAMPLE", "shh", None, None, "test");
    let courier = Courier {
        signal,
        identity: Some(("{}\n", "abc\ndef\n")),
        client,
        deadline: Instant::now() + Duration::from_secs_f32(seconds),
        credentials: &CredentialsSource::Given(SharedCredentialsProvider::new(credentials)),
    };
    courier.deliver().await
}

fn client() -> reqwest::Client {
    outbound(None).unwrap()
}

fn accepted(by: &'static str, attempts: u32) -> Delivery {
    Delivery::Accepted { by, attempts }
}

#[tokio::test]
async fn the_request_is_that_of_cfn_signal() {
    let server = Server::start(&[(200, "")]).await;
    let signal = signal(&format!("{}/", server.url()), Auth::InstanceIdentity);
    let delivery = deliver(&signal, &client(), 5.0).await;
    assert_eq!(delivery, accepted("instance_identity", 1));
    let requests = server.requests();
    let line = requests[0].lines().next().unwrap();
    let expected = "GET /?Action=SignalResource&ContentType=JSON&LogicalResourceId=Instances\
        &StackName=arn%3Aaws%3Acloudformation%3Aeu-west-1%3A1%3Astack%2Fmy%20stack%2F%C3%A9\
        &Status=SUCCESS&UniqueId=i-0123&Version=2010-05-15 HTTP/1.1";
    assert_eq!(line, expected);
    assert_eq!(header(&requests[0], "authorization"), Some("CFN_V1 e30=:abcdef"));
    assert_eq!(header(&requests[0], "accept"), Some("application/json"));
    assert_eq!(header(&requests[0], "user-agent"), Some(crate::http::USER_AGENT));
    assert_eq!(header(&requests[0], "content-type"), None);
}

#[tokio::test]
async fn a_stack_that_waits_no_more_is_harmless() {
    let server = Server::start(&[(400, CLOSED)]).await;
    let delivery = deliver(&signal(&server.url(), Auth::Auto), &client(), 5.0).await;
    assert!(matches!(delivery, Delivery::Over(Over::NotWaitedFor, _)), "{delivery:?}");
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn an_answer_is_read_as_far_as_it_may_be_long() {
    for (length, expected) in [(65_536, "not in this stack"), (65_537, "the answer is longer than 65536 bytes")] {
        let server = Server::start(&[(403, &(DENIED.to_owned() + &" ".repeat(length - DENIED.len())))]).await;
        let signal = signal(&server.url(), Auth::InstanceIdentity);
        let text = match deliver(&signal, &client(), 1.2).await {
            Delivery::Refused(refusal) => refusal.to_string(),
            Delivery::Undelivered(text) => text,
            other => panic!("{other:?}"),
        };
        assert!(text.contains(expected), "{text}");
    }
}

#[tokio::test]
async fn nobody_listening_is_undelivered() {
    let delivery = deliver(&signal("http://127.0.0.1:1", Auth::Auto), &client(), 1.2).await;
    let Delivery::Undelivered(text) = delivery else {
        panic!("{delivery:?}");
    };
    assert!(text.contains("refused"), "{text}");
}

#[tokio::test]
async fn iam_signs_and_goes_through_the_same_client() {
    let server =
        Server::start(&[(400, DENIED_XML.replace("AccessDenied", "Throttling").as_str()), (200, SIGNALLED)]).await;
    let delivery = deliver(&signal(&server.url(), Auth::Iam), &client(), 30.0).await;
    assert_eq!(delivery, accepted("iam", 2));
    let requests = server.requests();
    let authorization = header(&requests[1], "authorization").unwrap();
    assert!(authorization.starts_with("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/"), "{authorization}");
    assert!(authorization.contains("/eu-west-1/cloudformation/aws4_request"), "{authorization}");
    let (_, body) = requests[1].split_once("\r\n\r\n").unwrap();
    for part in ["Action=SignalResource", "LogicalResourceId=Instances", "Status=SUCCESS", "UniqueId=i-0123"] {
        assert!(body.contains(part), "{body}");
    }
}

#[tokio::test]
async fn a_captive_portal_accepts_nothing_for_the_sdk() {
    let server = Server::start(&[(200, PAGE), (200, SIGNALLED)]).await;
    let delivery = deliver(&signal(&server.url(), Auth::Iam), &client(), 30.0).await;
    assert_eq!(delivery, accepted("iam", 2));
}

#[tokio::test]
async fn auto_falls_back_to_iam() {
    let server = Server::start(&[(403, DENIED), (200, SIGNALLED)]).await;
    let delivery = deliver(&signal(&server.url(), Auth::Auto), &client(), 30.0).await;
    assert_eq!(delivery, accepted("iam", 2));
}

/// Returns the one line about a signal that both ways refuse in these words.
async fn refused_by_both(first: (&str, &str), second: (&str, &str)) -> String {
    let first = format!(r#"{{"Error":{{"Code":"{}","Message":"{}"}}}}"#, first.0, first.1);
    let second = DENIED_XML.replace("AccessDenied", second.0).replace("no permission", second.1);
    let server = Server::start(&[(403, &first), (403, &second)]).await;
    let delivery = deliver(&signal(&server.url(), Auth::Auto), &client(), 30.0).await;
    let Delivery::Refused(refusal) = delivery else { panic!("{delivery:?}") };
    assert_eq!(server.requests().len(), 2);
    refusal.to_string()
}

#[tokio::test]
async fn two_refusals_are_both_told_and_what_they_share_once() {
    let endpoint = "no VPC endpoint policy allows the cloudformation:SignalResource action";
    let by_endpoint = [format!("User: A may not because {endpoint}"), format!("User: B may not because {endpoint}")];
    let remedy = "(allow the action in the policy of the VPC endpoint)";
    let denied = |text| ("AccessDenied", text);
    let gone = ("ValidationError", "Stack 'shop' does not exist");
    for (first, second, expected) in [
        (
            gone,
            gone,
            "by instance identity and by IAM: ValidationError: Stack 'shop' does not exist \
            (check signal.stack, signal.resource and signal.region)"
                .to_owned(),
        ),
        (
            denied("no"),
            denied("no"),
            "by instance identity and by IAM: AccessDenied: no \
            (the instance's role must permit cloudformation:SignalResource)"
                .to_owned(),
        ),
        (
            denied(&by_endpoint[0]),
            denied(&by_endpoint[1]),
            format!(
                "by instance identity: AccessDenied: {}; by IAM: AccessDenied: {} {remedy}",
                by_endpoint[0], by_endpoint[1],
            ),
        ),
        (
            denied("not in this stack"),
            denied("no permission"),
            "by instance identity: AccessDenied: not in this stack (the instance must belong to signal.stack; if it \
            doesn't, set signal.auth: iam and permit cloudformation:SignalResource); by IAM: AccessDenied: no \
            permission (the instance's role must permit cloudformation:SignalResource)"
                .to_owned(),
        ),
    ] {
        assert_eq!(refused_by_both(first, second).await, expected);
    }
}

/// Proves that no second way is tried, since it would get the same answer.
#[tokio::test]
async fn a_signal_that_is_there_already_is_tried_in_one_way_only() {
    let there = "Signal with ID i-0123 for resource Instances already exists.  Signals may only be updated with a \
        FAILURE status.";
    let json = format!(r#"{{"Error":{{"Code":"ValidationError","Message":"{there}"}}}}"#);
    let xml = DENIED_XML.replace("AccessDenied", "ValidationError").replace("no permission", there);
    for (auth, body) in [(Auth::Auto, &json), (Auth::InstanceIdentity, &json), (Auth::Iam, &xml)] {
        let server = Server::start(&[(503, ""), (400, body)]).await;
        let delivery = deliver(&signal(&server.url(), auth), &client(), 30.0).await;
        assert_eq!(delivery, Delivery::Over(Over::AlreadyThere, there.to_owned()), "{auth:?}");
        assert_eq!(server.requests().len(), 2, "{auth:?}");
    }
}

#[tokio::test]
async fn without_an_identity_nothing_is_sent() {
    let server = Server::start(&[(200, "")]).await;
    let signal = signal(&server.url(), Auth::InstanceIdentity);
    for identity in [None, Some(("{}", "\n"))] {
        let deadline = Instant::now() + Duration::from_secs(5);
        let host = CredentialsSource::Host { imds_endpoint: None };
        let delivery = send(&signal, identity, &host, &client(), deadline).await;
        assert!(matches!(delivery, Delivery::Refused(_)), "{delivery:?}");
    }
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn a_wait_handle_gets_its_json_without_a_content_type() {
    let server = Server::start(&[(200, "")]).await;
    let url: Url = format!("{}/arn%3Aaws/handle?Signature=secret%3D", server.url()).parse().unwrap();
    let mut signal = signal("http://unused", Auth::Auto);
    signal.target = Target::WaitHandle(url);
    signal.status = Status::Failure;
    let delivery = deliver(&signal, &client(), 5.0).await;
    assert_eq!(delivery, accepted("wait_handle", 1));
    let request = &server.requests()[0];
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    assert_eq!(head.lines().next(), Some("PUT /arn%3Aaws/handle?Signature=secret%3D HTTP/1.1"));
    assert_eq!(header(head, "content-type"), None);
    let expected = r#"{"Status":"FAILURE","Reason":"Configuration failed.","UniqueId":"i-0123","Data":""}"#;
    assert_eq!(body, expected);
}

#[tokio::test]
async fn a_wait_handles_query_is_not_printed() {
    let url: Url = "http://127.0.0.1:1/handle?Signature=secret".parse().unwrap();
    let mut signal = signal("http://unused", Auth::Auto);
    signal.target = Target::WaitHandle(url);
    assert_eq!(signal.target.to_string(), "wait handle 127.0.0.1/handle");
    assert!(!format!("{signal:?}").contains("secret"));
    let delivery = deliver(&signal, &client(), 1.2).await;
    let text = format!("{delivery:?}");
    assert!(text.contains("refused") && !text.contains("secret"), "{text}");
}

pub(crate) fn proxied(proxy: &Server, no_proxy: &[&str]) -> reqwest::Client {
    let url = format!("http://me:p%40%25ss@{}", proxy.address).parse().unwrap();
    let no_proxy = no_proxy.iter().map(ToString::to_string).collect();
    outbound(Some(&ProxyRoute { url, no_proxy })).unwrap()
}

#[tokio::test]
async fn https_tunnels_through_the_proxy() {
    let proxy = Server::start(&[(407, "")]).await;
    let client = proxied(&proxy, &["169.254.169.254"]);
    for auth in [Auth::InstanceIdentity, Auth::Iam] {
        let mut signal = signal("", auth);
        signal.endpoint = None;
        let delivery = deliver(&signal, &client, 1.2).await;
        assert!(matches!(delivery, Delivery::Undelivered(_)), "{delivery:?}");
        assert!(!format!("{delivery:?}").contains("p@%ss"), "{delivery:?}");
    }
    let requests = proxy.requests();
    assert!(requests.len() >= 2);
    for request in requests {
        let line = request.lines().next();
        assert_eq!(line, Some("CONNECT cloudformation.eu-west-1.amazonaws.com:443 HTTP/1.1"));
        let expected = format!("Basic {}", STANDARD.encode("me:p@%ss"));
        assert_eq!(header(&request, "proxy-authorization"), Some(expected.as_str()));
    }
}

#[tokio::test]
async fn this_host_is_reached_without_the_proxy_and_others_are_not() {
    let server = Server::start(&[(200, "")]).await;
    for (endpoint, through_proxy) in [("http://cloudformation.internal", true), (server.url().as_str(), false)] {
        let proxy = Server::start(&[(200, "")]).await;
        let signal = signal(endpoint, Auth::InstanceIdentity);
        assert_eq!(deliver(&signal, &proxied(&proxy, &[]), 5.0).await, accepted("instance_identity", 1));
        assert_eq!(proxy.requests().len(), usize::from(through_proxy), "{endpoint}");
    }
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn status_and_auth_stand_in_reports() {
    assert_eq!(serde_json::to_string(&Status::Success).unwrap(), "\"SUCCESS\"");
    assert_eq!(serde_json::to_string(&Auth::InstanceIdentity).unwrap(), "\"instance_identity\"");
}
