//! The instance metadata service, version 2 only.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::http::{Double, Reply, Request, Server, held, reason};

const TTL: &str = "x-aws-ec2-metadata-token-ttl-seconds";
const TOKEN: &str = "x-aws-ec2-metadata-token";

/// The names and devices of the block device mapping.
const BLOCK_DEVICES: [(&str, &str); 3] = [("ami", "/dev/xvda"), ("root", "/dev/xvda"), ("ebs1", "xvdcy")];

/// The instance's other values, which no rehearsal and no test has otherwise.
const AVAILABILITY_ZONE: &str = "eu-central-1b";
pub(super) const ACCOUNT: &str = "123456789012";
const INSTANCE_TYPE: &str = "m7g.large";
const IMAGE_ID: &str = "ami-0c1d2e3f405162738";
const PRIVATE_IP: &str = "10.20.30.40";

/// The identity of the instance that the cloud pretends to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityDouble {
    /// The instance's id.
    pub instance_id: String,
    /// The region's name.
    pub region: String,
    /// The launch index: the instance's number, from 0, among those launched together.
    pub launch_index: u32,
}

impl Default for IdentityDouble {
    fn default() -> Self {
        Self { instance_id: "i-0f1e2d3c4b5a69788".into(), region: "eu-central-1".into(), launch_index: 0 }
    }
}

impl IdentityDouble {
    /// Returns the instance identity document: exactly these bytes are signed.
    pub fn document(&self) -> String {
        let document = json!({
            "accountId": ACCOUNT,
            "architecture": "arm64",
            "availabilityZone": AVAILABILITY_ZONE,
            "billingProducts": null,
            "devpayProductCodes": null,
            "marketplaceProductCodes": null,
            "imageId": IMAGE_ID,
            "instanceId": self.instance_id,
            "instanceType": INSTANCE_TYPE,
            "kernelId": null,
            "pendingTime": "2026-01-02T03:04:05Z",
            "privateIp": PRIVATE_IP,
            "ramdiskId": null,
            "region": self.region,
            "version": "2017-09-30",
        });
        format!("{document:#}").replace("\": ", "\" : ")
    }

    /// Returns the document's signature, in lines as the service gives it.
    /// No key is used. The signature is derived from the document's bytes, so that the signature of another document
    /// doesn't pass.
    pub fn signature(&self) -> String {
        let text = STANDARD.encode(derived(self.document().as_bytes(), 128));
        let lines = text.as_bytes().chunks(76).map(String::from_utf8_lossy);
        lines.collect::<Vec<_>>().join("\n")
    }

    /// Returns the `Authorization` header of a caller that proves to be this instance.
    pub(super) fn authorization(&self) -> String {
        let signature = self.signature().replace('\n', "");
        format!("CFN_V1 {}:{signature}", STANDARD.encode(self.document()))
    }
}

/// Derives bytes from others, by FNV-1a and further mixing. The bytes have no cryptographic strength, and need none.
fn derived(from: &[u8], length: usize) -> Vec<u8> {
    let stir = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let mut hash = from.iter().copied().fold(0xcbf2_9ce4_8422_2325, stir);
    let next = |_| {
        hash = stir(hash, 0x5a).rotate_left(29);
        hash.to_be_bytes()[0]
    };
    (0..length).map(next).collect()
}

/// The faults of the metadata service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImdsFaults {
    /// Number of requests that are answered 503 first.
    pub unavailable: usize,
    /// Number of requests for which the first token is valid, whatever its time to live.
    pub first_token_uses: Option<usize>,
    /// Set if the service is switched off for this instance: everything is answered 403.
    pub disabled: bool,
    /// Beginnings of paths that are answered 403, such as `/latest/meta-data/tags`.
    pub refused: Vec<&'static str>,
    /// Time that each answer takes.
    pub delay: Duration,
}

struct Token {
    expires: Instant,
    uses: usize,
}

/// The state to which Auto Scaling brings the instance; it changes while the service runs.
pub(super) type LifecycleState = Arc<Mutex<Option<String>>>;

const LIFECYCLE_STATE: &str = "meta-data/autoscaling/target-lifecycle-state";

/// The contents of the metadata; [`CloudOptions`](super::CloudOptions) says more.
pub(super) struct Contents {
    pub(super) identity: IdentityDouble,
    pub(super) tags: BTreeMap<String, String>,
    pub(super) role: Option<String>,
    pub(super) user_data: Option<Vec<u8>>,
}

/// The metadata service.
pub(super) struct ImdsDouble {
    tree: BTreeMap<String, Vec<u8>>,
    state: LifecycleState,
    faults: ImdsFaults,
    unavailable: AtomicUsize,
    tokens: Mutex<HashMap<String, Token>>,
}

impl ImdsDouble {
    pub(super) fn new(contents: Contents, faults: ImdsFaults, state: LifecycleState) -> Self {
        Self {
            tree: tree(contents),
            state,
            unavailable: AtomicUsize::new(faults.unavailable),
            faults,
            tokens: Mutex::default(),
        }
    }

    fn is_unavailable(&self) -> bool {
        let less = |left: usize| left.checked_sub(1);
        self.unavailable.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok()
    }

    fn token(&self, request: &Request) -> Reply {
        if request.header("x-forwarded-for").is_some() {
            return error(403);
        }
        let ttl = request.header(TTL).and_then(|ttl| ttl.parse().ok());
        let Some(ttl) = ttl.filter(|ttl| (1..=21_600).contains(ttl)) else {
            return error(400);
        };
        let mut tokens = held(&self.tokens);
        let count = u32::try_from(tokens.len()).unwrap_or_default();
        let name = STANDARD.encode(derived(&count.to_be_bytes(), 42));
        let uses = self.faults.first_token_uses.filter(|_| tokens.is_empty()).unwrap_or(usize::MAX);
        let expires = Instant::now() + Duration::from_secs(ttl);
        tokens.insert(name.clone(), Token { expires, uses });
        Reply::new(200, "text/plain", name).with(TTL, ttl.to_string())
    }

