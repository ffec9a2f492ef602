//! Conversions of container states.

use gantry_proto::gantry::engine::v1 as pb;

use crate::engine::Status;

impl From<Status> for pb::Status {
    fn from(status: Status) -> Self {
        match status {
            Status::Created => pb::Status::Created,
            Status::Running => pb::Status::Running,
            Status::Paused => pb::Status::Paused,
            Status::Restarting => pb::Status::Restarting,
            Status::Removing => pb::Status::Removing,
            Status::Exited => pb::Status::Exited,
            Status::Dead => pb::Status::Dead,
        }
    }
}

impl From<pb::Status> for Status {
    fn from(status: pb::Status) -> Self {
        match status {
            pb::Status::Created => Status::Created,
            pb::Status::Running => Status::Running,
            pb::Status::Paused => Status::Paused,
            pb::Status::Restarting => Status::Restarting,
            pb::Status::Removing => Status::Removing,
            pb::Status::Exited => Status::Exited,
            pb::Status::Dead => Status::Dead,
        }
    }
}
