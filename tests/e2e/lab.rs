//! An instance and the cloud around it: what stays the same over all the lives of a machine.

use std::cell::Cell;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use ecs_firstrun::rehearse::cloud::{Cloud, CloudOptions, IdentityDouble, ReceivedSignal, Request, Server};

use crate::image::Image;
use crate::machine::{Machine, console_text};

/// CloudFormation's address in the machine's network, unless a scenario puts CloudFormation behind a proxy.
const CLOUDFORMATION: &str = "169.254.169.252";
/// Auto Scaling's address in the machine's network.
const AUTO_SCALING: &str = "169.254.169.251";
/// The addresses of Systems Manager and Secrets Manager in the machine's network.
const SYSTEMS_MANAGER: &str = "169.254.169.250";
const SECRETS_MANAGER: &str = "169.254.169.249";
/// The proxy's address in the machine's network.
pub const PROXY: &str = "169.254.169.253:3128";

/// Drivers that are not needed here: loading them takes a good part of the boot, in software.
const UNUSED_MODULES: &str = "kvm,kvm_amd,ccp,aesni_intel,ghash_clmulni_intel,sha512_ssse3,crct10dif_pclmul,\
    crc32_pclmul,polyval_clmulni,ata_piix,ata_generic,libata,drm,bochs,floppy,psmouse,evdev,button,pcspkr,i2c_piix4,\
    parport_pc,parport,serio_raw,joydev,powernow_k8,qemu_fw_cfg,configfs,fuse";

/// The image of a scenario, and the scenario's own folder for disks and logs.
pub struct Stage<'a> {
    pub image: &'a Image,
    pub folder: PathBuf,
    /// The remark in the table: a figure, or the reason of a failure.
    pub remark: Cell<String>,
}

impl Stage<'_> {
    /// The last lines of the console of the machine's last life.
    pub fn tail(&self, lines: usize) -> String {
        let consoles = (1..).map(|boot| self.console(boot)).take_while(|path| path.exists());
        let Some(path) = consoles.last() else { return String::new() };
        let text = console_text(&path);
        let all: Vec<_> = text.lines().collect();
        let last = all.get(all.len().saturating_sub(lines)..).unwrap_or_default();
        format!("--- {}\n{}", path.display(), last.join("\n"))
    }

    fn console(&self, boot: usize) -> PathBuf {
        self.folder.join(format!("console-{boot}.log"))
    }

    /// Removes all but the logs.
    pub fn remove_disks(&self) {
        let files = std::fs::read_dir(&self.folder).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
        for file in files.filter(|file| file.extension().is_none_or(|kind| kind != "log")) {
            // A file that can't be removed now is removed before the next run.
            let _ = std::fs::remove_file(file);
        }
    }
}

/// An instance, and the cloud around it.
pub struct Lab<'a> {
    stage: &'a Stage<'a>,
    pub cloud: Cloud,
    pub identity: IdentityDouble,
    disk: PathBuf,
    boots: Cell<usize>,
}

/// Settings in which a life of the machine differs from a usual life.
#[derive(Default)]
pub struct Life<'a> {
    /// More arguments of the kernel.
    pub kernel: &'a [&'a str],
    /// Volumes, each with the name in its mapping.
    pub volumes: &'a [(&'a str, &'a Path)],
    /// Disks of the instance store.
    pub instance_store: &'a [PathBuf],
    /// More of QEMU's settings for the volumes.
    pub volume_settings: &'a str,
    /// No network at all.
    pub no_network: bool,
    /// The forward proxy's address on this host; CloudFormation is then reached through it alone.
    pub proxy: Option<&'a str>,
}

impl<'a> Lab<'a> {
    /// An instance that was never booted, with this user data.
    pub fn new(stage: &'a Stage, user_data: impl Into<Vec<u8>>) -> Result<Self> {
        Self::with(stage, CloudOptions { user_data: Some(user_data.into()), ..CloudOptions::default() })
    }

    /// An instance that was never booted, in such a cloud.
    pub fn with(stage: &'a Stage, options: CloudOptions) -> Result<Self> {
        let disk = stage.folder.join("root.qcow2");
        let identity = options.identity.clone();
        let lab = Self { stage, cloud: Cloud::start(options)?, identity, disk, boots: Cell::new(0) };
        lab.replace_root_volume()?;
        Ok(lab)
    }

    /// Gives the instance a root volume that is fresh from the image; all else of it stays.
    pub fn replace_root_volume(&self) -> Result<()> {
        let made = Command::new("qemu-img")
            .args(["create", "-q", "-f", "qcow2", "-F", "raw", "-b"])
            .args([&self.stage.image.disk, &self.disk])
            .status()
            .context("run qemu-img")?;
        ensure!(made.success(), "qemu-img ended with {made}");
        Ok(())
    }

    /// A blank disk.
    pub fn blank_disk(&self, name: &str, megabytes: u64) -> Result<PathBuf> {
        let path = self.stage.folder.join(name);
        File::create(&path)?.set_len(megabytes << 20)?;
        Ok(path)
    }

    /// Switches the machine on and waits until it takes commands.
    pub fn boot(&self, life: &Life) -> Result<Machine> {
        let (arguments, console) = self.life(life);
        Machine::start(&arguments, console)
    }

    /// Switches the machine on, and does not wait for it.
    pub fn power_on(&self, life: &Life) -> Result<Machine> {
        let (arguments, console) = self.life(life);
        Machine::power_on(&arguments, console)
    }

