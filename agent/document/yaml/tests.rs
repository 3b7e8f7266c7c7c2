use super::load::loader::{MAX_DEPTH, MAX_NODES, MAX_TEMPLATE};
use super::*;
use crate::document::decode::Document;
use crate::document::problem::Source;
use proptest::prelude::*;

fn tree(text: &str) -> Node {
    let Loaded { root, problems, .. } = load(&Source::new("test", text));
    assert!(problems.is_empty(), "{text}: {problems:?}");
    root.unwrap()
}

/// Returns the partial tree, and the messages of the problems, each with its line.
fn refused(text: &str) -> (Option<Node>, Vec<(Option<usize>, String)>) {
    let Loaded { root, problems, .. } = load(&Source::new("test", text));
    let said = problems.into_iter().map(|problem| (problem.line(), problem.message)).collect();
    (root, said)
}

fn written(node: &Node) -> &str {
    &node.span.source.text[node.span.start..node.span.end]
}

#[test]
fn plain_scalars_follow_the_core_schema() {
    let text = |text: &str| Value::String(text.into());
    let table = [
        ("null", Value::Null),
        ("~", Value::Null),
        ("nULL", text("nULL")),
        ("true", Value::Bool(true)),
        ("false", Value::Bool(false)),
        ("FALSE", Value::Bool(false)),
        ("yes", text("yes")),
        ("on", text("on")),
        ("12", Value::Int(12)),
        ("-12", Value::Int(-12)),
        ("+12", Value::Int(12)),
        ("0755", Value::Int(755)),
        ("0o755", Value::Int(0o755)),
        ("0x1F", Value::Int(31)),
        ("0x-1", text("0x-1")),
        ("0xg", text("0xg")),
        ("1_000", text("1_000")),
        ("99999999999999999999", Value::Float(1e20)),
        ("1.5", Value::Float(1.5)),
        ("1e3", Value::Float(1000.0)),
        (".5", Value::Float(0.5)),
        ("1.", Value::Float(1.0)),
        (".inf", Value::Float(f64::INFINITY)),
        ("-.INF", Value::Float(f64::NEG_INFINITY)),
        ("+.Inf", Value::Float(f64::INFINITY)),
        ("++1", text("++1")),
        ("1e", text("1e")),
        ("0o8", text("0o8")),
        ("inf", text("inf")),
        ("-inf", text("-inf")),
        ("nan", text("nan")),
        ("infinity", text("infinity")),
        ("1.2.3", text("1.2.3")),
        (".", text(".")),
        ("e", text("e")),
        ("15m", text("15m")),
        ("2026-01-01", text("2026-01-01")),
        ("1000:1000", text("1000:1000")),
        ("'12'", text("12")),
        ("\"true\"", text("true")),
        ("!!str 12", text("12")),
        ("! 12", text("12")),
        ("! [12]", tree("[12]").value),
        ("! {a: 12}", tree("{a: 12}").value),
        ("!!seq [12]", tree("[12]").value),
        ("!!map {a: 12}", tree("{a: 12}").value),
        ("!!float 1", Value::Float(1.0)),
        ("!!int 1", Value::Int(1)),
    ];
    for (written, wanted) in table {
        assert_eq!(tree(written).value, wanted, "{written}");
    }
    assert!(matches!(tree(".NaN").value, Value::Float(number) if number.is_nan()));
    assert_eq!(tree("0755").text(), Some("0755"));
    assert_eq!(tree("'a'").text(), Some("a"));
    assert_eq!(tree("~").text(), None);
}

#[test]
fn nodes_know_their_places() {
    let text = "\u{e9}: [1, 'b c']\r\nlist:\r\n  - {x: \u{e9}\u{e9}}\r\n  - |\r\n    two\r\n    lines\r\nlast: end\r\n";
    let tree = tree(text);
    assert_eq!(written(tree.get("\u{e9}").unwrap()), "[1, 'b c']");
    assert_eq!(written(tree.at(&["\u{e9}", "1"]).unwrap()), "'b c'");
    assert_eq!(written(tree.at(&["list", "0"]).unwrap()), "{x: \u{e9}\u{e9}}");
    assert_eq!(written(tree.at(&["list", "0", "x"]).unwrap()), "\u{e9}\u{e9}");
    assert_eq!(written(tree.at(&["last"]).unwrap()), "end");
    assert_eq!(written(&tree).trim_end(), text.trim_end());
    assert!(tree.at(&["list", "2"]).is_none() && tree.at(&["last", "x"]).is_none());
    let tree = self::tree("list:\n  - 1\n# a comment\nmapping:\n  a: 2\n\n# another\nlast: {}\n");
    assert_eq!(written(tree.get("list").unwrap()), "- 1");
    assert_eq!(written(tree.get("mapping").unwrap()), "a: 2");
    assert_eq!(written(tree.get("last").unwrap()), "{}");
}

