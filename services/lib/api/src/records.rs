//! The records of each service that has a database, as a whole: how they fared, and copies of one moment.
//!
//! When all services are paused for one moment, copied, and only then resumed, the copies show what a power cut at that
//! moment would have left: what somebody was told of is in them, with all that it was made after.

use std::path::PathBuf;
use std::time::Duration;

use gantry_proto::gantry::records::v1 as pb;
use gantry_proto::gantry::records::v1::records_client::RecordsClient;
use gantry_rpc::{Channel, Code, Coded};

use crate::call::Caller;
use crate::{Failure, Peers};

/// What has become of a service's records, in seconds since 1970; 0: never, or not known.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Condition {
    /// Some were lost that could not be brought back.
    pub lost_at: u64,
    /// The database was made.
    pub made_at: u64,
}

/// A client of a service's records. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Client {
    peers: Peers,
    service: &'static str,
    caller: Caller,
}

impl Client {
    /// The records of a service among `peers`.
    pub fn new(peers: &Peers, service: &'static str) -> Self {
        Self { peers: peers.clone(), service, caller: Caller::new(service) }
    }

    fn rpc(&self) -> RecordsClient<Channel> {
        self.peers.records(self.service)
    }

    /// How the records fared; nothing is known of a service that keeps none.
    ///
    /// # Errors
    ///
    /// When the service does not answer.
    pub async fn condition(&self) -> Result<Condition, Failure> {
        let mut rpc = self.rpc();
        let answer = rpc.condition(pb::ConditionRequest {});
        match self.caller.ask("tell how its records fared", answer).await {
            Err(failure) if failure.code() == Code::Unimplemented => Ok(Condition::default()),
            answer => answer.map(|answer| Condition { lost_at: answer.lost_at, made_at: answer.made_at }),
        }
    }

    /// Has nothing more written from when this returns, for `limit` at most: calls that change records wait.
    ///
    /// # Errors
    ///
    /// When the service does not answer.
    pub async fn pause(&self, moment: &str, limit: Duration) -> Result<(), Failure> {
        let limit_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        let request = pb::PauseRequest { moment: moment.to_owned(), limit_ms };
        self.caller.ask("pause its records", self.rpc().pause(request)).await.map(drop)
    }

    /// Copies the records of the moment for which they are paused; the copy's directory is the caller's to remove.
    ///
    /// # Errors
    ///
    /// `FAILED_PRECONDITION` when the pause is over.
    pub async fn copy(&self, moment: &str) -> Result<PathBuf, Failure> {
        let request = pb::CopyRequest { moment: moment.to_owned() };
        let answer = self.caller.ask("copy its records", self.rpc().copy(request)).await?;
        Ok(answer.directory.into())
    }

    /// Ends the pause of a moment.
    ///
    /// # Errors
    ///
    /// When the service does not answer: then the pause ends by itself.
    pub async fn resume(&self, moment: &str) -> Result<(), Failure> {
        let request = pb::ResumeRequest { moment: moment.to_owned() };
        self.caller.ask("resume its records", self.rpc().resume(request)).await.map(drop)
    }
}
