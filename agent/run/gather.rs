//! The gathering of what a run works with: its configuration, and the identity of the instance.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::time::Instant;

use super::hand_over::{HandedOver, shell_variables};
use super::one_run::Run;
use super::options::Options;
use super::panics::caught_call;
use super::record::{Record, step};
use super::state::{Kept, State};
use crate::aws::imds::{Identity, Imds};
use crate::config::{self, Config, Parsed, PlacedReference, Signal, Values};
use crate::doctor::Metadata;
use crate::document::decode::{Document, decode_for};
use crate::host::Host;
use crate::instance::Instance;
use crate::plan::asks_for_docker_version;
use crate::secrets;
use crate::streams::{eprint, read_input};
use crate::well_known::DOCUMENTS;

/// Time that the instance metadata may take on the first boot; cloud-init waits as long.
const FIRST_BOOT: Duration = Duration::from_secs(240);
/// Time that the instance metadata may take on a later boot, which can work with what an earlier boot kept.
const LATER_BOOT: Duration = Duration::from_secs(5);
/// Time that the instance metadata may take for a dry run or `doctor`, which may run on a laptop.
const DRY_RUN: Duration = Duration::from_secs(2);

/// All that was gathered for a run, with the error if something is missing.
#[derive(Debug, Default)]
pub struct Gathered {
    /// The identity of the instance; empty if the identity is not known.
    pub identity: Identity,
    /// Raw user data.
    pub user_data: Option<Vec<u8>>,
    /// The name of the user data's source, for messages.
    user_data_name: String,
    variables: BTreeMap<String, String>,
    /// The files of the image, and what is in them.
    conf_d: Vec<(String, String)>,
    /// The values of the references, as far as they are known.
    pub values: Values,
    /// The reason why something is missing.
    pub error: Option<anyhow::Error>,
    local_instance_id: Option<String>,
}

impl Gathered {
    /// Returns the instance's id; empty if the id is not known.
    pub fn instance_id(&self) -> String {
        let known = Some(self.identity.instance_id.clone()).filter(|id| !id.is_empty());
        known.or_else(|| self.local_instance_id.clone()).unwrap_or_default()
    }

    /// Returns the part that is kept for a boot without instance metadata.
    pub fn kept(&self) -> Kept {
        let user_data = self.user_data.as_ref().map(|bytes| STANDARD.encode(bytes));
        Kept { user_data, variables: self.variables.clone(), identity: self.identity.clone() }
    }

    /// Parses all the documents: those of `conf.d`, those of the user data, and the shell original's variables.
    pub fn parse(&self) -> Parsed {
        self.parse_for(self.identity.launch_index)
    }

    /// Parses all the documents, with the values of references that stand in the host's files.
    pub(super) fn parse_on(&mut self, host: &Host) -> Parsed {
        let parsed = self.parse();
        let in_place = |placed: &PlacedReference| Some((placed.place.clone(), host.value_in_place(&placed.place)?));
        self.values = parsed.config.references.iter().filter_map(in_place).collect();
        self.values.iter().for_each(|(_, value)| secrets::remember(value));
        if self.values.is_empty() { parsed } else { self.parse() }
    }

    /// Parses all documents like [`Gathered::parse`], for an instance with another launch index, if that is known.
    pub(super) fn parse_for(&self, launch_index: Option<u32>) -> Parsed {
        fail_point!("parse");
        let decoded = self.user_data.as_ref().map(|bytes| decode_for(&self.user_data_name, bytes, launch_index));
        let decoded = decoded.unwrap_or_default();
        let baked = self.conf_d.iter().map(baked_document).collect();
        config::parse_user_data(baked, decoded, self.variables(), &self.values)
    }

    /// Reads `signal`, `proxy`, `on_failure` and `aws` of each document alone, after a panic in the parse.
    pub fn parse_what_can_be(&self) -> Config {
        let index = self.identity.launch_index;
        let read = || self.user_data.as_ref().map(|bytes| decode_for(&self.user_data_name, bytes, index).documents);
        let decoded = caught_call(read).ok().flatten().unwrap_or_default();
        let baked = self.conf_d.iter().filter_map(|file| caught_call(|| baked_document(file)).ok());
        let mut known = Config::default();
        for document in baked.chain(decoded).chain(self.variables()) {
            let read = || config::parse_with(&[document.only(&config::NEEDED_TO_TELL)], &self.values);
            let parsed = caught_call(read).unwrap_or_default();
            let has_target = |signal: &Signal| {
                signal.wait_handle.is_some() || signal.resource.is_some() || signal.lifecycle_hook.is_some()
            };
            known.signal = parsed.config.signal.filter(has_target).or(known.signal);
            if parsed.config.proxy.is_some() {
                (known.proxy, known.references) = (parsed.config.proxy, parsed.config.references);
            }
            known.on_failure = parsed.config.on_failure.or(known.on_failure);
            known.aws = parsed.config.aws.or(known.aws);
        }
        known
    }

