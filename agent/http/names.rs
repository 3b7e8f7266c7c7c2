//! Resolves names: by the host's own file of names, then by its name servers.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use hickory_resolver::config::{GOOGLE, LookupIpStrategy, ResolverConfig};
use hickory_resolver::lookup_ip::LookupIp;
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::{ResolverBuilder, TokioResolver};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::time::timeout;

/// Time that the addresses of one family are held back for those of the other family.
const GRACE: Duration = Duration::from_millis(100);

/// The name servers of the host's resolv.conf, once for IPv6 addresses and once for IPv4 addresses.
type Resolvers = [TokioResolver; 2];

/// Asks the name servers of the host.
#[derive(Default)]
pub(super) struct NameServers(Arc<OnceLock<Result<Resolvers, NetError>>>);

impl Resolve for NameServers {
    fn resolve(&self, name: Name) -> Resolving {
        let made = Arc::clone(&self.0);
        // The resolvers are made here, since they need the runtime.
        Box::pin(async move {
            let resolvers = made.get_or_init(|| resolvers(of_the_host)).clone()?;
            let addresses: Addrs = Box::new(ask(resolvers, name.as_str()).await?.into_iter());
            Ok(addresses)
        })
    }
}

type Builder = ResolverBuilder<TokioRuntimeProvider>;

/// Configures the name servers of resolv.conf, or public ones where there is no such file.
fn of_the_host() -> Builder {
    let public = ResolverConfig::udp_and_tcp(&GOOGLE);
    TokioResolver::builder_tokio()
        .unwrap_or_else(|_| TokioResolver::builder_with_config(public, TokioRuntimeProvider::default()))
}

fn resolvers(builder: impl Fn() -> Builder) -> Result<Resolvers, NetError> {
    let of = |strategy| {
        let mut builder = builder();
        builder.options_mut().ip_strategy = strategy;
        builder.build()
    };
    Ok([of(LookupIpStrategy::Ipv6Only)?, of(LookupIpStrategy::Ipv4Only)?])
}

/// Asks for the addresses of both families at once. Once one family has addresses, the other has `GRACE` left to answer.
async fn ask(resolvers: Resolvers, name: &str) -> Result<Vec<SocketAddr>, NetError> {
    let lookup = |resolver: TokioResolver| {
        let name = name.to_owned();
        Box::pin(async move { resolver.lookup_ip(name.as_str()).await })
    };
    let [mut six, mut four] = resolvers.map(lookup);
    let (first, other) = tokio::select! {
        found = &mut six => (found, four),
        found = &mut four => (found, six),
    };
    let (first, other) = match first {
        Ok(first) => (first, timeout(GRACE, other).await.ok().and_then(Result::ok)),
        Err(_) => (other.await?, None),
    };
    // By the search list, the two lookups may have found different names.
    let other = other.filter(|other| other.query().name() == first.query().name());
    let addresses = [Some(&first), other.as_ref()].into_iter().flatten().flat_map(LookupIp::iter);
    let mut addresses: Vec<SocketAddr> = addresses.map(|ip| (ip, 0).into()).collect();
    sort(&mut addresses);
    Ok(addresses)
}

/// Puts IPv6 before IPv4, and leaves the order of each as it is.
fn sort(addresses: &mut Vec<SocketAddr>) {
    let of_ipv4: Vec<_> = addresses.extract_if(.., |address| address.is_ipv4()).collect();
    addresses.extend(of_ipv4);
}

/// Makes the client answer for the names in `file`, which has the form of `/etc/hosts`, from that file alone.
///
/// `hosts: files dns` in nsswitch.conf means the same. The resolver by itself would ask DNS for a family of addresses that
/// the file does not have; where no name server answers, that takes seconds with each request.
pub(super) fn from_file(builder: reqwest::ClientBuilder, file: &Path) -> reqwest::ClientBuilder {
    let text = std::fs::read(file).unwrap_or_default();
    let names = addresses(&String::from_utf8_lossy(&text));
    // A name may stand in a URL with the dot at its end.
    names.iter().fold(builder, |builder, (name, addresses)| {
        builder.resolve_to_addrs(name, addresses).resolve_to_addrs(&format!("{name}."), addresses)
    })
}

