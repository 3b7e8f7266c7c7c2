//! The hosts and configurations whose runs are disturbed.

use std::path::{Path, PathBuf};

use crate::support::disks::{Loop, Machine, shell};
use crate::support::host::{Ended, Host};
use crate::support::user_data::{COMPLETE, SMALLEST, misspelt};
use crate::tree::{self, Tree};

const PROXY: &str = "proxy: {url: \"http://squid:hunter2@proxy.internal:3128\", no_proxy: [.internal]}\n";
const PROXY_FILE: &str = "/etc/ecs-firstrun/conf.d/70-proxy.yaml";
const EXT4: &str = r#"#ecs-firstrun
signal: {stack: web, resource: Instances}
storage:
  - device: /dev/xvdcy
    filesystem: ext4
    label: docker
    mount: /data
    directories: [{path: public/files, owner: "1000:1001", mode: "2750"}]
docker: {data_root: /data/docker, daemon: {live-restore: true}}
ecs: {cluster: production, tags: {team: payments}}
"#;
const INSTANCE_STORE: &str = r#"#ecs-firstrun
signal: {stack: web, resource: Instances}
logs: {retention_days: 30}
storage: [{device: instance_store, label: scratch, mount: /scratch}]
ecs: {cluster: production}
"#;
/// In MiB, the least that mkfs.xfs takes, and little for ext4.
const XFS_SIZE: u64 = 320;
const EXT4_SIZE: u64 = 64;

/// A configuration to run, and the checks of what it leaves.
pub struct Configuration {
    pub name: &'static str,
    set_up: fn() -> Bench,
    /// The change between the disturbed run and the next.
    pub meanwhile: Option<fn(&Bench)>,
    /// The check of the filesystem on the device.
    check: Option<&'static str>,
}

pub const ALL: &[Configuration] = &[
    Configuration { name: "smallest", set_up: smallest, meanwhile: None, check: None },
    Configuration { name: "complete, xfs", set_up: complete, meanwhile: None, check: Some("xfs_repair -n $DEV") },
    Configuration { name: "proxy, ext4", set_up: proxy_and_ext4, meanwhile: None, check: Some("e2fsck -fn $DEV") },
    Configuration { name: "refused", set_up: refused, meanwhile: None, check: None },
    Configuration { name: "awslogs, store", set_up: awslogs, meanwhile: None, check: Some("xfs_repair -n $DEV") },
    Configuration { name: "script, conf.d", set_up: script, meanwhile: None, check: None },
    Configuration { name: "hooks", set_up: hooks, meanwhile: None, check: None },
    Configuration { name: "references", set_up: references, meanwhile: None, check: None },
    Configuration { name: "pulls", set_up: pulls, meanwhile: None, check: None },
    // The files of an earlier run are removed again.
    Configuration { name: "proxy gone", set_up: proxy_gone, meanwhile: None, check: None },
    // The next run's configuration no longer asks for the files that the disturbed run writes.
    Configuration { name: "other next time", set_up: with_proxy, meanwhile: Some(without_proxy), check: None },
];

/// A host, with its disk.
pub struct Bench {
    pub machine: Machine,
    disk: Option<Loop>,
    variables: Vec<(&'static str, &'static str)>,
    check: Option<&'static str>,
}

impl Configuration {
    pub fn bench(&self) -> Bench {
        Bench { check: self.check, ..(self.set_up)() }
    }
}

impl Bench {
    fn of(machine: Machine) -> Self {
        Bench { machine, disk: None, variables: Vec::new(), check: None }
    }

    fn with_disk(user_data: &str, name: &str, size: u64) -> Self {
        let machine = Machine::of(Host::in_cloud(user_data, |_| {}));
        machine.host.put("/dev/console", "");
        let disk = Loop::of(size);
        machine.attach(name, &disk);
        Bench { disk: Some(disk), ..Bench::of(machine) }
    }

    pub fn host(&self) -> &Host {
        &self.machine.host
    }

    pub fn root(&self) -> &Path {
        &self.host().rehearsal.root
    }

    /// A file beside the host.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.machine.folder().join(name)
    }

    fn surroundings(&self) -> Vec<(&str, &str)> {
        self.variables.iter().copied().chain([("NOTIFY_SOCKET", crate::systemd()), ("RUST_BACKTRACE", "0")]).collect()
    }

    /// Runs to the end, undisturbed.
    pub fn run(&self) -> Ended {
        self.host().run_with(&self.surroundings())
    }

    /// Runs under strace.
    pub fn traced(&self, options: &[String]) -> Ended {
        let options: Vec<_> = options.iter().map(String::as_str).collect();
        self.host().traced_with(&options, &self.surroundings())
    }

    /// The statuses that CloudFormation has accepted.
    pub fn told(&self) -> Vec<String> {
        self.host().rehearsal.cloud.signals().into_iter().map(|told| told.status).collect()
    }

    pub fn tree(&self) -> Tree {
        tree::read(self.root())
    }

    /// Unmounts the filesystem on the device and checks it. Returns the damage, if any.
    pub fn disk_damage(&self) -> Option<String> {
        let (disk, check) = (self.disk.as_ref()?, self.check?);
        // A process that another thread is just starting has a copy of all open files for a moment.
        let busy = (0..50).all(|_| {
            std::thread::sleep(std::time::Duration::from_millis(5));
            !self.machine.unmount()
        });
        if busy {
            return Some("the filesystem can't be unmounted".to_owned());
        }
        let checked = std::panic::catch_unwind(|| shell(check, &disk.node));
        checked.is_err().then(|| format!("the filesystem is not clean: {check}"))
    }

    fn put(&self, path: &str, text: &str) {
        self.host().put(path, text);
    }

    fn remove(&self, path: &str) {
        std::fs::remove_file(self.host().at(path)).unwrap();
    }
}

