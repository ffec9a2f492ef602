//! What a client has not read yet of an answer that goes on for ever.
//!
//! What happens does not wait for those who are told of it, and nobody keeps without end what one of them does not read:
//! beyond [`LIMIT`] the client is dropped. It sees that its answer was cut, and the log says why.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures::{Stream, StreamExt};
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;

use crate::app::App;
use crate::reply::BodyError;

/// Bytes that wait for one client, beside those that are on their way to it.
const LIMIT: usize = 256 << 10;

/// The same chunks, taken as they come and kept until they are read.
pub fn bounded(
    app: &App,
    what: &'static str,
    chunks: impl Stream<Item = Result<Bytes, BodyError>> + Send + 'static,
) -> impl Stream<Item = Result<Bytes, BodyError>> + Send + 'static {
    let waiting = Arc::new(AtomicUsize::new(0));
    let (sender, receiver) = mpsc::unbounded_channel();
    let added = Arc::clone(&waiting);
    app.spawn(async move {
        let mut chunks = std::pin::pin!(chunks);
        loop {
            let chunk = tokio::select! {
                chunk = chunks.next() => chunk,
                () = sender.closed() => return,
            };
            let Some(chunk) = chunk else { return };
            let length = chunk.as_ref().map_or(0, Bytes::len);
            let behind = added.fetch_add(length, Ordering::Relaxed) + length;
            if behind > LIMIT {
                tracing::warn!(what, behind, "a client that does not read was dropped");
                // It has gone if it does not hear this.
                let _ = sender.send(Err(format!("the client is {behind} bytes behind").into()));
                return;
            }
            if sender.send(chunk).is_err() {
                return;
            }
        }
    });
    UnboundedReceiverStream::new(receiver).inspect(move |chunk| {
        waiting.fetch_sub(chunk.as_ref().map_or(0, Bytes::len), Ordering::Relaxed);
    })
}

#[cfg(test)]
mod tests {
    use futures::stream;
    use tokio_util::sync::CancellationToken;

    use super::*;

    fn lines(count: usize) -> impl Stream<Item = Result<Bytes, BodyError>> + Send {
        stream::iter((0..count).map(|_| Ok(Bytes::from_static(&[b'x'; 1024]))))
    }

    #[tokio::test]
    async fn who_reads_gets_all() {
        let app = App::new(std::path::Path::new("/nowhere"), CancellationToken::new());
        let ticks = lines(2000).then(|line| async {
            tokio::task::yield_now().await;
            line
        });
        assert_eq!(
            bounded(&app, "test", ticks).filter(|line| std::future::ready(line.is_ok())).count().await,
            2000
        );
    }

    #[tokio::test]
    async fn who_does_not_read_is_dropped_with_what_was_kept() {
        let app = App::new(std::path::Path::new("/nowhere"), CancellationToken::new());
        let kept = bounded(&app, "test", lines(100_000));
        // It fills up while nobody reads, however often it lets others run.
        for _ in 0..10_000 {
            tokio::task::yield_now().await;
        }
        let kept: Vec<_> = kept.collect().await;
        assert_eq!(kept.len(), LIMIT / 1024 + 1);
        assert!(kept.last().is_some_and(Result::is_err));
    }
}