/// Reads the addresses of each name, IPv6 before IPv4, as the resolver orders them.
fn addresses(text: &str) -> BTreeMap<String, Vec<SocketAddr>> {
    let mut found: BTreeMap<String, Vec<SocketAddr>> = BTreeMap::new();
    for line in text.lines() {
        let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
        let Some(Ok(address)) = words.next().map(str::parse::<IpAddr>) else { continue };
        for name in words {
            let addresses = found.entry(name.trim_end_matches('.').to_ascii_lowercase()).or_default();
            addresses.push((address, 0).into());
        }
    }
    found.values_mut().for_each(sort);
    found
}

/// Takes the place of glibc's own resolver, which nobody calls, and which std would link all the same. In a static program,
/// that resolver loads the host's NSS modules, which are made for another glibc. Without it the binary is 0.12 MB smaller.
#[cfg(target_feature = "crt-static")]
mod resolver_of_glibc {
    use nix::libc::{EAI_FAIL, addrinfo, c_char, c_int};

    #[expect(unsafe_code, reason = "the name and the arguments are those of getaddrinfo(3)")]
    #[unsafe(no_mangle)]
    extern "C" fn getaddrinfo(_: *const c_char, _: *const c_char, _: *const addrinfo, _: *mut *mut addrinfo) -> c_int {
        EAI_FAIL
    }

    #[expect(unsafe_code, reason = "the name and the argument are those of freeaddrinfo(3)")]
    #[unsafe(no_mangle)]
    extern "C" fn freeaddrinfo(_: *mut addrinfo) {}
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use hickory_resolver::config::{ConnectionConfig, NameServerConfig};
    use hickory_resolver::proto::op::{Message, MessageType, ResponseCode};
    use hickory_resolver::proto::rr::rdata::{A, AAAA};
    use hickory_resolver::proto::rr::{RData, Record, RecordType};

    use super::*;

    /// The behaviour of a name server towards questions of a type.
    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Answer {
        Address,
        Nothing,
        Silence,
    }

    /// Makes resolvers whose only name server treats the two types of questions so.
    fn asking(six: Answer, four: Answer) -> Resolvers {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        std::thread::spawn(move || {
            let mut packet = [0; 4096];
            while let Ok((length, from)) = socket.recv_from(&mut packet) {
                let mut message = Message::from_vec(&packet[..length]).unwrap();
                let query = message.queries[0].clone();
                let (answer, data) = match query.query_type() {
                    RecordType::AAAA => (six, RData::AAAA(AAAA("2001:db8::7".parse().unwrap()))),
                    _ => (four, RData::A(A("192.0.2.7".parse().unwrap()))),
                };
                message.metadata.message_type = MessageType::Response;
                message.metadata.response_code = ResponseCode::NoError;
                match answer {
                    Answer::Silence => continue,
                    Answer::Nothing => {}
                    Answer::Address => drop(message.add_answer(Record::from_rdata(query.name().clone(), 60, data))),
                }
                socket.send_to(&message.to_vec().unwrap(), from).unwrap();
            }
        });
        resolvers(|| {
            let mut connection = ConnectionConfig::udp();
            connection.port = address.port();
            let server = NameServerConfig::new(address.ip(), true, vec![connection]);
            let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
            let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
            // Waiting for an answer that never comes takes longer than the test may.
            builder.options_mut().timeout = Duration::from_secs(3600);
            builder
        })
        .unwrap()
    }

    #[tokio::test]
    async fn a_family_that_a_name_server_keeps_silent_about_is_not_waited_for() {
        use Answer::{Address, Nothing, Silence};
        let (four, six) = ("192.0.2.7:0", "[2001:db8::7]:0");
        for (of_six, of_four, expected) in [
            (Address, Address, &[six, four][..]),
            (Silence, Address, &[four]),
            (Address, Silence, &[six]),
            (Nothing, Address, &[four]),
            (Address, Nothing, &[six]),
        ] {
            let found = ask(asking(of_six, of_four), "shop.corp.internal.");
            let found = timeout(Duration::from_secs(60), found).await;
            let found: Vec<_> = found.unwrap().unwrap().iter().map(ToString::to_string).collect();
            assert_eq!(found, expected, "{of_six:?} {of_four:?}");
        }
        ask(asking(Nothing, Nothing), "shop.corp.internal.").await.unwrap_err();
    }

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

    /// Proves that the file answers: DNS knows none of these names.
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