fn in_cloud(user_data: &str) -> Bench {
    Bench::of(Machine { host: Host::in_cloud(user_data, |_| {}) })
}

fn smallest() -> Bench {
    in_cloud(SMALLEST)
}

fn complete() -> Bench {
    Bench::with_disk(COMPLETE, "xvdcy", XFS_SIZE)
}

/// With the files of the image that a run adds to, in other modes than it would give them.
fn proxy_and_ext4() -> Bench {
    use std::os::unix::fs::PermissionsExt as _;
    let bench = Bench::with_disk(&format!("{EXT4}{PROXY}"), "xvdcy", EXT4_SIZE);
    bench.put("/etc/docker/daemon.json", "{\"log-driver\": \"json-file\"}\n");
    let common = bench.host().at("/opt/aws/amazon-cloudwatch-agent/etc/common-config.toml");
    std::fs::set_permissions(common, std::fs::Permissions::from_mode(0o664)).unwrap();
    bench
}

fn refused() -> Bench {
    in_cloud(&misspelt(COMPLETE))
}

/// An Amazon Linux 2 with awslogs, and an instance store of one disk.
fn awslogs() -> Bench {
    let bench = Bench::with_disk(INSTANCE_STORE, "nvme1n1", XFS_SIZE);
    std::fs::remove_dir_all(bench.host().at("/opt/aws/amazon-cloudwatch-agent")).unwrap();
    bench.remove("/etc/dnf/dnf.conf");
    bench.put("/etc/os-release", "NAME=\"Amazon Linux\"\nID=\"amzn\"\nVERSION_ID=\"2\"\n");
    bench.put("/etc/yum.conf", "[main]\ngpgcheck=1\n");
    bench.put("/usr/sbin/awslogsd", "");
    bench.put("/etc/awslogs/awslogs.conf", "[general]\nstate_file = /var/lib/awslogs/agent-state\n");
    bench.put("/etc/awslogs/awscli.conf", "[plugins]\ncwlogs = cwlogs\n[default]\nregion = us-east-1\n");
    let units = bench.beside("rehearsal/units");
    let known = std::fs::read_to_string(&units).unwrap();
    std::fs::write(units, format!("{known}\nawslogsd.service")).unwrap();
    bench
}

/// A bench in place of the shell original: the user data is a script, which cloud-init runs.
fn script() -> Bench {
    let mut bench = in_cloud("#!/bin/sh\necsfirstrun\n");
    bench.put("/etc/ecs-firstrun/conf.d/10-image.yaml", "logs: {retention_days: 7}\ndocker: {daemon: {debug: true}}\n");
    bench.put("/etc/ecs-firstrun/conf.d/20-team.yaml", "ecs: {attributes: {stack: blue}}\n");
    bench.variables = vec![
        ("ECS_CLUSTER", "production"),
        ("STACK_NAME", "web"),
        ("AUTOSCALING_GROUP", "Instances"),
        ("AWS_DEFAULT_REGION", "eu-central-1"),
    ];
    bench
}

/// Commands that run, at each point of a boot. They do the same however often they run.
fn hooks() -> Bench {
    let hook = |name: &str| format!("[{{name: {name}, run: 'echo {name} >{name}; echo said'}}]");
    let (first, second, third) = (hook("first"), hook("second"), hook("third"));
    let hooks = format!("hooks: {{before_docker: {first}, before_ecs: {second}, after_registration: {third}}}\n");
    let bench = in_cloud(&format!("{SMALLEST}{hooks}"));
    bench.host().rehearsal.programs.run_hooks().unwrap();
    bench
}

/// Values that AWS keeps, each in a file of its own.
fn references() -> Bench {
    let references =
        "proxy: {url: {ssm: /proxy}}\ndocker: {daemon: {log-opts: {splunk-token: {secretsmanager: splunk}}}}\n";
    let host = Host::in_cloud(&format!("{SMALLEST}{references}"), |options| {
        options.iam_role = Some("web-instances".to_owned());
        options.parameters.values = [("/proxy".to_owned(), "http://me:shh@proxy.internal:3128".to_owned())].into();
        options.secrets.values = [("splunk".to_owned(), "shh-of-splunk".to_owned())].into();
    });
    Bench::of(Machine { host })
}

/// Images before the ECS agent, and beside the run. Docker has each however often it is pulled.
fn pulls() -> Bench {
    in_cloud(&format!("{SMALLEST}docker: {{pull: [{{image: nginx, required: true}}, {{image: redis}}]}}\n"))
}

fn with_proxy() -> Bench {
    let bench = smallest();
    bench.put(PROXY_FILE, PROXY);
    bench
}

fn without_proxy(bench: &Bench) {
    bench.remove(PROXY_FILE);
}

fn proxy_gone() -> Bench {
    const DOCKER_FILE: &str = "/etc/ecs-firstrun/conf.d/80-docker.yaml";
    let bench = with_proxy();
    bench.put("/etc/docker/daemon.json", "{\"log-driver\": \"json-file\"}\n");
    bench.put(DOCKER_FILE, "docker: {daemon: {debug: true}}\n");
    let ended = bench.run();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    without_proxy(&bench);
    bench.remove(DOCKER_FILE);
    bench
}
