mod logs;

use std::fmt;

use serde::Serialize;

use super::*;

fn accepts<T: TryFrom<String>>(text: &str) -> bool {
    T::try_from(text.to_owned()).is_ok()
}

#[test]
fn grammars_accept_and_refuse() {
    let table: [(fn(&str) -> bool, &[&str], &[&str]); 15] = [
        (
            accepts::<ClusterName>,
            &["prod", "a_b-1", "arn:aws:ecs:eu-west-1:123456789012:cluster/prod"],
            &["", "a b", "a.b", "arn:aws:ec2:eu-west-1:1:cluster/x", "arn:aws:ecs:eu-west-1:1:cluster/", "x\ny"],
        ),
        (
            accepts::<StackName>,
            &["web", "arn:aws:cloudformation:us-east-1:1:stack/web/guid"],
            &["", "1web", "we_b", "arn:x"],
        ),
        (accepts::<LogicalId>, &["Instances"], &["", "my-asg", "asg_1"]),
        (accepts::<LifecycleHookName>, &["launch", "a_b/c-1"], &["", "a b", "arn:x"]),
        (
            accepts::<GroupName>,
            &["web-Instances-1A2B", "my group"],
            &["", "a\nb", "arn:aws:autoscaling:eu-west-1:1:autoScalingGroup:x:autoScalingGroupName/web"],
        ),
        (
            accepts::<ImageName>,
            &["nginx", "a.local:5000/b/c__d:V1", "123456789012.dkr.ecr.eu-central-1.amazonaws.com/base:7"],
            &["", "Nginx", "a b", "https://a/b", "a:b:c", "a/:1", "a@sha256:0", "me@host/a"],
        ),
        (accepts::<Region>, &["eu-central-1", "us-gov-west-1"], &["", "frankfurt", "EU-CENTRAL-1"]),
        (accepts::<FilesystemLabel>, &["docker", "a-b_c.d"], &["", "a b", "a/b"]),
        (accepts::<AbsolutePath>, &["/", "/data", "/data/docker"], &["", "data", "/data/", "//", "/a/../b", "/a\n"]),
        (accepts::<RelativePath>, &["public", "a/b"], &["", "/a", "a/", "../a", "a//b"]),
        (accepts::<Owner>, &["0:0", "1000:1000"], &["", "root", "1000", "root:root", "1:-1", "+1:+1"]),
        (accepts::<Mode>, &["0755", "700"], &["", "755x", "0999", "07555", "+755"]),
        (accepts::<TimeSpan>, &["90s", "15m", "1h 30m"], &["", "15", "0s", "13h", "-1s"]),
        (
            accepts::<ProxyUrl>,
            &["http://proxy:3128", "https://u:p%40@h:1"],
            &[
                "",
                "proxy:3128",
                "http://",
                "socks5://h:1",
                "http://h/x",
                "http://h\n:1",
                "http:///h",
                "http://A%ED",
                "http://h\u{fc}",
            ],
        ),
        (
            accepts::<Device>,
            &["/dev/xvdcy", "/dev/sdf", "instance_store", "/dev/disk/by-id/x"],
            &["", "xvdcy", "/dev/", "/dev/nvme1n1", "/dev/../etc"],
        ),
    ];
    for (index, (check, good, bad)) in table.iter().enumerate() {
        good.iter().for_each(|text| assert!(check(text), "row {index}: {text:?} is refused"));
        bad.iter().for_each(|text| assert!(!check(text), "row {index}: {text:?} is accepted"));
    }
}

