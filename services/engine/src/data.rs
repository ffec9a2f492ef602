//! The data socket `run/engine-data.sock`: logs and archives, which never cross gRPC.

use gantry_proto::gantry::engine::v1::{DataRequest, LogsReply, PathStat, data_request::Action};
use gantry_proto::gantry::rpc::v1::Status as WireStatus;
use gantry_rpc::data;
use gantry_rpc::ending::Teller;
use tokio::net::{UnixListener, UnixStream};
use tonic::Status;

use crate::archive::serve as archive;
use crate::engine::Engine;
use crate::error::Error;

/// A client has to say within this what it wants.
const REQUEST_PATIENCE: std::time::Duration = std::time::Duration::from_secs(10);

/// Serves connections until the service ends.
pub async fn serve(engine: Engine, listener: UnixListener) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let engine_of_connection = engine.clone();
                engine.spawn("serve a data connection", async move {
                    if let Err(error) = converse(&engine_of_connection, stream).await {
                        tracing::debug!(error = %gantry_rpc::chain(&error), "data connection ended");
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, "data socket: accept");
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        }
    }
}

async fn converse(engine: &Engine, mut stream: UnixStream) -> Result<(), Error> {
    let request = tokio::time::timeout(REQUEST_PATIENCE, data::receive::<DataRequest>(&mut stream)).await;
    let action = match request {
        Ok(Ok(Some(request))) => request.action,
        Ok(Ok(None)) | Err(_) => return Ok(()),
        Ok(Err(source)) => return Err(broken(source)),
    };
    match action {
        Some(Action::Logs(request)) => match engine.open_log(&request.into()).await {
            Ok((tty, sending)) => {
                let reply = LogsReply { tty };
                let teller = Teller::accept(&mut stream, &reply).await.map_err(broken)?;
                sending.run(stream, &teller).await
            }
            Err(error) => refuse(stream, error).await,
        },
        Some(Action::ArchiveStat(request)) => {
            match engine.archive_stat(&request.container, &request.path).await {
                Ok(stat) => data::accept(&mut stream, &PathStat::from(stat), &[]).await.map_err(broken),
                Err(error) => refuse(stream, error).await,
            }
        }
        Some(Action::ArchiveGet(request)) => {
            match engine.archive_get(&request.container, &request.path).await {
                Ok((stat, getting)) => {
                    data::accept(&mut stream, &PathStat::from(stat), &[]).await.map_err(broken)?;
                    archive::send(getting, stream, engine.archives.take().await).await
                }
                Err(error) => refuse(stream, error).await,
            }
        }
        Some(Action::ArchivePut(request)) => match engine.archive_put(&request.into()).await {
            Ok((putting, slot)) => {
                data::accept(&mut stream, &(), &[]).await.map_err(broken)?;
                let (mut stream, result) = archive::receive(putting, stream, slot).await?;
                let status = match result {
                    Ok(()) => WireStatus::default(),
                    Err(error) => {
                        let status: Status = gantry_rpc::status(error);
                        WireStatus { code: status.code().into(), message: status.message().to_owned() }
                    }
                };
                data::send(&mut stream, &status).await.map_err(broken)
            }
            Err(error) => refuse(stream, error).await,
        },
        Some(Action::Export(request)) => match engine.export(&request.container).await {
            Ok(root) => {
                data::accept(&mut stream, &(), &[]).await.map_err(broken)?;
                archive::send_all(root, stream, engine.archives.take().await).await
            }
            Err(error) => refuse(stream, error).await,
        },
        None => refuse(stream, Error::Invalid("empty request".to_owned())).await,
    }
}

async fn refuse(mut stream: UnixStream, error: Error) -> Result<(), Error> {
    data::reject(&mut stream, &gantry_rpc::status(error)).await.map_err(broken)
}

fn broken(source: std::io::Error) -> Error {
    Error::io("use", "data socket", source)
}
