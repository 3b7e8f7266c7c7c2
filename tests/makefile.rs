//! The Makefile's part of a bake, with stand-ins for Packer and the AWS CLI, in a copy of what it reads.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

use crate::support::host::Ended;
use crate::support::repository;

/// Programs that the Makefile and its scripts use. Nothing else is in PATH.
const PROGRAMS: [&str; 16] = [
    "bash",
    "sh",
    "make",
    "sed",
    "tail",
    "head",
    "cut",
    "tr",
    "sha256sum",
    "xargs",
    "test",
    "uname",
    "echo",
    "env",
    "cat",
    "grep",
];

/// Prints the keys of a role, and what AWS recommends as an image; remembers its calls.
const AWS: &str = r#"#!/bin/bash
echo "aws $*" >>calls
case "$1 $2" in
"configure export-credentials") echo "export AWS_ACCESS_KEY_ID=of-the-role" ;;
"ssm get-parameter") echo '{"image_id": "ami-0aws", "ecs_agent_version": "1.105.1", "ecs_runtime_version": "Docker version 25.0.3"}' ;;
esac
"#;
/// Remembers its calls and whose keys it has, and writes what the post-processor `manifest` writes.
const PACKER: &str = r#"#!/bin/bash
echo "packer $* key=${AWS_ACCESS_KEY_ID:-none} profile=${AWS_PROFILE:-none}" >>calls
[[ $1 != build ]] || printf '{\n  "builds": [\n    {\n      "artifact_id": "%s",\n      "packer_run_uuid": "1"\n    }\n  ]\n}\n' \
	"eu-central-1:ami-0first,us-east-1:ami-0second" >manifest.json
"#;

struct Builder {
    folder: tempfile::TempDir,
}

