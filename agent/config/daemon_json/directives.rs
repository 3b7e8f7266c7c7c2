//! The directives of `daemon.json`, with the types that dockerd decodes them into.
//!
//! From Docker's `daemon/config/config.go`, `config_linux.go` and the flags of `cmd/dockerd`, versions 25.0 to 29.7. A
//! directive is one that dockerd knows as a flag; the flag of a list or a mapping has the singular name.

/// The type of a value.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Type {
    /// A JSON string.
    Text,
    /// Text, or a number or boolean that is written as text.
    AsText,
    /// `true` or `false`, without quotes.
    Bool,
    /// A whole number, not smaller than this.
    Whole(i64),
    /// An IP address as text.
    Address,
    /// An IPv6 network as text.
    Network6,
    /// A number of bytes as text, such as `64M`.
    Bytes,
    /// One of these words; in any case, where the flag is set.
    OneOf(&'static [&'static str], bool),
    /// Text with this syntax.
    Syntax(Syntax),
    /// A list of these.
    List(&'static Type),
    /// A mapping from any name to these.
    Map(&'static Type),
    /// A mapping with fields of its own. Go matches their names in any case, and ignores others.
    Fields(&'static [(&'static str, Type)]),
    /// The mapping `proxies`, whose names dockerd checks like directives.
    Directives(&'static [(&'static str, Type)]),
    /// Any value.
    Any,
    /// The name of a flag that is no directive of the file: dockerd accepts and ignores it. Holds the right directive, or
    /// nothing.
    FlagOnly(&'static str),
    /// A directive whose flag Docker's unit gives already; dockerd refuses both together. Holds the flag, and the remedy.
    OfUnit(&'static str, &'static str),
}

/// The syntax of a text.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Syntax {
    /// `key=value`.
    Label,
    /// `kind=value`, with one `=`.
    Resource,
    /// The URL of a registry mirror.
    Mirror,
    /// An IPv4 or IPv6 network.
    Network,
    /// A DNS search domain.
    Domain,
    /// `user` or `user:group`.
    User,
}

use Type::{
    Address, Any, AsText, Bool, Bytes, Directives, Fields, FlagOnly, List, Map, Network6, OfUnit, OneOf, Text, Whole,
};

/// Go's `int` and `int64`, of which dockerd refuses none.
const NUMBER: Type = Whole(i64::MIN);
const TEXTS: Type = List(&Text);

const RUNTIME: &[(&str, Type)] =
    &[("path", Text), ("runtimeArgs", TEXTS), ("runtimeType", Text), ("options", Map(&Any))];
const POOL: &[(&str, Type)] = &[("base", Type::Syntax(Syntax::Network)), ("size", NUMBER)];
const GC_RULE: &[(&str, Type)] = &[
    ("All", Bool),
    ("Filter", Any),
    ("KeepStorage", Text),
    ("ReservedSpace", Text),
    ("MaxUsedSpace", Text),
    ("MinFreeSpace", Text),
];
const GC: &[(&str, Type)] = &[
    ("Enabled", Bool),
    ("Policy", List(&Fields(GC_RULE))),
    ("DefaultKeepStorage", Text),
    ("DefaultReservedSpace", Text),
    ("DefaultMaxUsedSpace", Text),
    ("DefaultMinFreeSpace", Text),
];
const BUILDER: &[(&str, Type)] = &[
    ("GC", Fields(GC)),
    ("Entitlements", Fields(&[("network-host", Bool), ("security-insecure", Bool)])),
    ("History", Fields(&[("MaxAge", Any), ("MaxEntries", NUMBER)])),
];
const NRI: &[(&str, Type)] =
    &[("enable", Bool), ("plugin-path", Text), ("plugin-config-path", Text), ("socket-path", Text)];
const PROXIES: &[(&str, Type)] = &[("http-proxy", Text), ("https-proxy", Text), ("no-proxy", Text)];

const HOSTS: &str = "leave it out; where Docker must listen elsewhere too, give docker.socket another `ListenStream=` \
    in a drop-in of the image";
const CONTAINERD: &str = "leave it out: Docker uses the containerd of the image";
const ULIMITS: &str =
    "leave it out; on Amazon Linux `OPTIONS` in /etc/sysconfig/docker has the flag and can be changed";

