//! Texts that systemd reads, by the real one: what it says of the units, drop-ins and variables of a plan is what the
//! configuration has, whatever characters that holds.
//!
//! `systemd --test` loads units and prints them, without a bus; it does so for any user but root. The generator of
//! environment.d(5) reads files like those of `EnvironmentFile=`, by the same function.

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use ecs_firstrun::config::Config;
use ecs_firstrun::instance::Instance;
use ecs_firstrun::plan::{Action, Plan, plan};
use ecs_firstrun::run::documents;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde_json::json;

use crate::support::skip;

const SYSTEMD: &str = "/lib/systemd/systemd";
const ENVIRONMENT: &str = "/usr/lib/systemd/user-environment-generators/30-systemd-environment-d-generator";
/// The file of the proxy's variables.
const PROXY: &str = "/etc/ecs-firstrun/proxy.env";
/// The user and group `nobody`.
const NOBODY: u32 = 65534;
/// The number of values that are tried.
const TRIED: usize = 60;
/// Texts that mean something to systemd, to a shell or to a parser of lines.
const HOSTILE: [&str; 20] =
    ["a", "b", "/", " ", "%", "%h", "\\", "\\x20", "\"", "'", "$A", ";", "#", "=", ",", "é", "{", "[", "~", "-"];

fn is_missing(program: &str, what: &str) -> bool {
    let missing = !Path::new(program).exists();
    if missing {
        skip(&format!("{what} by the real systemd: needs {program}"));
    }
    missing
}

fn some<T>(strategy: impl Strategy<Value = T>) -> Vec<T> {
    let mut runner = TestRunner::deterministic();
    (0..TRIED).map(|_| strategy.new_tree(&mut runner).unwrap().current()).collect()
}

/// A text of such characters, without spaces at its ends.
fn hostile(before: &'static str) -> impl Strategy<Value = String> {
    vec(select(HOSTILE.to_vec()), 1..8).prop_map(move |parts| format!("{before}{}", parts.concat().trim()))
}

/// A document's configuration, if the parser takes it.
fn configuration(document: &serde_json::Value) -> Option<Config> {
    let parsed = documents("user data", format!("#ecs-firstrun\n{document}\n").as_bytes());
    parsed.problems.is_empty().then_some(parsed.config)
}

/// Gives systemd's words on docker.service, with the units and drop-ins of a plan beside it.
fn loaded(config: &Config) -> String {
    let folder = tempfile::tempdir().unwrap();
    let units = folder.path().join("units");
    std::fs::create_dir(&units).unwrap();
    std::fs::write(units.join("docker.service"), "[Service]\nExecStart=/bin/true\n").unwrap();
    // A unit in `Wants=` may fail to load: the units that docker.service needs are missing here.
    std::fs::write(units.join("test.target"), "[Unit]\nWants=docker.service\n").unwrap();
    for (_, file) in plan(config, &Instance::example()).files() {
        if let Some(name) = file.path.strip_prefix("/etc/systemd/system/") {
            let path = units.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, file.contents.reveal()).unwrap();
        }
    }
    let mut command = Command::new(SYSTEMD);
    command.args(["--test", "--system", "--unit=test.target"]);
    command.env_clear().env("SYSTEMD_UNIT_PATH", &units).env("SYSTEMD_LOG_TARGET", "console").current_dir("/");
    if nix::unistd::geteuid().is_root() {
        assert!(Command::new("chmod").args(["-R", "a+rX"]).arg(folder.path()).status().unwrap().success());
        command.uid(NOBODY).gid(NOBODY);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

#[test]
fn a_volume_is_mounted_where_the_configuration_says() {
    if is_missing(SYSTEMD, "mount units") {
        return;
    }
    let mut paths: Vec<String> =
        ["/srv/my files", "/srv/it's", "/srv/100%", "/srv/a\\b", "/srv/\"q\""].map(str::to_owned).into();
    paths.extend(some(hostile("/srv/")));
    let mut tried = 0;
    for path in paths {
        let document = json!({ "storage": [{ "device": "/dev/xvdc", "label": "l", "mount": path }] });
        let Some(config) = configuration(&document) else { continue };
        tried += 1;
        let said = loaded(&config);
        let lines: Vec<&str> = said.lines().map(str::trim_start).collect();
        for wanted in [format!("Where: {path}"), format!("RequiresMountsFor: {path} (origin-file)")] {
            assert!(lines.contains(&wanted.as_str()), "{wanted}\n{said}");
        }
    }
    assert!(tried > 20, "{tried}");
}

#[test]
fn docker_gets_the_proxy_that_the_configuration_names() {
    if is_missing(SYSTEMD, "drop-ins") || is_missing(ENVIRONMENT, "the proxy's variables") {
        return;
    }
    let passwords = some(vec(select(HOSTILE.to_vec()), 1..8).prop_map(|parts| parts.concat()));
    let direct = ["#", ";", "a=b", "$A", "`", "{", "~", "[::1]", "*.corp"];
    for (at, password) in passwords.into_iter().enumerate() {
        let mut url = url::Url::parse("http://me@proxy.internal:3128").unwrap();
        url.set_password(Some(&password)).unwrap();
        let entry = direct[at % direct.len()];
        let document = json!({ "proxy": { "url": url.as_str(), "no_proxy": [entry, "last"] }, "docker": { "data_root": "/data" } });
        let config = configuration(&document).unwrap();
        let said = loaded(&config);
        let lines: Vec<_> = said.lines().map(str::trim_start).collect();
        assert!(lines.contains(&format!("EnvironmentFile: {PROXY}").as_str()), "{said}");
        assert!(!lines.iter().any(|line| line.starts_with("Environment:")), "{said}");

        let plan = plan(&config, &Instance::example());
        let (_, file) = plan.files().find(|(_, file)| file.path == PROXY).unwrap();
        // The generator would fill in variables, which EnvironmentFile= does not.
        let variables = environment(&file.contents.reveal().replace("\\$", "\\$\\$"));
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"] {
            let read = url::Url::parse(&variables[name]).unwrap();
            let decode = |text: &str| percent_encoding::percent_decode_str(text).collect::<Vec<u8>>();
            assert_eq!(decode(read.password().unwrap()), decode(url.password().unwrap()), "{name}");
        }
        for name in ["NO_PROXY", "no_proxy"] {
            assert!(variables[name].ends_with(&format!(",{entry},last")), "{name}: {}", variables[name]);
        }
    }
}

