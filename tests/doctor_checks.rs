//! The checks of `doctor`, each with what it is there to find, on the real binary.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, SystemTime};

use ecs_firstrun::rehearse::Scenario;
use ecs_firstrun::rehearse::cloud::{ImdsFaults, ProxyCredentials, Registration};
use serde_json::Value;

use crate::support::doctor::{SHORT_WAIT, assert_has, doctor, doctor_at, findings, host_that_fails, host_with};
use crate::support::host::{Ended, Host};
use crate::support::tmpfs::Tmpfs;
use crate::support::user_data::{SMALLEST, misspelt};

#[test]
fn a_cloud_init_that_holds_the_agent_up_is_the_cause() {
    let host = host_with(|options| options.registration = Registration::Never);
    host.rehearsal.programs.starts_without_end("cloud-final.service").unwrap();
    host.put("/etc/ecs-firstrun/conf.d/50.yaml", SHORT_WAIT);
    assert_eq!(host.run().code, Some(1));
    let words =
        ["ecs.service is queued until cloud-final.service has ended", "let no script of the user data wait for ECS"];
    assert_has(&host.reason(), &words);
    assert_has(doctor(&host).stdout.lines().next().unwrap(), &words);
}

#[test]
fn a_docker_that_does_not_answer_is_the_cause() {
    let host = host_with(|options| {
        options.docker = None;
        options.registration = Registration::Never;
    });
    host.put("/etc/ecs-firstrun/conf.d/50.yaml", SHORT_WAIT);
    assert_eq!(host.run().code, Some(1));
    let words = ["Docker does not answer: there is no /run/docker.sock", "`systemctl status docker.service`"];
    assert_has(&host.reason(), &words);
    assert_has(doctor(&host).stdout.lines().next().unwrap(), &words);

    let host = host_with(|options| options.registration = Registration::Never);
    host.rehearsal.programs.fail_after("docker.service", Duration::from_millis(100), 1).unwrap();
    assert_eq!(host.run().code, Some(1));
    let words = ["docker.service failed (exit-code, exit code 1)", "`journalctl -u docker.service`"];
    assert_has(&host.reason(), &words);
    assert_has(doctor(&host).stdout.lines().next().unwrap(), &words);
}

#[test]
fn a_proxy_that_is_asked_for_the_instance_metadata_is_found() {
    let host = host_with(|_| {});
    assert_eq!(host.run().code, Some(0));
    let endpoint = host.rehearsal.cloud.cloudformation_endpoint();
    host.put("/etc/sysconfig/proxy", "# ours\nhttps_proxy='http://proxy:3128'\nNO_PROXY=\"169.254.169.254,\\$x\"\n");
    for (path, text, words) in [
        (
            "/etc/ecs/ecs.config",
            "ECS_CLUSTER=production\nHTTP_PROXY=http://proxy:3128\nNO_PROXY=169.254.169.254\n",
            "NO_PROXY lacks 169.254.170.2, /var/run/docker.sock in /etc/ecs/ecs.config",
        ),
        (
            "/etc/systemd/system/ecs.service.d/http-proxy.conf",
            "[Service]\nEnvironment=\"HTTP_PROXY=http://proxy:3128\" \"NO_PROXY=localhost,/var/run/docker.sock\"\n",
            "NO_PROXY lacks 169.254.169.254 in the drop-ins of ecs.service",
        ),
        (
            "/etc/systemd/system/docker.service.d/http-proxy.conf",
            "[Service]\nEnvironment=HTTPS_PROXY=http://proxy:3128\nEnvironment=NO_PROXY=169.254.169.254\n",
            "NO_PROXY lacks 169.254.170.2 in the drop-ins of docker.service",
        ),
        (
            "/etc/systemd/system/docker.service.d/http-proxy.conf",
            "[Service]\nEnvironmentFile=/etc/sysconfig/proxy\nEnvironment=NO_PROXY=169.254.169.254,169.254.170.2\n",
            "NO_PROXY lacks 169.254.170.2 in the drop-ins of docker.service",
        ),
        (
            "/etc/systemd/system/ecs.service.d/http-proxy.conf",
            "[Service]\nEnvironmentFile=-/etc/sysconfig/none\nEnvironmentFile=/etc/sysconfig/gone\n",
            "/etc/sysconfig/gone is missing, which a drop-in of ecs.service names",
        ),
    ] {
        let before = host.at(path).exists().then(|| host.text(path));
        host.put(path, text);
        let found = findings(&host, &endpoint, "no_proxy");
        assert_eq!((found.len(), &found[0]["verdict"]), (1, &Value::from("problem")), "{found:?}");
        assert_eq!(found[0]["found"], words);
        match before {
            Some(before) => host.put(path, &before),
            None => std::fs::remove_file(host.at(path)).unwrap(),
        }
    }
    assert_eq!(findings(&host, &endpoint, "no_proxy")[0]["verdict"], "ok");
}

