//! Strays, which belong to no task: shim processes whose bundle is gone, perhaps with a container; bundles without a
//! task; cgroups of bundles that are gone; sockets on which no shim listens.
//!
//! - A shim whose bundle exists is no stray, whether or not the service could take over its task.
//! - A shim without a container that waits for clients to read its last output is no stray: it ends with them.
//! - A repair never ends a running container because something is missing. Fsck reports its shim, and leaves it to
//!   the operator.

mod cgroups;
mod family;

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use gantry_proto::gantry::gc::v1::Stray;
use gantry_rpc::carry;

use crate::bundle::{self, Bundle};
use crate::error::Error;
use crate::recover;
use crate::shim::binary;
use crate::shim::bootstrap::{Bootstrap, Protocol};
use crate::shim::helper::Helper;
use crate::task::Task;
use crate::tasks::{Key, Tasks, last_words};
use family::Process;

/// The name in `/proc/<pid>/comm` of a shim that waits for clients to read its last output.
const FAREWELL: &str = "shim-farewell\n";
/// How old a socket must be to count as a stray.
const SETTLED: Duration = Duration::from_secs(5);

/// A running shim of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Shim {
    process: Process,
    /// The shim's bundle.
    folder: PathBuf,
    /// The shim's socket, if its command line names it.
    socket: Option<PathBuf>,
}

/// Our shims that work in a bundle under `root`. A sandbox's shim is none of them, though it may have started as one.
fn shims(root: &Path) -> Vec<Shim> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let mut found = Vec::new();
    for entry in entries.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // Read first: by the time of the kill the pid may be another process's, and a `Process` names one process.
        let Some(process) = Process::of(pid) else { continue };
        let link = |name: &str| fs::read_link(entry.path().join(name)).ok().map(without_deleted);
        // A process may end while its files are read.
        let (Some(exe), Some(cwd)) = (link("exe"), link("cwd")) else { continue };
        let leaving = fs::read(entry.path().join("comm")).is_ok_and(|name| name == FAREWELL.as_bytes());
        if !binary::is_ours(&exe) || leaving || !is_of_the_host(&entry.path()) {
            continue;
        }
        if is_sandboxs(&cwd) && !cwd.starts_with(root) {
            continue;
        }
        let arguments = arguments(&entry.path());
        let socket = option(&arguments, "-socket").map(PathBuf::from);
        // The working directory is the bundle. When the bundle is deleted under the shim's own mount, only the
        // command line names it.
        let folder =
            if cwd.starts_with(root) { Some(cwd) } else { named_bundle(&arguments, socket.as_deref()) };
        if let Some(folder) = folder.filter(|folder| folder.starts_with(root)) {
            found.push(Shim { process, folder, socket });
        }
    }
    found
}

/// Whether a process is outside of every container. A process in a container can have a shim's name, working
/// directory and arguments, but it has another root or PID namespace, or lacks CAP_SYS_ADMIN in this user namespace.
fn is_of_the_host(process: &Path) -> bool {
    let identity = |path: PathBuf| fs::metadata(path).map(|found| (found.dev(), found.ino())).ok();
    let shared = |name: &&str| identity(process.join(name)) == identity(Path::new("/proc/self").join(name));
    ["root", "ns/pid", "ns/user"].iter().all(shared) && is_administrator(process)
}

/// Whether a process has CAP_SYS_ADMIN (proc_pid_status(5), capabilities(7)).
fn is_administrator(process: &Path) -> bool {
    const SYS_ADMIN: u64 = 1 << 21;
    let status = fs::read_to_string(process.join("status")).unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    effective.and_then(|set| u64::from_str_radix(set.trim(), 16).ok()).is_some_and(|set| set & SYS_ADMIN != 0)
}

/// Whether a directory is a sandbox's bundle, `<run>/sandboxes/<namespace>/<id>`.
fn is_sandboxs(folder: &Path) -> bool {
    folder.parent().and_then(Path::parent).and_then(Path::file_name).is_some_and(|name| name == "sandboxes")
}

/// The bundle of a shim, by its namespace and id, relative to the directory of its socket: `<run>/s/<name>`.
fn named_bundle(arguments: &[String], socket: Option<&Path>) -> Option<PathBuf> {
    let run = socket?.parent()?.parent()?;
    Some(run.join("bundles").join(option(arguments, "-namespace")?).join(option(arguments, "-id")?))
}

fn arguments(process: &Path) -> Vec<String> {
    let line = fs::read(process.join("cmdline")).unwrap_or_default();
    line.split(|byte| *byte == 0).map(|part| String::from_utf8_lossy(part).into_owned()).collect()
}

fn option<'a>(arguments: &'a [String], name: &str) -> Option<&'a str> {
    let at = arguments.iter().position(|argument| argument == name)?;
    arguments.get(at + 1).map(String::as_str)
}

