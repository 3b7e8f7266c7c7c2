//! Traces of processes: the agent's own, and those that it starts.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use ecs_firstrun::rehearse::{Scenario, programs};

use super::canary::{Canary, STATE, Seen, files};
use super::{ours, proxy, user_data};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::host::{BINARY, Ended, Host, until};
use crate::support::skip;

/// The user `nobody`, and his group.
const NOBODY: u32 = 65534;
const STACK: &str = "{stack: web, resource: Instances, timeout: 30s}";

fn host(scenario: Scenario) -> Host {
    Host::of(scenario, user_data(&ours(STACK, "")))
}

/// Secrets in the environment of a run, as a unit or a script may have them.
fn variables() -> [(&'static str, String); 4] {
    let key = Canary::SignalSecret.text();
    [
        ("PROXY_URL", proxy("127.0.0.1:9")),
        ("AWS_ACCESS_KEY_ID", key.clone()),
        ("AWS_SECRET_ACCESS_KEY", key.clone()),
        ("AWS_SESSION_TOKEN", key),
    ]
}

#[test]
fn the_programs_that_a_run_starts_get_no_secret() {
    let host = host(Scenario::Success);
    let (bin, heard) = (&host.rehearsal.bin, host.folder.path().join("heard"));
    std::fs::create_dir(bin.join("real")).unwrap();
    for name in programs::NAMES {
        std::fs::rename(bin.join(name), bin.join("real").join(name)).unwrap();
        let script = format!(
            "#!/bin/sh\n{{ echo \"$0\" \"$@\"; env; cat /proc/$$/cmdline; }} >>'{}'\nexec '{}/real/{name}' \"$@\"\n",
            heard.display(),
            bin.display()
        );
        std::fs::write(bin.join(name), script).unwrap();
        std::fs::set_permissions(bin.join(name), std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let variables = variables();
    let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let ended = host.call(&["run", "-v"], &variables);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let heard = std::fs::read_to_string(heard).unwrap();
    for words in ["mkfs.xfs ", "start --no-block ecs.service\n", "ECS_FIRSTRUN_ROOT="] {
        assert!(heard.contains(words), "no {words} in {heard}");
    }
    let mut seen = Seen::default();
    seen.but("arguments and environments of programs", heard, &[Canary::HookArgument]);
    seen.ended("run", &ended);
    seen.tree("run", &files(&host.rehearsal.root));
    seen.assert_nothing();
}

/// All that another user can read of these files and folders.
fn as_nobody(script: &str, path: &Path) -> Ended {
    let mut command = Command::new("sh");
    command.args(["-c", script, "sh"]).arg(path).uid(NOBODY).gid(NOBODY).current_dir("/");
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ended { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

#[test]
fn another_user_sees_no_secret_of_a_run() {
    if !nix::unistd::geteuid().is_root() {
        return skip("needs root, to be another user");
    }
    let host = host(Scenario::Never);
    let open = |path: &Path| std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    open(host.folder.path());
    let mut seen = Seen::default();
    let mut look = |when: &str| {
        let ended = as_nobody("find \"$1\" -type f -size -2000k -exec cat {} +", host.folder.path());
        for words in ["\"outcome\": ", "INFO ", "[Mount]\n"] {
            assert!(ended.stdout.contains(words), "another user can't read what everybody may: no {words}");
        }
        for file in [
            "ecs.config",
            "proxy.env",
            "env-config.json",
            "amazon-cloudwatch-agent.log",
            "configuration-validation.log",
        ] {
            assert!(ended.stderr.contains(&format!("{file}: Permission denied")), "{}", ended.stderr);
        }
        seen.open(&format!("what nobody can read {when}"), ended.stdout);
    };
    let mut command = host.rehearsal.command(Path::new(BINARY)).into_std();
    command.envs(variables()).stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    let mut child = command.spawn().unwrap();
    until(|| host.rehearsal.programs.started_marker("ecs.service").exists());
    // It is looked at where it is, however long that takes.
    let process = Pid::from_raw(child.id().try_into().unwrap());
    kill(process, Signal::SIGSTOP).unwrap();
    look("meanwhile");
    let proc = format!("/proc/{}", child.id());
    let shown = as_nobody("cd \"$1\" && cat cmdline status comm; cat environ", Path::new(&proc));
    assert!(shown.stdout.contains("\0run\0") && shown.stdout.contains("VmHWM"), "{shown:?}");
    assert!(shown.stderr.contains("environ: Permission denied"), "{shown:?}");
    let held = std::fs::read(format!("{proc}/environ")).unwrap();
    assert!(Canary::shown_in(&held).contains(&Canary::ProxyPassword), "the process has no secret that could be seen");
    kill(process, Signal::SIGCONT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1));
    look("afterwards");
    seen.open("what nobody can read of the process", shown.stdout);
    seen.assert_nothing();
}

/// A script of the user data calls `run`, which hands what it was given over to the unit.
#[test]
fn what_is_handed_over_is_for_root_alone() {
    let host = Host::in_cloud("#!/bin/sh\n", |_| {});
    host.put("/proc/self/cgroup", "0::/system.slice/cloud-final.service\n");
    std::fs::remove_file(host.rehearsal.bin.join("systemctl")).unwrap();
    symlink("/bin/true", host.rehearsal.bin.join("systemctl")).unwrap();
    let file = host.folder.path().join("user-data");
    std::fs::write(&file, user_data(&ours(STACK, ""))).unwrap();
    let variables = variables();
    let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let ended = host.call(&["run", "-v", "--user-data", file.to_str().unwrap()], &variables);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let mut files = files(&host.rehearsal.root);
    let (mode, bytes) = files.remove("var/lib/ecs-firstrun/handed-over.json").unwrap();
    assert_eq!(mode, 0o600);
    let held = Canary::shown_in(&bytes);
    assert!(held.contains(&Canary::ProxyPassword) && held.contains(&Canary::ShellPart), "{held:?}");
    assert!(!files.contains_key(STATE));
    let mut seen = Seen::default();
    seen.ended("run inside cloud-init", &ended);
    seen.tree("run inside cloud-init", &files);
    seen.assert_nothing();
}
