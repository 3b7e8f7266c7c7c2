//! The answers of the instance metadata service, each between two lines `---`; `404` stands for none.
#![no_main]

use std::cell::Cell;

use ecs_firstrun::fuzzing::identity;
use ecs_firstrun::instance::Instance;
use ecs_firstrun::run::documents;
use ecs_firstrun_fuzz::{planned, within_bounds};
use libfuzzer_sys::fuzz_target;

const CUT: &[u8] = b"\n---\n";
const COMPLETE: &[u8] = include_bytes!("../../../examples/user-data/complete.yaml");

fuzz_target!(|bytes: &[u8]| {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    within_bounds(bytes, || {
        let rest = Cell::new(Some(bytes));
        let answer = |_: &str| {
            let now = rest.get()?;
            let cut = now.windows(CUT.len()).position(|window| window == CUT);
            rest.set(cut.map(|cut| &now[cut + CUT.len()..]));
            Some(&now[..cut.unwrap_or(now.len())]).filter(|answer| *answer != b"404").map(<[u8]>::to_vec)
        };
        let Ok((identity, _)) = runtime.block_on(identity(answer)) else { return };
        let _ = identity.is_warming();
        let kept = serde_json::to_string(&identity).unwrap();
        assert_eq!(serde_json::from_str::<ecs_firstrun::aws::imds::Identity>(&kept).unwrap(), identity);
        let instance = Instance {
            instance_id: identity.instance_id,
            region: identity.region,
            account_id: identity.account_id,
            availability_zone: identity.availability_zone,
            instance_type: identity.instance_type,
            partition_domain: identity.partition_domain,
            tags: identity.tags,
            target_lifecycle_state: identity.target_lifecycle_state,
            ..Instance::example()
        };
        planned(&documents("user data", COMPLETE), &instance);
    });
});