#[test]
fn nodes_are_equal_by_what_they_are_and_how_it_is_written() {
    assert_eq!(tree("{a: [1]}"), tree("a:\n- 1\n"));
    for (one, other) in [("{a: 1}", "{a: 2}"), ("{a: 1}", "{b: 1}"), ("1", "01"), ("1", "'1'"), ("[1]", "[1, 1]")] {
        assert_ne!(tree(one), tree(other));
    }
}

#[test]
fn a_template_may_be_larger() {
    let text = "- x\n".repeat(MAX_NODES);
    let source = Source::new("test", &*text);
    assert_eq!(refused(&text).1.len(), 1);
    let Loaded { root, problems, .. } = load_template(&source);
    assert_eq!((root.unwrap().size().nodes, problems), (MAX_NODES + 1, vec![]));
    let text = "- x\n".repeat(MAX_TEMPLATE);
    assert_eq!(load_template(&Source::new("test", text)).problems.len(), 1);
}

#[test]
fn nodes_know_how_large_they_are() {
    for (text, nodes, depth, bytes) in
        [("x", 1, 1, 1), ("[]", 1, 1, 0), ("[a, [bb], c]", 5, 3, 4), ("{a: [b, {ccc: 12}], d: ~}", 6, 4, 8)]
    {
        let size = tree(text).size();
        assert_eq!((size.nodes, size.depth, size.bytes), (nodes, depth, bytes), "{text}");
    }
}

#[test]
fn json_is_yaml() {
    let tree = tree("{\"a\":{\"b\":[1,true,null,\"x\\u00e9\"]},\n\t\"c\":\"\"}");
    assert_eq!(tree.at(&["a", "b", "3"]).unwrap().text(), Some("x\u{e9}"));
    assert_eq!(tree.at(&["c"]).unwrap().text(), Some(""));
}

#[test]
fn an_empty_document_has_no_tree() {
    for text in ["", "\n\n", "# comment\n", "#ecs-firstrun"] {
        assert_eq!(refused(text), (None, vec![]), "{text:?}");
    }
}

#[test]
fn what_is_refused_doesnt_hide_the_rest() {
    let table = [
        ("a: 1\na: 2\nz: 1", 2, "the key `a` is given twice"),
        ("? [a]\n: 1\nz: 1", 1, "a key must be text, not a list or a mapping"),
        (": 1\nz: 1", 1, "a key is missing before the `:`"),
        ("a: !Ref b\nz: 1", 1, "the tag `!Ref` has no meaning here"),
        ("a: !Ref [b]\nz: 1", 1, "the tag `!Ref` has no meaning here"),
        ("a: !!map [b]\nz: 1", 1, "the tag `tag:yaml.org,2002:!map` has no meaning here"),
        ("a: !!set {b: ~}\nz: 1", 1, "the tag `tag:yaml.org,2002:!set` has no meaning here"),
        ("a: !!int b\nz: 1", 1, "the value doesn't fit its tag `!!int`"),
        ("z: 1\n---\na: 2", 2, "there is more than one YAML document"),
        ("a: &a [*a]\nz: 1", 1, "the alias stands within the very value that it repeats"),
    ];
    for (text, line, message) in table {
        let (node, said) = refused(text);
        assert_eq!(said, [(Some(line), message.to_string())], "{text}");
        assert_eq!(node.unwrap().get("z").unwrap().value, Value::Int(1), "{text}");
    }
    let (node, said) = refused("a: &a {b: *a, c: 1}\nb: &b {*b : 2, d: 3}\n");
    let (node, two) = (node.unwrap(), said.len());
    assert_eq!((node.at(&["a", "c"]).unwrap(), node.at(&["b", "d"]).unwrap(), two), (&tree("1"), &tree("3"), 2));
    assert!(node.at(&["a", "b"]).is_none() && node.at(&["b", "2"]).is_none(), "{node:?}");
    assert_eq!(tree("1: a\ntrue: b").get("true").unwrap().text(), Some("b"));
}

