//! The two directories from which every path is derived.
//!
//! ```text
//! <state>/<service>/            durable; 0700; `lock` is locked by the process; `refused` says why it does not start
//! <run>/<service>.sock          gRPC
//! <run>/<service>-data.sock     bulk bytes and descriptors
//! <run>/containerd.sock         front socket (control)
//! <run>/docker.sock             Docker API (gateway)
//! <run>/bundles/<ns>/<id>/      one per running task
//! <run>/netns/<id>              pinned network namespaces
//! ```
//!
//! `state` survives a reboot, `run` does not. Any number of Gantries with different directories run side by side.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// The directories of a Gantry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roots {
    /// Durable state.
    pub state: PathBuf,
    /// Sockets, bundles, network namespaces.
    pub run: PathBuf,
}

/// The arguments that choose the roots.
#[derive(Debug, Clone, Default, clap::Args)]
#[group(skip)]
pub struct Arguments {
    /// Keeps state under DIR/state and sockets under DIR/run.
    #[arg(long, value_name = "DIR", env = "GANTRY_ROOT", global = true)]
    pub root: Option<PathBuf>,
    /// Durable state [default: /var/lib/gantry].
    #[arg(long, value_name = "DIR", env = "GANTRY_STATE", global = true)]
    pub state: Option<PathBuf>,
    /// Sockets and running containers [default: /run/gantry].
    #[arg(long, value_name = "DIR", env = "GANTRY_RUN", global = true)]
    pub run: Option<PathBuf>,
}

impl Arguments {
    /// The absolute directories that the arguments name.
    ///
    /// # Errors
    ///
    /// When the working directory cannot be read.
    pub fn resolve(&self) -> io::Result<Roots> {
        let choose = |named: &Option<PathBuf>, leaf: &str, default: &str| {
            let path = match (named, &self.root) {
                (Some(path), _) => path.clone(),
                (None, Some(root)) => root.join(leaf),
                (None, None) => PathBuf::from(default),
            };
            std::path::absolute(path)
        };
        Ok(Roots {
            state: choose(&self.state, "state", "/var/lib/gantry")?,
            run: choose(&self.run, "run", "/run/gantry")?,
        })
    }
}

/// The lock on a service's state directory.
#[derive(Debug)]
pub struct Claim(#[expect(dead_code, reason = "the lock lasts as long as the open file")] File);

impl Roots {
    /// A service's durable directory.
    pub fn state_of(&self, service: &str) -> PathBuf {
        self.state.join(service)
    }

    /// A service's gRPC socket.
    pub fn socket(&self, service: &str) -> PathBuf {
        self.run.join(format!("{service}.sock"))
    }

    /// A service's data socket.
    pub fn data_socket(&self, service: &str) -> PathBuf {
        self.run.join(format!("{service}-data.sock"))
    }

    /// The file with the reason why a service needs an operator's decision.
    pub fn refusal(&self, service: &str) -> PathBuf {
        self.state_of(service).join("refused")
    }

    /// The file by which the operator allows a service to go on without its lost records
    /// (`gantry_disk::Place::give_up`).
    pub fn acceptance(&self, service: &str) -> PathBuf {
        self.state_of(service).join("db.accept")
    }

    /// The file with the result of that; to be read once.
    pub fn repaired(&self, service: &str) -> PathBuf {
        self.state_of(service).join("db.repaired")
    }

    /// Makes the directories and locks the service's own: no other process then opens its database or listens on its
    /// socket.
    ///
    /// # Errors
    ///
    /// `WouldBlock` when another process has the lock; what mkdir(2) reports.
    pub fn claim(&self, service: &str) -> io::Result<Claim> {
        make(&self.state, 0o711)?;
        make(&self.run, 0o711)?;
        let own = self.state_of(service);
        make(&own, 0o700)?;
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(own.join("lock"))?;
        match lock.try_lock() {
            Ok(()) => Ok(Claim(lock)),
            Err(fs::TryLockError::WouldBlock) => Err(io::Error::new(
                io::ErrorKind::WouldBlock,
                format!("another process serves {service} on {}", own.display()),
            )),
            Err(fs::TryLockError::Error(error)) => Err(error),
        }
    }
}

fn make(path: &Path, mode: u32) -> io::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(path)
        .map_err(|error| io::Error::new(error.kind(), format!("make {}: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_root_names_both() {
        let arguments = Arguments { root: Some("/tmp/g".into()), ..Arguments::default() };
        let roots = arguments.resolve().expect("absolute");
        assert_eq!(roots.state_of("content"), Path::new("/tmp/g/state/content"));
        assert_eq!(roots.socket("content"), Path::new("/tmp/g/run/content.sock"));
    }

    #[test]
    fn without_arguments_the_system_s_directories_are_used() {
        let roots = Arguments::default().resolve().expect("absolute");
        assert_eq!(roots.run, Path::new("/run/gantry"));
    }

    #[test]
    fn a_second_claim_is_refused() {
        let root = std::env::temp_dir().join(format!("gantry-claim-{}", std::process::id()));
        let roots = Roots { state: root.join("state"), run: root.join("run") };
        let first = roots.claim("content").expect("free");
        assert_eq!(roots.claim("content").expect_err("held").kind(), io::ErrorKind::WouldBlock);
        drop(first);
        roots.claim("content").expect("free again");
        std::fs::remove_dir_all(root).expect("removed");
    }
}
