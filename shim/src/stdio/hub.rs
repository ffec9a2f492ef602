//! Attached clients of one process: each gets what it wants of the output from the
//! moment it came, through a bounded queue.
//!
//! A client whose queue is full makes the process wait, but all its life for ten
//! seconds at most; then the client is dropped. The log is never dropped for a client.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// What a client may have queued before the process waits for it.
const QUEUE: usize = 1 << 20;
/// How long a process waits for one client, in all.
const PATIENCE: Duration = Duration::from_millis(if cfg!(test) { 50 } else { 10_000 });

/// An output stream, by its number in Docker's multiplexed frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Stream {
    Stdout = 1,
    Stderr = 2,
}

/// All clients of one process.
#[derive(Default)]
pub struct Hub {
    // Guards the list and the flag; never held across an await.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    clients: Vec<Arc<Client>>,
    ended: bool,
}

/// One attached client's queue.
pub struct Client {
    stdout: bool,
    stderr: bool,
    framed: bool,
    queue: Mutex<Queue>,
    filled: Notify,
    emptied: Notify,
}

#[derive(Default)]
struct Queue {
    bytes: Vec<u8>,
    closed: bool,
    waited: Duration,
}

impl Hub {
    /// Adds a client; none when the output has ended.
    pub fn attach(&self, stdout: bool, stderr: bool, framed: bool) -> Option<Arc<Client>> {
        let mut state = lock(&self.state);
        if state.ended {
            return None;
        }
        let client = Arc::new(Client {
            stdout,
            stderr,
            framed,
            queue: Mutex::default(),
            filled: Notify::new(),
            emptied: Notify::new(),
        });
        state.clients.push(client.clone());
        Some(client)
    }

    /// How many clients there are.
    pub fn attached(&self) -> usize {
        lock(&self.state).clients.len()
    }

    /// Queues `bytes` for who wants `stream`; whether someone's queue is full now.
    #[must_use]
    pub fn publish(&self, stream: Stream, bytes: &[u8]) -> bool {
        let mut full = false;
        lock(&self.state).clients.retain(|client| client.push(stream, bytes, &mut full));
        full
    }

    /// Waits until no queue is full, or drops who takes too long. Both streams may wait for one client.
    pub async fn relief(&self) {
        loop {
            let slow = lock(&self.state).clients.iter().find(|client| client.is_full()).cloned();
            let Some(client) = slow else {
                return;
            };
            let begun = Instant::now();
            let emptied = client.emptied.notified();
            if !client.is_full() {
                continue;
            }
            let left = PATIENCE.saturating_sub(lock(&client.queue).waited);
            let _ = tokio::time::timeout(left, emptied).await;
            let mut queue = lock(&client.queue);
            queue.waited += begun.elapsed();
            if queue.waited >= PATIENCE && queue.bytes.len() > QUEUE {
                queue.closed = true;
                queue.bytes = Vec::new();
                client.filled.notify_one();
            }
        }
    }

    /// The output is over: clients get what is queued, then the end.
    pub fn end(&self) {
        let mut state = lock(&self.state);
        state.ended = true;
        for client in state.clients.drain(..) {
            client.close();
        }
    }

    /// Forgets a client that is gone.
    pub fn detach(&self, client: &Arc<Client>) {
        client.close();
        lock(&self.state).clients.retain(|other| !Arc::ptr_eq(other, client));
    }
}

impl Client {
    /// The next bytes to send, none at the end.
    pub async fn next(&self) -> Option<Vec<u8>> {
        loop {
            let filled = self.filled.notified();
            {
                let mut queue = lock(&self.queue);
                if !queue.bytes.is_empty() {
                    let bytes = std::mem::take(&mut queue.bytes);
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

    /// Ends the client's output after what is queued.
    pub fn close(&self) {
        lock(&self.queue).closed = true;
        self.filled.notify_one();
        self.emptied.notify_waiters();
    }

    fn is_full(&self) -> bool {
        let queue = lock(&self.queue);
        !queue.closed && queue.bytes.len() > QUEUE
    }

    /// False when the client is closed.
    fn push(&self, stream: Stream, bytes: &[u8], full: &mut bool) -> bool {
        let mut queue = lock(&self.queue);
        if queue.closed {
            return false;
        }
        let wanted = match stream {
            Stream::Stdout => self.stdout,
            Stream::Stderr => self.stderr,
        };
        if wanted && !bytes.is_empty() {
            if self.framed {
                queue.bytes.extend_from_slice(&[stream as u8, 0, 0, 0]);
                queue.bytes.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
            }
            queue.bytes.extend_from_slice(bytes);
            *full |= queue.bytes.len() > QUEUE;
            self.filled.notify_one();
        }
        true
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn clients_get_frames_of_what_they_want() {
        let hub = Hub::default();
        assert!(!hub.publish(Stream::Stdout, b"before"));
        let framed = hub.attach(true, false, true).expect("attached");
        let raw = hub.attach(true, true, false).expect("attached");
        assert!(!hub.publish(Stream::Stdout, b"hi"));
        assert!(!hub.publish(Stream::Stderr, b"no"));
        hub.end();
        assert_eq!(framed.next().await.as_deref(), Some(&b"\x01\0\0\0\0\0\0\x02hi"[..]));
        assert_eq!(framed.next().await, None);
        assert_eq!(raw.next().await.as_deref(), Some(&b"hino"[..]));
        assert!(hub.attach(true, true, true).is_none());
    }

    #[tokio::test]
    async fn a_client_that_reads_relieves_both_streams() {
        let hub = Hub::default();
        let client = hub.attach(true, true, true).expect("attached");
        assert!(hub.publish(Stream::Stdout, &vec![0; QUEUE]));
        assert!(hub.publish(Stream::Stderr, b"more"));
        let begun = Instant::now();
        let read = async {
            tokio::task::yield_now().await;
            client.next().await
        };
        let (_, _, bytes) = tokio::join!(hub.relief(), hub.relief(), read);
        assert!(bytes.is_some_and(|bytes| bytes.len() > QUEUE));
        assert!(begun.elapsed() < PATIENCE, "one of them was forgotten");
    }

    #[tokio::test]
    async fn a_client_that_never_reads_is_dropped() {
        let hub = Hub::default();
        let client = hub.attach(true, false, true).expect("attached");
        assert!(hub.publish(Stream::Stdout, &vec![0; QUEUE]));
        let begun = Instant::now();
        hub.relief().await;
        assert!(begun.elapsed() >= PATIENCE);
        assert_eq!(client.next().await, None);
        assert!(!hub.publish(Stream::Stdout, b"more"));
        assert_eq!(hub.attached(), 0);
    }
}
