//! A fleet that signals at once.

use crate::aws::delivery::answer::judge;
use tokio::time::sleep;

use self::bucket::Bucket;
use super::*;

#[path = "../../../../tests/support/bucket.rs"]
mod bucket;

/// Signals from ten thousand instances that boot within ten seconds, against a token bucket, on a clock that jumps. `make
/// bench` shows the figures.
#[tokio::test(start_paused = true)]
async fn a_fleet_gets_its_signals_through_nearly_as_fast_as_it_is_allowed_to() {
    const FLEET: u32 = 10_000;
    for (rate, burst) in [(50.0, 100.0), (100.0, 100.0)] {
        let began = Instant::now();
        let bucket = Arc::new(Mutex::new(Bucket::new(burst, rate)));
        let tries = Arc::new(Mutex::new(0_u64));
        let fleet = tokio::task::LocalSet::new();
        let instances: Vec<_> = (0..FLEET)
            .map(|number| {
                let (bucket, tries) = (bucket.clone(), tries.clone());
                fleet.spawn_local(async move {
                    sleep(Duration::from_millis(u64::from(number))).await;
                    let deadline = Instant::now() + Duration::from_secs(3600);
                    let attempt = async || {
                        *tries.lock().unwrap() += 1;
                        match bucket.lock().unwrap().take(began.elapsed()) {
                            true => judge(Method::InstanceIdentity, 200, None, b"{}"),
                            false => judge(Method::InstanceIdentity, 400, None, THROTTLED.as_bytes()),
                        }
                    };
                    persist(Method::InstanceIdentity, deadline, attempt).await
                })
            })
            .collect();
        fleet.await;
        for instance in instances {
            assert!(matches!(instance.await.unwrap(), Delivery::Accepted { .. }));
        }
        let took = began.elapsed().as_secs_f64();
        let allowed = (f64::from(FLEET) - burst) / rate;
        let tries = *tries.lock().unwrap() as f64 / f64::from(FLEET);
        println!(
            "{FLEET} signals at {rate} per second: the last was accepted after {took:.0} s (lower bound {allowed:.0} s), {tries:.1} tries each"
        );
        assert!(took <= allowed * 1.25, "{took} s instead of {allowed} s");
    }
}
