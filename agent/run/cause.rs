//! The reason of a failure, with its likeliest cause or with what helps against it.

use anyhow::anyhow;
use nix::errno::Errno;

use super::one_run::Run;
use crate::aws::imds::Identity;
use crate::config::Config;
use crate::doctor;
use crate::host::Unmet;

/// Adds the likeliest cause to the error of a wait, before what the wait saw. Adds a remedy to another error, if a
/// filesystem's answer caused it.
pub(super) async fn with_cause(
    error: anyhow::Error,
    run: &Run<'_>,
    config: &Config,
    identity: &Identity,
) -> anyhow::Error {
    let Some(unmet) = error.downcast_ref::<Unmet>() else { return with_remedy(error) };
    let cause = doctor::local_cause(run.host, &run.options.ecs_agent, config, identity).await;
    let Some(cause) = cause else { return error };
    anyhow!("wait: {} ({})", cause.line(), unmet.seen)
}

/// Adds what helps, where a filesystem has answered so: that has little to do with the file.
pub(super) fn with_remedy(error: anyhow::Error) -> anyhow::Error {
    let answer = error.chain().find_map(|cause| cause.downcast_ref::<std::io::Error>()?.raw_os_error());
    let remedy = match answer.map(Errno::from_raw) {
        Some(Errno::ENOSPC | Errno::EDQUOT) => {
            "make room on that filesystem, or give the volume more; `df -h` and `df -i` show how full it is"
        }
        Some(Errno::EROFS) => {
            "that filesystem is mounted read-only, as the kernel does by itself after an error on the disk: `dmesg` says why"
        }
        Some(Errno::EIO) => "the disk fails: `dmesg` says more; replace the instance, or the volume",
        Some(Errno::EACCES | Errno::EPERM) => {
            "run ecs-firstrun as root; SELinux (`ausearch -m avc`) or an attribute of the file (`lsattr`) can refuse root, too"
        }
        _ => return error,
    };
    anyhow!("{error:#}; {remedy}")
}

#[cfg(test)]
mod tests {
    use anyhow::{Context as _, Result};

    use super::*;

    #[test]
    fn what_a_filesystem_refuses_has_a_remedy_and_nothing_else_has() {
        let failed = |answer: Errno| {
            let error: Result<()> = Err(std::io::Error::from(answer).into());
            format!("{:#}", with_remedy(error.context("docker: write /etc/docker/daemon.json").unwrap_err()))
        };
        for (answer, remedy) in [
            (Errno::ENOSPC, "write /etc/docker/daemon.json: No space left on device (os error 28); make room"),
            (Errno::EROFS, "Read-only file system (os error 30); that filesystem is mounted read-only"),
            (Errno::EIO, "Input/output error (os error 5); the disk fails"),
            (Errno::EACCES, "Permission denied (os error 13); run ecs-firstrun as root"),
        ] {
            assert!(failed(answer).contains(remedy), "{}", failed(answer));
        }
        assert!(failed(Errno::ENOTDIR).ends_with("(os error 20)"));
        assert_eq!(with_remedy(anyhow!("no disk")).to_string(), "no disk");
    }
}
