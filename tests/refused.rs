//! Golden refusals. Each folder of `tests/refused` has `user-data`, and `error.txt`: all that is wrong with it, as
//! `ecs-firstrun validate` prints it without colour.

use ecs_firstrun::run::documents;

use crate::support::golden::{self, Files};

#[test]
fn user_data_that_is_wrong_is_refused_with_what_is_expected() {
    golden::check("refused", &["user-data"], 12, |case| {
        let bytes = std::fs::read(case.join("user-data")).unwrap();
        let parsed = documents("user data", &bytes);
        assert!(!parsed.problems.is_empty(), "{} is accepted", case.display());
        let rendered: String = parsed.problems.iter().map(|problem| problem.render(false) + "\n\n").collect();
        Files::from([("error.txt".to_owned(), rendered)])
    });
}
