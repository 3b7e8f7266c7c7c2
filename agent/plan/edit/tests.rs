use super::*;
use proptest::prelude::*;

const PROXY: &[(&str, &str)] = &[("http_proxy", "\"http://new:1\""), ("no_proxy", "\"a\"")];

fn edit(path: &str, section: Option<&'static str>, lines: &[(&'static str, &str)]) -> Edit {
    let lines = lines.iter().map(|(key, value)| ((*key).into(), Contents::Open((*value).to_owned()))).collect();
    Edit {
        path: path.to_owned(),
        section,
        lines,
        at_top: false,
        private: false,
        set_aside: &["proxy_user"],
        separator: "=",
        read_by: None,
    }
}

/// Makes an edit with our lines for two moved data roots, in the policy's file of substitutes.
fn substitutes() -> Edit {
    let path = "/etc/selinux/targeted/contexts/files/file_contexts.subs";
    Edit { separator: " ", ..edit(path, None, &[("/srv/a", "/var/lib/docker"), ("/srv/b", "/var/lib/other")]) }
}

#[test]
fn paths_that_others_have_given_a_label_are_left_to_them() {
    let edit = substitutes();
    assert_eq!(edit.labels().as_deref(), Some("/etc/selinux/targeted/contexts/files/file_contexts.local"));
    assert_eq!(conf(None, &[]).labels(), None);
    let applied =
        |file: Option<&str>, labels: Option<&str>| edit.without_labelled(file, labels).applied_to(file).unwrap();
    let ours = format!("{BEGIN}\n/srv/a /var/lib/docker\n/srv/b /var/lib/other\n{END}\n");
    assert_eq!(applied(None, None), Some(ours.clone()));
    // Our own lines don't count as lines of others.
    assert_eq!(applied(Some(&ours), Some("/srv(/.*)? l\n")), Some(ours.clone()));
    assert_eq!(applied(Some("/srv/a /x\n"), None), Some(format!("/srv/a /x\n{BEGIN}\n/srv/b /var/lib/other\n{END}\n")));
    // semanage(8) writes the file anew, without comments; then our lines are taken for an administrator's.
    let rewritten = "/srv/a /var/lib/docker\n/srv/b /var/lib/other\n";
    assert_eq!(applied(Some(rewritten), None).as_deref(), Some(rewritten));
    let labels = Some("/srv/a(/.*)? l\n/srv/b -d l\n");
    assert_eq!(applied(Some(&format!("/opt /usr\n{ours}")), labels).as_deref(), Some("/opt /usr\n"));
    assert_eq!(applied(None, labels), None);
}

fn conf(section: Option<&'static str>, lines: &[(&'static str, &str)]) -> Edit {
    edit("/etc/x.conf", section, lines)
}

