//! `generate DIR` writes files made from the command line's definitions: `DIR/man` and `DIR/completions`.
//!
//! The generator is a program of its own, behind the cargo feature `generate`, so that the image's binary has none of its
//! code.
#![expect(clippy::disallowed_methods, reason = "it writes files, on a developer's machine")]

mod man;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::{CommandFactory as _, Parser};
use clap_complete::{Generator as _, Shell};
use ecs_firstrun::cli::CommandLine;

const NAME: &str = "ecs-firstrun";
/// The shells that have packages on the systems of an ECS container instance.
const SHELLS: [Shell; 3] = [Shell::Bash, Shell::Zsh, Shell::Fish];

/// Writes man pages and completions
#[derive(Debug, Parser)]
struct Arguments {
    /// Folder to write to; its folders man and completions are made anew
    #[arg(value_name = "DIR", default_value = "target/generated")]
    folder: PathBuf,
}

fn main() -> ExitCode {
    match generate(&Arguments::parse().folder) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn generate(folder: &Path) -> Result<()> {
    make_anew(&folder.join("man"), man::pages(CommandLine::command())?)?;
    let completions = SHELLS.iter().map(|shell| Ok((shell.file_name(NAME), completion(*shell)?)));
    make_anew(&folder.join("completions"), completions.collect::<Result<_>>()?)
}

fn completion(shell: Shell) -> Result<String> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut CommandLine::command(), NAME, &mut text);
    let text = String::from_utf8(text)?;
    // clap_complete 4.6.11 writes the hyphen of a program's name in two ways in one script for bash, which then completes
    // no option. Where it doesn't, this changes nothing.
    Ok(text.replace("ecs__subcmd__firstrun", "ecs__firstrun"))
}

/// Makes the folder anew with these files, so that no page of a removed command stays.
fn make_anew(folder: &Path, files: Vec<(String, String)>) -> Result<()> {
    if folder.exists() {
        std::fs::remove_dir_all(folder).with_context(|| format!("remove {}", folder.display()))?;
    }
    std::fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
    for (name, text) in files {
        let path = folder.join(name);
        std::fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
    }
    Ok(())
}
