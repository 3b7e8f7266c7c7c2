//! `validate`: checks user data offline, and shows the findings.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use crate::document::problem::Problem;
use crate::run::Ending;
use crate::streams::{eprint, has_color, print, read_input};
use crate::validate::{Validation, check, check_of_conf_d, check_template};

/// Extensions of the files in a folder that may be user data or templates.
const ENDINGS: [&str; 6] = ["yaml", "yml", "json", "mime", "b64", "template"];
/// Name of the folder of an image's documents, in the image and in the folder that becomes the image.
const CONF_D: &str = "conf.d";
/// The version of what `--format json` prints.
const VERSION: u32 = 1;

#[derive(Args, Debug)]
pub(super) struct ValidateArguments {
    /// User data, or folders of them; `-` is standard input [default: -]
    ///
    /// In a folder, *.yaml, *.yml, *.json, *.mime, *.b64 and *.template are checked. A CloudFormation template among
    /// the files is checked as with --template.
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Check the user data inside a CloudFormation template, in YAML or JSON
    #[arg(long = "template", value_name = "FILE")]
    templates: Vec<PathBuf>,
    /// Check a file of an image's /etc/ecs-firstrun/conf.d, which needs no `#ecs-firstrun`
    ///
    /// A FILE in a folder named conf.d is checked so without this option.
    #[arg(long = "conf-d", value_name = "FILE")]
    of_conf_d: Vec<PathBuf>,
    /// Print the findings for people, for programs, or as annotations of a GitHub workflow
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum Format {
    Text,
    Json,
    Github,
}

/// A file that was checked, with its text if it is text.
struct Checked {
    verdict: Validation,
    text: Option<String>,
}

pub(super) fn validate(arguments: ValidateArguments) -> Result<ExitCode> {
    let mut checked: Vec<_> = arguments.templates.iter().map(|path| check_file(path, check_template)).collect();
    checked.extend(arguments.of_conf_d.iter().map(|path| check_file(path, check_of_conf_d)));
    let standard_input = vec![PathBuf::from("-")];
    let alone = arguments.files.is_empty() && checked.is_empty();
    for path in if alone { &standard_input } else { &arguments.files } {
        match path.is_dir() {
            true => checked.extend(check_folder(path)),
            false => checked.push(check_by_place(path)),
        }
    }
    if checked.iter().any(|file| file.verdict.found) {
        checked = checked.into_iter().map(|file| Checked { verdict: file.verdict.beside_others(), ..file }).collect();
    }
    match arguments.format {
        Format::Text => print_text(&checked)?,
        Format::Json => print(&format!("{:#}\n", as_json(&checked)))?,
        Format::Github => print(&annotations(&checked))?,
    };
    let wrong = checked.iter().any(|file| !file.verdict.errors.is_empty());
    Ok(if wrong { ExitCode::from(Ending::Refused.code()) } else { ExitCode::SUCCESS })
}

fn check_file(path: &Path, check: impl Fn(&str, &[u8]) -> Validation) -> Checked {
    let name = if path.as_os_str() == "-" { "standard input".to_owned() } else { path.display().to_string() };
    match read_input(path) {
        Ok(bytes) => Checked { verdict: check(&name, &bytes), text: String::from_utf8(bytes).ok() },
        Err(error) => {
            let verdict = Validation::failed(&name, format!("{error:#}"), "name a file that can be read");
            Checked { verdict, text: None }
        }
    }
}

/// Checks a file as user data, or as a document of an image if its folder is named `conf.d`.
fn check_by_place(path: &Path) -> Checked {
    let place = std::path::absolute(path).unwrap_or_default();
    let is_of_conf_d = place.parent().and_then(Path::file_name).is_some_and(|folder| folder == CONF_D);
    if !is_of_conf_d || path.as_os_str() == "-" {
        return check_file(path, check);
    }
    let mut checked = check_file(path, check_of_conf_d);
    if path.extension().is_none_or(|end| end != "yaml") {
        let problem = Problem::general(format!("{}: only *.yaml files in {CONF_D} are read", path.display()));
        checked.verdict.warnings.push(problem.remedy("give it a name that ends in .yaml"));
    }
    checked
}

/// Checks the files of a folder. Files without anything for ecs-firstrun are left out; it is an error if no other file is
/// there.
fn check_folder(folder: &Path) -> Vec<Checked> {
    let name = folder.display().to_string();
    let failed = |message: String, remedy: &str| {
        vec![Checked { verdict: Validation::failed(&name, message, remedy), text: None }]
    };
    let listed = folder.read_dir().and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect());
    let mut files: Vec<PathBuf> = match listed.with_context(|| format!("can't read the directory {name}")) {
        Ok(files) => files,
        Err(error) => return failed(format!("{error:#}"), "name a folder that can be read"),
    };
    files.retain(|path| path.extension().and_then(|end| end.to_str()).is_some_and(|end| ENDINGS.contains(&end)));
    files.sort_unstable();
    let mut checked: Vec<_> = files.iter().map(|path| check_by_place(path)).collect();
    checked.retain(|file| !file.verdict.others);
    match checked.is_empty() {
        true => failed(
            format!("no file in the folder {name} holds ecs-firstrun configuration"),
            "only files that end in .yaml, .yml, .json, .mime, .b64 or .template are checked, and none in subfolders",
        ),
        false => checked,
    }
}

