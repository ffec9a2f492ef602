//! Endings: that the bytes which came by a data socket are all there are.
//!
//! Raw bytes end with their connection, whether their sender was through or has died. One that says so sends an
//! eventfd(2) along with its reply, and counts it up when all is sent: the receiver, at the end of the bytes, knows which
//! end it is. Neither waits for the other.
//!
//! ```text
//! receiver                      sender
//!   | -- data socket request ---> |
//!   | <------- Reply{OK} -------- | + an eventfd
//!   | <======== raw ============= |
//!   | <----- end of stream ------ |   the eventfd counts: whole; it does not: cut
//! ```

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use prost::Message;
use rustix::event::{EventfdFlags, eventfd};
use tokio::net::UnixStream;

use crate::data;

/// The sender's half.
#[derive(Debug)]
pub struct Teller(OwnedFd);

impl Teller {
    /// Accepts a request whose answer will say that it is whole.
    ///
    /// # Errors
    ///
    /// What eventfd(2) and sendmsg(2) report.
    pub async fn accept(stream: &mut UnixStream, detail: &impl Message) -> io::Result<Self> {
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        data::accept(stream, detail, &[event.as_fd()]).await?;
        Ok(Self(event))
    }

    /// Says that all is sent.
    pub fn is_whole(&self) {
        // An eventfd that nothing was added to takes a one.
        let _ = rustix::io::write(&self.0, &1_u64.to_ne_bytes());
    }
}

/// The receiver's half.
#[derive(Debug)]
pub struct Ending(OwnedFd);

impl Ending {
    /// Takes it from the descriptors that came with a reply.
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

    /// Whether all was sent, once the stream is at its end.
    pub fn is_whole(&self) -> bool {
        rustix::io::read(&self.0, &mut [0; 8]).is_ok()
    }

    /// An error for a stream that is not whole.
    ///
    /// # Errors
    ///
    /// `UnexpectedEof` when its sender has not said that it is.
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
