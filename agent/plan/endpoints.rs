//! The variant of AWS's endpoints that `aws` asks for, as far as each program on the host can be told.

use super::logs;
use crate::aws::endpoint::{OF_ALL, USE_DUALSTACK, USE_FIPS, Variant};
use crate::config::{Aws, Config, LogAgent};
use crate::instance::Instance;

/// The setting of the ECS agent that names the endpoint of ECS.
const BACKEND: &str = "ECS_BACKEND_HOST";
/// The log driver of Docker for CloudWatch Logs, and its option that names the endpoint.
const LOG_DRIVER: &str = "awslogs";
const LOG_ENDPOINT: &str = "awslogs-endpoint";

/// A program that does not follow `aws`, or not in all that it does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exception {
    /// The place in the configuration that keeps the program from following.
    pub path: Vec<String>,
    /// Says which program, and why.
    pub message: String,
    /// Says what to do.
    pub remedy: &'static str,
}

impl Exception {
    fn at(path: &[&str], message: String, remedy: &'static str) -> Self {
        Exception { path: path.iter().map(|key| (*key).to_owned()).collect(), message, remedy }
    }
}

/// Returns the variables that have the ECS agent's AWS SDK ask endpoints of the variant.
pub fn switches_of_ecs_agent(config: &Config) -> Vec<&'static str> {
    let Aws { fips, dual_stack } = config.aws;
    let switches = [(USE_FIPS, fips), (USE_DUALSTACK, dual_stack)];
    let is_set = |name: &str| config.ecs.as_ref().is_some_and(|ecs| ecs.config.0.contains_key(name));
    let wanted = switches.into_iter().filter(|(name, is_on)| *is_on == Some(true) && !is_set(name));
    wanted.map(|(name, _)| name).filter(|_| named_endpoint(config).is_none()).collect()
}

/// Returns the variant that the ECS agent asks.
pub fn variant_of_ecs_agent(config: &Config) -> Variant {
    let switches = switches_of_ecs_agent(config);
    let set = config.ecs.as_ref().map(|ecs| &ecs.config.0);
    let is_on =
        |name| switches.contains(&name) || set.and_then(|set| set.get(name)).is_some_and(|value| value == "true");
    Variant { fips: is_on(USE_FIPS), dual_stack: is_on(USE_DUALSTACK) }
}

/// Returns the variable that names an endpoint to the ECS agent. The AWS SDK refuses to ask a named endpoint where FIPS or
/// dual-stack is switched on.
fn named_endpoint(config: &Config) -> Option<&str> {
    let mut names = config.ecs.iter().flat_map(|ecs| ecs.config.0.keys());
    names.find(|name| *name == BACKEND || name.starts_with(OF_ALL)).map(String::as_str)
}

/// Finds a switch that the configuration gives the ECS agent itself, beside an endpoint that it names.
fn refused_switch(config: &Config) -> Option<Exception> {
    let name = named_endpoint(config)?;
    let settings = &config.ecs.as_ref()?.config.0;
    let is_on = |switch: &&str| settings.get(*switch).is_some_and(|value| value == "true");
    let switch = [USE_FIPS, USE_DUALSTACK].into_iter().find(is_on)?;
    let message = format!("the ECS agent's AWS SDK refuses `{switch}` beside `{name}`");
    Some(Exception::at(&["ecs", "config", switch], message, "leave one of the two out"))
}

/// Lists the programs that do not follow `aws` on a host with this log agent.
pub fn exceptions(config: &Config, log_agent: LogAgent) -> Vec<Exception> {
    let variant = Variant::from(config.aws);
    let mut found: Vec<_> = refused_switch(config).into_iter().collect();
    if variant == Variant::default() {
        return found;
    }
    if let Some(name) = named_endpoint(config) {
        let message = format!("the ECS agent does not follow `aws`: its AWS SDK takes no variant beside `{name}`");
        let remedy = "leave it out, or name an endpoint of the variant that you want";
        found.push(Exception::at(&["ecs", "config", name], message, remedy));
    }
    match log_agent {
        LogAgent::Awslogs => {
            let message = "the awslogs agent does not follow `aws`: it asks the plain endpoint of CloudWatch Logs";
            found.push(Exception::at(&["logs", "agent"], message.to_owned(), "use the CloudWatch agent"));
        }
        LogAgent::Cloudwatch | LogAgent::Auto if variant.fips && config.logs.role_arn.is_some() => {
            let message = "the CloudWatch agent follows `aws.fips` for CloudWatch Logs only: it assumes the role of \
                `logs.role_arn` at the plain endpoint of STS";
            let remedy = "leave `logs.role_arn` out, and let the instance's own role send the logs";
            found.push(Exception::at(&["logs", "role_arn"], message.to_owned(), remedy));
        }
        LogAgent::Cloudwatch | LogAgent::Auto | LogAgent::None => {}
    }
    let daemon = config.docker.as_ref().map(|docker| &docker.daemon);
    let driver = daemon.and_then(|daemon| daemon.get("log-driver")?.as_str());
    let endpoint = daemon.and_then(|daemon| daemon.get("log-opts")?.get(LOG_ENDPOINT));
    if driver == Some(LOG_DRIVER) && endpoint.is_none() {
        let message =
            "Docker's log driver awslogs does not follow `aws`: it asks the plain endpoint of CloudWatch Logs";
        let remedy = "name the endpoint in `log-opts`, as awslogs-endpoint: https://logs-fips.us-east-1.amazonaws.com";
        found.push(Exception::at(&["docker", "daemon", "log-driver"], message.to_owned(), remedy));
    }
    found
}

pub fn notes(config: &Config, instance: &Instance) -> Vec<String> {
    let found = exceptions(config, logs::agent(config, instance));
    found.into_iter().map(|Exception { message, remedy, .. }| format!("{message}; {remedy}")).collect()
}
