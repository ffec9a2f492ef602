//! The gRPC contracts that Gantry's services speak.
//!
//! `containerd::…` is wire-identical to containerd's API (2.x), so that every
//! service can be lifted out into a real containerd and every client of one can
//! be pointed here; `gantry::…` is our own, where containerd has none. The
//! `.proto` files carry the contract: idempotence, errors and stream rules.

#![allow(clippy::all, rustdoc::all, missing_docs)]

include!(concat!(env!("OUT_DIR"), "/packages.rs"));

/// Every file of this package, for gRPC reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

include!(concat!(env!("OUT_DIR"), "/methods.rs"));

/// What a call changes, as its method's `idempotency_level` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Nothing (`NO_SIDE_EFFECTS`).
    None,
    /// Something, and nothing more when it is made again (`IDEMPOTENT`).
    Repeatable,
    /// Something, each time: what is not said otherwise.
    Once,
}

/// A method of a service.
#[derive(Debug, Clone, Copy)]
pub struct Method {
    /// `/package.Service/Method`.
    pub path: &'static str,
    /// What a call changes.
    pub effect: Effect,
    /// One side or both send a stream of messages.
    pub streams: bool,
}

/// The method that is called by a path, if it is one of this package's.
pub fn method(path: &str) -> Option<&'static Method> {
    METHODS.binary_search_by(|method| method.path.cmp(path)).ok().map(|at| &METHODS[at])
}

/// Packs a message as containerd does: the bare full name as type URL.
pub fn pack<M: prost::Name>(message: &M) -> prost_types::Any {
    prost_types::Any { type_url: M::full_name(), value: message.encode_to_vec() }
}

/// Unpacks a message whatever stands before the last `/` of its type URL.
/// `None` when it is of another type.
pub fn unpack<M: prost::Name + Default>(any: &prost_types::Any) -> Option<Result<M, prost::DecodeError>> {
    let name = any.type_url.rsplit('/').next().unwrap_or_default();
    (name == M::full_name()).then(|| M::decode(any.value.as_slice()))
}

/// The longest message that is said again in a status's details.
const LONGEST: usize = 4096;

/// The details of a status, as `grpc-status-details-bin` and ttrpc carry them: a `google.rpc.Status` with one message.
///
/// Clients in Go read the code and the message there, too. The end of a long message is left out: it is in the same head,
/// which may have 16 KiB, a second time.
pub fn details<M: prost::Name>(code: i32, message: &str, detail: &M) -> Vec<u8> {
    let message = message[..message.floor_char_boundary(LONGEST)].to_owned();
    prost::Message::encode_to_vec(&google::rpc::Status { code, message, details: vec![pack(detail)] })
}

/// The message of a type among a status's details; `None` where there is none that can be read.
pub fn detail<M: prost::Name + Default>(details: &[u8]) -> Option<M> {
    let status: google::rpc::Status = prost::Message::decode(details).ok()?;
    status.details.iter().find_map(|any| unpack(any)?.ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_are_found_by_their_paths() {
        for method in &METHODS {
            assert_eq!(self::method(method.path).map(|found| found.path), Some(method.path));
        }
        let effect = |path| method(path).map(|method| (method.effect, method.streams));
        assert_eq!(effect("/containerd.services.tasks.v1.Tasks/Wait"), Some((Effect::None, false)));
        assert_eq!(effect("/containerd.services.tasks.v1.Tasks/Kill"), Some((Effect::Once, false)));
        assert_eq!(effect("/gantry.network.v1.NetworkNamespaces/Detach"), Some((Effect::Repeatable, false)));
        assert_eq!(effect("/gantry.network.v1.NetworkNamespaces/Connect"), Some((Effect::Once, false)));
        assert_eq!(effect("/containerd.services.content.v1.Content/Write"), Some((Effect::Once, true)));
        assert_eq!(effect("/a.b/C"), None);
    }

    #[test]
    fn a_detail_is_found_by_its_type() {
        let said = gantry::engine::v1::NoSuchImage { reference: "x".into() };
        let details = details(5, &"ä".repeat(LONGEST), &said);
        assert_eq!(detail(&details), Some(said));
        assert_eq!(detail::<gantry::shim::v1::StartFailure>(&details), None);
        assert_eq!(detail::<gantry::engine::v1::NoSuchImage>(b"torn"), None);
        assert!(details.len() < LONGEST + 200, "{}", details.len());
    }
}
