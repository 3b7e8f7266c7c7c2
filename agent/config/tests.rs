use std::time::Duration;

use super::types::LogGroupName;
use super::*;
use crate::document::problem::Problem;

/// Parses documents as the agent does, and keeps the problems.
fn parsed(texts: &[&str]) -> Parsed {
    let decode = |text: &&str| {
        crate::document::decode::decode("user data", format!("#ecs-firstrun\n{text}").as_bytes()).documents
    };
    parse(&texts.iter().flat_map(decode).collect::<Vec<_>>())
}

/// Parses a document that must have no problems.
pub(crate) fn configured(text: &str) -> Config {
    let parsed = parsed(&[text]);
    assert_eq!(parsed.problems, []);
    parsed.config
}

const SIGNAL: &str = "signal: { stack: web, resource: Instances, timeout: ";

#[test]
fn a_stack_waits_since_before_the_boot_and_where_it_waits_no_more_all_is_allowed_again() {
    let config = configured(&format!("{SIGNAL}10m }}"));
    for (uptime, left) in [(0, 600), (60, 540), (599, 1), (600, 600), (601, 600)] {
        assert_eq!(config.time_left(Duration::from_secs(uptime)), Duration::from_secs(left), "{uptime}");
    }
}

#[test]
fn a_tenth_of_the_time_is_kept_for_the_signal() {
    for (timeout, allowed) in
        [("20s", 10), ("30s", 15), ("1m", 45), ("150s", 135), ("200s", 180), ("10m", 540), ("1h", 3540)]
    {
        let config = configured(&format!("{SIGNAL}{timeout} }}"));
        assert_eq!(config.time_allowed(Duration::ZERO), Duration::from_secs(allowed), "{timeout}");
    }
    let config = configured(&format!("{SIGNAL}10m }}"));
    assert_eq!(config.time_allowed(Duration::from_secs(400)), Duration::from_secs(180));
}

#[test]
fn log_groups_are_named_after_what_there_is() {
    for (text, group) in [
        ("signal: { stack: web, resource: Instances }\necs: { cluster: c }", "${stack}/ec2/${resource}"),
        ("signal: { lifecycle_hook: { name: launch } }\necs: { cluster: c }", "${cluster}/ec2"),
        ("ecs: { cluster: c }", "${cluster}/ec2"),
        ("docker: { data_root: /data }", "ecs-firstrun/${account}"),
        ("logs: { group: mine }\necs: { cluster: c }", "mine"),
    ] {
        let expected = LogGroupName::try_from(group.to_owned()).unwrap();
        assert_eq!(configured(text).log_group(), expected, "{text}");
    }
}

#[test]
fn a_label_is_the_last_part_of_the_mount_as_far_as_a_filesystem_takes_it() {
    for (rest, name, label) in [
        ("mount: /data/docker", "xfs", "docker"),
        ("mount: /data/docker, filesystem: ext4", "ext4", "docker"),
        ("mount: /a-b_c.d", "xfs", "a-b_c.d"),
        ("mount: '/a b:c'", "xfs", "abc"),
        ("mount: /é", "xfs", "data"),
        ("mount: /abcdefghijklmnopqrstuvwxyz", "xfs", "abcdefghijkl"),
        ("mount: /abcdefghijklmnopqrstuvwxyz, filesystem: ext4", "ext4", "abcdefghijklmnop"),
        ("mount: /data, label: mine", "xfs", "mine"),
    ] {
        let config = configured(&format!("storage: [{{ device: /dev/xvdf, {rest} }}]"));
        assert_eq!((config.storage[0].filesystem.name(), config.storage[0].label().as_str()), (name, label), "{rest}");
    }
}

#[test]
fn what_is_always_reached_directly_comes_first_and_once() {
    let config = configured("proxy: { url: 'http://proxy:3128', no_proxy: [.internal, localhost, 10.0.0.0/8] }");
    let mut expected = Proxy::ALWAYS_DIRECT.to_vec();
    expected.extend([".internal", "10.0.0.0/8"]);
    assert_eq!(config.proxy.unwrap().no_proxy(), expected);
}

fn said(parsed: &Parsed) -> Vec<&str> {
    parsed.problems.iter().map(|problem| problem.message.as_str()).collect()
}

#[test]
fn the_variables_of_the_shell_original_are_documents() {
    let documents = |set: &[(&str, &str)]| {
        shell_variables(|name| set.iter().find(|(other, _)| *other == name).map(|(_, value)| (*value).to_owned()))
    };
    assert_eq!(documents(&[("STACK_NAME", ""), ("HOME", "/root")]).len(), 0);
    let all = documents(&[
        ("ECS_CLUSTER", "blue"),
        ("PROXY_URL", "http://p:1"),
        ("STACK_NAME", "web"),
        ("AUTOSCALING_GROUP", "Instances"),
        ("AWS_DEFAULT_REGION", "eu-west-1"),
    ]);
    let names: Vec<_> = all.iter().map(|document| document.source.name.as_str()).collect();
    assert_eq!((names.len(), names[0]), (5, "variable ECS_CLUSTER"));
    let expected = "ecs: { cluster: blue }\nproxy: { url: 'http://p:1' }\nsignal: { stack: web, resource: Instances, region: eu-west-1 }";
    let Parsed { config, problems, found, .. } = parse(&all);
    assert_eq!((config, problems, found), (configured(expected), vec![], true));
    // `AWS_DEFAULT_REGION` is set for many programs.
    let Parsed { config, problems, found, .. } = parse(&documents(&[("AWS_DEFAULT_REGION", "eu-west-1")]));
    assert_eq!((config, problems, found), (Config::default(), vec![], false));
}

