//! All that talks to AWS: the instance metadata service, CloudFormation, Auto Scaling and Amazon ECR.
//!
//! `sdk` signs a request and sends it to the address that `endpoint` gives; [`delivery`] repeats the request, and reads each
//! answer.

pub mod auto_scaling;
pub mod cloudformation;
pub mod delivery;
pub mod denial;
pub mod ecr;
pub mod endpoint;
pub mod imds;
pub(crate) mod sdk;
pub(crate) mod values;
