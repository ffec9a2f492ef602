//! The server side of the data socket, for any implementation of logs and files. The contract is in
//! `gantry/engine/v1/engine.proto`.

use std::io;
use std::time::Duration;

use gantry_proto::gantry::engine::v1 as pb;
use gantry_rpc::data::WireStatus;
use gantry_rpc::ending::Teller;
use gantry_rpc::{Coded, chain, data, status};
use pb::data_request::Action;
use tokio::net::UnixStream;

use super::{Files, Incoming as _, Lines as _, Logs, Outgoing as _};
use crate::wire::Invalid;

/// How long a client may take to send its request.
const PATIENCE: Duration = Duration::from_secs(10);

/// Serves one connection to its end.
pub async fn connection<S: Logs + Files>(mut stream: UnixStream, service: S) {
    let action = match tokio::time::timeout(PATIENCE, data::receive::<pb::DataRequest>(&mut stream)).await {
        Ok(Ok(Some(request))) => request.action,
        Ok(Ok(None)) | Err(_) => return,
        Ok(Err(error)) => return tracing::debug!(%error, "a data connection without a request"),
    };
    match answer(stream, &service, action).await {
        Ok(()) => {}
        // The client has disconnected; nothing is lost.
        Err(Broken::Connection(error)) => tracing::debug!(%error, "a data connection broke"),
        Err(Broken::Work(error)) => tracing::debug!(error = %chain(&error), "a data connection ended early"),
    }
}

/// Why a connection ended early.
enum Broken<E> {
    /// The connection itself failed.
    Connection(io::Error),
    /// Sending or unpacking failed.
    Work(E),
}

async fn answer<S: Logs + Files>(
    mut stream: UnixStream,
    service: &S,
    action: Option<Action>,
) -> Result<(), Broken<S::Error>> {
    let outcome = match action {
        Some(Action::Logs(query)) => match service.open_log(query.into()).await {
            Ok((tty, lines)) => {
                let teller = Teller::accept(&mut stream, &pb::LogsReply { tty }).await;
                return lines.send(stream, teller.map_err(Broken::Connection)?).await.map_err(Broken::Work);
            }
            Err(error) => refuse(&mut stream, error).await,
        },
        Some(Action::ArchiveStat(of)) => match service.stat_path(&of.container, &of.path).await {
            Ok(stat) => data::accept(&mut stream, &pb::PathStat::from(stat), &[]).await,
            Err(error) => refuse(&mut stream, error).await,
        },
        Some(Action::ArchiveGet(of)) => match service.take_path(&of.container, &of.path).await {
            Ok((stat, files)) => {
                let accepted = data::accept(&mut stream, &pb::PathStat::from(stat), &[]).await;
                accepted.map_err(Broken::Connection)?;
                return files.send(stream).await.map_err(Broken::Work);
            }
            Err(error) => refuse(&mut stream, error).await,
        },
        Some(Action::ArchivePut(spec)) => match service.put_path(spec.into()).await {
            Ok(place) => {
                data::accept(&mut stream, &(), &[]).await.map_err(Broken::Connection)?;
                let (mut stream, outcome) = place.receive(stream).await.map_err(Broken::Work)?;
                let told = outcome.map_err(status).err().as_ref().map(WireStatus::from).unwrap_or_default();
                return data::send(&mut stream, &told).await.map_err(Broken::Connection);
            }
            Err(error) => refuse(&mut stream, error).await,
        },
        Some(Action::Export(of)) => match service.export(&of.container).await {
            Ok(files) => {
                data::accept(&mut stream, &(), &[]).await.map_err(Broken::Connection)?;
                return files.send(stream).await.map_err(Broken::Work);
            }
            Err(error) => refuse(&mut stream, error).await,
        },
        None => refuse(&mut stream, Invalid::Missing { field: "action" }).await,
    };
    outcome.map_err(Broken::Connection)
}

async fn refuse(stream: &mut UnixStream, error: impl Coded + Send + Sync + 'static) -> io::Result<()> {
    data::reject(stream, &status(error)).await
}
