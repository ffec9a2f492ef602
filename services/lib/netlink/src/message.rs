//! Netlink messages: a header, a fixed part that depends on the protocol, and nested attributes.
//!
//! Every request has this form when it is sent. `netlink-packet-route` builds those of rtnetlink ([`crate::route`]).
//! This crate encodes nf_tables and the connection tracker itself: the published crates lack concatenated keys, maps
//! with data and translation, and a batch of thousands of elements is written into one buffer.
//!
//! Only this module aligns attributes: each starts on a multiple of four bytes.

use std::net::IpAddr;

/// The size of `struct nlmsghdr` in bytes.
pub(crate) const HEADER: usize = 16;

/// Marks an attribute that contains attributes.
const NESTED: u16 = 0x8000;
const TYPE_MASK: u16 = 0x3fff;

/// A request that is being built.
#[derive(Clone, Debug)]
pub struct Message {
    bytes: Vec<u8>,
}

impl Message {
    /// Begins a request of a type, with `NLM_F_*` flags (`NLM_F_REQUEST` is added) and its fixed part.
    pub fn new(kind: u16, flags: u16, fixed: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(256);
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&kind.to_ne_bytes());
        bytes.extend_from_slice(&(flags | crate::abi::NLM_F_REQUEST).to_ne_bytes());
        bytes.extend_from_slice(&[0; 8]);
        bytes.extend_from_slice(fixed);
        Message { bytes }
    }

    /// Appends an attribute with these bytes.
    pub fn bytes(&mut self, kind: u16, value: &[u8]) -> &mut Self {
        self.pad();
        let length =
            u16::try_from(value.len() + 4).expect("attributes are chunked below 64 KiB by their callers");
        self.bytes.extend_from_slice(&length.to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(value);
        self.pad();
        self
    }

    /// Appends a 32-bit number in network order (nf_tables).
    pub fn be32(&mut self, kind: u16, value: u32) -> &mut Self {
        self.bytes(kind, &value.to_be_bytes())
    }

    /// Appends text with a final NUL.
    pub fn text(&mut self, kind: u16, value: &str) -> &mut Self {
        let mut bytes = Vec::with_capacity(value.len() + 1);
        bytes.extend_from_slice(value.as_bytes());
        bytes.push(0);
        self.bytes(kind, &bytes)
    }

    /// Appends an attribute with the attributes that `fill` appends.
    pub fn nest(&mut self, kind: u16, fill: impl FnOnce(&mut Self)) -> &mut Self {
        self.pad();
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 2]);
        self.bytes.extend_from_slice(&(kind | NESTED).to_ne_bytes());
        fill(self);
        self.pad();
        let length =
            u16::try_from(self.bytes.len() - start).expect("nests are chunked below 64 KiB by their callers");
        self.bytes[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        self
    }

    /// Adds flags to the header.
    pub fn add_flags(&mut self, flags: u16) {
        let now = u16::from_ne_bytes([self.bytes[6], self.bytes[7]]);
        self.bytes[6..8].copy_from_slice(&(now | flags).to_ne_bytes());
    }

    /// Completes the message with its length and sequence number, and appends it to a buffer.
    pub(crate) fn finish(mut self, sequence: u32, out: &mut Vec<u8>) {
        self.pad();
        let length = u32::try_from(self.bytes.len()).expect("a message is far below 4 GiB");
        self.bytes[0..4].copy_from_slice(&length.to_ne_bytes());
        self.bytes[8..12].copy_from_slice(&sequence.to_ne_bytes());
        out.extend_from_slice(&self.bytes);
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

/// The bytes of an address.
pub fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}

/// The first four bytes as a number in native order.
pub fn u32_of(bytes: &[u8]) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(..4)?.try_into().ok()?))
}

/// Text up to its NUL.
pub fn text_of(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

/// A message of the kernel.
#[derive(Clone, Debug)]
pub struct Reply {
    /// `nlmsg_type`.
    pub kind: u16,
    /// `nlmsg_flags`.
    pub flags: u16,
    /// `nlmsg_seq`.
    pub sequence: u32,
    /// The bytes after the header.
    pub body: Vec<u8>,
}

impl Reply {
    /// The attributes after a fixed part of `fixed` bytes.
    pub fn attributes(&self, fixed: usize) -> Attributes<'_> {
        Attributes { rest: self.body.get(fixed..).unwrap_or_default() }
    }
}

/// Splits a received datagram into messages.
pub(crate) fn replies(mut datagram: &[u8]) -> Vec<Reply> {
    let mut found = Vec::new();
    while datagram.len() >= HEADER {
        let length = u32::from_ne_bytes(datagram[0..4].try_into().expect("four bytes")) as usize;
        if length < HEADER || length > datagram.len() {
            break;
        }
        found.push(Reply {
            kind: u16::from_ne_bytes([datagram[4], datagram[5]]),
            flags: u16::from_ne_bytes([datagram[6], datagram[7]]),
            sequence: u32::from_ne_bytes(datagram[8..12].try_into().expect("four bytes")),
            body: datagram[HEADER..length].to_vec(),
        });
        datagram = &datagram[length.next_multiple_of(4).min(datagram.len())..];
    }
    found
}

/// Iterates over attributes; stops at a malformed one.
#[derive(Clone, Debug)]
pub struct Attributes<'a> {
    rest: &'a [u8],
}

impl<'a> Attributes<'a> {
    /// The attributes in a nested attribute's bytes.
    pub fn of(bytes: &'a [u8]) -> Self {
        Attributes { rest: bytes }
    }

    /// The value of the first attribute of a type.
    pub fn find_kind(mut self, kind: u16) -> Option<&'a [u8]> {
        self.find(|(found, _)| *found == kind).map(|(_, value)| value)
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let length = u16::from_ne_bytes(self.rest.get(0..2)?.try_into().ok()?) as usize;
        let kind = u16::from_ne_bytes(self.rest.get(2..4)?.try_into().ok()?) & TYPE_MASK;
        let value = self.rest.get(4..length)?;
        self.rest = self.rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_round_trip_with_padding_and_nests() {
        let mut message = Message::new(16, 4, &[9; 16]);
        message.text(3, "br0").bytes(4, &1400u32.to_ne_bytes()).nest(18, |inner| {
            inner.text(1, "bridge").bytes(2, &[1, 2, 3]);
        });
        let mut out = Vec::new();
        message.finish(7, &mut out);
        assert_eq!(out.len() % 4, 0);
        let found = replies(&out);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].kind, found[0].sequence), (16, 7));
        let attributes: Vec<_> = found[0].attributes(16).collect();
        assert_eq!(text_of(attributes[0].1), "br0");
        assert_eq!(u32_of(attributes[1].1), Some(1400));
        let inner: Vec<_> = Attributes::of(attributes[2].1).collect();
        assert_eq!(inner[1], (2, &[1u8, 2, 3][..]));
    }

    #[test]
    fn malformed_input_ends_the_walk() {
        assert_eq!(Attributes::of(&[200, 0, 1, 0, 1]).count(), 0);
        assert_eq!(Attributes::of(&[1, 0, 1, 0]).count(), 0);
        assert!(replies(&[255; 20]).is_empty());
    }
}
