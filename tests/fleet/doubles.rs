//! One instance metadata service, one CloudFormation and the ECS agents' introspection, for the whole fleet.
//!
//! The instances tell each other apart by the first part of the path, where on a real one the address would be the instance's own;
//! at CloudFormation by the unique id, which the signed document must bear out.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use super::chance::{Bucket, Chance, Fault};
use super::instance::{Fate, Instance};

/// CloudFormation takes so many requests a second, and so many at once.
pub const RATE: f64 = 30.0;
pub const BURST: f64 = 30.0;

const TOKEN: &str = "x-aws-ec2-metadata-token";
const NOT_WAITED_FOR: &str = r#"{"Error":{"Code":"ValidationError","Message":"Stack fleet is in CREATE_COMPLETE state and cannot be signaled","Type":"Sender"}}"#;
const THROTTLED: &str = r#"{"Error":{"Code":"Throttling","Message":"Rate exceeded","Type":"Sender"}}"#;
const ACCEPTED: &str = r#"{"SignalResourceResponse":{"ResponseMetadata":{"RequestId":"1"}}}"#;
const PAGE: &str = "<html><head><title>Proxy</title></head><body>Please wait.</body></html>";

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Service {
    Metadata,
    Ecs,
    CloudFormation,
}

impl Service {
    pub const ALL: [Service; 3] = [Service::Metadata, Service::Ecs, Service::CloudFormation];

    /// How a request to it can fail: only what is not on the instance itself has something in between.
    fn faults(self) -> &'static [Fault] {
        match self {
            Service::Metadata => &[Fault::ServerError, Fault::Busy, Fault::Reset],
            Service::Ecs => &[Fault::ServerError, Fault::Reset],
            Service::CloudFormation => {
                &[Fault::ServerError, Fault::Busy, Fault::Reset, Fault::BadGateway, Fault::Portal, Fault::LostAnswer]
            }
        }
    }

    /// Some of these are too long for who waits.
    fn slowest(self) -> Duration {
        Duration::from_millis(if self == Service::CloudFormation { 5000 } else { 2500 })
    }
}

/// What CloudFormation was told by an instance.
#[derive(Clone, Debug, Default)]
pub struct Told {
    pub accepted: Vec<String>,
    pub not_waited_for: u32,
}

/// What the doubles have seen.
#[derive(Debug, Default)]
pub struct Seen {
    /// By the number of the instance.
    pub told: Vec<Told>,
    pub requests: BTreeMap<Service, u64>,
    pub faults: BTreeMap<(Service, Fault), u64>,
    pub slow: BTreeMap<Service, u64>,
    pub throttled: u64,
    /// Requests without proof of an instance of this fleet.
    pub strangers: u64,
}

/// The doubles, on a thread of their own.
pub struct Doubles {
    ports: BTreeMap<Service, u16>,
    world: Arc<World>,
}

struct World {
    instances: Vec<Instance>,
    chance: Mutex<Chance>,
    bucket: Mutex<Bucket>,
    seen: Mutex<Seen>,
}

/// What is answered; nothing resets the connection.
type Answer = Option<(u16, &'static str, String)>;

struct Request {
    method: String,
    path: String,
    headers: BTreeMap<String, String>,
}

impl Doubles {
    pub fn start(instances: &[Instance], chance: Chance) -> Self {
        let told = vec![Told::default(); instances.len()];
        let world = Arc::new(World {
            instances: instances.to_vec(),
            chance: Mutex::new(chance),
            bucket: Mutex::new(Bucket::new(BURST, RATE)),
            seen: Mutex::new(Seen { told, ..Seen::default() }),
        });
        let sockets = Service::ALL.map(|service| {
            let socket = TcpSocket::new_v4().unwrap();
            socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
            (service, socket)
        });
        let ports = sockets.iter().map(|(service, socket)| (*service, socket.local_addr().unwrap().port())).collect();
        let served = Arc::clone(&world);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                for (service, socket) in sockets {
                    // With room for all who come at once.
                    tokio::spawn(accept(service, socket.listen(4096).unwrap(), Arc::clone(&served)));
                }
                std::future::pending::<()>().await;
            });
        });
        Doubles { ports, world }
    }

    pub fn endpoint(&self, service: Service) -> String {
        format!("http://127.0.0.1:{}", self.ports[&service])
    }

    pub fn end(self) -> Seen {
        std::mem::take(&mut *self.world.seen.lock().unwrap())
    }
}

async fn accept(service: Service, listener: TcpListener, world: Arc<World>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        // A client that goes away in the middle is its own affair.
        tokio::spawn(attend(service, BufReader::new(stream), Arc::clone(&world)));
    }
}

