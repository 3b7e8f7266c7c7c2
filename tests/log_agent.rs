//! The log agent: what of an image is in its way, a start after which it ends, and the proxy in its own file.

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use ecs_firstrun::rehearse::Scenario;
use ecs_firstrun::report::Outcome;
use serde_json::json;

use crate::support::doctor::{assert_has, doctor, findings, host_with};
use crate::support::host::Host;
use crate::support::user_data::SMALLEST;

const UNIT: &str = "amazon-cloudwatch-agent.service";
const ETC: &str = "/opt/aws/amazon-cloudwatch-agent/etc";
const REQUIRED: &str = "logs: {required: true}\n";
/// The end of a CloudWatch agent, as 1.300071.0 words it.
const SAID: &str = "Under path : /agent/region | Error : Different values are specified for region\n\
    E! config-translator process exited with non-zero status: 1\n";

fn ends_with(code: i32, said: &str) -> Host {
    let host = host_with(|_| {});
    host.rehearsal.programs.fail_after(UNIT, Duration::ZERO, code).unwrap();
    host.rehearsal.programs.journal(UNIT, said).unwrap();
    host
}

fn below(host: &Host, name: &str, text: &str) {
    host.put(&format!("{ETC}/amazon-cloudwatch-agent.d/{name}"), text);
}

fn warnings(host: &Host) -> String {
    host.report().warnings.join("\n")
}

#[test]
fn a_log_agent_that_ends_is_told_and_fails_no_boot() {
    for (code, words) in [
        (1, "amazon-cloudwatch-agent.service failed (exit-code, exit code 1), and systemd starts it again"),
        (
            0,
            "amazon-cloudwatch-agent.service ended with exit code 0 soon after its start, which systemd takes for a success",
        ),
    ] {
        let host = ends_with(code, SAID);
        let ended = host.run();
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        let all = [
            words,
            ": it says `Under path : /agent/region | Error : Different values are specified for region`; remove",
        ];
        assert_has(&warnings(&host), &all);
        assert_has(&host.text("/var/log/ecs-firstrun.log"), &all);
        assert_has(
            &host.call(&["status"], &[]).stdout,
            &["success on", "warning: amazon-cloudwatch-agent.service", &all[1][2..]],
        );
        host.one_signal("SUCCESS");
        let ended = doctor(&host);
        assert_eq!(ended.code, Some(1), "{}", ended.stdout);
        assert_has(&ended.stdout, &["problem: log agent", words, "Different values are specified for region"]);
    }
}

#[test]
fn a_log_agent_that_stays_up_is_no_matter_on_any_boot() {
    let host = host_with(|_| {});
    host.put("/etc/ecs-firstrun/conf.d/50.yaml", REQUIRED);
    assert_eq!(host.run().code, Some(0));
    assert_eq!(doctor(&host).code, Some(0));
    let log_agent = findings(&host, &host.rehearsal.cloud.cloudformation_endpoint(), "log_agent");
    assert_eq!(log_agent.len(), 1, "{log_agent:?}");
    assert_eq!(log_agent[0]["found"], format!("{UNIT} is active (running)"));
    host.rehearsal.restart().unwrap();
    assert_eq!(host.run().code, Some(0));
    assert!(!host.text("/var/lib/ecs-firstrun/report.json").contains("warnings"));
}

#[test]
fn a_reboot_looks_at_the_log_agent_as_well() {
    let host = host_with(|_| {});
    assert_eq!(host.run().code, Some(0));
    host.rehearsal.restart().unwrap();
    host.rehearsal.programs.fail_after(UNIT, Duration::ZERO, 1).unwrap();
    host.rehearsal.programs.journal(UNIT, SAID).unwrap();
    assert_eq!(host.run().code, Some(0));
    assert_has(
        &warnings(&host),
        &["failed (exit-code, exit code 1), and systemd starts it again: it says `Under path"],
    );
}

