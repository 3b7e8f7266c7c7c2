//! Contents of the packages: the files that an image needs, man pages, completions. `make test-bake` installs them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Command, Stdio};

use ecs_firstrun::doctor::INSTALLED;
use serde_json::Value;

use crate::support::host::{BINARY, tree};
use crate::support::repository;
use crate::support::skip;

const FILES: &str = "builder-scripts/files";

/// The files that install.sh installs beside the binary, by where they go.
fn installed_by_script() -> BTreeSet<String> {
    tree(&repository(FILES)).into_keys().map(|path| format!("/{path}")).collect()
}

/// The contents of a package: the source and the mode of each path, but for generated files.
type Assets = BTreeMap<String, (String, String)>;

fn assets(kind: &str) -> Assets {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--no-deps", "--offline"])
        .current_dir(repository(""))
        .output()
        .unwrap();
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let assets = metadata["packages"][0]["metadata"][kind]["assets"].as_array().unwrap().clone();
    let text = |asset: &Value, at: usize, key: &str| {
        let value = if asset.is_array() { &asset[at] } else { &asset[key] };
        value.as_str().unwrap().to_owned()
    };
    let mut all = Assets::new();
    for asset in assets {
        let (source, dest, mode) = (text(&asset, 0, "source"), text(&asset, 1, "dest"), text(&asset, 2, "mode"));
        for source in matching(&source) {
            let dest = format!("/{}", dest.trim_start_matches('/'));
            let name = source.rsplit('/').next().unwrap();
            let dest = if dest.ends_with('/') { format!("{dest}{name}") } else { dest };
            assert!(all.insert(dest.clone(), (source, mode.clone())).is_none(), "{dest} is there twice");
        }
    }
    all
}

/// The files that a source stands for: itself, or each in its folder.
fn matching(source: &str) -> Vec<String> {
    match source.strip_suffix("/*") {
        Some(folder) if folder.starts_with(FILES) => {
            tree(&repository(folder)).into_keys().map(|name| format!("{folder}/{name}")).collect()
        }
        _ => vec![source.to_owned()],
    }
}

#[test]
fn both_packages_the_script_and_the_check_of_an_image_have_one_list_of_files() {
    let by_script = installed_by_script();
    for kind in ["deb", "generate-rpm"] {
        let assets = assets(kind);
        assert_eq!(assets["/usr/bin/ecs-firstrun"], ("dist/ecs-firstrun".to_owned(), "755".to_owned()));
        let of_files = assets.iter().filter(|(_, (source, _))| source.starts_with(FILES));
        let packaged: BTreeSet<String> = of_files.clone().map(|(dest, _)| dest.clone()).collect();
        assert_eq!(packaged, by_script, "{kind}");
        for (dest, (source, mode)) in of_files {
            assert_eq!((source.as_str(), mode.as_str()), (format!("{FILES}{dest}").as_str(), "644"), "{kind}");
        }
        let beside = assets.keys().filter(|dest| !by_script.contains(*dest) && *dest != "/usr/bin/ecs-firstrun");
        for dest in beside {
            assert!(dest.starts_with("/usr/share/"), "{kind}: install.sh does not install {dest}");
        }
        for name in ["LICENSE-MIT", "LICENSE-APACHE"] {
            assert!(assets.values().any(|(source, _)| source == name), "{kind} lacks {name}");
        }
    }
    let checked: BTreeSet<_> = INSTALLED.iter().map(|(path, _)| (*path).to_owned()).collect();
    let unchecked: Vec<_> = by_script.difference(&checked).collect();
    assert_eq!(unchecked, ["/etc/ecs-firstrun/conf.d/README"]);
    assert!(checked.is_subset(&by_script));
}

#[test]
fn the_preset_names_each_unit_that_the_check_of_an_image_looks_at() {
    let (_, preset) = INSTALLED.iter().find(|(path, _)| path.ends_with(".preset")).unwrap();
    let lines: Vec<_> = preset.lines().filter(|line| !line.starts_with('#')).collect();
    let disabled =
        ["docker.service", "docker.socket", "ecs.service", "amazon-cloudwatch-agent.service", "awslogsd.service"];
    let wanted: Vec<_> = disabled.iter().map(|unit| format!("disable {unit}")).collect();
    assert_eq!(lines[0], "enable ecs-firstrun.service");
    assert_eq!(lines[1..], wanted);
}

/// Files that `make generate` writes.
fn generated() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let status = Command::new(env!("CARGO_BIN_EXE_generate")).arg(folder.path()).status().unwrap();
    assert!(status.success());
    folder
}