impl Builder {
    fn with(programs: &[(&str, &str)]) -> Self {
        let builder = Self { folder: tempfile::tempdir().unwrap() };
        for part in ["bin", "target", "dist"] {
            std::fs::create_dir(builder.at(part)).unwrap();
        }
        for part in ["Makefile", "Cargo.toml", "packer.json", "builder-scripts"] {
            symlink(repository(part), builder.at(part)).unwrap();
        }
        std::fs::write(builder.at("dist/ecs-firstrun"), "binary").unwrap();
        let path = std::env::var_os("PATH").unwrap();
        for name in PROGRAMS {
            let found =
                std::env::split_paths(&path).map(|folder| folder.join(name)).find(|path| path.is_file()).unwrap();
            symlink(found, builder.at("bin").join(name)).unwrap();
        }
        for (name, script) in programs {
            let program = builder.at("bin").join(name);
            std::fs::write(&program, script).unwrap();
            std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        builder
    }

    fn at(&self, path: &str) -> std::path::PathBuf {
        self.folder.path().join(path)
    }

    /// Makes a target; the binary is taken as built.
    fn make(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Ended {
        let mut command = Command::new("make");
        command.args(arguments).current_dir(self.folder.path()).env_clear();
        command.env("PATH", self.at("bin")).envs(variables.iter().copied());
        Ended::from(command.output().unwrap())
    }

    fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.at(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }
}

#[test]
fn make_ami_bakes_with_the_keys_of_the_profiles_role_and_marks_the_image_in_each_region() {
    let builder = Builder::with(&[("aws", AWS), ("packer", PACKER)]);
    let variables = [("AWS_PROFILE", "builder"), ("AWS_REGION", "eu-central-1")];
    let ended = builder.make(&["-o", "build", "ami", "PACKER_ARGS=-var timezone=US/Eastern"], &variables);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let calls = builder.read("calls");
    let calls: Vec<_> = calls.lines().collect();
    let checksum = "9a3a45d01531a20e89ac6ae10b0b0beb0492acd7216a368aa062d1a5fecaf9cd";
    let passed = format!(
        "-var region=eu-central-1 -var arch=x86_64 -var version={} -var revision=unknown -var binary_sha256={checksum}",
        env!("CARGO_PKG_VERSION")
    );
    assert_eq!(
        calls,
        [
            format!("packer validate {passed} -var timezone=US/Eastern packer.json key=none profile=builder").as_str(),
            "aws configure export-credentials --format env",
            "aws ssm get-parameter --region eu-central-1 --name \
             /aws/service/ecs/optimized-ami/amazon-linux-2023/recommended --query Parameter.Value --output text",
            &format!(
                "packer build {passed} -var-file target/versions.json -var timezone=US/Eastern packer.json \
                 key=of-the-role profile=none"
            ),
            "aws ec2 modify-image-attribute --region eu-central-1 --image-id ami-0first --imds-support v2.0",
            "aws ec2 modify-image-attribute --region us-east-1 --image-id ami-0second --imds-support v2.0",
        ]
    );
    let versions =
        "{\"source_ami\": \"ami-0aws\", \"docker_version\": \"25.0.3\", \"ecs_agent_version\": \"1.105.1\"}\n";
    assert_eq!(builder.read("target/versions.json"), versions);
}

#[test]
fn make_ami_bakes_without_the_aws_cli_and_says_what_that_leaves_undone() {
    let builder = Builder::with(&[("packer", PACKER)]);
    let ended = builder.make(&["-o", "build", "ami", "ARCH=arm64"], &[("AWS_PROFILE", "builder")]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let calls = builder.read("calls");
    assert!(calls.contains("-var region=us-east-1 -var arch=arm64") && calls.contains("profile=builder"), "{calls}");
    assert_eq!(builder.read("target/versions.json"), "{}\n");
    for words in ["tags don't say which Docker", "--image-id ami-0second --imds-support v2.0"] {
        assert!(ended.stderr.contains(words), "{}", ended.stderr);
    }
}

#[test]
fn a_bake_that_fails_marks_no_image() {
    let failing = PACKER.replace("[[ $1 != build ]] ||", "[[ $1 != build ]] || exit 1;");
    let builder = Builder::with(&[("aws", AWS), ("packer", &failing)]);
    let ended = builder.make(&["-o", "build", "ami"], &[]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(!builder.read("calls").contains("modify-image-attribute"));
}

#[test]
fn a_build_for_another_processor_says_what_to_install() {
    let no_target = "#!/bin/sh\necho /nowhere/of/that/target\n";
    let builder = Builder::with(&[("rustc", no_target), ("cargo", "#!/bin/sh\necho cargo was called\n")]);
    let ended = builder.make(&["build", "ARCH=arm64"], &[]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    for words in ["rustup target add aarch64-unknown-linux-gnu", "gcc-aarch64-linux-gnu on Debian"] {
        assert!(ended.stderr.contains(words), "{}", ended.stderr);
    }
    assert!(!ended.stdout.contains("cargo was called"));
}

#[test]
fn the_component_of_image_builder_calls_scripts_that_are_there_and_ends_with_the_check() {
    let component = std::fs::read_to_string(repository("examples/image-builder/ecs-firstrun.yaml")).unwrap();
    let words: Vec<_> = component.split_whitespace().filter(|word| word.ends_with(".sh")).collect();
    let names: Vec<_> = words.iter().filter_map(|word| Path::new(word).file_name()?.to_str()).collect();
    assert_eq!(names, ["packages.sh", "clock.sh", "install.sh", "cleanup.sh"]);
    for name in names {
        assert!(repository("builder-scripts").join(name).is_file(), "there is no {name}");
    }
    assert!(component.trim_end().ends_with("- ecs-firstrun doctor --image"));
    let packer = std::fs::read_to_string(repository("packer.json")).unwrap();
    let packer: serde_json::Value = serde_json::from_str(&packer).unwrap();
    let last = packer["provisioners"].as_array().unwrap().last().unwrap();
    assert_eq!(last["inline"][0], "sudo /usr/bin/ecs-firstrun doctor --image");
}
