//! The log of a shim written by others: a FIFO `log` in the bundle, which the
//! shim opens at its start and waits there for a reader. (Ours writes a file.)

use std::io;
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode};
use rustix::io::Errno;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio_util::sync::CancellationToken;

use crate::error::Error;

/// The FIFO's name in a bundle.
const NAME: &str = "log";

/// Opens the FIFO of the bundle in `folder`, making it when it is missing. To be
/// done before the shim is started.
pub fn open(folder: &Path) -> Result<pipe::Receiver, Error> {
    let path = folder.join(NAME);
    match rustix::fs::mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(errno) => return Err(Error::io("make", path)(errno.into())),
    }
    // Open for writing too: it does not end when a writer goes.
    pipe::OpenOptions::new().read_write(true).open_receiver(&path).map_err(Error::io("open", path))
}

/// Passes on what the shim of `container` logs, until `stop`.
pub async fn follow(mut receiver: pipe::Receiver, container: String, stop: CancellationToken) {
    let mut buffer = vec![0; 4096];
    loop {
        match stop.run_until_cancelled(receiver.read(&mut buffer)).await {
            None => return,
            Some(Ok(0)) => return,
            Some(Ok(count)) => {
                for line in String::from_utf8_lossy(&buffer[..count]).lines() {
                    tracing::debug!(container, "shim: {line}");
                }
            }
            Some(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
            Some(Err(error)) => {
                tracing::debug!(container, %error, "shim's log ended");
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[tokio::test]
    async fn a_writer_finds_a_reader() {
        let folder = tempfile::tempdir_in("/dev/shm").unwrap();
        let mut receiver = open(folder.path()).unwrap();
        drop(open(folder.path()).unwrap());
        std::fs::File::options()
            .write(true)
            .open(folder.path().join(NAME))
            .unwrap()
            .write_all(b"hello")
            .unwrap();
        let mut buffer = [0; 5];
        receiver.read_exact(&mut buffer).await.unwrap();
        assert_eq!(&buffer, b"hello");
    }
}