    fn life(&self, life: &Life) -> (Vec<String>, PathBuf) {
        self.boots.set(self.boots.get() + 1);
        let console = self.stage.console(self.boots.get());
        let mut arguments: Vec<String> = self.stage.image.processor.iter().map(|&word| word.to_owned()).collect();
        let mut add = |words: &[&str]| arguments.extend(words.iter().map(|&word| word.to_owned()));
        add(&["-nodefaults", "-display", "none", "-no-reboot", "-m", "1024"]);
        add(&["-serial", &format!("file:{}", console.display())]);
        add(&["-chardev", "stdio,id=shell,signal=off", "-device", "virtio-serial"]);
        add(&["-device", "virtserialport,chardev=shell,name=e2e"]);
        add(&["-kernel", &path(&self.stage.image.kernel)]);
        add(&["-append", &self.kernel_arguments(life)]);
        // cloud-init takes the machine for an EC2 instance by these, and the agent its id from the board's asset tag.
        let uuid = "ec2f0f1e-2d3c-4b5a-6978-8c4e07f6a2d1";
        add(&["-smbios", &format!("type=1,manufacturer=Amazon EC2,product=m7i.large,uuid={uuid},serial={uuid}")]);
        add(&["-smbios", &format!("type=2,asset={}", self.identity.instance_id)]);
        // As on Nitro; and Debian's kernel finds this disk without an initial RAM disk, which saves seconds.
        add(&["-drive", &format!("file={},if=none,format=qcow2,id=root", self.disk.display())]);
        add(&["-device", "nvme,drive=root,serial=root"]);
        for (name, file) in life.volumes {
            let (file, settings) = (file.display(), life.volume_settings);
            add(&["-drive", &format!("file={file},if=none,format=raw,id={name}{settings}")]);
            add(&["-device", &format!("virtio-blk-pci,drive={name},serial={name}")]);
        }
        for (index, file) in life.instance_store.iter().enumerate() {
            add(&["-drive", &format!("file={},if=none,format=raw,id=store{index}", file.display())]);
            add(&["-device", &format!("nvme,drive=store{index},serial=AWS{index}")]);
        }
        if !life.no_network {
            add(&["-device", "virtio-net-pci,netdev=net", "-netdev", &self.network(life)]);
        }
        (arguments, console)
    }

    fn kernel_arguments(&self, life: &Life) -> String {
        let cloudformation = match life.proxy {
            // A name that nobody but the proxy can resolve.
            Some(_) => format!("cloudformation.{}.amazonaws.com", self.identity.region),
            None => CLOUDFORMATION.to_owned(),
        };
        let mut words = vec![
            "console=ttyS0 root=/dev/nvme0n1 rw panic=-1 systemd.log_color=0 net.ifnames=0".to_owned(),
            format!("module_blacklist={UNUSED_MODULES}"),
            format!("systemd.setenv=AWS_ENDPOINT_URL_CLOUDFORMATION=http://{cloudformation}"),
            format!("systemd.setenv=AWS_ENDPOINT_URL_AUTO_SCALING=http://{AUTO_SCALING}"),
            format!("systemd.setenv=AWS_ENDPOINT_URL_SSM=http://{SYSTEMS_MANAGER}"),
            format!("systemd.setenv=AWS_ENDPOINT_URL_SECRETS_MANAGER=http://{SECRETS_MANAGER}"),
            // systemd-networkd-wait-online(8) waits for 120 s unless told; a boot without a network need not.
            format!("systemd.setenv=E2E_NETWORK_TIMEOUT={}", if life.no_network { 15 } else { 120 }),
        ];
        words.extend(life.kernel.iter().map(|&word| word.to_owned()));
        words.join(" ")
    }

    /// The metadata service and the doubles of AWS's services, and nothing else. `cmd:` and not `tcp:`, which carries one connection only.
    fn network(&self, life: &Life) -> String {
        let imds = forward("169.254.169.254:80", &self.cloud.imds_endpoint());
        let other = match life.proxy {
            Some(proxy) => forward(PROXY, proxy),
            None => forward(&format!("{CLOUDFORMATION}:80"), &self.cloud.cloudformation_endpoint()),
        };
        let scaling = forward(&format!("{AUTO_SCALING}:80"), &self.cloud.auto_scaling_endpoint());
        let parameters = forward(&format!("{SYSTEMS_MANAGER}:80"), &self.cloud.ssm_endpoint());
        let secrets = forward(&format!("{SECRETS_MANAGER}:80"), &self.cloud.secrets_manager_endpoint());
        format!("user,id=net,net=169.254.169.0/24,restrict=on,{imds},{other},{scaling},{parameters},{secrets}")
    }

    /// The statuses of the signals that CloudFormation accepted.
    pub fn statuses(&self) -> Vec<String> {
        self.cloud.signals().into_iter().map(|signal| signal.status).collect()
    }

    /// The one signal that CloudFormation accepted; it must be of this instance.
    pub fn only_signal(&self) -> Result<ReceivedSignal> {
        let signals = self.cloud.signals();
        ensure!(signals.len() == 1, "CloudFormation accepted {} signals, not one: {signals:?}", signals.len());
        let signal = signals.into_iter().next().context("a signal")?;
        ensure!(signal.unique_id == self.identity.instance_id, "the signal is that of {}", signal.unique_id);
        Ok(signal)
    }

    /// The requests that a server got.
    pub fn requests(&self, server: Server) -> Vec<Request> {
        self.cloud.requests().into_iter().filter(|request| request.server == server).collect()
    }
}

fn path(path: &Path) -> String {
    path.display().to_string()
}

fn forward(place: &str, endpoint: &str) -> String {
    format!("guestfwd=tcp:{place}-cmd:socat - TCP:{}", endpoint.trim_start_matches("http://"))
}