/// The commands, as the help lists them.
fn commands() -> Vec<String> {
    let output = Command::new(BINARY).arg("--help").output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    // A line that is indented further continues the line before.
    let names = listed.filter(|line| !line.starts_with("   ")).filter_map(|line| line.split_whitespace().next());
    names.filter(|name| *name != "help").map(str::to_owned).collect()
}

/// Runs a program where it is there; nothing where it is not.
fn ran(program: &str, arguments: &[&str], path: &Path) -> Option<String> {
    let output = Command::new(program).args(arguments).arg(path).stdin(Stdio::null()).output().ok().or_else(|| {
        skip(&format!("needs {program}"));
        None
    })?;
    let said = [output.stdout, output.stderr].concat();
    Some(format!("{}{}", if output.status.success() { "" } else { "it failed: " }, String::from_utf8_lossy(&said)))
}

#[test]
fn each_command_has_a_man_page_without_mistakes() {
    let folder = generated();
    let pages = tree(&folder.path().join("man"));
    let commands = commands();
    assert!(commands.len() >= 8, "{commands:?}");
    let mut wanted: Vec<_> = commands.iter().map(|command| format!("ecs-firstrun-{command}.8")).collect();
    wanted.push("ecs-firstrun.8".to_owned());
    wanted.sort();
    assert_eq!(pages.keys().cloned().collect::<Vec<_>>(), wanted);
    for (name, (_, text)) in &pages {
        let text = String::from_utf8(text.clone()).unwrap();
        for section in ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "\"EXIT STATUS\"", "\"SEE ALSO\""] {
            assert!(text.contains(&format!("\n.SH {section}\n")), "{name} has no {section}");
        }
        let path = folder.path().join("man").join(name);
        for (program, arguments) in
            [("man", &["--warnings", "-Z", "-Tutf8", "-l"][..]), ("mandoc", &["-Tlint", "-Werror"])]
        {
            let said = ran(program, arguments, &path).unwrap_or_default();
            assert!(!said.contains("it failed") && !said.contains("warning"), "{program} {name}: {said}");
        }
    }
}

#[test]
fn the_man_pages_say_where_a_run_reads_and_writes_and_how_it_ends() {
    let folder = generated();
    let read = |name: &str| std::fs::read_to_string(folder.path().join("man").join(name)).unwrap().replace("\\-", "-");
    let run = read("ecs-firstrun-run.8");
    for words in [
        "/etc/ecs-firstrun/conf.d/*.yaml",
        "/var/lib/ecs-firstrun/report.json",
        "ECS_FIRSTRUN_ROOT",
        "ECS_CLUSTER",
        "The outcome could not be reported",
        "ecs-firstrun-status",
    ] {
        assert!(run.contains(words), "{words} is missing in {run}");
    }
    assert!(!run.contains("Exit codes"), "they have a section");
    assert!(!read("ecs-firstrun-validate.8").contains("ECS_CLUSTER"), "it doesn't read the variables");
}

#[test]
fn the_shells_complete_commands_and_options() {
    let folder = generated();
    let completions = folder.path().join("completions");
    for name in ["_ecs-firstrun", "ecs-firstrun.bash", "ecs-firstrun.fish"] {
        let text = std::fs::read_to_string(completions.join(name)).unwrap();
        for command in commands() {
            assert!(text.contains(&command), "{name} lacks {command}");
        }
    }
    let complete = "source \"$0\"; COMP_WORDS=(ecs-firstrun $WORDS); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); \
                    function=$(complete -p ecs-firstrun | sed 's/.*-F \\([^ ]*\\).*/\\1/'); \
                    $function ecs-firstrun \"${COMP_WORDS[COMP_CWORD]}\" \"${COMP_WORDS[COMP_CWORD-1]}\"; \
                    echo \"${COMPREPLY[*]}\"";
    for (words, completed) in
        [("doc", "doctor"), ("doctor --im", "--imds-endpoint --image"), ("--log-format js", "json")]
    {
        let mut bash = Command::new("bash");
        bash.args(["-c", complete]).arg(completions.join("ecs-firstrun.bash")).env("WORDS", words);
        let output = bash.output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), completed, "{words}");
    }
    for (shell, name) in [("zsh", "_ecs-firstrun"), ("fish", "ecs-firstrun.fish")] {
        assert_eq!(ran(shell, &["-n"], &completions.join(name)).unwrap_or_default(), "", "{shell}");
    }
}