/// The directives by name; sorted.
#[rustfmt::skip]
pub(crate) const DIRECTIVES: &[(&str, Type)] = &[
    ("add-runtime", FlagOnly("runtimes")),
    ("allow-direct-routing", Bool),
    ("allow-nondistributable-artifacts", TEXTS),
    ("api-cors-header", Text),
    ("authorization-plugin", FlagOnly("authorization-plugins")),
    ("authorization-plugins", TEXTS),
    ("bip", Text),
    ("bip6", Text),
    ("bridge", Text),
    ("bridge-accept-fwmark", Text),
    ("builder", Fields(BUILDER)),
    ("cdi-spec-dir", FlagOnly("cdi-spec-dirs")),
    ("cdi-spec-dirs", TEXTS),
    ("cgroup-parent", Text),
    ("config-file", FlagOnly("")),
    ("containerd", OfUnit("--containerd", CONTAINERD)),
    ("containerd-namespace", Text),
    ("containerd-plugins-namespace", FlagOnly("")),
    ("cpu-rt-period", NUMBER),
    ("cpu-rt-runtime", NUMBER),
    ("cri-containerd", Bool),
    ("data-root", Text),
    ("debug", Bool),
    ("default-address-pool", FlagOnly("default-address-pools")),
    ("default-address-pools", List(&Fields(POOL))),
    ("default-cgroupns-mode", OneOf(&["host", "private"], false)),
    ("default-gateway", Address),
    ("default-gateway-v6", Address),
    ("default-ipc-mode", OneOf(&["private", "shareable"], false)),
    ("default-network-opt", FlagOnly("default-network-opts")),
    ("default-network-opts", Map(&Map(&Text))),
    ("default-runtime", Text),
    ("default-shm-size", Bytes),
    ("default-stop-timeout", Whole(0)),
    ("default-ulimit", FlagOnly("")),
    ("default-ulimits", OfUnit("--default-ulimit", ULIMITS)),
    ("deprecated-key-path", FlagOnly("")),
    ("dns", List(&Address)),
    ("dns-opt", FlagOnly("dns-opts")),
    ("dns-opts", TEXTS),
    ("dns-search", List(&Type::Syntax(Syntax::Domain))),
    ("exec-opt", FlagOnly("exec-opts")),
    ("exec-opts", TEXTS),
    ("exec-root", Text),
    ("experimental", Bool),
    ("features", Map(&Bool)),
    ("firewall-backend", OneOf(&["iptables", "nftables"], false)),
    ("fixed-cidr", Text),
    ("fixed-cidr-v6", Network6),
    ("group", Text),
    ("help", FlagOnly("")),
    ("host", FlagOnly("")),
    ("host-gateway-ip", Address),
    ("host-gateway-ips", List(&Address)),
    ("hosts", OfUnit("-H", HOSTS)),
    ("http-proxy", FlagOnly("proxies.http-proxy")),
    ("https-proxy", FlagOnly("proxies.https-proxy")),
    ("icc", Bool),
    ("init", Bool),
    ("init-path", Text),
    ("insecure-registries", TEXTS),
    ("insecure-registry", FlagOnly("insecure-registries")),
    ("ip", Address),
    ("ip-forward", Bool),
    ("ip-forward-no-drop", Bool),
    ("ip-masq", Bool),
    ("ip6tables", Bool),
    ("iptables", Bool),
    ("ipv6", Bool),
    ("label", FlagOnly("labels")),
    ("labels", List(&Type::Syntax(Syntax::Label))),
    ("live-restore", Bool),
    ("log-driver", Text),
    ("log-format", OneOf(&["text", "json"], false)),
    ("log-level", OneOf(&["panic", "fatal", "error", "warn", "info", "debug", "trace"], true)),
    ("log-opt", FlagOnly("log-opts")),
    ("log-opts", Map(&AsText)),
    ("max-concurrent-downloads", Whole(0)),
    ("max-concurrent-uploads", Whole(0)),
    ("max-download-attempts", Whole(0)),
    ("metrics-addr", Text),
    ("min-api-version", Text),
    ("mtu", Whole(0)),
    ("network-control-plane-mtu", NUMBER),
    ("network-diagnostic-port", NUMBER),
    ("no-new-privileges", Bool),
    ("no-proxy", FlagOnly("proxies.no-proxy")),
    ("node-generic-resource", FlagOnly("node-generic-resources")),
    ("node-generic-resources", List(&Type::Syntax(Syntax::Resource))),
    ("nri-opts", Directives(NRI)),
    ("pidfile", Text),
    ("proxies", Directives(PROXIES)),
    ("raw-logs", Bool),
    ("registry-mirror", FlagOnly("registry-mirrors")),
    ("registry-mirrors", List(&Type::Syntax(Syntax::Mirror))),
    ("restart", FlagOnly("")),
    ("rootless", Bool),
    ("runtimes", Map(&Fields(RUNTIME))),
    ("seccomp-profile", Text),
    ("selinux-enabled", Bool),
    ("shutdown-timeout", NUMBER),
    ("storage-driver", Text),
    ("storage-opt", FlagOnly("storage-opts")),
    ("storage-opts", TEXTS),
    ("swarm-default-advertise-addr", Text),
    ("tls", Bool),
    ("tlscacert", Text),
    ("tlscert", Text),
    ("tlskey", Text),
    ("tlsverify", Bool),
    ("userland-proxy", Bool),
    ("userland-proxy-path", Text),
    ("userns-remap", Type::Syntax(Syntax::User)),
    ("validate", FlagOnly("")),
    ("version", FlagOnly("")),
];

/// Directives that are younger than Docker 25.0, which the ECS-optimized images have, with the version that brought each.
pub(crate) const NEWER: &[(&str, &str)] = &[
    ("allow-direct-routing", "28.2"),
    ("bip6", "28.0"),
    ("bridge-accept-fwmark", "29.0"),
    ("default-stop-timeout", "29.7"),
    ("firewall-backend", "29.0"),
    ("host-gateway-ips", "28.0"),
    ("ip-forward-no-drop", "28.0"),
    ("min-api-version", "29.0"),
    ("nri-opts", "29.2"),
];

/// The log drivers that dockerd has on Linux; others are plugins.
pub(crate) const LOG_DRIVERS: &[&str] =
    &["awslogs", "fluentd", "gcplogs", "gelf", "journald", "json-file", "local", "none", "splunk", "syslog"];

/// Finds a directive.
pub(crate) fn of(name: &str) -> Option<Type> {
    DIRECTIVES.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind)
}
