use super::*;
use crate::config::parse;
use crate::document::decode::Document;

/// Returns the messages about a document's `docker.daemon`, errors and warnings, each with line, column and remedy.
fn told(daemon: &str) -> (Vec<String>, Vec<String>) {
    let document =
        Document::read("user data", format!("docker:\n  daemon:\n    {}\n", daemon.replace('\n', "\n    ")), false);
    let root = document.config.clone().unwrap();
    let words = |problems: Vec<Problem>| {
        let word = |problem: Problem| {
            let (message, remedy) = problem.words();
            let (line, column) = problem.span.unwrap().position();
            format!("{line}:{column} {message} ({})", remedy.unwrap_or_default())
        };
        problems.into_iter().map(word).collect()
    };
    let Findings { errors, warnings } = examined(&root);
    (words(errors), words(warnings))
}

#[test]
fn directives_are_sorted_so_that_a_reader_finds_them() {
    assert!(DIRECTIVES.is_sorted_by_key(|(name, _)| *name));
    assert!(NEWER.iter().all(|(name, _)| of(name).is_some()));
}

#[test]
fn what_dockerd_refuses_is_an_error_in_its_place_with_a_remedy() {
    for (daemon, error) in [
        (
            "live-restore: \"true\"",
            "3:19 Docker refuses `live-restore`: true or false is expected, not text (leave the quotes out)",
        ),
        ("ipv6: yes", "3:11 Docker refuses `ipv6`: true or false is expected, not text (write true or false)"),
        ("data-root: 5", "3:16 Docker refuses `data-root`: text is expected, not the number 5 (put it in quotes)"),
        (
            "dns: 10.0.0.2",
            "3:10 Docker refuses `dns`: a list is expected, not text (write a list, also of one: `[...]`)",
        ),
        (
            "dns: [10.0.0]",
            "3:11 Docker refuses `dns`: an IP address is expected, not `10.0.0` (write one address, as 10.0.0.2)",
        ),
        (
            "mtu: -1",
            "3:10 Docker refuses `mtu`: a whole number, not negative, is expected, not the number -1 (write digits only)",
        ),
        (
            "shutdown-timeout: \"15\"",
            "3:23 Docker refuses `shutdown-timeout`: a whole number is expected, not text (leave the quotes out)",
        ),
        (
            "log-level: verbose",
            "3:16 Docker refuses `log-level`: another word is expected, not `verbose` (write one of panic, fatal, error, warn, info, debug, trace)",
        ),
        (
            "log-level: ERR",
            "3:16 Docker refuses `log-level`: another word is expected, not `ERR` (did you mean `error`?)",
        ),
        (
            "default-shm-size: 67108864",
            "3:23 Docker refuses `default-shm-size`: a size as text is expected, not the number 67108864 (write it as \"64M\")",
        ),
        (
            "log-opts:\n  max-file: [3]",
            "4:17 Docker refuses `log-opts.max-file`: text is expected, not a list (write text)",
        ),
        (
            "builder:\n  gc:\n    enabled: \"true\"",
            "5:18 Docker refuses `builder.gc.enabled`: true or false is expected, not text (leave the quotes out)",
        ),
        (
            "labels: [a]",
            "3:14 Docker refuses `labels`: a label is expected, not `a` (write it as name=value; Docker keeps com.docker.*, io.docker.* and org.dockerproject.* for itself)",
        ),
        ("log-drivers: json-file", "3:5 Docker has no directive `log-drivers` (did you mean `log-driver`?)"),
        ("graph: /data", "3:5 Docker has no directive `graph` (write `docker.data_root`)"),
        ("foo: {bar: 1}", "3:5 Docker has no directive `foo` (Docker's documentation of dockerd lists its directives)"),
        (
            "proxies: {httpProxy: 'http://p:3128'}",
            "3:15 Docker has no directive `proxies.httpProxy` (did you mean `http-proxy`?)",
        ),
        (
            "hosts: []",
            "3:12 Docker refuses `hosts` in daemon.json, since its unit gives it as a flag (`-H`) (leave it out; where Docker must listen elsewhere too, give docker.socket another `ListenStream=` in a drop-in of the image)",
        ),
        (
            "tlsverify: true",
            "3:16 Docker refuses `tlsverify` without `tlscert` (give the paths of certificate and key)",
        ),
    ] {
        assert_eq!(told(daemon), (vec![error.to_owned()], vec![]), "{daemon}");
    }
}

