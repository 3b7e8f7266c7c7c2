//! User data as the real cloud-init takes them: whether they leave it clean, and which parts are for which instance of a launch.
//!
//! `make setup-cloud-init` installs Debian 12 and 13 with theirs, in which the stages are gone through in namespaces. Debian's
//! 22.4 only warns of what it doesn't know; since 23.4 cloud-init is `degraded` then, with exit code 2.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ecs_firstrun::document::decode::{Document, decode_for};

use crate::support::gzip;
use crate::support::host::BINARY;
use crate::support::user_data::UNSIGNALLED;
use crate::support::{repository, skip};

/// The folder into which `make setup-cloud-init` installs.
const INSTALLED: &str = "target/lint/cloud-init";
const KEY: &str = "{\"ecs_firstrun\": {\"ecs\": {\"cluster\": \"production\"}}}";

/// The end to which cloud-init came.
struct Seen {
    status: String,
    code: String,
    warnings: String,
    /// The names of the files in conf.d.
    written: String,
}

impl Seen {
    /// Fails unless cloud-init is done without a warning.
    fn is_clean(&self, what: &str) {
        let Seen { status, code, warnings, .. } = self;
        assert_eq!((code.trim(), warnings.as_str()), ("0", ""), "{what}: {status}");
        assert!(status.starts_with("status: done\n") && !status.contains("degraded"), "{what}: {status}");
    }
}

/// A Debian with its cloud-init.
struct Debian(PathBuf);

impl Debian {
    fn found(release: &str) -> Option<Self> {
        let root = repository(INSTALLED).join(release);
        let can_be_used = root.join("usr/bin/cloud-init").exists() && nix::unistd::geteuid().is_root();
        if !can_be_used {
            skip(&format!("the cloud-init of Debian {release}: it takes root, and make setup-cloud-init"));
            return None;
        }
        Some(Self(root))
    }

    /// Goes through the stages with each user data, on an image with these files of ours.
    fn boot(&self, image: &Path, cases: &[(&str, Vec<u8>)]) -> BTreeMap<String, Seen> {
        let folder = tempfile::tempdir().unwrap();
        let all = folder.path().join("cases");
        for (name, user_data) in cases {
            let case = all.join(name);
            std::fs::create_dir_all(&case).unwrap();
            std::fs::write(case.join("user-data"), user_data).unwrap();
            if name.ends_with("reboot") {
                std::fs::write(case.join("reboot"), "").unwrap();
            }
        }
        let mut command = Command::new(repository("tests/cloud_init/boot.sh"));
        let ended = command.arg(&self.0).arg(image).arg(&all).output().unwrap();
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
        let seen = |name: &str| {
            let read = |what: &str| std::fs::read_to_string(all.join(name).join(what)).unwrap();
            Seen { status: read("status"), code: read("code"), warnings: read("warnings"), written: read("written") }
        };
        cases.iter().map(|(name, _)| ((*name).to_owned(), seen(name))).collect()
    }

