//! The words of Docker and of registries for a pull that fails, and what helps.

use std::fmt;

use crate::aws::denial::Denial;
use crate::aws::ecr::Registry;
use crate::config::types::ImageName;

/// The permissions that a pull from Amazon ECR needs.
const PERMISSIONS: &str = "ecr:GetAuthorizationToken, ecr:BatchGetImage and ecr:GetDownloadUrlForLayer";

const DOCKER_LOG: &str = "`journalctl -u docker.service` says why";

/// A pull that was refused.
#[derive(Debug, PartialEq)]
pub(super) struct Refusal {
    /// The words of Docker, of the registry or of AWS.
    pub words: String,
    /// The remedy; empty where the words say it.
    remedy: String,
    /// True if another try would be refused as well.
    pub is_final: bool,
    /// True if the registry asks for fewer requests.
    pub is_limit: bool,
}

/// The causes that Docker's words tell apart. The first that fits counts.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Cause {
    Processor,
    Space,
    Certificate,
    Limit,
    /// Amazon S3, where the layers of Amazon ECR are, refuses them.
    Layers,
    /// The host refuses something to Docker.
    Host,
    Denied,
    Missing,
    Way,
}

const CAUSES: [(Cause, &[&str]); 9] = [
    (Cause::Processor, &["no matching manifest", "no match for platform"]),
    (Cause::Space, &["no space left on device", "disk quota exceeded"]),
    (Cause::Certificate, &["x509:", "certificate"]),
    (Cause::Limit, &["toomanyrequests", "429 Too Many Requests", "rate exceeded"]),
    (Cause::Layers, &["HTTP 403 response body", "starport-layer-bucket"]),
    (Cause::Denied, &["denied: permission denied"]),
    (Cause::Host, &["permission denied", "read-only file system"]),
    (
        Cause::Denied,
        &["no basic auth credentials", "denied", "unauthorized", "not authorized", "403 Forbidden", "401 Unauthorized"],
    ),
    (Cause::Missing, &["manifest unknown", "name unknown", "not known to registry", "not found", "does not exist"]),
];

impl Refusal {
    /// Judges Docker's own words for a pull.
    pub fn of(words: String, image: &ImageName) -> Self {
        let small = words.to_ascii_lowercase();
        let fits = |(_, signs): &&(Cause, &[&str])| signs.iter().any(|sign| small.contains(&sign.to_ascii_lowercase()));
        let cause = CAUSES.iter().find(fits).map_or(Cause::Way, |(cause, _)| *cause);
        let is_final = matches!(cause, Cause::Processor | Cause::Space | Cause::Denied | Cause::Missing);
        Refusal { remedy: remedy(cause, &words, image), words, is_final, is_limit: cause == Cause::Limit }
    }

    /// Judges an error in speaking with Docker, which may be starting, or restarting.
    pub fn of_docker(error: &anyhow::Error) -> Self {
        Refusal { words: format!("{error:#}"), remedy: DOCKER_LOG.to_owned(), is_final: false, is_limit: false }
    }

    /// Judges AWS's refusal to give a token, which has been asked for until the end already.
    pub fn of_aws(error: &anyhow::Error) -> Self {
        Refusal { words: format!("{error:#}"), remedy: String::new(), is_final: true, is_limit: false }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)?;
        if self.remedy.is_empty() { Ok(()) } else { write!(f, "; {}", self.remedy) }
    }
}

