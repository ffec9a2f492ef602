//! `start`: binds the shim's socket, starts the shim with it, and prints the address.
//!
//! One shim serves all containers of a group (a pod). A further `start` of the group prints the address of the
//! running shim.
//!
//! ```text
//! <run>/s/<hash>.sock       the socket
//! <bundle>/address          the socket's address alone: written before the socket is bound
//! <bundle>/bootstrap.json   the answer
//! <bundle>/shim.log         the shim's stderr
//! ```
//!
//! The address is written first, so that `delete` finds the socket of an interrupted start too.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use gantry_cgroup::{Cgroup, v1};
use gantry_failpoint::failpoint;
use gantry_proto::containerd::runc::v1::Options;
use gantry_proto::containerd::runtime::bootstrap::v1::{BootstrapParams, BootstrapResult};
use prost::Message;
use serde::Deserialize;

use super::Flags;
use crate::error::{Error, Result};

/// The annotations that put containers into one shim; the first one that a spec has counts.
const GROUPS: [&str; 2] = ["io.containerd.runc.v2.group", "io.kubernetes.cri.sandbox-id"];

/// The protocol of the daemon's request and of the answer.
enum Style {
    /// containerd up to 2.2: options or nothing on stdin.
    Json,
    /// containerd from 2.3: `BootstrapParams` on stdin.
    Protobuf(Box<BootstrapParams>),
}

impl Style {
    fn of(input: &[u8], flags: &Flags) -> Self {
        // Options in an `Any` decode as `BootstrapParams` too: the type URL, the first field, would be the instance.
        match BootstrapParams::decode(input) {
            Ok(params) if !input.is_empty() && params.instance_id == flags.id => {
                Self::Protobuf(Box::new(params))
            }
            _ => Self::Json,
        }
    }
}

/// Starts the shim, unless the shim of the group runs. Returns the answer for stdout.
pub fn start(flags: &Flags, input: &[u8]) -> Result<Vec<u8>> {
    let bundle = std::env::current_dir().map_err(Error::io("find", "bundle"))?;
    let style = Style::of(input, flags);
    let asked = match &style {
        Style::Protobuf(params) => params.socket_dir.clone().filter(|path| !path.is_empty()),
        Style::Json => None,
    };
    let directory = asked.map_or_else(|| socket_directory(&bundle), PathBuf::from);
    if let Style::Json = style {
        join_cgroup(input)?;
    }
    fs::create_dir_all(&directory).map_err(Error::io("create", &directory))?;
    let group = group(&bundle, &flags.id);
    let _one_of_a_group_at_a_time = (group != flags.id).then(|| lock(&directory)).transpose()?;
    let socket = directory.join(socket_name(&directory, &flags.namespace, &group));
    let address = format!("unix://{}", socket.display());
    write(&bundle.join("address"), &address)?;
    let running = UnixStream::connect(&socket).ok();
    let shared = group != flags.id || bundle.join("bootstrap.json").exists();
    match running {
        // The shim serves this bundle already, or another one of the group.
        Some(_) if shared => {}
        Some(stale) => {
            end(&stale);
            launch(flags, &bundle, &socket)?;
        }
        None => launch(flags, &bundle, &socket)?,
    }
    failpoint!("shim.launch.started");
    // The shim's socket takes both protocols. A daemon with an address for events is containerd, which works with
    // ttrpc only (see `server::ttrpc`).
    let protocol = if std::env::var_os("TTRPC_ADDRESS").is_some() { "ttrpc" } else { "grpc" };
    let json = serde_json::json!({"version": 3, "address": address, "protocol": protocol}).to_string();
    write(&bundle.join("bootstrap.json"), &json)?;
    Ok(match style {
        Style::Json => json.into_bytes(),
        Style::Protobuf(_) => {
            BootstrapResult { version: 3, address, protocol: protocol.into(), ..Default::default() }
                .encode_to_vec()
        }
    })
}

/// Moves this process into the cgroup that the options name for the shim, so that the shim is born there. The cgroup
/// must exist.
fn join_cgroup(options: &[u8]) -> Result<()> {
    let options = prost_types::Any::decode(options).ok();
    let options = options.and_then(|any| gantry_proto::unpack::<Options>(&any)).and_then(Result::ok);
    let Some(path) = options.map(|options| options.shim_cgroup).filter(|path| !path.is_empty()) else {
        return Ok(());
    };
    let cgroup = Cgroup::at(&path);
    if cgroup.directories().is_empty() {
        return Err(Error::InvalidArgument(format!("cgroup {path} of the shim does not exist")));
    }
    for directory in cgroup.directories() {
        v1::join_directory(directory).map_err(Error::io("join", directory))?;
    }
    Ok(())
}

/// Locks the directory of the sockets until the file is dropped. Without the lock, a second `start` that finds no
/// shim on the group's socket would remove the socket of the shim that the first one is starting.
fn lock(directory: &Path) -> Result<File> {
    let held = File::open(directory).map_err(Error::io("open", directory))?;
    held.lock().map_err(Error::io("lock", directory))?;
    Ok(held)
}

