//! `signal`: sends one signal by hand, with the option names and exit codes of cfn-signal.
//!
//! The options are those of aws-cfn-bootstrap's `bin/cfn-signal`. Called by the name `cfn-signal`, this program runs this
//! command. A link to this program in place of the script works with existing templates.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use tokio::time::Instant;
use url::Url;

use crate::aws::cloudformation::{self, Delivery, Over, SignalRequest, Status, Target};
use crate::aws::delivery::{ALREADY_THERE, CredentialsSource, TOO_LATE};
use crate::aws::imds::{self, Identity, Imds};
use crate::config::types::StackName;
use crate::config::{Auth, Aws};
use crate::http;

/// Time allowed for the instance metadata; cfn-signal gives up after ten tries.
const METADATA: Duration = Duration::from_secs(20);
/// Time allowed for the delivery to CloudFormation; cfn-signal gives up after five tries of a minute each.
const DELIVERY: Duration = Duration::from_secs(300);

/// The provider of given credentials, as the SDK names it.
const PROVIDER: &str = "cfn-signal";

/// The resource to signal, and the signal.
#[derive(Args, Clone)]
pub struct SignalArguments {
    /// A wait condition handle's URL, as it is or in base64; instead of --stack and --resource
    ///
    /// Every user of the host can see the arguments of a program. `-` reads it from standard input.
    #[arg(value_name = "WAIT HANDLE")]
    wait_handle: Option<String>,
    /// Signal SUCCESS, or FAILURE with `false`
    #[arg(short, long, value_name = "true|false", default_value_t = true, action = clap::ArgAction::Set)]
    success: bool,
    /// Exit code of a process; anything but 0 signals FAILURE
    #[arg(short, long, value_name = "CODE", default_value_t = 0, allow_negative_numbers = true)]
    exit_code: i64,
    /// Name or ARN of the stack
    #[arg(long)]
    stack: Option<String>,
    /// Logical id of the resource that waits
    #[arg(long, value_name = "LOGICAL ID")]
    resource: Option<String>,
    /// Region of the stack [default: that of the stack's ARN, else the instance's]
    #[arg(long)]
    region: Option<String>,
    /// Reason for the status; only a wait condition shows it
    #[arg(short, long, default_value = "", hide_default_value = true)]
    reason: String,
    /// Data for a wait condition
    #[arg(short, long, default_value = "", hide_default_value = true)]
    data: String,
    /// Unique ID of the signal [default: the instance ID, else the host name]
    #[arg(short, long, value_name = "UNIQUE ID")]
    id: Option<String>,
    /// Endpoint of CloudFormation [default: by region and partition]
    #[arg(short, long = "url", value_name = "URL", env = "AWS_ENDPOINT_URL_CLOUDFORMATION", value_parser = http::endpoint)]
    url: Option<String>,
    /// Endpoint of the instance metadata service [default: its IPv4, then its IPv6 address]
    #[arg(long, value_name = "URL", env = "AWS_EC2_METADATA_SERVICE_ENDPOINT", value_parser = imds::endpoint)]
    imds_endpoint: Option<String>,
    /// Proxy for the request to CloudFormation: [http://][user:password@]host:port
    #[arg(long, value_name = "PROXY", env = "HTTPS_PROXY", hide_env_values = true)]
    https_proxy: Option<String>,
    /// The same, where --https-proxy is not given
    #[arg(long, value_name = "PROXY", env = "HTTP_PROXY", hide_env_values = true)]
    http_proxy: Option<String>,
    /// Hosts that are reached without the proxy, with commas between
    #[arg(long, value_name = "HOSTS", env = "NO_PROXY", default_value = "", hide_default_value = true)]
    no_proxy: String,
    /// Sign with the credentials of the instance's role; the name itself is not used
    #[arg(long, value_name = "NAME")]
    role: Option<String>,
    /// File with the lines AWSAccessKeyId=… and AWSSecretKey=…
    #[arg(short = 'f', long, value_name = "FILE", conflicts_with_all = ["role", "access_key"])]
    credential_file: Option<PathBuf>,
    /// Access key to sign with
    #[arg(long, value_name = "ID", requires = "secret_key", conflicts_with = "role")]
    access_key: Option<String>,
    /// Its secret key
    #[arg(long, value_name = "KEY", requires = "access_key")]
    secret_key: Option<String>,
}

