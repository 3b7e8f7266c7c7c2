use super::*;
use crate::host::scratch;

const SAVED: &str = "/var/lib/ecs-firstrun/state.json";
const ASIDE: &str = "/var/lib/ecs-firstrun/state.json.unreadable";

fn decided(status: Status) -> State {
    State { instance_id: "i-1".to_owned(), decision: Some(Decision::of(status, String::new())), ..State::default() }
}

fn loaded(host: &Host) -> Option<Status> {
    State::load(host).decision.map(|decision| decision.status)
}

/// Acts as a run on this host that decides `status` unless an outcome was decided before.
fn run(host: &Host, status: Status) {
    let mut state = State::load(host);
    state.put_in_place(host);
    state.begin_instance("i-1");
    state.decision.get_or_insert_with(|| Decision::of(status, String::new()));
    state.save(host);
}

/// Puts a file there that can't be opened and that another one may replace: a link to itself.
#[expect(clippy::disallowed_methods, reason = "a test makes what no run makes")]
fn unreadable(host: &Host) {
    std::fs::create_dir_all(host.at(SAVED).parent().unwrap()).unwrap();
    std::os::unix::fs::symlink("state.json", host.at(SAVED)).unwrap();
}

#[test]
fn what_the_disk_does_not_take_is_kept_in_memory_until_it_does() {
    let (_root, host) = scratch();
    // A file in the place of the folder refuses it.
    host.write("/var/lib/ecs-firstrun", b"", 0o600).unwrap();
    decided(Status::Failure).save(&host);
    assert_eq!(loaded(&host), Some(Status::Failure));
    host.remove("/var/lib/ecs-firstrun").unwrap();
    State::load(&host).put_in_place(&host);
    assert!(!host.at(STATE_IN_MEMORY).exists());
    assert_eq!(loaded(&host), Some(Status::Failure));
}

#[test]
fn a_state_that_cannot_be_read_is_not_overwritten() {
    let (_root, host) = scratch();
    unreadable(&host);
    for status in [Status::Failure, Status::Success] {
        run(&host, status);
        assert!(host.link(SAVED).is_some(), "it was overwritten");
        assert_eq!(loaded(&host), Some(Status::Failure), "the decision of the first run is not kept in memory");
    }
    // The boot after that, on which it can be read again or is gone.
    host.remove(SAVED).unwrap();
    run(&host, Status::Success);
    assert!(!host.at(STATE_IN_MEMORY).exists());
    assert_eq!(loaded(&host), Some(Status::Failure));
}

#[test]
fn a_decision_that_can_be_read_again_is_the_first_unless_only_the_later_one_was_told() {
    for (told, holds) in [(None, Status::Success), (Some("accepted".to_owned()), Status::Failure)] {
        let (_root, host) = scratch();
        unreadable(&host);
        let mut state = State::load(&host);
        state.begin_instance("i-1");
        state.decision = Some(Decision { settled: told, ..Decision::of(Status::Failure, String::new()) });
        state.save(&host);
        let text = serde_json::to_string(&State { version: VERSION, ..decided(Status::Success) }).unwrap();
        host.write(SAVED, text.as_bytes(), MODE).unwrap();
        assert_eq!(loaded(&host), Some(holds));
        run(&host, Status::Failure);
        assert!(!host.at(STATE_IN_MEMORY).exists());
        assert_eq!(loaded(&host), Some(holds));
    }
}

#[test]
fn what_was_decided_by_another_version_holds() {
    let (_root, host) = scratch();
    let other = r#"{"version": 7, "instance_id": "i-1", "decision": {"status": "FAILURE", "reason": "no disk",
        "settled": null, "since": 5}, "in_warm_pool": null, "kept": ["of another shape"], "colour": "red"}"#;
    host.write(SAVED, other.as_bytes(), MODE).unwrap();
    run(&host, Status::Success);
    let saved: serde_json::Value = serde_json::from_str(&host.read(SAVED).unwrap().unwrap()).unwrap();
    assert_eq!((&saved["version"], &saved["decision"]["reason"]), (&VERSION.into(), &"no disk".into()));
    assert_eq!(loaded(&host), Some(Status::Failure));
    assert!(!host.at(ASIDE).exists());
}

#[test]
fn what_cannot_be_parsed_is_moved_aside_before_it_is_replaced() {
    let (_root, host) = scratch();
    for damaged in [&b"{\"version\": 1, \"inst"[..], b"", b"\xff", br#"{"version": 2, "decision": "maybe"}"#] {
        host.write(SAVED, damaged, MODE).unwrap();
        assert_eq!(loaded(&host), None);
        assert_eq!(host.read_bytes(SAVED).unwrap().unwrap(), damaged, "reading it has changed it");
        run(&host, Status::Failure);
        assert_eq!(host.read_bytes(ASIDE).unwrap().unwrap(), damaged);
        assert_eq!(loaded(&host), Some(Status::Failure));
    }
}

#[test]
fn what_cannot_be_moved_aside_is_not_replaced() {
    let (_root, host) = scratch();
    host.write(SAVED, b"{", MODE).unwrap();
    // A folder in its place refuses it.
    host.write(&format!("{ASIDE}/file"), b"", MODE).unwrap();
    run(&host, Status::Failure);
    assert_eq!(host.read(SAVED).unwrap().unwrap(), "{");
    assert_eq!(loaded(&host), Some(Status::Failure));
}
