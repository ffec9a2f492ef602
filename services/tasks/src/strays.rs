//! What belongs to no task: shim processes whose bundle is gone, with the container that they
//! may still run; bundles without a task; cgroups of bundles that are gone; sockets on which no shim listens.
//!
//! Invariants: a shim whose bundle is there is no stray, whether its task could be taken over or not. Nor is one
//! that has no container any more and waits for clients who still read what that said: it ends with them. A container that
//! runs is never ended because something is missing: its shim is told of, and is a person's to end.

mod cgroups;
mod family;

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use gantry_proto::gantry::gc::v1::Stray;

use crate::bundle::{self, Bundle};
use crate::error::Error;
use crate::recover;
use crate::shim::binary;
use crate::shim::bootstrap::{Bootstrap, Protocol};
use crate::shim::helper::Helper;
use crate::task::Task;
use crate::tasks::{Key, Tasks, last_words};
use family::Process;

/// The name that such a shim gives itself, in `/proc/<pid>/comm`.
const FAREWELL: &str = "shim-farewell\n";
/// How old a socket is before it is looked at.
const SETTLED: Duration = Duration::from_secs(5);

/// A running shim of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Shim {
    process: Process,
    /// Its bundle.
    folder: PathBuf,
    /// Where it listens, when its command line says so.
    socket: Option<PathBuf>,
}

/// Our shims that work in a bundle under `root`; a sandbox's is not one of them, though it may have started as one.
fn shims(root: &Path) -> Vec<Shim> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let mut found = Vec::new();
    for entry in entries.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // First: what is looked at below may be another's by then, which is not killed for it.
        let Some(process) = Process::of(pid) else { continue };
        let link = |name: &str| fs::read_link(entry.path().join(name)).ok().map(without_deleted);
        // A process may go while it is looked at.
        let (Some(exe), Some(cwd)) = (link("exe"), link("cwd")) else { continue };
        let leaving = fs::read(entry.path().join("comm")).is_ok_and(|name| name == FAREWELL.as_bytes());
        if !binary::is_ours(&exe) || leaving {
            continue;
        }
        if is_sandboxs(&cwd) && !cwd.starts_with(root) {
            continue;
        }
        let arguments = arguments(&entry.path());
        let socket = option(&arguments, "-socket").map(PathBuf::from);
        // The working directory is the bundle; but once that is deleted under the shim's own mount of it,
        // only the command line tells.
        let folder =
            if cwd.starts_with(root) { Some(cwd) } else { named_bundle(&arguments, socket.as_deref()) };
        if let Some(folder) = folder.filter(|folder| folder.starts_with(root)) {
            found.push(Shim { process, folder, socket });
        }
    }
    found
}

/// Whether a folder is a sandbox's bundle, `<run>/sandboxes/<namespace>/<id>`.
fn is_sandboxs(folder: &Path) -> bool {
    folder.parent().and_then(Path::parent).and_then(Path::file_name).is_some_and(|name| name == "sandboxes")
}

/// The bundle of a shim by its namespace and id, beside the folder of its socket: `<run>/s/<name>`.
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
    tokio::task::spawn_blocking(move || shims(&root)).await.unwrap_or_default()
}

impl Shim {
    /// Kills it and its container, and takes away the socket that it cannot take away itself any more.
    async fn kill(&self) {
        let process = self.process;
        let killed = tokio::task::spawn_blocking(move || process.kill_with_descendants()).await;
        if let Ok(Err(error)) = killed {
            tracing::warn!(pid = process.pid, %error, "a stray shim cannot be killed");
        }
        if let Some(socket) = &self.socket {
            let _ = fs::remove_file(socket);
        }
    }

    /// Whether a container runs in it.
    fn is_in_use(&self) -> bool {
        self.process.has_living_descendants()
    }

    /// Whether its own bundle is still there, and not another one that was made in its place.
    fn has_bundle(&self) -> bool {
        let aside = self.folder.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        let Ok(there) = fs::metadata(&self.folder) else { return false };
        let same = fs::metadata(format!("/proc/{}/cwd", self.process.pid))
            .is_ok_and(|own| (own.dev(), own.ino()) == (there.dev(), there.ino()));
        same && !aside
    }
}

/// Kills our shims that work in this very directory.
pub async fn kill_shims_in(folder: &Path) {
    for shim in shims_under(folder.to_owned()).await {
        shim.kill().await;
    }
}

