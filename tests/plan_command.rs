//! `plan` on a host: what it foresees, the changes of files that it shows, and how it looks.

use std::process::Command;

use ecs_firstrun::rehearse::Scenario;
use ecs_firstrun::report::{Change, Report};
use serde_json::Value;

use crate::support::host::{BINARY, Host};
use crate::support::repository;
use crate::support::terminal::{OnTerminal, without_codes};
use crate::support::user_data::{COMPLETE, SMALLEST};

const SECRETS: &str = "#ecs-firstrun
signal: {stack: web, resource: Instances}
proxy: {url: 'http://squid:canary@127.0.0.1:9'}
ecs: {cluster: production, config: {ECS_ENGINE_AUTH_DATA: {r: {password: canary}}}}
docker: {daemon: {log-opts: {splunk-token: canary}}}
";

fn plan(host: &Host, arguments: &[&str]) -> String {
    let ended = host.call(&[&["plan"], arguments].concat(), &[]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    ended.stdout
}

/// Returns the preview of each action in a plan's JSON, as `(step, foreseen)`.
fn foreseen(host: &Host) -> Vec<(String, String)> {
    let json: Value = serde_json::from_str(&plan(host, &["--json"])).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let steps = json["steps"].as_array().unwrap().iter();
    let actions = steps.flat_map(|step| step["actions"].as_array().unwrap().iter().map(move |action| (step, action)));
    actions.map(|(step, action)| (text(&step["name"]), text(&action["foreseen"]))).collect()
}

fn found(report: &Report) -> Vec<(String, Change)> {
    let actions = report.steps.iter().flat_map(|step| step.actions.iter().map(move |action| (step, action)));
    actions.map(|(step, action)| (step.name.clone(), action.change)).collect()
}

#[test]
fn on_a_host_where_nothing_is_to_be_done_the_plan_says_that_nothing_would_change() {
    let host = Host::of(Scenario::Success, SMALLEST);
    assert!(plan(&host, &[]).contains("\n* to do: 11 of 12; the rest holds already.\n"), "{}", plan(&host, &[]));
    assert_eq!(host.run().code, Some(0));
    let before = host.tree();
    for arguments in [&[][..], &["--diff"]] {
        let shown = plan(&host, arguments);
        assert!(shown.ends_with("\nNothing would change: all of this holds already.\n"), "{shown}");
        assert!(!shown.contains("---") && !shown.contains("\n* ") && !shown.contains("\n? "), "{shown}");
    }
    assert!(before == host.tree(), "a plan changed the host");
}

#[test]
fn what_a_plan_foresees_is_what_a_run_finds() {
    type Meddle = fn(&Host);
    let meddlings: [(&str, Meddle); 6] = [
        ("nothing", |_| {}),
        ("a file is changed", |host| host.put("/etc/ecs/ecs.config", "ECS_LOGLEVEL=debug\n")),
        ("a mode is changed", |host| {
            std::fs::set_permissions(
                host.at("/etc/ecs/ecs.config"),
                std::os::unix::fs::PermissionsExt::from_mode(0o644),
            )
            .unwrap();
        }),
        ("a unit is gone", |host| std::fs::remove_file(host.at("/etc/systemd/system/data.mount")).unwrap()),
        ("a directory is gone", |host| std::fs::remove_dir(host.at("/data/public")).unwrap()),
        ("lines of a proxy are left", |host| {
            host.put("/etc/dnf/dnf.conf", "[main]\n# BEGIN ecs-firstrun\nproxy=x\n# END ecs-firstrun\n");
        }),
    ];
    for (what, meddle) in meddlings {
        let host = Host::of(Scenario::Success, COMPLETE);
        assert_eq!(host.run().code, Some(0));
        meddle(&host);
        let foreseen = foreseen(&host);
        assert_eq!(host.run().code, Some(0));
        let found = found(&host.report());
        assert_eq!(foreseen.len(), found.len(), "{what}");
        for (foreseen, (step, found)) in foreseen.iter().zip(found) {
            let expected = if found == Change::Made { "to_do" } else { "already_done" };
            assert!([expected, "unknown"].contains(&foreseen.1.as_str()), "{what}: {step}: {foreseen:?}, {found:?}");
        }
        let unknown = foreseen.iter().filter(|(_, foreseen)| foreseen == "unknown").count();
        assert_eq!(unknown, 1, "{what}: only whether the filesystem fills its disk is not to be seen: {foreseen:?}");
    }
}

#[test]
fn a_diff_shows_the_lines_that_change_and_no_secret() {
    let host = Host::of(Scenario::Success, COMPLETE);
    assert_eq!(host.run().code, Some(0));
    host.put("/etc/ecs/ecs.config", "ECS_CLUSTER=other\nSOMEBODYS_TOKEN=canary\n");
    host.put("/etc/docker/daemon.json", "{\n  \"registry-password\": \"canary\"\n}\n");
    let shown = plan(&host, &["--diff"]);
    for lines in [
        "--- /etc/ecs/ecs.config\n+++ /etc/ecs/ecs.config\n@@ -1,2 +1,8 @@\n+# BEGIN ecs-firstrun\n+ECS_CLUSTER=production\n",
        "+# END ecs-firstrun\n ECS_CLUSTER=other\n ***\n",
        "-  \"registry-password\": ***\n",
        "+  \"data-root\": \"/data/docker\",\n",
    ] {
        assert!(shown.contains(lines), "no {lines} in\n{shown}");
    }
    assert!(!shown.contains("canary"), "{shown}");

    let host = Host::of(Scenario::Success, SECRETS);
    for arguments in [&["--diff"][..], &["--diff", "--json"]] {
        let shown = plan(&host, arguments);
        assert!(!shown.contains("canary"), "{shown}");
        assert!(shown.contains("daemon.json\n  changes, not shown: it may hold secrets\n") || arguments.len() == 2);
        assert!(shown.contains("+ECS_ENGINE_AUTH_DATA=***") && shown.contains("+ECS_CLUSTER=production"), "{shown}");
    }
}

#[test]
fn the_json_is_versioned_and_has_all_that_the_text_has() {
    let host = Host::of(Scenario::Success, COMPLETE);
    let (text, json) = (plan(&host, &["--diff"]), plan(&host, &["--diff", "--json"]));
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["version"], 1);
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let documented = std::fs::read_to_string(repository("docs/plan.md")).unwrap();
    for step in json["steps"].as_array().unwrap() {
        assert!(text.contains(&format!("{}\n", step["name"].as_str().unwrap())));
        for action in step["actions"].as_array().unwrap() {
            assert!(words.contains(action["why"].as_str().unwrap()), "{action}");
            assert!(action["diff"].as_str().is_none_or(|diff| text.contains(diff)), "{action}");
            for key in action.as_object().unwrap().keys() {
                assert!(documented.contains(&format!("`{key}`")), "docs/plan.md does not tell what `{key}` is");
            }
            let kind = action["action"].as_str().unwrap();
            assert!(documented.contains(&format!("`{kind}`")), "docs/plan.md does not tell what `{kind}` is");
        }
    }
}