#[test]
fn a_syntax_error_leaves_what_comes_before_it() {
    let table = [
        ("signal: {stack: s}\necs:\n  cluster: a: b\n", 3, "holds `: `"),
        ("signal: {stack: s}\necs:\n\tcluster: a\n", 3, "tabs"),
        ("signal: {stack: s}\necs: [a, b\nlogs: x\n", 3, "bracket"),
        ("signal: {stack: s}\necs: 'open\n", 2, "quotes"),
        ("signal: {stack: s}\n  ecs: 1\n", 2, "indentation"),
        ("signal: {stack: s}\necs: *nowhere\n", 2, ""),
        ("signal: {stack: s}\necs: |\n\tcluster\n", 2, "tabs"),
        ("signal: {stack: s}\necs: >\n \n\tcluster\n", 4, "tabs"),
        ("signal: {stack: s}\necs: [a]]\n", 2, "bracket"),
    ];
    for (text, line, remedy) in table {
        let Loaded { root: node, problems, .. } = load(&Source::new("test", text));
        assert_eq!(problems.len(), 1, "{text}");
        let span = problems[0].span.as_ref().unwrap();
        assert_eq!((span.position().0, span.end - span.start), (line, 1), "{text}: {problems:?}");
        assert_eq!(node.unwrap().at(&["signal", "stack"]).unwrap().text(), Some("s"), "{text}");
        assert!(problems[0].remedy.as_ref().unwrap().contains(remedy), "{text}: {problems:?}");
    }
}

#[test]
fn a_control_character_ends_the_document_loudly() {
    let (node, said) = refused("a: 1\nb: \0 2\nc: 3\n");
    assert_eq!(said.len(), 1);
    assert_eq!(said[0].0, Some(2));
    assert_eq!(node.unwrap().get("a").unwrap().value, Value::Int(1));
    // The list that the control character leaves open is not a mistake of its own.
    assert_eq!(refused("a: [b, \0]\n").1.len(), 1);
}

#[test]
fn aliases_repeat_values_under_ids_of_their_own() {
    let tree = tree("a: &x {k: [1]}\nb: *x\n");
    let (a, b) = (tree.get("a").unwrap(), tree.get("b").unwrap());
    assert_eq!(a, b);
    assert_ne!(a.id, b.id);
    assert_ne!(a.entry("k").unwrap().key_id, b.entry("k").unwrap().key_id);
    assert_ne!(a.at(&["k", "0"]).unwrap().id, b.at(&["k", "0"]).unwrap().id);
}

#[test]
fn a_billion_laughs_are_few() {
    let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for n in 1..12 {
        let previous = format!("*a{}, ", n - 1).repeat(10);
        text.push_str(&format!("a{n}: &a{n} [{previous}]\n"));
    }
    text.push_str("z: 1\n");
    let (node, said) = refused(&text);
    assert_eq!(said.len(), 1);
    let node = node.unwrap();
    assert!(node.size().nodes <= MAX_NODES);
    assert!(node.get("z").is_some());
}

#[test]
fn aliases_add_as_much_as_they_may_and_no_more() {
    let list = |nodes: usize| format!("[{}]", "x, ".repeat(nodes - 1));
    let nested = |levels: usize, text: String| format!("{}{text}{}", "[".repeat(levels), "]".repeat(levels));
    let anchored = |levels: usize, text: String| {
        let open: String = (0..levels).map(|level| format!("&a{level} [")).collect();
        format!("{open}{text}{}", "]".repeat(levels))
    };
    let long = "x".repeat(100 << 10);
    for (text, problems) in [
        // Half as many values as the document may have.
        (format!("a: &a {}\nb: [{}]\n", list(1000), "*a, ".repeat(5)), 0),
        (format!("a: &a {}\nb: [{}]\n", list(1000), "*a, ".repeat(6)), 1),
        // 256 KiB of text.
        (format!("a: &a {long}\nb: [*a, *a]\n"), 0),
        (format!("a: &a {long}\nb: [*a, *a, *a]\n"), 1),
        // As deep as the document may be: a list of 10, in the mapping and so many lists.
        (format!("a: &a {}\nb: {}\n", nested(9, "[]".into()), nested(53, "*a".into())), 0),
        (format!("a: &a {}\nb: {}\n", nested(9, "[]".into()), nested(54, "*a".into())), 1),
        // All that anchors keep is no larger than a document may be; each anchor within another has a copy of its own.
        (format!("a: &a {}\nb: &b {}\nc: *b\n", list(200), list(200)), 0),
        (format!("a: {}\nb: *a0\n", anchored(3, list(3000))), 0),
        (format!("a: {}\nb: *a0\n", anchored(4, list(3000))), 1),
        (format!("a: [&a {long}, &b {long}, &c {long}]\nb: *b\n"), 0),
        (format!("a: [&a {long}, &b {long}, &c {long}]\nb: *c\n"), 1),
        (format!("a: {}\nb: &b [x]\nc: *b\n", nested(4, list(3000))), 0),
    ] {
        assert_eq!(refused(&text).1.len(), problems, "{}... {:?}", &text[..20], refused(&text).1);
    }
}

