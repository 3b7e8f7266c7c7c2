use super::*;

fn proxy(url: &str, no_proxy: &[&str]) -> ProxyRoute {
    ProxyRoute { url: url.parse().unwrap(), no_proxy: no_proxy.iter().map(ToString::to_string).collect() }
}

#[test]
fn a_proxys_password_is_not_printed() {
    let shown = format!("{:?}", proxy("http://me:secret@proxy:3128", &[".internal"]));
    assert_eq!(shown, r#"Proxy { url: "http://proxy:3128/", no_proxy: [".internal"] }"#);
}

#[test]
fn a_proxy_of_an_unknown_kind_is_refused_without_its_password() {
    let error = outbound(Some(&proxy("socks5://me:secret@proxy:1080", &[]))).unwrap_err();
    let text = format!("{error:#}");
    assert!(text.contains("socks5://proxy:1080"), "{text}");
    assert!(!text.contains("secret"), "{text}");
}

#[test]
fn a_bad_ca_bundle_is_named() {
    let missing = format!("{:#}", roots(Some(Path::new("/nowhere/ca.pem"))).unwrap_err());
    assert!(missing.contains("AWS_CA_BUNDLE=/nowhere/ca.pem"), "{missing}");
    let empty = tempfile::NamedTempFile::new().unwrap();
    let text = format!("{:#}", roots(Some(empty.path())).unwrap_err());
    assert!(text.contains(empty.path().to_str().unwrap()), "{text}");
    assert!(text.contains("no certificate"), "{text}");
}

/// Starts a TLS server with a certificate of the test CA, for `localhost`, and returns its port.
fn tls_server() -> u16 {
    use std::io::{Read as _, Write as _};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let chain = CertificateDer::pem_slice_iter(include_bytes!("testdata/server.pem"));
    let chain = chain.collect::<Result<Vec<_>, _>>().unwrap();
    let key = rustls::pki_types::PrivateKeyDer::from_pem_slice(include_bytes!("testdata/server.key"));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key.unwrap())
        .unwrap();
    std::thread::spawn(move || {
        let config = Arc::new(config);
        for stream in listener.incoming() {
            let tls = rustls::ServerConnection::new(config.clone()).unwrap();
            let mut stream = rustls::StreamOwned::new(tls, stream.unwrap());
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
            // A client that doesn't trust the server hangs up here.
            if stream.read(&mut [0; 4096]).is_ok() {
                stream.write_all(answer).unwrap();
            }
        }
    });
    port
}

#[tokio::test]
async fn the_ca_bundle_is_trusted_and_names_resolve_inside_the_process() {
    let url = format!("https://localhost:{}/", tls_server());
    let bundle = Path::new(env!("CARGO_MANIFEST_DIR")).join("agent/http/testdata/ca.pem");
    let with = outbound_trusting(None, Some(&bundle)).unwrap();
    let response = with.get(&url).send().await.map_err(explain).unwrap();
    assert_eq!(read_body(response, 2).await.unwrap(), b"ok");
    let without = outbound_trusting(None, None).unwrap();
    for client in [without, direct().unwrap()] {
        let error = client.get(&url).send().await.map_err(explain).unwrap_err();
        assert!(error.contains("certificate"), "{error}");
    }
}

#[test]
fn pauses_are_random_below_a_doubling_bound() {
    let first = Duration::from_millis(100);
    let longest = Duration::from_millis(400);
    for (n, pause) in pauses(first, longest).take(50).enumerate() {
        let bound = longest.min(first * 2_u32.pow(n.min(10) as u32));
        assert!(pause <= bound, "pause {n} is {pause:?}, above {bound:?}");
    }
    let sample = || pauses(first, longest).take(4).collect::<Vec<_>>();
    assert_ne!(sample(), sample());
}

#[test]
fn retry_after_is_read_in_both_its_forms() {
    let now = "Wed, 21 Oct 2026 07:28:00 GMT";
    for (after, date, expected) in [
        (Some("7"), None, Some(7)),
        (Some(" 0 "), Some(now), Some(0)),
        (Some("Wed, 21 Oct 2026 07:30:05 GMT"), Some(now), Some(125)),
        (Some("Wed, 21 Oct 2026 07:27:00 GMT"), Some(now), Some(0)),
        // Without the answer's `Date`, the clock of the host decides.
        (Some("Thu, 01 Jan 1970 00:00:00 GMT"), None, Some(0)),
        (Some("soon"), Some(now), None),
        (Some("-3"), Some(now), None),
        (None, Some(now), None),
    ] {
        let header = |name: &str| if name == "date" { date } else { after };
        assert_eq!(retry_after(header), expected.map(Duration::from_secs), "{after:?} {date:?}");
    }
}
