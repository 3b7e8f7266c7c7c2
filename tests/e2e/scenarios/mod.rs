//! The scenarios, each the life of an instance.

mod disks;
mod failures;
mod first_boot;
mod hooks;
mod image_store;
mod logs;
mod on_failure;
mod power_cut;
mod private;
mod proxy;
mod root_volume;
mod selinux;
mod user_data;
mod users_own;

use anyhow::Result;

use crate::lab::Stage;

/// A scenario's name, and what happens in it.
type Scenario = (&'static str, fn(&Stage) -> Result<()>);

/// All of them; the longest first, so that none runs alone at the end.
pub const ALL: &[Scenario] = &[
    ("first_boot_and_reboots", first_boot::first_boot_and_reboots),
    ("logs_with_their_times_and_without_the_password", logs::with_their_times_and_without_the_password),
    ("power_cut_three_times", power_cut::three_times),
    ("hooks_over_a_power_cut_and_a_reboot", hooks::over_a_power_cut_and_a_reboot),
    ("users_own_commands_references_and_pulls", users_own::commands_references_and_pulls),
    ("instance_store_over_stop_and_start", disks::instance_store),
    ("root_volume_replaced", root_volume::replaced),
    ("image_store_in_containerd", image_store::in_containerd),
    ("image_store_in_containerd_on_an_instance_store", image_store::in_containerd_on_an_instance_store),
    ("image_store_below_the_data_root", image_store::below_the_data_root),
    ("volume_grown_and_gone", disks::volume_grown_and_gone),
    ("selinux_labels_of_fresh_filesystems", selinux::labels_of_fresh_filesystems),
    ("hook_that_fails", hooks::that_fails),
    ("failed_instance_powers_off", on_failure::powers_off),
    ("disk_missing", failures::disk_missing),
    ("disk_with_foreign_data", failures::disk_with_foreign_data),
    ("ecs_agent_exits_for_good", failures::agent_exits_for_good),
    ("ecs_agent_never_registers", failures::agent_never_registers),
    ("proxy_is_the_only_way_out", proxy::only_way_out),
    ("user_data_packed_beside_a_slow_script", user_data::packed_beside_a_slow_script),
    ("user_data_script_that_calls_the_agent", user_data::script_that_calls_the_agent),
    ("user_data_runcmd_that_calls_the_agent", user_data::runcmd_that_calls_the_agent),
    ("user_data_script_that_appends_to_ecs_config", user_data::script_that_appends_to_ecs_config),
    ("user_data_of_aws_batch", user_data::of_aws_batch),
    ("user_data_script_that_attaches_a_volume", user_data::script_that_attaches_the_volume_and_uses_docker),
    ("user_data_of_the_ecs_console", user_data::of_the_ecs_console),
    ("user_data_none", user_data::none_at_all),
];
