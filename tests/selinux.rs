//! SELinux: what a run makes on fresh filesystems gets the labels of the host's policy, by the host's own restorecon.

use ecs_firstrun::rehearse::Scenario;
use ecs_firstrun::report::Change;

use crate::support::disks::{Loop, Machine, can_run};
use crate::support::doctor::findings;
use crate::support::host::{Ended, Host};
use crate::support::lacks_strace;
use crate::support::selinux::set_label;
use crate::support::skip;

pub const SUBSTITUTES: &str = "/etc/selinux/targeted/contexts/files/file_contexts.subs";
const USER_DATA: &str = "#ecs-firstrun
storage:
  - device: /dev/xvdcy
    filesystem: ext4
    mount: /srv
    directories: [{path: in/new, mode: \"0750\"}]
docker: {data_root: /srv/images}
logs: {agent: none}
";

/// restorecon(8) and matchpathcon(8) of a policy that knows Docker's place alone. Which label a path has stands in a file.
/// A directory that does not let itself be labelled is one in the file `refuses`.
const PROGRAM: &str = r#"#!/bin/sh
wanted() {
    place=${1#FOLDER/root}
    while read -r from to; do
        case $place in "$from" | "$from"/*) place=$to${place#"$from"} ;; esac
    done 2>/dev/null <FOLDER/root/etc/selinux/targeted/contexts/files/file_contexts.subs
    case $place in
    /var/lib/docker | /var/lib/docker/*) type=container_var_lib_t ;;
    /usr/bin/*) type=bin_t ;;
    *) type=default_t ;;
    esac
    label=system_u:object_r:$type:s0
}
case $0 in *matchpathcon) wanted "$2" && echo "$label" && exit ;; esac
runs=
[ ! -e DOCKER ] || runs=' while Docker runs'
dry= status=0
for path; do
    case $path in -n) dry=yes ;; -v) ;; -*) exit 255 ;; esac
done
for path; do
    case $path in -*) continue ;; esac
    [ -n "$dry" ] || echo "${path#FOLDER/root}$runs" >>FOLDER/restorecon
    if [ ! -e "$path" ]; then
        echo "restorecon: lstat($path) failed: No such file or directory" >&2
        status=255
        continue
    fi
    wanted "$path"
    old=$(sed -n "s|^$path ||p" FOLDER/labels | tail -n 1)
    [ "${old:=system_u:object_r:unlabeled_t:s0}" != "$label" ] || continue
    if [ -n "$dry" ]; then
        echo "Would relabel $path from $old to $label"
    elif grep -qx "$path" FOLDER/refuses; then
        echo "restorecon: Could not set context for $path:  Operation not supported" >&2
        status=255
    else
        echo "Relabeled $path from $old to $label"
        echo "$path $label" >>FOLDER/labels
    fi
done
exit $status
"#;

/// Puts the programs of SELinux first in the PATH of a host.
pub fn install(host: &Host) {
    let folder = host.folder.path();
    let docker = host.rehearsal.programs.started_marker("docker.service");
    let text = PROGRAM.replace("FOLDER", &folder.to_string_lossy()).replace("DOCKER", &docker.to_string_lossy());
    for name in ["restorecon", "matchpathcon"] {
        use std::os::unix::fs::PermissionsExt as _;
        let path = host.rehearsal.bin.join(name);
        std::fs::write(&path, &text).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    ["labels", "refuses"].iter().for_each(|name| std::fs::write(folder.join(name), "").unwrap());
}

/// Switches SELinux on.
pub fn switch_on(host: &Host) {
    host.put("/sys/fs/selinux/enforce", "0");
    host.put("/etc/selinux/config", "# as it comes\nSELINUX=permissive\nSELINUXTYPE=targeted \n");
}

fn host() -> Host {
    let host = Host::of(Scenario::Success, USER_DATA);
    switch_on(&host);
    install(&host);
    host
}

/// The paths that restorecon was called for since the last look.
fn called(host: &Host) -> Vec<String> {
    let file = host.folder.path().join("restorecon");
    let text = std::fs::read_to_string(&file).unwrap_or_default();
    let _ = std::fs::remove_file(file);
    text.lines().map(str::to_owned).collect()
}

fn succeeds(host: &Host) -> Ended {
    let ended = host.run();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    ended
}

/// The labels that were set, by path.
fn label(host: &Host, path: &str) -> Option<String> {
    let labels = std::fs::read_to_string(host.folder.path().join("labels")).unwrap();
    let path = host.at(path).display().to_string() + " ";
    labels
        .lines()
        .rev()
        .find_map(|line| line.strip_prefix(&path))
        .map(|label| label.split(':').nth(2).unwrap().to_owned())
}

fn mode(host: &Host, path: &str) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    host.at(path).metadata().unwrap().permissions().mode() & 0o7777
}

#[test]
fn what_is_made_is_labelled_once_and_the_data_root_as_dockers_own_before_docker_starts() {
    let host = host();
    host.put(SUBSTITUTES, "# of the administrator\n/opt/x /usr\n");
    succeeds(&host);
    assert_eq!(called(&host), ["/srv", "/srv", "/srv/in/new", "/srv/in", "/srv/images"]);
    assert_eq!(
        host.text(SUBSTITUTES),
        "# of the administrator\n/opt/x /usr\n# BEGIN ecs-firstrun\n/srv/images /var/lib/docker\n# END ecs-firstrun\n"
    );
    let labels = ["/srv", "/srv/in", "/srv/in/new", "/srv/images"].map(|path| label(&host, path).unwrap());
    assert_eq!(labels, ["default_t", "default_t", "default_t", "container_var_lib_t"]);
    assert_eq!(
        ["/srv", "/srv/in", "/srv/in/new", "/srv/images"].map(|path| mode(&host, path)),
        [0o755, 0o755, 0o750, 0o710]
    );
    assert!(host.report().warnings.is_empty());
    // Docker fills its data root; until then its label is looked at on every boot.
    let tree = host.tree();
    host.put("/srv/images/overlay2/x", "");
    succeeds(&host);
    assert_eq!(called(&host), Vec::<String>::new());
    let changed =
        host.report().steps.into_iter().flat_map(|step| step.actions).filter(|action| action.change == Change::Made);
    assert!(changed.into_iter().all(|action| !action.action.contains("label")));
    std::fs::remove_dir_all(host.at("/srv/images/overlay2")).unwrap();
    assert!(tree == host.tree());
}

#[test]
fn a_filesystem_with_content_keeps_its_labels_but_for_what_is_made_on_it() {
    let host = host();
    host.put("/srv/images/overlay2/x", "");
    host.put("/srv/in/old", "");
    succeeds(&host);
    assert_eq!(called(&host), ["/srv/in/new"]);
}

#[test]
fn an_empty_data_root_is_labelled_though_it_was_not_made_and_a_link_is_left() {
    let host = host();
    host.put("/srv/in/old", "");
    std::fs::create_dir(host.at("/srv/images")).unwrap();
    let before = mode(&host, "/srv/images");
    succeeds(&host);
    assert_eq!(called(&host), ["/srv/in/new", "/srv/images"]);
    assert_eq!(mode(&host, "/srv/images"), before);

    std::fs::remove_dir(host.at("/srv/images")).unwrap();
    std::os::unix::fs::symlink("in", host.at("/srv/images")).unwrap();
    succeeds(&host);
    assert_eq!(called(&host), Vec::<String>::new());
}

#[test]
fn a_directory_whose_run_was_killed_before_its_label_is_labelled() {
    use std::os::unix::fs::DirBuilderExt as _;
    let host = host();
    host.put("/srv/in/old", "");
    std::fs::DirBuilder::new().mode(0o1700).create(host.at("/srv/in/new")).unwrap();
    succeeds(&host);
    assert_eq!(called(&host), ["/srv/in/new", "/srv/images"]);
    assert_eq!(mode(&host, "/srv/in/new"), 0o750);
}

#[test]
fn a_path_that_an_administrator_has_given_a_label_is_left_to_it() {
    for (file, line) in [
        (SUBSTITUTES, "/srv/images /var/lib/containers"),
        ("/etc/selinux/targeted/contexts/files/file_contexts.local", "/srv/images(/.*)?  system_u:object_r:var_t:s0"),
    ] {
        let host = host();
        host.put(file, &format!("{line}\n"));
        succeeds(&host);
        assert_eq!(host.text(file), format!("{line}\n"));
        assert!(file == SUBSTITUTES || !host.at(SUBSTITUTES).exists());
        assert!(called(&host).contains(&"/srv/images".to_owned()), "it gets the label of the policy all the same");
    }
}

#[test]
fn lines_of_ours_go_when_the_data_root_is_moved_back() {
    let host = host();
    succeeds(&host);
    assert!(host.at(SUBSTITUTES).exists());
    let moved_back = USER_DATA.replace("docker: {data_root: /srv/images}\n", "");
    host.put("/user-data", &moved_back);
    let user_data = host.at("/user-data").display().to_string();
    let ended = host.call(&["run", "--user-data", &user_data], &[]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(!host.at(SUBSTITUTES).exists());
}

#[test]
fn labels_that_can_not_be_set_are_warnings() {
    if crate::support::disks::which("restorecon").is_none() {
        let host = host();
        std::fs::remove_file(host.rehearsal.bin.join("restorecon")).unwrap();
        let ended = succeeds(&host);
        let warnings = host.report().warnings;
        let words = ": install policycoreutils in the image: restorecon is not installed";
        assert!(warnings.len() == 4 && warnings.iter().all(|warning| warning.ends_with(words)), "{warnings:?}");
        assert!(ended.stderr.contains("the SELinux label of"), "{}", ended.stderr);
        assert_eq!(mode(&host, "/srv/in/new"), 0o750);
    } else {
        skip("restorecon is installed here");
    }
    let host = host();
    std::fs::write(host.folder.path().join("refuses"), host.at("/srv/images").display().to_string() + "\n").unwrap();
    succeeds(&host);
    let warnings = host.report().warnings;
    assert!(warnings.len() == 1 && warnings[0].contains("Operation not supported"), "{warnings:?}");
    assert_eq!(label(&host, "/srv").as_deref(), Some("default_t"));
}

#[test]
fn where_selinux_is_off_nothing_more_than_its_presence_is_looked_at() {
    if lacks_strace() {
        return;
    }
    let host = Host::of(Scenario::Success, USER_DATA);
    install(&host);
    // It may be switched off by the kernel's command line, whatever the settings say.
    host.put("/etc/selinux/config", "SELINUX=enforcing\nSELINUXTYPE=targeted\n");
    let trace = host.folder.path().join("trace");
    let ended = host.traced(&["-f", "-o", &trace.display().to_string(), "-e", "trace=%file,execve"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let text = std::fs::read_to_string(trace).unwrap();
    let looks: Vec<_> = text
        .lines()
        .filter(|line| ["fs/selinux", "etc/selinux", "/restorecon\""].iter().any(|path| line.contains(path)))
        .collect();
    assert!(looks.len() == 1 && looks[0].contains("/sys/fs/selinux/enforce"), "{looks:#?}");
    assert_eq!(called(&host), Vec::<String>::new());
}

#[test]
fn a_plan_on_the_host_tells_what_has_its_label() {
    let host = host();
    let plan = || host.call(&["plan"], &[]).stdout;
    let before = plan();
    assert!(
        before.contains("* set     /srv/images in") && before.contains("? label   /srv/images if it is empty"),
        "{before}"
    );
    succeeds(&host);
    let after = plan();
    assert!(
        after.contains("  set     /srv/images in") && after.contains("  label   /srv/images if it is empty"),
        "{after}"
    );
    std::fs::write(host.folder.path().join("labels"), "").unwrap();
    assert!(plan().contains("* label   /srv/images if it is empty"));
}

#[test]
fn the_root_of_a_real_filesystem_and_what_mkfs_made_in_it_are_labelled() {
    if !can_run(&["mkfs.ext4", "mount"]) {
        return;
    }
    let disk = Loop::of(64);
    let machine = Machine::of(host());
    install(&machine.host);
    machine.attach("xvdcy", &disk);
    machine.made();
    let called = called(&machine.host);
    assert_eq!(called, ["/srv", "/srv", "/srv/lost+found", "/srv/in/new", "/srv/in", "/srv/images"]);
    // Docker has filled its data root.
    machine.host.put("/srv/images/overlay2/x", "");
    machine.unmount();
    machine.run();
    assert_eq!(self::called(&machine.host), Vec::<String>::new());
}

/// The words of `doctor` about the labels of a host.
fn said(host: &Host) -> Vec<(String, String)> {
    let found = findings(host, &host.rehearsal.cloud.cloudformation_endpoint(), "selinux");
    let text = |finding: &serde_json::Value, key: &str| finding[key].as_str().unwrap().to_owned();
    found.iter().map(|finding| (text(finding, "verdict"), text(finding, "found"))).collect()
}

#[test]
fn doctor_sees_a_binary_and_a_data_root_with_another_label_than_that_of_the_policy() {
    let host = host();
    host.put("/usr/bin/ecs-firstrun", "");
    host.put("/etc/docker/daemon.json", "{\"data-root\": \"/srv/images\"}");
    host.put("/srv/images/overlay2/x", "");
    let (binary, data_root) = (host.at("/usr/bin/ecs-firstrun"), host.at("/srv/images"));
    if !set_label(&binary, "user_tmp_t") || !set_label(&data_root, "unlabeled_t") {
        return;
    }
    let problem = |words: &str| ("problem".to_owned(), words.to_owned());
    let of_binary = || problem("/usr/bin/ecs-firstrun has the SELinux label `user_tmp_t`, not that of the policy");
    let of_data_root =
        || problem("/srv/images has the SELinux label `unlabeled_t`, not `container_var_lib_t` as /var/lib/docker");
    assert_eq!(said(&host), [of_binary(), of_data_root()]);
    std::fs::write(host.folder.path().join("labels"), format!("{} system_u:object_r:bin_t:s0\n", binary.display()))
        .unwrap();
    assert_eq!(said(&host), [of_data_root()]);
    // User, role and level are no part of it.
    assert!(set_label(&data_root, "container_var_lib_t"));
    let right = "/usr/bin/ecs-firstrun and /srv/images have the labels of the policy `targeted`";
    assert_eq!(said(&host), [("ok".to_owned(), right.to_owned())]);

    let contexts = "/etc/selinux/targeted/contexts/files/file_contexts";
    host.put("/etc/docker/daemon.json", "{\"data-root\": \"/srv/images\", \"selinux-enabled\": true}");
    host.put(contexts, "/var/lib/docker(/.*)?\tsystem_u:object_r:container_var_lib_t:s0\n");
    assert_eq!(said(&host)[0].0, "ok");
    host.put(contexts, "/var/lib(/.*)?\tsystem_u:object_r:var_lib_t:s0\n");
    let words = "Docker has `selinux-enabled: true`, and the policy `targeted` has no labels for containers";
    assert_eq!(said(&host), [problem(words)]);

    std::fs::remove_file(host.at("/sys/fs/selinux/enforce")).unwrap();
    assert_eq!(said(&host), []);
}

#[test]
fn doctor_leaves_a_volume_to_the_label_that_its_mount_option_gives() {
    let option = "filesystem: ext4\n    options: ['context=system_u:object_r:container_file_t:s0']\n";
    let document = USER_DATA.replace("filesystem: ext4\n", option);
    assert_ne!(document, USER_DATA);
    for (document, verdict) in [(USER_DATA, "problem"), (&document, "ok")] {
        let host = Host::of(Scenario::Success, document);
        switch_on(&host);
        install(&host);
        host.put("/srv/images/x", "");
        assert_eq!(said(&host)[0].0, verdict, "{document}");
    }
}
