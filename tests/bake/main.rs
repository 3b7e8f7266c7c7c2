//! The bake: the real Packer takes the real packer.json to its end.
//!
//! EC2 is moto's double of it, and the instance a scratch host: Debian below a folder, with an sshd of its own. All of it
//! runs in a network namespace that has nothing but loopback, and in a mount namespace, so nothing outlives the test.
//! `make test-bake` runs it, `make test-bake ARGS=second` what has `second` in its name.
#![allow(clippy::disallowed_methods, missing_docs, reason = "tests make files and processes of their own")]

mod bake;
mod cloud;
mod host;
mod packages;
mod scenarios;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

use crate::cloud::Cloud;

/// The stand-ins for the things that a Debian host lacks; shown with each run.
const STAND_INS: &str = "standing in:
  dnf                      Debian's packages of the same names, installed before; tests/bake/host/usr/local/bin/dnf
  amazon-cloudwatch-agent  its unit, version file and common-config.toml, from tests/bake/host/usr/local/share/dnf
  dnf for our own rpm      rpm --nodeps, since Debian's packages have installed what it requires
  ecs.service              the unit as on Amazon Linux; nothing starts it
  EC2                      moto_server
  the instance             Debian in a chroot, where systemctl enables and disables, and ignores `stop`";
const PROGRAMS: &[&str] = &["packer", "mmdebstrap", "unshare", "ip", "rpm", "dpkg-deb"];

/// A path in the repository.
fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // The scenarios share a double of EC2 and two processors.
    arguments.test_threads.get_or_insert(1);
    let missing = missing();
    let cloud = match &missing {
        None if !arguments.list => match prepare() {
            Ok(cloud) => Some(cloud),
            Err(error) => {
                eprintln!("{error:#}");
                return ExitCode::FAILURE;
            }
        },
        _ => None,
    };
    let address = cloud.as_ref().map(|cloud| cloud.endpoint.clone());
    let trials = scenarios::ALL.iter().enumerate().map(|(number, &(name, scenario))| {
        let (address, missing) = (address.clone(), missing.clone());
        Trial::ignorable_test(name, move || {
            let Some(address) = address else {
                return Ok(Completion::ignored_with(missing.unwrap_or_default()));
            };
            let port = 2200 + u16::try_from(number)?;
            let played = bake::Bench::set_up(name, port, address).and_then(|bench| scenario(&bench));
            played.map_err(|error| Failed::from(format!("{error:#}")))?;
            Ok(Completion::Completed)
        })
    });
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
}

/// Returns the reason why nothing can be baked here, if there is a reason.
fn missing() -> Option<String> {
    if !nix::unistd::geteuid().is_root() {
        return Some("this takes root, for the scratch host".to_owned());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<_> = std::env::split_paths(&path).collect();
    let is_there = |program: &str| folders.iter().any(|folder| folder.join(program).is_file());
    let mut missing: Vec<_> = PROGRAMS.iter().copied().filter(|program| !is_there(program)).collect();
    if !cloud::server().is_file() {
        missing.push("moto_server");
    }
    (!missing.is_empty()).then(|| format!("{} missing; `make setup-bake` installs that", missing.join(", ")))
}

/// Makes the scratch host, leaves the network and the mounts of this machine, and starts the double of EC2.
fn prepare() -> Result<Cloud> {
    ensure!(repository("dist/ecs-firstrun").is_file(), "dist/ecs-firstrun is missing; `make build` makes it");
    let script = repository("tests/bake/host.sh");
    let status = Command::new(&script).arg(repository("target/bake")).status().context("run tests/bake/host.sh")?;
    ensure!(status.success(), "tests/bake/host.sh ended with {status}");
    unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS).context("leave the machine's network and mounts")?;
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)?;
    let status = Command::new("ip").args(["link", "set", "lo", "up"]).status()?;
    ensure!(status.success(), "ip ended with {status}");
    println!("{STAND_INS}");
    Cloud::start()
}
