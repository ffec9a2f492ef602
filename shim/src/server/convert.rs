//! Conversion between the wire and this crate's types.

use std::time::{SystemTime, UNIX_EPOCH};

use gantry_proto::containerd::runc::v1::Options;
use gantry_proto::containerd::v1::types::Status;
use prost::Message;
use prost_types::{Any, Timestamp};

use crate::error::{Error, Result};
use crate::process::Phase;
use crate::runtime::Choice;
use crate::signal::Signal;

/// The runtime that a task's options choose; without options the built-in one.
pub fn choice(options: Option<&Any>) -> Result<Choice> {
    let Some(options) = options.filter(|any| !any.type_url.is_empty()) else {
        return Ok(Choice::default());
    };
    let options = match gantry_proto::unpack::<Options>(options) {
        Some(Ok(options)) => options,
        Some(Err(error)) => {
            return Err(Error::InvalidArgument(format!("runtime options: {error}")));
        }
        None => {
            return Err(Error::InvalidArgument(format!(
                "runtime options of type {} are not understood",
                options.type_url
            )));
        }
    };
    let given = |text: String| Some(text).filter(|text| !text.is_empty());
    Ok(Choice {
        binary: given(options.binary_name),
        root: given(options.root).map(Into::into),
        systemd_cgroup: options.systemd_cgroup,
        no_pivot: options.no_pivot_root,
        no_new_keyring: options.no_new_keyring,
    })
}

/// The signal of a number, real-time signals included.
pub fn signal(number: u32) -> Result<Signal> {
    Signal::from_number(number).ok_or_else(|| Error::InvalidArgument(format!("signal {number} is not known")))
}

/// A time on the wire.
pub fn timestamp(at: SystemTime) -> Timestamp {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp { seconds: since.as_secs() as i64, nanos: since.subsec_nanos() as i32 }
}

/// A phase on the wire.
pub fn status(phase: Phase, paused: bool) -> Status {
    match phase {
        Phase::Added | Phase::Created { .. } => Status::Created,
        Phase::Running { .. } if paused => Status::Paused,
        Phase::Running { .. } => Status::Running,
        Phase::Stopped { .. } => Status::Stopped,
    }
}

/// The same message under the name of another version.
pub fn recode<From: Message, To: Message + Default>(message: &From) -> To {
    To::decode(message.encode_to_vec().as_slice()).expect("both versions have the same fields")
}
