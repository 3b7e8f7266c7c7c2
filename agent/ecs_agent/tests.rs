use super::*;

const ARN: &str = "arn:aws:ecs:eu-west-1:111122223333:container-instance/blue/0123456789abcdef";
const BLUE: &str = "arn:aws:ecs:eu-west-1:111122223333:cluster/blue";
const OTHER_BLUE: &str = "arn:aws:ecs:us-east-1:111122223333:cluster/blue";

fn answer(cluster: &str) -> String {
    format!(
        r#"{{"Cluster":"{cluster}","ContainerInstanceArn":"{ARN}","Version":"Amazon ECS Agent - v1.105.1 (hash)"}}"#
    )
}

#[test]
fn the_right_cluster_is_recognised() {
    for (found, wanted) in [("blue", "blue"), (BLUE, "blue"), ("blue", BLUE), (BLUE, BLUE), ("default", "")] {
        let seen = judge(200, answer(found).as_bytes(), wanted);
        let registered = Seen::Registered {
            cluster: found.to_owned(),
            container_instance_arn: ARN.to_owned(),
            version: "Amazon ECS Agent - v1.105.1 (hash)".to_owned(),
        };
        assert_eq!(seen, registered, "{found} for {wanted}");
    }
}

#[test]
fn another_cluster_is_recognised() {
    for (found, wanted) in [("green", "blue"), ("default", "blue"), (OTHER_BLUE, BLUE), ("blue", "")] {
        let seen = judge(200, answer(found).as_bytes(), wanted);
        assert!(matches!(seen, Seen::WrongCluster { .. }), "{found} for {wanted}: {seen:?}");
    }
}

#[test]
fn what_is_no_registration_is_not_ready() {
    for (status, body) in [
        (200, r#"{"AvailableCommands":["/v1/metadata","/v1/tasks","/license"]}"#),
        (200, r#"{"Cluster":"blue","ContainerInstanceArn":null,"Version":"v"}"#),
        (200, r#"{"Cluster":"blue","ContainerInstanceArn":"","Version":"v"}"#),
        (500, r#"{"Cluster":"","ContainerInstanceArn":null,"Version":""}"#),
        (200, "<html>"),
        (200, ""),
        (404, ""),
    ] {
        let seen = judge(status, body.as_bytes(), "blue");
        assert!(matches!(seen, Seen::NotReady(_)), "{status} {body}: {seen:?}");
    }
}

#[test]
fn an_endpoint_must_be_plain_http() {
    for endpoint in ["127.0.0.1:51678", "https://127.0.0.1", ""] {
        assert!(EcsAgent::new(endpoint).is_err(), "{endpoint}");
    }
}

#[tokio::test]
async fn nobody_listening_is_refused() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let agent = EcsAgent::new(&format!("http://{address}")).unwrap();
    assert_eq!(agent.look("blue").await, Seen::Refused);
}

#[tokio::test(start_paused = true)]
async fn silence_is_not_waited_for_beyond_a_second() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let agent = EcsAgent::new(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
    let before = tokio::time::Instant::now();
    let seen = agent.look("blue").await;
    assert!(matches!(seen, Seen::Unreachable(_)), "{seen:?}");
    assert!(before.elapsed() <= LOOK + Duration::from_millis(1), "{:?}", before.elapsed());
}

#[cfg(feature = "rehearse")]
async fn answers(answer: String) -> EcsAgent {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let agent = EcsAgent::new(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    let app = axum::Router::new().route("/v1/metadata", axum::routing::get(async || answer));
    tokio::spawn(async move { axum::serve(listener, app).await });
    agent
}

#[cfg(feature = "rehearse")]
#[tokio::test]
async fn a_registration_is_seen_over_http() {
    // As long as an answer may be, and longer.
    let padded = |length: usize| answer("blue") + &" ".repeat(length - answer("blue").len());
    let seen = answers(padded(65_536)).await.look("blue").await;
    assert!(matches!(seen, Seen::Registered { .. }), "{seen:?}");
    let seen = answers(padded(65_537)).await.look("blue").await;
    let Seen::Unreachable(why) = seen else { panic!("{seen:?}") };
    assert!(why.contains("longer than 65536 bytes"), "{why}");
}
