//! The scenarios, each the life of an instance.

mod disks;
mod failures;
mod first_boot;
mod power_cut;
mod proxy;
mod user_data;
mod waiting;

use anyhow::Result;

use crate::lab::Stage;

/// A scenario's name, and what happens in it.
type Scenario = (&'static str, fn(&Stage) -> Result<()>);

/// All of them.
pub const ALL: &[Scenario] = &[
    ("first_boot_and_reboots", first_boot::first_boot_and_reboots),
    ("user_data_key_in_cloud_config", user_data::key_in_cloud_config),
    ("user_data_mime_beside_a_script", user_data::mime_beside_a_script),
    ("user_data_base64_of_gzip", user_data::base64_of_gzip),
    ("user_data_script_that_calls_the_agent", user_data::script_that_calls_the_agent),
    ("user_data_runcmd_that_calls_the_agent", user_data::runcmd_that_calls_the_agent),
    ("user_data_none", user_data::none_at_all),
    ("disk_missing", failures::disk_missing),
    ("disk_with_foreign_data", failures::disk_with_foreign_data),
    ("ecs_agent_exits_for_good", failures::agent_exits_for_good),
    ("ecs_agent_never_registers", failures::agent_never_registers),
    ("ecs_agent_in_another_cluster", failures::agent_in_another_cluster),
    ("slow_user_script", waiting::slow_user_script),
    ("proxy_is_the_only_way_out", proxy::only_way_out),
    ("power_cut_during_mkfs", power_cut::during_mkfs),
    ("power_cut_during_file_writes", power_cut::during_file_writes),
    ("power_cut_while_waiting", power_cut::while_waiting),
    ("instance_store_over_stop_and_start", disks::instance_store),
    ("volume_gone", disks::volume_gone),
    ("volume_grown", disks::volume_grown),
];
