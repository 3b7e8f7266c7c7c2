//! Properties of every valid configuration, and of any bytes at all.

use std::collections::BTreeSet;

use ecs_firstrun::config::{Config, Parsed};
use ecs_firstrun::instance::{Image, Instance, OperatingSystem, Selinux};
use ecs_firstrun::plan::{Action, Condition, File, Plan, Step, leftovers, plan};
use ecs_firstrun::run::documents;
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;

use crate::support::documents::{CANARY, document};

/// Instances of each kind of image, with what an earlier run may have left.
pub fn instance() -> impl Strategy<Value = Instance> {
    let image = (
        of(select(vec!["1.300069.0", "1.300071.0"])),
        any::<[bool; 6]>(),
        (
            of(select(vec!["20.10.24+dfsg1", "25.0.16", "29.0.1", "29.7.2"])),
            of(select(vec!["/srv/containerd", "/data/containerd"])),
            of(select(vec!["it holds images or containers", "it is a symbolic link"])),
        ),
        of(select(vec!["/etc/dnf/dnf.conf", "/etc/yum.conf"])),
        any::<bool>(),
    );
    let left: Vec<_> = leftovers::own_paths().into_iter().chain(leftovers::shared_paths()).collect();
    let count = left.len();
    let ours = proptest::sample::subsequence(left, 0..=count);
    let state = of(select(vec!["InService", "Warmed:Stopped"]));
    (image, ours, state, any::<bool>()).prop_map(
        |(
            (
                cloudwatch,
                [awslogs, rsyslog, ssm_agent, docker_data, selinux, containers],
                (docker, containerd_root, containerd_data),
                package_manager,
                has_daemon,
            ),
            ours,
            state,
            older,
        )| Instance {
            target_lifecycle_state: state.map(str::to_owned),
            os: OperatingSystem { id: "amzn".to_owned(), version_id: if older { "2" } else { "2023" }.to_owned() },
            image: Image {
                cloudwatch_agent: cloudwatch.map(str::to_owned),
                awslogs,
                rsyslog,
                ssm_agent,
                package_manager: package_manager.map(str::to_owned),
                daemon_json: has_daemon.then(|| ("debug".to_owned(), true.into())).into_iter().collect(),
                docker_data,
                docker: docker.map(str::to_owned),
                containerd_root: containerd_root.map(str::to_owned),
                containerd_data: containerd_data.map(str::to_owned),
                selinux: selinux.then(|| Selinux { policy: "targeted".to_owned(), containers }),
            },
            ours: ours.into_iter().collect(),
            ..Instance::example()
        },
    )
}

/// The configuration of a document that is right.
pub fn parsed(text: &str) -> Result<Config, TestCaseError> {
    let Parsed { config, problems, .. } = documents("user data", text.as_bytes());
    let shown: Vec<_> = problems.iter().map(|problem| problem.render(false)).collect();
    match shown.is_empty() {
        true => Ok(config),
        // That is what the parser says to a document that equals the defaults.
        false if shown[0].contains("nothing is configured") => Err(TestCaseError::reject("nothing is configured")),
        false => Err(TestCaseError::fail(shown.join("\n"))),
    }
}

fn actions(plan: &Plan) -> Vec<&Action> {
    plan.steps.iter().flat_map(|step| step.actions.iter().map(|planned| &planned.action)).collect()
}

fn path_of(action: &Action) -> Option<&str> {
    match action {
        Action::WriteFile(file) => Some(&file.path),
        Action::EditFile(edit) => Some(&edit.path),
        Action::RemoveFile { path, .. }
        | Action::EnsurePrivateFile { path, .. }
        | Action::EnsureDirectory { path, .. } => Some(path),
        _ => None,
    }
}

/// A unit file's change counts only once systemd has been told of it.
fn units_are_reloaded_in_time(plan: &Plan) -> bool {
    let mut changed = false;
    actions(plan).into_iter().all(|action| {
        match action {
            Action::ReloadUnits => changed = false,
            Action::StartUnit { .. } | Action::Mount { .. } => return !changed,
            other => changed |= path_of(other).is_some_and(|path| path.starts_with("/etc/systemd/system/")),
        }
        true
    })
}