impl std::fmt::Debug for SignalArguments {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SignalArguments")
            .field("stack", &self.stack)
            .field("resource", &self.resource)
            .finish_non_exhaustive()
    }
}

/// Sends the signal, and returns the text for standard output, if any.
///
/// # Errors
/// The signal was not accepted. As with cfn-signal, it is an error if nobody waits for the signal.
pub async fn signal(arguments: SignalArguments) -> Result<Option<String>> {
    let target = target(&arguments)?;
    let credentials = credentials(&arguments)?;
    let auth = match (&arguments.role, &credentials) {
        (None, CredentialsSource::Host { .. }) => Auth::Auto,
        _ => Auth::Iam,
    };
    let identity = identity(&arguments, &target, auth).await?;
    let status = if arguments.exit_code != 0 || !arguments.success { Status::Failure } else { Status::Success };
    let signal = SignalRequest {
        region: region(&arguments, &identity)?,
        unique_id: unique_id(&arguments, &identity)?,
        target,
        status,
        reason: arguments.reason.clone(),
        data: arguments.data.clone(),
        partition_domain: identity.partition_domain.clone(),
        aws: Aws::default(),
        endpoint: arguments.url.clone().filter(|url| !url.is_empty()),
        auth,
    };
    let client = http::outbound(proxy(&arguments)?.as_ref())?;
    let proof = (!identity.document.is_empty()).then_some((identity.document.as_str(), identity.signature.as_str()));
    match cloudformation::send(&signal, proof, &credentials, &client, Instant::now() + DELIVERY).await {
        Delivery::Accepted { .. } => {
            let to_a_handle = matches!(signal.target, Target::WaitHandle(_));
            Ok(to_a_handle.then(|| format!("CloudFormation accepted the signal {status}\n")))
        }
        Delivery::Over(Over::AlreadyThere, text) => Ok(Some(format!("{ALREADY_THERE}: {text}\n"))),
        Delivery::Over(Over::TooLate, text) => bail!("{TOO_LATE}: {text}"),
        Delivery::Over(Over::NotWaitedFor, text) => bail!("CloudFormation is not waiting for this signal: {text}"),
        Delivery::Refused(refusal) => bail!("the signal was refused: {refusal}"),
        Delivery::Undelivered(message) => bail!("the signal was not delivered: {message}"),
    }
}

fn target(arguments: &SignalArguments) -> Result<Target> {
    // As with cfn-signal, contradictory options end like a signal that is not accepted, with exit code 1.
    let text = match (&arguments.stack, &arguments.resource, &arguments.wait_handle) {
        (Some(stack), Some(resource), None) => {
            return Ok(Target::Resource { stack: stack.clone(), resource: resource.clone() });
        }
        (None, None, Some(text)) => text,
        (None, Some(_), None) => bail!("--resource needs --stack"),
        (Some(_), None, None) => bail!("--stack needs --resource"),
        (None, None, None) => bail!("give --stack and --resource, or the URL of a wait condition handle"),
        (_, _, Some(_)) => bail!("give either --stack and --resource or the URL of a wait condition handle, not both"),
    };
    let given = match text.as_str() {
        "-" => String::from_utf8(crate::streams::read_input(Path::new("-"))?).unwrap_or_default(),
        text => text.to_owned(),
    };
    let text = given.as_str();
    let decoded = || String::from_utf8(STANDARD.decode(text.trim()).ok()?).ok();
    let url = [Some(text.to_owned()), decoded()].into_iter().flatten().find_map(|text| text.trim().parse::<Url>().ok());
    let url = url.filter(|url| matches!(url.scheme(), "http" | "https"));
    // The URL is a secret, so the message does not quote the text.
    url.map(Target::WaitHandle).ok_or_else(|| anyhow!("the wait condition handle is not an http:// or https:// URL"))
}