async fn attend(service: Service, mut stream: BufReader<TcpStream>, world: Arc<World>) -> io::Result<()> {
    while let Some(request) = read(&mut stream).await? {
        let (delay, answer) = world.meet(service, &request);
        tokio::time::sleep(delay).await;
        let Some((status, kind, body)) = answer else {
            // Closing without lingering is what makes the kernel send a reset.
            return stream.get_ref().set_zero_linger();
        };
        let retry = if status == 503 { "Retry-After: 1\r\n" } else { "" };
        let length = body.len();
        let head = format!("HTTP/1.1 {status} .\r\nContent-Type: {kind}\r\n{retry}Content-Length: {length}\r\n\r\n");
        stream.write_all(format!("{head}{body}").as_bytes()).await?;
    }
    Ok(())
}

/// The next request; none of the agent's has a body.
async fn read(stream: &mut BufReader<TcpStream>) -> io::Result<Option<Request>> {
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let (Some(method), Some(path)) = (words.next(), words.next()) else { return Ok(None) };
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        let Some((name, value)) = line.split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    Ok(Some(Request { method, path, headers }))
}

impl World {
    /// How late the answer to a request is, and what it is.
    fn meet(&self, service: Service, request: &Request) -> (Duration, Answer) {
        let (fault, delay) = {
            let mut chance = self.chance.lock().unwrap();
            (chance.fault(service.faults()), chance.delay(service.slowest()))
        };
        let throttled = service == Service::CloudFormation && !self.bucket.lock().unwrap().take();
        {
            let mut seen = self.seen.lock().unwrap();
            *seen.requests.entry(service).or_default() += 1;
            seen.throttled += u64::from(throttled);
            if let Some(fault) = fault.filter(|_| !throttled) {
                *seen.faults.entry((service, fault)).or_default() += 1;
            }
            *seen.slow.entry(service).or_default() += u64::from(delay.is_some());
        }
        let page = |status| Some((status, "text/html", PAGE.to_owned()));
        let answer = match fault {
            _ if throttled => Some((400, "application/json", THROTTLED.to_owned())),
            None => self.answer(service, request),
            Some(Fault::ServerError) => page(500),
            Some(Fault::Busy) => page(503),
            Some(Fault::BadGateway) => page(502),
            Some(Fault::Portal) => page(200),
            Some(Fault::Reset) => None,
            Some(Fault::LostAnswer) => {
                self.answer(service, request);
                None
            }
        };
        (delay.unwrap_or_default(), answer)
    }

    fn answer(&self, service: Service, request: &Request) -> Answer {
        let url = url::Url::parse(&format!("http://double{}", request.path)).unwrap();
        let query: BTreeMap<_, _> = url.query_pairs().into_owned().collect();
        let (first, rest) = url.path()[1..].split_once('/').unwrap_or((&url.path()[1..], ""));
        let id =
            if service == Service::CloudFormation { query.get("UniqueId").map_or("", String::as_str) } else { first };
        let Some(instance) = self.instances.iter().find(|instance| instance.id == id) else { return self.stranger() };
        match service {
            Service::Metadata => self.metadata(instance, request, rest),
            Service::Ecs => introspection(instance),
            Service::CloudFormation => self.signal(instance, request, &query),
        }
    }

    fn stranger(&self) -> Answer {
        self.seen.lock().unwrap().strangers += 1;
        Some((403, "text/plain", String::new()))
    }

    fn metadata(&self, instance: &Instance, request: &Request, path: &str) -> Answer {
        let token = format!("token-of-{}", instance.id);
        let found = match (request.method.as_str(), path) {
            ("PUT", "latest/api/token") => Some(token),
            _ if request.headers.get(TOKEN) != Some(&token) => return self.stranger(),
            (_, "latest/dynamic/instance-identity/document") => Some(instance.identity().document()),
            (_, "latest/dynamic/instance-identity/signature") => Some(instance.identity().signature()),
            (_, "latest/meta-data/services/domain") => Some("amazonaws.com".to_owned()),
            (_, "latest/user-data") => Some(instance.user_data()),
            _ => None,
        };
        let status = if found.is_some() { 200 } else { 404 };
        Some((status, "text/plain", found.unwrap_or_default()))
    }

    fn signal(&self, instance: &Instance, request: &Request, query: &BTreeMap<String, String>) -> Answer {
        let value = |name: &str| query.get(name).map_or("", String::as_str);
        let is_whole = value("Action") == "SignalResource"
            && value("StackName") == "fleet"
            && value("LogicalResourceId") == "Instances";
        if !is_whole || request.headers.get("authorization") != Some(&instance.authorization()) {
            return self.stranger();
        }
        let told = &mut self.seen.lock().unwrap().told[instance.number as usize];
        if instance.fate == Fate::NotWaitedFor {
            told.not_waited_for += 1;
            return Some((400, "application/json", NOT_WAITED_FOR.to_owned()));
        }
        told.accepted.push(value("Status").to_owned());
        Some((200, "application/json", ACCEPTED.to_owned()))
    }
}

/// Reset as long as the agent has not registered: on an instance nobody listens until then.
fn introspection(instance: &Instance) -> Answer {
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
    Some((200, "application/json", body.to_string()))
}