#[test]
fn what_dockerd_ignores_or_refuses_in_some_versions_is_a_warning() {
    for (daemon, warning) in [
        ("label: [a=b]", "3:12 Docker ignores `label` in daemon.json: it is the name of a flag (write `labels`)"),
        (
            "foo: {mtu: 1400}",
            "3:10 Docker ignores `foo`, which is not a directive of daemon.json (move its contents up one level)",
        ),
        (
            "runtimes: {x: {run-time-type: y}}",
            "3:35 Docker ignores `runtimes.x.run-time-type` (did you mean `runtimeType`?)",
        ),
        (
            "log-driver: jsonfile",
            "3:17 Docker has no log driver `jsonfile`: without a plugin of this name no container starts (did you mean `json-file`?)",
        ),
        (
            "bip6: fd00::1/64",
            "3:11 Docker has `bip6` from version 28.0 on, and refuses to start with it before; the ECS-optimized images have Docker 25.0 (leave it out, unless the image has such a version)",
        ),
        (
            "{bridge: none, bip: 172.20.0.1/16}",
            "3:25 Docker does not start with both `bridge` and `bip` (keep one of them)",
        ),
        (
            "{icc: false, iptables: false}",
            "3:11 Docker does not start with both `icc: false` and `iptables: false` (leave `iptables` out: `icc: false` needs it)",
        ),
        (
            "exec-opts: [cgroupdriver]",
            "3:17 Docker ignores `exec-opts` other than `native.cgroupdriver`, and refuses them from version 29 on (write it as `native.cgroupdriver=systemd`, or leave it out)",
        ),
    ] {
        assert_eq!(told(daemon), (vec![], vec![warning.to_owned()]), "{daemon}");
    }
}

#[test]
fn what_dockerd_takes_is_right() {
    for daemon in [
        "{}",
        "{debug: null, dns: null, log-opts: null}",
        "log-level: WARN",
        "log-opts: {max-size: 10m, max-file: 3, compress: true, tag: 1.10}",
        "builder: {GC: {Enabled: true, defaultKeepStorage: 20GB, policy: [{keepStorage: 10GB, filter: [unused-for=48h]}]}}",
        "{runtimes: {nvidia: {path: /usr/bin/nvidia-container-runtime, runtimeArgs: []}}, default-runtime: nvidia}",
        "{registry-mirrors: ['https://mirror.corp.example:5000/'], insecure-registries: [10.0.0.0/8, 'registry:5000']}",
        "{features: {buildkit: true, containerd-snapshotter: false}, live-restore: true, shutdown-timeout: -1}",
        "default-address-pools: [{base: 172.30.0.0/16, size: 24}, {base: 'fd00::/48', size: 64}]",
        "{default-shm-size: 1.5GiB, dns-search: [corp.example, .], labels: [a=b=c], tls: false}",
        "{proxies: {http-proxy: 'http://p:3128', no-proxy: .internal}, log-driver: 'vendor/driver:1', tlsverify: true, tlscert: /c, tlskey: /k}",
    ] {
        assert_eq!(told(daemon), (vec![], vec![]), "{daemon}");
    }
}

#[test]
fn options_of_a_log_driver_become_text_as_they_are_written() {
    let text = "docker: {daemon: {log-opts: {max-file: 3, compress: true, tag: 1.10, gone: null, env: a}}}";
    let parsed = parse(&[Document::read("user data", text.to_owned(), false)]);
    assert_eq!(parsed.problems, []);
    let options = serde_json::json!({ "max-file": "3", "compress": "true", "tag": "1.10", "gone": null, "env": "a" });
    assert_eq!(parsed.config.docker.unwrap().daemon[LOG_OPTIONS], options);
}
