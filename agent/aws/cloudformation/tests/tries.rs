//! Tries on a clock that jumps: what is retried, for how long, and with which pauses.

use crate::aws::delivery::answer::{Attempt, judge};

use super::*;

/// Delivers where each try gets the next of these answers, the last one for ever. Returns how long it took, too.
async fn deliver(answers: &[(u16, Option<u64>, &str)], seconds: u64) -> (Delivery, Duration) {
    let began = Instant::now();
    let tries = Mutex::new(0);
    let attempt = async || -> Attempt {
        let mut tries = tries.lock().unwrap();
        let (status, after, body) = answers.get(*tries).or(answers.last()).unwrap();
        *tries += 1;
        judge(Method::InstanceIdentity, *status, after.map(Duration::from_secs), body.as_bytes())
    };
    let delivery = persist(Method::InstanceIdentity, began + Duration::from_secs(seconds), attempt).await;
    (delivery, began.elapsed())
}

#[tokio::test(start_paused = true)]
async fn temporary_answers_are_retried() {
    let answers = [(400, None, THROTTLED), (200, None, PAGE), (403, None, PAGE), (200, None, "{}")];
    assert_eq!(deliver(&answers, 30).await.0, accepted("instance_identity", 4));
}

#[tokio::test(start_paused = true)]
async fn the_deadline_ends_it() {
    let (delivery, took) = deliver(&[(503, None, "")], 120).await;
    let Delivery::Undelivered(text) = delivery else { panic!("{delivery:?}") };
    assert!(text.contains("HTTP 503"), "{text}");
    assert!(took <= Duration::from_secs(120), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_retry_after_is_waited_for() {
    let (delivery, took) = deliver(&[(503, Some(90), ""), (200, None, "{}")], 600).await;
    assert_eq!(delivery, accepted("instance_identity", 2));
    assert!(took >= Duration::from_secs(90), "{took:?}");
}
