//! The ways to ask AWS, each with the permission that it needs.

/// The ways to ask AWS.
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
    /// `SetInstanceHealth` of Auto Scaling, signed with IAM credentials.
    InstanceHealth,
    /// `GetParameter` of Systems Manager.
    Parameter,
    /// `GetSecretValue` of Secrets Manager.
    Secret,
    /// `GetAuthorizationToken` of Amazon ECR.
    RegistryToken,
}

impl Method {
    /// Names the permissions that a role needs for this method.
    pub(crate) fn permission(self) -> &'static str {
        match self {
            Self::LifecycleHook => "autoscaling:CompleteLifecycleAction and autoscaling:RecordLifecycleActionHeartbeat",
            Self::InstanceHealth => "autoscaling:SetInstanceHealth",
            Self::Parameter => "ssm:GetParameter",
            Self::Secret => "secretsmanager:GetSecretValue",
            Self::RegistryToken => "ecr:GetAuthorizationToken",
            Self::InstanceIdentity | Self::Iam | Self::WaitHandle => "cloudformation:SignalResource",
        }
    }

    /// Names the proof of who sends the request.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::InstanceIdentity => "instance_identity",
            Self::WaitHandle => "wait_handle",
            _ => "iam",
        }
    }

    /// Names the service that is asked, in words.
    pub(crate) fn service(self) -> &'static str {
        match self {
            Self::InstanceIdentity | Self::Iam | Self::WaitHandle => "CloudFormation",
            Self::LifecycleHook | Self::InstanceHealth => "Auto Scaling",
            Self::Parameter => "Systems Manager",
            Self::Secret => "Secrets Manager",
            Self::RegistryToken => "Amazon ECR",
        }
    }

    /// Tells whether the request is signed with IAM credentials.
    pub(crate) fn is_signed(self) -> bool {
        !matches!(self, Self::InstanceIdentity | Self::WaitHandle)
    }
}
