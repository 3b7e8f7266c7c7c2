//! Canaries: secrets that tell where they are from, and the search for them in whatever encoding.

use std::path::Path;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::ValueEnum;
use ecs_firstrun::rehearse::cloud::ECR_PASSWORD;

use crate::support::host::{Ended, Tree, tree};

/// The secrets, each by the place that it is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Canary {
    /// The password, and the user, in the URL of `proxy`.
    ProxyPassword,
    ProxyUser,
    /// `ECS_ENGINE_AUTH_DATA` in `ecs.config`.
    EngineAuthData,
    /// The AWS keys in `ecs.config`.
    AccessKeyId,
    SecretAccessKey,
    /// The query of the presigned URL of `signal.wait_handle`.
    WaitHandle,
    /// An option of a log driver in `docker.daemon`.
    DockerToken,
    /// A shell script in another part of the user data.
    ShellPart,
    /// The `#cloud-config` in which our part is embedded.
    CloudConfig,
    /// Settings that somebody else put into the image, for root alone.
    ImageDocker,
    ImageEcs,
    ImageDnf,
    /// The arguments of a hook. Each user of the host can read a command line, so that of systemd-run may have them.
    HookArgument,
    /// The value of each reference, as `rehearse` has it.
    ReferencedValue,
    /// The password in Amazon ECR's token, as `rehearse` has it.
    EcrPassword,
    /// The arguments and the environment of `signal`.
    SignalSecret,
}

/// The files of a host that name the proxy.
const PROXY: [&str; 4] = [
    "etc/ecs/ecs.config",
    "etc/ecs-firstrun/proxy.env",
    "etc/dnf/dnf.conf",
    "opt/aws/amazon-cloudwatch-agent/etc/common-config.toml",
];

/// The state, from which a boot without instance metadata takes the user data.
pub const STATE: &str = "var/lib/ecs-firstrun/state.json";

impl Canary {
    pub fn all() -> &'static [Canary] {
        Self::value_variants()
    }

    /// A word that no encoding changes, and nothing else has.
    fn word(self) -> String {
        match self {
            Self::ReferencedValue => "rehearsal-secret".to_owned(),
            Self::EcrPassword => ECR_PASSWORD.to_owned(),
            _ => format!("{self:?}Canary"),
        }
    }

    /// The secret: characters that are written differently in URLs, in JSON, in YAML and in a shell, between two words that
    /// are not. So an escaped or cut one is found by either.
    pub fn text(self) -> String {
        format!("{}A@/%:\"{}B", self.word(), self.word())
    }

    /// The secret as it stands in a URL.
    pub fn in_url(self) -> String {
        percent_encoding::utf8_percent_encode(&self.text(), percent_encoding::NON_ALPHANUMERIC).to_string()
    }

    /// The secret as it stands between double quotes, of JSON and YAML.
    pub fn quoted(self) -> String {
        self.text().replace('"', "\\\"")
    }

    /// The files of a host that are there to hold it, once a run has been through with the user data.
    pub fn files(self) -> &'static [&'static str] {
        match self {
            Self::ProxyPassword | Self::ProxyUser => &PROXY,
            Self::EngineAuthData | Self::AccessKeyId | Self::SecretAccessKey => &["etc/ecs/ecs.config"],
            Self::DockerToken => &["etc/docker/daemon.json"],
            Self::ReferencedValue => &["etc/docker/daemon.json", "etc/ecs/ecs.config"],
            Self::ImageDocker => &["etc/docker/daemon.json", "var/lib/ecs-firstrun/image/daemon.json"],
            Self::ImageEcs => &["etc/ecs/ecs.config"],
            Self::ImageDnf => &["etc/dnf/dnf.conf"],
            Self::WaitHandle
            | Self::ShellPart
            | Self::CloudConfig
            | Self::HookArgument
            | Self::EcrPassword
            | Self::SignalSecret => &[],
        }
    }

    /// Tells whether the canary belongs to the user data, which the state keeps.
    fn is_of_user_data(self) -> bool {
        !matches!(
            self,
            Self::ImageDocker
                | Self::ImageEcs
                | Self::ImageDnf
                | Self::ReferencedValue
                | Self::EcrPassword
                | Self::SignalSecret
        )
    }

    /// The canaries that these bytes show: as they are (in whatever case), in base64 at any offset, in hexadecimal, or as `{:?}`
    /// shows bytes.
    pub fn shown_in(bytes: &[u8]) -> Vec<Canary> {
        static FORMS: LazyLock<Vec<(Canary, Forms)>> =
            LazyLock::new(|| Canary::all().iter().map(|canary| (*canary, Forms::of(&canary.word()))).collect());
        let text = String::from_utf8_lossy(bytes);
        let (lower, dense) = (text.to_lowercase(), text.replace([' ', '\n', '\r'], ""));
        let is_shown = |forms: &Forms| {
            forms.in_lower_case.iter().any(|form| lower.contains(form))
                || forms.base64.iter().any(|form| dense.contains(form))
        };
        FORMS.iter().filter(|(_, forms)| is_shown(forms)).map(|(canary, _)| *canary).collect()
    }
}