/// A unit does not start without the file that its drop-in names, and who reads that file is restarted with it.
fn the_proxys_file_is_there_before_its_drop_ins(plan: &Plan) -> bool {
    let mut readers = Vec::new();
    actions(plan).into_iter().all(|action| match action {
        Action::WriteFile(file) if file.path == "/etc/ecs-firstrun/proxy.env" => {
            readers.clone_from(&file.read_by);
            file.mode.0 == 0o600
        }
        Action::WriteFile(file) if file.path.ends_with("/ecs-firstrun-proxy.conf") => {
            file.contents.reveal().ends_with("\nEnvironmentFile=/etc/ecs-firstrun/proxy.env\n")
                && readers.contains(&file.read_by[0])
        }
        _ => true,
    })
}

/// The CloudWatch agent starts only once its own files are closed.
fn the_cloudwatch_agents_files_are_closed_in_time(plan: &Plan) -> bool {
    let actions = actions(plan);
    let is_start =
        |action: &&Action| matches!(action, Action::StartUnit { unit, .. } if unit.starts_with("amazon-cloudwatch"));
    let before = actions.iter().position(is_start).map(|at| &actions[..at]);
    let closes = |action: &&&Action| matches!(action, Action::EnsurePrivateFile { .. });
    before.is_none_or(|before| before.iter().filter(closes).count() == 3)
}

/// The actions without what SELinux adds to them.
fn without_labels(plan: &Plan) -> Vec<Action> {
    let is_of_selinux = |action: &&Action| match action {
        Action::EnsureLabel { .. } => true,
        Action::EditFile(edit) => edit.path.starts_with("/etc/selinux/"),
        _ => false,
    };
    let unlabelled = |mut action: Action| {
        if let Action::EnsureDirectory { label, .. } | Action::EnsureMountPoint { label, .. } = &mut action {
            *label = false;
        }
        action
    };
    actions(plan).into_iter().filter(|action| !is_of_selinux(action)).cloned().map(unlabelled).collect()
}

/// A data root is labelled when its volume is mounted, the policy knows of it, and Docker does not run yet.
fn the_data_root_is_labelled_in_time(plan: &Plan) -> bool {
    let actions = actions(plan);
    let at = |wanted: &dyn Fn(&Action) -> bool| actions.iter().position(|action| wanted(action));
    let last_mount = actions.iter().rposition(|action| matches!(action, Action::Mount { .. }));
    let edit = at(
        &|action| matches!(action, Action::EditFile(edit) if edit.path.ends_with("/file_contexts.subs") && !edit.lines.is_empty()),
    );
    let Some(edit) = edit else { return true };
    let label = actions.iter().rposition(|action| matches!(action, Action::EnsureLabel { .. }));
    let docker = at(&|action| matches!(action, Action::StartUnit { unit, .. } if unit == "docker.service"));
    label > last_mount && label > Some(edit) && docker.is_none_or(|docker| label < Some(docker))
}