/// Whether a shim of ours works in this very directory, and a container runs in it.
pub async fn runs_in(folder: &Path) -> bool {
    shims_under(folder.to_owned()).await.iter().any(Shim::is_in_use)
}

/// Where the shim of a bundle listens, by its command line.
pub async fn bootstrap_of(bundle: &Bundle) -> Option<Bootstrap> {
    let found = shims_under(bundle.folder().to_owned()).await;
    let socket = found.into_iter().find_map(|shim| shim.socket)?;
    let address = format!("unix://{}", socket.display());
    Some(Bootstrap { version: 3, address, protocol: Protocol::Grpc })
}

/// Removes a bundle that is nobody's task, with the shim and the container that may be in it.
pub async fn clear(bundle: &Bundle, helper: &Helper) -> Result<(), Error> {
    kill_shims_in(bundle.folder()).await;
    last_words(helper).await;
    bundle.remove()
}

/// Our shims that serve no task and have no bundle.
async fn stray_shims(tasks: &Tasks) -> Result<Vec<Shim>, Error> {
    let mut found = shims_under(tasks.places().bundles.clone()).await;
    let live = tasks.all();
    found.retain(|shim| !live.iter().any(|task| serves(shim, task)));
    if found.is_empty() {
        return Ok(found);
    }
    // By the socket too: of a group, the first container's bundle may be gone before others'.
    let named = named_sockets(&tasks.places().bundles)?;
    found.retain(|shim| {
        !shim.has_bundle() && shim.socket.as_ref().is_none_or(|socket| !named.contains(socket))
    });
    Ok(found)
}

/// Where the shims of all bundles listen, but of those on their way out.
fn named_sockets(bundles: &Path) -> Result<BTreeSet<PathBuf>, Error> {
    let mut named = BTreeSet::new();
    for found in bundle::scan(bundles)?.into_iter().filter(|found| !found.aside) {
        named.extend(bundle::bootstrap_in(&found.folder)?.map(|bootstrap| PathBuf::from(bootstrap.socket())));
    }
    Ok(named)
}

/// Whether a shim is that of a task.
fn serves(shim: &Shim, task: &Task) -> bool {
    match &shim.socket {
        // Not by the bundle: it is that of the first container of a group, which may be gone before others,
        // and may have been made anew since a stray was started for it.
        Some(socket) => socket == task.client().socket(),
        None => shim.folder == task.bundle().folder(),
    }
}

/// Kills the shims that serve no task and hold no container.
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

/// Lists strays, and removes them when asked to. What is being made or removed
/// at the moment has its lock held and is left alone.
pub async fn check(tasks: &Arc<Tasks>, repair: bool) -> Result<Vec<Stray>, Error> {
    let mut strays = Vec::new();
    for found in bundle::scan(&tasks.places().bundles)? {
        let key = (found.namespace.clone(), found.id.clone());
        let Some(_lock) = tasks.try_lock(&key) else { continue };
        // One that was set aside waits for its event, and goes when `control` is back.
        if found.aside || tasks.find(&key).is_some() {
            continue;
        }
        let detail = "a bundle without a task".to_owned();
        let name = found.folder.display().to_string();
        // As at the start, which may have failed for a passing reason: its container may run.
        let repaired = repair && recover::one(tasks, found).await.is_ok();
        strays.push(Stray { kind: "directory".into(), name, detail, repaired });
    }
    for shim in stray_shims(tasks).await? {
        let Some(key) = key_of(tasks, &shim) else { continue };
        let Some(_lock) = tasks.try_lock(&key) else { continue };
        // Its task may have come since it was found.
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
    let lost = tokio::task::spawn_blocking(move || cgroups::lost(&bundles)).await.unwrap_or_default();
    for group in lost {
        let Some(_lock) = key_in(tasks, &group.bundle).and_then(|key| tasks.try_lock(&key)) else { continue };
        // Made anew, or set aside, since it was found.
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

/// Sockets of our shims that are not somebody's and not new.
async fn stray_sockets(tasks: &Tasks) -> Vec<PathBuf> {
    let Some(folder) = tasks.places().bundles.parent().map(|run| run.join("s")) else { return Vec::new() };
    let live: BTreeSet<PathBuf> = tasks.all().iter().map(|task| task.client().socket().to_owned()).collect();
    let mut strays = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        // Between bind and listen, nobody listens on a new one either.
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

/// The name of the task that a shim was started for.
fn key_of(tasks: &Tasks, shim: &Shim) -> Option<Key> {
    key_in(tasks, &shim.folder)
}

/// The name of the task that has, or had, a bundle.
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
