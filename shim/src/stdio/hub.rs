//! The attached clients of one process. Each client gets the streams that it wants, from the moment it attached,
//! every byte and in order, while it is connected.
//!
//! Output that is not sent yet is kept once for all clients, and is bounded: when a client is a whole [`QUEUE`]
//! behind, the process waits until the client has read or is gone. So a client that does not read stops the process,
//! and with it the log, as with dockerd. After the process's end, the shim takes what is left in the pipes, [`LEFT`]
//! at most, without waiting: the log is then complete and the process can be removed, while clients read the rest.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use prost::bytes::{BufMut, Bytes, BytesMut};
use tokio::sync::Notify;

/// How many bytes a client may be behind before the process waits for it.
const QUEUE: usize = if cfg!(test) { 4 << 10 } else { 1 << 20 };
/// How many bytes pipes and the terminal may hold when a process has ended.
const LEFT: usize = 4 * super::PIPE;
/// The cost in bytes of a short piece beside its content.
const OVERHEAD: usize = 96;
/// Short pieces are sent together up to this many bytes.
const TOGETHER: usize = 64 << 10;

/// An output stream, by its number in Docker's multiplexed frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Stream {
    Stdout = 1,
    Stderr = 2,
}

/// Whether output is sent in Docker's frames; a terminal's output is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    Frames,
    Raw,
}

/// The clients of one process.
pub struct Hub {
    framing: Framing,
    // Guards the list and the state; never held across an await.
    state: Mutex<State>,
    /// A client has read, or is gone.
    emptied: Notify,
}

#[derive(Default)]
struct State {
    clients: Vec<Arc<Client>>,
    /// The process has ended; its output may go on.
    last: bool,
    ended: bool,
}

impl State {
    fn limit(&self) -> usize {
        if self.last { QUEUE + LEFT } else { QUEUE }
    }
}

/// The queue of one attached client.
pub struct Client {
    stdout: bool,
    stderr: bool,
    queue: Mutex<Queue>,
    filled: Notify,
}

#[derive(Default)]
struct Queue {
    pieces: VecDeque<Bytes>,
    size: usize,
    closed: bool,
}

impl Hub {
    /// A hub without clients.
    pub fn new(framing: Framing) -> Self {
        Self { framing, state: Mutex::default(), emptied: Notify::new() }
    }

    /// Adds a client; `None` when the output has ended.
    pub fn attach(&self, stdout: bool, stderr: bool) -> Option<Arc<Client>> {
        let mut state = lock(&self.state);
        if state.ended {
            return None;
        }
        let client = Arc::new(Client { stdout, stderr, queue: Mutex::default(), filled: Notify::new() });
        state.clients.push(client.clone());
        Some(client)
    }

    /// The number of clients.
    pub fn attached(&self) -> usize {
        lock(&self.state).clients.len()
    }

    /// Queues `bytes` for the clients that want `stream`. Returns whether a client is too far behind now.
    #[must_use]
    pub fn publish(&self, stream: Stream, bytes: &[u8]) -> bool {
        let state = lock(&self.state);
        if bytes.is_empty() || !state.clients.iter().any(|client| client.wants(stream)) {
            return false;
        }
        let piece = self.piece(stream, bytes);
        let limit = state.limit();
        let mut behind = false;
        for client in state.clients.iter().filter(|client| client.wants(stream)) {
            behind |= client.push(piece.clone()) > limit;
        }
        behind
    }

    fn piece(&self, stream: Stream, bytes: &[u8]) -> Bytes {
        if self.framing == Framing::Raw {
            return Bytes::copy_from_slice(bytes);
        }
        let mut frame = BytesMut::with_capacity(8 + bytes.len());
        frame.put_slice(&[stream as u8, 0, 0, 0]);
        frame.put_u32(bytes.len() as u32);
        frame.put_slice(bytes);
        frame.freeze()
    }

    /// Waits until no client is too far behind. Both streams may wait for one client.
    pub async fn relief(&self) {
        loop {
            let emptied = self.emptied.notified();
            tokio::pin!(emptied);
            emptied.as_mut().enable();
            {
                let state = lock(&self.state);
                let limit = state.limit();
                if !state.clients.iter().any(|client| lock(&client.queue).size > limit) {
                    return;
                }
            }
            emptied.await;
        }
    }

    /// The process has ended: its remaining output is taken without waiting.
    pub fn last(&self) {
        lock(&self.state).last = true;
        self.emptied.notify_waiters();
    }

    /// Ends the output: clients get what is queued, then the end.
    pub fn end(&self) {
        let mut state = lock(&self.state);
        state.ended = true;
        for client in state.clients.drain(..) {
            client.close();
        }
        self.emptied.notify_waiters();
    }

    /// The next bytes to send to a client; `None` at the end.
    pub async fn next(&self, client: &Client) -> Option<Bytes> {
        loop {
            let filled = client.filled.notified();
            {
                let mut queue = lock(&client.queue);
                if let Some(bytes) = queue.take() {
                    self.emptied.notify_waiters();
                    return Some(bytes);
                }
                if queue.closed {
                    return None;
                }
            }
            filled.await;
        }
    }

