//! User data with parts for some of the instances that were launched together, by their launch index.

use crate::support::host::Host;

/// Two clusters, one for the first instance of a launch and one for all others that have none; a mistake for the fourth.
const USER_DATA: &str = "\
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=b

--b
Content-Type: application/vnd.ecs-firstrun+yaml

ecs: {cluster: production}
wait: {timeout: 3s}
--b
Content-Type: application/vnd.ecs-firstrun+yaml
Launch-Index: 1

ecs: {attributes: {stack: second}}
--b
Content-Type: application/vnd.ecs-firstrun+yaml
Launch-Index: 3

ecs: {clusters: fourth}
--b--
";

fn host(launch_index: u32) -> Host {
    Host::in_cloud(USER_DATA, |options| options.identity.launch_index = launch_index)
}

#[test]
fn each_instance_of_a_launch_reads_its_own_parts() {
    for (launch_index, code, has_attribute) in [(0, Some(0), false), (1, Some(0), true), (2, Some(0), false)] {
        let host = host(launch_index);
        let ended = host.run();
        assert_eq!(ended.code, code, "{launch_index}: {}", ended.stderr);
        let config = host.text("/etc/ecs/ecs.config");
        assert_eq!(config.contains("second"), has_attribute, "{launch_index}: {config}");
        assert!(ended.stderr.contains("part 3 is for the launch index 3, and not read here"), "{}", ended.stderr);
    }
    let host = host(3);
    assert_ne!(host.run().code, Some(0));
    assert!(host.reason().contains("unknown key `clusters`"));
}

#[test]
fn where_the_index_is_not_to_be_had_the_parts_for_each_are_read_as_cloud_init_does() {
    let host = Host::in_cloud(USER_DATA, |options| {
        options.imds_faults.refused = vec!["/latest/meta-data/ami-launch-index"];
    });
    let ended = host.run();
    assert!(ended.stderr.contains("going on without /latest/meta-data/ami-launch-index: "), "{}", ended.stderr);
    assert!(host.reason().contains("unknown key `clusters`"));
}

#[test]
fn a_reboot_without_instance_metadata_goes_by_the_index_that_was_kept() {
    let host = host(1);
    assert_eq!(host.run().code, Some(0));
    host.put("/sys/class/dmi/id/board_asset_tag", crate::support::host::INSTANCE);
    let nobody = ("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1");
    let ended = host.run_with(&[nobody]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(host.text("/etc/ecs/ecs.config").contains("second"));
}

#[test]
fn a_plan_is_for_the_index_of_the_facts_and_says_what_it_leaves_out() {
    let host = host(0);
    host.put("/user-data", USER_DATA);
    let facts = std::fs::read_to_string("examples/facts/amazon-linux-2023.json").unwrap();
    let plan = |index: &str| {
        let facts = facts.replace("  \"launch_index\": 0,\n", index);
        std::fs::write(host.at("/facts.json"), facts).unwrap();
        let [user_data, facts] = ["/user-data", "/facts.json"].map(|path| host.at(path).display().to_string());
        host.call(&["plan", "--user-data", &user_data, "--facts", &facts], &[])
    };
    let second = plan("\"launch_index\": 1,");
    assert_eq!(second.code, Some(0), "{}", second.stderr);
    assert!(second.stdout.contains("part 3 is for the launch"), "{}", second.stdout);
    assert!(!second.stdout.contains("part 2 is for the launch"), "{}", second.stdout);
    assert!(plan("\"launch_index\": 3,").stderr.contains("unknown key `clusters`"));
    // Facts that were recorded before there was an index.
    assert!(plan("").stderr.contains("unknown key `clusters`"));
}

#[test]
fn validate_checks_each_instance_that_a_part_is_for() {
    let host = host(0);
    host.put("/user-data", USER_DATA);
    let path = host.at("/user-data").display().to_string();
    let ended = host.call(&["validate", &path], &[]);
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    let words = "parts with a launch index are checked for each instance that they are for";
    assert_eq!(ended.stderr.matches(words).count(), 1, "{}", ended.stderr);
    assert_eq!(ended.stderr.matches("unknown key `clusters`").count(), 1, "{}", ended.stderr);
    // The lists of two instances meet nowhere, so none replaces the other.
    let list = |index: u32| {
        let document = format!("ecs: {{cluster: web}}\\nproxy: {{url: \\\"http://p:1\\\", no_proxy: [.of{index}]}}");
        format!("- {{type: application/vnd.ecs-firstrun+yaml, launch-index: {index}, content: \"{document}\"}}\n")
    };
    host.put("/user-data", &format!("#cloud-config-archive\n{}{}", list(0), list(1)));
    let ended = host.call(&["validate", &path], &[]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(!ended.stderr.contains("is replaced by"), "{}", ended.stderr);
}
