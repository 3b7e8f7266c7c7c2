use super::*;
use crate::document::de::from_node;
use crate::document::problem;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use flate2::{Compression, write::GzEncoder};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::io::Write;

const OURS: &str = "#ecs-firstrun\necs: {cluster: blue}\n";

fn gzip(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes.as_ref()).unwrap();
    encoder.finish().unwrap()
}

fn base64(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let text = BASE64_STANDARD.encode(bytes);
    let lines: Vec<&str> = text.as_bytes().chunks(76).map(|line| std::str::from_utf8(line).unwrap()).collect();
    lines.join("\r\n").into_bytes()
}

/// Returns the cluster in each document found, which must be without problems.
fn clusters(bytes: impl AsRef<[u8]>) -> Vec<String> {
    let found = decode("user data", bytes.as_ref());
    assert_eq!(found.problems, []);
    let cluster = |document: &Document| {
        assert_eq!(document.problems, []);
        document.config.as_ref().unwrap().at(&["ecs", "cluster"]).unwrap().text().unwrap().to_string()
    };
    found.documents.iter().map(cluster).collect()
}

fn notes(bytes: impl AsRef<[u8]>) -> Vec<String> {
    let found = decode("user data", bytes.as_ref());
    assert!(found.problems.is_empty() && found.documents.is_empty(), "{found:?}");
    found.notes.iter().map(ToString::to_string).collect()
}

fn problems(bytes: impl AsRef<[u8]>) -> String {
    let found = decode("user data", bytes.as_ref());
    assert_eq!(found.problems.len(), 1, "{found:?}");
    assert!(found.documents.is_empty());
    found.problems[0].to_string()
}

#[test]
fn all_wrappings_are_taken_off() {
    let table: Vec<Vec<u8>> = vec![
        OURS.into(),
        OURS.replace('\n', " \r\n").into(),
        format!("\u{feff}{OURS}").into(),
        format!("\n  {OURS}").into(),
        base64(OURS),
        base64(base64(OURS)),
        gzip(OURS),
        base64(gzip(OURS)),
        gzip(base64(OURS)),
        gzip(gzip(OURS)),
        [gzip(OURS), b"\0\0garbage".to_vec()].concat(),
        [gzip("#ecs-firstrun\n"), gzip("ecs: {cluster: blue}")].concat(),
        b"ecs_firstrun: {ecs: {cluster: blue}}".into(),
        b"{\"ecs_firstrun\": {\"ecs\": {\"cluster\": \"blue\"}}}".into(),
        base64("{\"ecs_firstrun\": {\"ecs\": {\"cluster\": \"blue\"}}}"),
        b"#cloud-config\npackages: [a]\npackages: [b]\necs_firstrun:\n  ecs: {cluster: blue}\n".into(),
        b"#ecs-firstrun\necs_firstrun:\n  ecs: {cluster: blue}\n".into(),
    ];
    for bytes in table {
        assert_eq!(clusters(&bytes), ["blue"], "{}", String::from_utf8_lossy(&bytes));
    }
}

#[test]
fn what_is_not_ours_is_left_with_a_note() {
    let near = "looks like ecs-firstrun configuration, but its first line is not `#ecs-firstrun`";
    let table: [(&[u8], &str); 17] = [
        (b"#!/bin/sh\necho ecs:\n", "script or include) is left"),
        (b"#cloud-config\npackages: [a]\n", "(cloud-config) is left"),
        (b"#cloud-config\n# not ecs_firstrun: none\npackages: [a]\n", "(cloud-config) is left"),
        (b"#include\nhttps://x/ecs_firstrun\n", "is left"),
        (b"ECS_CLUSTER", "is left"),
        (b"what ecs wants", "(unknown kind) is left"),
        (b"abcd", "(unknown kind) is left"),
        (b"\xff\xfe\x00", "(not text) is left"),
        (b"ecs: {cluster: blue}", near),
        (b"{\"signal\": {}}", near),
        (b"# ecs-firstrun\necs: {}", near),
        (b"#ecs_firstrun\necs: {}", near),
        (b"#ecs-firstrun: x\necs: {}", near),
        (b"# ecs-firstrun\nclustr: {}", near),
        (b"## a heading of ecs_firstrun\necs: {}", near),
        (b"ecs_firstrun: {}\npackages: [a]", "but its first line is not `#cloud-config`"),
        (b"## template: jinja\n#cloud-config\necs_firstrun: {}", "Jinja"),
    ];
    for (bytes, wanted) in table {
        let notes = notes(bytes);
        assert!(notes.len() == 1 && notes[0].contains(wanted), "{notes:?}, not {wanted}");
    }
    assert_eq!(notes(""), [""; 0]);
    assert_eq!(notes(" \n"), [""; 0]);
}

