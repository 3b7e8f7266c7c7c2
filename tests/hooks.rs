//! Users' own commands: their order, their environment, how often they run, and what is told of each way to fail.
//!
//! The stub of systemd-run really runs them here. `tests/e2e` has the real one.

use std::os::unix::fs::PermissionsExt as _;
use std::time::Instant;

use ecs_firstrun::report::Outcome;

use crate::support::host::{Ended, Host, until};

/// A host whose user data has these hooks, which are run and not only recorded.
fn host(rest: &str, hooks: &str) -> Host {
    let user_data = format!(
        "#ecs-firstrun\nsignal: {{stack: web, resource: Instances}}\necs: {{cluster: production}}\n{rest}hooks:\n{hooks}"
    );
    let host = Host::in_cloud(&user_data, |_| {});
    host.rehearsal.programs.run_hooks().unwrap();
    host
}

/// The text of a file that hooks have written below the host's root.
fn written(host: &Host, path: &str) -> String {
    std::fs::read_to_string(host.rehearsal.root.join(path)).unwrap_or_default()
}

/// Fails unless the run has failed, and returns the reason that CloudFormation was told by.
fn reason(host: &Host, ended: &Ended) -> String {
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    host.one_signal("FAILURE");
    host.report().reason.unwrap()
}

/// Fails unless the report has a warning that begins so.
fn assert_warned(host: &Host, words: &str) {
    let warnings = host.report().warnings;
    assert!(warnings.iter().any(|warning| warning.starts_with(words)), "{warnings:?}");
}

#[test]
fn hooks_run_in_their_order_around_docker_the_ecs_agent_and_its_registration() {
    let started = "$(ls ../rehearsal/started 2>/dev/null | tr '\\n' ' ')";
    let hook = |name: &str| format!("    - {{name: {name}, run: \"echo {name}: {started} >>order\"}}\n");
    let hooks = format!(
        "  after_registration:\n{}  before_docker:\n{}{}  before_ecs:\n{}",
        hook("last"),
        hook("first"),
        hook("second"),
        hook("third")
    );
    let host = host("", &hooks);
    let ended = host.run();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    host.one_signal("SUCCESS");
    let order = written(&host, "order");
    let lines: Vec<_> = order.lines().map(|line| line.split_once(": ").unwrap()).collect();
    assert_eq!(lines.iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["first", "second", "third", "last"]);
    let runs = |unit: &str| lines.iter().map(|(_, started)| started.contains(unit)).collect::<Vec<_>>();
    assert_eq!(runs("docker.service"), [false, false, true, true], "{order}");
    assert_eq!(runs("ecs.service"), [false, false, false, true], "{order}");
    let steps: Vec<_> = host.report().steps.into_iter().map(|step| step.name).collect();
    let of_hooks = ["before_docker", "start", "before_ecs", "start_ecs", "wait", "after_registration"];
    assert_eq!(steps[steps.len() - 7..], [&of_hooks[..], &["signal"]].concat());
}

#[test]
fn a_hook_runs_until_it_has_succeeded_once_and_one_of_every_boot_always() {
    let hooks = "  before_docker:\n    - {name: once, run: echo once >>ran}\n    - {name: always, run: echo always >>ran, every_boot: true}\n    - {name: again, run: 'echo again >>ran; test -e there', on_failure: warn}\n  after_registration:\n    - {name: last, run: echo last >>ran}\n";
    let host = host("", hooks);
    // The file that `again` looks for is there from the third run on.
    for (run, expected) in ["once always again last", "always again", "always again", "always"].into_iter().enumerate()
    {
        if run == 2 {
            std::fs::write(host.rehearsal.root.join("there"), "").unwrap();
        }
        let ended = host.run();
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert_eq!(written(&host, "ran").split_whitespace().collect::<Vec<_>>().join(" "), expected);
        std::fs::remove_file(host.rehearsal.root.join("ran")).unwrap();
        host.rehearsal.restart().unwrap();
    }
}

