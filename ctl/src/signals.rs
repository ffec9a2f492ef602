//! The signals that a container gets instead of the tool that waits for it.

use std::future::poll_fn;
use std::task::Poll;

use anyhow::{Context, Result};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Signals that no longer end this process, once it listens for them.
pub struct Signals(Vec<(&'static str, Signal)>);

impl Signals {
    /// Starts listening. Signals before [`Signals::next`] are not lost.
    pub fn listen() -> Result<Self> {
        let kinds = [
            ("INT", SignalKind::interrupt()),
            ("TERM", SignalKind::terminate()),
            ("HUP", SignalKind::hangup()),
            ("QUIT", SignalKind::quit()),
            ("USR1", SignalKind::user_defined1()),
            ("USR2", SignalKind::user_defined2()),
        ];
        let listen = |(name, kind)| anyhow::Ok((name, signal(kind)?));
        Ok(Self(kinds.into_iter().map(listen).collect::<Result<_>>().context("listen for signals")?))
    }

    /// The next signal, by its name.
    pub async fn next(&mut self) -> &'static str {
        poll_fn(|context| {
            for (name, signal) in &mut self.0 {
                if signal.poll_recv(context).is_ready() {
                    return Poll::Ready(*name);
                }
            }
            Poll::Pending
        })
        .await
    }
}
