//! Why it failed: the command `doctor`, and the reason of a run whose wait failed. Both make the same checks.

use anyhow::{Result, anyhow};
use nix::errno::Errno;

use super::{Options, Run, gather};
use crate::aws::imds::Identity;
use crate::config::{self, Config};
use crate::doctor::{self, Configured, Diagnosis, Metadata, Subject};
use crate::host::{Host, Unmet};
use crate::plan::{self, Plan};
use crate::report::Change;
use crate::well_known::CLOUDWATCH_JSON;
use crate::well_known::ECS_UNIT;

/// Says why this instance isn't a working member of its cluster.
///
/// # Errors
/// A root or an endpoint that makes no sense.
pub async fn diagnose(options: &Options) -> Result<Diagnosis> {
    let host = Host::rooted_at(&options.root, &options.ecs_endpoint)?;
    let (gathered, metadata) = gather::for_doctor(&host, options).await;
    let parsed = gathered.parse();
    let configured = match (&gathered.error, parsed.problems.as_slice()) {
        (_, [_, ..]) => Configured::Refused(config::summary(&parsed.problems)),
        (_, []) if parsed.found => Configured::Right,
        (Some(error), _) => Configured::Unknown(format!("{error:#}")),
        (None, _) if metadata == Metadata::NotAsked => {
            Configured::Unknown("there is none here; give one with --user-data FILE".to_owned())
        }
        (None, _) if parsed.is_of_others() => Configured::Others,
        (None, _) => Configured::Missing,
    };
    let subject = Subject {
        host: &host,
        config: parsed.found.then_some(&parsed.config),
        configured,
        identity: &gathered.identity,
        metadata,
        imds_endpoint: options.imds_endpoint.as_deref(),
        cloudformation_endpoint: options.cloudformation_endpoint.as_deref(),
    };
    Ok(doctor::examine(&subject).await)
}

/// Says why an image isn't fit to be baked.
///
/// # Errors
/// A root that makes no sense, or a document of the image that can't be read.
pub async fn diagnose_image(options: &Options) -> Result<Diagnosis> {
    let host = Host::rooted_at(&options.root, &options.ecs_endpoint)?;
    let baked = gather::baked_documents(&host)?;
    let user_data = config::completing();
    let has_documents = !baked.is_empty();
    let parsed = config::parse(&[user_data].into_iter().chain(baked).collect::<Vec<_>>());
    // Of what an instance has beside its image nothing is known.
    let instance = host.instance(&Identity::default()).ok();
    let plan = instance.map(|instance| plan::plan(&parsed.config, &instance));
    let mut files = plan.iter().flat_map(Plan::files).map(|(_, file)| file);
    let file = files.find(|file| file.path == CLOUDWATCH_JSON);
    let for_cloudwatch = file.map(|file| (file.contents.reveal(), &parsed.config));
    Ok(doctor::examine_image(&host, has_documents.then_some(&parsed), for_cloudwatch).await)
}

impl Run<'_> {
    /// The error of a wait that doesn't know its cause, with the likeliest one before what was seen; another one with what
    /// helps against it, where a filesystem has answered so.
    pub(super) async fn with_cause(&self, error: anyhow::Error, config: &Config) -> anyhow::Error {
        let Some(unmet) = error.downcast_ref::<Unmet>() else { return with_remedy(error) };
        let Some(cause) = doctor::local_cause(&self.host, config, &self.gathered.identity).await else { return error };
        anyhow!("wait: {} ({})", cause.line(), unmet.seen)
    }

    /// Says why a run that does not wait for the registration is no success: the ECS agent joins, or has joined, another cluster.
    pub(super) async fn another_cluster(&self, config: &Config) -> Option<String> {
        let actions = self.report.steps.iter().flat_map(|step| &step.actions);
        // An ECS agent that is just starting may still answer with what it had before.
        let mut started = actions.filter(|action| action.change == Change::Made && action.action.ends_with(ECS_UNIT));
        let is_settled = started.next().is_none();
        doctor::another_cluster(&self.host, config, &self.gathered.identity, is_settled).await
    }
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
            "run this agent as root; root is refused by SELinux (`ausearch -m avc`) or by an attribute of the file (`lsattr`)"
        }
        _ => return error,
    };
    anyhow!("{error:#}; {remedy}")
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

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
            (Errno::EACCES, "Permission denied (os error 13); run this agent as root"),
        ] {
            assert!(failed(answer).contains(remedy), "{}", failed(answer));
        }
        assert!(failed(Errno::ENOTDIR).ends_with("(os error 20)"));
        assert_eq!(with_remedy(anyhow!("no disk")).to_string(), "no disk");
    }
}
