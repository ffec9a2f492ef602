//! Moves bytes: from a process's output to its sink and the attached clients, and from a client's FIFO to its input.
//! The single-threaded shim needs one buffer.

use std::cell::RefCell;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::io::Errno;
use tokio::io::unix::AsyncFd;

use super::Stdio;
use super::hub::{Hub, Stream};
use super::sink::Sink;

const BUFFER: usize = 64 * 1024;

thread_local! {
    static SHARED: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

enum Step {
    Again,
    Wait,
    End,
}

/// Moves `source` to the sink and the clients until its end.
pub async fn run(source: Arc<AsyncFd<OwnedFd>>, stream: Stream, mut sink: Sink, hub: &Hub) {
    loop {
        let Ok(mut ready) = source.readable().await else {
            break;
        };
        let mut rest = Vec::new();
        let mut full = false;
        let step = with_buffer(|buffer| match rustix::io::read(source.get_ref(), &mut *buffer) {
            Ok(0) => Step::End,
            Ok(length) => {
                let bytes = &buffer[..length];
                rest = sink.write(bytes).to_vec();
                full = hub.publish(stream, bytes);
                Step::Again
            }
            Err(Errno::AGAIN) => Step::Wait,
            Err(Errno::INTR) => Step::Again,
            // A terminal ends with EIO.
            Err(_) => Step::End,
        });
        match step {
            Step::Again => {}
            Step::Wait => ready.clear_ready(),
            Step::End => break,
        }
        while !rest.is_empty() {
            sink.writable().await;
            let left = sink.write(&rest).len();
            rest.drain(..rest.len() - left);
        }
        if full {
            hub.relief().await;
        }
        // `readable` never waits while there is output, so a process that writes faster than its log does would keep the
        // single-threaded shim from everything else.
        tokio::task::yield_now().await;
    }
    sink.end();
}

/// Moves a client's FIFO to the process's input until its end.
pub async fn feed(source: AsyncFd<OwnedFd>, stdio: &Stdio) {
    loop {
        let Ok(mut ready) = source.readable().await else {
            return;
        };
        let mut bytes = Vec::new();
        let step = with_buffer(|buffer| match rustix::io::read(source.get_ref(), &mut *buffer) {
            Ok(0) => Step::End,
            Ok(length) => {
                bytes = buffer[..length].to_vec();
                Step::Again
            }
            Err(Errno::AGAIN) => Step::Wait,
            Err(Errno::INTR) => Step::Again,
            Err(_) => Step::End,
        });
        match step {
            Step::Again => {}
            Step::Wait => ready.clear_ready(),
            Step::End => return,
        }
        if !input(stdio, &bytes).await {
            return;
        }
        tokio::task::yield_now().await;
    }
}

/// Writes all of `bytes` to the process's input. Returns false when the process takes no more.
pub async fn input(stdio: &Stdio, mut bytes: &[u8]) -> bool {
    while !bytes.is_empty() {
        let Some(stdin) = stdio.stdin().await else {
            return false;
        };
        let Ok(mut ready) = stdin.writable().await else {
            return false;
        };
        match rustix::io::write(stdin.get_ref(), bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(Errno::AGAIN) => ready.clear_ready(),
            Err(Errno::INTR) => {}
            Err(_) => return false,
        }
    }
    true
}

fn with_buffer<T>(work: impl FnOnce(&mut [u8]) -> T) -> T {
    SHARED.with_borrow_mut(|buffer| {
        if buffer.is_empty() {
            buffer.resize(BUFFER, 0);
        }
        work(buffer)
    })
}
