use super::*;

fn proxy(url: &str, no_proxy: &[&str]) -> Proxy {
    Proxy { url: url.parse().unwrap(), no_proxy: no_proxy.iter().map(ToString::to_string).collect() }
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

#[test]
fn a_ca_bundle_adds_to_the_roots() {
    use base64::Engine as _;
    let der = &webpki_root_certs::TLS_SERVER_ROOT_CERTS[0];
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
    for line in text.as_bytes().chunks(64) {
        pem.push_str(std::str::from_utf8(line).unwrap());
        pem.push('\n');
    }
    pem.push_str("-----END CERTIFICATE-----\n");
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), pem).unwrap();
    let with = roots(Some(file.path())).unwrap().len();
    assert_eq!(with, roots(None).unwrap().len() + 1);
}

#[test]
fn pauses_are_random_below_a_doubling_bound() {
    let first = Duration::from_millis(100);
    let longest = Duration::from_millis(400);
    for (n, pause) in Pauses::new(first, longest).take(50).enumerate() {
        let bound = longest.min(first * 2_u32.pow(n.min(10) as u32));
        assert!(pause <= bound, "pause {n} is {pause:?}, above {bound:?}");
    }
    let sample = || Pauses::new(first, longest).take(4).collect::<Vec<_>>();
    assert_ne!(sample(), sample());
}
