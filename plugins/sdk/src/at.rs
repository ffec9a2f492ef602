//! The address at which a plugin is served, and how Docker finds it.

use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use gantry_http::Listener;

/// The folder in which Docker looks for sockets.
const SOCKETS: &str = "/run/docker/plugins";

/// An address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum At {
    /// A unix socket, to which only root may connect.
    Socket(PathBuf),
    /// An address from a file (`NAME.spec`). TCP does not identify the caller: use it on loopback, or in a network in
    /// which every machine may call the plugin.
    Specified {
        /// The address to listen on; with port 0 the kernel chooses a port.
        address: SocketAddr,
        /// The file, as `/etc/docker/plugins/NAME.spec`.
        file: PathBuf,
    },
}

/// A file that is removed when the server ends.
pub(crate) struct Taken(PathBuf);

impl Drop for Taken {
    fn drop(&mut self) {
        // An error means that the file is already gone.
        let _ = std::fs::remove_file(&self.0);
    }
}

impl At {
    /// The socket at which Docker finds a plugin of this name.
    pub fn docker(name: &str) -> At {
        At::Socket(Path::new(SOCKETS).join(format!("{name}.sock")))
    }

    pub(crate) async fn listen(&self) -> io::Result<(Listener, Taken)> {
        match self {
            At::Socket(path) => {
                make_parent(path)?;
                if is_served(path).await {
                    let why = format!("{}: another process serves it", path.display());
                    return Err(io::Error::new(io::ErrorKind::AddrInUse, why));
                }
                Ok((Listener::unix(path, 0o600)?, Taken(path.clone())))
            }
            At::Specified { address, file } => {
                let listener = Listener::tcp(*address)?;
                let address = listener.address().expect("a TCP listener has one");
                make_parent(file)?;
                // Written under another name and renamed, because a reader must never see half a file.
                let half = file.with_extension("spec.new");
                std::fs::write(&half, format!("tcp://{address}\n"))?;
                std::fs::rename(&half, file)?;
                Ok((listener, Taken(file.clone())))
            }
        }
    }
}

fn make_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), std::fs::create_dir_all)
}

async fn is_served(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket())
        && tokio::net::UnixStream::connect(path).await.is_ok()
}
