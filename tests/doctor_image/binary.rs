//! The binary of the agent: there, executable, static, whole, and for the image's processor.

use std::os::unix::fs::PermissionsExt as _;

use super::{AARCH64, INTERPRETER, Image, LOAD, X86_64, is_refused, program};

#[test]
fn an_arm64_image_is_right_with_an_arm64_binary() {
    let image = Image::new();
    image.put("/usr/bin/ecs-firstrun", program(AARCH64, &[LOAD]));
    image.put("/usr/lib/systemd/systemd", program(AARCH64, &[LOAD, INTERPRETER]));
    assert_eq!(image.findings().0, Some(0));
}

#[test]
fn a_missing_binary_is_refused() {
    is_refused(
        |image| image.remove("/usr/bin/ecs-firstrun"),
        "binary",
        &["/usr/bin/ecs-firstrun is missing", "install"],
    );
}

#[test]
fn a_binary_that_may_not_be_executed_is_refused() {
    let spoil = |image: &Image| {
        let mode = std::fs::Permissions::from_mode(0o644);
        std::fs::set_permissions(image.at("/usr/bin/ecs-firstrun"), mode).unwrap();
    };
    is_refused(spoil, "binary", &["is not executable", "chmod 0755"]);
}

#[test]
fn a_binary_that_is_not_static_is_refused() {
    let spoil = |image: &Image| image.put("/usr/bin/ecs-firstrun", program(X86_64, &[LOAD, INTERPRETER]));
    is_refused(spoil, "binary", &["needs a dynamic linker", "make build"]);
}

#[test]
fn a_binary_for_another_processor_is_refused() {
    let spoil = |image: &Image| image.put("/usr/bin/ecs-firstrun", program(AARCH64, &[LOAD]));
    is_refused(spoil, "binary", &["made for aarch64 (arm64), and the image for x86_64", "make build ARCH=x86_64"]);
}

#[test]
fn a_binary_that_was_not_copied_whole_is_refused() {
    let spoil = |image: &Image| image.put("/usr/bin/ecs-firstrun", &program(X86_64, &[LOAD])[..70]);
    is_refused(spoil, "binary", &["is not a program for x86_64 or arm64", "may be incomplete"]);
}