#[test]
fn what_is_just_as_long_as_it_may_be_is_accepted() {
    let letters = |count: usize| "a".repeat(count);
    let others = |count: usize| "é".repeat(count);
    let of = |head: &str, count: usize| format!("{head}{}", letters(count - head.len()));
    let table: [(fn(&str) -> bool, String, String); 16] = [
        (accepts::<ClusterName>, letters(255), letters(256)),
        (accepts::<StackName>, letters(128), letters(129)),
        (accepts::<LogicalId>, letters(255), letters(256)),
        (accepts::<LifecycleHookName>, letters(255), letters(256)),
        (accepts::<GroupName>, others(255), others(256)),
        (accepts::<Region>, of("a-b-", 32), of("a-b-", 33)),
        (accepts::<AbsolutePath>, of("/", 4096), of("/", 4097)),
        (accepts::<AttributeName>, letters(128), letters(129)),
        (accepts::<AttributeValue>, letters(128), letters(129)),
        (accepts::<TagKey>, others(128), others(129)),
        (accepts::<TagValue>, others(256), others(257)),
        (accepts::<TimestampFormat>, format!("%m%d{}", "-".repeat(4092)), format!("%m%d{}", "-".repeat(4093))),
        (accepts::<RegularExpression>, letters(4096), letters(4097)),
        (accepts::<RoleArn>, of("arn:aws:iam::123456789012:role/", 2048), of("arn:aws:iam::123456789012:role/", 2049)),
        (accepts::<TimeSpan>, "12h".to_owned(), "12h 1ns".to_owned()),
        (accepts::<Owner>, "4294967295:0".to_owned(), "4294967296:0".to_owned()),
    ];
    for (check, longest, longer) in table {
        assert!(check(&longest) && !check(&longer), "{longest}");
    }
}

#[test]
fn each_character_that_a_grammar_leaves_out_is_refused() {
    let table: [(fn(&str) -> bool, &[&str], &[&str]); 13] = [
        (accepts::<ClusterName>, &[], &["arn:aws:ecs:eu-west-1:cluster/x", "arn:aws:ecs:eu-west-1:1:service/x"]),
        (
            accepts::<StackName>,
            &["a", "arn:aws:cloudformation:us-east-1:1:stack/web"],
            &["arn:aws:cloudformation:us-east-1:stack/web", "arn:aws:cloudformation:us-east-1:1:stack//guid"],
        ),
        (accepts::<Region>, &["a-b-c"], &["eu-central", "a_b-c-d", "a-b-C"]),
        (accepts::<AbsolutePath>, &["/a b", "/..a"], &["/.", "/a/.", "/a ", "/a\u{a0}", "/\u{7}a", "//a"]),
        (accepts::<RelativePath>, &["a b", "..a"], &[".", "..", "a/..", "a/./b", "a\nb"]),
        (accepts::<MountOption>, &["noatime", "size=1m"], &["", "a b", "a\tb", "a\0", "a,b", "a%b", "a\"", "a\\"]),
        (accepts::<NoProxyEntry>, &[".internal", "10.0.0.0/8"], &["", "a b", "a\0", "a,b", "a%b", "'a'", "a\\b"]),
        (accepts::<AttributeName>, &["a-_/\\.1"], &["", "a b", "a:b"]),
        (accepts::<AttributeValue>, &["a b", "-_.@/\\:"], &["", " a", "a ", "a+b"]),
        (accepts::<TagKey>, &["a +-=._:/@", "é1", "awsome"], &["", "aws:x", "AWS:x", "a!"]),
        (accepts::<TagValue>, &["", "a +-=._:/@", "é1"], &["a!", "a\n"]),
        (accepts::<OneLine>, &["a", "é %"], &["", "a\nb"]),
        (accepts::<Device>, &["/dev/a-_.:@+1/b"], &["/dev/a b", "/dev/a*", "/devs/a"]),
    ];
    for (index, (check, good, bad)) in table.iter().enumerate() {
        good.iter().for_each(|text| assert!(check(text), "row {index}: {text:?} is refused"));
        bad.iter().for_each(|text| assert!(!check(text), "row {index}: {text:?} is accepted"));
    }
    assert!(Device::try_from("/dev/".to_owned()).unwrap_err().contains("is not a device"));
}

#[test]
fn what_is_in_a_value_is_found() {
    let made = |text: &str| StackName::try_from(text.to_owned()).unwrap();
    for (stack, name, region) in [
        ("web", "web", None),
        ("arn:aws:cloudformation:us-east-1:1:stack/web/guid", "web", Some("us-east-1")),
        ("arn:aws:cloudformation::1:stack/web", "web", None),
    ] {
        assert_eq!((made(stack).name(), made(stack).region()), (name, region), "{stack}");
    }
    for (cluster, name) in [("blue", "blue"), ("arn:aws:ecs:eu-west-1:1:cluster/blue", "blue")] {
        assert_eq!(ClusterName::try_from(cluster.to_owned()).unwrap().name(), name);
    }
    assert_eq!(Owner::try_from("1000:50".to_owned()).unwrap().ids(), (1000, 50));
    assert!(RetentionDays::try_from(8).unwrap_err().ends_with("the nearest that it knows is 7"));
}

