//! Each scenario of `rehearse`, run by the real binary. A folder of `tests/scenarios` has what must come of one:
//!
//! - `requests`: each request that the cloud received, whole, with the status of the answer;
//! - `files`: mode, size, CRC-32 and path of each file of the host that the image did not have so;
//! - `programs`: what was called, without the questions to systemd;
//! - `console`: what a person sees on the console;
//! - `report.json`: without the times;
//! - `exit-code`.

use std::fmt::Write as _;

use clap::ValueEnum as _;
use ecs_firstrun::rehearse::Scenario;
use ecs_firstrun::rehearse::cloud::{Request, Server};
use serde_json::Value;

use crate::support::golden::{self, Files};
use crate::support::host::{Ended, Host, Tree, beside_the_root};
use crate::support::repository;
use crate::support::user_data::{COMPLETE, misspelt};

#[test]
fn each_scenario_has_its_requests_files_and_report_and_is_the_same_when_it_runs_again() {
    let scenarios = Scenario::value_variants();
    let outcomes: Vec<_> = std::thread::scope(|scope| {
        let running: Vec<_> = scenarios.iter().map(|scenario| scope.spawn(|| outcome(*scenario))).collect();
        running.into_iter().map(|running| running.join().unwrap()).collect()
    });
    let folder = repository("tests/scenarios");
    let name = |scenario: &Scenario| scenario.to_possible_value().unwrap().get_name().to_owned();
    scenarios.iter().for_each(|scenario| std::fs::create_dir_all(folder.join(name(scenario))).unwrap());
    golden::check("scenarios", &[], scenarios.len(), |case| {
        let is_it = |scenario: &Scenario| case.ends_with(name(scenario));
        let at = scenarios.iter().position(is_it).unwrap_or_else(|| panic!("{} is no scenario", case.display()));
        outcomes[at].clone()
    });
}

fn outcome(scenario: Scenario) -> Files {
    let user_data = match scenario {
        Scenario::BadUserData => misspelt(COMPLETE),
        _ => COMPLETE.to_owned(),
    };
    let host = Host::of(scenario, user_data);
    let (image, beside) = (host.tree(), beside_the_root(&host));
    let ended = run(&host);
    let (first, report) = (host.tree(), report(&host));
    let requests = host.rehearsal.cloud.requests();
    let calls = host.rehearsal.programs.calls().into_iter().filter(|call| !call.args.iter().any(|arg| arg == "show"));
    let programs = calls.map(|call| format!("{} {} => {}\n", call.program, call.args.join(" "), call.exit)).collect();
    let console = host.text("/dev/console");
    host.rehearsal.restart().unwrap();
    run(&host);
    assert_same(scenario, &first, &host.tree());
    assert_same(scenario, &beside, &beside_the_root(&host));
    let files = [
        ("exit-code", format!("{:?}\n", ended.code.unwrap())),
        ("requests", shown(&requests)),
        ("files", written(&host, &image, &first)),
        ("programs", programs),
        ("console", console),
        ("report.json", report),
    ];
    let own = |(name, text): (&str, String)| (name.to_owned(), with_names(&host, &text));
    files.into_iter().map(own).collect()
}

fn run(host: &Host) -> Ended {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut command = host.rehearsal.command(crate::support::host::BINARY.as_ref());
        command.current_dir(host.folder.path());
        let (output, meanwhile) = tokio::join!(command.output(), host.rehearsal.meanwhile());
        meanwhile.unwrap();
        Ended::from(output.unwrap())
    })
}

fn assert_same(scenario: Scenario, before: &Tree, after: &Tree) {
    // The notes of units to restart are gone after a boot, which starts all units anyway.
    let paths = before.keys().chain(after.keys()).filter(|path| !path.starts_with("run/ecs-firstrun/changed/"));
    let differing: Vec<_> = paths.filter(|path| before.get(*path) != after.get(*path)).collect();
    assert!(differing.is_empty(), "{scenario:?}: the second run changed {differing:?}");
}

