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

impl gantry::engine::v1::ListResponse {
    /// The containers, each decoded when its turn comes.
    pub fn summaries(
        self,
    ) -> impl Iterator<Item = Result<gantry::engine::v1::ContainerSummary, prost::DecodeError>> {
        self.containers.into_iter().map(prost::Message::decode)
    }
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
