//! The progress of pulls and pushes, from the service.

use gantry_proto::gantry::images::v1 as pb;
use tonic::Streaming;

use crate::Failure;
use crate::call::Caller;
use crate::images::{Progress, PullEvent, PushEvent, convert};

pub(super) const PULL: &str = "pull an image";
pub(super) const PUSH: &str = "push an image";

/// A pull in progress; dropping it cancels the pull.
#[derive(Debug)]
pub struct Pulling {
    caller: Caller,
    stream: Streaming<pb::PullProgress>,
}

impl Pulling {
    pub(super) fn new(caller: Caller, stream: Streaming<pb::PullProgress>) -> Self {
        Self { caller, stream }
    }
}

impl Progress for Pulling {
    type Event = PullEvent;
    type Error = Failure;

    async fn next(&mut self) -> Result<Option<PullEvent>, Failure> {
        match self.caller.hear(PULL, self.stream.message()).await? {
            None => Ok(None),
            Some(news) => convert::parse_pull(news).map(Some).map_err(self.caller.garbled(PULL)),
        }
    }
}

/// A push in progress; dropping it cancels the push.
#[derive(Debug)]
pub struct Pushing {
    caller: Caller,
    stream: Streaming<pb::PushProgress>,
}

impl Pushing {
    pub(super) fn new(caller: Caller, stream: Streaming<pb::PushProgress>) -> Self {
        Self { caller, stream }
    }
}

impl Progress for Pushing {
    type Event = PushEvent;
    type Error = Failure;

    async fn next(&mut self) -> Result<Option<PushEvent>, Failure> {
        match self.caller.hear(PUSH, self.stream.message()).await? {
            None => Ok(None),
            Some(news) => convert::parse_push(news).map(Some).map_err(self.caller.garbled(PUSH)),
        }
    }
}
