//! Units: ours installed and enabled, those of others there, and none that would start before the host is configured.

use ecs_firstrun::doctor::INSTALLED;

use super::{Image, is_refused};

#[test]
fn each_file_of_ours_that_is_missing_or_differs_is_refused() {
    for (path, text) in INSTALLED {
        is_refused(|image| image.remove(path), "installed", &[&format!("{path} is missing"), "install it again"]);
        let spoil = |image: &Image| image.put(path, format!("{text}# and more\n"));
        is_refused(spoil, "installed", &[&format!("{path} is not the file of ecs-firstrun"), "install it again"]);
    }
}

#[test]
fn a_unit_or_drop_in_that_stands_in_the_place_of_ours_is_refused() {
    let spoil = |image: &Image| image.put("/etc/systemd/system/ecs.service.d/10-ecs-firstrun.conf", "[Unit]\n");
    is_refused(spoil, "installed", &["/etc/systemd/system/ecs.service.d/10-ecs-firstrun.conf overrides"]);
    let spoil = |image: &Image| image.link("/etc/systemd/system/ecs-firstrun.service", "/dev/null");
    is_refused(spoil, "installed", &["/etc/systemd/system/ecs-firstrun.service overrides", "delete it"]);
}

#[test]
fn a_unit_of_ours_that_is_not_enabled_is_refused() {
    let link = "/etc/systemd/system/cloud-init.target.wants/ecs-firstrun.service";
    is_refused(|image| image.remove(link), "units", &["ecs-firstrun.service is not enabled", "systemctl enable"]);
    let spoil = |image: &Image| {
        image.remove(link);
        image.enable("ecs-firstrun.service", "multi-user.target");
    };
    is_refused(spoil, "units", &["cloud-init.target does not pull it in"]);
}

#[test]
fn a_unit_that_is_enabled_and_must_not_be_is_refused() {
    for (unit, target) in [
        ("docker.service", "multi-user.target"),
        ("docker.socket", "sockets.target"),
        ("ecs.service", "multi-user.target"),
        ("amazon-cloudwatch-agent.service", "multi-user.target"),
        ("awslogsd.service", "multi-user.target"),
    ] {
        let words = [format!("{unit} is enabled: {target} pulls it in"), format!("`systemctl disable {unit}`")];
        is_refused(|image| image.enable(unit, target), "units", &words.each_ref().map(String::as_str));
    }
    let another_name = "/usr/lib/systemd/system/multi-user.target.requires/moby.service";
    let spoil = |image: &Image| image.link(another_name, "../docker.service");
    is_refused(spoil, "units", &["docker.service is enabled"]);
}

#[test]
fn a_containerd_that_is_enabled_is_right_as_long_as_it_waits() {
    let enable = |image: &Image, target: &str| {
        image.put("/usr/lib/systemd/system/containerd.service", "[Unit]\n");
        image.enable("containerd.service", target);
    };
    let image = Image::new();
    enable(&image, "multi-user.target");
    let ended = image.check(&[]);
    assert_eq!(ended.code, Some(0), "{}", ended.stdout);
    for target in ["sysinit.target", "cloud-init.service"] {
        let words = ["containerd.service is enabled", target, "disable containerd.service"];
        is_refused(|image| enable(image, target), "units", &words);
    }
    // Without the line of our unit nothing has it wait, but for its own.
    let unit = "/usr/lib/systemd/system/ecs-firstrun.service";
    let text = std::fs::read_to_string(image.at(unit)).unwrap();
    image.put(unit, text.replace("Before=containerd.service\n", ""));
    let told = |image: &Image| {
        let (_, findings) = image.findings();
        let mut found = findings.iter().filter_map(|finding| finding["found"].as_str());
        found.any(|found| found.contains("would not wait for ecs-firstrun.service: multi-user.target pulls it in"))
    };
    assert!(told(&image));
    let drop_in = "/etc/systemd/system/containerd.service.d/order.conf";
    image.put(drop_in, "[Unit]\nAfter=network.target ecs-firstrun.service\n");
    assert!(!told(&image));
}

#[test]
fn images_in_containerd_are_told_where_they_are() {
    let image = Image::new();
    image.put("/var/lib/containerd/io.containerd.content.v1.content/blobs/sha256/0a", "");
    let ended = image.check(&[]);
    assert_eq!(ended.code, Some(0), "{}", ended.stdout);
    assert!(ended.stdout.contains("containerd has images or containers in /var/lib/containerd"), "{}", ended.stdout);
}

#[test]
fn a_unit_that_is_masked_is_refused() {
    let spoil = |image: &Image| image.link("/etc/systemd/system/docker.service", "/dev/null");
    is_refused(spoil, "units", &["docker.service is masked", "systemctl unmask"]);
    let spoil = |image: &Image| image.link("/etc/systemd/system/cloud-init.target", "/dev/null");
    is_refused(spoil, "cloud_init", &["cloud-init.target is masked"]);
}

#[test]
fn an_image_without_docker_or_without_the_ecs_agent_is_refused() {
    for unit in ["docker.service", "ecs.service"] {
        let spoil = |image: &Image| image.remove(&format!("/usr/lib/systemd/system/{unit}"));
        is_refused(spoil, "units", &[&format!("{unit} is missing"), "ECS-optimized"]);
    }
}

#[test]
fn an_image_without_cloud_init_is_refused() {
    for unit in ["cloud-init.target", "cloud-init.service"] {
        let spoil = |image: &Image| image.remove(&format!("/usr/lib/systemd/system/{unit}"));
        is_refused(spoil, "cloud_init", &["cloud-init is missing", "install cloud-init"]);
    }
    let image = Image::new();
    image.remove("/usr/lib/systemd/system/cloud-init.service");
    image.put("/usr/lib/systemd/system/cloud-init-network.service", "[Unit]\n");
    assert_eq!(image.findings().0, Some(0), "cloud-init 24.3 and newer");
}

#[test]
fn a_cloud_init_that_is_disabled_is_refused() {
    let spoil = |image: &Image| image.put("/etc/cloud/cloud-init.disabled", "");
    is_refused(spoil, "cloud_init", &["/etc/cloud/cloud-init.disabled disables cloud-init", "delete it"]);
}