#[test]
fn a_plan_for_files_looks_at_no_host() {
    let arguments = [
        "plan",
        "--facts",
        "examples/facts/amazon-linux-2023.json",
        "--user-data",
        "examples/user-data/smallest.yaml",
        "--json",
    ];
    let output = Command::new(BINARY).args(arguments).current_dir(repository("")).env_clear().output().unwrap();
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["steps"][0]["actions"][0].get("foreseen"), None);
}

#[test]
fn a_plan_is_coloured_on_a_terminal_only_and_reads_the_same() {
    let command = |no_color: Option<&str>| {
        let mut command = Command::new(BINARY);
        command.args([
            "plan",
            "--facts",
            "examples/facts/amazon-linux-2023.json",
            "--user-data",
            "examples/user-data/complete.yaml",
        ]);
        command.current_dir(repository("")).env_clear();
        command.envs(no_color.map(|value| ("NO_COLOR", value)));
        command
    };
    let expected = std::fs::read_to_string(repository("tests/cases/complete/plan.txt")).unwrap();
    let (shown, code) = OnTerminal::spawn(command(None)).ended();
    assert_eq!((without_codes(&shown), code), (expected.clone(), Some(0)));
    assert!(shown.starts_with("\x1b[1mlogs\x1b[0m\n"), "{shown}");
    let (shown, _) = OnTerminal::spawn(command(Some("1"))).ended();
    assert_eq!(shown, expected);
}
