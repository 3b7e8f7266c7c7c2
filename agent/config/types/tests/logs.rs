//! The grammars of the values of `logs`.

use super::*;

fn error<T: TryFrom<String, Error = String>>(text: &str) -> String {
    T::try_from(text.to_owned()).err().unwrap_or_default()
}

/// Asserts that each text is refused with its words.
fn refuses<T: TryFrom<String, Error = String>>(table: &[(&str, &str)]) {
    for (text, words) in table {
        let error = error::<T>(text);
        assert!(error.contains(words), "{text:?}: {error:?}");
    }
}

#[test]
fn names_are_filled_in() {
    let name = LogGroupName::try_from("${stack}/ec2/{account_id}/${resource}".to_owned()).unwrap();
    assert_eq!(name.0.variables().collect::<Vec<_>>(), [Variable::Stack, Variable::Resource]);
    assert_eq!(name.0.placeholders().collect::<Vec<_>>(), [Placeholder::AccountId]);
    let expanded = name.0.expand(|variable| variable.name().to_owned(), Placeholder::text);
    assert_eq!(expanded, "stack/ec2/{account_id}/resource");
    assert_eq!(Placeholder::AccountId.longest().len(), 12);
}

#[test]
fn names_hold_what_cloudwatch_logs_takes_and_the_placeholders_that_there_are() {
    for text in
        ["a-_/.#1", "${stack}{date}", "{instance_id}{hostname}{local_hostname}{ip_address}{aws_region}{account_id}"]
    {
        assert!(accepts::<LogGroupName>(text) && accepts::<LogStreamName>(text), "{text}");
    }
    for text in ["a b", "é@x", "[$]x", "a$", "~!\"'\\"] {
        assert!(!accepts::<LogGroupName>(text) && accepts::<LogStreamName>(text), "{text}");
    }
    let refused = [
        ("", "is not a name that CloudWatch Logs allows"),
        ("a*", "is not a name that CloudWatch Logs allows"),
        ("a:b", "is not a name that CloudWatch Logs allows"),
        ("a\n", "is not a name that CloudWatch Logs allows"),
        ("a\u{2028}", "is not a name that CloudWatch Logs allows"),
        ("${stack", "an unmatched brace"),
        ("a}", "an unmatched brace"),
        ("}{date}", "an unmatched brace"),
        ("{{date}}", "no placeholder `{{date}`"),
        ("${stak}/x", "there is no variable `${stak}`\nthere are ${stack}, ${resource}"),
        ("{foo}", "there is no placeholder `{foo}`\nthere are {instance_id}, {hostname}"),
        ("{stack}", "there is no placeholder `{stack}`"),
        ("${date}", "there is no variable `${date}`"),
    ];
    refuses::<LogGroupName>(&refused);
    refuses::<LogStreamName>(&refused);
    refuses::<LogGroupName>(&[("aws/x", "begins with aws/")]);
    refuses::<LogStreamName>(&[("$${cluster}", "a $ before a variable")]);
    refuses::<LogStreamName>(&[("a$HOME", "no $ before a letter"), ("$1", "no $ before a letter")]);
}

#[test]
fn formats_of_times_have_known_directives_and_a_date() {
    for text in [
        "%Y-%m-%d %H:%M:%S",
        "%b %d %H:%M:%S",
        "%-d.%-m.%y, %-I:%-M:%-S %p",
        "%a %A %B %d [%H:%M:%S,%f] %z",
        "%Y-%m-%dT%H:%M:%SZ",
        "%MST %d %m",
    ] {
        assert_eq!(error::<TimestampFormat>(text), "", "{text}");
    }
    refuses::<TimestampFormat>(&[
        ("", "the text is empty"),
        ("%F %T", "no directive `%F` for times\nwrite %Y-%m-%d; it has %Y %y"),
        ("%d %m %e", "no directive `%e` for times\nwrite %-d"),
        ("%d %m %s", "no directive `%s` for times\ndid you mean"),
        ("%d %m %%", "no directive `%` for times"),
        ("%d %m %-H", "no directive `%-H`"),
        ("%d %m %", "no directive `%`"),
        ("%d %m %é", "no directive `%é`"),
        ("%Y\\q%m%d", "`\\` can't stand in a format"),
        ("%d %m v1", "`1` can't stand in a format"),
        ("%d %m Monday", "`Mon` can't stand in a format"),
        ("%H:%M:%S", "has no date: the CloudWatch agent dates each line 1 January"),
        ("%Y %m", "has no date"),
        ("%Y %d", "has no date"),
        ("time", "has no date"),
    ]);
    for (text, is_utc) in [("%d %mZ", true), ("%d %m%Z", false), ("%d %m", false), ("%d %m%ZZ", true)] {
        assert_eq!(TimestampFormat::try_from(text.to_owned()).unwrap().ends_in_z(), is_utc, "{text}");
    }
    for (text, pitfall) in [
        ("%d %m %z", Some("not +01:00")),
        ("%d %B", Some("seven letters")),
        ("%d %m %Z", Some("three letters")),
        ("%d %b", None),
    ] {
        let found = timestamp_pitfall(text);
        assert_eq!(found.map(|(message, _)| message.contains(pitfall.unwrap_or("?"))), pitfall.map(|_| true), "{text}");
    }
}

