//! Names that the host's own file of names answers.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

/// Has `file`, which is as `/etc/hosts`, answer for the names in it, and nobody else.
///
/// So `hosts: files dns` of nsswitch.conf has it. The resolver by itself would ask DNS for the addresses of a family that the
/// file has none of, which takes seconds with each request where no name server answers.
pub(super) fn from_file(builder: reqwest::ClientBuilder, file: &Path) -> reqwest::ClientBuilder {
    let text = std::fs::read(file).unwrap_or_default();
    let names = addresses(&String::from_utf8_lossy(&text));
    // A name may stand in a URL with the dot at its end.
    names.iter().fold(builder, |builder, (name, addresses)| {
        builder.resolve_to_addrs(name, addresses).resolve_to_addrs(&format!("{name}."), addresses)
    })
}

/// The addresses of each name, those of IPv6 first, as the resolver has them.
fn addresses(text: &str) -> BTreeMap<String, Vec<SocketAddr>> {
    let mut found: BTreeMap<String, Vec<SocketAddr>> = BTreeMap::new();
    for line in text.lines() {
        let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
        let Some(Ok(address)) = words.next().map(str::parse::<IpAddr>) else { continue };
        for name in words {
            let addresses = found.entry(name.trim_end_matches('.').to_ascii_lowercase()).or_default();
            addresses.push((address, 0).into());
            addresses.sort_by_key(SocketAddr::is_ipv4);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTS: &str = "\
# 192.0.2.9 commented.out
127.0.0.1   localhost localhost.localdomain\t# 192.0.2.8 behind
::1\tlocalhost ip6-localhost
192.0.2.1 Proxy.Corp.Internal proxy
 192.0.2.2\tproxy
fe80::1%eth0 scoped
192.0.2 short
192.0.2.3
2001:db8::1 six.internal.
";

    #[test]
    fn the_file_is_read_as_the_host_reads_it() {
        let found = addresses(HOSTS);
        let shown: Vec<_> = found
            .iter()
            .map(|(name, addresses)| {
                let addresses: Vec<_> = addresses.iter().map(|address| address.ip().to_string()).collect();
                format!("{name} {}", addresses.join(" "))
            })
            .collect();
        let expected = [
            "ip6-localhost ::1",
            "localhost ::1 127.0.0.1",
            "localhost.localdomain 127.0.0.1",
            "proxy 192.0.2.1 192.0.2.2",
            "proxy.corp.internal 192.0.2.1",
            "six.internal 2001:db8::1",
        ];
        assert_eq!(shown, expected);
    }

    /// DNS knows none of these names, so that an answer is the file's.
    #[tokio::test]
    async fn a_name_in_the_file_is_reached_without_dns() {
        use std::io::{Read as _, Write as _};
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"127.0.0.1 Four.Names.Invalid alias.invalid # six.invalid\n::1 six.invalid\n").unwrap();
        let client = from_file(crate::http::base(rustls::RootCertStore::empty()).unwrap().no_proxy(), file.path());
        let client = client.build().unwrap();
        for (address, names) in [
            ("127.0.0.1:0", &["four.names.invalid", "FOUR.names.invalid.", "alias.invalid"][..]),
            ("[::1]:0", &["six.invalid", "six.invalid."]),
        ] {
            // A machine without IPv6 has no such address.
            let Ok(listener) = std::net::TcpListener::bind(address) else { continue };
            let port = listener.local_addr().unwrap().port();
            std::thread::spawn(move || {
                for stream in listener.incoming() {
                    let mut stream = stream.unwrap();
                    let _ = stream.read(&mut [0; 4096]);
                    let _ = stream.write_all(b"HTTP/1.1 204 X\r\nconnection: close\r\n\r\n");
                }
            });
            for name in names {
                let answer = client.get(format!("http://{name}:{port}/")).send().await.map_err(crate::http::explain);
                assert_eq!(answer.unwrap().status(), 204, "{name}");
            }
        }
    }
}
