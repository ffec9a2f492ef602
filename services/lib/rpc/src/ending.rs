//! Endings: whether the bytes on a data socket are complete.
//!
//! Raw bytes end with their connection, whether the sender has sent all of them or has died. A sender that can tell
//! passes an eventfd(2) with its reply, and signals it when all bytes are sent. At the end of the bytes, the receiver
//! checks the eventfd. Neither waits for the other.
//!
//! ```text
//! receiver                      sender
//!   | -- data socket request ---> |
//!   | <------- Reply{OK} -------- | + an eventfd
//!   | <======== raw ============= |
//!   | <----- end of stream ------ |   the eventfd is signalled: complete; it is not: truncated
//! ```

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use prost::Message;
use rustix::event::{EventfdFlags, eventfd};
use tokio::net::UnixStream;

use crate::data;

/// The sender's end.
#[derive(Debug)]
pub struct Teller(OwnedFd);

impl Teller {
    /// Accepts a request; the reply carries the eventfd.
    ///
    /// # Errors
    ///
    /// What eventfd(2) and sendmsg(2) report.
    pub async fn accept(stream: &mut UnixStream, detail: &impl Message) -> io::Result<Self> {
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        data::accept(stream, detail, &[event.as_fd()]).await?;
        Ok(Self(event))
    }

    /// Signals that all bytes are sent.
    pub fn is_whole(&self) {
        // Adding one to an eventfd at zero does not fail.
        let _ = rustix::io::write(&self.0, &1_u64.to_ne_bytes());
    }
}

/// The receiver's end.
#[derive(Debug)]
pub struct Ending(OwnedFd);

impl Ending {
    /// Takes the eventfd from the descriptors of a reply.
    ///
    /// # Errors
    ///
    /// `InvalidData` when there is none.
    pub fn of(descriptors: Vec<OwnedFd>) -> io::Result<Self> {
        let event = descriptors.into_iter().next();
        event
            .map(Self)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "a reply without an eventfd"))
    }

    /// Whether all bytes were sent. To be called at the end of the stream.
    pub fn is_whole(&self) -> bool {
        rustix::io::read(&self.0, &mut [0; 8]).is_ok()
    }

    /// Returns an error when the stream was truncated.
    ///
    /// # Errors
    ///
    /// `UnexpectedEof` when its sender did not signal the end.
    pub fn check(&self) -> io::Result<()> {
        if self.is_whole() { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    async fn received(whole: bool) -> (String, bool) {
        let path = tempfile::tempdir().expect("a directory");
        let path = path.path().join("data.sock");
        let listener = crate::socket::bind(&path, 0o600).expect("bound");
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await?;
            data::receive::<()>(&mut stream).await?;
            let teller = Teller::accept(&mut stream, &()).await?;
            stream.write_all(b"bytes").await?;
            if whole {
                teller.is_whole();
            }
            io::Result::Ok(())
        });
        let (mut stream, _, descriptors) = data::call(&path, &()).await.expect("answered");
        let ending = Ending::of(descriptors).expect("an eventfd");
        let mut text = String::new();
        stream.read_to_string(&mut text).await.expect("read");
        (text, ending.check().is_ok())
    }

    #[tokio::test]
    async fn the_end_of_all_is_told_from_that_of_the_sender() {
        assert_eq!(received(true).await, ("bytes".to_owned(), true));
        assert_eq!(received(false).await, ("bytes".to_owned(), false));
    }
}
