//! The databases of all services: their condition, and consistent copies of them.
//!
//! A backup pauses all services, copies their databases, and then resumes the services. The copies are what a power
//! cut during the pause would have left: they have every change that a service has acknowledged, and every change
//! that came before it.

use std::path::PathBuf;
use std::time::Duration;

use gantry_proto::gantry::records::v1 as pb;
use gantry_proto::gantry::records::v1::records_client::RecordsClient;
use gantry_rpc::{Channel, Code, Coded};

use crate::call::Caller;
use crate::{Failure, Peers};

/// The condition of a service's database. Times are seconds since 1970; 0: never, or unknown.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Condition {
    /// When the database last lost records for good.
    pub lost_at: u64,
    /// When the database was created.
    pub made_at: u64,
}

/// A client of a service's database. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Client {
    peers: Peers,
    service: &'static str,
    caller: Caller,
}

impl Client {
    /// The database of a service among `peers`.
    pub fn new(peers: &Peers, service: &'static str) -> Self {
        Self { peers: peers.clone(), service, caller: Caller::new(service) }
    }

    fn rpc(&self) -> RecordsClient<Channel> {
        self.peers.records(self.service)
    }

    /// The condition of the database; empty for a service without one.
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

    /// Pauses writes, for `limit` at most. No write is under way when this returns; calls that change records wait
    /// until the pause ends.
    ///
    /// # Errors
    ///
    /// When the service does not answer.
    pub async fn pause(&self, moment: &str, limit: Duration) -> Result<(), Failure> {
        let limit_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        let request = pb::PauseRequest { moment: moment.to_owned(), limit_ms };
        self.caller.ask("pause its records", self.rpc().pause(request)).await.map(drop)
    }

    /// Copies the database during the pause `moment`. Returns the copy's directory, which the caller removes.
    ///
    /// # Errors
    ///
    /// `FAILED_PRECONDITION` when the pause has ended.
    pub async fn copy(&self, moment: &str) -> Result<PathBuf, Failure> {
        let request = pb::CopyRequest { moment: moment.to_owned() };
        let answer = self.caller.ask("copy its records", self.rpc().copy(request)).await?;
        Ok(answer.directory.into())
    }

    /// Ends the pause `moment`.
    ///
    /// # Errors
    ///
    /// When the service does not answer. The pause then ends by itself.
    pub async fn resume(&self, moment: &str) -> Result<(), Failure> {
        let request = pb::ResumeRequest { moment: moment.to_owned() };
        self.caller.ask("resume its records", self.rpc().resume(request)).await.map(drop)
    }
}
