use super::*;

/// Returns a template whose launch template has this user data, indented as the value of the key.
fn template(user_data: &str) -> String {
    format!(
        "Parameters:\n  Name: {{Type: String}}\n  Days: {{Type: Number, Default: 30}}\nResources:\n  Cluster: {{Type: AWS::ECS::Cluster}}\n  Launch:\n    Type: AWS::EC2::LaunchTemplate\n    Properties:\n      LaunchTemplateData:\n        UserData: {user_data}\n"
    )
}

fn checked(text: &str) -> Validation {
    check("stack.yaml", text)
}

fn shown(problems: &[Problem]) -> Vec<String> {
    problems.iter().map(Problem::to_string).collect()
}

#[test]
fn a_mistake_is_shown_in_its_own_line_of_the_template() {
    let forms = [
        (
            "Fn::Base64: !Sub |\n            #ecs-firstrun\n            ecs:\n              clusterr: ${Cluster}\n",
            "stack.yaml:14:15: unknown key `clusterr`",
        ),
        (
            "!Base64\n          Fn::Sub: |\n            #ecs-firstrun\n            ecs:\n              clusterr: ${Cluster}\n",
            "stack.yaml:14:15: unknown key `clusterr`",
        ),
        (
            "\n          Fn::Base64:\n            !Join\n            - \"\\n\"\n            - - \"#ecs-firstrun\"\n              - \"ecs:\"\n              - \"  clusterr: x\"\n",
            "stack.yaml:16:20: unknown key `clusterr`",
        ),
        (
            "{\"Fn::Base64\": {\"Fn::Join\": [\"\", [\"#ecs-firstrun\\n\", \"ecs: {clusterr: \", {\"Ref\": \"Cluster\"}, \"}\\n\"]]}}",
            "stack.yaml:10:79: unknown key `clusterr`",
        ),
    ];
    for (form, wanted) in forms {
        let form = if form.starts_with("Fn::Base64: !Sub") { format!("\n          {form}") } else { form.to_owned() };
        let verdict = checked(&template(&form));
        assert!(verdict.found, "{form}: {:?}", verdict);
        let errors = shown(&verdict.errors);
        assert!(errors.len() == 1 && errors[0].starts_with(wanted), "{form}: {errors:?}");
    }
}

#[test]
fn what_only_the_stack_knows_is_no_mistake() {
    let verdict = checked(&template(
        "\n          Fn::Base64: !Sub\n            - |\n              #ecs-firstrun\n              ecs: {cluster: \"${Cluster}\"}\n              proxy: {url: \"${Name}\"}\n              logs: {retention_days: ${Days}, group: \"${!cluster}/${Own}\"}\n            - {Own: !Select [1, !Split [\"-\", \"a-b\"]]}\n",
    ));
    assert_eq!(shown(&verdict.errors), Vec::<String>::new());
    assert_eq!(
        verdict.notes,
        ["stack.yaml, UserData of Launch: the value of `Name` is known only in the stack, so it is not checked here"]
    );
}

#[test]
fn a_name_that_the_template_lacks_is_a_mistake() {
    let verdict = checked(&template(
        "\n          Fn::Base64: !Sub |\n            #ecs-firstrun\n            ecs: {cluster: x}\n            logs: {group: \"${cluster}/ec2\"}\n",
    ));
    assert_eq!(
        shown(&verdict.errors),
        [
            "stack.yaml:14:28: nothing in this template has the name `cluster`; write `${!cluster}`, which CloudFormation leaves to ecs-firstrun as `${cluster}`"
        ]
    );
}

#[test]
fn what_only_the_stack_knows_does_not_hide_a_password_or_a_typo() {
    let verdict = checked(&template(
        "\n          Fn::Base64: !Sub |\n            #ecs-firstrun\n            ecs: {cluster: x}\n            proxy: {url: \"http://me:${Name}@proxy:3128\"}\n",
    ));
    assert!(verdict.errors.is_empty() && shown(&verdict.warnings)[0].contains("password"), "{verdict:?}");
    let verdict = checked(&template(
        "\n          Fn::Base64: !Sub |\n            #ecs-firstrun\n            ecs: {cluster: x}\n            proxy: {urll: \"${Name}\"}\n",
    ));
    assert_eq!(verdict.errors.len(), 1, "{verdict:?}");
}

#[test]
fn conditions_are_tried_both_ways() {
    let verdict = checked(&template(
        "\n          Fn::Base64: !Join\n            - \"\"\n            - - \"#ecs-firstrun\\necs: {cluster: x}\\n\"\n              - !If [A, \"wait: {timeout: 99h}\\n\", !Ref AWS::NoValue]\n              - !If [A, !Ref AWS::NoValue, \"docker: {x: 1}\\n\"]\n",
    ));
    let errors = shown(&verdict.errors);
    assert!(errors.len() == 2 && errors[0].contains("99h") && errors[1].contains("unknown key `x`"), "{errors:?}");
}

#[test]
fn a_secret_of_the_user_data_is_not_shown() {
    let verdict = checked(&template(
        "\n          Fn::Base64:\n            Fn::Join:\n            - \"\"\n            - - \"#ecs-firstrun\\n\"\n              - \"ecs: {cluster: x, config: {ECS_ENGINE_AUTH_DATA: \"\n              - \"hunter2canary\"\n              - \"}}\\n\"\n",
    ));
    assert_eq!(verdict.errors.len(), 1, "{:?}", verdict.errors);
    for error in &verdict.errors {
        assert!(!error.render(false).contains("canary") && !error.to_string().contains("canary"), "{error}");
    }
}

