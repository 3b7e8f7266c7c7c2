//! Messages about user data whose mistake is in the very line that holds the secret.

use std::os::unix::fs::PermissionsExt as _;

use super::canary::{Canary, STATE, Seen, files};
use super::each;
use crate::support::host::Host;
use crate::support::user_data::SMALLEST;

const SIGNAL: &str = "signal: {stack: web, resource: Instances, timeout: 30s}\n";

/// Documents that are refused, with a secret in the line of the mistake: as it is in a URL, or between double quotes.
const DOCUMENTS: [(Canary, &str); 37] = {
    use Canary::{CloudConfig, DockerToken, EngineAuthData, ProxyPassword, SecretAccessKey, WaitHandle};
    [
        (ProxyPassword, "proxy: {url: \"ftp://me:_URL_@p:1\"}\n"),
        (ProxyPassword, "proxy: {url: \"http://me:_URL_@p:port\"}\n"),
        (ProxyPassword, "proxy: {url: \"http://me:_QUOTED_@p:1\"}\n"),
        (ProxyPassword, "proxy: {url: \"http://me:_URL_@p:1/path\", clusterr: x}\n"),
        (ProxyPassword, "proxy: {urll: \"http://me:_URL_@p:1\"}\n"),
        (ProxyPassword, "proxy: {url: \"me:_URL_@p:1\"}\n"),
        (ProxyPassword, "proxy: {url: [\"http://me:_URL_@p:1\"]}\n"),
        (ProxyPassword, "proxy: {url: !x \"http://me:_URL_@p:1\"}\n"),
        (ProxyPassword, "proxy: {url: \"http://p:1\", user: me, pass: \"_QUOTED_\"}\n"),
        (ProxyPassword, "proxy: http://me:_URL_@p:1\n"),
        (ProxyPassword, "proxy: [{url: http://me:_URL_@p:1}]\n"),
        (ProxyPassword, "proxy: {url: \"http://me:_URL_\n"),
        (ProxyPassword, "proxy:\n\turl: http://me:_URL_@p:1\n"),
        (ProxyPassword, "proxy: {url: \"http://me:_URL_@p:1\"}\nproxy: {url: \"http://me:_URL_@p:1\"}\n"),
        (EngineAuthData, "ecs: {cluster: x, config: {ECS_ENGINE_AUTH_DATA: '{\"r\": {\"password\": \"_QUOTED_\"'}}\n"),
        (EngineAuthData, "ecs: {cluster: x, config: {ECS_ENGINE_AUTH_DATA: [\"_QUOTED_\"]}}\n"),
        (EngineAuthData, "ecs: {cluster: x, config: {ECS_ENGINE_AUTHDATA: {r: {auth: \"_QUOTED_\"}}}}\n"),
        (EngineAuthData, "ecs: {cluster: x, config: {ECS_AUTH: {r: {auth: \"_QUOTED_\"}}}}\n"),
        (EngineAuthData, "ecs: {cluster: x, config: \"ECS_ENGINE_AUTHDATA=_QUOTED_\"}\n"),
        (EngineAuthData, "ecs: {cluster: x, config: [\"ECS_ENGINE_AUTH=_QUOTED_\"]}\n"),
        (
            EngineAuthData,
            "ecs:\n  cluster: x\n  config:\n    ECS_ENGINE_AUTH_DATA: |\n      {\"r\":\n      \"_QUOTED_\"\n",
        ),
        (EngineAuthData, "ecs: {cluster: x, config: {ECS_ENGINE_AUTH_DATA: \"_QUOTED_\n"),
        (SecretAccessKey, "ecs: {cluster: x, config: {AWS_ACCES_KEY: \"_QUOTED_\"}}\n"),
        (SecretAccessKey, "ecs: {cluster: x, config: {AWS_SECRET_ACCESS_KEY: {\"_QUOTED_\": 1}}}\n"),
        (SecretAccessKey, "ecs: {cluster: x, config: {AWS_SECRET_ACCESS_KEY: \"_QUOTED_\\n\"}}\n"),
        (SecretAccessKey, "ecs: {cluster: x, config: {AWS_SECRET_ACCESS_KEY: _URL_: _URL_}}\n"),
        (WaitHandle, "signal: {wait_handle: \"ftp://b/x?Signature=_URL_\"}\n"),
        (WaitHandle, "signal: {wait_handle: [\"https://b/x?Signature=_URL_\"]}\n"),
        (WaitHandle, "signal: {wait_handel: \"https://b/x?Signature=_URL_\"}\n"),
        (WaitHandle, "signal: {stack: \"https://b/x?Signature=_URL_\", resource: \"https://b/x?Signature=_URL_\"}\n"),
        (WaitHandle, "signal: {wait_handle: \"_QUOTED_\"}\n"),
        (DockerToken, "docker: {daemon: {log-opts: {splunk-token: \"_QUOTED_\"}}, datarot: x}\n"),
        (DockerToken, "docker: {daemon: '{\"log-opts\": {\"splunk\": \"_QUOTED_\"}}'}\n"),
        (DockerToken, "ecs: {cluster: x, config: {ECS_LOG_OPTS: [splunk, \"_QUOTED_\"]}}\n"),
        (CloudConfig, "#cloud-config\nruncmd: [a, *x, \"_QUOTED_\"]\necs_firstrun:\n  SIGNAL"),
        (CloudConfig, "#cloud-config\nwrite_files:\n- content: \"_QUOTED_\necs_firstrun:\n  SIGNAL"),
        (CloudConfig, "#cloud-config\necs_firstrun:\n  SIGNAL  ecs: {clusterr: x}\nruncmd: [\"_QUOTED_\": {\n"),
    ]
};

