//! Traces on hosts: all scenarios in all forms of the log, and all commands.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::time::Duration;

use clap::ValueEnum as _;
use ecs_firstrun::rehearse::Scenario;
use ecs_firstrun::rehearse::cloud::{Cloud, CloudOptions, Request, Server};

use super::canary::{Canary, STATE, Seen, assert_kept, files};
use super::{each, exit_code, ours, proxy, user_data, wait_handle};
use crate::support::host::{BINARY, Ended, Host, Tree, tree};

const STACK: &str = "{stack: web, resource: Instances, timeout: 30s}";
/// A document of the image's own, which only root can read.
const OWN_DOCUMENT: &str = "/etc/ecs-firstrun/conf.d/50-rehearsal-proxy.yaml";
/// Nothing listens there; nothing goes there but what is meant for other hosts than this one.
const CLOSED: &str = "127.0.0.1:9";

/// The user data of a scenario. With `proxy` the URL stands in a document of the image, since its port is not known before.
fn served(scenario: Scenario, signal: &str) -> String {
    let url = match scenario {
        Scenario::Proxy | Scenario::ReferenceDenied => String::new(),
        _ => format!("proxy: {{url: \"{}\"}}", proxy(CLOSED)),
    };
    let text = user_data(&ours(signal, &url));
    match scenario {
        Scenario::BadUserData => text.replace("cluster:", "clusterr:"),
        _ => text,
    }
}

/// A host on which somebody else has put secrets, too.
fn host(scenario: Scenario, signal: &str) -> Host {
    let host = Host::of(scenario, served(scenario, signal));
    let (docker, ecs, dnf) = (Canary::ImageDocker.quoted(), Canary::ImageEcs.text(), Canary::ImageDnf.text());
    put(&host, "/etc/docker/daemon.json", &format!("{{\"log-opts\": {{\"loki-password\": \"{docker}\"}}}}\n"));
    put(&host, "/etc/ecs/ecs.config", &format!("SOMEBODYS={ecs}\nECS_ENGINE_AUTH_DATA={ecs}\n"));
    put(&host, "/etc/dnf/dnf.conf", &format!("[main]\ngpgcheck=1\n# {dnf}\nproxy_password={dnf}\n"));
    if scenario == Scenario::Proxy {
        let url = proxy(&host.rehearsal.cloud.proxy_endpoint());
        put(&host, OWN_DOCUMENT, &format!("proxy: {{url: \"{url}\"}}\n"));
    }
    host
}

