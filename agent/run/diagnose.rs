//! The command `doctor`: gathers what a run would go by, and examines the host or the image.

use anyhow::Result;

use super::gather;
use super::options::Options;
use crate::aws::imds::Identity;
use crate::config;
use crate::doctor::{self, Configured, Diagnosis, Metadata, Subject};
use crate::host::Host;
use crate::plan::{self, Plan};
use crate::well_known::CLOUDWATCH_JSON;

/// Says why this instance isn't a working member of its cluster.
pub async fn diagnose(options: &Options) -> Diagnosis {
    let host = Host::rooted_at(&options.root);
    let (mut gathered, metadata) = gather::for_doctor(&host, options).await;
    let parsed = gathered.parse_on(&host);
    let configured = match (&gathered.error, parsed.problems.as_slice()) {
        (_, [_, ..]) => Configured::Refused(config::summary(&parsed.problems)),
        (_, []) if parsed.found => Configured::Right,
        (Some(error), _) => Configured::Unknown(format!("{error:#}")),
        (None, _) if metadata == Metadata::NotAsked => {
            Configured::Unknown("there is no user data here; give it with --user-data FILE".to_owned())
        }
        (None, _) if parsed.is_of_others() => Configured::Others,
        (None, _) => Configured::Missing,
    };
    let subject = Subject {
        host: &host,
        ecs_agent: &options.ecs_agent,
        config: parsed.found.then_some(&parsed.config),
        configured,
        identity: &gathered.identity,
        metadata,
        imds_endpoint: options.imds_endpoint.as_deref(),
        cloudformation_endpoint: options.cloudformation_endpoint.as_deref(),
    };
    doctor::examine(&subject).await
}

/// Says why an image isn't fit to be baked.
///
/// # Errors
/// A document of the image that can't be read.
pub async fn diagnose_image(options: &Options) -> Result<Diagnosis> {
    let host = Host::rooted_at(&options.root);
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
