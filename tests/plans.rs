//! Golden plans. Each folder of `tests/cases` has
//!
//! - `user-data`: in any of its encodings;
//! - `facts.json`, if they are not those of `examples/facts/amazon-linux-2023.json`;
//! - `variables`, if there are any of the shell original's: a line `NAME=VALUE` each;
//!
//! and, as what must come out,
//!
//! - `plan.txt`: the plan as `ecs-firstrun plan` prints it;
//! - `notes.txt`, if there is something to say of the user data;
//! - `root/`: the files, secrets included. One that belongs to another program is shown as if it had been empty.

use std::path::Path;

use ecs_firstrun::config::{self, Parsed};
use ecs_firstrun::document::decode::decode;
use ecs_firstrun::instance::Instance;
use ecs_firstrun::plan::{Action, Plan, plan};
use ecs_firstrun::run::documents;

use crate::support::golden::{self, Files};
use crate::support::repository;

#[test]
fn user_data_gives_the_plan_that_is_expected() {
    golden::check("cases", &["user-data", "facts.json", "variables"], 30, |case| {
        let parsed = parse(case);
        let notes: Vec<_> = parsed.notes.iter().map(ToString::to_string).collect();
        let problems: Vec<_> = parsed.problems.iter().map(|problem| problem.render(false)).collect();
        assert!(problems.is_empty(), "{}: {}", case.display(), problems.join("\n"));
        assert!(parsed.found, "{}: nothing is for us: {notes:?}", case.display());
        let mut files = files_of(&plan(&parsed.config, &facts(case)));
        if !notes.is_empty() {
            files.insert("notes.txt".to_owned(), notes.join("\n") + "\n");
        }
        files
    });
}

#[test]
fn the_facts_in_examples_are_those_of_the_example_instance() {
    assert_eq!(read_facts(&repository("examples/facts/amazon-linux-2023.json")), Instance::example());
}

fn parse(case: &Path) -> Parsed {
    let bytes = std::fs::read(case.join("user-data")).unwrap();
    let Ok(variables) = std::fs::read_to_string(case.join("variables")) else {
        return documents("user data", &bytes);
    };
    let variables = config::shell_variables(|wanted| {
        let mut lines = variables.lines().filter_map(|line| line.split_once('='));
        lines.find(|(name, _)| *name == wanted).map(|(_, value)| value.to_owned())
    });
    let decoded = decode("user data", &bytes);
    assert!(decoded.problems.is_empty(), "{}", case.display());
    config::parse_user_data(Vec::new(), decoded, variables, &config::Values::new())
}

fn facts(case: &Path) -> Instance {
    let own = case.join("facts.json");
    read_facts(&if own.exists() { own } else { repository("examples/facts/amazon-linux-2023.json") })
}

fn read_facts(path: &Path) -> Instance {
    let text = std::fs::read_to_string(path).unwrap();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn files_of(plan: &Plan) -> Files {
    let text = plan.to_string();
    text.lines().for_each(|line| assert!(line.chars().count() <= 80, "more than 80 columns: {line}"));
    let mut files = Files::from([("plan.txt".to_owned(), text)]);
    for planned in plan.steps.iter().flat_map(|step| &step.actions) {
        let (path, text) = match &planned.action {
            Action::WriteFile(file) => (&file.path, file.contents.reveal().to_owned()),
            Action::EditFile(edit) if !edit.lines.is_empty() => {
                (&edit.path, edit.applied_to(None).unwrap().unwrap_or_default())
            }
            _ => continue,
        };
        let other = files.insert(format!("root{path}"), text);
        assert!(other.is_none(), "{path} is written twice");
    }
    files
}

#[test]
fn the_role_of_the_examples_covers_every_log_group() {
    let role = std::fs::read_to_string("examples/cloudformation/role.yaml").unwrap();
    let (_, resource) = role.split_once(":log-group:").expect("the role has a statement on log groups");
    let covered = resource.lines().next().unwrap().trim_end_matches(['"', '*']).replace("${AWS::StackName}", "web");

    let user_data = std::fs::read("examples/user-data/complete.yaml").unwrap();
    let parsed = ecs_firstrun::run::documents("user data", &user_data);
    let plan = ecs_firstrun::plan::plan(&parsed.config, &ecs_firstrun::instance::Instance::example());
    let lines = plan.files().filter(|(step, _)| *step == "logs").flat_map(|(_, file)| file.contents.reveal().lines());
    let groups: Vec<_> = lines.filter_map(|line| line.trim().strip_prefix(r#""log_group_name": ""#)).collect();
    assert_eq!(groups.len(), 9);
    groups.iter().for_each(|group| assert!(group.starts_with(&covered), "{group} is not covered by {covered}"));
}