    /// The parts that cloud-init keeps of each user data, for the indices 0 and 1 and where there is none.
    fn kept(&self, user_data: &[String]) -> Vec<[String; 3]> {
        let mut command = Command::new("chroot");
        command.arg(&self.0).args(["python3", "-c", include_str!("cloud_init/kept.py")]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(serde_json::to_string(user_data).unwrap().as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

/// An image's folder with what install.sh installs, with the binary under test.
fn image() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let install = Command::new("cp").arg("-rT").arg(repository("builder-scripts/files")).arg(folder.path()).status();
    assert!(install.unwrap().success());
    std::fs::create_dir_all(folder.path().join("usr/bin")).unwrap();
    let binary = folder.path().join("usr/bin/ecs-firstrun");
    std::fs::copy(BINARY, &binary).unwrap();
    std::fs::set_permissions(binary, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

fn base64(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    STANDARD.encode(bytes).into_bytes()
}

fn message(headers: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let before = format!("MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\n{headers}\n\n");
    [before.as_bytes(), body.as_ref(), b"\n--b--\n"].concat()
}

fn example(name: &str) -> Vec<u8> {
    std::fs::read(repository("examples/user-data").join(name)).unwrap()
}

/// Each form of user data that is recommended, but for the key beside others in `#cloud-config`.
fn forms() -> Vec<(&'static str, Vec<u8>)> {
    let part = "Content-Type: application/vnd.ecs-firstrun+yaml";
    let encoded = "Content-Type: text/plain\nContent-Transfer-Encoding: base64";
    let archive =
        "#cloud-config-archive\n- type: application/vnd.ecs-firstrun+yaml\n  content: 'ecs: {cluster: web}'\n";
    vec![
        ("complete", example("complete.yaml")),
        ("multipart", example("multipart.mime")),
        ("base64", example("smallest.b64")),
        ("gzip-in-base64", example("smallest.gz.b64")),
        ("gzip", gzip(UNSIGNALLED)),
        ("base64-of-a-message", base64(example("multipart.mime"))),
        ("json", KEY.into()),
        ("json-in-base64", base64(KEY)),
        ("part-as-text", message("Content-Type: text/plain", UNSIGNALLED)),
        ("part-as-yaml", message("Content-Type: text/yaml", UNSIGNALLED)),
        (
            "part-as-bytes",
            message(
                "Content-Type: application/octet-stream\nContent-Transfer-Encoding: base64",
                base64(gzip(UNSIGNALLED)),
            ),
        ),
        (
            "part-of-gzip",
            message("Content-Type: application/gzip\nContent-Transfer-Encoding: base64", base64(gzip(UNSIGNALLED))),
        ),
        ("part-with-mistakes", message(part, "ecs: {clusters: web}")),
        ("part-encoded-twice", message(encoded, base64(base64(UNSIGNALLED)))),
        ("archive", archive.into()),
        ("after-a-reboot", UNSIGNALLED.into()),
    ]
}

/// Forms that are clean on any image, as they are documented.
fn forms_for_any_image() -> Vec<(&'static str, Vec<u8>)> {
    let hidden = "#cloud-config\nlaunch-index: 65535\necs_firstrun: {ecs: {cluster: production}}\n";
    let header = "Content-Type: application/vnd.ecs-firstrun+yaml\nLaunch-Index: 65535";
    let archive = "#cloud-config-archive\n- type: text/cloud-config\n  content: 'runcmd: [[\"true\"]]'\n\
        - type: application/vnd.ecs-firstrun+yaml\n  launch-index: 65535\n  content: 'ecs: {cluster: web}'\n";
    let file = "#cloud-config\nwrite_files:\n- path: /etc/ecs-firstrun/conf.d/50-written.yaml\n  content: 'ecs: {cluster: web}'\n";
    vec![
        ("cloud-config", hidden.into()),
        ("part", message(header, UNSIGNALLED)),
        ("archive", archive.into()),
        ("written", file.into()),
    ]
}

/// The warning of 22.4 about any user data that hold no `#cloud-config`: its schema wants one.
fn without_what_each_has(mut seen: Seen) -> Seen {
    let lines = seen.warnings.lines().filter(|line| !line.contains("Invalid cloud-config provided"));
    seen.warnings = lines.map(|line| format!("{line}\n")).collect();
    seen
}

fn on_our_image_each_form_is_clean(release: &str, degraded: &str) {
    let Some(debian) = Debian::found(release) else { return };
    let image = image();
    let mut cases: Vec<_> = [forms(), vec![("of-others", b"hello\n".to_vec())]].concat();
    cases.push(("key-beside-others", example("cloud-config.yaml")));
    let mut seen = debian.boot(image.path(), &cases);
    let of_others = seen.remove("of-others").unwrap();
    assert!(of_others.warnings.contains("(text/x-not-multipart) userdata: 'hello...'"), "{}", of_others.warnings);
    assert_eq!(of_others.code.trim(), degraded, "{}", of_others.status);
    // No handler can help here: the documentation says so.
    let key = seen.remove("key-beside-others").unwrap();
    assert_eq!(key.code.trim(), degraded, "{}", key.status);
    for (name, seen) in seen {
        without_what_each_has(seen).is_clean(&name);
    }
}

fn on_any_image_some_are(release: &str, degraded: &str) {
    let Some(debian) = Debian::found(release) else { return };
    let image = tempfile::tempdir().unwrap();
    std::fs::set_permissions(image.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let cases: Vec<_> = [forms_for_any_image(), vec![("complete", example("complete.yaml"))]].concat();
    let mut seen = debian.boot(image.path(), &cases);
    let complete = seen.remove("complete").unwrap();
    assert!(complete.warnings.contains("Unhandled non-multipart"), "{}", complete.warnings);
    assert_eq!(complete.code.trim(), degraded, "{}", complete.status);
    assert_eq!(seen["written"].written, "50-written.yaml\n");
    for (name, seen) in seen {
        without_what_each_has(seen).is_clean(&name);
    }
    for (name, user_data) in forms_for_any_image().into_iter().filter(|(name, _)| *name != "written") {
        assert_eq!(decode_for(name, &user_data, Some(3)).documents.len(), 1, "{name}");
    }
}

fn the_launch_index_is_read_as_cloud_init_reads_it(release: &str) {
    let Some(debian) = Debian::found(release) else { return };
    let values =
        ["0", "1", " +1", "01", "-1", "1.0", "0x1", "x", "", "true", "True", "null", "'1'", "[1]", "99999999999"];
    let mut user_data = Vec::new();
    for value in values {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let key = format!("#cloud-config\nlaunch-index: {value}\necs_firstrun: {{ecs: {{cluster: production}}}}\n");
        let another = "#cloud-config\nlaunch-index: 1\necs_firstrun: {ecs: {cluster: production}}\n";
        let packed = STANDARD.encode(gzip(UNSIGNALLED));
        let gzip = format!("Content-Type: application/gzip\nContent-Transfer-Encoding: base64\nLaunch-Index: {value}");
        let kind = "Content-Type: application/vnd.ecs-firstrun+yaml";
        let item = format!(
            "  type: application/vnd.ecs-firstrun+yaml\n  content: |\n    {}\n",
            UNSIGNALLED.trim().replace('\n', "\n    ")
        );
        let archive = format!("#cloud-config-archive\n- launch-index: {value}\n{item}");
        let archive_part = format!("Content-Type: text/cloud-config-archive\nLaunch-Index: {value}");
        let nested = format!("Launch-Index: {value}\nContent-Type: multipart/mixed; boundary=c");
        let inner = format!("--c\n{kind}\n\n{UNSIGNALLED}\n--c--\n");
        user_data.extend([
            key.clone(),
            text(message(&format!("{kind}\nLaunch-Index: {value}"), UNSIGNALLED)),
            text(message(&format!("{kind}\nlaunch-index: {value}\nLaunch-Index: 1"), UNSIGNALLED)),
            text(message("Content-Type: text/x-shellscript", &key)),
            text(message("Content-Type: text/x-other", &key)),
            text(message(&format!("Content-Type: text/cloud-config\nLaunch-Index: {value}"), another)),
            format!("MIME-Version: 1.0\n{kind}\nLaunch-Index: {value}\n\n{UNSIGNALLED}"),
            text(message(&gzip, packed)),
            archive.clone(),
            archive.replace("launch-index", "Launch-Index"),
            text(message(&archive_part, archive)),
            text(message(&nested, inner)),
        ]);
    }
    let kept = debian.kept(&user_data);
    let mut dropped = 0;
    for (user_data, kept) in user_data.iter().zip(kept) {
        let is_kept = kept.map(|parts| parts.contains("production"));
        let is_ours = |document: &Document| document.source.text.contains("production");
        let indices = [Some(0), Some(1), None];
        let is_read = indices.map(|index| decode_for("it", user_data.as_bytes(), index).documents.iter().any(is_ours));
        assert_eq!(is_read, is_kept, "{user_data}");
        dropped += is_kept.iter().filter(|kept| !**kept).count();
    }
    assert!(dropped > 100, "{dropped}");
}

#[test]
fn of_debian_12_on_our_image_each_form_is_clean() {
    on_our_image_each_form_is_clean("bookworm", "0");
}

#[test]
fn of_debian_13_on_our_image_each_form_is_clean_but_the_key_beside_others() {
    on_our_image_each_form_is_clean("trixie", "2");
}

#[test]
fn of_debian_12_on_any_image_some_forms_are_clean() {
    on_any_image_some_are("bookworm", "0");
}

#[test]
fn of_debian_13_on_any_image_some_forms_are_clean() {
    on_any_image_some_are("trixie", "2");
}

#[test]
fn of_debian_12_and_13_the_launch_index_is_read_alike() {
    ["bookworm", "trixie"].into_iter().for_each(the_launch_index_is_read_as_cloud_init_reads_it);
}
