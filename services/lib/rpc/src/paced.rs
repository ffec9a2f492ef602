//! Work at a client's pace: a thread reads or writes a data socket as fast as its client does.
//!
//! A client may be as slow as it likes while no other caller waits for what it holds: a slot of those served at a
//! time ([`Slots`]), or the lock of a change ([`Queue`]). While a caller waits, a client that has not moved a byte
//! for [`PATIENCE`] is dropped.

use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream as StdStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::net::UnixStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How long a client may not move a byte while other callers wait.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// The callers that wait for something. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Queue(Arc<AtomicUsize>);

impl Queue {
    /// Waits in the queue until the guard is dropped.
    pub fn enter(&self) -> Waiting {
        self.0.fetch_add(1, Ordering::Relaxed);
        Waiting(self.clone())
    }

    /// Whether no caller waits.
    pub fn is_empty(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }
}

/// A waiting caller.
#[derive(Debug)]
pub struct Waiting(Queue);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Limits how many clients are served at a time; others wait. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Slots {
    free: Arc<Semaphore>,
    queue: Queue,
}

/// A slot; dropping it frees it.
#[derive(Debug)]
pub struct Slot {
    _permit: OwnedSemaphorePermit,
    queue: Queue,
}

impl Slots {
    /// This many slots.
    pub fn new(count: usize) -> Self {
        Self { free: Arc::new(Semaphore::new(count)), queue: Queue::default() }
    }

    /// Waits for a slot.
    pub async fn take(&self) -> Slot {
        let permit = match Arc::clone(&self.free).try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => {
                let _waiting = self.queue.enter();
                Arc::clone(&self.free).acquire_owned().await.expect("slots are never closed")
            }
        };
        Slot { _permit: permit, queue: self.queue.clone() }
    }
}

/// A data socket for a thread.
#[derive(Debug)]
pub struct Paced {
    stream: StdStream,
    wanted: Vec<Queue>,
    _slot: Slot,
}

impl Paced {
    /// Takes a socket whose client holds a slot.
    ///
    /// # Errors
    ///
    /// What fcntl(2) and setsockopt(2) report.
    pub fn new(stream: UnixStream, slot: Slot) -> io::Result<Self> {
        let stream = stream.into_std()?;
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let wanted = vec![slot.queue.clone()];
        Ok(Self { stream, wanted, _slot: slot })
    }

    /// The client also holds what the callers in `queue` wait for.
    pub fn holding(mut self, queue: Queue) -> Self {
        self.wanted.push(queue);
        self
    }

    /// Returns the socket, for a reply.
    ///
    /// # Errors
    ///
    /// What fcntl(2) and epoll_ctl(2) report.
    pub fn into_stream(self) -> io::Result<UnixStream> {
        self.stream.set_nonblocking(true)?;
        UnixStream::from_std(self.stream)
    }

    /// Sends up to `count` bytes of a file from its position on, by sendfile(2). Returns fewer at the file's end.
    ///
    /// # Errors
    ///
    /// What sendfile(2) reports; `TimedOut` for a client that does not move while other callers wait.
    pub fn send_file(&self, file: impl AsFd, count: u64) -> io::Result<u64> {
        let mut sent = 0;
        while sent < count {
            let portion = usize::try_from(count - sent).unwrap_or(usize::MAX);
            let moved = self.patiently(|| {
                rustix::fs::sendfile(&self.stream, &file, None, portion).map_err(io::Error::from)
            })?;
            if moved == 0 {
                break;
            }
            sent += moved as u64;
        }
        Ok(sent)
    }

    fn patiently<T>(&self, mut step: impl FnMut() -> io::Result<T>) -> io::Result<T> {
        loop {
            match step() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if self.wanted.iter().any(|queue| !queue.is_empty()) {
                        return Err(io::Error::new(
                            io::ErrorKind::TimedOut,
                            format!("no byte moved for {} s, while others wait", PATIENCE.as_secs()),
                        ));
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }
}

impl Read for &Paced {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.patiently(|| (&self.stream).read(buffer))
    }
}

impl Write for &Paced {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.patiently(|| (&self.stream).write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paced(slot: Slot) -> (Paced, UnixStream) {
        let (ours, theirs) = UnixStream::pair().expect("a pair");
        (Paced::new(ours, slot).expect("taken"), theirs)
    }

    #[tokio::test]
    async fn who_stands_still_gives_way_to_who_waits() {
        let slots = Slots::new(1);
        let (stalled, client) = paced(slots.take().await);
        let reading = tokio::task::spawn_blocking(move || (&stalled).read(&mut [0]).expect_err("cut").kind());
        let next = tokio::time::timeout(PATIENCE * 4, slots.take()).await.expect("it gets the slot");
        assert_eq!(reading.await.expect("joined"), io::ErrorKind::TimedOut);
        drop((client, next));
    }

    #[tokio::test]
    async fn a_turn_is_given_up_like_a_slot() {
        let (slots, turn) = (Slots::new(1), Queue::default());
        let (stalled, client) = paced(slots.take().await);
        let stalled = stalled.holding(turn.clone());
        let _waiting = turn.enter();
        let writing = tokio::task::spawn_blocking(move || {
            (&stalled).write_all(&vec![0; 8 << 20]).expect_err("cut").kind()
        });
        assert_eq!(writing.await.expect("joined"), io::ErrorKind::TimedOut);
        drop(client);
    }

    #[tokio::test]
    async fn a_slow_client_that_nobody_waits_for_is_served() {
        use tokio::io::AsyncWriteExt;
        let (slow, mut client) = paced(Slots::new(1).take().await);
        slow.stream.set_read_timeout(Some(Duration::from_millis(1))).expect("set");
        let reading = tokio::task::spawn_blocking(move || {
            let mut text = String::new();
            (&slow).read_to_string(&mut text).map(|_| text)
        });
        tokio::time::sleep(Duration::from_millis(50)).await;
        client.write_all(b"late").await.expect("sent");
        drop(client);
        assert_eq!(reading.await.expect("joined").expect("read"), "late");
    }

    #[tokio::test]
    async fn files_are_sent_as_far_as_they_go() {
        use std::io::Seek;
        let (paced, mut client) = paced(Slots::new(1).take().await);
        let mut file = std::fs::File::from(
            rustix::fs::memfd_create("test", rustix::fs::MemfdFlags::CLOEXEC).expect("a memfd"),
        );
        file.write_all(b"0123456789").expect("written");
        file.seek(io::SeekFrom::Start(2)).expect("a file");
        assert_eq!(paced.send_file(&file, 3).expect("sent"), 3);
        assert_eq!(paced.send_file(&file, 100).expect("sent"), 5);
        drop(paced);
        let mut text = String::new();
        tokio::io::AsyncReadExt::read_to_string(&mut client, &mut text).await.expect("read");
        assert_eq!(text, "23456789");
    }
}