/// The text with names for what is another in each run: the addresses of the cloud, and the scratch folder.
fn with_names(host: &Host, text: &str) -> String {
    let cloud = &host.rehearsal.cloud;
    let names = [
        (cloud.imds_endpoint(), "http://IMDS"),
        (cloud.ecs_endpoint(), "http://ECS-AGENT"),
        (cloud.cloudformation_endpoint(), "http://CLOUDFORMATION"),
        (cloud.auto_scaling_endpoint(), "http://AUTO-SCALING"),
        (cloud.ssm_endpoint(), "http://SSM"),
        (cloud.secrets_manager_endpoint(), "http://SECRETS-MANAGER"),
        (cloud.ecr_endpoint(), "http://ECR"),
        (cloud.proxy_endpoint(), "http://PROXY"),
    ];
    let mut text = text.replace(&host.rehearsal.root.display().to_string(), "");
    for (url, name) in names {
        text = text.replace(&url, name).replace(url.trim_start_matches("http://"), name.trim_start_matches("http://"));
    }
    text.replace(env!("CARGO_PKG_VERSION"), "VERSION")
}

fn report(host: &Host) -> String {
    let mut report: Value = serde_json::from_str(&host.text("/var/lib/ecs-firstrun/report.json")).unwrap();
    without_times(&mut report);
    serde_json::to_string_pretty(&report).unwrap() + "\n"
}

fn without_times(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|name, _| !["started", "start_ms", "duration_ms"].contains(&name.as_str()));
            fields.values_mut().for_each(without_times);
        }
        Value::Array(items) => items.iter_mut().for_each(without_times),
        _ => {}
    }
}

fn written(host: &Host, image: &Tree, tree: &Tree) -> String {
    let mut out = String::new();
    for (path, (mode, bytes)) in tree.iter().filter(|(path, file)| image.get(*path) != Some(file)) {
        let text = with_names(host, std::str::from_utf8(bytes).unwrap());
        let mut crc = flate2::Crc::new();
        crc.update(text.as_bytes());
        writeln!(out, "{mode:04o} {:>6} {:08x} {path}", text.len(), crc.sum()).unwrap();
    }
    for path in image.keys().filter(|path| !tree.contains_key(*path)) {
        writeln!(out, "removed {path}").unwrap();
    }
    out
}

/// The requests in their order. Those for the instance metadata are sorted after the first two, since most are made at
/// once; and what is asked again and again, until there is another answer, is shown once for each answer.
fn shown(requests: &[Request]) -> String {
    let (metadata, others): (Vec<_>, Vec<_>) = requests.iter().partition(|request| request.server == Server::Imds);
    let mut metadata: Vec<_> = metadata.into_iter().map(one).collect();
    metadata[2..].sort();
    metadata.dedup();
    let mut others: Vec<_> = others.into_iter().map(|request| (request.server, one(request))).collect();
    others.dedup_by(|next, last| next == last && next.0 == Server::Ecs);
    metadata.into_iter().chain(others.into_iter().map(|(_, text)| text)).collect::<Vec<_>>().join("\n")
}

fn one(request: &Request) -> String {
    let mut out = format!("{:?}: {} {}\n", request.server, request.method, request.path_and_query);
    for (name, value) in &request.headers {
        let value = match name.as_str() {
            "x-aws-ec2-metadata-token" => "TOKEN",
            "x-amz-date" => "TIME",
            // Another one at each time; `signed_requests` looks at these.
            "authorization" if value.starts_with("AWS4-") => "AWS4-HMAC-SHA256",
            _ => value,
        };
        writeln!(out, "{name}: {value}").unwrap();
    }
    if !request.body.is_empty() {
        writeln!(out, "\n{}", String::from_utf8_lossy(&request.body)).unwrap();
    }
    writeln!(out, "=> {}", request.status).unwrap();
    out
}
