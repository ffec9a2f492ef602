//! Whether a peer is alive, as far as its calls that last ask for it.
//!
//! A process that is stopped, or so stuck that nothing in it runs, has its connections open and never answers. While calls
//! wait that may rightly last, the peer is sent a PING now and then (RFC 9113, 6.7), which is answered beside all that it
//! does; if it is not, the connection ends, and all its calls. A connection without such calls sends none.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use h2::client::Connection;
use h2::{Ping, PingPong};
use tokio::sync::watch;

use crate::stream::Stream;

/// The time between two PINGs, and before the first.
const INTERVAL: Duration = Duration::from_millis(if cfg!(test) { 20 } else { 10_000 });
/// How long a PING's answer may take: more than it does on the most loaded of machines.
const PATIENCE: Duration = Duration::from_millis(if cfg!(test) { 200 } else { 10_000 });

/// The pulse of a connection.
#[derive(Debug, Default)]
pub(super) struct Pulse {
    /// How many calls want to know.
    calls: watch::Sender<usize>,
    silent: AtomicBool,
}

/// One of the calls that want to know.
#[derive(Debug)]
pub(super) struct Held(Arc<Pulse>);

/// Why a connection was given up.
#[derive(Debug)]
pub(super) struct Silence;

impl Pulse {
    /// Wants to know until the guard is dropped.
    pub(super) fn hold(self: &Arc<Self>) -> Held {
        self.calls.send_modify(|calls| *calls += 1);
        Held(Arc::clone(self))
    }

    /// Whether the peer was given up.
    pub(super) fn is_silent(&self) -> bool {
        self.silent.load(Ordering::Relaxed)
    }

    /// Returns when the peer has fallen silent.
    async fn lost(&self, mut pings: PingPong) {
        let mut calls = self.calls.subscribe();
        loop {
            // The sender is this pulse's.
            let _ = calls.wait_for(|calls| *calls > 0).await;
            tokio::time::sleep(INTERVAL).await;
            if *calls.borrow_and_update() == 0 {
                continue;
            }
            match tokio::time::timeout(PATIENCE, pings.ping(Ping::opaque())).await {
                Ok(Ok(_)) => {}
                // The connection itself says what is wrong with it.
                Ok(Err(_)) => std::future::pending().await,
                Err(_) => return,
            }
        }
    }
}

impl Held {
    /// Returns when the peer has fallen silent.
    pub(super) async fn silence(&self) {
        let mut calls = self.0.calls.subscribe();
        // Told by another change than of the count; the sender is this pulse's.
        let _ = calls.wait_for(|_| self.0.is_silent()).await;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.calls.send_modify(|calls| *calls -= 1);
    }
}

impl fmt::Display for Silence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "it has not answered for {} seconds", PATIENCE.as_secs())
    }
}

impl std::error::Error for Silence {}

/// Carries a connection to its end.
pub(super) async fn drive(mut connection: Connection<Stream, Bytes>, pulse: Arc<Pulse>) {
    let Some(pings) = connection.ping_pong() else { return drop(connection.await) };
    // What has arrived is seen before time is up: this process itself may have been stopped.
    tokio::select! {
        biased;
        _ = &mut connection => {}
        () = pulse.lost(pings) => {
            pulse.silent.store(true, Ordering::Relaxed);
            pulse.calls.send_modify(|_| {});
        }
    }
}