fn print_text(checked: &[Checked]) -> Result<ExitCode> {
    let color = has_color(&std::io::stderr());
    let mut right = String::new();
    for Validation { name, errors, warnings, notes, .. } in checked.iter().map(|file| &file.verdict) {
        notes.iter().for_each(|note| eprint(&format!("note: {note}\n")));
        warnings.iter().for_each(|warning| eprint(&format!("{}\n\n", warning.render_as_warning(color))));
        errors.iter().for_each(|error| eprint(&format!("{}\n\n", error.render(color))));
        if errors.is_empty() {
            let warned = match warnings.len() {
                0 => String::new(),
                count => format!(", {}", counted(count, "warning")),
            };
            right += &format!("{name}: no mistakes found{warned}\n");
        }
    }
    let errors: usize = checked.iter().map(|file| file.verdict.errors.len()).sum();
    if errors > 0 {
        eprint(&format!("{} found.\n", counted(errors, "error")));
    }
    print(&right)
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn as_json(checked: &[Checked]) -> Value {
    let problem = |problem: &Problem| {
        let (message, remedy) = problem.words();
        let document = problem.span.as_ref().map(|span| span.source.name.as_str());
        json!({
            "message": message, "remedy": remedy,
            "document": document, "line": problem.line(), "column": problem.column(),
        })
    };
    let file = |Validation { name, found, errors, warnings, notes, .. }: &Validation| {
        json!({
            "file": name, "found": found,
            "errors": errors.iter().map(problem).collect::<Vec<_>>(),
            "warnings": warnings.iter().map(problem).collect::<Vec<_>>(),
            "notes": notes,
        })
    };
    json!({ "version": VERSION, "files": checked.iter().map(|checked| file(&checked.verdict)).collect::<Vec<_>>() })
}

/// Returns the findings as workflow commands of GitHub, a line each.
/// <https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands>
fn annotations(checked: &[Checked]) -> String {
    let mut lines = String::new();
    for Checked { verdict, text } in checked {
        let kinds = [("error", &verdict.errors), ("warning", &verdict.warnings)];
        for (kind, problem) in
            kinds.into_iter().flat_map(|(kind, problems)| problems.iter().map(move |problem| (kind, problem)))
        {
            let (message, remedy) = problem.words();
            let remedy = remedy.map(|remedy| format!("\n{remedy}")).unwrap_or_default();
            let place = text.as_deref().and_then(|text| line_in(text, problem));
            // A problem in encoded text has no line in the file, so the message itself names the place.
            let within = problem.span.as_ref().filter(|_| place.is_none()).map(|_| format!("{problem}"));
            let line = place.map(|(line, column)| format!(",line={line},col={column}")).unwrap_or_default();
            let message = within.unwrap_or_else(|| format!("{message}{remedy}"));
            let (file, message) = (escaped(&verdict.name, "%\r\n:,"), escaped(&message, "%\r\n"));
            lines += &format!("::{kind} file={file}{line},title=ecs-firstrun::{message}\n");
        }
        for note in &verdict.notes {
            lines += &format!("::notice file={}::{}\n", escaped(&verdict.name, "%\r\n:,"), escaped(note, "%\r\n"));
        }
    }
    lines
}

/// Returns a problem's line and column in the file, if the file holds the problem's document unencoded, and once.
fn line_in(text: &str, problem: &Problem) -> Option<(usize, usize)> {
    let span = problem.span.as_ref()?;
    let (line, column) = span.position();
    let mut places = text.match_indices(&*span.source.text).map(|(at, _)| at);
    let (base, None) = (places.next()?, places.next()) else { return None };
    Some((text[..base].matches('\n').count() + line, column))
}

/// Escapes the special characters of a text as GitHub does: a percent sign and the byte in hexadecimal.
fn escaped(text: &str, special: &str) -> String {
    let escape = |c: char| match special.contains(c) {
        true => format!("%{:02X}", u32::from(c)),
        false => c.to_string(),
    };
    text.chars().map(escape).collect()
}

pub(super) fn refuse(problems: &[Problem]) -> Result<ExitCode> {
    let color = has_color(&std::io::stderr());
    for problem in problems {
        eprint(&format!("{}\n\n", problem.render(color)));
    }
    eprint(&format!("{} found.\n", counted(problems.len(), "error")));
    Ok(ExitCode::from(Ending::Refused.code()))
}