const STEPS: [&str; 13] = [
    "logs",
    "proxy",
    "ecs",
    "storage",
    "docker",
    "before_docker",
    "start",
    "pull",
    "before_ecs",
    "start_ecs",
    "pull_beside",
    "wait",
    "after_registration",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_plan_has_its_steps_in_order_and_each_path_once(text in document(), instance in instance()) {
        let config = parsed(&text)?;
        let plan = plan(&config, &instance);
        prop_assert_eq!(&plan, &ecs_firstrun::plan::plan(&parsed(&text)?, &instance.clone()));

        let names: Vec<_> = plan.steps.iter().map(|step| step.name).collect();
        let places: Vec<_> = names.iter().map(|name| STEPS.iter().position(|known| known == name)).collect();
        prop_assert!(places.is_sorted() && !places.contains(&None), "{:?}", names);
        prop_assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
        prop_assert!(plan.steps.iter().all(|step| !step.actions.is_empty()));

        // Only what users have asked for comes after a wait for Docker or the ECS agent, and what that in turn comes before.
        let is_wait = |action: &&Action| {
            matches!(action, Action::WaitFor(wait) if !matches!(wait.condition, Condition::DevicePresent { .. }))
        };
        let mut after = actions(&plan).into_iter().skip_while(|action| !is_wait(action));
        let may_follow = |action: &Action| is_wait(&action)
            || matches!(action, Action::RunHook(_) | Action::PullImage(_))
            || matches!(action, Action::StartUnit { unit, .. } if unit == "ecs.service");
        prop_assert!(after.all(may_follow), "{}", plan);

        let paths: Vec<_> = actions(&plan).into_iter().filter_map(path_of).collect();
        prop_assert!(paths.iter().all(|path| path.starts_with('/')), "{:?}", paths);
        let files: Vec<_> = actions(&plan).into_iter().filter(|action| !matches!(action, Action::EnsureDirectory { .. })).filter_map(path_of).collect();
        prop_assert_eq!(files.iter().collect::<BTreeSet<_>>().len(), files.len(), "{:?}", files);
        let folders = leftovers::folders();
        let is_swept = |(_, file): (_, &File)| folders.contains(file.path.rsplit_once('/').unwrap().0);
        prop_assert!(plan.files().all(is_swept), "{:?}", folders);
        prop_assert!(units_are_reloaded_in_time(&plan), "{}", plan);
        prop_assert!(the_proxys_file_is_there_before_its_drop_ins(&plan), "{}", plan);
        prop_assert!(the_cloudwatch_agents_files_are_closed_in_time(&plan), "{}", plan);
        prop_assert!(the_data_root_is_labelled_in_time(&plan), "{}", plan);
        let off = Instance { image: Image { selinux: None, ..instance.image.clone() }, ..instance };
        let unlabelled: Vec<_> = actions(&ecs_firstrun::plan::plan(&config, &off)).into_iter().cloned().collect();
        prop_assert_eq!(without_labels(&plan), unlabelled);
        // For all volumes at once.
        let reloads = |step: &Step| step.actions.iter().filter(|planned| planned.action == Action::ReloadUnits).count();
        prop_assert!(plan.steps.iter().all(|step| reloads(step) <= 1), "{}", plan);
        // Without a configured proxy, no file names a proxy.
        if config.proxy.is_none() {
            prop_assert!(plan.files().all(|(_, file)| !file.contents.reveal().to_uppercase().contains("HTTPS_PROXY=")));
        }
    }

    #[test]
    fn no_secret_is_shown(text in document(), instance in instance()) {
        let config = parsed(&text)?;
        let plan = plan(&config, &instance);
        for shown in [plan.to_string(), format!("{plan:?}"), format!("{config:?}"), serde_json::to_string(&plan).unwrap()] {
            prop_assert!(!shown.contains(CANARY), "{}", shown);
        }
        // The files that hold one are readable by root alone.
        for (_, file) in plan.files().filter(|(_, file)| file.contents.reveal().contains(CANARY)) {
            prop_assert_eq!(file.mode.0, 0o600, "{}", &file.path);
            // Of a unit every user may see what systemd has read, whatever the mode of its files.
            prop_assert!(!file.path.starts_with("/etc/systemd/"), "{}", &file.path);
        }
        for (_, file) in plan.files().filter(|(_, file)| file.path.starts_with("/etc/systemd/")) {
            prop_assert!(!file.contents.reveal().contains("\nEnvironment="), "{}", &file.path);
        }
    }

    #[test]
    fn a_document_that_is_cut_anywhere_shows_no_secret(text in document(), at in any::<proptest::sample::Index>()) {
        let text: String = text.chars().take(at.index(text.chars().count() + 1)).collect();
        let parsed = documents("user data", text.as_bytes());
        let notes = parsed.notes.iter().map(ToString::to_string);
        let shown = parsed.problems.iter().map(|problem| problem.render(false)).chain(notes);
        let shown: String = shown.chain([ecs_firstrun::config::summary(&parsed.problems)]).collect();
        prop_assert!(!shown.contains(CANARY), "{}", shown);
    }

    #[test]
    fn no_bytes_make_the_parser_panic(bytes in vec(any::<u8>(), 0..300), head in select(vec![
        &b""[..], b"#ecs-firstrun\n", b"#cloud-config\necs_firstrun:\n", b"\x1f\x8b\x08\x00", b"Content-Type: multipart/mixed; boundary=B\n\n--B\n",
    ])) {
        documents("user data", &[head, &bytes].concat());
    }

    #[test]
    fn no_text_makes_the_parser_panic(lines in vec("[ ]{0,4}(- )?(ecs|signal|storage|cluster|[a-z&*!|>%@`\"'{}\\[\\]é]{1,4}):? ?[ -~é]{0,12}", 0..12)) {
        let text = format!("#ecs-firstrun\n{}", lines.join("\n"));
        let parsed = documents("user data", text.as_bytes());
        // Even of a configuration that is refused a plan can be made.
        parsed.problems.iter().for_each(|problem| drop(problem.render(true)));
        plan(&parsed.config, &Instance::example());
    }
}
