//! Conversions of log requests.

use gantry_proto::gantry::engine::v1 as pb;

use super::{nanoseconds, timestamp};
use crate::engine::LogQuery;

alike!(
    LogQuery,
    pb::data_request::Logs {
        container,
        follow,
        stdout,
        stderr,
        since: by(timestamp, nanoseconds),
        until: by(timestamp, nanoseconds),
        timestamps,
        details,
        tail,
    }
);
