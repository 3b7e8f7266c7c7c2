//! The words of Docker and of registries for a pull that fails, and what helps.

use std::fmt;

use crate::aws::denial::Denial;
use crate::aws::ecr::Registry;
use crate::config::types::ImageName;
use crate::secrets::redact;
use crate::text::one_line;

/// The permissions that a pull from Amazon ECR needs.
const PERMISSIONS: &str = "ecr:GetAuthorizationToken, ecr:BatchGetImage and ecr:GetDownloadUrlForLayer";

/// The most bytes of a message that are shown.
const SHOWN: usize = 500;
/// A character that no message has, in the place of the image's name while the message is masked.
const NAME: &str = "\u{1}";

const DOCKER_LOG: &str = "`journalctl -u docker.service` says why";

/// A pull that was refused.
#[derive(Debug, PartialEq)]
pub(super) struct Refusal {
    /// The words of Docker, of the registry or of AWS, as they may be shown.
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

const CAUSES: [(Cause, &[&str]); 8] = [
    (Cause::Processor, &["no matching manifest", "no match for platform"]),
    (Cause::Space, &["no space left on device", "disk quota exceeded"]),
    (Cause::Certificate, &["x509: ", "tls: "]),
    (Cause::Limit, &["toomanyrequests", "429 Too Many Requests", "rate exceeded"]),
    (Cause::Denied, &["denied: permission denied"]),
    (Cause::Host, &["permission denied", "read-only file system"]),
    (
        Cause::Denied,
        &[
            "no basic auth credentials",
            "denied",
            "unauthorized",
            "not authorized",
            "HTTP 403",
            "403 Forbidden",
            "401 Unauthorized",
        ],
    ),
    (Cause::Missing, &["manifest unknown", "name unknown", "not known to registry", "not found", "does not exist"]),
];

impl Refusal {
    /// Judges Docker's own words for a pull.
    pub fn of(words: &str, image: &ImageName) -> Self {
        let cause = cause(words, image);
        let is_final = matches!(cause, Cause::Processor | Cause::Space | Cause::Denied | Cause::Missing);
        let (words, remedy) = (shown(words, image), remedy(cause, words, image));
        Refusal { words, remedy, is_final, is_limit: cause == Cause::Limit }
    }

    /// Judges an error in speaking with Docker, which may be starting, or restarting.
    pub fn of_docker(error: &anyhow::Error, image: &ImageName) -> Self {
        Refusal {
            words: shown(&format!("{error:#}"), image),
            remedy: DOCKER_LOG.to_owned(),
            is_final: false,
            is_limit: false,
        }
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

/// Returns the cause that the words tell. The image's own name tells none.
fn cause(words: &str, image: &ImageName) -> Cause {
    let mut small = words.to_ascii_lowercase();
    // A name of one word, such as `denied`, may stand for itself.
    for name in [image.repository(), image.path()].into_iter().filter(|name| name.contains('/')) {
        small = small.replace(&name.to_ascii_lowercase(), "");
    }
    // Amazon ECR's layers come from Amazon S3, whose refusals are those of the VPC's endpoint.
    let is_of_layers =
        small.contains("403") && ["starport-layer-bucket", "response body"].iter().any(|s| small.contains(s));
    if is_of_layers && Registry::of(image.host()).is_some() {
        return Cause::Layers;
    }
    let fits = |(_, signs): &&(Cause, &[&str])| signs.iter().any(|sign| small.contains(&sign.to_ascii_lowercase()));
    CAUSES.iter().find(fits).map_or(Cause::Way, |(cause, _)| *cause)
}

/// Returns a message in one line that is not too long, without what looks like a secret. A tag behind a name such as `auth` is
/// none.
fn shown(words: &str, image: &ImageName) -> String {
    let listed = image.listed();
    let own = [image.as_str(), &listed].into_iter().find(|name| words.contains(name)).unwrap_or(NAME);
    let text = redact(&words.trim().replace(own, NAME)).replace(NAME, own);
    one_line(&text[..text.floor_char_boundary(SHOWN)])
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
        let refusal = Refusal::of(words, &ImageName::try_from(image.to_owned()).unwrap());
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
            (
                "Get \"https://prod-eu-central-1-starport-layer-bucket.s3.eu-central-1.amazonaws.com/x\": i/o timeout",
                ECR,
                false,
                "eu-central-1.ecr.dkr and for S3",
            ),
            ("error parsing HTTP 403 response body: x", "quay.io/me/app", true, "at quay.io, the image must be public"),
            ("manifest for team/certificate-denied:7 not found", "team/certificate-denied:7", true, "the tag 7"),
            ("failed to fetch oauth token: 403 Forbidden", "ghcr.io/a", true, "at ghcr.io, the image must be public"),
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

    #[test]
    fn words_are_shown_without_secrets_and_with_the_images_tag() {
        let image = ImageName::try_from("r.local/team/auth:7".to_owned()).unwrap();
        for (words, expected) in [
            ("manifest for r.local/team/auth:7 not found", "manifest for r.local/team/auth:7 not found"),
            ("Get https://me:shh@r.local/v2/: EOF", "Get https://***@r.local/v2/: EOF"),
        ] {
            assert_eq!(Refusal::of(words, &image).words, expected);
        }
        assert!(Refusal::of(&"é".repeat(SHOWN), &image).words.len() <= SHOWN);
    }
}