fn document(canary: Canary, text: &str) -> String {
    let text = text.replace("_URL_", &canary.in_url()).replace("_QUOTED_", &canary.quoted());
    let head = if text.starts_with('#') { "" } else { "#ecs-firstrun\n" };
    let signal = if text.contains("signal:") || text.contains("SIGNAL") { "" } else { SIGNAL };
    format!("{head}{signal}{}", text.replace("SIGNAL", SIGNAL))
}

/// The template that has this user data, in each way that there is to write one.
fn templates(user_data: &str) -> [String; 3] {
    let block: String = user_data.lines().map(|line| format!("          {line}\n")).collect();
    let template = |user_data: &str| {
        format!(
            "Resources:\n  Instance:\n    Type: AWS::EC2::Instance\n    Properties:\n      UserData:\n        {user_data}"
        )
    };
    let lines: Vec<_> = user_data.split_inclusive('\n').collect();
    [
        template(&format!("Fn::Base64: !Sub |\n{block}")),
        template(&format!("Fn::Base64: {}\n", serde_json::json!(user_data))),
        template(&format!("Fn::Base64: {}\n", serde_json::json!({"Fn::Join": ["", lines]}))),
    ]
}

#[test]
fn a_mistake_beside_a_secret_is_shown_without_it() {
    let folder = tempfile::tempdir().unwrap();
    let host = Host::in_cloud("", |_| {});
    let mut arguments = vec!["validate".to_owned()];
    for (index, (canary, text)) in DOCUMENTS.iter().enumerate() {
        let name = folder.path().join(format!("{index}.yaml")).display().to_string();
        let document = document(*canary, text);
        std::fs::write(&name, &document).unwrap();
        arguments.push(name.clone());
        for (kind, template) in templates(&document).iter().enumerate() {
            let name = folder.path().join(format!("{index}.{kind}.template")).display().to_string();
            std::fs::write(&name, template).unwrap();
            arguments.extend(["--template".to_owned(), name]);
        }
    }
    let mut seen = Seen::default();
    for format in ["text", "json", "github"] {
        let mut all: Vec<_> = arguments.iter().map(String::as_str).collect();
        all.extend(["--format", format]);
        let ended = host.call(&all, &[]);
        assert_eq!(ended.code, Some(2));
        seen.ended(&format!("validate --format {format}"), &ended);
        if format == "github" {
            let refused = ended.stdout.lines().filter(|line| line.starts_with("::error ")).count();
            assert!(refused >= 4 * DOCUMENTS.len(), "{refused}: {}", ended.stdout);
        }
    }
    seen.assert_nothing();
}