    fn is_authorised(&self, request: &Request) -> bool {
        let mut tokens = held(&self.tokens);
        let token = request.header(TOKEN).and_then(|name| tokens.get_mut(name));
        let Some(token) = token.filter(|token| token.expires > Instant::now() && token.uses > 0) else {
            return false;
        };
        token.uses -= 1;
        true
    }

    fn get(&self, path: &str) -> Reply {
        let path = path.trim_matches('/');
        let (version, rest) = path.split_once('/').unwrap_or((path, ""));
        if version.is_empty() {
            return Reply::new(200, "text/plain", VERSIONS.join("\n"));
        }
        if !VERSIONS.contains(&version) {
            return error(404);
        }
        if let Some(state) = held(&self.state).as_ref().filter(|_| rest == LIFECYCLE_STATE) {
            return Reply::new(200, "text/plain", state.clone());
        }
        if let Some(value) = self.tree.get(rest) {
            let kind = if rest == "user-data" { "application/octet-stream" } else { "text/plain" };
            return Reply::new(200, kind, value.clone());
        }
        let children = self.children(rest);
        if children.is_empty() {
            return error(404);
        }
        Reply::new(200, "text/plain", children.into_iter().collect::<Vec<_>>().join("\n"))
    }

    /// Returns the entries of a folder, with a slash behind folders: cloud-init relies on the slash.
    fn children(&self, folder: &str) -> BTreeSet<String> {
        let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        let state = held(&self.state).is_some().then_some(LIFECYCLE_STATE);
        let paths = self.tree.keys().map(String::as_str).chain(state);
        let below = paths.filter_map(|path| path.strip_prefix(&prefix));
        let child = |path: &str| match path.split_once('/') {
            Some((folder, _)) => format!("{folder}/"),
            None => path.to_owned(),
        };
        below.map(child).collect()
    }
}

/// The versions that cloud-init and others ask for; all are alike here.
const VERSIONS: &[&str] = &["1.0", "2009-04-04", "2016-09-02", "2018-09-24", "2021-03-23", "2024-07-11", "latest"];

impl Double for ImdsDouble {
    fn server(&self) -> Server {
        Server::Imds
    }

    async fn answer(&self, request: &Request, _: SocketAddr) -> Option<Reply> {
        tokio::time::sleep(self.faults.delay).await;
        let path = request.path_and_query.split('?').next().unwrap_or_default();
        let answer = if self.is_unavailable() {
            error(503)
        } else if self.faults.disabled {
            error(403)
        } else if request.method == "PUT" && path == "/latest/api/token" {
            self.token(request)
        } else if request.method != "GET" {
            error(405)
        } else if !self.is_authorised(request) {
            error(401)
        } else if self.faults.refused.iter().any(|below| path.starts_with(below)) {
            error(403)
        } else {
            self.get(path)
        };
        Some(answer.with("server", "EC2ws".into()))
    }
}

fn error(status: u16) -> Reply {
    let title = format!("{status} - {}", reason(status));
    let page = format!("<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>\n");
    Reply::new(status, "text/html", page)
}

/// Returns everything that the service knows, by its path below the version.
fn tree(contents: Contents) -> BTreeMap<String, Vec<u8>> {
    let Contents { identity, .. } = &contents;
    let mut tree: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let mut put = |path: &str, value: &str| tree.insert(path.to_owned(), value.as_bytes().to_vec());
    put("dynamic/instance-identity/document", &identity.document());
    put("dynamic/instance-identity/signature", &identity.signature());
    put("meta-data/ami-id", IMAGE_ID);
    put("meta-data/ami-launch-index", &identity.launch_index.to_string());
    put("meta-data/instance-id", &identity.instance_id);
    put("meta-data/instance-type", INSTANCE_TYPE);
    put("meta-data/local-ipv4", PRIVATE_IP);
    let hostname = format!("ip-{}.{}.compute.internal", PRIVATE_IP.replace('.', "-"), identity.region);
    put("meta-data/local-hostname", &hostname);
    put("meta-data/hostname", &hostname);
    put("meta-data/placement/region", &identity.region);
    put("meta-data/placement/availability-zone", AVAILABILITY_ZONE);
    put("meta-data/services/domain", "amazonaws.com");
    put("meta-data/services/partition", "aws");
    for (name, device) in BLOCK_DEVICES {
        put(&format!("meta-data/block-device-mapping/{name}"), device);
    }
    for (key, value) in &contents.tags {
        put(&format!("meta-data/tags/instance/{key}"), value);
    }
    if let Some(role) = &contents.role {
        put(&format!("meta-data/iam/security-credentials/{role}"), &credentials());
    }
    if let Some(user_data) = contents.user_data {
        tree.insert("user-data".into(), user_data);
    }
    tree
}

/// Returns a role's credentials, which are valid for 6 hours: longer than any rehearsal.
fn credentials() -> String {
    let time = |time| humantime::format_rfc3339_seconds(time).to_string();
    let now = SystemTime::now();
    json!({
        "Code": "Success",
        "LastUpdated": time(now),
        "Type": "AWS-HMAC",
        "AccessKeyId": "ASIAREHEARSALREHEARS",
        "SecretAccessKey": "rehearsal-secret",
        "Token": "rehearsal-token",
        "Expiration": time(now + Duration::from_secs(6 * 3600)),
    })
    .to_string()
}
