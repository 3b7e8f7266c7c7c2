//! The files of `examples/`.

use std::path::{Path, PathBuf};
use std::process::Command;

use ecs_firstrun::config::{self, Config};
use ecs_firstrun::document::decode::decode;
use ecs_firstrun::instance::Instance;
use ecs_firstrun::plan::plan;
use ecs_firstrun::run::documents;
use ecs_firstrun::validate;

use crate::support::repository;

fn files(folder: &str) -> Vec<PathBuf> {
    let mut files: Vec<_> = repository(folder).read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn read(path: &str) -> String {
    std::fs::read_to_string(repository(path)).unwrap()
}

fn templates() -> Vec<PathBuf> {
    let templates = files("examples/cloudformation");
    assert!(templates.len() >= 5, "{templates:?}");
    templates
}

#[test]
fn the_user_data_of_the_templates_are_right_and_nothing_is_to_be_warned_of() {
    // These are for other templates.
    let has_user_data = |path: &&PathBuf| !["role.yaml", "dashboard.yaml"].iter().any(|name| path.ends_with(name));
    for path in templates().iter().filter(has_user_data) {
        let verdict = validate::check_template("template", &std::fs::read(path).unwrap());
        let said: Vec<_> =
            verdict.errors.iter().chain(&verdict.warnings).map(|problem| problem.render(false)).collect();
        let notes: Vec<_> = verdict.notes.iter().filter(|note| !note.contains("dnf and yum don't read")).collect();
        assert!(verdict.found && said.is_empty() && notes.is_empty(), "{}: {said:?} {notes:?}", path.display());
    }
}

/// A template with one thing wrong, and what is said about that.
#[test]
fn a_template_that_does_not_fit_its_user_data_is_warned_of() {
    let template = read("examples/cloudformation/stack.yaml");
    for (right, wrong, words) in [
        ("PT15M}", "PT10M}", "the CreationPolicy of `Instances` waits 10m"),
        ("PauseTime: PT15M", "PauseTime: PT5M", "the UpdatePolicy of `Instances` waits 5m"),
        (
            "resource: Instances",
            "resource: Group",
            "the template has no resource `Group`; a stack can wait for `Instances`",
        ),
        (
            "log-group:${AWS::StackName}/",
            "log-group:other/",
            "no role in this template allows logs:CreateLogGroup for the log groups under stack/ec2/Instances/",
        ),
        ("retention_days: 30", "agent: awslogs", "knows IMDSv1 only"),
    ] {
        assert!(template.contains(right), "{right}");
        let verdict = validate::check_template("template", template.replace(right, wrong).as_bytes());
        let said: Vec<_> = verdict.warnings.iter().map(ToString::to_string).collect();
        assert!(verdict.errors.is_empty() && said.len() == 1 && said[0].contains(words), "{words}: {said:?}");
    }
}

#[test]
fn cfn_lint_has_nothing_to_say_of_the_templates() {
    let own = repository("target/lint/venv/bin/cfn-lint");
    let cfn_lint = if own.exists() { own } else { PathBuf::from("cfn-lint") };
    let Ok(output) = Command::new(cfn_lint).args(templates()).output() else {
        crate::support::skip("needs cfn-lint; `make setup-templates` installs it");
        return;
    };
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn each_user_data_is_a_golden_case() {
    let cases: Vec<_> =
        files("tests/cases").iter().filter_map(|case| case.join("user-data").canonicalize().ok()).collect();
    let user_data = files("examples/user-data");
    assert!(user_data.len() >= 6, "{user_data:?}");
    for path in user_data.iter().chain([&repository("examples/in-place-of-a-script/after.yaml")]) {
        assert!(cases.contains(&path.canonicalize().unwrap()), "no case of tests/cases has {}", path.display());
    }
}

#[test]
fn the_forms_of_user_data_hold_the_same_configuration() {
    let smallest = config_of("examples/user-data/smallest.yaml");
    for other in ["cloud-config.yaml", "multipart.mime", "smallest.b64", "smallest.gz.b64"] {
        assert_eq!(config_of(&format!("examples/user-data/{other}")), smallest, "{other}");
    }
}

fn config_of(path: &str) -> Config {
    let parsed = documents(path, &std::fs::read(repository(path)).unwrap());
    assert!(parsed.found && parsed.problems.is_empty(), "{path}: {:?}", parsed.problems);
    parsed.config
}

#[test]
fn what_stands_in_place_of_the_script_does_the_same() {
    let script = read("examples/in-place-of-a-script/before.sh");
    let variables = config::shell_variables(|wanted| {
        let set = script.lines().filter_map(|line| line.strip_prefix("export ")?.split_once('='));
        set.into_iter().find(|(name, _)| *name == wanted).map(|(_, value)| value.to_owned())
    });
    assert_eq!(variables.len(), 5);
    assert!(decode("script", script.as_bytes()).documents.is_empty());
    let by_variables = config::parse(&variables);
    assert!(by_variables.problems.is_empty(), "{:?}", by_variables.problems);
    assert_eq!(by_variables.config, config_of("examples/in-place-of-a-script/after.yaml"));
}

#[test]
fn the_user_data_of_the_stack_set_up_what_the_stack_gives() {
    let text = read("examples/cloudformation/stack.yaml");
    let user_data = text.split_once("Fn::Base64: !Sub |\n").unwrap().1;
    let block: String =
        user_data.lines().map_while(|line| line.strip_prefix("            ")).map(|line| format!("{line}\n")).collect();
    let stack = "arn:aws:cloudformation:us-east-1:123456789012:stack/web/00000000-0000-0000-0000-000000000000";
    let block = block.replace("${AWS::StackId}", stack).replace("${Cluster}", "web-Cluster-1A2B3C");
    let parsed = documents("stack.yaml", block.as_bytes());
    let plan = plan(&parsed.config, &Instance::example()).to_string();
    let plan = plan.split_whitespace().collect::<Vec<_>>().join(" ");
    for wanted in ["/dev/xvdcy", "registered with `web-Cluster-1A2B3C`", "under web/ec2/Instances/"] {
        assert!(plan.contains(wanted), "no {wanted} in\n{plan}");
    }
}

#[test]
fn each_example_is_told_of() {
    let told = read("examples/README.md");
    for folder in ["user-data", "cloudformation", "in-place-of-a-script"] {
        for path in files(&format!("examples/{folder}")) {
            let name = Path::new(folder).join(path.file_name().unwrap());
            assert!(
                told.contains(&format!("({})", name.display())),
                "examples/README.md says nothing of {}",
                name.display()
            );
        }
    }
}
