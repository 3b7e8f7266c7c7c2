//! `docker.pull`: images that Docker has before tasks ask for them.

use serde::Deserialize;

use super::hooks::StepTimeout;
use super::types::ImageName;

/// An image that Docker pulls at the first boot, and on a later one where it is gone.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ImagePull {
    /// The image, as `docker pull` takes it. Without a tag and a digest, it is `latest`.
    pub image: ImageName,
    /// The longest that the pull may take.
    #[serde(default)]
    pub timeout: StepTimeout,
    /// True if the ECS agent starts only with the image: a pull that fails, fails the run. Otherwise the pull goes on beside the
    /// run, and its failure is a warning.
    #[serde(default)]
    pub required: bool,
}
