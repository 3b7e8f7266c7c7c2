//! SELinux labels: those of our binary and of Docker's data, and those that containers need.

use super::{Image, is_refused};
use crate::support::selinux::set_label;

/// An image in a folder, whose settings have SELinux on.
fn with_selinux(image: &Image) {
    image.put("/etc/selinux/config", "SELINUX=enforcing\nSELINUXTYPE=targeted\n");
    image.put(
        "/etc/selinux/targeted/contexts/files/file_contexts",
        "/var/lib/docker(/.*)?\tsystem_u:object_r:container_var_lib_t:s0\n",
    );
}

#[test]
fn selinux_labels_with_which_nothing_would_start_are_refused() {
    let image = Image::new();
    with_selinux(&image);
    // Without any label the whole image gets them at the first boot.
    assert_eq!(image.findings().0, Some(0));
    let systemd = |image: &Image| assert!(set_label(&image.at("/usr/lib/systemd/systemd"), "init_exec_t"));
    if !set_label(&image.at("/usr/lib/systemd/systemd"), "init_exec_t") {
        return;
    }
    let binary = "/usr/bin/ecs-firstrun";
    for kind in ["user_tmp_t", "tmp_t", "admin_home_t", "unlabeled_t"] {
        let spoil = |image: &Image| {
            with_selinux(image);
            systemd(image);
            assert!(set_label(&image.at(binary), kind));
        };
        is_refused(spoil, "selinux", &[&format!("{binary} has the SELinux label `{kind}`; `restorecon -v {binary}`")]);
    }
    let unlabelled = |image: &Image| {
        with_selinux(image);
        systemd(image);
    };
    is_refused(unlabelled, "selinux", &[&format!("{binary} has no SELinux label; `restorecon -v {binary}`")]);
    let data_root = |image: &Image| {
        with_selinux(image);
        image.put("/var/lib/docker/overlay2/x", "");
        assert!(set_label(&image.at("/var/lib/docker"), "user_home_t"));
    };
    is_refused(data_root, "selinux", &["/var/lib/docker has the SELinux label `user_home_t`"]);
    assert!(set_label(&image.at(binary), "bin_t"));
    assert_eq!(image.findings().0, Some(0));
    assert!(set_label(&image.at(binary), "user_tmp_t"));
    assert_eq!(image.findings().0, Some(1));
    image.put("/etc/selinux/config", "SELINUX=disabled\n");
    assert_eq!(image.findings().0, Some(0));
}

#[test]
fn containers_with_labels_that_the_policy_lacks_are_refused() {
    let image = Image::new();
    with_selinux(&image);
    image.put("/etc/docker/daemon.json", r#"{"selinux-enabled": true}"#);
    assert_eq!(image.findings().0, Some(0));
    let spoil = |image: &Image| {
        with_selinux(image);
        image.put("/etc/docker/daemon.json", r#"{"selinux-enabled": true}"#);
        image.put("/etc/selinux/targeted/contexts/files/file_contexts", "/var(/.*)? system_u:object_r:var_t:s0\n");
    };
    is_refused(spoil, "selinux", &["has no labels for containers; install container-selinux in the image"]);
}