#[test]
fn instance_metadata_that_do_not_answer_are_found() {
    let host = host_with(|options| options.imds_faults = ImdsFaults { disabled: true, ..ImdsFaults::default() });
    let ended = doctor(&host);
    assert_eq!(ended.code, Some(1));
    assert_has(ended.stdout.lines().next().unwrap(), &["HTTP 403", "HttpEndpoint: enabled"]);
    assert_has(&ended.stdout, &["not known", "credentials without instance metadata the role is not known"]);
}

#[test]
fn without_instance_metadata_what_an_earlier_run_kept_serves() {
    let host = host_with(|_| {});
    host.put("/sys/class/dmi/id/board_asset_tag", "i-0f1e2d3c4b5a69788\n");
    assert_eq!(host.run().code, Some(0));
    let endpoint = host.rehearsal.cloud.cloudformation_endpoint();
    let arguments = ["doctor", "--imds-endpoint", "http://127.0.0.1:9"];
    let ended = host.call(&arguments, &[("AWS_ENDPOINT_URL", &endpoint)]);
    assert_has(
        &ended.stdout,
        &["problem: metadata", "http://127.0.0.1:9 (", "registered with `production`, container instance"],
    );
}

#[test]
fn an_instance_without_a_role_is_found() {
    let host = Host::in_cloud(SMALLEST, |_| {});
    let endpoint = host.rehearsal.cloud.cloudformation_endpoint();
    let found = findings(&host, &endpoint, "credentials");
    assert_eq!((&found[0]["verdict"], &found[0]["found"]), (&"problem".into(), &"the instance has no role".into()));
}

/// Answers each request with this, whatever it is.
fn server(answer: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let mut client: TcpStream = client.unwrap();
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && client.read(&mut byte).unwrap_or(0) == 1 {
                head.push(byte[0]);
            }
            let _ = client.write_all(answer.as_bytes());
        }
    });
    format!("http://{address}")
}

fn answer(head: &str, body: &str) -> String {
    format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
}

#[test]
fn a_clock_that_is_wrong_is_found() {
    let host = host_with(|_| {});
    assert_eq!(host.run().code, Some(0));
    let date = |time: SystemTime| {
        let seconds = time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64();
        let time = aws_smithy_types::DateTime::from_secs_f64(seconds);
        time.fmt(aws_smithy_types::date_time::Format::HttpDate).unwrap()
    };
    let error = "<ErrorResponse><Error><Code>MissingAuthenticationToken</Code></Error></ErrorResponse>";
    let at = |time| server(answer(&format!("403 Forbidden\r\nContent-Type: text/xml\r\nDate: {}", date(time)), error));
    let hour = Duration::from_secs(3600);
    for (time, words) in
        [(SystemTime::now() + hour, "behind AWS's clock"), (SystemTime::now() - hour, "ahead of AWS's clock")]
    {
        let ended = doctor_at(&host, &at(time));
        assert_eq!(ended.code, Some(1), "{}", ended.stdout);
        assert_has(ended.stdout.lines().next().unwrap(), &["the host's clock is", words, "chronyd"]);
    }
    let ended = doctor_at(&host, &at(SystemTime::now()));
    assert_eq!(ended.code, Some(0), "{}", ended.stdout);
}

#[test]
fn a_page_in_the_place_of_aws_is_not_taken_for_it() {
    let host = host_with(|_| {});
    assert_eq!(host.run().code, Some(0));
    let page = answer("200 OK\r\nContent-Type: text/html", "<html><body>Please log in</body></html>");
    let found = findings(&host, &server(page), "endpoints");
    assert_eq!(found.len(), 1, "{found:?}");
    assert_has(found[0]["found"].as_str().unwrap(), &["a web page came back, which is not from AWS"]);
    assert_eq!(findings(&host, "http://127.0.0.1:9", "endpoints")[0]["verdict"], "problem");
    assert_has(
        findings(&host, "http://127.0.0.1:9", "endpoints")[0]["found"].as_str().unwrap(),
        &["the connection is refused"],
    );
}

