use super::*;

const OURS: &str = r#"{"logs": {"logs_collected": {
    "files": {"collect_list": [{"file_path": "/var/log/messages", "log_group_name": "shop/messages", "retention_in_days": 14}]}}}}"#;

/// Finds the conflicts of these files with ours. They are given by their names below the folder, or by the main file's name.
fn found(others: &[(&str, &str)]) -> Vec<Conflict> {
    let at = |name: &str| match name {
        "amazon-cloudwatch-agent.json" => MAIN_FILE.to_owned(),
        name => format!("{FOLDER}/{name}"),
    };
    let others = others.iter().map(|(name, text)| (at(name), text.as_bytes().to_vec()));
    let files: Vec<_> = others.chain([(CLOUDWATCH_JSON.to_owned(), OURS.into())]).collect();
    conflicts(&files, "eu-west-1")
}

/// Returns the only conflict with a file of the image, which names the file.
fn one(name: &str, text: &str) -> Conflict {
    let conflicts = found(&[(name, text)]);
    let [conflict] = conflicts.as_slice() else { panic!("{name}: {conflicts:?}") };
    assert!(conflict.to_string().contains(name), "{conflict}");
    conflict.clone()
}

// The translator of the CloudWatch agent 1.300071.0 judges each of these files in the same way.