fn without_deleted(path: PathBuf) -> PathBuf {
    match path.to_str().and_then(|text| text.strip_suffix(" (deleted)")) {
        Some(text) => PathBuf::from(text),
        None => path,
    }
}

async fn shims_under(root: PathBuf) -> Vec<Shim> {
    carry::blocking(move || shims(&root)).await.unwrap_or_default()
}

impl Shim {
    /// Kills the shim and its container, and removes the socket, which a killed shim leaves.
    async fn kill(&self) {
        let process = self.process;
        let killed = carry::blocking(move || process.kill_with_descendants()).await;
        if let Some(Err(error)) = killed {
            tracing::warn!(pid = process.pid, %error, "a stray shim cannot be killed");
        }
        // The path is from the command line: only a socket is removed.
        let is_socket =
            |path: &&PathBuf| fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket());
        if let Some(socket) = self.socket.as_ref().filter(is_socket) {
            let _ = fs::remove_file(socket);
        }
    }

    /// Whether a container runs in the shim.
    fn is_in_use(&self) -> bool {
        self.process.has_living_descendants()
    }

    /// Whether the shim's own bundle exists, and not another one of the same path.
    fn has_bundle(&self) -> bool {
        let aside = self.folder.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        let Ok(there) = fs::metadata(&self.folder) else { return false };
        let same = fs::metadata(format!("/proc/{}/cwd", self.process.pid))
            .is_ok_and(|own| (own.dev(), own.ino()) == (there.dev(), there.ino()));
        same && !aside
    }
}

/// Kills our shims whose working directory is exactly this one.
pub async fn kill_shims_in(folder: &Path) {
    for shim in shims_under(folder.to_owned()).await {
        shim.kill().await;
    }
}

/// Whether one of our shims has exactly this working directory, and a container runs in it.
pub async fn runs_in(folder: &Path) -> bool {
    shims_under(folder.to_owned()).await.iter().any(Shim::is_in_use)
}

/// How to reach the shim of a bundle, by the shim's command line.
pub async fn bootstrap_of(bundle: &Bundle) -> Option<Bootstrap> {
    let found = shims_under(bundle.folder().to_owned()).await;
    let socket = found.into_iter().find_map(|shim| shim.socket)?;
    let address = format!("unix://{}", socket.display());
    Some(Bootstrap { version: 3, address, protocol: Protocol::Grpc })
}

/// Removes a bundle without a task, with any shim and container in it.
pub async fn clear(bundle: &Bundle, helper: &Helper) -> Result<(), Error> {
    kill_shims_in(bundle.folder()).await;
    last_words(helper).await;
    bundle.remove()
}

/// Our shims without a task and without a bundle.
async fn stray_shims(tasks: &Tasks) -> Result<Vec<Shim>, Error> {
    let mut found = shims_under(tasks.places().bundles.clone()).await;
    let live = tasks.all();
    found.retain(|shim| !live.iter().any(|task| serves(shim, task)));
    if found.is_empty() {
        return Ok(found);
    }
    // Compared by the socket too: of a group of containers, the first one's bundle may be removed before the others'.
    let named = named_sockets(&tasks.places().bundles)?;
    found.retain(|shim| {
        !shim.has_bundle() && shim.socket.as_ref().is_none_or(|socket| !named.contains(socket))
    });
    Ok(found)
}

/// The sockets of the shims of all bundles, except those of bundles that were set aside.
fn named_sockets(bundles: &Path) -> Result<BTreeSet<PathBuf>, Error> {
    let mut named = BTreeSet::new();
    for found in bundle::scan(bundles)?.into_iter().filter(|found| !found.aside) {
        named.extend(bundle::bootstrap_in(&found.folder)?.map(|bootstrap| PathBuf::from(bootstrap.socket())));
    }
    Ok(named)
}

/// Whether a shim is the one of a task.
fn serves(shim: &Shim, task: &Task) -> bool {
    match &shim.socket {
        // Not compared by the bundle: the bundle is that of the first container of a group, which may be removed
        // before the others' and created anew since the shim was started.
        Some(socket) => socket == task.client().socket(),
        None => shim.folder == task.bundle().folder(),
    }
}

/// Kills our shims without a task and without a container.
pub async fn repair_processes(tasks: &Tasks) {
    let strays = match stray_shims(tasks).await {
        Ok(strays) => strays,
        Err(error) => {
            let error = gantry_rpc::chain(&error);
            tracing::warn!(error, "shims are not told from strays; none is killed");
            return;
        }
    };
    for shim in strays {
        if shim.is_in_use() {
            let bundle = shim.folder.display();
            tracing::warn!(pid = shim.process.pid, %bundle, "a container runs in a shim whose bundle is lost: left alone");
            continue;
        }
        tracing::warn!(pid = shim.process.pid, bundle = %shim.folder.display(), "killed a shim without a task");
        shim.kill().await;
    }
}

