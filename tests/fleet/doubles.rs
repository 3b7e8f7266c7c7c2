//! One instance metadata service, one CloudFormation, one Systems Manager and the ECS agents' introspection, for the whole
//! fleet.
//!
//! The instances tell each other apart by the first part of the path, where on a real one the address would be the instance's own;
//! at CloudFormation by the unique id, which the signed document must bear out, and at Systems Manager by the name of the parameter.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use ecs_firstrun::rehearse::cloud::http::{self, Double, Reply};
use ecs_firstrun::rehearse::cloud::{Request, Server};
use serde_json::{Value, json};
use tokio::net::TcpSocket;

use super::bucket::Bucket;
use super::chance::{Chance, Fault};
use super::instance::{Fate, Instance};

/// CloudFormation, and Systems Manager likewise, takes so many requests a second, and so many at once.
pub const RATE: f64 = 30.0;
pub const BURST: f64 = 30.0;

const JSON: &str = "application/json";
const TOKEN: &str = "x-aws-ec2-metadata-token";
const NOT_WAITED_FOR: &str = r#"{"Error":{"Code":"ValidationError","Message":"Stack fleet is in CREATE_COMPLETE state and cannot be signaled","Type":"Sender"}}"#;
const THROTTLED: &str = r#"{"Error":{"Code":"Throttling","Message":"Rate exceeded","Type":"Sender"}}"#;
const ALREADY_THERE: &str = r#"{"Error":{"Code":"ValidationError","Message":"Signal with ID of this instance for resource Instances already exists.  Signals may only be updated with a FAILURE status.","Type":"Sender"}}"#;
const ACCEPTED: &str = r#"{"SignalResourceResponse":{"ResponseMetadata":{"RequestId":"1"}}}"#;
const TOO_MANY_PARAMETERS: &str = r#"{"__type":"ThrottlingException","message":"Rate exceeded"}"#;
const PAGE: &str = "<html><head><title>Proxy</title></head><body>Please wait.</body></html>";

/// The servers that stand for all of the fleet's.
pub const SERVERS: [Server; 4] = [Server::Imds, Server::Ecs, Server::CloudFormation, Server::Ssm];

const LIMITED: [Server; 2] = [Server::CloudFormation, Server::Ssm];

/// Lists the faults of a request. Only a server that is not on the instance can have another host in between.
fn faults(server: Server) -> &'static [Fault] {
    match server {
        Server::Imds => &[Fault::ServerError, Fault::Busy, Fault::Reset],
        Server::Ecs => &[Fault::ServerError, Fault::Reset],
        _ => &[Fault::ServerError, Fault::Busy, Fault::Reset, Fault::BadGateway, Fault::Portal, Fault::LostAnswer],
    }
}

/// Returns the longest delay of an answer. Some delays are longer than the agent waits.
fn slowest(server: Server) -> Duration {
    Duration::from_millis(if server == Server::CloudFormation { 5000 } else { 2500 })
}

/// The signals that CloudFormation received from an instance.
#[derive(Clone, Debug, Default)]
pub struct Told {
    pub accepted: Vec<String>,
    pub not_waited_for: u32,
}

/// The requests and faults that the doubles have seen.
#[derive(Debug, Default)]
pub struct Seen {
    /// By the number of the instance.
    pub told: Vec<Told>,
    pub requests: BTreeMap<Server, u64>,
    pub faults: BTreeMap<(Server, Fault), u64>,
    pub slow: BTreeMap<Server, u64>,
    pub throttled: u64,
    /// Requests without proof of an instance of this fleet.
    pub strangers: u64,
}

/// The doubles, on a thread of their own.
pub struct Doubles {
    ports: BTreeMap<Server, u16>,
    world: Arc<World>,
}

struct World {
    instances: Vec<Instance>,
    chance: Mutex<Chance>,
    buckets: BTreeMap<Server, Mutex<Bucket>>,
    began: Instant,
    seen: Mutex<Seen>,
}

