//! Reads a log back from its plugin: `ReadLogs`.

use gantry_api::engine::LogQuery;
use gantry_plugin::wire::log::{Entry, Frames, Info, NO_TIME, ReadConfig, ReadRequest};
use gantry_plugin::{Plugin, SHORT, Stream};

/// A plugin that can read a container's log back.
#[derive(Debug)]
pub struct Theirs {
    pub(super) plugin: Plugin,
    pub(super) info: Info,
}

/// The log that the plugin sends.
pub struct Told {
    stream: Stream,
    frames: Frames,
    /// Time of the oldest and the youngest entry, nanoseconds since 1970. Checked here too, as Docker does.
    since: Option<i64>,
    until: Option<i64>,
}

impl Theirs {
    /// Requests the log. A followed log continues until the plugin ends it.
    ///
    /// # Errors
    ///
    /// An error in Docker's words.
    pub async fn ask(&self, query: &LogQuery) -> Result<Told, String> {
        let (since, until) = (query.since, query.until);
        let config = ReadConfig {
            since: moment(since),
            until: moment(until),
            tail: query.tail.max(-1),
            follow: query.follow,
        };
        let asked = ReadRequest { info: self.info.clone(), config };
        let stream = self.plugin.stream("LogDriver.ReadLogs", &asked, SHORT).await;
        let stream =
            stream.map_err(|error| format!("error getting log reader: {}", gantry_rpc::chain(&error)))?;
        let given = |moment: i64| Some(moment).filter(|moment| *moment > 0);
        let (since, until) = (given(since), given(until));
        Ok(Told { stream, frames: Frames::default(), since, until })
    }
}

impl Told {
    /// Returns the next entry that the query selects; `None` at the end. Cancelling the call loses no entry.
    ///
    /// # Errors
    ///
    /// An error in Docker's words.
    pub async fn next(&mut self) -> Result<Option<Entry>, String> {
        let odd = |why: String| format!("error decoding log message: {why}");
        loop {
            while let Some(entry) = self.frames.entry().map_err(|error| odd(error.to_string()))? {
                if self.until.is_some_and(|until| entry.time_nano > until) {
                    return Ok(None);
                }
                if self.since.is_none_or(|since| entry.time_nano >= since) {
                    return Ok(Some(entry));
                }
            }
            match self.stream.next().await.map_err(|error| odd(gantry_rpc::chain(&error)))? {
                Some(bytes) => self.frames.push(&bytes),
                None if self.frames.is_torn() => return Err(odd("unexpected EOF".to_owned())),
                None => return Ok(None),
            }
        }
    }
}

/// Formats a time as Go reads it.
fn moment(nanoseconds: i64) -> String {
    match nanoseconds {
        1.. => crate::shipping::attributes::created(nanoseconds),
        _ => NO_TIME.to_owned(),
    }
}
