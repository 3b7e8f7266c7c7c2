//! `doctor` on a scratch host, and hosts that give it something to find.

use ecs_firstrun::rehearse::cloud::{CloudOptions, Registration};
use serde_json::Value;

use super::host::{Ended, Host};
use super::repository;
use super::user_data::SMALLEST;

/// A document that shortens the wait for the registration.
pub const SHORT_WAIT: &str = "wait: {timeout: 3s}\n";

/// `doctor` on a host, where all services of AWS are the fake cloud.
pub fn doctor(host: &Host) -> Ended {
    doctor_at(host, &host.rehearsal.cloud.cloudformation_endpoint())
}

pub fn doctor_at(host: &Host, endpoint: &str) -> Ended {
    let variables = [("AWS_ENDPOINT_URL", endpoint), ("AWS_ENDPOINT_URL_CLOUDFORMATION", endpoint)];
    host.call(&["doctor"], &variables)
}

/// The findings of one check, as they are in the JSON form.
pub fn findings(host: &Host, endpoint: &str, check: &str) -> Vec<Value> {
    let variables = [("AWS_ENDPOINT_URL", endpoint), ("AWS_ENDPOINT_URL_CLOUDFORMATION", endpoint)];
    let ended = host.call(&["doctor", "--json"], &variables);
    let diagnosis: Value = serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {ended:?}"));
    let all = diagnosis["findings"].as_array().unwrap().clone();
    all.into_iter().filter(|finding| finding["check"] == check).collect()
}

/// A host in a cloud that has an instance profile, whose agent behaves so.
pub fn host_with(change: impl FnOnce(&mut CloudOptions)) -> Host {
    Host::in_cloud(SMALLEST, |options| {
        options.iam_role = Some("web-instances".to_owned());
        change(options);
    })
}

/// A host on which the ECS agent, or ecs-init, has written this log, and that does not register.
pub fn host_that_fails(log: &str) -> Host {
    let host = host_with(|options| options.registration = Registration::Never);
    for entry in repository(&format!("tests/doctor/{log}")).read_dir().unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        host.put(&format!("/var/log/ecs/{name}"), &std::fs::read_to_string(&path).unwrap());
    }
    host.put("/etc/ecs-firstrun/conf.d/50.yaml", SHORT_WAIT);
    host
}

/// Asserts that the text has all these words, whichever way its lines are broken.
pub fn assert_has(text: &str, words: &[&str]) {
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for words in words {
        assert!(flat.contains(words), "{words:?} is missing in: {flat}");
    }
}

/// Puts a database of the ECS agent on the host, as `tests/recorded/README.md` tells of them.
pub fn put_agent_state(host: &Host, name: &str) {
    let packed = std::fs::File::open(repository(&format!("tests/recorded/agent-state/{name}.db.gz"))).unwrap();
    host.put("/var/lib/ecs/data/agent.db", "");
    let mut database = std::fs::File::create(host.at("/var/lib/ecs/data/agent.db")).unwrap();
    std::io::copy(&mut flate2::read::GzDecoder::new(packed), &mut database).unwrap();
}
