//! Secrets are where they are meant to be, and nowhere else.
//!
//! A canary of its own is in each place that can hold a secret. Then everything is done that this program can do, and all
//! that can be seen of it is searched for them: what it prints and logs, what it writes, what it tells whom, with which
//! arguments it runs programs.

mod canary;
mod hosts;
mod processes;
mod refused;
mod signals;

use canary::Canary;
use ecs_firstrun::rehearse::Scenario;

/// Our part of the user data, with a secret wherever it can have one. What is signalled, and through which proxy, is given.
fn ours(signal: &str, proxy: &str) -> String {
    let of_ecs = [Canary::EngineAuthData, Canary::AccessKeyId, Canary::SecretAccessKey];
    let [auth, id, key] = of_ecs.map(Canary::quoted);
    let [token, argument] = [Canary::DockerToken, Canary::HookArgument].map(Canary::quoted);
    format!(
        "signal: {signal}
{proxy}
storage: [{{device: /dev/xvdcy, mount: /data}}]
docker:
  daemon: {{log-opts: {{splunk-token: \"{token}\", splunk-source: {{ssm: /source}}}}}}
  pull: [{{image: \"123456789012.dkr.ecr.eu-central-1.amazonaws.com/base:7\"}}]
hooks: {{before_docker: [{{name: a, run: [test, \"{argument}\"]}}]}}
ecs:
  cluster: production
  config:
    ECS_ENGINE_AUTH_TYPE: docker
    ECS_ENGINE_AUTH_DATA: {{\"https://index.docker.io/v1/\": {{username: me, password: \"{auth}\"}}}}
    ECS_LOG_OPTS: {{splunk-token: {{secretsmanager: splunk, key: token}}}}
    AWS_ACCESS_KEY_ID: \"{id}\"
    AWS_SECRET_ACCESS_KEY: \"{key}\"
wait: {{timeout: 3s}}
"
    )
}

/// A proxy at this address, with a user and a password.
fn proxy(address: &str) -> String {
    let (user, password) = (Canary::ProxyUser.in_url(), Canary::ProxyPassword.in_url());
    format!("http://{user}:{password}@{}", address.trim_start_matches("http://"))
}

/// The presigned URL of a wait condition handle at this endpoint.
fn wait_handle(endpoint: &str) -> String {
    let signature = Canary::WaitHandle.in_url();
    format!("{endpoint}/waithandle?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature={signature}")
}

/// User data with our part among those of others, which have secrets too.
fn user_data(ours: &str) -> String {
    let (shell, cloud) = (Canary::ShellPart.text(), Canary::CloudConfig.quoted());
    format!(
        "MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=\"=_\"

--=_
Content-Type: text/x-shellscript

#!/bin/sh
mysql -p'{shell}'

--=_
Content-Type: text/cloud-config

write_files: [{{path: /root/x, content: \"{cloud}\"}}]
ecs_firstrun:
  logs: {{retention_days: 30}}

--=_
Content-Type: application/vnd.ecs-firstrun+yaml

{ours}
--=_--
"
    )
}

/// Exit code with which a scenario ends.
fn exit_code(scenario: Scenario) -> i32 {
    match scenario {
        Scenario::BadUserData => 2,
        Scenario::ForeignDisk
        | Scenario::Never
        | Scenario::WrongCluster
        | Scenario::AgentExits5
        | Scenario::Denied
        | Scenario::ReferenceDenied
        | Scenario::Unreachable => 1,
        _ => 0,
    }
}

/// Does all of these, some at a time: most wait for something most of the time.
fn each<T: Send>(all: Vec<T>, check: impl Fn(T) + Sync) {
    let queue = std::sync::Mutex::new(all);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                while let Some(next) = { queue.lock().unwrap().pop() } {
                    check(next);
                }
            });
        }
    });
}