#[test]
fn ecs_init_gets_the_value_that_the_configuration_has_and_the_line_after_it_stays() {
    if is_missing(ENVIRONMENT, "ecs.config") {
        return;
    }
    // The generator would fill in variables, which EnvironmentFile= does not.
    let options = some(hostile("").prop_map(|text| text.replace('$', "")));
    let mut tried = 0;
    for value in [String::from(r"^\d{4}-"), String::from("\"quoted\""), String::from("it's")].into_iter().chain(options)
    {
        for (name, written) in [
            ("ECS_LOG_OPTS", json!({ "awslogs-multiline-pattern": value }).to_string()),
            ("ECS_AGENT_APPARMOR_PROFILE", value.clone()),
            ("ECS_BACKEND_HOST", value.clone()),
            ("DOCKER_HOST", value.clone()),
        ] {
            let document =
                json!({ "ecs": { "cluster": "c", "config": { name: written, "ECS_UPDATES_ENABLED": true } } });
            let Some(config) = configuration(&document) else { continue };
            tried += 1;
            let plan = plan(&config, &Instance::example());
            let text = ecs_config(&plan);
            let read = environment(&text.replace('$', ""));
            // The agent's own variables are read from the line as it stands.
            if name != "ECS_BACKEND_HOST" {
                assert_eq!(read.get(name), Some(&written), "{text}");
            }
            assert!(name != "ECS_BACKEND_HOST" || text.contains(&format!("\n{name}={written}\n")));
            assert_eq!(read.get("ECS_UPDATES_ENABLED").map(String::as_str), Some("true"), "{text}");
        }
    }
    assert!(tried > TRIED, "{tried}");
}

/// The ECS agent's settings as a plan makes them where there are none.
fn ecs_config(plan: &Plan) -> String {
    let actions = plan.steps.iter().flat_map(|step| &step.actions);
    let mut edits = actions.filter_map(|planned| match &planned.action {
        Action::EditFile(edit) if edit.path == "/etc/ecs/ecs.config" => edit.applied_to(None).unwrap(),
        _ => None,
    });
    edits.next().unwrap()
}

/// The variables that systemd reads from such a file.
fn environment(text: &str) -> std::collections::BTreeMap<String, String> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("environment.d")).unwrap();
    std::fs::write(folder.path().join("environment.d/ecs.conf"), text).unwrap();
    let script = format!("set -a; eval \"$({ENVIRONMENT})\"; exec env -0");
    let mut command = Command::new("sh");
    command.args(["-c", &script]).env_clear().env("XDG_CONFIG_HOME", folder.path()).env("PATH", "/usr/bin:/bin");
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.split('\0')
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}
