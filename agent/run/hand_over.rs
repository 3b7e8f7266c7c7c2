//! A run inside cloud-init hands its configuration over to `ecs-firstrun.service` and returns.
//!
//! `ecs.service` is ordered after `cloud-final.service` on Amazon Linux: a script of the user data that waited for the ECS
//! agent would wait for itself. The unit waits for the registration outside cloud-init, so it can wait.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, anyhow};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::options::Options;
use crate::config::SHELL_VARIABLES;
use crate::host::Host;
use crate::text::json_error;
use crate::well_known::{CLOUD_FINAL_UNIT, CLOUD_INIT_NETWORK_UNIT, CLOUD_INIT_UNIT, HANDED_OVER_FILE, OUR_UNIT};

/// cloud-init's copy of the user data, made anew on each boot before its scripts and the unit run.
const USER_DATA: &str = "/var/lib/cloud/instance/user-data.txt";
const VERSION: u32 = 1;

/// The units of cloud-init's stages, under their names before and since cloud-init 24.3.
const STAGES: [&str; 6] = [
    "cloud-init-local.service",
    CLOUD_INIT_UNIT,
    CLOUD_INIT_NETWORK_UNIT,
    "cloud-config.service",
    CLOUD_FINAL_UNIT,
    "cloud-init-main.service",
];

/// The settings that a run inside cloud-init was given. The settings hold on every boot of the instance, since cloud-init
/// runs a script only once.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HandedOver {
    version: u32,
    /// The instance that it is for; empty where neither the firmware nor cloud-init tells it.
    instance_id: String,
    /// The user data that the script is from, in base64, as cloud-init's copy has it. Other user data has another script, or
    /// none.
    #[serde(default)]
    script_of: Option<String>,
    /// The variables of the shell original.
    pub variables: BTreeMap<String, String>,
    /// User data from a file, in base64, in place of the instance's own.
    pub user_data: Option<String>,
}

impl HandedOver {
    /// Reads the settings that were handed over on this instance; empty if there are none that can be used.
    pub fn load(host: &Host) -> Self {
        let read = host.read(&host.state_path(HANDED_OVER_FILE));
        let found = read.and_then(|text| text.map(|text| Self::parse(&text)).transpose()).unwrap_or_else(|error| {
            tracing::warn!(
                "the settings of an `ecs-firstrun run` inside cloud-init are ignored: {HANDED_OVER_FILE}: {error:#}"
            );
            None
        });
        let of_this_instance = |found: &Self| {
            let id = host.local_instance_id().unwrap_or_default();
            found.version == VERSION && found.instance_id == id
        };
        let still_stands = |found: &Self| {
            let stands = found.script_of == instance_user_data(host);
            if !stands {
                tracing::warn!(
                    "the settings of an earlier `ecs-firstrun run` inside cloud-init are ignored: the user data has \
                    changed since"
                );
            }
            stands
        };
        found.filter(of_this_instance).filter(still_stands).unwrap_or_default()
    }

    /// Reads back what a run wrote.
    ///
    /// # Errors
    /// Anything else.
    pub fn parse(text: &str) -> Result<Self> {
        serde_json::from_str(text)
            .map_err(|error| anyhow!("it is not what an earlier run wrote: {}", json_error(&error)))
    }

    /// Decodes the user data.
    pub fn user_data(&self) -> Option<Vec<u8>> {
        self.user_data.as_ref().and_then(|text| STANDARD.decode(text).ok())
    }
}

/// Reads the variables of the shell original that are set and not empty.
pub fn shell_variables() -> BTreeMap<String, String> {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let mut variables = BTreeMap::new();
    variables.extend(SHELL_VARIABLES.iter().filter_map(|(name, _)| Some(((*name).to_owned(), set(name)?))));
    variables
}

fn instance_user_data(host: &Host) -> Option<String> {
    host.read_bytes(USER_DATA).ok().flatten().map(|bytes| STANDARD.encode(bytes))
}

/// Returns the stage of cloud-init that this process belongs to, by its control group; none outside cloud-init.
pub fn stage(host: &Host) -> Option<&'static str> {
    let groups = host.read("/proc/self/cgroup").ok()??;
    let mut units = groups.lines().flat_map(|line| line.split('/'));
    units.find_map(|unit| STAGES.into_iter().find(|stage| *stage == unit))
}

/// Leaves the configuration to the unit, and has it run again, without waiting for that.
///
/// # Errors
/// A file of user data that can't be read, or a unit that isn't installed.
pub async fn hand_over(host: &Host, options: &Options, stage: &str) -> Result<()> {
    let user_data = options.user_data.as_deref().map(crate::streams::read_input).transpose()?;
    let handed = HandedOver {
        version: VERSION,
        instance_id: host.local_instance_id().unwrap_or_default(),
        script_of: instance_user_data(host),
        variables: shell_variables(),
        user_data: user_data.map(|bytes| STANDARD.encode(bytes)),
    };
    // A run that was given nothing must not take away what another script of the same user data gave.
    if !handed.variables.is_empty() || handed.user_data.is_some() {
        let text = serde_json::to_string_pretty(&handed).context("render what is handed over")?;
        host.write(&host.state_path(HANDED_OVER_FILE), text.as_bytes(), 0o600)?;
    }
    let remedy = "a run inside cloud-init can't wait for ecs.service, which is ordered after cloud-final.service; \
                  install the unit into the image with builder-scripts/install.sh";
    host.run("systemctl", &["restart", "--no-block", OUR_UNIT]).await.context(remedy)?;
    tracing::info!(
        "called inside {stage}, so {OUR_UNIT} does the work in the background; `ecs-firstrun status --wait` follows it"
    );
    Ok(())
}
