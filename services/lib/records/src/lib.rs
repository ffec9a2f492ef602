//! `gantry.records.v1` for a service's database.
//!
//! A service may write only below its own state directory, so a copy is made there. The caller moves the copy away.
//! The next copy, and the next start, remove one that was left.

use std::path::{Path, PathBuf};
use std::time::Duration;

use gantry_disk::Database;
use gantry_proto::gantry::records::v1 as pb;
use gantry_proto::gantry::records::v1::records_server::{Records, RecordsServer};
use gantry_rpc::{carry, chain};
use tonic::{Request, Response, Status};

/// The name of a copy's directory.
const COPY: &str = "backup";
/// The longest pause.
const LONGEST: Duration = Duration::from_secs(30);

/// The service for a database.
pub fn server(database: Database) -> RecordsServer<Server> {
    let server = Server { database };
    if let Err(error) = remove(&server.place()) {
        tracing::warn!(error = %chain(&error), "a copy of the records that was left stays");
    }
    RecordsServer::new(server)
}

/// Serves one database.
pub struct Server {
    database: Database,
}

impl Server {
    fn place(&self) -> PathBuf {
        self.database.path().with_file_name(COPY)
    }
}

#[tonic::async_trait]
impl Records for Server {
    async fn pause(&self, request: Request<pb::PauseRequest>) -> Result<Response<pb::PauseResponse>, Status> {
        let request = request.into_inner();
        let limit = Duration::from_millis(request.limit_ms).min(LONGEST);
        self.database.pause(&request.moment, limit).await.map_err(status)?;
        Ok(Response::new(pb::PauseResponse {}))
    }

    async fn copy(&self, request: Request<pb::CopyRequest>) -> Result<Response<pb::CopyResponse>, Status> {
        let (database, moment, copy) = (self.database.clone(), request.into_inner().moment, self.place());
        let directory = copy.display().to_string();
        let made = carry::blocking(move || {
            remove(&copy)?;
            database.checkpoint(&moment, &copy)
        });
        made.await.ok_or_else(|| Status::unavailable("the service is ending"))?.map_err(status)?;
        Ok(Response::new(pb::CopyResponse { directory }))
    }

    async fn resume(
        &self,
        request: Request<pb::ResumeRequest>,
    ) -> Result<Response<pb::ResumeResponse>, Status> {
        self.database.resume(&request.into_inner().moment);
        Ok(Response::new(pb::ResumeResponse {}))
    }

    async fn condition(
        &self,
        _request: Request<pb::ConditionRequest>,
    ) -> Result<Response<pb::ConditionResponse>, Status> {
        let (lost_at, made_at) = (self.database.lost_at(), self.database.made_at());
        Ok(Response::new(pb::ConditionResponse {
            lost_at: lost_at.unwrap_or(0),
            made_at: made_at.unwrap_or(0),
        }))
    }
}

fn remove(copy: &Path) -> Result<(), gantry_disk::Error> {
    match std::fs::remove_dir_all(copy) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(gantry_disk::Error::io("remove", copy, error))
        }
        _ => Ok(()),
    }
}

fn status(error: gantry_disk::Error) -> Status {
    let message = chain(&error);
    match error {
        gantry_disk::Error::NotPaused { .. } => Status::failed_precondition(message),
        error if error.is_disk_full() => Status::resource_exhausted(message),
        _ => Status::internal(message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_as_such() {
        let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
        let code = status(gantry_disk::Error::io("write", "backup", full)).code();
        assert_eq!(code, tonic::Code::ResourceExhausted);
    }
}
