//! The progress messages of loads and imports.

use gantry_proto::gantry::images::v1 as pb;
use pb::archive_progress::{Event, Failed, Importing, Source};
use prost::Message;
use tonic::Status;

use super::ArchiveEvent;
use crate::images::convert::{layer, parse_layer};
use crate::wire::{self, Invalid};

/// An event, or the failure that comes last, as bytes for the connection.
pub fn encode(told: Result<ArchiveEvent, &Status>) -> Vec<u8> {
    let event = match told {
        Ok(ArchiveEvent::Loaded(name)) => Event::Loaded(name),
        Ok(ArchiveEvent::LoadedId(id)) => Event::LoadedId(id.to_string()),
        Ok(ArchiveEvent::Layer(progress)) => Event::Layer(layer(progress)),
        Ok(ArchiveEvent::Source(address)) => Event::Source(Source { address }),
        Ok(ArchiveEvent::Importing { current, total }) => Event::Importing(Importing {
            current: wire::signed(current),
            total: wire::signed(total.unwrap_or(0)),
        }),
        Err(status) => {
            Event::Failed(Failed { code: status.code() as i32, message: status.message().to_owned() })
        }
    };
    let message = pb::ArchiveProgress { event: Some(event) };
    let length = u32::try_from(message.encoded_len()).expect("what is told is short");
    [length.to_be_bytes().as_slice(), &message.encode_to_vec()].concat()
}

pub(super) fn parse(message: pb::ArchiveProgress) -> Result<Result<ArchiveEvent, Status>, Invalid> {
    Ok(Ok(match message.event.ok_or(Invalid::Missing { field: "event" })? {
        Event::Loaded(name) => ArchiveEvent::Loaded(name),
        Event::LoadedId(id) => ArchiveEvent::LoadedId(wire::digest(&id)?),
        Event::Layer(progress) => ArchiveEvent::Layer(parse_layer(progress)?),
        Event::Source(source) => ArchiveEvent::Source(source.address),
        Event::Importing(so_far) => ArchiveEvent::Importing {
            current: wire::number("current", so_far.current)?,
            total: wire::optional_number("total", so_far.total)?,
        },
        Event::Failed(failed) => return Ok(Err(Status::new(failed.code.into(), failed.message))),
    }))
}

#[cfg(test)]
mod tests {
    use gantry_types::Digest;

    use super::*;

    fn told(bytes: &[u8]) -> Result<ArchiveEvent, (i32, String)> {
        let (length, message) = bytes.split_at(4);
        assert_eq!(length, u32::try_from(message.len()).expect("short").to_be_bytes());
        let message = pb::ArchiveProgress::decode(message).expect("a message");
        parse(message).expect("parses").map_err(|status| (status.code() as i32, status.message().to_owned()))
    }

    #[test]
    fn what_is_told_arrives() {
        for event in [
            ArchiveEvent::Loaded("a:1".to_owned()),
            ArchiveEvent::LoadedId(Digest::sha256(b"x")),
            ArchiveEvent::Source("http://host/file".to_owned()),
            ArchiveEvent::Importing { current: 7, total: None },
            ArchiveEvent::Importing { current: 7, total: Some(9) },
        ] {
            assert_eq!(told(&encode(Ok(event.clone()))), Ok(event));
        }
        let failed = Status::invalid_argument("no archive");
        assert_eq!(told(&encode(Err(&failed))), Err((3, "no archive".to_owned())));
    }
}
