//! Paths on which no volume can be mounted. The volume would hide files of the host, or be hidden from its users.

use super::types::AbsolutePath;
use crate::well_known::STATE_DIRECTORY;

/// The part of the tree at a path that is meant.
#[derive(Clone, Copy, PartialEq)]
enum Depth {
    /// The path itself: folders below it can be mount points.
    Itself,
    /// The path and everything below it.
    Below,
}

use Depth::{Below, Itself};

const PROGRAMS: &str = "the host's programs and libraries are there";
const KERNEL: &str = "the kernel's own files are there";
const TEMPORARY: &str =
    "services with PrivateTmp=yes have a directory of their own there, and would not see the volume";
const HOMES: &str = "ecs-firstrun.service can't see home directories (ProtectHome=yes)";
const MANY: &str = "it holds the state of many programs of the host";

/// The paths that are taken, each with the reason. Paths that are links on some systems (`/bin`, `/var/run`) are taken as
/// they are written. `ProtectHome=` and `PrivateTmp=` are explained in systemd.exec(5), the rest in hier(7).
#[rustfmt::skip]
const TAKEN: &[(&str, Depth, &str)] = &[
    ("/", Itself, "it is the root of the host"),
    ("/bin", Below, PROGRAMS),
    ("/boot", Below, "the kernel and the boot loader are there"),
    ("/dev", Below, KERNEL),
    ("/etc", Below, "the configuration of the host is there"),
    ("/home", Below, HOMES),
    ("/lib", Below, PROGRAMS),
    ("/lib32", Below, PROGRAMS),
    ("/lib64", Below, PROGRAMS),
    ("/libx32", Below, PROGRAMS),
    ("/opt", Itself, "the CloudWatch agent is installed below it"),
    ("/opt/aws", Below, "the CloudWatch agent is installed below it"),
    ("/proc", Below, KERNEL),
    ("/root", Below, HOMES),
    ("/run", Below, "it is emptied at each boot"),
    ("/sbin", Below, PROGRAMS),
    ("/sys", Below, KERNEL),
    ("/tmp", Below, TEMPORARY),
    ("/usr", Below, PROGRAMS),
    ("/var", Itself, MANY),
    ("/var/cache", Itself, MANY),
    ("/var/cache/ecs", Below, "the image of the ECS agent is there"),
    ("/var/lib", Itself, MANY),
    ("/var/lib/cloud", Below, "the state of cloud-init is there"),
    (STATE_DIRECTORY, Below, "the state of ecs-firstrun is there"),
    ("/var/lib/rpm", Below, "the database of the installed packages is there"),
    ("/var/lib/systemd", Below, "the state of systemd is there"),
    ("/var/lock", Below, "it is emptied at each boot"),
    ("/var/log", Itself, "programs of the host have their logs open there"),
    ("/var/run", Below, "it is emptied at each boot"),
    ("/var/tmp", Below, TEMPORARY),
];

/// Says why a volume can't be mounted on a path, as a clause; nothing if it can.
pub fn why_not(mount: &AbsolutePath) -> Option<&'static str> {
    if mount.as_str().ends_with('\\') {
        return Some("systemd takes a backslash at the end of a line for its continuation");
    }
    let mount = std::path::Path::new(mount.as_str());
    let is_meant = |(path, depth, _): &&(&str, Depth, &'static str)| match depth {
        Itself => mount == std::path::Path::new(path),
        Below => mount.starts_with(path),
    };
    TAKEN.iter().find(is_meant).map(|(_, _, why)| *why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_a_line_of_a_unit_can_not_hold_is_refused() {
        assert!(!is_free("/data\\") && is_free("/da\\ta"));
    }

    fn is_free(path: &str) -> bool {
        why_not(&AbsolutePath::try_from(path.to_owned()).unwrap()).is_none()
    }

    #[test]
    fn a_volume_can_be_mounted_where_the_host_does_not_need_the_place() {
        let free = [
            "/data",
            "/ephemeral",
            "/mnt",
            "/mnt/a",
            "/srv",
            "/media",
            "/opt/app",
            "/scratch",
            "/local",
            "/libs",
            "/var/www",
            "/var/lib/docker",
            "/var/lib/containerd",
            "/var/lib/ecs",
            "/var/lib/ecs/data",
            "/var/lib/cloudy",
            "/var/log/ecs",
            "/var/lib/docker/volumes",
            "/var/data",
            "/homes",
        ];
        free.iter().for_each(|path| assert!(is_free(path), "{path} is refused"));
        let taken = ["/etc/ecs", "/usr/local/data", "/home/ec2-user", "/run/user", "/var/tmp/x", "/var/lib/cloud/data"];
        taken.iter().for_each(|path| assert!(!is_free(path), "{path} is accepted"));
    }

    #[test]
    fn the_table_is_sorted_and_has_no_path_below_another_that_is_meant_whole() {
        assert!(TAKEN.is_sorted_by(|(a, ..), (b, ..)| a < b));
        for (path, ..) in TAKEN {
            let above = TAKEN.iter().filter(|(other, extent, _)| *extent == Below && other != path);
            above.for_each(|(other, ..)| assert!(!std::path::Path::new(path).starts_with(other), "{path} {other}"));
        }
    }
}
