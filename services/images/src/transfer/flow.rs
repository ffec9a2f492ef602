//! Bytes on a stream: portions, and the room that their reader has for them.
//!
//! The reader says how much it has room for (`WindowUpdate`), the writer sends no more than that (`Data`).

use gantry_proto::containerd::types::transfer::{Data, WindowUpdate};
use tokio::io::{AsyncWrite, AsyncWriteExt};

use crate::error::Error;
use crate::streams::Stream;

/// The longest portion, as clients expect it.
const PORTION: usize = 32 << 10;
/// How much a reader has room for.
const WINDOW: i32 = 64 << 10;

/// Writes bytes to a client that reads at its own pace.
#[derive(Debug)]
pub struct Writer {
    stream: Stream,
    room: usize,
}

impl Writer {
    /// Writes to `stream`. There is no room before the client has said so.
    pub fn new(stream: Stream) -> Self {
        Self { stream, room: 0 }
    }

    /// Sends all of `bytes`, as the client takes them.
    pub async fn write(&mut self, mut bytes: bytes::Bytes) -> Result<(), Error> {
        while !bytes.is_empty() {
            while self.room == 0 {
                self.wait_for_room().await?;
            }
            let portion = bytes.split_to(bytes.len().min(self.room).min(PORTION));
            self.room -= portion.len();
            self.stream.send(gantry_proto::pack(&Data { data: portion })).await?;
        }
        Ok(())
    }

    async fn wait_for_room(&mut self) -> Result<(), Error> {
        let message = self.stream.next().await.ok_or(Error::Cancelled)?;
        if let Some(update) = gantry_proto::unpack::<WindowUpdate>(&message) {
            let update = update.map_err(|error| Error::Request(format!("a window update: {error}")))?.update;
            self.room += usize::try_from(update).unwrap_or(0);
        }
        Ok(())
    }

    /// Waits until the client's connection has all, and ends the stream.
    pub async fn finish(self) {
        self.stream.drained().await;
    }
}

/// Copies what a client sends into `sink`, to its end. Ends early, without an error, when the reader of the sink has
/// gone.
pub async fn receive(mut stream: Stream, mut sink: impl AsyncWrite + Unpin) -> Result<(), Error> {
    let mut window = 0;
    loop {
        if window < WINDOW {
            stream.send(gantry_proto::pack(&WindowUpdate { update: WINDOW })).await?;
            window += WINDOW;
        }
        let Some(message) = stream.next().await else { break };
        let Some(data) = gantry_proto::unpack::<Data>(&message) else {
            let kind = message.type_url;
            return Err(Error::Request(format!("an archive's stream has a {kind:?} in it")));
        };
        let data = data.map_err(|error| Error::Request(format!("an archive's stream: {error}")))?.data;
        if sink.write_all(&data).await.is_err() {
            return Ok(());
        }
        window -= i32::try_from(data.len()).unwrap_or(i32::MAX).min(window);
    }
    let _ = sink.shutdown().await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::streams::Streams;

    #[tokio::test]
    async fn no_more_is_sent_than_there_is_room_for() {
        let streams = Streams::default();
        let mut opened = streams.open("ns", "s").expect("free");
        let to = opened.take_input().expect("the first time");
        let mut writer = Writer::new(streams.take("ns", "s").expect("there"));
        let writing = tokio::spawn(async move { writer.write(vec![7; 100_000].into()).await });
        let mut lengths = Vec::new();
        for room in [50_000, 50_000] {
            to.send(gantry_proto::pack(&WindowUpdate { update: room })).await.expect("read");
            for _ in 0..2 {
                let message = opened.from.recv().await.expect("a portion");
                let data: Data = gantry_proto::unpack(&message).expect("data").expect("whole");
                lengths.push(data.data.len());
            }
        }
        writing.await.expect("no panic").expect("written");
        assert_eq!(lengths, [32 << 10, 50_000 - (32 << 10), 32 << 10, 50_000 - (32 << 10)]);
    }

    #[tokio::test]
    async fn what_is_received_is_given_room_again() {
        let streams = Streams::default();
        let mut opened = streams.open("ns", "s").expect("free");
        let to = opened.take_input().expect("the first time");
        let stream = streams.take("ns", "s").expect("there");
        let receiving = tokio::spawn(async move {
            let mut bytes = Vec::new();
            receive(stream, &mut bytes).await.map(|()| bytes.len())
        });
        let mut room = 0;
        for _ in 0..10 {
            while room < 30_000 {
                let message = opened.from.recv().await.expect("more room");
                room += gantry_proto::unpack::<WindowUpdate>(&message).expect("room").expect("whole").update;
            }
            room -= 30_000;
            to.send(gantry_proto::pack(&Data { data: vec![1; 30_000].into() })).await.expect("read");
        }
        drop(to);
        assert_eq!(receiving.await.expect("no panic").expect("received"), 300_000);
    }
}
