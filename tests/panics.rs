//! A panic anywhere in a run is told: FAILURE, once, or exit code 3 with the reason on the console.

use ecs_firstrun::report::{BUG, Outcome};

use crate::support::host::{Ended, Host};
use crate::support::user_data::SMALLEST;

/// A run that panics where these actions of fail points say.
fn panicked(host: &Host, actions: &str) -> Ended {
    host.run_with(&[("FAILPOINTS", actions)])
}

#[test]
fn a_panic_on_the_way_is_one_failure() {
    for (actions, point) in [
        ("parse=panic", "parse"),
        ("plan=panic", "plan"),
        ("action=panic", "action"),
        ("action=3*off->panic", "action"),
        ("conclude=1*panic", "conclude"),
    ] {
        let host = Host::in_cloud(SMALLEST, |_| {});
        let ended = panicked(&host, actions);
        assert_eq!(ended.code, Some(1), "{actions}: {}", ended.stderr);
        host.one_signal("FAILURE");
        let reason = host.report().reason.unwrap();
        assert!(reason.starts_with(BUG) && reason.contains(point), "{actions}: {reason}");
        assert!(host.text("/dev/console").contains(&reason), "{actions}");
        // It is decided: the next run, which would come out well, contradicts nothing.
        host.run();
        assert_eq!(host.statuses(), ["FAILURE"], "{actions}");
    }
}

#[test]
fn a_panic_after_the_outcome_is_decided_leaves_it_as_it_is() {
    let host = Host::in_cloud(SMALLEST, |_| {});
    let ended = panicked(&host, "decided=1*panic");
    assert_eq!((ended.code, host.report().outcome), (Some(1), Outcome::Failure), "{}", ended.stderr);
    host.one_signal("SUCCESS");
}

#[test]
fn a_panic_that_leaves_nothing_to_tell_with_is_on_the_console_and_the_next_run_tells() {
    for actions in ["gather=panic", "conclude=panic", "tell=panic", "begin=panic", "plan=panic;conclude=panic"] {
        let host = Host::in_cloud(SMALLEST, |_| {});
        let ended = panicked(&host, actions);
        assert_eq!((ended.code, host.statuses().len()), (Some(3), 0), "{actions}: {}", ended.stderr);
        let console = host.text("/dev/console");
        assert!(console.contains(&format!("FAILURE: {BUG}")), "{actions}: {console}");
        assert_eq!(host.run().code, Some(0), "{actions}");
        host.one_signal("SUCCESS");
    }
}

#[test]
fn a_panic_in_the_parse_is_told_to_whom_the_tags_name() {
    let nothing = "#ecs-firstrun\necs: {cluster: production}\n";
    let tags = [("aws:cloudformation:stack-name", "web"), ("aws:cloudformation:logical-id", "Instances")];
    let host = Host::in_cloud(nothing, |options| {
        options.tags = tags.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    });
    assert_eq!(panicked(&host, "parse=panic").code, Some(1));
    host.one_signal("FAILURE");
    let host = Host::in_cloud(nothing, |options| options.tags.clear());
    let ended = panicked(&host, "parse=panic");
    assert_eq!((ended.code, host.statuses().len()), (Some(3), 0), "{}", ended.stderr);
    assert!(host.text("/dev/console").contains(BUG));
}