fn remedy(cause: Cause, words: &str, image: &ImageName) -> String {
    let registry = Registry::of(image.host());
    match (cause, registry) {
        (Cause::Processor, _) => "the image has no variant for this processor: push one, or take another instance type".to_owned(),
        (Cause::Space, _) => "give Docker's volume more room, or pull fewer images".to_owned(),
        (Cause::Limit, Some(registry)) => format!(
            "account {} has reached a quota of Amazon ECR in {}: raise the quota, give the pull a longer `timeout`, or pull fewer images",
            registry.account, registry.region
        ),
        (Cause::Limit, None) => {
            "the registry limits pulls without a login: keep a copy of the image in Amazon ECR, as a pull through cache does".to_owned()
        }
        (Cause::Layers, _) => format!(
            "the layers are in Amazon S3: the policy of the VPC's endpoint for S3 must permit s3:GetObject for \
             arn:aws:s3:::prod-{}-starport-layer-bucket/*",
            registry.map_or("REGION", |registry| registry.region)
        ),
        (Cause::Host, _) => DOCKER_LOG.to_owned(),
        (Cause::Denied, Some(registry)) => Denial::of(words).map_or_else(
            || {
                format!(
                    "the instance's role must permit {PERMISSIONS}, and the policy of a repository of another account must \
                     let the role's account in; check that account {} has the repository",
                    registry.account
                )
            },
            |denial| denial.remedy(),
        ),
        (Cause::Denied, None) => format!(
            "ecs-firstrun logs in to Amazon ECR alone: at {}, the image must be public, and its name right",
            image.host()
        ),
        (Cause::Missing, _) => {
            let what = if image.digest().is_some() { "digest" } else { "tag" };
            format!(
                "check that {} has the repository {}, and the repository the {what} {}",
                image.host(),
                image.repository(),
                image.digest_or_tag()
            )
        }
        (Cause::Certificate, _) => format!(
            "Docker must trust the registry's certificate: put its CA into /etc/docker/certs.d/{}/ca.crt of the image",
            image.host()
        ),
        (Cause::Way, _) => way_to(image),
    }
}

/// Says what Docker needs to reach the registry of an image.
pub(super) fn way_to(image: &ImageName) -> String {
    let endpoints = match Registry::of(image.host()) {
        Some(registry) => format!("VPC endpoints for com.amazonaws.{}.ecr.dkr and for S3, ", registry.region),
        None => String::new(),
    };
    format!(
        "Docker needs a way to {}: {endpoints}a NAT gateway, or `proxy`; a large image needs a longer `timeout`",
        image.host()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const ECR: &str = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/base:7";

    fn judged(words: &str, image: &str) -> (bool, String) {
        let refusal = Refusal::of(words.to_owned(), &ImageName::try_from(image.to_owned()).unwrap());
        (refusal.is_final, refusal.remedy)
    }

    #[test]
    fn each_refusal_has_its_remedy_and_what_may_pass_is_tried_again() {
        for (words, image, is_final, remedy) in [
            (
                "Head \"https://…\": no basic auth credentials",
                ECR,
                true,
                "must permit ecr:GetAuthorizationToken, ecr:Batch",
            ),
            (
                "denied: User: arn:aws:sts::1:assumed-role/web/i-1 is not authorized to perform: ecr:BatchGetImage on \
                 resource: arn:x with an explicit deny in a service control policy",
                ECR,
                true,
                "remove the deny from a service control policy",
            ),
            (
                "pull access denied for me/app, repository does not exist or may require 'docker login'",
                "me/app",
                true,
                "logs in to Amazon ECR alone: at docker.io",
            ),
            ("manifest for base:7 not found: manifest unknown", ECR, true, "has the repository 123456789012.dkr"),
            ("name unknown: The repository with name 'base' does not exist", ECR, true, "and the repository the tag 7"),
            ("no matching manifest for linux/arm64/v8 in the manifest list entries", "a", true, "for this processor"),
            ("write /var/lib/docker/x: no space left on device", "a", true, "more room"),
            (
                "toomanyrequests: Rate exceeded",
                ECR,
                false,
                "account 123456789012 has reached a quota of Amazon ECR in eu-",
            ),
            (
                "error pulling image configuration: error parsing HTTP 403 response body: <Error>Access Denied</Error>",
                ECR,
                false,
                "for arn:aws:s3:::prod-eu-central-1-starport-layer-bucket/*",
            ),
            ("mkdir /var/lib/docker/tmp: permission denied", ECR, false, "journalctl -u docker.service"),
            ("denied: Permission denied for \"latest\"", "gcr.io/a", true, "at gcr.io, the image must be public"),
            ("x509: certificate is not authorized to sign other certificates", "r.local/a", false, "certs.d/r.local"),
            ("toomanyrequests: You have reached your pull rate limit", "a", false, "a copy of the image in Amazon ECR"),
            (
                "tls: failed to verify certificate: x509: signed by unknown authority",
                "r.local/a",
                false,
                "certs.d/r.local",
            ),
            (
                "Get \"https://…/v2/\": net/http: request canceled while waiting",
                ECR,
                false,
                "eu-central-1.ecr.dkr and for S3",
            ),
            ("dial tcp: lookup registry-1.docker.io: no such host", "a", false, "a way to docker.io: a NAT gateway"),
        ] {
            let (found, text) = judged(words, image);
            assert!(found == is_final && text.contains(remedy), "{words}: {found} {text}");
        }
    }
}