    /// Removes a client that is gone, with what is queued for it.
    pub fn detach(&self, client: &Arc<Client>) {
        client.close();
        lock(&self.state).clients.retain(|other| !Arc::ptr_eq(other, client));
        self.emptied.notify_waiters();
    }
}

impl Client {
    /// Ends the client's output after what is queued.
    pub fn close(&self) {
        lock(&self.queue).closed = true;
        self.filled.notify_one();
    }

    fn wants(&self, stream: Stream) -> bool {
        match stream {
            Stream::Stdout => self.stdout,
            Stream::Stderr => self.stderr,
        }
    }

    /// Queues a piece. Returns how far the client is behind then.
    fn push(&self, piece: Bytes) -> usize {
        let mut queue = lock(&self.queue);
        if queue.closed {
            return 0;
        }
        queue.size += OVERHEAD + piece.len();
        queue.pieces.push_back(piece);
        self.filled.notify_one();
        queue.size
    }
}

impl Queue {
    /// The oldest piece, together with short ones that follow.
    fn take(&mut self) -> Option<Bytes> {
        let first = self.pop()?;
        let fits =
            |queue: &Self, length| queue.pieces.front().is_some_and(|next| length + next.len() <= TOGETHER);
        if !fits(self, first.len()) {
            return Some(first);
        }
        let mut together = BytesMut::with_capacity(TOGETHER.min(first.len() + self.size));
        together.put(first);
        while fits(self, together.len()) {
            together.put(self.pop()?);
        }
        Some(together.freeze())
    }

    fn pop(&mut self) -> Option<Bytes> {
        let piece = self.pieces.pop_front()?;
        self.size -= OVERHEAD + piece.len();
        Some(piece)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    async fn all_of(hub: &Hub, client: &Client) -> Vec<u8> {
        let mut all = Vec::new();
        while let Some(bytes) = hub.next(client).await {
            all.extend_from_slice(&bytes);
        }
        all
    }

    #[tokio::test]
    async fn clients_get_frames_of_what_they_want() {
        let hub = Hub::new(Framing::Frames);
        assert!(!hub.publish(Stream::Stdout, b"before"));
        let one = hub.attach(true, false).expect("attached");
        let both = hub.attach(true, true).expect("attached");
        assert!(!hub.publish(Stream::Stdout, b"hi"));
        assert!(!hub.publish(Stream::Stderr, b"no"));
        hub.end();
        assert_eq!(all_of(&hub, &one).await, b"\x01\0\0\0\0\0\0\x02hi");
        assert_eq!(all_of(&hub, &both).await, b"\x01\0\0\0\0\0\0\x02hi\x02\0\0\0\0\0\0\x02no");
        assert!(hub.attach(true, true).is_none());
    }

    #[tokio::test]
    async fn a_client_that_reads_relieves_both_streams() {
        let hub = Hub::new(Framing::Raw);
        let client = hub.attach(true, true).expect("attached");
        assert!(hub.publish(Stream::Stdout, &[0; QUEUE]));
        assert!(hub.publish(Stream::Stderr, b"more"));
        let read = async {
            tokio::task::yield_now().await;
            hub.next(&client).await
        };
        let (_, _, bytes) = tokio::join!(hub.relief(), hub.relief(), read);
        assert!(bytes.is_some_and(|bytes| bytes.len() > QUEUE));
    }

    #[tokio::test]
    async fn a_process_waits_for_its_slowest_client_as_long_as_that_is_there() {
        let hub = Hub::new(Framing::Raw);
        let slow = hub.attach(true, false).expect("attached");
        let quick = hub.attach(true, false).expect("attached");
        assert!(hub.publish(Stream::Stdout, &[1; QUEUE]));
        assert!(hub.next(&quick).await.is_some());
        let waited = tokio::time::timeout(Duration::from_millis(50), hub.relief()).await;
        assert!(waited.is_err(), "it was not waited for");
        let gone = async {
            tokio::task::yield_now().await;
            hub.detach(&slow);
        };
        tokio::join!(hub.relief(), gone);
        assert_eq!(hub.attached(), 1);
    }

    #[tokio::test]
    async fn what_an_ended_process_has_left_is_taken_at_once_and_kept() {
        let hub = Hub::new(Framing::Raw);
        let client = hub.attach(true, false).expect("attached");
        assert!(hub.publish(Stream::Stdout, &[1; QUEUE]));
        let (_, ()) = tokio::join!(hub.relief(), async { hub.last() });
        assert!(!hub.publish(Stream::Stdout, &[2; LEFT / 2]));
        assert!(hub.publish(Stream::Stdout, &[3; LEFT]), "a stray process's output is bounded, too");
        hub.end();
        assert_eq!(all_of(&hub, &client).await.len(), QUEUE + LEFT / 2 + LEFT);
    }
}
