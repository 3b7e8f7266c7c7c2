//! Places at which a run is disturbed: each system call of it that changes something, found by strace(1) in an undisturbed run.
//!
//! Only the agent's one thread is traced, so that numbers are its own; what its children do is disturbed by `programs`.

use std::collections::BTreeMap;
use std::path::Path;

/// System calls that may change something. strace ignores a name with `?` if the CPU architecture lacks the call.
const CALLS: &[&str] = &[
    "openat",
    "write",
    "writev",
    "pwrite64",
    "pwritev",
    "ftruncate",
    "fallocate",
    "copy_file_range",
    "sendfile",
    "fsync",
    "fdatasync",
    "sync_file_range",
    "fchmod",
    "chmod",
    "fchmodat",
    "fchown",
    "chown",
    "lchown",
    "fchownat",
    "utimensat",
    "mkdir",
    "mkdirat",
    "rmdir",
    "unlink",
    "unlinkat",
    "rename",
    "renameat",
    "renameat2",
    "link",
    "linkat",
    "symlink",
    "symlinkat",
    "mount",
    "umount2",
    "ioctl",
    "connect",
    "sendto",
    "sendmsg",
    "sendmmsg",
    "fork",
    "vfork",
    "clone",
    "clone3",
];

/// A call to disturb.
#[derive(Clone, Debug)]
pub struct Point {
    pub call: String,
    /// The file below the root; none for a connection, what is sent over it, and the start of a program.
    pub path: Option<String>,
    /// The how manieth such call it is, from 1.
    pub n: usize,
}

impl Point {
    /// The options with which strace brings the effect about.
    pub fn options(&self, root: &Path, effect: &str) -> Vec<String> {
        let Point { call, path, n } = self;
        let mut options =
            vec!["-qq".to_owned(), format!("-etrace={call}"), format!("-einject={call}:{effect}:when={n}")];
        if let Some(path) = path {
            options.extend(["-P".to_owned(), root.join(path).display().to_string()]);
        }
        options
    }
}

impl std::fmt::Display for Point {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let path = self.path.as_ref().map(|path| format!(" of /{path}")).unwrap_or_default();
        write!(f, "{}{path}, N = {}", self.call, self.n)
    }
}

/// The calls of a run that change something, and how many of what other kinds there were.
#[derive(Debug, Default)]
pub struct Counted {
    pub points: Vec<Point>,
    pub left_out: BTreeMap<&'static str, usize>,
}

/// The options of the run that is counted.
pub fn counting(trace: &Path) -> Vec<String> {
    let calls: Vec<_> = CALLS.iter().map(|call| format!("?{call}")).collect();
    let trace = trace.display().to_string();
    ["-qq", "-y", "-s1", "-o", &trace, &format!("-etrace={}", calls.join(","))].map(str::to_owned).to_vec()
}

/// Reads what strace has written.
pub fn counted(trace: &str, root: &Path) -> Counted {
    let mut counted = Counted::default();
    let mut numbers = BTreeMap::new();
    for line in trace.lines() {
        let Some((call, rest)) = line.split_once('(') else { continue };
        let Some((arguments, result)) = rest.rsplit_once(" = ") else { continue };
        let failed = result.starts_with("-1") && !result.contains("EINPROGRESS");
        let place = place(call, arguments, root);
        let mut number = |path: Option<&str>| {
            let number = numbers.entry((call.to_owned(), path.map(str::to_owned))).or_insert(0);
            *number += 1;
            *number
        };
        let everywhere = number(None);
        let (path, n) = match place {
            Place::File(path) => {
                let n = number(Some(&path));
                (Some(path), n)
            }
            Place::Outside => (None, everywhere),
            Place::LeftOut(why) => {
                *counted.left_out.entry(why).or_default() += 1;
                continue;
            }
        };
        if failed {
            *counted.left_out.entry("failed and so changed nothing, as an unlink of what is not there").or_default() +=
                1;
        } else if call == "openat" && !["O_WRONLY", "O_RDWR", "O_CREAT"].iter().any(|flag| arguments.contains(flag)) {
            *counted.left_out.entry("opened a file to read").or_default() += 1;
        } else {
            counted.points.push(Point { call: call.to_owned(), path, n });
        }
    }
    counted
}

/// Tells whether a call has to fail with the error number `error` of `errors`. The first of the calls of one kind on one
/// file fails with each error: a file that is written again and again, as the report is after each step, fails in the same
/// way each time. The other calls, and connections, fail with one error, in turn. Writes to a connection do not fail: by
/// its number alone, such a write can't be told from the runtime's writes to itself, which never fail.
pub fn fails(points: &[Point], index: usize, error: usize, errors: usize) -> bool {
    let point = &points[index];
    let is_same = |other: &Point| (&other.call, &other.path) == (&point.call, &point.path);
    let is_first = point.path.is_some() && !points[..index].iter().any(is_same);
    is_first || (index % errors == error && (point.path.is_some() || point.call != "write"))
}

enum Place {
    File(String),
    Outside,
    LeftOut(&'static str),
}

fn place(call: &str, arguments: &str, root: &Path) -> Place {
    if matches!(call, "connect" | "sendto" | "sendmsg" | "sendmmsg") || call.contains("fork") || call.contains("clone")
    {
        return Place::Outside;
    }
    let descriptor = arguments.split_once('<').filter(|(number, _)| number.parse::<u32>().is_ok());
    let target = match descriptor {
        Some((_, rest)) => rest.split_once('>').map_or(rest, |(target, _)| target),
        None => arguments.split('"').nth(1).unwrap_or_default(),
    };
    if ["socket:", "TCP", "UNIX", "UDP"].iter().any(|kind| target.starts_with(kind)) && call.contains("write") {
        return Place::Outside;
    }
    match Path::new(target).strip_prefix(root) {
        Ok(path) => Place::File(path.display().to_string()),
        Err(_) if target.contains("eventfd") => Place::LeftOut("woke the thread itself (eventfd)"),
        Err(_) => Place::LeftOut("were outside the host: standard error, pipes, files that are read"),
    }
}
