//! The help of each command, as it is on a terminal of 80 columns: `tests/help/COMMAND.txt`; UPDATE=1 rewrites it.

use std::collections::BTreeSet;
use std::process::Command;

use clap::CommandFactory as _;
use ecs_firstrun::cli::CommandLine;

use crate::support::host::{BINARY, Ended};
use crate::support::repository;

fn help(arguments: &[&str]) -> String {
    let mut command = Command::new(BINARY);
    command.args(arguments).arg("--help").env_clear().env("COLUMNS", "80");
    let ended = Ended::from(command.output().unwrap());
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{arguments:?}");
    ended.stdout
}

#[test]
fn the_help_of_each_command_is_the_one_that_is_expected() {
    let update = std::env::var_os("UPDATE").is_some_and(|value| !value.is_empty());
    let commands: Vec<_> =
        CommandLine::command().get_subcommands().map(|command| command.get_name().to_owned()).collect();
    assert!(commands.len() >= 8, "{commands:?}");
    let mut all = vec![("ecs-firstrun".to_owned(), help(&[]))];
    all.extend(commands.iter().map(|name| (name.clone(), help(&[name]))));
    let mut names = BTreeSet::new();
    for (name, text) in &all {
        let file = repository(&format!("tests/help/{name}.txt"));
        if update {
            std::fs::write(&file, text).unwrap();
        }
        let expected = std::fs::read_to_string(&file).unwrap_or_default();
        assert_eq!(*text, expected, "{}: UPDATE=1 accepts it", file.display());
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{name}: {text}");
        names.insert(format!("{name}.txt"));
    }
    let files =
        repository("tests/help").read_dir().unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    let left: Vec<_> = files.filter(|file| !names.contains(file)).collect();
    assert!(left.is_empty(), "of no command: {left:?}");
}