#[test]
fn of_documents_that_configure_nothing_this_is_said() {
    for texts in [&[""][..], &["", ""], &["logs: {}"]] {
        let parsed = parsed(texts);
        assert!(parsed.found, "{texts:?}");
        assert_eq!(said(&parsed), ["user data: nothing is configured"], "{texts:?}");
    }
    let none = parsed(&[]);
    assert!(!none.found && none.problems.is_empty());
    // A document that can't be read gives no other problem.
    let broken = parsed(&["\0"]);
    assert!(broken.found && said(&broken).len() == 1 && said(&broken)[0].contains("control character"), "{broken:?}");
}

#[test]
fn what_is_right_is_kept_beside_what_is_wrong() {
    let parsed = parsed(&["ecs: { cluster: blue }\nwait: 1\ndocker: { data_root: x }"]);
    assert_eq!(parsed.problems.len(), 2, "{:?}", parsed.problems);
    assert_eq!(parsed.config.ecs, configured("ecs: { cluster: blue }").ecs);
}

#[test]
fn a_name_that_is_like_that_of_a_variable_is_told_unless_it_is_far_too_long() {
    let known = "CREDENTIALS_FETCHER_SECRET_NAME_FOR_DOMAINLESS_GMSA";
    let remedy = |name: &str| {
        let parsed = parsed(&[&format!("ecs: {{ cluster: blue, config: {{ {name}: x }} }}")]);
        parsed.problems[0].remedy.clone().unwrap()
    };
    let like = format!("{known}{}", "S".repeat(99 - known.len()));
    assert_eq!(remedy(&like), format!("did you mean `{known}`?"));
    for name in [&*format!("{like}S"), "ZZZZ"] {
        assert_eq!(remedy(name), "the ECS agent's documentation lists its variables");
    }
    let parsed = parsed(&["ecs: { cluster: blue, config: [x] }"]);
    assert_eq!(said(&parsed), ["`ecs.config` is a list, but a mapping of the ECS agent's variables is expected"]);
}

#[test]
fn that_there_are_more_problems_is_said_once_and_last() {
    let wrong = |count: usize| -> String { (0..count).map(|n| format!("k{n}: 1\n")).collect() };
    let more = Problem::too_many().message;
    let most = crate::document::problem::MOST;
    let twice = "ecs: { cluster: blue }\n".repeat(61);
    let files = |count: usize| format!("logs: {{ files: [{}] }}", "{ path: /a }, ".repeat(count));
    for (texts, shown, is_more) in [
        (&[&*files(most + 1)][..], most, false),
        (&[&*files(most + 2)], most + 1, true),
        (&[&*"ecs: { cluster: blue }\n".repeat(most + 2)], most + 1, true),
        (&[&*wrong(most)], most, false),
        (&[&*wrong(most + 1)], most + 1, true),
        (&[&*wrong(3), "1"], 4, false),
        (&[&*twice, &*format!("# another\n{twice}")], most + 1, true),
    ] {
        let parsed = parsed(texts);
        let said = said(&parsed);
        assert_eq!((said.len(), said.contains(&&*more)), (shown, is_more), "{said:?}");
        assert!(!is_more || said.last() == Some(&&*more), "{said:?}");
    }
    // In a large document, fewer problems are looked for.
    let large = wrong(900).replace(": 1", ": [1, 2, 3, 4, 5, 6, 7, 8, 9]");
    let parsed = parsed(&[&large]);
    assert!(parsed.problems.len() < most && said(&parsed).last() == Some(&&*more), "{:?}", parsed.problems);
}

#[test]
fn a_summary_is_the_first_problem_and_how_many_more_there_are() {
    assert_eq!(summary(&[]), "");
    let one = Problem::general("it is wrong").remedy("mend it");
    let place = &parsed(&["ecs: 1"]).problems[0];
    for (problems, wanted) in [
        (vec![one.clone()], "it is wrong (mend it)"),
        (vec![one.clone(), one.clone()], "it is wrong (mend it), and 1 more error"),
        (vec![one.clone(), one.clone(), one], "it is wrong (mend it), and 2 more errors"),
        (vec![place.clone()], "user data:2:6: `ecs` is a number, but a mapping is expected"),
    ] {
        assert_eq!(summary(&problems), wanted);
    }
}
