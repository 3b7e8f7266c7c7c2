//! The facts in a template about the instances, besides their user data.

use super::permissions::Permissions;
use super::policies::{PolicyTimeout, Refresh, Waits};
use super::updates::Updates;
use super::user_data::UserDataPlace;
use super::world::World;
use crate::config::Config;

/// The facts around user data that warnings need. A file of user data alone has none of them.
#[derive(Debug, Default)]
pub struct Surroundings {
    /// The policies that wait for the signal.
    pub waits: Waits,
    /// The update policies that wait for no signal.
    pub refreshed: Vec<Refresh>,
    /// The updates of the groups that use the user data.
    pub updates: Updates,
    /// Set if a timeout of the configuration is known only in the stack.
    pub timeout_in_stack: bool,
    /// Set if the instance metadata service refuses IMDSv1.
    pub tokens_required: bool,
    /// The permissions of the instances' role; nothing if the template can't tell.
    pub permissions: Option<Permissions>,
}

impl Surroundings {
    pub(super) fn of<'a>(world: &World<'a>, place: &UserDataPlace<'a>, config: &Config) -> Self {
        let tokens = world.node_at(place.beside, &["MetadataOptions", "HttpTokens"]);
        let tokens = tokens.map(|node| world.text(node).string());
        Surroundings {
            waits: world.waits(config),
            refreshed: world.refreshed(place, config),
            updates: world.updates(place, config),
            tokens_required: tokens.as_deref() == Some("required"),
            permissions: Permissions::of(world, place),
            timeout_in_stack: false,
        }
    }

    /// Returns notes on timeouts that are known only in the stack.
    pub(super) fn notes(&self, label: &str) -> Vec<String> {
        let Waits::By(waits, _) = &self.waits else { return Vec::new() };
        let unknown = waits.iter().filter(|wait| wait.time == PolicyTimeout::InStack);
        unknown.map(|wait| format!("{label}: how long the {} waits is known only in the stack", wait.key)).collect()
    }
}
