//! User data in the wrappings that EC2, CloudFormation and cloud-init allow, which bytes at random would hardly be: the
//! first bytes say which, the rest is what is wrapped.
#![no_main]

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ecs_firstrun_fuzz::run;
use flate2::Compression;
use flate2::write::GzEncoder;
use libfuzzer_sys::fuzz_target;
use std::io::Write as _;

/// The line that separates the parts of a message.
const CUT: &[u8] = b"\n%%%%\n";

fuzz_target!(|bytes: &[u8]| {
    let Some((count, mut rest)) = bytes.split_first() else { return };
    let mut layers = Vec::new();
    for _ in 0..count % 6 {
        let Some((layer, inner)) = rest.split_first() else { break };
        layers.push(*layer);
        rest = inner;
    }
    let wrapped = layers.iter().rev().fold(rest.to_vec(), |content, layer| wrap(*layer, &content));
    run(bytes, &wrapped);
});

fn wrap(layer: u8, content: &[u8]) -> Vec<u8> {
    match layer % 10 {
        0 => BASE64_STANDARD.encode(content).into_bytes(),
        1 => lines(content),
        2 => gzip(content),
        3 => [gzip(&content[..content.len() / 2]), gzip(&content[content.len() / 2..])].concat(),
        4 => [b"#cloud-config\necs_firstrun:\n  ", content].concat(),
        5 => String::from_utf8_lossy(content).encode_utf16().flat_map(u16::to_le_bytes).collect(),
        6 => [b"\xef\xbb\xbf", content].concat(),
        // Much of the same, which compresses well.
        7 => content.repeat(1 + (64 << 10) / content.len().max(1)),
        8 => message(content, |_, part| ("", part.to_vec())),
        _ => message(content, |number, part| match number % 4 {
            0 => ("Content-Type: application/vnd.ecs-firstrun+yaml\n", part.to_vec()),
            1 => ("Content-Type: text/cloud-config\nContent-Transfer-Encoding: base64\n", lines(part)),
            2 => ("Content-Type: text/plain\nContent-Transfer-Encoding: quoted-printable\n", part.to_vec()),
            _ => ("Content-Type: application/gzip\n", gzip(part)),
        }),
    }
}

fn lines(content: &[u8]) -> Vec<u8> {
    let text = BASE64_STANDARD.encode(content).into_bytes();
    text.chunks(76).collect::<Vec<_>>().join(&b"\r\n"[..])
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let _ = encoder.write_all(content);
    encoder.finish().unwrap_or_default()
}

fn message(content: &[u8], part: impl Fn(usize, &[u8]) -> (&'static str, Vec<u8>)) -> Vec<u8> {
    let mut message = b"MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n".to_vec();
    let mut rest = content;
    for number in 0.. {
        let cut = rest.windows(CUT.len()).position(|window| window == CUT);
        let (headers, body) = part(number, &rest[..cut.unwrap_or(rest.len())]);
        message.extend([b"--b\n", headers.as_bytes(), b"\n", &body, b"\n"].concat());
        match cut {
            Some(cut) => rest = &rest[cut + CUT.len()..],
            None => break,
        }
    }
    message.extend(b"--b--\n");
    message
}
