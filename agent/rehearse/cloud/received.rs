//! The signals, lifecycle calls and reports of health that the cloud has accepted.

use std::time::Duration;

/// The authentication of a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignalAuth {
    /// By the instance identity document and its signature.
    InstanceIdentity,
    /// By a signature with IAM credentials.
    Iam,
    /// By the presigned URL of a wait condition handle.
    WaitHandle,
}

/// A signal that CloudFormation has accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedSignal {
    /// The stack's name or ARN; empty at a wait condition handle.
    pub stack: String,
    /// The resource's logical id; empty at a wait condition handle.
    pub resource: String,
    /// `SUCCESS` or `FAILURE`.
    pub status: String,
    /// The unique ID of the signal, mostly an instance ID.
    pub unique_id: String,
    /// The authentication of the signal.
    pub auth: SignalAuth,
    /// The reason, at a wait condition handle only.
    pub reason: Option<String>,
    /// The data, at a wait condition handle only.
    pub data: Option<String>,
    /// Time since the cloud's start.
    pub at: Duration,
    /// Set if the call came through the proxy.
    pub proxied: bool,
}

/// A call that Auto Scaling has accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LifecycleCall {
    /// `CONTINUE` or `ABANDON`; none for a heartbeat.
    pub result: Option<String>,
    /// The hook's name.
    pub hook: String,
    /// The group's name.
    pub group: String,
    /// The instance's id.
    pub instance_id: String,
    /// Time since the cloud's start.
    pub at: Duration,
    /// Set if the call came through the proxy.
    pub proxied: bool,
}

/// A report of an instance's health that Auto Scaling has accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthCall {
    /// `Healthy` or `Unhealthy`.
    pub status: String,
    /// Set if the report counts only after the group's grace period.
    pub respects_grace_period: bool,
    /// The instance's id.
    pub instance_id: String,
    /// Time since the cloud's start.
    pub at: Duration,
    /// Set if the call came through the proxy.
    pub proxied: bool,
}