#[test]
fn logs_that_are_required_and_not_sent_are_a_failure() {
    let host = ends_with(1, SAID);
    host.put("/etc/ecs-firstrun/conf.d/50.yaml", REQUIRED);
    let ended = host.run();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let report = host.report();
    assert_has(
        report.reason.as_deref().unwrap(),
        &["logs: amazon-cloudwatch-agent.service failed", "Under path : /agent"],
    );
    assert_eq!((report.outcome, report.warnings), (Outcome::Failure, vec![]), "it is told once");
    host.one_signal("FAILURE");

    // Files with which it can't start fail the boot before it does.
    let host = host_with(|_| {});
    host.put("/etc/ecs-firstrun/conf.d/50.yaml", REQUIRED);
    below(&host, "aa.json", "{");
    assert_eq!(host.run().code, Some(1));
    assert_has(
        host.report().reason.as_deref().unwrap(),
        &["logs: start amazon-cloudwatch-agent.service: ", "/aa.json is not a JSON object"],
    );
    assert!(host.started().is_empty(), "{:?}", host.started());

    // An image that has none at all.
    let host = host_with(|_| {});
    host.put("/etc/ecs-firstrun/conf.d/50.yaml", REQUIRED);
    std::fs::remove_file(host.at("/opt/aws/amazon-cloudwatch-agent/bin/CWAGENT_VERSION")).unwrap();
    assert_eq!(host.run().code, Some(1));
    assert_has(
        host.report().reason.as_deref().unwrap(),
        &["logs.required: the image has no agent for CloudWatch Logs"],
    );
    assert!(host.started().is_empty(), "{:?}", host.started());
}