impl Doubles {
    pub fn start(instances: &[Instance], chance: Chance) -> Self {
        let told = vec![Told::default(); instances.len()];
        let world = Arc::new(World {
            instances: instances.to_vec(),
            chance: Mutex::new(chance),
            buckets: LIMITED.map(|server| (server, Mutex::new(Bucket::new(BURST, RATE)))).into(),
            began: Instant::now(),
            seen: Mutex::new(Seen { told, ..Seen::default() }),
        });
        let sockets = SERVERS.map(|server| {
            let socket = TcpSocket::new_v4().unwrap();
            socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
            (server, socket)
        });
        let ports = sockets.iter().map(|(server, socket)| (*server, socket.local_addr().unwrap().port())).collect();
        let served = Arc::clone(&world);
        let log = Arc::new(http::CloudLog::default());
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                for (server, socket) in sockets {
                    // With room for all who come at once.
                    let double = Served { server, world: Arc::clone(&served) };
                    tokio::spawn(http::serve_on(socket.listen(4096).unwrap(), double, Arc::clone(&log)));
                }
                std::future::pending::<()>().await;
            });
        });
        Doubles { ports, world }
    }

    pub fn endpoint(&self, server: Server) -> String {
        format!("http://127.0.0.1:{}", self.ports[&server])
    }

    pub fn end(self) -> Seen {
        std::mem::take(&mut *self.world.seen.lock().unwrap())
    }
}

/// One of the servers.
struct Served {
    server: Server,
    world: Arc<World>,
}

impl Double for Served {
    fn server(&self) -> Server {
        self.server
    }

    async fn answer(&self, request: &Request, _: SocketAddr) -> Option<Reply> {
        let (delay, answer) = self.world.meet(request);
        tokio::time::sleep(delay).await;
        answer
    }
}

impl World {
    /// Returns the delay of the answer to a request, and the answer.
    fn meet(&self, request: &Request) -> (Duration, Option<Reply>) {
        let server = request.server;
        let (fault, delay) = {
            let mut chance = self.chance.lock().unwrap();
            (chance.fault(faults(server)), chance.delay(slowest(server)))
        };
        let bucket = self.buckets.get(&server);
        let throttled = bucket.is_some_and(|bucket| !bucket.lock().unwrap().take(self.began.elapsed()));
        {
            let mut seen = self.seen.lock().unwrap();
            *seen.requests.entry(server).or_default() += 1;
            seen.throttled += u64::from(throttled);
            if let Some(fault) = fault.filter(|_| !throttled) {
                *seen.faults.entry((server, fault)).or_default() += 1;
            }
            *seen.slow.entry(server).or_default() += u64::from(delay.is_some());
        }
        let page = |status| Some(Reply::new(status, "text/html", PAGE));
        let answer = match fault {
            _ if throttled && server == Server::Ssm => Some(Reply::new(400, JSON, TOO_MANY_PARAMETERS)),
            _ if throttled => Some(Reply::new(400, JSON, THROTTLED)),
            None => self.answer(request),
            Some(Fault::ServerError) => page(500),
            Some(Fault::Busy) => page(503).map(|page| page.with("retry-after", "1".to_owned())),
            Some(Fault::BadGateway) => page(502),
            Some(Fault::Portal) => page(200),
            Some(Fault::Reset) => None,
            Some(Fault::LostAnswer) => {
                self.answer(request);
                None
            }
        };
        (delay.unwrap_or_default(), answer)
    }