#[test]
fn what_cannot_be_unpacked_is_a_problem() {
    let utf16: Vec<u8> = format!("\u{feff}{OURS}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    let mut nested = OURS.as_bytes().to_vec();
    for _ in 0..6 {
        nested = gzip(nested);
    }
    let cut = &gzip("#ecs-firstrun\n".repeat(1000))[..40];
    let mut damaged = gzip(OURS);
    let checksum = damaged.len() - 8;
    damaged[checksum] ^= 1;
    let table: Vec<(Vec<u8>, &str)> = vec![
        (cut.to_vec(), "ends too early"),
        (base64(cut), "ends too early"),
        (b"\x1f\x8b\x08\xff\xff\xff\xff\xff\xff\xff\xff".to_vec(), "gzip data"),
        (damaged, "is damaged"),
        (gzip(vec![b'#'; MAX_BYTES + 1]), "expands to more than 1 MiB"),
        (nested, "more than 4 layers"),
        (vec![b'#'; MAX_BYTES + 1], "longer than 1 MiB"),
        (b"#ecs-firstrun\necs: {cluster: \xe9}".to_vec(), "isn't UTF-8 text; save it as UTF-8"),
        (utf16, "isn't UTF-8 text"),
    ];
    for (bytes, wanted) in table {
        let said = problems(bytes);
        assert!(said.contains(wanted) && said.contains("; "), "{said}, not {wanted}");
    }
}

/// Pads a text with spaces to this many bytes.
fn padded(text: &str, length: usize) -> String {
    format!("{text}{}", " ".repeat(length - text.len()))
}

#[test]
fn what_is_just_as_long_as_it_may_be_is_read() {
    let script = padded("#!/bin/sh\n", MAX_BYTES);
    for bytes in [script.clone().into_bytes(), gzip(&script)] {
        assert_eq!(notes(bytes), ["user data (script or include) is left to cloud-init"]);
    }
    // Our key stands in a comment here: only reading the document tells that.
    let mentions = "#ecs-firstrun\n# or ecs_firstrun: x\necs: {cluster: blue}\n";
    let others = "#cloud-config\n# not ecs_firstrun: x\n";
    let json = "{\"ecs_firstrun\": {\"ecs\": {\"cluster\": \"blue\"}}}";
    let flow = &*format!("#cloud-config\n{json}");
    for text in [OURS, mentions, json, flow] {
        assert_eq!(clusters(padded(text, MAX_TEXT)), ["blue"], "{text}");
        assert!(problems(padded(text, MAX_TEXT + 1)).contains("longer than 256 KiB"), "{text}");
    }
    assert_eq!(notes(padded(others, MAX_TEXT)), ["user data (cloud-config) is left to cloud-init"]);
}

/// Makes a multipart of headers and bodies.
fn multipart(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut bytes =
        b"Content-Type: multipart/mixed; boundary=\"=b=\"\r\nMIME-Version: 1.0\r\n\r\npreamble\r\n".to_vec();
    for (headers, body) in parts {
        bytes.extend(format!("--=b=\r\n{headers}\r\n\r\n").into_bytes());
        bytes.extend(*body);
        bytes.extend(b"\r\n");
    }
    bytes.extend(b"--=b=--\r\n");
    bytes
}

const OUR_PART: &str = "Content-Type: application/vnd.ecs-firstrun+yaml; charset=\"us-ascii\"";

#[test]
fn the_parts_of_a_message_are_found() {
    let bytes = multipart(&[
        ("Content-Type: text/x-shellscript", b"#!/bin/sh\n--=b= not a boundary\n"),
        (OUR_PART, b"ecs: {cluster: one}"),
        (
            "Content-Type: text/plain\r\nContent-Disposition: attachment; filename=\"two.yaml\"",
            b"#ecs-firstrun\necs: {cluster: two}",
        ),
        (&format!("{OUR_PART}\r\nContent-Transfer-Encoding: base64"), &base64("ecs: {cluster: three}")),
        (&format!("{OUR_PART}\r\nContent-Transfer-Encoding: quoted-printable"), b"ecs: {cluster: =66ou=\r\nr}"),
        (
            "Content-Type: text/plain\r\nContent-Transfer-Encoding: base64",
            &base64(gzip("#ecs-firstrun\necs: {cluster: five}")),
        ),
        ("Content-Type: application/gzip", &gzip("#ecs-firstrun\necs: {cluster: six}")),
        ("Content-Type: text/cloud-config", b"ecs_firstrun: {ecs: {cluster: seven}}\npackages: []"),
        ("", b"#ecs-firstrun\necs: {cluster: eight}"),
    ]);
    let wanted = ["one", "two", "three", "four", "five", "six", "seven", "eight"];
    for bytes in [bytes.clone(), gzip(&bytes), base64(&bytes)] {
        assert_eq!(clusters(bytes), wanted);
    }
    let found = decode("user data", &bytes);
    assert_eq!(found.notes, [Note::Left("user data, part 1 (text/x-shellscript) is left to cloud-init".into())]);
    assert_eq!(found.documents[1].source.name, "user data, part 3 (two.yaml)");
    assert_eq!(&*found.documents[1].source.text, "#ecs-firstrun\necs: {cluster: two}");
}

#[test]
fn messages_are_taken_as_python_takes_them() {
    let unclosed = "MIME-Version: 1.0\nContent-Type: multipart/mixed;\n boundary=b\n\n--b\n\n#ecs-firstrun\necs: {cluster: blue}\n";
    assert_eq!(clusters(unclosed), ["blue"]);
    let single = format!("mime-version: 1.0\n{OUR_PART}\n\necs: {{cluster: blue}}\n");
    assert_eq!(clusters(&single), ["blue"]);
    // AWS Batch writes a line of blanks above the headers. An empty line ends the headers.
    for (above, wanted) in [(" \t\n", &["blue"][..]), ("\t\r\n  \n", &["blue"]), ("\n", &[])] {
        assert_eq!(clusters(format!("{above}{single}")), wanted, "{above:?}");
    }
    for start in [
        "#ecs-firstrun\n# mime-version: none\n",
        " #ecs-firstrun\n# mime-version: none\n",
        "mime-version: 1.0\n#ecs-firstrun\n",
    ] {
        assert_eq!(clusters(format!("{start}ecs: {{cluster: blue}}\n")), ["blue"], "{start}");
    }
    let inner = "--b2\n\n#ecs-firstrun\necs: {cluster: blue}\n--b2--\n";
    assert_eq!(clusters(multipart(&[("Content-Type: multipart/mixed; boundary=b2", inner.as_bytes())])), ["blue"]);
    assert_eq!(
        notes("MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\nx"),
        [
            "user data: its header names the boundary `b`, but there are no parts behind that: write the line `--b` before each part"
        ]
    );
}

#[test]
fn messages_are_bounded() {
    let many = vec![("Content-Type: text/x-shellscript", &b"x"[..]); 300];
    assert!(problems(multipart(&many)).contains("more than 100 parts"));
    let ours = (OUR_PART, &b"ecs: {cluster: blue}"[..]);
    assert_eq!(clusters(multipart(&[&many[1..100], &[ours]].concat())), ["blue"]);
    let large = gzip(vec![b'#'; MAX_BYTES]);
    let large = ("Content-Type: application/gzip", &large[..]);
    assert_eq!(notes(multipart(&[large])), ["user data, part 1 (application/gzip) is left to cloud-init"]);
    assert!(problems(multipart(&[large, ours, ours])).contains("part 2: the parts are longer than 1 MiB in total"));
    let mut deep = String::from("MIME-Version: 1.0\n");
    for n in 0..50 {
        deep.push_str(&format!("Content-Type: multipart/mixed; boundary=b{n}\n\n--b{n}\n"));
    }
    assert!(problems(deep).contains("nested more than 4 deep"));
    let damaged = multipart(&[(&format!("{OUR_PART}\r\nContent-Transfer-Encoding: base64"), b"?")]);
    assert!(problems(damaged).contains("part 1: the content isn't valid base64"));
}

#[test]
fn only_our_share_of_a_cloud_config_concerns_us() {
    let said = |text: &str| {
        let document = decode("user data", text.as_bytes()).documents.remove(0);
        document.problems.into_iter().map(|problem| problem.message).collect::<Vec<_>>()
    };
    let twice = "#cloud-config\na: 1\na: 2\necs_firstrun: {ecs: {}, ecs: {}}\n";
    assert_eq!(said(twice), ["the key `ecs` is given twice"]);
    assert_eq!(said("#cloud-config\necs_firstrun: {}\necs_firstrun: {}\n").len(), 1);
    assert_eq!(said("#cloud-config\na: b: c\necs_firstrun: {}\n").len(), 1);
}

/// Does everything that is done with bytes from outside.
fn read_all(bytes: &[u8]) {
    let found = decode("user data", bytes);
    let mut problems = found.problems;
    for document in found.documents {
        problems.extend(document.problems);
        if let Some(node) = document.config {
            problems.extend(from_node::<BTreeMap<String, String>>(&node).problems);
        }
    }
    problem::sort(&mut problems, &[]);
    problems.iter().for_each(|problem| drop(problem.render(true)));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        read_all(&bytes);
        read_all(&[b"\x1f\x8b\x08\0", &bytes[..]].concat());
        read_all(&base64(gzip(&bytes)));
        read_all(&[OURS.as_bytes(), &bytes].concat());
        read_all(&multipart(&[(OUR_PART, &bytes)]));
        read_all(&[b"MIME-Version: 1.0\n", &bytes[..]].concat());
    }

    #[test]
    fn no_message_makes_it_panic(text in r#"(MIME-Version: 1\.0|Content-Type: |multipart/mixed|; boundary=|"|b|--b|--|\n|\r\n|text/plain|Content-Transfer-Encoding: |base64|quoted-printable|=3|#ecs-firstrun\n|a: 1|é| |\t|filename\*0=|;|\?=|=\?utf-8\?q\?){0,40}"#) {
        read_all(text.as_bytes());
        read_all(format!("MIME-Version: 1.0\n{text}").as_bytes());
    }
}