/// The encoded forms of a word.
struct Forms {
    in_lower_case: [String; 3],
    base64: [String; 3],
}

impl Forms {
    fn of(word: &str) -> Self {
        let hex = word.bytes().map(|byte| format!("{byte:02x}")).collect();
        let numbers = word.bytes().map(|byte| byte.to_string()).collect::<Vec<_>>().join(", ");
        Forms { in_lower_case: [word.to_lowercase(), hex, numbers], base64: in_base64(word) }
    }
}

/// Returns the base64 digits that depend on the word alone, for each of its three offsets in a text.
fn in_base64(word: &str) -> [String; 3] {
    [0, 1, 2].map(|offset| {
        let encoded = STANDARD.encode(format!("{}{word}", "x".repeat(offset)));
        let digits = encoded.trim_end_matches('=');
        let (first, last) = ([0, 2, 3][offset], digits.len() - usize::from(!(offset + word.len()).is_multiple_of(3)));
        digits[first..last].to_owned()
    })
}

/// The files of a host, but for its disks.
pub fn files(root: &Path) -> Tree {
    let mut files = tree(root);
    files.retain(|path, _| !path.starts_with("dev/xvd"));
    files
}

/// The canaries that were found in the texts searched so far.
#[derive(Default)]
pub struct Seen {
    found: Vec<String>,
}

impl Seen {
    /// Searches a text that everybody may see.
    pub fn open(&mut self, place: &str, bytes: impl AsRef<[u8]>) {
        self.but(place, bytes, &[]);
    }

    /// Searches a text that may have these canaries in it, and no others.
    pub fn but(&mut self, place: &str, bytes: impl AsRef<[u8]>, may_have: &[Canary]) {
        let bytes = bytes.as_ref();
        for canary in Canary::shown_in(bytes).into_iter().filter(|canary| !may_have.contains(canary)) {
            let word = canary.word().to_lowercase();
            let text = String::from_utf8_lossy(bytes).into_owned();
            let line = text.lines().find(|line| line.to_lowercase().contains(&word)).unwrap_or("encoded");
            self.found.push(format!("{canary:?} in {place}: {line:.300}"));
        }
    }

    /// Searches the output of a command.
    pub fn ended(&mut self, place: &str, ended: &Ended) {
        self.open(&format!("{place}, standard output"), &ended.stdout);
        self.open(&format!("{place}, standard error"), &ended.stderr);
    }

    /// Searches the files of a host. Each canary may be in its own files only, and these must be readable by root alone.
    pub fn tree(&mut self, place: &str, root: &Tree) {
        for (path, (mode, bytes)) in root {
            let may_have = |canary: &Canary| {
                canary.files().contains(&path.as_str()) || (path == STATE && canary.is_of_user_data())
            };
            let may_have: Vec<_> = Canary::all().iter().copied().filter(may_have).collect();
            self.but(&format!("{place}, /{path}"), bytes, &may_have);
            if mode & 0o177 != 0 && !Canary::shown_in(bytes).is_empty() {
                self.found.push(format!("{place}: /{path} holds a secret, and has mode {mode:04o}"));
            }
        }
    }

    /// Fails with all that was found.
    pub fn assert_nothing(self) {
        assert!(self.found.is_empty(), "{} leaks\n{}", self.found.len(), self.found.join("\n"));
    }
}

/// The canaries are in all the files that are there for them: what is not there is not looked for in vain.
pub fn assert_kept(root: &Tree, canaries: &[Canary]) {
    for canary in canaries {
        for path in canary.files() {
            let (_, bytes) = root.get(*path).unwrap_or_else(|| panic!("there is no /{path}"));
            assert!(Canary::shown_in(bytes).contains(canary), "{canary:?} is not in /{path}");
        }
    }
}

#[test]
fn a_canary_is_found_in_every_encoding() {
    let canary = Canary::ShellPart;
    let text = canary.text();
    let cut = format!("a{}", &text[text.len() / 2 - 2..]);
    let is_found = |shown: &str| Canary::shown_in(shown.as_bytes()) == [canary];
    for shown in [&text, &canary.in_url(), &canary.quoted(), &cut, &format!("{text:?}")] {
        assert!(is_found(shown) && is_found(&shown.to_uppercase()), "{shown}");
        for before in ["", "u:", "user", "users"] {
            let encoded = STANDARD.encode(format!("{before}{shown}{before}"));
            assert!(is_found(&encoded), "{before} {shown} {encoded}");
        }
    }
    assert!(is_found(&format!("{:?}", text.as_bytes())));
    assert_eq!(Canary::shown_in(b"ShellPart Canary"), []);
}