    fn answer(&self, request: &Request) -> Option<Reply> {
        let url = url::Url::parse(&format!("http://double{}", request.path_and_query)).unwrap();
        let query: BTreeMap<_, _> = url.query_pairs().into_owned().collect();
        let (first, rest) = url.path()[1..].split_once('/').unwrap_or((&url.path()[1..], ""));
        let asked: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let id = match request.server {
            Server::CloudFormation => query.get("UniqueId").map_or("", String::as_str),
            Server::Ssm => asked["Name"].as_str().unwrap_or_default().trim_start_matches("/fleet/"),
            _ => first,
        };
        let Some(instance) = self.instances.iter().find(|instance| instance.id == id) else { return self.stranger() };
        match request.server {
            Server::Imds => self.metadata(instance, request, rest),
            Server::Ecs => introspection(instance),
            Server::Ssm => self.parameter(instance, request),
            _ => self.signal(instance, request, &query),
        }
    }

    fn stranger(&self) -> Option<Reply> {
        self.seen.lock().unwrap().strangers += 1;
        Some(Reply::new(403, "text/plain", ""))
    }

    fn metadata(&self, instance: &Instance, request: &Request, path: &str) -> Option<Reply> {
        let token = format!("token-of-{}", instance.id);
        let found = match (request.method.as_str(), path) {
            ("PUT", "latest/api/token") => Some(token),
            _ if request.header(TOKEN) != Some(&token) => return self.stranger(),
            (_, "latest/dynamic/instance-identity/document") => Some(instance.identity().document()),
            (_, "latest/dynamic/instance-identity/signature") => Some(instance.identity().signature()),
            (_, "latest/meta-data/services/domain") => Some("amazonaws.com".to_owned()),
            (_, "latest/user-data") => Some(instance.user_data()),
            _ => None,
        };
        let status = if found.is_some() { 200 } else { 404 };
        Some(Reply::new(status, "text/plain", found.unwrap_or_default()))
    }

    fn parameter(&self, instance: &Instance, request: &Request) -> Option<Reply> {
        let is_signed = request.header("authorization").is_some_and(|header| header.contains(&instance.key_id()));
        if !is_signed || request.header("x-amz-target") != Some("AmazonSSM.GetParameter") {
            return self.stranger();
        }
        let parameter =
            json!({ "Name": instance.parameter(), "Type": "SecureString", "Value": instance.value(), "Version": 1 });
        Some(Reply::new(200, JSON, json!({ "Parameter": parameter }).to_string()))
    }

    fn signal(&self, instance: &Instance, request: &Request, query: &BTreeMap<String, String>) -> Option<Reply> {
        let value = |name: &str| query.get(name).map_or("", String::as_str);
        let is_whole = value("Action") == "SignalResource"
            && value("StackName") == "fleet"
            && value("LogicalResourceId") == "Instances";
        if !is_whole || request.header("authorization") != Some(&instance.authorization()) {
            return self.stranger();
        }
        let told = &mut self.seen.lock().unwrap().told[instance.number as usize];
        if instance.fate == Fate::NotWaitedFor {
            told.not_waited_for += 1;
            return Some(Reply::new(400, JSON, NOT_WAITED_FOR));
        }
        if value("Status") == "SUCCESS" && !told.accepted.is_empty() {
            return Some(Reply::new(400, JSON, ALREADY_THERE));
        }
        told.accepted.push(value("Status").to_owned());
        Some(Reply::new(200, JSON, ACCEPTED))
    }
}

/// Reset as long as the agent has not registered: on an instance nobody listens until then.
fn introspection(instance: &Instance) -> Option<Reply> {
    let started = instance.started("ecs.service").metadata().and_then(|found| found.modified()).ok()?;
    let since = SystemTime::now().duration_since(started).unwrap_or_default();
    let cluster = match instance.fate {
        Fate::Never => return None,
        _ if since < instance.registers_after => return None,
        Fate::WrongCluster => "default",
        _ => "production",
    };
    let arn =
        format!("arn:aws:ecs:eu-central-1:123456789012:container-instance/{cluster}/5b0d3c7e9a1f4d62b8c4e07f6a2d1b93");
    let body =
        json!({"Cluster": cluster, "ContainerInstanceArn": arn, "Version": "Amazon ECS Agent - v1.105.1 (*8dfceca6c)"});
    Some(Reply::new(200, JSON, body.to_string()))
}
