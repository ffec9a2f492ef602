//! Notices: that something has changed, and no more.
//!
//! What one service keeps of another's is as good as asking again while no notice has come: the one who changes
//! something gives notice before anybody can see the change, the one who keeps something looks for a notice before it
//! uses it. Neither waits for the other and nobody is woken; a notice and a look are one system call each.
//!
//! ```text
//! receiver                      sender
//!   | -- data socket request ---> |
//!   | <------- Reply{OK} -------- | + an eventfd(2), which is readable after a notice
//!   |                             |
//!   | <---- end of stream ------> |
//! ```

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, PoisonError, RwLock, Weak};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;

use crate::data;

/// Gives notice to its receivers.
#[derive(Debug, Default)]
pub struct Sender {
    events: RwLock<Vec<Weak<OwnedFd>>>,
}

impl Sender {
    /// Gives notice: whoever looks from now on sees it.
    pub fn notify(&self) {
        let events = self.events.read().unwrap_or_else(PoisonError::into_inner);
        for event in events.iter().filter_map(Weak::upgrade) {
            // Fails when the count is at its end: there is a notice then.
            let _ = rustix::io::write(&event, &1_u64.to_ne_bytes());
        }
    }

    /// Accepts a request on a data socket, and gives notice to the one who sent it until it goes away.
    ///
    /// # Errors
    ///
    /// What eventfd(2) and sendmsg(2) report.
    pub async fn serve(&self, mut stream: UnixStream) -> io::Result<()> {
        let event = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        self.add(&event);
        data::accept(&mut stream, &(), &[event.as_fd()]).await?;
        // It has nothing more to say: what comes is the end.
        stream.read(&mut [0]).await.map(drop)
    }

    fn add(&self, event: &Arc<OwnedFd>) {
        let mut events = self.events.write().unwrap_or_else(PoisonError::into_inner);
        events.retain(|event| event.strong_count() > 0);
        events.push(Arc::downgrade(event));
    }
}

/// Sees the notices of a [`Sender`].
#[derive(Debug)]
pub struct Receiver {
    connection: OwnedFd,
    event: OwnedFd,
}

/// What a [`Receiver`] saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// No notice since the last look.
    Nothing,
    /// A notice.
    Notice,
    /// The sender is away: there may have been notices, and more will not come.
    Gone,
}

impl Receiver {
    /// The receiver of what a data socket answered.
    ///
    /// # Errors
    ///
    /// What fcntl(2) reports; `InvalidData` when no eventfd came along.
    pub fn new(connection: UnixStream, descriptors: Vec<OwnedFd>) -> io::Result<Self> {
        let event = descriptors
            .into_iter()
            .next()
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "a reply without an eventfd"))?;
        Ok(Self { connection: connection.into_std()?.into(), event })
    }

    /// Looks whether there was a notice since the last look. Does not block.
    pub fn look(&self) -> Seen {
        let mut both =
            [PollFd::new(&self.event, PollFlags::IN), PollFd::new(&self.connection, PollFlags::IN)];
        match poll(&mut both, Some(&Timespec::default())) {
            Ok(0) => Seen::Nothing,
            Ok(_) if both[1].revents().is_empty() => match rustix::io::read(&self.event, &mut [0; 8]) {
                Ok(_) => Seen::Notice,
                Err(_) => Seen::Gone,
            },
            Ok(_) | Err(_) => Seen::Gone,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sender's receiver, and the task that serves it.
    async fn receiver(sender: &Arc<Sender>) -> (Receiver, tokio::task::JoinHandle<io::Result<()>>) {
        let path = tempfile::tempdir().expect("a directory");
        let path = path.path().join("data.sock");
        let listener = crate::socket::bind(&path, 0o600).expect("bound");
        let sender = Arc::clone(sender);
        let serving = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await?;
            data::receive::<()>(&mut stream).await?;
            sender.serve(stream).await
        });
        let (connection, _, descriptors) = data::call(&path, &()).await.expect("answered");
        (Receiver::new(connection, descriptors).expect("an eventfd"), serving)
    }

    #[tokio::test]
    async fn a_notice_is_seen_once_by_each() {
        let sender = Arc::default();
        let (one, _serving) = receiver(&sender).await;
        assert_eq!(one.look(), Seen::Nothing);
        sender.notify();
        sender.notify();
        let (other, _serving_too) = receiver(&sender).await;
        assert_eq!([one.look(), one.look(), other.look()], [Seen::Notice, Seen::Nothing, Seen::Nothing]);
        sender.notify();
        assert_eq!([one.look(), other.look()], [Seen::Notice; 2]);
    }

    #[tokio::test]
    async fn both_see_the_others_end() {
        let sender = Arc::default();
        let (one, serving) = receiver(&sender).await;
        serving.abort();
        assert!(serving.await.expect_err("aborted").is_cancelled());
        sender.notify();
        assert_eq!([one.look(), one.look()], [Seen::Gone; 2]);

        let (one, serving) = receiver(&sender).await;
        drop(one);
        serving.await.expect("no panic").expect("the end");
        let (_two, _serving) = receiver(&sender).await;
        assert_eq!(sender.events.read().expect("not poisoned").len(), 1);
    }
}