fn toml(lines: &[(&'static str, &str)]) -> Edit {
    edit("/etc/x.toml", Some("proxy"), lines)
}

fn applied(edit: &Edit, text: &str) -> String {
    edit.applied_to(Some(text)).unwrap().unwrap()
}

#[test]
fn the_lines_stand_in_their_section_and_replace_those_of_the_image() {
    let text = "[main]\ngpgcheck=1\nproxy=http://old\nproxy_user=me\n[other]\nproxy=kept\n";
    let edited = applied(&conf(Some("main"), &[("proxy", "http://new")]), text);
    assert_eq!(
        edited,
        "[main]\n# BEGIN ecs-firstrun\nproxy=http://new\n# END ecs-firstrun\ngpgcheck=1\n#ecs-firstrun# proxy=http://old\n#ecs-firstrun# proxy_user=me\n[other]\nproxy=kept\n"
    );
}

#[test]
fn lines_of_ours_are_known_and_those_that_are_secret() {
    let mut with = conf(None, &[("user", "x")]);
    assert!(!with.is_private() && Edit::is_in(&applied(&with, "")) && !Edit::is_in("user=x\n"));
    with.lines.push(("password".into(), Contents::Secret("y".to_owned())));
    assert!(with.is_private());
}

#[test]
fn a_section_that_is_missing_is_added() {
    let edited = applied(&conf(Some("proxy"), &[("http_proxy", "x")]), "# a comment\n");
    assert_eq!(edited, "# a comment\n# BEGIN ecs-firstrun\n[proxy]\nhttp_proxy=x\n# END ecs-firstrun\n");
}

#[test]
fn a_section_is_found_behind_another_and_where_it_is_there_twice_the_lines_are_not() {
    let edited = applied(&conf(Some("main"), &[("proxy", "x")]), "[other]\nproxy=kept\n[main]");
    assert_eq!(
        edited,
        "[other]\nproxy=kept\n[main]\n# BEGIN ecs-firstrun\n# (without a line break before)\nproxy=x\n# END ecs-firstrun\n"
    );
    let edited = applied(&conf(Some("main"), &[("proxy", "x")]), "[main]\n[main]\nproxy=old\n");
    assert_eq!(edited, "[main]\n# BEGIN ecs-firstrun\nproxy=x\n# END ecs-firstrun\n[main]\n#ecs-firstrun# proxy=old\n");
}

/// Files of images, each with another of TOML's ways to define the table, and the other spellings to report.
const SPELLINGS: &[(&str, &[&str])] = &[
    ("", &[]),
    ("# only a comment, and no line break", &[]),
    ("[credentials]\nshared_credential_profile = \"p\"\n", &[]),
    ("[proxy]\nhttp_proxy = \"http://old\" # why\n# kept\n[ssl]\nca_bundle_path = \"/x\"\n", &[]),
    ("[proxy] # comment\nno_proxy = \"x\"", &[]),
    ("[ proxy ]\n\n\thttp_proxy='x'\n", &[]),
    ("[\"proxy\"]\n\"http_proxy\" = \"x\"\n", &[]),
    ("['proxy']\n'http_proxy' = 'x'\r\n", &[]),
    ("proxy = { http_proxy = \"x\", https_proxy = \"y\" } # z\n[ssl]\n", &[]),
    ("proxy={}", &[]),
    ("proxy.http_proxy = \"x\"\nproxy . \"no_proxy\" = \"y\"\n[ssl]\nca_bundle_path = \"/x\"\n", &[]),
    ("\"prox\\u0079\".http_proxy = \"x\"\n", &[]),
    ("[proxy]\nhttp_proxy = \"\"\"\nfirst\n[proxy]\nsecond\"\"\"\nno_proxy = \"x\"\n", &[]),
    ("[proxy]\nlist = [\n  1, # one\n  2,\n]\n[other]\nproxy = 1\nhttp_proxy = 2\n", &[]),
    ("[proxy.more]\na = 1\n[proxy]\nhttp_proxy = \"x\"\n", &[]),
    ("[[proxy]]\nhttp_proxy = \"x\"\n[[proxy]]\n", &[]),
    ("[proxy]\r\nhttp_proxy = \"x\"\r\n", &[]),
    ("\u{feff}[proxy]\nhttp_proxy = \"x\"\n", &[]),
    ("[proxy]\nHTTP_PROXY = \"x\"\nHttps_Proxy = \"y\"\nhttp_proxy = \"z\"\n", &["HTTP_PROXY", "Https_Proxy"]),
    ("[PROXY]\nhttp_proxy = \"x\"\n[proxy]\nno_proxy = \"y\"\n", &["PROXY"]),
    ("Proxy = { NO_PROXY = \"x\" }\n", &["Proxy", "NO_PROXY"]),
    ("PROXY.HTTP_PROXY = \"x\"\n", &["PROXY", "HTTP_PROXY"]),
    ("[proxy]\n\"http\u{17f}_proxy\" = \"x\"\n", &["http\u{17f}_proxy"]),
];

#[test]
fn a_toml_file_has_one_table_whatever_way_the_image_spells_it_and_gets_its_own_back() {
    let with = Edit { lines: toml(&[("https_proxy", "\"s\"")]).lines, ..toml(PROXY) };
    let with = Edit { lines: [toml(PROXY).lines, with.lines].concat(), ..with };
    for (text, told) in SPELLINGS {
        let edited = applied(&with, text);
        let document = toml_edit::Document::parse(&edited).unwrap_or_else(|error| panic!("{edited}: {error:?}"));
        let tables: Vec<_> =
            document.iter().filter(|(key, _)| is_same_in_go(key, "proxy")).map(|(_, item)| item).collect();
        let [table] = tables.as_slice() else { panic!("{edited}") };
        let values: Vec<_> = table.as_table().unwrap().iter().map(|(key, value)| (key, value.as_str())).collect();
        assert_eq!(
            values,
            [("http_proxy", Some("http://new:1")), ("no_proxy", Some("a")), ("https_proxy", Some("s"))],
            "{edited}"
        );
        assert_eq!(applied(&with, &edited), edited, "twice");
        assert_eq!(applied(&toml(&[]), &edited), *text, "{edited}");
        let mut found = with.other_spellings(&edited).unwrap();
        found.dedup();
        assert_eq!(found, *told, "{text}");
        assert!(toml(&[]).other_spellings(&edited).unwrap().is_empty(), "nothing is set aside any more");
        // Lines that are no part of the table stay as they were.
        for line in text.lines().filter(|line| line.contains("ssl") || line.contains("kept") || line.contains("cred")) {
            assert!(edited.lines().any(|kept| kept == line), "{edited}");
        }
    }
}

#[test]
fn a_file_that_was_not_there_goes_and_an_empty_one_stays() {
    for with in [toml(PROXY), conf(Some("main"), PROXY), conf(None, PROXY)] {
        let without = Edit { lines: Vec::new(), ..with.clone() };
        let made = with.applied_to(None).unwrap();
        assert_eq!(without.applied_to(made.as_deref()), Ok(None));
        assert_eq!(with.applied_to(made.as_deref()), Ok(made));
        let filled = applied(&with, "");
        assert_eq!(without.applied_to(Some(&filled)), Ok(Some(String::new())));
        assert_eq!(without.applied_to(None), Ok(None));
        assert_eq!(without.applied_to(Some("")), Ok(Some(String::new())));
    }
}

#[test]
fn what_is_no_toml_is_refused_by_its_line_and_has_our_lines_taken_out_all_the_same() {
    for (text, line) in [
        ("[proxy]\nhttp_proxy = http://x\n", "line 2: "),
        ("a = 1\na = 2\n", "line 2: "),
        ("[proxy\n", "line 1: "),
        ("x = \"\n", "line 1: "),
        ("[proxy]\n[proxy]\n", "line 2: "),
        ("{\"proxy\": 1}\n", "line 1: "),
    ] {
        let refused = toml(PROXY).applied_to(Some(text)).unwrap_err();
        assert!(refused.starts_with(line), "{refused}");
        let edited = format!("{text}# BEGIN ecs-firstrun\n[proxy]\nhttp_proxy = \"x\"\n# END ecs-firstrun\n");
        assert_eq!(toml(&[]).applied_to(Some(&edited)), Ok(Some(text.to_owned())));
    }
}

#[test]
fn what_an_earlier_release_or_somebody_else_has_made_of_it_is_taken_out_and_no_more() {
    let ours = "# BEGIN ecs-firstrun\n[proxy]\nhttp_proxy = \"x\"\nno_proxy = \"y\"\n# END ecs-firstrun\n";
    let ours_without_end = ours.replace("# END ecs-firstrun\n", "");
    for (found, left) in [
        // Our lines in the image's own section, where earlier releases put them.
        (
            "[proxy]\n# BEGIN ecs-firstrun\nhttp_proxy = \"x\"\n# END ecs-firstrun\n#ecs-firstrun# http_proxy = \"old\"\n".to_owned(),
            "[proxy]\nhttp_proxy = \"old\"\n",
        ),
        // A second table, with which the CloudWatch agent does not start.
        (format!("[proxy] # mine\nhttp_proxy = \"old\"\n{ours}"), "[proxy] # mine\nhttp_proxy = \"old\"\n"),
        (format!("a = 1\n{ours}[ssl]\nca_bundle_path = \"/x\"\n"), "a = 1\n[ssl]\nca_bundle_path = \"/x\"\n"),
        (format!("a = 1\n{ours_without_end}[ssl]\nb = 1\n"), "a = 1\n[ssl]\nb = 1\n"),
        (format!("a = 1\n{ours_without_end}"), "a = 1\n"),
        (ours.replace('\n', "\r\n"), ""),
    ] {
        let left = Some(left.to_owned()).filter(|left| !left.is_empty());
        assert_eq!(toml(&[]).applied_to(Some(&found)), Ok(left), "{found}");
        let again = applied(&toml(PROXY), &found);
        assert_eq!(again.matches("[proxy]").count() - again.matches("#ecs-firstrun# [proxy]").count(), 1, "{again}");
        assert_eq!(again.matches(BEGIN).count(), 1, "{again}");
    }
    // Text that is added behind our lines stays on a line of its own, though the file had no line break at its end.
    let edited = applied(&toml(PROXY), "a = 1") + "[ssl]\n";
    assert_eq!(applied(&toml(&[]), &edited), "a = 1\n[ssl]\n");
}

proptest! {
    #[test]
    fn what_was_put_in_is_taken_out_again(
        lines in proptest::collection::vec("(\\[main\\]|proxy=.{0,5}|[a-z =#\\[\\]]{0,12})", 0..12),
        has_break in any::<bool>(),
    ) {
        let mut text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        if !has_break {
            text.pop();
        }
        for section in [None, Some("main")] {
            let with = conf(section, &[("proxy", "http://new")]);
            let edited = applied(&with, &text);
            prop_assert_eq!(applied(&with, &edited), edited.clone());
            prop_assert_eq!(applied(&conf(section, &[]), &edited), text.clone());
        }
    }

    #[test]
    fn a_toml_file_of_any_lines_comes_back_and_is_read_with_our_lines(
        lines in proptest::collection::vec(
            "(\\[ ?\"?(proxy|PROXY|ssl)\"? ?\\]( # x)?|(\"?(http_proxy|NO_PROXY|a|proxy)\"?( ?\\. ?b)? ?= ?(\"x\"|'y'|\\{ c = 1 \\}|\\[\n1, # y\n\\]|\"\"\"\n\\[z\\]\"\"\"))|#.{0,6}|)",
            0..7,
        ),
        has_break in any::<bool>(),
    ) {
        let text = lines.join("\n") + if has_break { "\n" } else { "" };
        let is_toml = toml_edit::Document::parse(&text).is_ok();
        match toml(PROXY).applied_to(Some(&text)) {
            Err(why) => prop_assert!(!is_toml, "{}: {}", why, text),
            Ok(edited) => {
                let edited = edited.unwrap();
                // Like Go's decoder, we take a table that was made by dotted keys before.
                prop_assert!(is_toml || text.contains('.'), "{}", text);
                let document = toml_edit::Document::parse(&edited);
                prop_assert!(document.is_ok(), "{}", edited);
                let tables = document.unwrap().iter().filter(|(key, _)| is_same_in_go(key, "proxy")).count();
                prop_assert_eq!(tables, 1);
                prop_assert_eq!(applied(&toml(PROXY), &edited), edited.clone());
                prop_assert_eq!(applied(&toml(&[]), &edited), text);
            }
        }
    }
}

#[test]
fn lines_at_the_top_leave_all_others_as_they_are() {
    let with = Edit { at_top: true, ..conf(None, &[("ECS_CLUSTER", "ours"), ("X", "1")]) };
    let block = "# BEGIN ecs-firstrun\nECS_CLUSTER=ours\nX=1\n# END ecs-firstrun\n";
    for others in ["", "ECS_CLUSTER=theirs", "a\r\nX=\"2\\\n\n[x]\n", "# END\n", &"y".repeat(1 << 20)] {
        let edited = applied(&with, others);
        assert_eq!(edited, format!("{block}{others}"));
        assert_eq!(applied(&with, &edited), edited, "a second time");
        let later = Edit { at_top: true, ..conf(None, &[("ECS_CLUSTER", "new")]) };
        let appended = format!("{edited}Z=3\n");
        let expected = format!("# BEGIN ecs-firstrun\nECS_CLUSTER=new\n# END ecs-firstrun\n{others}Z=3\n");
        assert_eq!(applied(&later, &appended), expected);
        let none = Edit { at_top: true, ..conf(None, &[]) };
        assert_eq!(applied(&none, &appended), format!("{others}Z=3\n"));
        assert_eq!(applied(&none, &edited), others);
    }
    // A release without markers wrote these lines, and others may have appended to them.
    for others in ["", "ECS_CLUSTER=theirs\n"] {
        assert_eq!(applied(&with, &format!("ECS_CLUSTER=ours\nX=1\n{others}")), format!("{block}{others}"));
    }
    // The time for many lines between the markers is linear in their number.
    let many = format!("# BEGIN ecs-firstrun\n{}# END ecs-firstrun\nY=2\n", "A=1\n".repeat(1 << 20));
    assert_eq!(applied(&with, &many), format!("{block}Y=2\n"));
}