#[test]
fn values_are_written_as_they_are_read() {
    fn written<T: TryFrom<String, Error: fmt::Debug> + Serialize>(text: &str) -> serde_json::Value {
        serde_json::to_value(T::try_from(text.to_owned()).unwrap()).unwrap()
    }
    assert_eq!(written::<Mode>("755"), "0755");
    assert_eq!(written::<TimeSpan>("90s"), "1m 30s");
    assert_eq!(written::<Device>("/dev/xvdf"), "/dev/xvdf");
    assert_eq!(written::<Device>("instance_store"), "instance_store");
    assert_eq!(written::<AbsolutePath>("/data"), "/data");
    assert_eq!(serde_json::to_value(RetentionDays::try_from(30).unwrap()).unwrap(), 30);
}

#[test]
fn a_proxy_has_a_host_and_no_more() {
    for (url, secret, for_programs) in [
        ("http://proxy:3128", false, "http://proxy:3128"),
        ("http://proxy:80", false, "http://proxy:80"),
        ("https://proxy/", false, "https://proxy:443"),
        ("http://[fd00::1]:3128", false, "http://[fd00::1]:3128"),
        ("http://user@proxy", true, "http://user@proxy:80"),
        ("http://:pass@proxy", true, "http://:pass@proxy:80"),
        ("http://a@b:c@proxy", true, "http://a%40b:c@proxy:80"),
        ("http://me:pa$HOME&'%22`%C3%A9%25@proxy", true, "http://me:pa%24HOME%26%27%22%60%C3%A9%25@proxy:80"),
    ] {
        let proxy = ProxyUrl::try_from(url.to_owned()).unwrap();
        assert_eq!((proxy.0.has_secret(), proxy.for_programs()), (secret, for_programs.to_owned()), "{url}");
        assert_eq!(proxy.0.to_string().contains("***@"), secret, "{}", proxy.0);
    }
    for (url, wanted) in [
        ("http://proxy?x", "more than a host and a port"),
        ("http://wpad.corp.example/proxy.pac", "that of a PAC file"),
        ("http://wpad/wpad.dat", "that of a PAC file"),
        ("http://me:a%0Ab@proxy:3128", "holds a control character"),
        ("http://a%00:b@proxy:3128", "holds a control character"),
        ("http://proxy#x", "more than a host and a port"),
        ("http://proxy/x", "more than a host and a port"),
        ("http:\\\\proxy", "has no scheme"),
        ("http://\\proxy", "does not begin with http:// or https:// and a host"),
        ("ftp://proxy", "does not begin with http:// or https:// and a host"),
        ("http://u:é@pro%41xy", "characters other than ASCII"),
        ("http://u\u{7f}@proxy", "a space or a line break"),
        ("http://proxy:x", "is not a URL: invalid port number"),
    ] {
        let error = ProxyUrl::try_from(url.to_owned()).unwrap_err();
        assert!(error.contains(wanted), "{url}: {error}");
    }
    // Parts of a URL other than the host may have any letters.
    assert!(accepts::<ProxyUrl>("http://é:é@proxy") && accepts::<WaitHandle>("https://h/é?é#é"));
    let handle = WaitHandle::try_from("https://h/x?a".to_owned()).unwrap();
    assert!(handle.0.has_secret());
    assert!(!WaitHandle::try_from("https://h/x".to_owned()).unwrap().0.has_secret());
}

#[test]
fn a_secret_url_is_shown_without_its_secrets() {
    let proxy = ProxyUrl::try_from("http://user:hunter2@proxy.internal:3128".to_owned()).unwrap();
    assert_eq!(
        format!("{} {:?}", proxy.0, proxy),
        "http://***@proxy.internal:3128 ProxyUrl(http://***@proxy.internal:3128)"
    );
    let handle = WaitHandle::try_from("https://bucket.s3.amazonaws.com/key?Signature=abc".to_owned()).unwrap();
    assert_eq!(handle.0.to_string(), "https://bucket.s3.amazonaws.com/key?***");
}
