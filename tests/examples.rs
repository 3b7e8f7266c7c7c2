//! The CloudFormation templates of `examples/`.

use std::path::PathBuf;
use std::process::Command;

use ecs_firstrun::instance::Instance;
use ecs_firstrun::plan::plan;
use ecs_firstrun::run::documents;

use crate::support::repository;

fn templates() -> Vec<PathBuf> {
    let entries = repository("examples/cloudformation").read_dir().unwrap().map(|entry| entry.unwrap().path());
    let templates: Vec<_> = entries.filter(|path| path.extension().is_some_and(|end| end == "yaml")).collect();
    assert!(templates.len() >= 2, "{templates:?}");
    templates
}

/// The block of text under `Fn::Base64: !Sub |`, as CloudFormation hands it to the instance.
fn user_data(template: &str) -> String {
    let mut lines = template.lines().skip_while(|line| !line.ends_with("Fn::Base64: !Sub |")).skip(1).peekable();
    let indent = lines.peek().map(|line| line.len() - line.trim_start().len()).unwrap();
    let block: Vec<_> =
        lines.map_while(|line| line.get(indent..).filter(|_| line[..indent].trim().is_empty())).collect();
    let stack = "arn:aws:cloudformation:us-east-1:123456789012:stack/web/00000000-0000-0000-0000-000000000000";
    block.join("\n").replace("${AWS::StackId}", stack).replace("${Cluster}", "web-Cluster-1A2B3C") + "\n"
}

#[test]
fn the_user_data_of_the_stack_is_valid_and_says_all_that_the_stack_waits_for() {
    let template = std::fs::read_to_string(repository("examples/cloudformation/stack.yaml")).unwrap();
    let text = user_data(&template);
    let (parsed, notes) = documents("stack.yaml", text.as_bytes());
    let problems: Vec<_> = parsed.problems.iter().map(|problem| problem.render(false)).collect();
    assert!(parsed.found && problems.is_empty() && notes.is_empty(), "{text}{problems:?}{notes:?}");
    assert!(!text.contains("${"), "nothing fills this in: {text}");
    let signal = text.lines().find_map(|line| line.trim().strip_prefix("resource: ")).unwrap();
    assert!(
        template.contains(&format!("\n  {signal}:\n    Type: AWS::AutoScaling::AutoScalingGroup\n")),
        "nothing named {signal} waits for the signal"
    );
    let plan = plan(&parsed.config, &Instance::example()).to_string();
    let plan = plan.split_whitespace().collect::<Vec<_>>().join(" ");
    for wanted in ["/dev/xvdcy", "registered with `web-Cluster-1A2B3C`", "under web/ec2/Instances/"] {
        assert!(plan.contains(wanted), "no {wanted} in\n{plan}");
    }
}

#[test]
fn cfn_lint_has_nothing_to_say_of_the_templates() {
    // The one that `make setup` installs, or another.
    let of_setup = repository("target/lint/venv/bin/cfn-lint");
    let program = if of_setup.exists() { of_setup } else { "cfn-lint".into() };
    let Ok(output) = Command::new(program).args(templates()).output() else {
        crate::support::disks::say("skipped: needs cfn-lint; `make setup` installs it");
        return;
    };
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_readme_shows_the_smallest_user_data_and_their_plan_as_they_are() {
    let read = |path: &str| std::fs::read_to_string(repository(path)).unwrap();
    let (readme, smallest) = (read("README.md"), read("examples/user-data/smallest.yaml"));
    assert!(readme.contains(&smallest));
    let facts: Instance = serde_json::from_str(&read("examples/facts/amazon-linux-2023.json")).unwrap();
    let (parsed, _) = documents("smallest.yaml", smallest.as_bytes());
    let plan = plan(&parsed.config, &facts).to_string();
    assert!(readme.contains(&plan), "{plan}");
}
