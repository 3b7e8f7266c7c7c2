//! The log agent of the image, and the files that the image brings for it.

use super::{Image, is_refused};

/// A file that an image brings for the CloudWatch agent.
const FOLDER: &str = "/opt/aws/amazon-cloudwatch-agent/etc/amazon-cloudwatch-agent.d";

#[test]
fn an_image_without_a_log_agent_is_refused_unless_it_asks_for_none() {
    let version = "/opt/aws/amazon-cloudwatch-agent/bin/CWAGENT_VERSION";
    is_refused(|image| image.remove(version), "log_agent", &["there is no log agent", "amazon-cloudwatch-agent"]);
    let unit = "/etc/systemd/system/amazon-cloudwatch-agent.service";
    is_refused(|image| image.remove(unit), "log_agent", &["but not its unit, amazon-cloudwatch-agent.service"]);
    let image = Image::new();
    image.remove(version);
    image.put("/usr/lib/systemd/system/awslogsd.service", "[Unit]\n");
    assert_eq!(image.findings().0, Some(0), "awslogs is one, too");
    image.put("/etc/ecs-firstrun/conf.d/10-logs.yaml", "logs: {agent: cloudwatch}\n");
    assert_eq!(image.findings().0, Some(1), "but not the one that is configured");
    image.remove("/usr/lib/systemd/system/awslogsd.service");
    image.put("/etc/ecs-firstrun/conf.d/10-logs.yaml", "logs: {agent: none}\n");
    assert_eq!(image.findings().0, Some(0), "none is configured");
}

#[test]
fn files_for_the_log_agent_that_go_with_ours_are_right() {
    let image = Image::new();
    let metrics =
        r#"{"agent": {"run_as_user": "root"}, "metrics": {"metrics_collected": {"disk": {"measurement": ["used"]}}}}"#;
    image.put(&format!("{FOLDER}/metrics.json"), metrics);
    image.put("/opt/aws/amazon-cloudwatch-agent/etc/common-config.toml", "[proxy]\nHTTP_PROXY = \"http://image:1\"\n");
    image.put("/opt/aws/amazon-cloudwatch-agent/bin/CWAGENT_VERSION", "1.300071.0b1\n");
    assert_eq!(image.findings().0, Some(0));
    // A journal of the image's own goes with ours, which is read otherwise.
    let journal = r#"{"logs": {"logs_collected": {"journald": {"collect_list": [{"log_group_name": "j"}]}}}}"#;
    image.put(&format!("{FOLDER}/journal.json"), journal);
    image.put(&format!("{FOLDER}/same.json"), journal);
    assert_eq!(image.findings().0, Some(0), "{:#?}", image.findings().1);
}

#[test]
fn a_file_that_keeps_the_log_agent_from_its_work_is_refused() {
    let put =
        |name: &'static str, text: &'static str| move |image: &Image| image.put(&format!("{FOLDER}/{name}"), text);
    let journals = |image: &Image| {
        for (name, unit) in [("a.json", "sshd.service"), ("b.json", "auditd.service")] {
            let section = format!(r#"{{"collect_list": [{{"log_group_name": "j", "units": ["{unit}"]}}]}}"#);
            image.put(
                &format!("{FOLDER}/{name}"),
                format!(r#"{{"logs": {{"logs_collected": {{"journald": {section}}}}}}}"#),
            );
        }
    };
    is_refused(
        journals,
        "log_agent",
        &["/a.json and ", "/b.json give different values for `logs.logs_collected.journald`"],
    );
    is_refused(
        put("README.txt", "nothing to see\n"),
        "log_agent",
        &["/README.txt is not a JSON object (", "correct it in the image"],
    );
    is_refused(put("sub/x.json", "{\"agent\": "), "log_agent", &["/sub/x.json is not a JSON object ("]);
    is_refused(put("otel.yaml", "receivers: ["), "log_agent", &["/otel.yaml is not valid YAML (line "]);
    let main = |image: &Image| image.put("/opt/aws/amazon-cloudwatch-agent/etc/amazon-cloudwatch-agent.json", "");
    is_refused(main, "log_agent", &["/amazon-cloudwatch-agent.json is not a JSON object ("]);
    let common = |image: &Image| image.put("/opt/aws/amazon-cloudwatch-agent/etc/common-config.toml", "[proxy\n");
    is_refused(common, "log_agent", &["common-config.toml is not valid TOML (line 1: ", "or empty it there"]);
    let missing = |image: &Image| image.remove("/opt/aws/amazon-cloudwatch-agent/etc/common-config.toml");
    is_refused(missing, "log_agent", &["common-config.toml is missing", "an empty file is enough"]);
    let retention = |image: &Image| {
        let entry = |days: u32| {
            format!(
                r#"{{"logs": {{"logs_collected": {{"files": {{"collect_list": [{{"file_path": "/x", "log_group_name": "web/ec2/Instances/var/log/ecs/ecs-agent", "retention_in_days": {days}}}]}}}}}}}}"#
            )
        };
        image.put(&format!("{FOLDER}/a.json"), entry(7));
        image.put(&format!("{FOLDER}/b.json"), entry(14));
    };
    is_refused(retention, "log_agent", &["/a.json and ", "/b.json give different values for `retention_in_days`"]);
    let password = |image: &Image| {
        image.put("/etc/ecs-firstrun/conf.d/50.yaml", "proxy: {url: 'http://me:canary@proxy:3128'}\n");
        let entry = r#"{"file_path": "/var/log/messages", "log_group_name": "shop"}"#;
        image.put(
            &format!("{FOLDER}/shop.json"),
            format!(r#"{{"logs": {{"logs_collected": {{"files": {{"collect_list": [{entry}]}}}}}}}}"#),
        );
    };
    is_refused(
        password,
        "log_agent",
        &["/shop.json sends /var/log/messages to the log group shop", "_PROXY is set to"],
    );
    let of_ours = |image: &Image| {
        image.put("/etc/ecs-firstrun/conf.d/50.yaml", "logs: {retention_days: 30}\n");
        let entry = r#"{"file_path": "/x", "log_group_name": "web/ec2/Instances/var/log/ecs/ecs-agent", "retention_in_days": 7}"#;
        image.put(
            &format!("{FOLDER}/image.json"),
            format!(r#"{{"logs": {{"logs_collected": {{"files": {{"collect_list": [{entry}]}}}}}}}}"#),
        );
    };
    is_refused(
        of_ours,
        "log_agent",
        &["/ecs-firstrun.json and ", "/image.json give different values for `retention_in_days`"],
    );
}
