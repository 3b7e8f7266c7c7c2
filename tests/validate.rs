//! `validate`: files, folders, templates, and the forms in which findings are printed.

use std::path::Path;
use std::process::{Command, Stdio};

use ecs_firstrun::validate::check_template;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::Value;

use crate::support::host::{BINARY, Ended};
use crate::support::repository;
use crate::support::user_data::UNSIGNALLED;

fn validate(arguments: &[&str]) -> Ended {
    validate_in(&repository(""), arguments)
}

fn validate_in(folder: &Path, arguments: &[&str]) -> Ended {
    let mut command = Command::new(BINARY);
    command.arg("validate").args(arguments).env_clear().current_dir(folder).stdin(Stdio::null());
    command.output().unwrap().into()
}

const WRONG: &str = "#ecs-firstrun\necs:\n  clusterr: \"100%\"\n";

/// A folder with these files.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

#[test]
fn several_files_are_checked_and_the_right_ones_told() {
    let folder = folder(&[("a.yaml", UNSIGNALLED), ("b.yaml", WRONG)]);
    let ended = validate_in(folder.path(), &["b.yaml", "a.yaml", "missing.yaml"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), "a.yaml: no mistakes found\n"));
    for words in ["--> b.yaml:3:3", "read missing.yaml: No such file", "2 errors found."] {
        assert!(ended.stderr.contains(words), "no {words} in {}", ended.stderr);
    }
}

/// A document of an image as it may stand in conf.d, which user data completes.
const OF_AN_IMAGE: &str = "signal: {timeout: 20m}\nlogs: {retention_days: 30}\n";

#[test]
fn a_file_of_conf_d_is_checked_by_its_place_or_when_it_is_called_one() {
    let outer = tempfile::tempdir().unwrap();
    let folder = outer.path().join("image/conf.d");
    std::fs::create_dir_all(&folder).unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
    write("10-base.yaml", OF_AN_IMAGE);
    write("20-key.yaml", "#cloud-config\necs_firstrun:\n  ecs: {cluster: web}\n");
    write(
        "30-handle.yaml",
        "signal: {wait_handle: \"https://cloudformation-waitcondition-us-east-1.s3.amazonaws.com/a\"}\n",
    );
    std::fs::write(outer.path().join("base"), OF_AN_IMAGE).unwrap();
    for (place, arguments) in [
        (outer.path(), &["image/conf.d"][..]),
        (outer.path(), &["image/conf.d/10-base.yaml", "image/conf.d/20-key.yaml"]),
        (&folder, &["10-base.yaml", "30-handle.yaml"]),
        (outer.path(), &["--conf-d", "base"]),
        (&folder, &["--conf-d", "../../base", "10-base.yaml"]),
    ] {
        let ended = validate_in(place, arguments);
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{arguments:?}");
        assert!(ended.stdout.contains("no mistakes found\n"), "{}", ended.stdout);
    }
    write("40-wrong.yaml", "logs: {retention_days: 30}\necs: {clusters: web}\n");
    let ended = validate_in(outer.path(), &["image/conf.d"]);
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(ended.stderr.contains("40-wrong.yaml:2:7"), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("unknown key `clusters`") && ended.stderr.contains("1 error found."),
        "{}",
        ended.stderr
    );
    write("40-wrong.yaml", "retention_days: 30\n");
    assert_eq!(validate_in(&folder, &["40-wrong.yaml"]).code, Some(2));
    write("50.yml", OF_AN_IMAGE);
    let ended = validate_in(&folder, &["50.yml"]);
    assert!(ended.code == Some(0) && ended.stderr.contains("only *.yaml files in"), "{}", ended.stderr);
}

#[test]
fn elsewhere_the_same_text_is_user_data_whose_first_line_is_missing() {
    let folder = folder(&[("base.yaml", OF_AN_IMAGE), ("others.yaml", "on: push\n")]);
    let ended = validate_in(folder.path(), &["base.yaml"]);
    assert_eq!(ended.code, Some(2), "{}", ended.stdout);
    for words in
        ["its first line is not `#ecs-firstrun`", "a file of /etc/ecs-firstrun/conf.d is checked with --conf-d"]
    {
        assert!(ended.stderr.contains(words), "no {words} in {}", ended.stderr);
    }
    let ended = validate_in(folder.path(), &["--conf-d", "others.yaml"]);
    assert!(ended.code == Some(2) && ended.stderr.contains("unknown key `on`"), "{}", ended.stderr);
}

#[test]
fn of_a_folder_what_is_for_ecs_firstrun_is_checked() {
    let files = [("a.yaml", UNSIGNALLED), ("ci.yml", "on: push\n"), ("notes.txt", WRONG), ("stack.json", "{}")];
    let some = folder(&files);
    let ended = validate_in(some.path(), &["."]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), "./a.yaml: no mistakes found\n"), "{}", ended.stderr);
    let none = folder(&files[1..]);
    let ended = validate_in(none.path(), &["."]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""));
    assert!(ended.stderr.contains("no file in the folder . holds ecs-firstrun configuration"), "{}", ended.stderr);
    let nearly = folder(&[("a.yaml", WRONG), ("ci.yml", "on: push\n")]);
    assert_eq!(validate_in(nearly.path(), &["."]).code, Some(2));
}