/// Lists strays, and removes them when asked to. Skips every task that is being created or removed: its lock is held.
pub async fn check(tasks: &Arc<Tasks>, repair: bool) -> Result<Vec<Stray>, Error> {
    let mut strays = Vec::new();
    for found in bundle::scan(&tasks.places().bundles)? {
        let key = (found.namespace.clone(), found.id.clone());
        let Some(_lock) = tasks.try_lock(&key) else { continue };
        // A bundle that was set aside waits for its event, and is removed when `control` has received it.
        if found.aside || tasks.find(&key).is_some() {
            continue;
        }
        let detail = "a bundle without a task".to_owned();
        let name = found.folder.display().to_string();
        // Recovers the bundle as at the start, which may have failed for a passing reason: its container may run.
        let repaired = repair && recover::one(tasks, found).await.is_ok();
        strays.push(Stray { kind: "directory".into(), name, detail, repaired });
    }
    for shim in stray_shims(tasks).await? {
        let Some(key) = key_of(tasks, &shim) else { continue };
        let Some(_lock) = tasks.try_lock(&key) else { continue };
        // The shim's task may have been taken over since the shim was found.
        if tasks.all().iter().any(|task| serves(&shim, task)) {
            continue;
        }
        let in_use = shim.is_in_use();
        let repaired = repair && !in_use;
        if repaired {
            shim.kill().await;
        }
        let mut detail = format!("a shim without a task, in {}", shim.folder.display());
        if in_use {
            detail.push_str(": a container runs in it, and ends with it");
        }
        strays.push(Stray { kind: "process".into(), name: shim.process.pid.to_string(), detail, repaired });
    }
    let bundles = tasks.places().bundles.clone();
    let lost = carry::blocking(move || cgroups::lost(&bundles)).await.unwrap_or_default();
    for group in lost {
        let Some(_lock) = key_in(tasks, &group.bundle).and_then(|key| tasks.try_lock(&key)) else { continue };
        // The bundle was created anew, or the cgroup removed, since the cgroup was found.
        if group.bundle.exists() || !group.directories.iter().any(|directory| directory.exists()) {
            continue;
        }
        let in_use = group.is_in_use();
        let repaired = repair && !in_use && group.remove().is_ok();
        let mut detail = format!("a cgroup without the bundle {}", group.bundle.display());
        if in_use {
            detail.push_str(": processes are in it, and stay");
        }
        let name = group.directories.first().map(|directory| directory.display().to_string());
        strays.push(Stray { kind: "cgroup".into(), name: name.unwrap_or_default(), detail, repaired });
    }
    for socket in stray_sockets(tasks).await {
        let repaired = repair && fs::remove_file(&socket).is_ok();
        let detail = "a shim's socket on which nobody listens".to_owned();
        strays.push(Stray { kind: "socket".into(), name: socket.display().to_string(), detail, repaired });
    }
    Ok(strays)
}

/// Sockets of our shims on which no shim listens and which are not new.
async fn stray_sockets(tasks: &Tasks) -> Vec<PathBuf> {
    let Some(folder) = tasks.places().bundles.parent().map(|run| run.join("s")) else { return Vec::new() };
    let live: BTreeSet<PathBuf> = tasks.all().iter().map(|task| task.client().socket().to_owned()).collect();
    let mut strays = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        // Between bind(2) and listen(2) a new socket has no listener either.
        let age = entry.metadata().and_then(|meta| meta.modified()).ok().and_then(|made| made.elapsed().ok());
        let path = entry.path();
        if live.contains(&path) || age.is_none_or(|age| age < SETTLED) {
            continue;
        }
        let refused = |error: io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
        if gantry_rpc::socket::connect(&path).await.err().is_some_and(refused) {
            strays.push(path);
        }
    }
    strays
}

/// The key of the task that a shim was started for.
fn key_of(tasks: &Tasks, shim: &Shim) -> Option<Key> {
    key_in(tasks, &shim.folder)
}

/// The key of the task that has, or had, a bundle.
fn key_in(tasks: &Tasks, folder: &Path) -> Option<Key> {
    let inside = folder.strip_prefix(&tasks.places().bundles).ok()?;
    let mut parts = inside.iter().map(|part| part.to_string_lossy().into_owned());
    let (namespace, folder) = (parts.next()?, parts.next()?);
    let id = match folder.strip_prefix('.') {
        Some(aside) => aside.rsplit_once('.').map_or(aside, |(id, _)| id).to_owned(),
        None => folder,
    };
    Some((namespace, id))
}
