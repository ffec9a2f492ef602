//! Logs of containers.

use gantry_proto::gantry::engine::v1 as pb;

use super::{nanoseconds, timestamp};
use crate::engine::LogQuery;

impl From<LogQuery> for pb::data_request::Logs {
    fn from(query: LogQuery) -> Self {
        pb::data_request::Logs {
            container: query.container,
            follow: query.follow,
            stdout: query.stdout,
            stderr: query.stderr,
            since: timestamp(query.since),
            until: timestamp(query.until),
            timestamps: query.timestamps,
            details: query.details,
            tail: query.tail,
        }
    }
}

impl From<pb::data_request::Logs> for LogQuery {
    fn from(query: pb::data_request::Logs) -> Self {
        LogQuery {
            container: query.container,
            follow: query.follow,
            stdout: query.stdout,
            stderr: query.stderr,
            since: nanoseconds(query.since),
            until: nanoseconds(query.until),
            timestamps: query.timestamps,
            details: query.details,
            tail: query.tail,
        }
    }
}
