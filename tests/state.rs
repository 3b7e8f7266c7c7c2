//! The decision in the state file: kept before it is sent, by whatever call a run is killed, and never lost with a damaged file.

use std::net::TcpListener;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ecs_firstrun::rehearse::cloud::{CfnAnswer, CloudOptions};
use nix::sys::signal::Signal;

use crate::support::host::{BINARY, Host, STATE, kill, until};
use crate::support::user_data::SMALLEST;
use crate::support::{at_once, lacks_strace};

/// A host whose first run is refused; its second one would come out well.
fn refused(change: impl FnOnce(&mut CloudOptions)) -> Host {
    let host = Host::in_cloud(SMALLEST, change);
    host.put_mistake();
    host
}

/// The next run, without the mistake: it says what was decided, if anything was.
fn next_run_tells(host: &Host, expected: &[&str]) {
    host.remove_mistake();
    assert_eq!(host.run().code, Some(0));
    assert_eq!(host.statuses(), expected);
    assert!(host.decision().unwrap().1);
    assert_eq!(host.run().code, Some(0));
    assert_eq!(host.statuses(), expected, "a third run has told it again");
}

/// Killed when it replaces the state for the `n`th time, from 0, or not at all where strace is missing. Which of its renames
/// that is shows in the run of a twin.
fn killed_at_state(host: &Host, n: usize) -> bool {
    if lacks_strace() {
        return false;
    }
    let twin = refused(|_| {});
    let trace = twin.folder.path().join("trace");
    twin.traced(&["-o", trace.to_str().unwrap(), "-e", "trace=rename"]);
    let text = std::fs::read_to_string(trace).unwrap();
    let renames = text.lines().filter(|line| line.starts_with("rename(")).enumerate();
    let of_state: Vec<_> =
        renames.filter(|(_, line)| line.contains(&format!("{STATE}\")"))).map(|(at, _)| at).collect();
    assert_eq!(of_state.len(), 2, "{text}");
    let inject = format!("inject=rename:signal=KILL:when={}", of_state[n] + 1);
    let ended = host.traced(&["-o", "/dev/null", "-e", &inject]);
    assert_ne!(ended.code, Some(2), "it was not killed: {}", ended.stderr);
    true
}

#[test]
fn killed_before_the_outcome_is_kept_a_run_has_decided_nothing() {
    let host = refused(|_| {});
    if killed_at_state(&host, 0) {
        assert_eq!((host.decision(), host.statuses().len()), (None, 0));
        next_run_tells(&host, &["SUCCESS"]);
    }
}

#[test]
fn killed_when_the_outcome_is_kept_and_not_sent_a_run_is_followed_by_the_same_outcome() {
    let host = refused(|_| {});
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    let mut command = host.rehearsal.command(Path::new(BINARY)).into_std();
    command.env("AWS_ENDPOINT_URL_CLOUDFORMATION", endpoint).stderr(std::process::Stdio::null());
    let mut child = command.spawn().unwrap();
    let _taken = silent.accept().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!((host.decision(), host.statuses().len()), (Some(("FAILURE".to_owned(), false)), 0));
    next_run_tells(&host, &["FAILURE"]);
}

#[test]
fn killed_after_it_was_sent_and_before_the_answer_a_signal_is_sent_once_more() {
    let host = refused(|options| options.cloudformation = [CfnAnswer::Slow(Duration::from_secs(20))].into());
    let ended = host.run_and(|pid| {
        until(|| host.statuses().len() == 1);
        kill(pid, Signal::SIGKILL);
    });
    assert_eq!(ended.code, None);
    assert_eq!(host.decision(), Some(("FAILURE".to_owned(), false)));
    next_run_tells(&host, &["FAILURE", "FAILURE"]);
}

#[test]
fn killed_after_it_was_accepted_and_before_that_is_kept_a_signal_is_sent_once_more() {
    let host = refused(|_| {});
    if killed_at_state(&host, 1) {
        assert_eq!((host.decision(), host.statuses().len()), (Some(("FAILURE".to_owned(), false)), 1));
        next_run_tells(&host, &["FAILURE", "FAILURE"]);
    }
}