#[test]
fn deep_and_long_documents_end_early() {
    let chain: String = (1..2000).map(|n| format!("a{n}: &a{n} [*a{}]\n", n - 1)).collect();
    let table = [
        "[".repeat(1 << 20),
        "{a: ".repeat(1 << 18),
        "- ".repeat(1 << 19),
        "? ".repeat(1 << 19),
        "[1],\n".repeat(1 << 17),
        (0..5000).map(|n| format!("{}a:\n", " ".repeat(n))).collect(),
        "- x\n".repeat(1 << 18),
        format!("a0: &a0 []\n{chain}"),
    ];
    for text in table {
        let started = processor_time();
        let (node, said) = refused(&text);
        assert!(!said.is_empty(), "{}", &text[..20]);
        if let Some(node) = node {
            let size = node.size();
            assert!(size.nodes <= MAX_NODES + MAX_DEPTH && size.depth <= MAX_DEPTH, "{size:?}");
        }
        assert!((processor_time() - started).tv_sec() < 10, "{}", &text[..20]);
    }
}

/// Returns the CPU time of this thread, which does not depend on the machine's load.
fn processor_time() -> nix::sys::time::TimeSpec {
    nix::time::clock_gettime(nix::time::ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap()
}

#[test]
fn merging_follows_the_rfc() {
    // The examples of RFC 7396, appendix A, as far as their results differ from the patch.
    let table = [
        ("{a: b}", "{a: c}", "{a: c}"),
        ("{a: b}", "{b: c}", "{a: b, b: c}"),
        ("{a: b}", "{a: null}", "{}"),
        ("{a: b, b: c}", "{a: null}", "{b: c}"),
        ("{a: [b]}", "{a: c}", "{a: c}"),
        ("{a: c}", "{a: [b]}", "{a: [b]}"),
        ("{a: {b: c}}", "{a: {b: d, c: null}}", "{a: {b: d}}"),
        ("{a: [{b: c}]}", "{a: [1]}", "{a: [1]}"),
        ("[a, b]", "[c, d]", "[c, d]"),
        ("{a: b}", "[c]", "[c]"),
        ("{a: foo}", "null", "null"),
        ("{a: foo}", "bar", "bar"),
        ("{e: null}", "{a: 1}", "{e: null, a: 1}"),
        ("[1, 2]", "{a: b, c: null}", "{a: b}"),
        ("{}", "{a: {bb: {ccc: null}}}", "{a: {bb: {}}}"),
    ];
    for (base, patch, wanted) in table {
        assert_eq!(merge(tree(base), tree(patch)), tree(wanted), "{base} + {patch}");
    }
}

#[test]
fn values_under_secret_keys_are_hidden() {
    let text = "{\"AWS_SECRET\":\n\"hunter2\", \"a\": 1, \"a\": \n2}";
    let shown = Document::read("test", text, false).problems[0].render(false);
    assert!(!shown.contains("hunter2") && shown.contains("***, \"a\": 1"), "{shown}");
}

#[test]
fn a_scalar_in_quotes_ends_with_its_quotes() {
    for (text, quoted) in [
        (r##"a: "b" # "c""##, r#""b""#),
        ("a: 'it''s' # it's", "'it''s'"),
        (r#"a: "\\"   "#, r#""\\""#),
        (r##"a: "\"#" # x"##, r##""\"#""##),
        ("a: 'é\n  # b'  # c\nd: 1", "'é\n  # b'"),
        (r#"{a: "b" , c: "d"}"#, r#""b""#),
        (r##"a: !x &y "b" #"##, r#"!x &y "b""#),
    ] {
        let loaded = load_template(&Source::new("test", text));
        assert_eq!(written(loaded.root.unwrap().get("a").unwrap()), quoted, "{text}");
    }
}

proptest! {
    #[test]
    fn loading_never_panics(text in r#"(?s)([-?:,\[\]{}#&*!|>'"%@ \n\ta0\\é~<.]|---|\.\.\.|: |- |\r\n|&a |\*a|!!str |<<){0,60}"#) {
        let source = Source::new("test", text);
        let Loaded { root, problems, .. } = load(&source);
        for problem in problems {
            problem.render(false);
        }
        let mut nodes: Vec<Node> = root.into_iter().collect();
        while let Some(node) = nodes.pop() {
            prop_assert!(node.span.start <= node.span.end && node.span.end <= source.text.len());
            prop_assert!(source.text.get(node.span.start..node.span.end).is_some());
            match node.value {
                Value::Sequence(items) => nodes.extend(items),
                Value::Mapping(entries) => nodes.extend(entries.into_iter().map(|entry| entry.value)),
                _ => {}
            }
        }
    }

    #[test]
    fn loading_any_text_never_panics(text in any::<String>()) {
        load(&Source::new("test", text));
    }
}