#[test]
fn what_goes_together_is_not_complained_of() {
    let metrics = r#"{"agent": {"metrics_collection_interval": 60, "region": "eu-west-1"},
        "metrics": {"metrics_collected": {"mem": {"measurement": ["mem_used_percent"]}, "procstat": [{"exe": "a", "measurement": ["pid_count"]}]}}}"#;
    for others in [
        vec![],
        vec![("metrics.json", metrics)],
        vec![
            ("a.json", metrics),
            (
                "b.json",
                r#"{"agent": {"metrics_collection_interval": 60.0}, "metrics": {"metrics_collected": {"procstat": [{"exe": "b", "measurement": ["pid_count"]}]}}}"#,
            ),
        ],
        vec![("amazon-cloudwatch-agent.json", metrics)],
        // Another log group, the same group with the same retention, and the same group without a retention.
        vec![(
            "own",
            r#"{"logs": {"logs_collected": {"files": {"collect_list": [
            {"file_path": "/a", "log_group_name": "a", "retention_in_days": 1},
            {"file_path": "/b", "log_group_name": "SHOP/messages", "retention_in_days": 14},
            {"file_path": "/c", "log_group_name": "shop/messages"},
            {"file_path": "/d", "log_group_name": "shop/messages", "retention_in_days": -1},
            {"file_path": "/e", "log_group_name": "e", "log_group_class": "DELIVERY"},
            {"file_path": "/f", "log_group_name": "e", "log_group_class": "standard"}]}}}}"#,
        )],
        vec![("copy.json", OURS)],
        // Our files read the journal without that section.
        vec![("j.json", r#"{"logs": {"logs_collected": {"journald": {"collect_list": [{"log_group_name": "j"}]}}}}"#)],
        vec![("null.json", "null"), ("empty.json", "{}")],
        vec![("otel.yaml", "receivers:\n  nop:\nexporters:\n  a: 1\n")],
        vec![("old.json.tmp", "{")],
        vec![
            ("other.json", r#"{"logs": {"logs_collected": {}}, "unknown": {"a": 1}}"#),
            ("other2.json", r#"{"unknown": {"a": 2}}"#),
        ],
    ] {
        assert_eq!(found(&others), [], "{others:?}");
    }
}

#[test]
fn values_that_differ_are_named_with_both_files() {
    let retention = r#"{"logs": {"logs_collected": {"files": {"collect_list": [{"file_path": "/x", "log_group_name": "Shop/Messages", "retention_in_days": 7}]}}}}"#;
    for name in ["own.json", "amazon-cloudwatch-agent.json", "below/own.json", "own.json.bak", ".own.swp"] {
        let words = one(name, retention).found;
        assert!(words.contains("`retention_in_days` of the log group ") && words.contains(CLOUDWATCH_JSON), "{words}");
    }
    let after = one("own.json", retention);
    assert_eq!(
        after.to_string(),
        format!(
            "{CLOUDWATCH_JSON} and {FOLDER}/own.json give different values for `retention_in_days` of the log group \
             Shop/Messages, so the CloudWatch agent does not start; remove it from {FOLDER}/own.json in the image"
        )
    );
    assert!(!after.is_harmless);
    let before = one("a.json", retention);
    assert_eq!(before.remedy, format!("remove it from {FOLDER}/a.json in the image"));
}

#[test]
fn files_of_the_image_that_contradict_each_other_are_found_as_well() {
    for (one, other, path) in [
        (r#"{"agent": {"region": "us-east-1"}}"#, r#"{"agent": {"region": "eu-west-1"}}"#, "`agent.region`"),
        (
            r#"{"logs": {"endpoint_override": "https://a"}}"#,
            r#"{"logs": {"endpoint_override": "https://b"}}"#,
            "`logs.endpoint_override`",
        ),
        (
            r#"{"metrics": {"metrics_collected": {"mem": {"measurement": ["a"]}}}}"#,
            r#"{"metrics": {"metrics_collected": {"mem": {"measurement": ["b"]}}}}"#,
            "`metrics.metrics_collected.mem`",
        ),
        (
            r#"{"logs": {"logs_collected": {"journald": {"collect_list": [{"log_group_name": "audit", "units": ["auditd.service"]}]}}}}"#,
            r#"{"logs": {"logs_collected": {"journald": {"collect_list": [{"log_group_name": "all"}]}}}}"#,
            "`logs.logs_collected.journald`",
        ),
        (
            r#"{"logs": {"logs_collected": {"files": {"collect_list": [{"file_path": "/x", "log_group_name": "g", "log_group_class": "standard"}]}}}}"#,
            r#"{"logs": {"logs_collected": {"files": {"collect_list": [{"file_path": "/x", "log_group_name": "G", "log_group_class": "INFREQUENT_ACCESS"}]}}}}"#,
            "`log_group_class` of the log group G",
        ),
    ] {
        let conflicts = found(&[("m.json", one), ("n.json", other)]);
        assert_eq!(conflicts.len(), 1, "{conflicts:?}");
        let words = conflicts[0].to_string();
        assert!(words.contains(path) && words.contains("/m.json") && words.contains("/n.json"), "{words}");
        assert!(!words.contains("ecs-firstrun"), "{words}");
    }
}

#[test]
fn groups_are_compared_with_the_region_filled_in() {
    let entry = |group: &str, days: u32| {
        let entry = format!(r#"{{"file_path": "/x", "log_group_name": "{group}", "retention_in_days": {days}}}"#);
        format!(r#"{{"logs": {{"logs_collected": {{"files": {{"collect_list": [{entry}]}}}}}}}}"#)
    };
    let (filled, open) = (entry("shop/EU-west-1/x", 7), entry("shop/{aws_region}/X", 14));
    let conflicts = found(&[("a.json", &filled), ("b.json", &open)]);
    assert_eq!(conflicts.len(), 1, "{conflicts:?}");
    assert!(
        conflicts[0].found.ends_with("for `retention_in_days` of the log group shop/{aws_region}/X"),
        "{conflicts:?}"
    );
    assert_eq!(found(&[("a.json", &entry("shop/us-east-1/x", 7)), ("b.json", &open)]), []);
    // The agent fills in the region that a file sets, wherever the instance is.
    let region = r#"{"agent": {"region": "us-east-1"}}"#;
    let elsewhere = found(&[("a.json", &entry("shop/us-east-1/x", 7)), ("b.json", &open), ("z.json", region)]);
    assert!(elsewhere.iter().any(|conflict| conflict.found.contains("`retention_in_days`")), "{elsewhere:?}");
    let files =
        [("a", &filled), ("b", &open)].map(|(name, text)| (format!("{FOLDER}/{name}"), text.clone().into_bytes()));
    assert_eq!(super::conflicts(&files, ""), [], "the region of an image's instances is not known");
}

#[test]
fn what_is_no_json_keeps_those_after_it_from_being_read() {
    let ours = "reads no file after it, ecs-firstrun.json included";
    for (name, text, why, is_harmless) in [
        ("aa.json", "{broken", ours, false),
        ("aa.txt", "", ours, false),
        ("README", "Put files here", ours, false),
        ("a/b.json", "[]", ours, false),
        ("ecs-firstrun", "{}{}", ours, false),
        ("dump.yml", "a: 1", ours, false),
        ("bom.json", "\u{feff}{}", ours, false),
        ("ecs-firstrun.json.bak", "{", "reads no file after it", true),
        ("zz.json", "{\"a\": hunter2}", "reads no file after it", true),
        ("amazon-cloudwatch-agent.json", "{,}", "does not start", false),
    ] {
        let conflict = one(name, text);
        assert!(conflict.why.ends_with(why), "{name}: {conflict}");
        assert_eq!(conflict.is_harmless, is_harmless, "{name}");
        assert!(
            conflict.found.contains(" is not a JSON object (") && !conflict.found.contains("hunter2"),
            "{conflict}"
        );
    }
    let yaml = one("otel.yaml", "a: 1\nreceivers: [\n");
    assert!(
        yaml.found.ends_with("otel.yaml is not valid YAML (line 3)") && yaml.why.ends_with("does not start"),
        "{yaml}"
    );
    // The files before a broken file are compared all the same.
    let both = found(&[
        ("a.json", r#"{"agent": {"region": "a"}}"#),
        ("b.json", r#"{"agent": {"region": "b"}}"#),
        ("c.json", "x"),
    ]);
    assert_eq!(both.len(), 2, "{both:?}");
}

#[test]
fn a_region_that_the_image_gives_to_all_logs_is_told() {
    let region = one("region.json", r#"{"agent": {"region": "us-east-1"}}"#);
    assert!(region.found.ends_with("sets `agent.region` to us-east-1, and the instance is in eu-west-1"), "{region}");
    assert!(region.is_harmless && region.remedy.contains("region.json"), "{region}");
    assert_eq!(found(&[("region.json", r#"{"agent": {"region": "eu-west-1"}}"#)]), []);
    let files = [(format!("{FOLDER}/x"), br#"{"agent": {"region": "us-east-1"}}"#.to_vec())];
    assert_eq!(conflicts(&files, ""), [], "the region of an image's instances is not known");
    let ours = [(CLOUDWATCH_JSON.to_owned(), files[0].1.clone())];
    assert_eq!(conflicts(&ours, "eu-west-1"), []);
}
