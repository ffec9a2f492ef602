//! The client side of the data socket.

use std::os::fd::OwnedFd;

use gantry_proto::gantry::engine::v1 as pb;
use gantry_rpc::ending::Ending;
use pb::data_request::{Action, ArchiveGet, ArchivePut, ArchiveStat, Export};
use prost::Message;
use tokio::net::UnixStream;
use tonic::Status;

use super::super::Client;
use crate::Failure;
use crate::engine::{LogQuery, PathStat, PutSpec};

const LOG: &str = "tell a container's log";
const STAT: &str = "look up a container's file";
const TAKE: &str = "give a container's files";
const PUT: &str = "take files into a container";
const EXPORT: &str = "give a container's root";

/// A container's log in transit.
#[derive(Debug)]
pub struct Log {
    /// Docker's multiplexed stream, or raw bytes if the container has a terminal.
    pub stream: UnixStream,
    /// Whether the container has a terminal.
    pub tty: bool,
    /// Says whether the log was sent to its end.
    pub ending: Ending,
}

impl Client {
    /// Opens a log.
    ///
    /// # Errors
    ///
    /// The reason why there is no log.
    pub async fn log(&self, query: LogQuery) -> Result<Log, Failure> {
        let (stream, reply, descriptors) =
            self.data::<pb::LogsReply>(LOG, Action::Logs(query.into())).await?;
        let ending = Ending::of(descriptors).map_err(self.caller.garbled(LOG))?;
        Ok(Log { stream, tty: reply.tty, ending })
    }

    /// Describes a path in a container's root.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND` (container, path).
    pub async fn stat_path(&self, container: &str, path: &str) -> Result<PathStat, Failure> {
        let action = ArchiveStat { container: container.to_owned(), path: path.to_owned() };
        let (_, stat, _) = self.data::<pb::PathStat>(STAT, Action::ArchiveStat(action)).await?;
        Ok(stat.into())
    }

    /// Describes a path in a container's root, and returns its content with everything below it as a tar.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND` (container, path).
    pub async fn take_path(&self, container: &str, path: &str) -> Result<(UnixStream, PathStat), Failure> {
        let action = ArchiveGet { container: container.to_owned(), path: path.to_owned() };
        let (stream, stat, _) = self.data::<pb::PathStat>(TAKE, Action::ArchiveGet(action)).await?;
        Ok((stream, stat.into()))
    }

    /// Unpacks a tar into a container's root. The caller ends the tar by a half-close, and then reads one
    /// `WireStatus`.
    ///
    /// # Errors
    ///
    /// The reason why nothing can be unpacked there.
    pub async fn put_path(&self, spec: PutSpec) -> Result<UnixStream, Failure> {
        let (stream, (), _) = self.data::<()>(PUT, Action::ArchivePut(ArchivePut::from(spec))).await?;
        Ok(stream)
    }

    /// A container's whole root as a tar.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND`.
    pub async fn export(&self, container: &str) -> Result<UnixStream, Failure> {
        let action = Export { container: container.to_owned() };
        let (stream, (), _) = self.data::<()>(EXPORT, Action::Export(action)).await?;
        Ok(stream)
    }

    async fn data<D: Message + Default>(
        &self,
        call: &'static str,
        action: Action,
    ) -> Result<(UnixStream, D, Vec<OwnedFd>), Failure> {
        let request = pb::DataRequest { action: Some(action) };
        let answering = async {
            let (stream, detail, descriptors) = self.peers.data("engine", &request).await?;
            let detail = D::decode(detail.as_slice())
                .map_err(|error| Status::internal(format!("an answer that does not parse: {error}")))?;
            Ok::<_, Status>((stream, detail, descriptors))
        };
        self.caller.hear(call, answering).await
    }
}