#[test]
fn paths_of_logs_are_those_that_are_sent() {
    for text in ["/var/log/app.log", "/var/log/app/*.log", "/var/log/**", "/a/[a-z]?/x.gz.log", "/a b", "/a/{b,c}/**"] {
        assert_eq!(error::<LogPath>(text), "", "{text}");
    }
    refuses::<LogPath>(&[
        ("app.log", "is not an absolute path"),
        ("/var/log/", "is not a plain path"),
        ("/", "is not a file"),
        ("/var/log/app.log.gz", "names archives (.gz)"),
        ("/var/log/*.zst", "names archives (.zst)"),
        ("/var/log/[app.log", "is not a pattern of paths: "),
        ("/var/log/[z-a]*", "is not a pattern of paths: "),
        ("/var/log/[]x]", "is not a pattern of paths: `[]` is empty"),
        ("/var/log/**{a", "is not a pattern of paths: "),
        ("/var/log/*\\", "is not a pattern of paths: "),
    ]);
}

#[test]
fn regular_expressions_are_those_of_go() {
    for text in [
        r"^\d{4}-\d\d",
        r"(?i)error|warn",
        r"(?P<name>a)(?:b)(?U:c*)",
        r"[[:alpha:]\pL\p{Lu}-]+?",
        r"[]a]\x41\x{1F600}\t\A\z\b\B",
        r"(a{10}){100}",
        r"a{1000}",
        r"\.\%\_\/ é",
        "[^]]",
    ] {
        assert_eq!(error::<RegularExpression>(text), "", "{text}");
    }
    refuses::<RegularExpression>(&[
        ("", "the text is empty"),
        ("a\nb", "has a line break"),
        ("(", "is not a regular expression at `(`: unclosed group"),
        ("a**", "a repetition right after another"),
        ("(?!re)", "is not a regular expression"),
        (r"(a)\1", "is not a regular expression"),
        ("a{1001}", "more than 1,000 repetitions"),
        ("((a{11}){10}){10}", "more than 1,000 repetitions"),
        ("(?x)a b", "one of the flags"),
        ("(?u:a)", "one of the flags"),
        ("(?<n>a)", "in place of `(?P<name>`"),
        ("(?P<n.a>a)", "a group named `n.a`"),
        (r"\u0041", "in place of"),
        (r"[\u0041]", "in place of"),
        (r"\<a", "an assertion on one end of a word"),
        ("[[a]b]", "a class within a class"),
        ("[a&&b]", "an operation on classes"),
        (r"\p{Letter}", r"the class \p{Letter}"),
        (r"[\p{Greek}]", r"the class \p{Greek}"),
        (r"\Qa\E", "is not a regular expression"),
        ("a{", "is not a regular expression"),
    ]);
    refuses::<RegularExpression>(&[(&format!("({}){{1000}}", "a".repeat(1000)), "more than 1000000 signs")]);
    assert!(accepts::<StartPattern>("{timestamp_format}") && accepts::<StartPattern>("^a"));
    refuses::<StartPattern>(&[
        ("{timestamp_regex}", "is not a regular expression"),
        ("(", "is not a regular expression"),
    ]);
}

#[test]
fn encodings_and_roles_are_those_that_there_are() {
    for text in ["utf-8", "UTF-16", "ascii", "latin1", "iso-8859-15", "shift_jis", "gb18030"] {
        assert_eq!(error::<Encoding>(text), "", "{text}");
    }
    refuses::<Encoding>(&[
        ("utf_8", "no encoding `utf_8`"),
        ("", "no encoding"),
        (" utf-8", "no encoding"),
        ("hz-gb-2312", "no encoding"),
    ]);
    for text in ["arn:aws:iam::123456789012:role/logs", "arn:aws-cn:iam::123456789012:role/a/b+=,.@-_c"] {
        assert_eq!(error::<RoleArn>(text), "", "{text}");
    }
    refuses::<RoleArn>(&[
        ("logs", "is not the ARN of an IAM role"),
        ("arn:aws:iam::123456789012:user/logs", "is not the ARN"),
        ("arn:aws:iam::12345678901:role/logs", "is not the ARN"),
        ("arn:aws:iam::123456789012:role/", "is not the ARN"),
        ("arn:aws:iam::123456789012:role/a b", "is not the ARN"),
        ("arn:aws:sts:us-east-1:123456789012:role/a", "is not the ARN"),
    ]);
}
