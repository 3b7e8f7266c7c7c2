//! A fleet that signals at once.

use tokio::time::sleep;

use super::*;

/// A bucket of tokens, as AWS throttles by: so many at once, so many a second.
struct Bucket {
    tokens: f64,
    burst: f64,
    rate: f64,
    filled: Instant,
}

impl Bucket {
    fn take(&mut self) -> bool {
        let now = Instant::now();
        self.tokens = (self.tokens + self.rate * (now - self.filled).as_secs_f64()).min(self.burst);
        self.filled = now;
        let taken = self.tokens >= 1.0;
        self.tokens -= f64::from(u8::from(taken));
        taken
    }
}

/// Ten thousand instances that boot within ten seconds and signal against such a bucket, on a clock that jumps.
/// `make bench` shows the figures.
#[tokio::test(start_paused = true)]
async fn a_fleet_gets_its_signals_through_nearly_as_fast_as_it_is_allowed_to() {
    const FLEET: u32 = 10_000;
    for (rate, burst) in [(50.0, 100.0), (100.0, 100.0)] {
        let began = Instant::now();
        let bucket = Arc::new(Mutex::new(Bucket { tokens: burst, burst, rate, filled: began }));
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
                        match bucket.lock().unwrap().take() {
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
        println!("{FLEET} signals, {rate} a second allowed: {took:.0} s of {allowed:.0} s, {tries:.1} tries each");
        assert!(took <= allowed * 1.25, "{took} s instead of {allowed} s");
    }
}
