//! Checks an image before it is baked. The image must boot right, and leave to each instance what must be the instance's
//! own.
//!
//! The checks read files below the root and use no network. So an image that is mounted in a folder, for any processor, can
//! be checked as well. On the machine itself, dockerd is asked about its configuration.

mod dockerd;
mod elf;
mod installed;
mod leftovers;
mod units;

pub use self::installed::INSTALLED;
use super::finding::{Check, Diagnosis, Finding};
use super::log_agent::of_files;
use super::selinux;
use crate::config::Parsed;
use crate::config::{Config, LogAgent, summary};
use crate::host::{CONTAINERD_FILLED, Host};
use crate::secrets::redact;
use crate::well_known::{CLOUDWATCH_UNIT, CONTAINERD_DATA, DAEMON_JSON};

/// Checks an image. `baked` is the result of parsing the image's documents together with what user data may add; none if the
/// image has no documents. `for_cloudwatch` is the file that the image's instances would write for the CloudWatch agent,
/// with their configuration.
pub async fn examine_image(host: &Host, baked: Option<&Parsed>, for_cloudwatch: Option<(&str, &Config)>) -> Diagnosis {
    let agent = baked.map_or(LogAgent::Auto, |parsed| parsed.config.logs.agent);
    Diagnosis::new(
        [
            vec![installed::binary(host), units::cloud_init(host), units::ours(host)],
            installed::files(host),
            units::started_by_us(host),
            vec![documents(baked), docker(host).await, log_agent(host, agent)],
            images_of_containerd(host).into_iter().collect(),
            for_cloudwatch.map(|(ours, config)| of_files(host, Some(ours), config, "")).unwrap_or_default(),
            leftovers::findings(host),
            selinux::of_image(host, baked.map(|parsed| &parsed.config)).await,
        ]
        .concat(),
    )
}

/// Checks the documents of the image itself: a mistake in one fails every instance.
fn documents(baked: Option<&Parsed>) -> Finding {
    let check = Check::Configuration;
    match baked {
        None => Finding::ok(check, "the image has no documents of its own"),
        Some(parsed) if parsed.problems.is_empty() => {
            Finding::ok(check, "there are no mistakes in the image's documents")
        }
        Some(parsed) => Finding::problem(
            check,
            format!("the image's own documents are refused: {}", summary(&parsed.problems)),
            "they are read on every instance, and the first mistake ends its run",
            "correct the document in /etc/ecs-firstrun/conf.d",
        ),
    }
}

/// Checks Docker's configuration, into which the user data's `docker.daemon` is merged.
async fn docker(host: &Host) -> Finding {
    if let Err(error) = host.daemon_json() {
        return Finding::problem(
            Check::Docker,
            format!("{:#}", error.root_cause()),
            "Docker does not start with this file, and the user data's `docker.daemon` can't be merged into it",
            format!("{error}"),
        );
    }
    match dockerd::refusal(host).await {
        None => Finding::ok(Check::Docker, "its configuration can be merged with that of the user data"),
        Some(said) => Finding::problem(
            Check::Docker,
            redact(&said),
            "Docker does not start with it",
            format!("correct it in {DAEMON_JSON}, or change the flags in Docker's unit"),
        ),
    }
}

/// Tells of images in containerd: they stay where they are, and all later data stays beside them.
fn images_of_containerd(host: &Host) -> Option<Finding> {
    (host.containerd_data() == Some(CONTAINERD_FILLED)).then(|| {
        let words = format!(
            "containerd has images or containers in {CONTAINERD_DATA}: its data stays there on each instance, even if \
             `docker.data_root` is on a volume"
        );
        Finding::ok(Check::Docker, words)
    })
}

/// Checks that the image has a log agent.
fn log_agent(host: &Host, wanted: LogAgent) -> Finding {
    let check = Check::LogAgent;
    let (cloudwatch, awslogs) = match host.log_agents() {
        Ok(found) => found,
        Err(error) => return Finding::not_made(check, &error),
    };
    let has_unit = units::file(host, CLOUDWATCH_UNIT).is_some();
    let missing = |found: &str| {
        Finding::problem(
            check,
            found,
            "no log would leave the instance, so nobody could tell why a boot failed",
            "install amazon-cloudwatch-agent (builder-scripts/packages.sh does), or bake a document with \
             `logs: {agent: none}`",
        )
    };
    match (wanted, cloudwatch.as_deref(), awslogs) {
        (LogAgent::None, ..) => Finding::ok(check, "none is configured (`logs.agent: none`)"),
        (LogAgent::Auto | LogAgent::Cloudwatch, Some(version), _) if has_unit => {
            Finding::ok(check, format!("CloudWatch agent {version}").trim_end())
        }
        (LogAgent::Auto | LogAgent::Cloudwatch, Some(_), _) => {
            missing("the CloudWatch agent is there, but not its unit, amazon-cloudwatch-agent.service")
        }
        (LogAgent::Auto | LogAgent::Awslogs, _, true) => Finding::ok(check, "awslogs"),
        (LogAgent::Auto, None, false) => missing("there is no log agent"),
        (LogAgent::Cloudwatch, None, _) => {
            missing("the image's documents ask for the CloudWatch agent, which is not installed")
        }
        (LogAgent::Awslogs, _, false) => missing("the image's documents ask for awslogs, which is not installed"),
    }
}