#[test]
fn templates_without_user_data_of_ours_are_told() {
    let verdict = checked("Resources:\n  A: {Type: AWS::SNS::Topic}\n");
    assert_eq!(verdict.notes, ["stack.yaml: no resource of this template has `UserData`"]);
    assert!(verdict.errors.is_empty() && !verdict.found);
    for (text, words) in [
        ("", "the template is empty"),
        ("Resources: [\n", "isn't valid YAML"),
        (template("x").as_str(), "no user data in it holds"),
    ] {
        let verdict = checked(text);
        assert!(!verdict.found && shown(&verdict.errors)[0].contains(words), "{text}: {:?}", verdict.errors);
    }
}

/// Checks user data of an Auto Scaling group with these policies, and with the role's statement on log groups.
fn stack(policies: &str, log_groups: &str, user_data: &str) -> Validation {
    let user_data = user_data.replace('\n', "\n            ");
    checked(&format!(
        "Resources:\n  Role:\n    Type: AWS::IAM::Role\n    Properties:\n      Policies:\n        - PolicyDocument:\n            Statement:\n              - {{Effect: Allow, Action: [logs:CreateLogGroup], Resource: !Sub \"{log_groups}\"}}\n  Launch:\n    Type: AWS::EC2::LaunchTemplate\n    Properties:\n      LaunchTemplateData:\n        MetadataOptions: {{HttpTokens: required}}\n        UserData:\n          Fn::Base64: !Sub |\n            #ecs-firstrun\n            {user_data}\n  Instances:\n    Type: AWS::AutoScaling::AutoScalingGroup\n{policies}"
    ))
}

#[test]
fn what_hurts_is_warned_of_in_its_place() {
    let policies = "    CreationPolicy: {ResourceSignal: {Timeout: PT10M}}\n    UpdatePolicy: {AutoScalingRollingUpdate: {WaitOnResourceSignals: true}}\n";
    let covered = "arn:aws:logs:*:*:log-group:${AWS::StackName}/*";
    let signal = |more: &str| {
        format!("signal: {{stack: \"${{AWS::StackName}}\", resource: Instances, {more}}}\necs: {{cluster: x}}")
    };
    let warnings = |verdict: Validation| {
        assert!(verdict.errors.is_empty(), "{:?}", verdict.errors);
        shown(&verdict.warnings)
    };

    let found = warnings(stack(policies, covered, &signal("timeout: 10m")));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].starts_with("stack.yaml:17:80: the UpdatePolicy of `Instances` waits 5m, less than the 10m"),
        "{found:?}"
    );
    assert_eq!(warnings(stack(policies, covered, &signal("timeout: 5m"))), Vec::<String>::new());

    let found = warnings(stack("", "arn:aws:logs:*:*:log-group:other/*", &signal("timeout: 15m")));
    assert!(
        found.len() == 2
            && found[1].contains("nothing in this template waits")
            && found[0].contains("under stack/ec2/Instances/"),
        "{found:?}"
    );

    let found = warnings(stack(policies, covered, "ecs: {cluster: x}\nlogs: {agent: awslogs, group: stack/x}"));
    assert!(found.len() == 1 && found[0].contains("knows IMDSv1 only"), "{found:?}");

    let found = warnings(stack(
        policies,
        covered,
        "ecs: {cluster: x}\nlogs: {group: stack/x}\nproxy: {url: \"http://me:hunter2canary@p:1\"}",
    ));
    assert!(found.len() == 1 && found[0].contains("password") && !found[0].contains("canary"), "{found:?}");

    let found = warnings(stack(
        policies,
        covered,
        "ecs: {cluster: x}\nlogs: {group: stack/x}\nwait: {timeout: 20m}\nsignal: {wait_handle: \"https://x/y\"}",
    ));
    assert!(found.len() == 1 && found[0].contains("gives up after 14m"), "{found:?}");

    let long = format!("ecs: {{cluster: x}}\nlogs: {{group: stack/x}}\n# {}", "x".repeat(16_000));
    assert!(warnings(stack(policies, covered, &long))[0].contains("near EC2's limit of 16384"), "size");
}

#[test]
fn a_wait_condition_that_waits_for_less_than_the_agent_is_warned_of() {
    let with_handle = |handle: &str, condition: &str, timeout: &str| {
        let verdict = checked(&format!(
            "Resources:\n  Handle: {{Type: AWS::CloudFormation::WaitConditionHandle}}\n  Other: {{Type: AWS::CloudFormation::WaitConditionHandle}}\n{condition}  Instance:\n    Type: AWS::EC2::Instance\n    Properties:\n      UserData:\n        Fn::Base64: !Sub |\n          #ecs-firstrun\n          signal: {{wait_handle: '{handle}', timeout: {timeout}}}\n          ecs: {{cluster: x}}\n"
        ));
        assert!(verdict.errors.is_empty(), "{:?}", verdict.errors);
        shown(&verdict.warnings)
    };
    let verdict = |condition: &str, timeout: &str| with_handle("${Handle}", condition, timeout);
    let condition = |handle: &str| {
        format!(
            "  Condition: {{Type: AWS::CloudFormation::WaitCondition, Properties: {{Handle: !Ref {handle}, Timeout: '600'}}}}\n"
        )
    };
    assert_eq!(verdict(&condition("Handle"), "10m"), Vec::<String>::new());
    let found = verdict(&condition("Handle"), "15m");
    assert!(found.len() == 1 && found[0].contains("the WaitCondition waits 10m, less than the 15m"), "{found:?}");
    for condition in ["", condition("Other").as_str()] {
        let found = verdict(condition, "10m");
        assert!(found.len() == 1 && found[0].contains("nothing in this template waits on this handle"), "{found:?}");
    }
    assert_eq!(with_handle("https://elsewhere.test/x?y=z", "", "15m"), Vec::<String>::new());
}