/// Killed at each rename and each connection of a run that comes out well, and of one that is refused for a file that is
/// gone at the next run: that one ends what was begun, and CloudFormation never hears two different things.
#[test]
fn a_run_that_is_killed_is_ended_by_the_next_which_contradicts_nothing() {
    if lacks_strace() {
        return;
    }
    let host = |refused: bool| {
        let host = Host::in_cloud(SMALLEST, |_| {});
        if refused {
            host.put_mistake();
        }
        host
    };
    let calls = |refused, call: &str| {
        let host = host(refused);
        let trace = host.folder.path().join("trace");
        host.traced(&["-o", trace.to_str().unwrap(), "-e", call]);
        std::fs::read_to_string(trace).unwrap().lines().filter(|line| line.contains('(')).count()
    };
    let cases = [(false, "rename"), (false, "connect"), (true, "rename"), (true, "connect")];
    let points: Vec<_> = cases
        .into_iter()
        .flat_map(|(refused, call)| (1..=calls(refused, call)).map(move |at| (refused, call, at)))
        .collect();
    assert!(points.len() > 25, "{points:?}");
    let hit = AtomicUsize::new(0);
    let check = |(refused, call, at): &(bool, &str, usize)| {
        let host = host(*refused);
        let killed = host.traced(&["-o", "/dev/null", "-e", &format!("inject={call}:signal=KILL:when={at}")]);
        // The number of looks at the ECS agent is not the same each time.
        hit.fetch_add(usize::from(killed.code != Some(0)), Ordering::Relaxed);
        if *refused {
            host.remove_mistake();
        }
        assert_eq!(host.run().code, Some(0), "{refused} {call} {at}");
        let told = host.statuses();
        // Killed between CloudFormation's answer and keeping it, a run is followed by the same signal once more.
        assert!(matches!(told.len(), 1 | 2) && told.iter().all(|status| *status == told[0]), "{call} {at}: {told:?}");
    };
    at_once(points.iter().map(|point| || check(point)));
    assert!(hit.into_inner() + 4 > points.len());
}

/// A link to itself can't be read, and could be replaced.
#[test]
fn a_state_that_cannot_be_read_is_left_as_it_is_and_the_outcome_holds_on_this_boot() {
    let host = refused(|_| {});
    std::fs::create_dir_all(host.at(STATE).parent().unwrap()).unwrap();
    std::os::unix::fs::symlink("state.json", host.at(STATE)).unwrap();
    let ended = host.run();
    for words in [&format!("make {STATE} readable, or move it away")[..], "kept only until the next boot"] {
        assert!(ended.stderr.contains(words), "no {words} in {}", ended.stderr);
    }
    host.remove_mistake();
    assert_eq!(host.run().code, Some(0));
    assert_eq!(host.statuses(), ["FAILURE"]);
    assert!(host.at(STATE).is_symlink());
}

/// Killed at each step of the way to a new state, or at none.
#[test]
fn a_state_that_cannot_be_parsed_is_never_lost() {
    const DAMAGED: &str = "{\"version\": 1, \"decision\": {\"sta";
    let aside = format!("{STATE}.unreadable");
    let damaged = || {
        let host = refused(|_| {});
        host.put(STATE, DAMAGED);
        host
    };
    let is_kept = |host: &Host| {
        let text = |path: &str| std::fs::read_to_string(host.at(path)).unwrap_or_default();
        text(STATE) == DAMAGED || text(&aside) == DAMAGED
    };
    let host = damaged();
    let ended = host.run();
    assert!(ended.stderr.contains(&format!("can't be parsed and is kept as {aside}")), "{}", ended.stderr);
    assert!(is_kept(&host));
    next_run_tells(&host, &["FAILURE"]);
    if lacks_strace() {
        return;
    }
    for n in 1..50 {
        let host = damaged();
        let inject = format!("inject=rename:signal=KILL:when={n}");
        let ended = host.traced(&["-o", "/dev/null", "-e", &inject]);
        assert!(is_kept(&host), "killed at rename {n}");
        if ended.code == Some(2) {
            assert!(n > 3, "{n}");
            return;
        }
        let status = host.decision().map_or("SUCCESS".to_owned(), |(status, _)| status);
        host.remove_mistake();
        assert_eq!(host.run().code, Some(0));
        assert!(is_kept(&host) && host.statuses().iter().all(|told| *told == status), "killed at rename {n}");
    }
    panic!("the run was killed each time");
}
