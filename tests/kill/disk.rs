//! A root volume that takes nothing any more, for real: `/etc` and `/var` are full, or mounted read-only. `/run` is in
//! memory, as on each host.

use crate::configurations::Bench;
use crate::support::disks::shell;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Disk {
    Full,
    ReadOnly,
}

impl Disk {
    pub const ALL: [Disk; 2] = [Disk::Full, Disk::ReadOnly];

    pub fn name(self) -> &'static str {
        self.error().0
    }

    /// Returns the words that the reason of a run must have.
    pub fn words(self) -> Vec<&'static str> {
        vec![self.error().1, self.error().2]
    }

    fn error(self) -> (&'static str, &'static str, &'static str) {
        crate::trials::ERRORS[if self == Disk::Full { 0 } else { 2 }]
    }

    pub fn refuse(self, bench: &Bench) {
        let how = match self {
            Disk::Full => {
                "mount -t tmpfs -o size=256k,mode=755 tmpfs $DEV/new; cp -a $DEV/$part/. $DEV/new; \
                 mount --move $DEV/new $DEV/$part; head -c 1M /dev/zero >$DEV/$part/filler || true"
            }
            Disk::ReadOnly => "mount --bind $DEV/$part $DEV/$part; mount -o remount,ro,bind $DEV/$part",
        };
        each_part(&format!("mkdir $DEV/new; {how}; rmdir $DEV/new"), bench);
    }

    pub fn take_again(self, bench: &Bench) {
        let how = match self {
            Disk::Full => "rm $DEV/$part/filler",
            Disk::ReadOnly => "mount -o remount,rw,bind $DEV/$part",
        };
        each_part(how, bench);
    }
}

fn each_part(command: &str, bench: &Bench) {
    shell(&format!("for part in etc var; do mkdir -p $DEV/$part; {command}; done 2>/dev/null"), bench.root());
}