    fn variables(&self) -> Vec<Document> {
        config::shell_variables(|name| self.variables.get(name).cloned())
    }

    /// Goes by what an earlier boot kept.
    pub(crate) fn use_kept(&mut self, kept: &Kept) {
        // Where Auto Scaling wanted the instance then says nothing of now.
        self.identity = Identity { target_lifecycle_state: None, ..kept.identity.clone() };
        if self.user_data.is_none() {
            self.user_data = kept.user_data.as_ref().and_then(|text| STANDARD.decode(text).ok());
        }
        if self.variables.is_empty() {
            self.variables = kept.variables.clone();
        }
    }
}

/// Fills `gathered` with everything that a run needs. If something is missing, `error` says so, and the rest serves to report it.
///
/// Each part is stored before it is parsed, so that a panic in the parse loses nothing.
pub(super) async fn gather(run: &Run<'_>, record: &mut Record, gathered: &mut Gathered) {
    run.status("reading the instance metadata and the user data");
    let began = Instant::now();
    for_run(run.host, run.options, &record.state, gathered).await;
    let Record { report, state } = record;
    report.steps.push(step("fetch", run.began, began, gathered.error.is_none()));
    let instance_id = gathered.instance_id();
    state.begin_instance(&instance_id);
    report.instance_id = Some(instance_id).filter(|id| !id.is_empty());
    report.image_id = Some(gathered.identity.image_id.clone()).filter(|id| !id.is_empty());
}

async fn for_run(host: &Host, options: &Options, state: &State, gathered: &mut Gathered) {
    fail_point!("gather");
    *gathered = local(host, options);
    let same_instance =
        state.kept.as_ref().filter(|_| gathered.local_instance_id.as_deref() == Some(state.instance_id.as_str()));
    // One that has only been in a warm pool must know whether it still is.
    let is_known = same_instance.is_some() && state.decision.is_some();
    let patience = if is_known { LATER_BOOT } else { FIRST_BOOT };
    match from_imds(gathered, options, patience).await {
        Ok(()) => {
            let known = same_instance.and_then(|kept| kept.identity.launch_index);
            gathered.identity.launch_index = gathered.identity.launch_index.or(known);
        }
        Err(error) => match same_instance {
            Some(kept) => {
                tracing::warn!("using the instance metadata and user data that an earlier boot kept: {error:#}");
                gathered.use_kept(kept);
            }
            None => gathered.error = gathered.error.take().or(Some(error)),
        },
    }
}

/// Reads what needs no network: the image's files, a file of user data, the variables, and what was handed over.
fn local(host: &Host, options: &Options) -> Gathered {
    let mut gathered = Gathered {
        variables: shell_variables(),
        user_data_name: "user data".to_owned(),
        local_instance_id: host.local_instance_id(),
        ..Gathered::default()
    };
    match host.read_folder(DOCUMENTS, ".yaml") {
        Ok(files) => gathered.conf_d = files,
        Err(error) => gathered.error = Some(error),
    }
    if let Some(path) = &options.user_data {
        match read_input(path) {
            Ok(bytes) => gathered.user_data = Some(bytes),
            Err(error) => gathered.error = gathered.error.or(Some(error)),
        }
        gathered.user_data_name = path.display().to_string();
    }
    let handed_over = HandedOver::load(host);
    if options.user_data.is_none() {
        gathered.user_data = handed_over.user_data();
    }
    if gathered.variables.is_empty() {
        gathered.variables = handed_over.variables;
    }
    gathered
}

/// Reads the documents of the image.
///
/// # Errors
/// A document that can't be read.
pub fn baked_documents(host: &Host) -> Result<Vec<Document>> {
    let files = host.read_folder(DOCUMENTS, ".yaml")?;
    Ok(files.iter().map(baked_document).collect())
}