/// Ends the shim of an earlier bundle of the same name, which is gone.
fn end(stale: &UnixStream) {
    // The shim has called listen(2) itself, so it is the peer.
    if let Ok(peer) = rustix::net::sockopt::socket_peercred(stale) {
        let _ = rustix::process::kill_process(peer.pid, rustix::process::Signal::KILL);
    }
}

fn launch(flags: &Flags, bundle: &Path, socket: &Path) -> Result<()> {
    let log = OpenOptions::new()
        .append(true)
        .create(true)
        .open(bundle.join("shim.log"))
        .map_err(Error::io("open", bundle.join("shim.log")))?;
    let own = std::env::current_exe().map_err(Error::io("find", "own binary"))?;
    // No process listens on the socket: it is a dead shim's.
    let _ = fs::remove_file(socket);
    let listener = UnixListener::bind(socket).map_err(Error::io("bind", socket))?;
    failpoint!("shim.launch.bound");
    // The listener is the shim's stdin; the shim starts a session of its own. This process does not wait for the
    // shim: its parent, or a subreaper, inherits it.
    let started = Command::new(&own)
        .arg("serve")
        .args(["-namespace", &flags.namespace, "-id", &flags.id])
        .arg("-socket")
        .arg(socket)
        .stdin(Stdio::from(OwnedFd::from(listener)))
        .stdout(Stdio::null())
        .stderr(Stdio::from(log))
        .spawn();
    match started {
        Ok(_) => Ok(()),
        Err(error) => {
            let _ = fs::remove_file(socket);
            Err(Error::io("start", own)(error))
        }
    }
}

/// The directory of the sockets: `<run>/s` for a bundle `<run>/bundles/<namespace>/<id>` or a sandbox's below
/// `<run>/sandboxes`; containerd's directory for any other bundle.
pub fn socket_directory(bundle: &Path) -> PathBuf {
    let bundles = bundle.parent().and_then(Path::parent);
    let ours = |bundles: &&Path| bundles.ends_with("bundles") || bundles.ends_with("sandboxes");
    match bundles.filter(ours).and_then(Path::parent) {
        Some(run) => run.join("s"),
        None => PathBuf::from("/run/containerd/s"),
    }
}

fn socket_name(directory: &Path, namespace: &str, group: &str) -> String {
    // FNV-1a with 128 bits: short, and the same in every version of this program.
    let mut hash: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    for part in [directory.to_string_lossy().as_ref(), namespace, group] {
        for byte in part.bytes().chain([0]) {
            hash ^= u128::from(byte);
            hash = hash.wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
        }
    }
    format!("{hash:032x}.sock")
}

/// The group of the bundle's container; the container's own id when it has no group.
fn group(bundle: &Path, id: &str) -> String {
    #[derive(Default, Deserialize)]
    struct Annotated {
        #[serde(default)]
        annotations: Option<HashMap<String, String>>,
    }
    let annotations = File::open(bundle.join("config.json"))
        .ok()
        .and_then(|file| serde_json::from_reader::<_, Annotated>(std::io::BufReader::new(file)).ok())
        .and_then(|spec| spec.annotations)
        .unwrap_or_default();
    let named = GROUPS.iter().find_map(|name| annotations.get(*name));
    named.cloned().unwrap_or_else(|| id.to_string())
}

fn write(path: &Path, text: &str) -> Result<()> {
    let temporary = path.with_extension("new");
    fs::write(&temporary, text).and_then(|()| fs::rename(&temporary, path)).map_err(Error::io("write", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_lie_beside_gantrys_bundles() {
        assert_eq!(socket_directory(Path::new("/run/gantry/bundles/moby/x")), PathBuf::from("/run/gantry/s"));
        assert_eq!(socket_directory(Path::new("/run/gantry/sandboxes/ns/x")), PathBuf::from("/run/gantry/s"));
        assert_eq!(
            socket_directory(Path::new("/run/containerd/io.containerd.runtime.v2.task/k8s.io/x")),
            PathBuf::from("/run/containerd/s")
        );
    }

    #[test]
    fn options_are_not_taken_for_parameters() {
        let flags = Flags { id: "x".into(), ..Flags::default() };
        let options = prost_types::Any { type_url: "containerd.runc.v1.Options".into(), value: vec![1, 2] };
        assert!(matches!(Style::of(&options.encode_to_vec(), &flags), Style::Json));
        assert!(matches!(Style::of(&[], &flags), Style::Json));
        let params = BootstrapParams { instance_id: "x".into(), ..Default::default() };
        assert!(matches!(Style::of(&params.encode_to_vec(), &flags), Style::Protobuf(_)));
    }

    #[test]
    fn names_differ_by_every_part() {
        let name = |directory: &str, namespace, id| socket_name(Path::new(directory), namespace, id);
        let base = name("/r/s", "ns", "a");
        assert_eq!(base.len(), 37);
        for other in [name("/q/s", "ns", "a"), name("/r/s", "n", "sa"), name("/r/s", "ns", "b")] {
            assert_ne!(base, other);
        }
    }
}
