//! The buffer of an endless response whose client does not read.
//!
//! [`ROOM`] bytes wait for the client; when the buffer is full, the source of the response waits. A client that reads
//! nothing for [`PATIENCE`] while the buffer is full is dropped: it sees a truncated response, and the service logs
//! the reason.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, StreamExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_stream::wrappers::UnboundedReceiverStream;

use crate::BodyError;
use crate::tasks::Tasks;

/// How many bytes wait for a client, beside those that are being sent.
const ROOM: u32 = 256 << 10;
/// How long a client may read nothing.
const PATIENCE: Duration = Duration::from_secs(10);

/// The same chunks, taken while the buffer has room and kept until the client reads them.
pub fn bounded(
    tasks: &Tasks,
    what: &'static str,
    chunks: impl Stream<Item = Result<Bytes, BodyError>> + Send + 'static,
) -> impl Stream<Item = Result<Bytes, BodyError>> + Send + 'static {
    patient(tasks, what, PATIENCE, chunks)
}

fn patient(
    tasks: &Tasks,
    what: &'static str,
    patience: Duration,
    chunks: impl Stream<Item = Result<Bytes, BodyError>> + Send + 'static,
) -> impl Stream<Item = Result<Bytes, BodyError>> + Send + 'static {
    let room = Arc::new(Semaphore::new(ROOM as usize));
    let (sender, receiver) = mpsc::unbounded_channel();
    tasks.spawn(async move {
        let mut chunks = std::pin::pin!(chunks);
        loop {
            let chunk = tokio::select! {
                chunk = chunks.next() => chunk,
                () = sender.closed() => return,
            };
            let Some(chunk) = chunk else { return };
            let taken = tokio::select! {
                taken = take(&room, chunk.as_ref().map_or(0, Bytes::len), patience) => taken,
                () = sender.closed() => return,
            };
            let Some(taken) = taken else {
                tracing::warn!(what, waiting = ROOM, "a client that does not read was dropped");
                let words = format!("the client read nothing for {} s", patience.as_secs());
                // The client may have disconnected.
                let _ = sender.send((Err(words.into()), None));
                return;
            };
            if sender.send((chunk, Some(taken))).is_err() {
                return;
            }
        }
    });
    // The permit returns the room.
    UnboundedReceiverStream::new(receiver).map(|(chunk, _taken)| chunk)
}

/// Room for a chunk of `length` bytes, or the whole buffer for a larger one; `None` when the client makes none in
/// time.
async fn take(room: &Arc<Semaphore>, length: usize, patience: Duration) -> Option<OwnedSemaphorePermit> {
    let wanted = u32::try_from(length).unwrap_or(ROOM).min(ROOM);
    loop {
        let before = room.available_permits();
        match tokio::time::timeout(patience, Arc::clone(room).acquire_many_owned(wanted)).await {
            Ok(taken) => return taken.ok(),
            Err(_) if room.available_permits() > before => {}
            Err(_) => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::stream;
    use tokio_util::sync::CancellationToken;

    use super::*;

    const LINE: &[u8] = &[b'x'; 1024];

    fn lines(count: usize) -> impl Stream<Item = Result<Bytes, BodyError>> + Send {
        stream::iter((0..count).map(|_| Ok(Bytes::from_static(LINE))))
    }

    fn tasks() -> Tasks {
        Tasks::new(CancellationToken::new())
    }

    #[tokio::test]
    async fn who_reads_gets_all() {
        // More than the buffer holds, produced faster than it is read.
        let told = bounded(&tasks(), "test", lines(2000));
        let read = told.then(|line| async {
            tokio::task::yield_now().await;
            line
        });
        assert_eq!(read.filter(|line| std::future::ready(line.is_ok())).count().await, 2000);
    }

    #[tokio::test]
    async fn a_chunk_larger_than_the_room_arrives() {
        let large = Bytes::from(vec![b'x'; 2 * ROOM as usize]);
        let chunks = stream::iter([Ok(large.clone()), Ok(large.clone())]);
        let read: Vec<_> =
            bounded(&tasks(), "test", chunks).map(|chunk| chunk.expect("it is kept")).collect().await;
        assert_eq!(read, [large.clone(), large]);
    }

    #[tokio::test]
    async fn who_does_not_read_is_dropped_with_what_was_kept() {
        let patience = Duration::from_millis(100);
        let kept = patient(&tasks(), "test", patience, lines(100_000));
        tokio::time::sleep(patience * 5).await;
        let kept: Vec<_> = kept.collect().await;
        assert_eq!(kept.len(), ROOM as usize / LINE.len() + 1);
        assert!(kept.last().is_some_and(Result::is_err));
    }

    #[tokio::test]
    async fn who_reads_slowly_is_waited_for() {
        let patience = Duration::from_millis(400);
        let large = vec![b'x'; ROOM as usize];
        let chunks = stream::iter((0..4).map(move |_| Ok(Bytes::from(large.clone()))));
        let read = patient(&tasks(), "test", patience, chunks).then(|chunk| async {
            tokio::time::sleep(patience / 2).await;
            chunk
        });
        assert_eq!(read.filter(|chunk| std::future::ready(chunk.is_ok())).count().await, 4);
    }
}