#[test]
fn each_way_to_fail_has_its_own_reason() {
    for (run, rest, expected) in [
        (
            "[/bin/sh, -c, 'echo one; echo the CID is wrong; exit 3']",
            "",
            "ended with exit status 3; its last line is: the CID is wrong",
        ),
        ("kill -TERM $$", "", "was killed by signal 15; it printed nothing"),
        ("'echo begun; sleep 60'", ", timeout: 1s", "had not ended after 1s, and was stopped; its last line is: begun"),
        ("kill -HUP $$", "", "was killed by signal 1; it printed nothing"),
        ("kill -KILL $$", "", "was killed by signal 9; it printed nothing"),
        ("[/opt/install.sh]", "", "can't run: Failed to find executable /opt/install.sh: No such file or directory"),
        ("[/etc/plain]", "", "can't run: Failed to find executable /etc/plain: Permission denied"),
        ("[no-such-program, x]", "", "can't run: Failed to find executable no-such-program: No such file or directory"),
        (
            "[/etc/script]",
            "",
            "can't run: the program has no `#!` line, its interpreter is missing, or it is built for another processor",
        ),
        ("'echo password=hunter2; exit 1'", "", "ended with exit status 1; its last line is: password=***"),
    ] {
        let host = host("", &format!("  before_docker:\n    - {{name: agent, run: {run}{rest}}}\n"));
        host.put("/etc/plain", "no program\n");
        host.put("/etc/script", "#!/no/interpreter\n");
        std::fs::set_permissions(host.at("/etc/script"), std::fs::Permissions::from_mode(0o755)).unwrap();
        let ended = host.run();
        let reason = reason(&host, &ended);
        let words = format!("before_docker: run the hook agent: {expected}");
        assert!(reason.starts_with(&words), "{run}: {reason}");
        // Nothing that comes after the hook has been done.
        assert!(!host.rehearsal.programs.started_marker("docker.service").exists(), "{run}");
    }
}

#[test]
fn a_hook_whose_time_is_over_is_ended_with_all_its_processes() {
    let hooks = "  before_docker:\n    - {name: tree, run: '(sleep 2; touch survived) & sleep 60', timeout: 500ms, on_failure: warn}\n";
    let host = host("", hooks);
    let began = Instant::now();
    let ended = host.run();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_warned(&host, "the hook tree had not ended after 500ms");
    std::thread::sleep(std::time::Duration::from_millis(2500).saturating_sub(began.elapsed()));
    assert!(!host.rehearsal.root.join("survived").exists());
}

#[test]
fn a_failure_that_is_a_warning_lets_the_run_go_on() {
    let hooks = "  before_ecs:\n    - {name: a, run: exit 9, on_failure: warn}\n    - {name: b, run: touch b}\n";
    let host = host("", hooks);
    let ended = host.run();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    host.one_signal("SUCCESS");
    assert_eq!(host.report().outcome, Outcome::Success);
    assert_warned(&host, "the hook a ended with exit status 9");
    assert!(host.rehearsal.root.join("b").exists());
}

#[test]
fn a_hook_gets_the_variables_of_the_proxy_and_its_arguments_as_they_are() {
    let hooks = "  before_docker:\n    - {name: a, run: 'env >environment'}\n    - {name: b, run: [/bin/sh, -c, 'printf \"%s|\" \"$@\" >arguments', sh, $HOME, '${PATH}', '$$', 'a  b', '%n']}\n";
    let host = host("proxy: {url: \"http://me:hunter2@127.0.0.1:1\", no_proxy: [127.0.0.1]}\n", hooks);
    let ended = host.run();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let environment = written(&host, "environment");
    for name in ["HTTP_PROXY", "https_proxy"] {
        assert!(environment.contains(&format!("{name}=http://me:hunter2@127.0.0.1:1\n")), "{environment}");
    }
    assert_eq!(written(&host, "arguments"), "$HOME|${PATH}|$$|a  b|%n|");
    // The command line of systemd-run is public.
    let calls = format!("{:?}", host.rehearsal.programs.calls());
    assert!(!calls.contains("hunter2"), "{calls}");
}

#[test]
fn a_hook_that_a_killed_run_left_is_ended_and_runs_again() {
    let hooks = "  before_docker:\n    - {name: slow, run: 'echo ran >>ran; test -e second || sleep 60'}\n";
    let host = host("", hooks);
    host.run_and(|id| {
        until(|| host.rehearsal.root.join("ran").exists());
        crate::support::host::kill(id, nix::sys::signal::Signal::SIGKILL);
    });
    std::fs::write(host.rehearsal.root.join("second"), "").unwrap();
    let ended = host.run();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(written(&host, "ran"), "ran\nran\n");
}