#[test]
fn a_run_that_is_refused_for_the_line_of_a_secret_tells_nobody_the_secret() {
    let seen = std::sync::Mutex::new(Seen::default());
    each(DOCUMENTS.iter().enumerate().collect(), |(index, (canary, text))| {
        let host = Host::in_cloud(&document(*canary, text), |_| {});
        let options: &[&str] = if index % 2 == 0 { &["-v"] } else { &["--log-format", "json", "-v"] };
        let ended = host.call(&[&["run"], options].concat(), &[]);
        // No signal can be sent if the target itself is wrong, or if the parser did not reach the target.
        assert!(matches!(ended.code, Some(2 | 3)), "{text}: {}", ended.stderr);
        let place = |what: &str| format!("{text:?}, {what}");
        let plan = host.call(&["plan"], &[]);
        assert_eq!(plan.code, Some(2), "{text}: {}", plan.stderr);
        let mut seen = seen.lock().unwrap();
        seen.ended(&place("run"), &ended);
        seen.ended(&place("plan"), &plan);
        for command in [&["doctor"][..], &["doctor", "--json"], &["status"], &["status", "--json"]] {
            seen.ended(&place(command[0]), &host.call(command, &[("AWS_ENDPOINT_URL", "http://127.0.0.1:9")]));
        }
        let files = files(&host.rehearsal.root);
        seen.tree(&place("run"), &files);
        assert!(files.get(STATE).is_none_or(|(mode, _)| *mode == 0o600));
        for request in host.rehearsal.cloud.requests() {
            seen.open(&place("a request"), format!("{request:?}"));
        }
    });
    seen.into_inner().unwrap().assert_nothing();
}

/// A file of the host that can't be read as it should be: what is said of it is not what is in it.
#[test]
fn a_file_that_is_wrong_is_named_and_not_quoted() {
    let secret = Canary::ImageDocker.quoted();
    let mut seen = Seen::default();
    for (path, text) in [
        ("/etc/docker/daemon.json", format!("{{\"log-opts\": {{\"splunk-token\": \"{secret}\"")),
        ("/etc/docker/daemon.json", format!("[\"{secret}\"]")),
        ("/etc/docker/daemon.json", format!("\"{secret}\"")),
        ("/var/lib/ecs-firstrun/image/daemon.json", format!("\"{secret}\"")),
        ("/var/lib/ecs-firstrun/state.json", format!("{{\"version\": \"{secret}\"}}")),
        ("/var/lib/ecs-firstrun/state.json", format!("\"{secret}\"")),
        ("/var/lib/ecs-firstrun/handed-over.json", format!("{{\"version\": \"{secret}\"}}")),
        ("/var/lib/ecs-firstrun/report.json", format!("{{\"version\": \"{secret}\"}}")),
    ] {
        let host = Host::in_cloud(SMALLEST, |_| {});
        host.put(path, &text);
        std::fs::set_permissions(host.at(path), std::fs::Permissions::from_mode(0o600)).unwrap();
        for command in
            [&["status"][..], &["facts"], &["plan", "--diff"], &["doctor", "--image"], &["run", "-v"], &["doctor"]]
        {
            let ended = host.call(command, &[("AWS_ENDPOINT_URL", "http://127.0.0.1:9")]);
            seen.ended(&format!("{path}, {command:?}"), &ended);
        }
        let mut files = files(&host.rehearsal.root);
        files.remove(path.trim_start_matches('/'));
        // A state that can't be parsed is kept so, for root alone.
        let aside = files.remove(&format!("{}.unreadable", path.trim_start_matches('/')));
        assert_eq!(aside.map(|(mode, _)| mode), path.ends_with("/state.json").then_some(0o600));
        seen.tree(path, &files);
    }
    seen.assert_nothing();
}
