//! The log of a shim written by others: the FIFO `log` in the bundle. The shim opens it at its start and waits for a
//! reader. (Our shim writes a file instead.)

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

/// Opens the FIFO of the bundle in `folder`; creates it when it is missing. The caller does this before it starts the
/// shim.
pub fn open(folder: &Path) -> Result<pipe::Receiver, Error> {
    let path = folder.join(NAME);
    match rustix::fs::mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(errno) => return Err(Error::io("make", path)(errno.into())),
    }
    // Opened for writing too, so that the FIFO does not end when a writer closes it.
    pipe::OpenOptions::new().read_write(true).open_receiver(&path).map_err(Error::io("open", path))
}

/// Logs what the shim of `container` writes, until `stop`.
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