#[test]
fn files_of_the_image_that_contradict_ours_are_told_before_the_start_and_by_doctor() {
    let host = host_with(|_| {});
    host.put("/etc/ecs-firstrun/conf.d/50.yaml", "logs: {retention_days: 30}\n");
    let entry = json!({ "file_path": "/srv/x", "log_group_name": "WEB/ec2/Instances/var/log/ecs/ecs-agent", "retention_in_days": 7 });
    below(
        &host,
        "own.json",
        &json!({ "logs": { "logs_collected": { "files": { "collect_list": [entry] } } } }).to_string(),
    );
    below(
        &host,
        "metrics.json",
        r#"{"metrics": {"metrics_collected": {"mem": {"measurement": ["mem_used_percent"]}}}}"#,
    );
    below(&host, "region.json", r#"{"agent": {"region": "eu-central-1"}}"#);
    below(&host, "zz.txt", "not for the agent");
    let ended = host.run();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let own = "own.json give different values for `retention_in_days` of the log group WEB/ec2/Instances/var/log/ecs/ecs-agent, so \
        the CloudWatch agent does not start";
    let warnings = host.report().warnings;
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert_has(&warnings.join(" "), &[own, "zz.txt is not a JSON object (", "reads no file after it"]);
    let log = host.text("/var/log/ecs-firstrun.log");
    let at = |words: &str| log.find(words).unwrap_or_else(|| panic!("{words}: {log}"));
    assert!(at("own.json give different") < at("logs: done"), "{log}");
    let ended = doctor(&host);
    assert_eq!(ended.code, Some(1));
    assert_has(&ended.stdout, &["problem: log agent", "own.json give different values", "zz.txt is not a JSON object"]);
}

/// Files of an image that show the proxy's URL: one sends the journal, one writes it for every user.
fn open_files(put: impl Fn(&str, &str)) {
    put("own.json", r#"{"logs": {"logs_collected": {"journald": {"collect_list": [{"log_group_name": "shop"}]}}}}"#);
    put("logfile.json", r#"{"agent": {"logfile": "/srv/agent.log"}}"#);
}

#[test]
fn files_of_the_image_that_show_the_password_of_the_proxy_are_told() {
    let told = [
        "own.json sends the journal to the log group shop with the CloudWatch agent's own lines",
        "add {\"type\": \"exclude\", \"expression\": \"_PROXY is set to\"} to the `filters`",
        "logfile.json sets `agent.logfile` to /srv/agent.log",
        "remove `logfile` from it",
    ];
    for (document, common, is_told) in [
        ("logs: {required: true}\nproxy: {url: 'http://me:hunter2canary@127.0.0.1:9'}\n", "", true),
        ("", "[proxy]\nHttps_Proxy = \"http://me:hunter2canary@127.0.0.1:9\"\n", true),
        ("", "[proxy]\n# https_proxy = \"http://me:hunter2canary@127.0.0.1:9\"\n", false),
        ("proxy: {url: 'http://127.0.0.1:9'}\n", "", false),
        ("", "", false),
    ] {
        let host = host_with(|_| {});
        host.put("/etc/ecs-firstrun/conf.d/50.yaml", document);
        host.put(&format!("{ETC}/common-config.toml"), common);
        open_files(|name, text| below(&host, name, text));
        let ended = host.run();
        let warnings = warnings(&host);
        let said = doctor(&host).stdout;
        if is_told {
            assert_has(&warnings, &told);
            assert_has(&said, &told);
            assert!(!ended.stderr.contains("hunter2") && !said.contains("hunter2"), "{said}");
        } else {
            assert_eq!((warnings.as_str(), said.contains("own.json")), ("", false), "{document} {common}");
        }
        assert!(!host.reason().contains("own.json"), "the logs are sent");
    }
    // A file that only its owner reads.
    let host = host_with(|_| {});
    host.put(&format!("{ETC}/common-config.toml"), "[proxy]\nhttp_proxy = \"http://me:hunter2canary@127.0.0.1:9\"\n");
    open_files(|name, text| below(&host, name, text));
    host.put("/srv/agent.log", "");
    std::fs::set_permissions(host.at("/srv/agent.log"), std::fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(host.run().code, Some(0));
    assert!(!warnings(&host).contains("logfile.json"), "{}", warnings(&host));
}

#[test]
fn another_region_of_the_image_is_told() {
    let host = host_with(|_| {});
    below(&host, "metrics.json", r#"{"agent": {"region": "us-east-1"}}"#);
    assert_eq!(host.run().code, Some(0));
    let words = "metrics.json sets `agent.region` to us-east-1, and the instance is in eu-central-1";
    assert_has(&warnings(&host), &[words]);
    assert_has(&doctor(&host).stdout, &[words]);
}

#[test]
fn the_password_that_the_log_agent_prints_is_quoted_nowhere() {
    for said in [
        "I! HTTPS_PROXY is set to http://me:hunter2canary@proxy:3128 E! x\n",
        "E! Error running agent: proxy http://me:hunter2canary@proxy:3128 refused\n",
    ] {
        let host = ends_with(1, said);
        let ended = host.run();
        let text = [
            host.text("/var/lib/ecs-firstrun/report.json"),
            host.text("/var/log/ecs-firstrun.log"),
            ended.stderr,
            doctor(&host).stdout,
        ]
        .concat();
        assert!(text.contains("exit code 1), and systemd starts it again"), "{text}");
        assert!(!text.contains("hunter2") && !text.contains("is set to"), "{text}");
    }
}

#[test]
fn what_its_own_log_says_counts_only_since_this_boot() {
    let host = ends_with(1, "I! Detecting run_as_user...\n");
    host.put("/proc/stat", "btime 1764461400\n");
    let log = "2025-11-29T20:00:00Z E! Error running agent: of an earlier boot\n\
        2025-11-30T01:16:20Z E! Error running agent: failed to load OTEL configs\n\
        2025-11-30T01:16:20Z I! the end\n";
    host.put("/opt/aws/amazon-cloudwatch-agent/logs/amazon-cloudwatch-agent.log", log);
    assert_eq!(host.run().code, Some(0));
    assert_has(&warnings(&host), &["it says `Error running agent: failed to load OTEL configs`"]);
    host.put("/proc/stat", "btime 1764470000\n");
    assert_has(&doctor(&host).stdout, &["`journalctl -u amazon-cloudwatch-agent.service` and /opt/aws/"]);
}

/// A document that sends the log agent, and nothing else, through a proxy.
fn with_proxy(host: &Host) {
    host.put("/etc/ecs-firstrun/conf.d/50.yaml", "proxy: {url: 'http://127.0.0.1:9'}\n");
}

#[test]
fn the_image_gets_its_common_config_back_however_it_spells_the_proxy() {
    for text in [
        "# as shipped\n[credentials]\n  shared_credential_profile = \"p\"\n",
        "[proxy] # ours\nhttp_proxy = \"http://image:1\"\n",
        "proxy = { HTTP_PROXY = \"http://image:1\" }",
        "[ \"proxy\" ]\r\n'no_proxy' = 'a'\r\n",
        "",
    ] {
        let host = host_with(|_| {});
        let common = format!("{ETC}/common-config.toml");
        host.put(&common, text);
        with_proxy(&host);
        assert_eq!(host.run().code, Some(0));
        let edited = host.text(&common);
        assert!(edited.contains("\n[proxy]\nhttp_proxy = \"http://127.0.0.1:9\"\n") || text.is_empty(), "{edited}");
        assert_eq!(warnings(&host).contains("sets HTTP_PROXY in the image"), text.contains("HTTP_PROXY"), "{edited}");
        host.rehearsal.restart().unwrap();
        std::fs::remove_file(host.at("/etc/ecs-firstrun/conf.d/50.yaml")).unwrap();
        assert_eq!(host.run().code, Some(0));
        assert_eq!(host.text(&common), text);
    }
}

#[test]
fn a_common_config_that_is_no_toml_is_named_with_its_line_and_left_as_it_is() {
    let host = host_with(|_| {});
    let common = format!("{ETC}/common-config.toml");
    let text = "[proxy]\nhttp_proxy = http://me:hunter2canary@image\n";
    host.put(&common, text);
    with_proxy(&host);
    let ended = host.run();
    assert_eq!(ended.code, Some(1));
    let reason = host.report().reason.unwrap();
    assert_has(
        &reason,
        &[
            "logs: set http_proxy, https_proxy, no_proxy in",
            "common-config.toml is not valid TOML (line 2: ",
            "correct it in the image, or empty it there",
        ],
    );
    assert!(!reason.contains("hunter2"), "{reason}");
    assert_eq!(host.text(&common), text);
    assert_has(&host.call(&["plan"], &[]).stdout, &["common-config.toml is not valid TOML (line 2: "]);
    assert_has(&doctor(&host).stdout, &["common-config.toml is not valid TOML (line 2: "]);
}

#[test]
fn a_common_config_that_is_missing_is_told_unless_the_proxy_makes_it() {
    for (has_proxy, required, code, is_told) in
        [(false, false, 0, true), (false, true, 1, true), (true, false, 0, false)]
    {
        let host = host_with(|_| {});
        std::fs::remove_file(host.at(&format!("{ETC}/common-config.toml"))).unwrap();
        if has_proxy {
            with_proxy(&host);
        }
        if required {
            host.put("/etc/ecs-firstrun/conf.d/60.yaml", REQUIRED);
        }
        assert_eq!(host.run().code, Some(code));
        let told = warnings(&host) + &host.reason();
        let said = doctor(&host).stdout;
        for text in [told, said] {
            assert_eq!(text.contains("common-config.toml is missing"), is_told, "{has_proxy}: {text}");
        }
    }
}

#[test]
fn a_folder_among_the_log_files_is_told() {
    let host = host_with(|_| {});
    std::fs::create_dir_all(host.at("/srv/shop")).unwrap();
    host.put("/srv/till", "a line\n");
    host.put(
        "/etc/ecs-firstrun/conf.d/60.yaml",
        "logs: {files: [{path: /srv/till}, {path: /srv/shop}, {path: /srv/none}]}\n",
    );
    assert_eq!(host.run().code, Some(0));
    for text in [warnings(&host), doctor(&host).stdout.split_whitespace().collect::<Vec<_>>().join(" ")] {
        assert_has(&text, &["/srv/shop in `logs.files` is a folder", "name its files, such as /srv/shop/*.log"]);
        assert!(!text.contains("/srv/till in") && !text.contains("/srv/none in"), "{text}");
    }
}

#[test]
fn the_rehearsal_of_a_log_agent_that_ends_says_why() {
    let host = Host::of(Scenario::LogAgentEnds, SMALLEST);
    assert_eq!(host.run().code, Some(0));
    assert_has(
        &warnings(&host),
        &["image.json give different values", "it says `Under path : /logs/logs_collected/journald"],
    );
}
