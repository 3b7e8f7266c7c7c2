//! The ways to deliver, each with the permission that it needs.

/// The ways to deliver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    /// `SignalResource`, proved by the instance identity document.
    InstanceIdentity,
    /// `SignalResource`, signed with IAM credentials.
    Iam,
    /// A PUT to the presigned URL of a wait condition handle.
    WaitHandle,
    /// An API of Auto Scaling, signed with IAM credentials.
    LifecycleHook,
}

impl Method {
    /// Names the permissions that a role needs for this method.
    pub(crate) fn permission(self) -> &'static str {
        match self {
            Self::LifecycleHook => "autoscaling:CompleteLifecycleAction and autoscaling:RecordLifecycleActionHeartbeat",
            _ => "cloudformation:SignalResource",
        }
    }

    /// Names the proof of who sends the request.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::InstanceIdentity => "instance_identity",
            Self::Iam | Self::LifecycleHook => "iam",
            Self::WaitHandle => "wait_handle",
        }
    }
}
