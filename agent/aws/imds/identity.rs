//! The identity of this instance, as the metadata service gives it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::error::{ImdsError, malformed};
use crate::aws::endpoint::domain_of;

pub(super) const DOCUMENT: &str = "/latest/dynamic/instance-identity/document";
pub(super) const SIGNATURE: &str = "/latest/dynamic/instance-identity/signature";
pub(super) const DOMAIN: &str = "/latest/meta-data/services/domain";
pub(super) const LAUNCH_INDEX: &str = "/latest/meta-data/ami-launch-index";
pub(super) const LIFECYCLE_STATE: &str = "/latest/meta-data/autoscaling/target-lifecycle-state";
pub(super) const TAGS: &str = "/latest/meta-data/tags/instance";

/// Time allowed for a category that a run can do without.
const OPTIONAL: Duration = Duration::from_secs(20);

/// The most tags that are read. EC2 allows 50; AWS's own tags are not counted.
const MAX_TAGS: usize = 100;

/// The identity of this instance, as the metadata service gives it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Identity {
    /// The instance's id, `i-…`.
    pub instance_id: String,
    /// The region, such as `eu-west-1`.
    pub region: String,
    /// Id of the AWS account, twelve digits; empty when the document doesn't say.
    pub account_id: String,
    /// The availability zone, such as `eu-west-1a`; empty when the document doesn't say.
    pub availability_zone: String,
    /// The instance type, such as `m5.large`; empty when the document doesn't say.
    pub instance_type: String,
    /// Id of the image (AMI), such as `ami-0c1d2e3f405162738`. The id is empty when the document doesn't say, and in a state
    /// from before ecs-firstrun read the id.
    #[serde(default)]
    pub image_id: String,
    /// The DNS suffix of the partition's services (category `services/domain`), such as `amazonaws.com`.
    pub partition_domain: String,
    /// The instance's tags, if it may see them (metadata option `InstanceMetadataTags`), else none.
    pub tags: BTreeMap<String, String>,
    /// The launch index: the instance's number, from 0, among those launched together. User data can have parts for some of them.
    #[serde(default)]
    pub launch_index: Option<u32>,
    /// The state that Auto Scaling is bringing the instance to, such as `InService` or `Warmed:Stopped`.
    pub target_lifecycle_state: Option<String>,
    /// The instance identity document byte for byte: the signature is over these bytes.
    pub document: String,
    /// The document's signature as the service gave it, base64 over several lines; empty when it gave none.
    pub signature: String,
}

impl Identity {
    /// Tells whether Auto Scaling keeps the instance in a warm pool, or is bringing it there.
    pub fn is_warming(&self) -> bool {
        is_of_a_warm_pool(self.target_lifecycle_state.as_deref())
    }

    /// Tells whether Auto Scaling terminates the instance, out of service or on its way there.
    ///
    /// The states are `Terminated` and `Terminating`, alone or with a part behind, such as `Terminating:Wait`.
    pub fn is_terminating(&self) -> bool {
        self.target_lifecycle_state.as_deref().is_some_and(|state| state.starts_with("Terminat"))
    }
}

/// Tells whether a target lifecycle state is one of a warm pool, such as `Warmed:Stopped`.
pub fn is_of_a_warm_pool(state: Option<&str>) -> bool {
    state.is_some_and(|state| state.starts_with("Warmed:"))
}

/// The fields of the identity document that are read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", expecting = "a JSON object")]
struct IdentityDocument {
    instance_id: String,
    region: String,
    account_id: Option<String>,
    availability_zone: Option<String>,
    instance_type: Option<String>,
    image_id: Option<String>,
}

/// The data of a metadata category: bytes, nothing, or no answer.
type CategoryData = Result<Option<Vec<u8>>, ImdsError>;

impl Identity {
    /// Reads the identity out of the answers that `get` gives, by path.
    pub(crate) async fn read(get: &impl AsyncFn(&str) -> CategoryData) -> Result<Self, ImdsError> {
        // The document comes alone and first: its read finds the endpoint and the token that the other reads share.
        let document = text(get, DOCUMENT).await?.unwrap_or_default();
        let read: IdentityDocument =
            serde_json::from_str(&document).map_err(|error| malformed(DOCUMENT, &error.to_string()))?;
        let (signature, domain, launch_index, state, tags) = tokio::join!(
            optional(SIGNATURE, text(get, SIGNATURE)),
            optional(DOMAIN, text(get, DOMAIN)),
            optional(LAUNCH_INDEX, text(get, LAUNCH_INDEX)),
            optional(LIFECYCLE_STATE, lifecycle_state(get)),
            optional(TAGS, async { tags(get).await.map(Some) }),
        );
        Ok(Identity {
            // Older metadata services lack the category `services/domain`.
            partition_domain: trimmed(domain).unwrap_or_else(|| domain_of(&read.region).to_owned()),
            tags: tags.unwrap_or_default(),
            launch_index: launch_index.and_then(|index| index.trim().parse().ok()),
            target_lifecycle_state: state,
            signature: signature.unwrap_or_default(),
            instance_id: read.instance_id,
            region: read.region,
            account_id: read.account_id.unwrap_or_default(),
            availability_zone: read.availability_zone.unwrap_or_default(),
            instance_type: read.instance_type.unwrap_or_default(),
            image_id: read.image_id.unwrap_or_default(),
            document,
        })
    }
}

/// Reads a category that a run can do without. A missing category is logged, and does not keep the outcome from being
/// reported.
async fn optional<T>(path: &str, read: impl Future<Output = Result<Option<T>, ImdsError>>) -> Option<T> {
    match tokio::time::timeout(OPTIONAL, read).await {
        Ok(Ok(found)) => found,
        Ok(Err(error)) => {
            tracing::warn!("going on without {path}: {error}");
            None
        }
        Err(_) => {
            tracing::warn!("going on without {path}: the instance metadata service didn't give it within {OPTIONAL:?}");
            None
        }
    }
}

pub(super) async fn lifecycle_state(get: &impl AsyncFn(&str) -> CategoryData) -> Result<Option<String>, ImdsError> {
    Ok(trimmed(text(get, LIFECYCLE_STATE).await?))
}

async fn text(get: &impl AsyncFn(&str) -> CategoryData, path: &str) -> Result<Option<String>, ImdsError> {
    let Some(bytes) = get(path).await? else {
        return Ok(None);
    };
    let text = String::from_utf8(bytes).map_err(|_| malformed(path, "it is not UTF-8 text"))?;
    Ok(Some(text))
}

/// Reads the tags, with one request for each. The category lists the keys, one a line, and each key holds its value.
async fn tags(get: &impl AsyncFn(&str) -> CategoryData) -> Result<BTreeMap<String, String>, ImdsError> {
    let mut tags = BTreeMap::new();
    let keys = text(get, TAGS).await?.unwrap_or_default();
    for key in keys.lines().filter(|key| !key.is_empty()).take(MAX_TAGS) {
        if let Some(value) = text(get, &format!("{TAGS}/{key}")).await? {
            tags.insert(key.to_owned(), value);
        }
    }
    Ok(tags)
}

fn trimmed(text: Option<String>) -> Option<String> {
    let text = text?.trim().to_owned();
    (!text.is_empty()).then_some(text)
}
