//! Golden verdicts of `validate`: what is said of user data that are nearly right (`tests/noted`, with `user-data`), and of
//! templates (`tests/templates`, with `template`). `said.txt` has notes, warnings and errors, without colour.

use ecs_firstrun::validate::{Validation, check, check_template};

use crate::support::golden::{self, Files};

#[test]
fn of_user_data_that_are_nearly_right_what_is_expected_is_said() {
    golden::check("noted", &["user-data"], 20, |case| said(&check("user-data", &read(&case.join("user-data")))));
}

#[test]
fn of_a_template_what_is_expected_is_said() {
    golden::check("templates", &["template"], 20, |case| {
        said(&check_template("template", &read(&case.join("template"))))
    });
}

fn read(path: &std::path::Path) -> Vec<u8> {
    std::fs::read(path).unwrap()
}

fn said(verdict: &Validation) -> Files {
    let notes = verdict.notes.iter().map(|note| format!("note: {note}\n"));
    let warnings = verdict.warnings.iter().map(|warning| format!("{}\n\n", warning.render_as_warning(false)));
    let errors = verdict.errors.iter().map(|error| format!("{}\n\n", error.render(false)));
    let nothing = (verdict.notes.is_empty() && verdict.warnings.is_empty() && verdict.errors.is_empty())
        .then(|| "no mistakes found\n".to_owned());
    Files::from([("said.txt".to_owned(), notes.chain(warnings).chain(errors).chain(nothing).collect())])
}
