use super::*;

/// The configuration that a document stands for.
pub(crate) fn configured(text: &str) -> Config {
    let document = decode::decode("user data", format!("#ecs-firstrun\n{text}").as_bytes());
    let parsed = parse(&document.documents);
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
        assert_eq!(configured(text).log_group(), template(group), "{text}");
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