#[test]
fn a_proxy_that_wants_credentials_or_does_not_answer_is_found() {
    let credentials = ProxyCredentials { user: "squid".to_owned(), password: "hunter2canary".to_owned() };
    let host = host_with(|options| options.proxy_credentials = Some(credentials));
    assert_eq!(host.run().code, Some(0));
    let right = host.rehearsal.cloud.proxy_endpoint().replace("http://", "http://squid:hunter2canary@");
    let wrong = host.rehearsal.cloud.proxy_endpoint().replace("http://", "http://squid:hunter3canary@");
    // Through a proxy the names are the proxy's to resolve.
    let (plain, tls) = ("http://aws.test", "https://aws.test");
    for (proxy, endpoint, words) in [
        (wrong.as_str(), plain, "the proxy wants credentials (407)"),
        (wrong.as_str(), tls, "the proxy wants credentials (407)"),
        (right.as_str(), plain, "can be reached through the proxy 127.0.0.1"),
        ("http://127.0.0.1:9", plain, "the proxy does not answer"),
        ("http://127.0.0.1:9", tls, "the proxy does not answer"),
        ("http://proxy.invalid:3128", plain, "the proxy's name does not resolve"),
    ] {
        host.put("/etc/ecs-firstrun/conf.d/70.yaml", &format!("proxy: {{url: \"{proxy}\"}}\n"));
        let found = findings(&host, endpoint, "endpoints");
        assert_eq!(found.len(), 1, "{found:?}");
        assert_has(found[0]["found"].as_str().unwrap(), &[words]);
        let text = found[0].to_string();
        assert!(!text.contains("hunter"), "{text}");
    }
}

#[test]
fn without_a_configuration_the_proxy_is_that_of_the_ecs_agent() {
    let credentials = ProxyCredentials { user: "squid".to_owned(), password: "hunter2canary".to_owned() };
    let host = Host::in_cloud("", |options| {
        options.user_data = None;
        options.proxy_credentials = Some(credentials);
    });
    let proxy = host.rehearsal.cloud.proxy_endpoint();
    for (url, words) in [
        (proxy.replace("http://", ""), "the proxy wants credentials (407)"),
        (proxy.replace("http://", "http://squid:hunter2canary@"), "can be reached through the proxy 127.0.0.1"),
    ] {
        host.put(
            "/etc/ecs/ecs.config",
            &format!("ECS_CLUSTER=production\nHTTP_PROXY={url}\nNO_PROXY=169.254.169.254\n"),
        );
        let found = findings(&host, "http://aws.test", "endpoints");
        assert_eq!(found.len(), 1, "{found:?}");
        assert_has(found[0]["found"].as_str().unwrap(), &[words]);
    }
    let ended = doctor(&host);
    assert_has(ended.stdout.lines().next().unwrap(), &["/etc/ecs/ecs.config"]);
    assert_has(&ended.stdout, &["there is no ecs-firstrun configuration"]);
    assert!(!ended.stdout.contains("hunter"), "{}", ended.stdout);
}

#[test]
fn a_disk_that_is_full_is_the_cause() {
    let host = host_that_fails("denied");
    // A root that the image sets for containerd, which keeps Docker's images.
    host.put("/etc/containerd/config.toml", "root = '/srv/containerd'\n");
    for path in ["/var/lib/docker", "/srv/containerd"] {
        let small = host.at(path);
        let Some(mounted) = Tmpfs::mount(&small, "1m") else { return };
        let ended = doctor(&host);
        drop(mounted);
        let full = format!("the filesystem of {path} is full");
        assert_has(ended.stdout.lines().next().unwrap(), &[full.as_str(), "make room"]);
    }
}

#[test]
fn without_instance_and_configuration_what_can_be_checked_is_checked_and_nothing_asks_for_metadata() {
    let root = tempfile::tempdir().unwrap();
    let mut command = std::process::Command::new(crate::support::host::BINARY);
    command.args(["doctor", "--ecs-endpoint", "http://127.0.0.1:9", "--root"]).arg(root.path()).env_clear();
    let ended = Ended::from(command.output().unwrap());
    assert_has(
        &ended.stdout,
        &["metadata this is not an EC2 instance, so no instance metadata was read", "disk / has"],
    );
    assert_eq!(ended.code, Some(1), "there is no Docker: {}", ended.stdout);
}

#[test]
fn a_configuration_with_a_mistake_is_the_cause() {
    let host = Host::of(Scenario::BadUserData, misspelt(SMALLEST));
    assert_eq!(host.run().code, Some(2));
    let ended = doctor(&host);
    assert_has(ended.stdout.lines().next().unwrap(), &["unknown key `clusterr`", "correct the user data"]);
}
