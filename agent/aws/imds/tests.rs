use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode as Status;
use tokio::net::TcpListener;

use super::identity::{DOCUMENT, DOMAIN, LAUNCH_INDEX, LIFECYCLE_STATE, SIGNATURE, TAGS};
use super::*;

const DOCUMENT_TEXT: &str = "{\n  \"region\" : \"eu-west-1\",\n  \"instanceId\" : \"i-0123456789abcdef0\",\n  \
     \"accountId\" : \"111122223333\",\n  \"availabilityZone\" : \"eu-west-1a\",\n  \"instanceType\" : \"m5.large\",\n  \
     \"imageId\" : \"ami-0a1b2c3d4e5f60718\",\n  \"kernelId\" : null\n}";

/// Serves `answer(n, method, path, token)`, with `n` counting requests, and returns the address.
async fn serve<F>(answer: F) -> String
where
    F: Fn(usize, &str, &str, &str) -> (u16, String) + Clone + Send + Sync + 'static,
{
    let count = Arc::new(AtomicUsize::new(0));
    let app = Router::new().fallback(async move |request: Request| {
        let n = count.fetch_add(1, Ordering::SeqCst);
        let header = |name| request.headers().get(name).map_or("", |value| value.to_str().unwrap());
        if request.method() == "PUT" {
            assert_eq!(header(TTL_HEADER), "21600");
        }
        let (status, body) = answer(n, request.method().as_str(), request.uri().path(), header(TOKEN_HEADER));
        (Status::from_u16(status).unwrap(), body)
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    format!("http://{address}")
}

fn client(endpoint: &str, millis: u64) -> Imds {
    Imds::new(Some(endpoint), Instant::now() + Duration::from_millis(millis)).unwrap()
}

/// Answers as a whole metadata service with the token `t`.
fn instance(method: &str, path: &str, token: &str) -> (u16, String) {
    let body = match (method, path) {
        ("PUT", TOKEN) => "t",
        _ if token != "t" => return (401, String::new()),
        (_, DOCUMENT) => DOCUMENT_TEXT,
        (_, SIGNATURE) => "abc\ndef\n",
        (_, DOMAIN) => "amazonaws.com.cn",
        (_, LAUNCH_INDEX) => "2\n",
        (_, LIFECYCLE_STATE) => "InService\n",
        (_, TAGS) => "Name\naws:cloudformation:stack-name",
        (_, "/latest/meta-data/tags/instance/Name") => "web",
        (_, "/latest/meta-data/tags/instance/aws:cloudformation:stack-name") => "blue",
        _ => return (404, String::new()),
    };
    (200, body.to_owned())
}

#[tokio::test]
async fn the_whole_identity_is_read() {
    let endpoint = serve(|_, method, path, token| instance(method, path, token)).await;
    let identity = client(&format!("{endpoint}/"), 5000).identity().await.unwrap();
    let expected = Identity {
        instance_id: "i-0123456789abcdef0".to_owned(),
        region: "eu-west-1".to_owned(),
        account_id: "111122223333".to_owned(),
        availability_zone: "eu-west-1a".to_owned(),
        instance_type: "m5.large".to_owned(),
        image_id: "ami-0a1b2c3d4e5f60718".to_owned(),
        partition_domain: "amazonaws.com.cn".to_owned(),
        tags: [("Name", "web"), ("aws:cloudformation:stack-name", "blue")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into(),
        launch_index: Some(2),
        target_lifecycle_state: Some("InService".to_owned()),
        document: DOCUMENT_TEXT.to_owned(),
        signature: "abc\ndef\n".to_owned(),
    };
    assert_eq!(identity, expected);
}

#[tokio::test]
async fn all_but_the_document_may_be_missing() {
    let endpoint = serve(|_, method, path, token| match path {
        TOKEN | DOCUMENT => instance(method, path, token),
        _ => (404, String::new()),
    })
    .await;
    let identity = client(&endpoint, 5000).identity().await.unwrap();
    assert_eq!(identity.partition_domain, "amazonaws.com");
    assert_eq!(identity.signature, "");
    assert_eq!((identity.target_lifecycle_state, identity.launch_index), (None, None));
    assert!(identity.tags.is_empty());
}

#[tokio::test]
async fn of_tags_without_end_some_are_read() {
    let endpoint = serve(|_, method, path, token| match path.strip_prefix(TAGS) {
        Some("") => (200, (0..1000).map(|number| format!("tag{number}\n")).collect()),
        Some(_) => (200, "x".repeat(LIMIT)),
        None => instance(method, path, token),
    })
    .await;
    assert_eq!(client(&endpoint, 20_000).identity().await.unwrap().tags.len(), 100);
}

#[tokio::test]
async fn a_missing_or_broken_document_is_malformed() {
    for body in [None, Some("{}"), Some("<html>")] {
        let endpoint = serve(move |_, method, path, token| match (path, body) {
            (DOCUMENT, Some(body)) => (200, body.to_owned()),
            (DOCUMENT, None) => (404, String::new()),
            _ => instance(method, path, token),
        })
        .await;
        let error = client(&endpoint, 5000).identity().await.unwrap_err();
        assert!(matches!(error, ImdsError::Malformed { .. }), "{error}");
        assert!(error.to_string().contains(DOCUMENT), "{error}");
    }
}

#[tokio::test]
async fn an_expired_token_is_renewed_once() {
    // The first token is refused, as after six hours; the second one is good.
    let endpoint = serve(|n, method, path, token| match (method, n) {
        ("PUT", 0) => (200, "old".to_owned()),
        ("PUT", _) => (200, "t".to_owned()),
        _ => instance(method, path, token),
    })
    .await;
    let imds = client(&endpoint, 5000);
    assert_eq!(imds.get(DOMAIN).await.unwrap().unwrap(), b"amazonaws.com.cn");
}

#[tokio::test]
async fn a_second_401_is_final() {
    let endpoint = serve(|n, method, _, _| match method {
        "PUT" => (200, format!("token{n}")),
        _ => (401, String::new()),
    })
    .await;
    let error = client(&endpoint, 5000).user_data().await.unwrap_err();
    assert!(matches!(error, ImdsError::Refused { status: 401, .. }), "{error}");
}

#[tokio::test]
async fn no_user_data_is_none() {
    let endpoint = serve(|_, method, path, token| instance(method, path, token)).await;
    assert_eq!(client(&endpoint, 5000).user_data().await.unwrap(), None);
}

#[tokio::test]
async fn temporary_troubles_are_retried() {
    for status in [429, 500, 503] {
        let endpoint = serve(move |n, method, path, token| match n {
            0 | 2 => (status, String::new()),
            _ => instance(method, path, token),
        })
        .await;
        let answer = client(&endpoint, 20_000).get(DOMAIN).await.unwrap();
        assert_eq!(answer.unwrap(), b"amazonaws.com.cn");
    }
}

#[tokio::test]
async fn a_disabled_service_says_so_at_once() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let endpoint = serve(move |n, _, _, _| {
        count.store(n + 1, Ordering::SeqCst);
        (403, String::new())
    })
    .await;
    let error = client(&endpoint, 60_000).user_data().await.unwrap_err();
    assert!(error.to_string().contains("HttpEndpoint: enabled"), "{error}");
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn an_endless_answer_is_cut_off() {
    let endpoint = serve(|_, method, path, token| match path {
        DOMAIN => (200, "x".repeat(LIMIT + 1)),
        USER_DATA => (200, "x".repeat(LIMIT + 1)),
        _ => instance(method, path, token),
    })
    .await;
    let imds = client(&endpoint, 5000);
    let error = imds.get(DOMAIN).await.unwrap_err();
    assert!(matches!(error, ImdsError::Malformed { .. }), "{error}");
    assert_eq!(imds.user_data().await.unwrap().unwrap().len(), LIMIT + 1);
}

#[tokio::test(start_paused = true)]
async fn the_deadline_ends_it() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = format!("http://{}", listener.local_addr().unwrap());
    let before = Instant::now();
    let error = client(&silent, 300).user_data().await.unwrap_err();
    assert!(error.to_string().contains(&silent), "{error}");
    assert!(before.elapsed() <= Duration::from_millis(301), "{:?}", before.elapsed());
}

#[tokio::test]
async fn endpoints_take_turns_until_one_answers() {
    let dead = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let dead_url = format!("http://{}", dead.local_addr().unwrap());
    drop(dead);
    let alive = serve(|n, method, path, token| match n {
        1 => (503, String::new()),
        _ => instance(method, path, token),
    })
    .await;
    let mut imds = client(&alive, 10_000);
    imds.endpoints = vec![dead_url, alive];
    imds.session().failures = vec![None; 2];
    assert_eq!(imds.get(DOMAIN).await.unwrap().unwrap(), b"amazonaws.com.cn");
    assert_eq!(imds.session().current, 1);
}

/// Proves that a slow answer of the first endpoint does not settle the second. Another read has meanwhile moved on to the
/// second.
#[tokio::test]
async fn the_endpoint_that_answers_is_the_one_that_stays() {
    let imds = Imds::new(None, Instant::now()).unwrap();
    imds.session().move_on_from(0);
    assert_eq!(imds.session().current, 1);
    imds.session().settle(0);
    imds.session().move_on_from(1);
    assert_eq!(imds.session().current, 0);
}

#[tokio::test]
async fn an_error_tells_what_became_of_each_endpoint() {
    let dead = || {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let ends = [dead(), dead()];
    let mut imds = client(&ends[0], 300);
    imds.endpoints = ends.to_vec();
    imds.session().failures = vec![None; 2];
    let told = imds.user_data().await.unwrap_err().to_string();
    for end in ends {
        assert!(told.contains(&format!("{end} (")) && told.contains("refused"), "{told}");
    }
}

#[test]
fn the_default_is_ipv4_then_ipv6() {
    let imds = Imds::new(None, Instant::now()).unwrap();
    assert_eq!(imds.endpoints, IMDS_ENDPOINTS);
    assert!(Imds::new(Some("169.254.169.254"), Instant::now()).is_err());
}

#[test]
fn an_instance_that_is_terminated_is_told_from_one_that_its_pool_may_keep() {
    for (state, terminating) in [
        ("Terminated", true),
        ("Terminating", true),
        ("Terminating:Wait", true),
        ("Terminating:Proceed", true),
        ("Terminating:Retained", true),
        ("Warmed:Terminated", false),
        ("Warmed:Terminating:Wait", false),
        ("Warmed:Terminating:Retained", false),
        ("Warmed:Pending:Retained", false),
        ("InService", false),
        ("Detached", false),
        ("Standby", false),
        ("ReplacingRootVolume", false),
        ("ReplacingRootVolume:Wait", false),
        ("RootVolumeReplaced", false),
        ("of another year", false),
    ] {
        let identity = Identity { target_lifecycle_state: Some(state.to_owned()), ..Identity::default() };
        assert_eq!(identity.is_terminating(), terminating, "{state}");
        assert_eq!(identity.is_warming(), state.starts_with("Warmed:"), "{state}");
    }
    assert!(!Identity::default().is_terminating());
}