fn credentials(arguments: &SignalArguments) -> Result<CredentialsSource> {
    let given = match (&arguments.access_key, &arguments.secret_key, &arguments.credential_file) {
        (Some(id), Some(secret), _) => Credentials::new(id, secret, None, None, PROVIDER),
        (_, _, Some(path)) => read_credentials(path)?,
        _ => return Ok(CredentialsSource::Host { imds_endpoint: imds_endpoint(arguments).map(str::to_owned) }),
    };
    Ok(CredentialsSource::Given(SharedCredentialsProvider::new(given)))
}

fn read_credentials(path: &Path) -> Result<Credentials> {
    use std::os::unix::fs::PermissionsExt as _;
    let shown = path.display();
    let mode = std::fs::metadata(path).with_context(|| format!("read {shown}"))?.permissions().mode();
    if mode & 0o077 != 0 {
        bail!("other users have access to {shown} (mode {:04o}); run `chmod 0600 {shown}`", mode & 0o7777);
    }
    let text = std::fs::read_to_string(path).with_context(|| format!("read {shown}"))?;
    let value = |name: &str| {
        let line = text.lines().find_map(|line| line.trim().strip_prefix(name)?.trim_start().strip_prefix('='));
        line.map(|value| value.trim().to_owned()).with_context(|| format!("{shown} has no line {name}=…"))
    };
    Ok(Credentials::new(value("AWSAccessKeyId")?, value("AWSSecretKey")?, None, None, PROVIDER))
}

fn imds_endpoint(arguments: &SignalArguments) -> Option<&str> {
    arguments.imds_endpoint.as_deref().filter(|url| !url.is_empty())
}

/// Reads the instance's identity, if needed: the document signs the signal, and the ID identifies the instance.
async fn identity(arguments: &SignalArguments, target: &Target, auth: Auth) -> Result<Identity> {
    let given = arguments.id.is_some() && (arguments.region.is_some() || matches!(target, Target::WaitHandle(_)));
    if given && (auth == Auth::Iam || matches!(target, Target::WaitHandle(_))) {
        return Ok(Identity::default());
    }
    let imds = Imds::new(imds_endpoint(arguments), Instant::now() + METADATA)?;
    match imds.identity().await {
        Ok(identity) => Ok(identity),
        // Credentials from the environment may still be enough.
        Err(error) => {
            tracing::warn!("{error}");
            Ok(Identity::default())
        }
    }
}

fn region(arguments: &SignalArguments, identity: &Identity) -> Result<String> {
    let given = arguments.region.clone().filter(|region| !region.is_empty());
    let of_stack = || StackName::try_from(arguments.stack.clone()?).ok()?.region().map(str::to_owned);
    let known = given.or_else(of_stack).unwrap_or_else(|| identity.region.clone());
    if known.is_empty() && arguments.resource.is_some() && arguments.url.is_none() {
        bail!("the stack's region is not known; give it with --region");
    }
    Ok(known)
}

fn unique_id(arguments: &SignalArguments, identity: &Identity) -> Result<String> {
    let given = arguments.id.clone().or_else(|| Some(identity.instance_id.clone()).filter(|id| !id.is_empty()));
    let id = match given {
        Some(id) => id,
        None => nix::unistd::gethostname().context("ask for the host name")?.to_string_lossy().into_owned(),
    };
    match id.len() {
        1..=64 => Ok(id),
        length => bail!(
            "the unique ID has {length} characters, and CloudFormation accepts 1 to 64; give another ID with --id"
        ),
    }
}

fn proxy(arguments: &SignalArguments) -> Result<Option<http::ProxyRoute>> {
    let given = [&arguments.https_proxy, &arguments.http_proxy].into_iter().flatten().find(|text| !text.is_empty());
    let Some(text) = given else { return Ok(None) };
    let route = http::ProxyRoute::of_variables(text, &arguments.no_proxy);
    // The message does not quote the text, which may hold a password.
    route.map(Some).map_err(|error| anyhow!("the proxy is not a URL: {error}"))
}