fn put(host: &Host, path: &str, text: &str) {
    host.put(path, text);
    std::fs::set_permissions(host.at(path), std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// The host's files, without what was put there to be read.
fn files_of(host: &Host) -> Tree {
    let mut tree = files(&host.rehearsal.root);
    tree.remove(OWN_DOCUMENT.trim_start_matches('/'));
    tree
}

fn run(host: &Host, scenario: Scenario, options: &[&str]) -> Ended {
    let run = |meanwhile: &dyn Fn()| {
        let mut command = host.rehearsal.command(std::path::Path::new(BINARY)).into_std();
        command.args(options).stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
        let child = command.spawn().unwrap();
        meanwhile();
        Ended::from(child.wait_with_output().unwrap())
    };
    match scenario {
        Scenario::LateDevice => run(&|| {
            std::thread::sleep(Duration::from_millis(700));
            let unfinished = host.at("/dev/unfinished");
            std::fs::File::create(&unfinished).unwrap().set_len(64 << 20).unwrap();
            std::fs::rename(unfinished, host.at("/dev/xvdcy")).unwrap();
        }),
        Scenario::WarmPool => run(&|| {
            crate::support::host::until(|| host.rehearsal.report().is_ok_and(|report| report.reason.is_some()));
            host.rehearsal.cloud.bring_to("InService");
        }),
        Scenario::Reboot => {
            assert_eq!(run(&|| ()).code, Some(0));
            host.rehearsal.programs.restart().unwrap();
            run(&|| ())
        }
        _ => run(&|| ()),
    }
}

/// Searches the requests to servers. Only the proxy may see its credentials, and Docker the registry's, and only in the header
/// fields for them.
fn told(seen: &mut Seen, place: &str, requests: &[Request], may_have: &[Canary]) {
    for Request { server, path_and_query, headers, body, .. } in requests {
        let place = format!("{place}, a request to {server:?}");
        seen.but(&place, path_and_query, may_have);
        seen.open(&place, body);
        for (name, value) in headers {
            let may_have: &[Canary] = match (server, name.as_str()) {
                (Server::Proxy, "proxy-authorization") => &[Canary::ProxyUser, Canary::ProxyPassword],
                (Server::Docker, "x-registry-auth") => &[Canary::EcrPassword],
                _ => &[],
            };
            seen.but(&place, value, may_have);
        }
    }
}

#[test]
fn no_scenario_shows_a_secret_in_any_form_of_the_log() {
    let bucket = Cloud::start(CloudOptions::default()).unwrap();
    let handle = format!("{{wait_handle: \"{}\", timeout: 30s}}", wait_handle(&bucket.cloudformation_endpoint()));
    let forms: [(&[&str], &str); 4] = [
        (&[], STACK),
        (&["-v"], &handle),
        (&["--log-format", "json"], &handle),
        (&["--log-format", "json", "-v"], STACK),
    ];
    let scenarios = Scenario::value_variants().iter();
    let seen = std::sync::Mutex::new(Seen::default());
    each(
        scenarios.flat_map(|scenario| forms.map(|form| (*scenario, form))).collect(),
        |(scenario, (options, signal))| {
            let place = format!("{scenario:?} {options:?}");
            let host = host(scenario, signal);
            let ended = run(&host, scenario, options);
            assert_eq!(ended.code, Some(exit_code(scenario)), "{place}: {}", ended.stderr);
            let (files, requests) = (files_of(&host), host.rehearsal.cloud.requests());
            let mut seen = seen.lock().unwrap();
            seen.ended(&place, &ended);
            seen.tree(&place, &files);
            for call in host.rehearsal.programs.calls() {
                seen.open(&format!("{place}, the arguments of {}", call.program), call.args.join(" "));
            }
            told(&mut seen, &place, &requests, &[]);
            if scenario == Scenario::Success {
                let of_others = [Canary::ImageDocker, Canary::ImageDnf];
                let of_ours = [Canary::ProxyPassword, Canary::ProxyUser, Canary::DockerToken, Canary::ReferencedValue];
                let of_ecs = [Canary::EngineAuthData, Canary::AccessKeyId, Canary::SecretAccessKey];
                assert_kept(&files, &[&of_others[..], &of_ours, &of_ecs].concat());
                let kept = Canary::shown_in(&files[STATE].1);
                assert!(kept.contains(&Canary::ShellPart) && kept.contains(&Canary::CloudConfig), "{kept:?}");
            }
            if scenario == Scenario::Proxy && signal == STACK {
                let credentials = requests.iter().find_map(|request| request.header("proxy-authorization"));
                let shown = Canary::shown_in(credentials.unwrap_or_default().as_bytes());
                assert_eq!(shown, [Canary::ProxyPassword, Canary::ProxyUser]);
            }
        },
    );
    let mut seen = seen.into_inner().unwrap();
    // The handle's own endpoint is told its query; once for each scenario with user data, in two forms.
    let to_the_handle = bucket.requests();
    assert_eq!(bucket.signals().len(), 2 * (Scenario::value_variants().len() - 1));
    assert!(
        to_the_handle.iter().all(|request| Canary::shown_in(request.path_and_query.as_bytes()) == [Canary::WaitHandle])
    );
    told(&mut seen, "the wait condition handle", &to_the_handle, &[Canary::WaitHandle]);
    seen.assert_nothing();
}

#[test]
fn no_rehearsal_shows_a_secret() {
    let seen = std::sync::Mutex::new(Seen::default());
    let all = Scenario::value_variants().iter().zip(["text", "json"].into_iter().cycle()).collect();
    each(all, |(scenario, format)| {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).display().to_string();
        std::fs::write(at("user-data"), served(*scenario, STACK)).unwrap();
        let name = scenario.to_possible_value().unwrap().get_name().to_owned();
        let mut command = Command::new(BINARY);
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("ECS_FIRSTRUN_LOG", format);
        command.args(["rehearse", "-v", "--scenario", &name, "--user-data", &at("user-data"), "--keep", &at("host")]);
        let ended = Ended::from(command.output().unwrap());
        assert_eq!(ended.code, Some(exit_code(*scenario)), "{name}: {}", ended.stderr);
        let mut seen = seen.lock().unwrap();
        seen.ended(&format!("rehearse {name}"), &ended);
        seen.tree(&format!("rehearse {name}"), &files(&folder.path().join("host/root")));
        for (path, (_, bytes)) in tree(&folder.path().join("host/rehearsal")) {
            seen.open(&format!("rehearse {name}, {path}"), bytes);
        }
    });
    seen.into_inner().unwrap().assert_nothing();
}

#[test]
fn no_command_shows_a_secret_of_a_host() {
    let commands: [&[&str]; 16] = [
        &["plan"],
        &["plan", "--diff"],
        &["plan", "--json"],
        &["plan", "--diff", "--json"],
        &["run", "--dry-run"],
        &["facts"],
        &["status"],
        &["status", "--json"],
        &["status", "--wait"],
        &["status", "--svg", "-"],
        &["doctor"],
        &["doctor", "--json"],
        &["doctor", "--image"],
        &["doctor", "--image", "--json"],
        &["validate", "--format", "json", "user-data"],
        &["validate", "user-data"],
    ];
    let seen = std::sync::Mutex::new(Seen::default());
    let scenarios =
        [Scenario::Success, Scenario::Proxy, Scenario::Denied, Scenario::ForeignDisk, Scenario::BadUserData];
    each(scenarios.to_vec(), |scenario| {
        let host = host(scenario, STACK);
        std::fs::write(host.folder.path().join("user-data"), served(scenario, STACK)).unwrap();
        let call_all = |when: &str| {
            for (command, options) in
                commands.iter().flat_map(|command| [(command, &[][..]), (command, &["--log-format", "json", "-v"])])
            {
                // Nothing of AWS is asked for anything: what is not on this host goes to the proxy, if there is one.
                let ended = host.call(&[command, options].concat(), &[("AWS_ENDPOINT_URL", "http://aws.test")]);
                let place = format!("{scenario:?}, {when}, {command:?} {options:?}");
                seen.lock().unwrap().ended(&place, &ended);
                let fails = command[0] == "status" && when == "before" || scenario == Scenario::BadUserData;
                assert!(
                    fails || command[0] == "doctor" || matches!(ended.code, Some(0 | 1)),
                    "{place}: {}",
                    ended.stderr
                );
            }
        };
        // Without a report this would be waited for.
        host.put("/var/lib/ecs-firstrun/report.json", "{}");
        call_all("before");
        std::fs::remove_file(host.at("/var/lib/ecs-firstrun/report.json")).unwrap();
        assert_eq!(run(&host, scenario, &[]).code, Some(exit_code(scenario)));
        call_all("after");
        put(&host, "/etc/ecs/ecs.config", &format!("{}\n", Canary::ImageEcs.text()));
        put(&host, "/etc/docker/daemon.json", "{}\n");
        call_all("when files have been changed");
        seen.lock().unwrap().tree(&format!("{scenario:?}"), &files_of(&host));
        told(&mut seen.lock().unwrap(), &format!("{scenario:?}"), &host.rehearsal.cloud.requests(), &[]);
    });
    seen.into_inner().unwrap().assert_nothing();
}