#[test]
fn a_folder_of_templates_is_checked_without_those_that_have_no_user_data() {
    let ended = validate(&["examples/cloudformation"]);
    assert_eq!(ended.code, Some(0));
    // One warning, about the template with a proxy: dnf ignores `no_proxy`.
    assert!(ended.stderr.contains("proxy.yaml") && ended.stderr.lines().count() == 1, "{}", ended.stderr);
    let templates = repository("examples/cloudformation").read_dir().unwrap().count();
    assert_eq!(ended.stdout.lines().count(), templates - 2, "{}", ended.stdout);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_template_makes_the_check_panic(changes in vec((any::<Index>(), 0..4_usize, "\\PC{0,3}|[${}!\n :-]{1,3}"), 1..6)) {
        let text = std::fs::read_to_string(repository("examples/cloudformation/stack.yaml")).unwrap();
        let mut characters: Vec<char> = text.chars().collect();
        for (at, removed, added) in changes {
            let at = at.index(characters.len());
            let end = (at + removed).min(characters.len());
            characters.splice(at..end, added.chars());
        }
        let text: String = characters.into_iter().collect();
        let verdict = check_template("template", text.as_bytes());
        verdict.errors.iter().chain(&verdict.warnings).for_each(|problem| drop(problem.render(false)));
    }
}

#[test]
fn annotations_for_github_are_escaped_and_point_into_the_file() {
    let mime = format!(
        "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"b\"\n\n--b\nContent-Type: text/plain\n\n{WRONG}\n--b--\n"
    );
    let encoded = "I2Vjcy1maXJzdHJ1bgplY3M6CiAgY2x1c3RlcnI6IHgK";
    let folder = folder(&[("a,b.yaml", WRONG), ("m.mime", &mime), ("e.b64", encoded)]);
    let ended = validate_in(folder.path(), &["--format", "github", "a,b.yaml", "m.mime", "e.b64"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(2), ""));
    let wanted = "\
::error file=a%2Cb.yaml,line=3,col=3,title=ecs-firstrun::unknown key `clusterr`%0Adid you mean `cluster`?
::error file=m.mime,line=9,col=3,title=ecs-firstrun::unknown key `clusterr`%0Adid you mean `cluster`?
::error file=e.b64,title=ecs-firstrun::e.b64:3:3: unknown key `clusterr`; did you mean `cluster`?
";
    let errors: String =
        ended.stdout.lines().filter(|line| line.contains("unknown key")).map(|line| format!("{line}\n")).collect();
    assert_eq!(errors, wanted);
}

#[test]
fn findings_in_json_have_their_place_and_no_secret() {
    let folder = folder(&[
        ("a.yaml", "#ecs-firstrun\necs: {clusterr: x}\nproxy: {url: \"ftp://me:hunter2canary@p:1\"}\n"),
        ("b.yaml", "#ecs-firstrun\nproxy: {url: \"http://me:hunter2canary@p:1\"}\n"),
    ]);
    let ended = validate_in(folder.path(), &["--format", "json", "a.yaml", "b.yaml"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(2), ""));
    assert!(!ended.stdout.contains("canary"), "{}", ended.stdout);
    let found: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(found["version"], 1);
    let error = &found["files"][0]["errors"][0];
    assert_eq!((&error["line"], &error["column"]), (&2.into(), &7.into()));
    assert_eq!(
        (&error["message"], &error["remedy"]),
        (&"unknown key `clusterr`".into(), &"did you mean `cluster`?".into())
    );
    assert_eq!(found["files"][1]["warnings"].as_array().unwrap().len(), 1);
}

#[test]
fn warnings_are_told_and_are_no_failure() {
    let folder = folder(&[("a.yaml", "#ecs-firstrun\nproxy: {url: \"http://me:hunter2canary@p:1\"}\n")]);
    let ended = validate_in(folder.path(), &["a.yaml"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), "a.yaml: no mistakes found, 1 warning\n"));
    assert!(ended.stderr.starts_with("warning: there is a password in it"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("canary"), "{}", ended.stderr);
}

#[test]
fn a_template_is_read_with_and_without_being_called_one() {
    for arguments in
        [&["--template", "examples/cloudformation/stack.yaml"][..], &["examples/cloudformation/stack.yaml"]]
    {
        let ended = validate(arguments);
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
        assert_eq!(ended.stdout, "examples/cloudformation/stack.yaml: no mistakes found\n");
    }
    let ended = validate(&["--template", "examples/cloudformation/role.yaml"]);
    assert_eq!(ended.code, Some(0));
    assert!(
        ended.stderr.contains("note: examples/cloudformation/role.yaml: no resource of this template has `UserData`")
    );
    let ended = validate(&["--template", "no-such-file"]);
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("read no-such-file: No such file"), "{}", ended.stderr);
}

#[test]
fn a_template_without_ours_is_no_mistake_beside_one_that_has_it() {
    let other = "Resources:\n  A: {Type: AWS::EC2::Instance, Properties: {UserData: {Fn::Base64: '#!/bin/sh'}}}\n";
    let folder = folder(&[("other.yaml", other), ("a.yaml", UNSIGNALLED)]);
    assert_eq!(validate_in(folder.path(), &["other.yaml"]).code, Some(2));
    let ended = validate_in(folder.path(), &["other.yaml", "a.yaml"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("note: other.yaml: no user data in it holds ecs-firstrun configuration"));
}

#[test]
fn a_mistake_in_a_template_is_shown_in_its_line() {
    let template = std::fs::read_to_string(repository("examples/cloudformation/stack.yaml")).unwrap();
    let broken = template.replace("retention_days: 30", "retention_days: 31");
    let line = 1 + broken.lines().position(|line| line.contains("retention_days")).unwrap();
    let folder = folder(&[("stack.yaml", &broken)]);
    let ended = validate_in(folder.path(), &["--template", "stack.yaml"]);
    assert_eq!(ended.code, Some(2));
    let wanted = format!(
        "error: logs.retention_days: CloudWatch Logs can't keep events for 31 days\n  --> stack.yaml:{line}:31\n   |\n{line} |               retention_days: 31\n   |                               ^^\n"
    );
    assert!(ended.stderr.starts_with(&wanted), "{}", ended.stderr);
}