fn baked_document((name, text): &(String, String)) -> Document {
    Document::of_conf_d(name, text)
}

async fn from_imds(gathered: &mut Gathered, options: &Options, patience: Duration) -> Result<()> {
    let imds = Imds::new(options.imds_endpoint.as_deref(), Instant::now() + patience)?;
    let identity = imds.identity().await.context("can't read the instance metadata");
    // Also where the identity is of no use: the user data may name whom to tell that.
    let user_data = match gathered.user_data.take() {
        None => imds.user_data().await.context("can't read the user data"),
        given => Ok(given),
    };
    let user_data = user_data.map(|user_data| gathered.user_data = user_data);
    let identity = identity.map(|identity| gathered.identity = identity);
    identity.and(user_data)
}

/// Gathers what a dry run needs, without instance metadata where the user data and the facts come from files.
///
/// # Errors
/// Something can't be read.
pub async fn for_dry_run(host: &Host, options: &Options, has_facts: bool) -> Result<Gathered> {
    let mut gathered = local(host, options);
    if let Some(error) = gathered.error.take() {
        return Err(error);
    }
    // A laptop has no instance metadata, and must not be made to look for them.
    let may_ask = options.imds_endpoint.is_some() || host.is_ec2_instance();
    if options.user_data.is_some() && (has_facts || !may_ask) {
        return Ok(gathered);
    }
    match from_imds(&mut gathered, options, DRY_RUN).await {
        Ok(()) => {}
        Err(error) if options.user_data.is_none() => {
            return Err(
                error.context("the user data can't be read from the instance metadata; give it with --user-data FILE")
            );
        }
        Err(error) => tracing::debug!("no instance metadata: {error:#}"),
    }
    Ok(gathered)
}

/// Gathers for `doctor`, which never waits long. Also returns the result of reading the instance metadata.
pub async fn for_doctor(host: &Host, options: &Options) -> (Gathered, Metadata) {
    let mut gathered = local(host, options);
    if options.imds_endpoint.is_none() && !host.is_ec2_instance() {
        return (gathered, Metadata::NotAsked);
    }
    let Err(error) = from_imds(&mut gathered, options, DRY_RUN).await else { return (gathered, Metadata::Read) };
    let failed = Metadata::Failed(error.root_cause().to_string());
    let state = State::load(host);
    let same_instance = |_: &Kept| gathered.local_instance_id.as_deref() == Some(state.instance_id.as_str());
    match state.kept.as_ref().filter(|kept| same_instance(kept)).cloned() {
        Some(kept) => gathered.use_kept(&kept),
        None => gathered.error = gathered.error.take().or(Some(error)),
    }
    (gathered, failed)
}

/// Returns the facts of this machine, or those of an example where it is no instance.
///
/// # Errors
/// A file of the image that can't be read.
pub fn facts_or_example(host: &Host, gathered: &Gathered) -> Result<Instance> {
    if gathered.identity.instance_id.is_empty() {
        eprint(
            "note: this machine has no instance metadata; the plan is for an example instance (--facts FILE gives the facts of yours)\n",
        );
        return Ok(Instance::example());
    }
    host.instance(&gathered.identity)
}

/// Adds the version of Docker to the facts, where the plan depends on it.
pub async fn ask_for_docker_version(host: &Host, config: &Config, instance: &mut Instance) {
    if asks_for_docker_version(config, instance) {
        instance.image.docker = host.docker_version().await;
    }
}

/// Returns the facts of this machine.
///
/// # Errors
/// No instance metadata, or a file of the image that can't be read.
pub async fn instance_facts(options: &Options) -> Result<Instance> {
    let host = Host::rooted_at(&options.root);
    let imds = Imds::new(options.imds_endpoint.as_deref(), Instant::now() + LATER_BOOT)?;
    let identity = imds.identity().await.context("can't read the instance metadata")?;
    if identity.instance_id.is_empty() {
        bail!("the instance metadata has no instance ID");
    }
    let mut instance = host.instance(&identity)?;
    State::load(&host).tell(&mut instance);
    instance.image.docker = host.docker_version().await;
    Ok(instance)
}

/// Parses a file of user data, as the first instance of a launch has it.
pub fn documents(name: &str, bytes: &[u8]) -> Parsed {
    config::parse_user_data(Vec::new(), decode_for(name, bytes, Some(0)), Vec::new(), &Values::new())
}
