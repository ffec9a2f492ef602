//! Keys as bytes that sort like their parts.
//!
//! A key is one [`Part`] or a tuple of parts, joined by a 0 byte. Text is escaped so that it has no 0 byte and keeps
//! its order (`0x00` → `01 01`, `0x01` → `01 02`); numbers are big-endian and of fixed width. So keys sort by their
//! parts, one after the other, and all keys with the same first parts are one range.

use gantry_types::{Digest, Namespace};

const SEPARATOR: u8 = 0;
const ESCAPE: u8 = 1;

/// A part of a key.
pub trait Part: Sized {
    /// Appends the part.
    fn encode(&self, out: &mut Vec<u8>);
    /// Removes the part from the front; `None` if the bytes are not one.
    fn decode(bytes: &mut &[u8]) -> Option<Self>;
}

fn encode_text(text: &str, out: &mut Vec<u8>) {
    for byte in text.bytes() {
        match byte {
            SEPARATOR | ESCAPE => out.extend([ESCAPE, byte + 1]),
            other => out.push(other),
        }
    }
}

fn decode_text(bytes: &mut &[u8]) -> Option<String> {
    let end = bytes.iter().position(|b| *b == SEPARATOR).unwrap_or(bytes.len());
    let (text, rest) = bytes.split_at(end);
    *bytes = rest;
    let mut out = Vec::with_capacity(text.len());
    let mut escaped = text.iter();
    while let Some(byte) = escaped.next() {
        match *byte {
            ESCAPE => out.push(escaped.next()?.checked_sub(1).filter(|b| *b <= ESCAPE)?),
            other => out.push(other),
        }
    }
    String::from_utf8(out).ok()
}

impl Part for String {
    fn encode(&self, out: &mut Vec<u8>) {
        encode_text(self, out);
    }

    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        decode_text(bytes)
    }
}

impl Part for Namespace {
    fn encode(&self, out: &mut Vec<u8>) {
        encode_text(self.as_str(), out);
    }

    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        decode_text(bytes)?.parse().ok()
    }
}

impl Part for Digest {
    fn encode(&self, out: &mut Vec<u8>) {
        encode_text(self.as_str(), out);
    }

    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        decode_text(bytes)?.parse().ok()
    }
}

macro_rules! number {
    ($($number:ty),*) => {$(
        impl Part for $number {
            fn encode(&self, out: &mut Vec<u8>) {
                out.extend(self.to_be_bytes());
            }

            fn decode(bytes: &mut &[u8]) -> Option<Self> {
                let (number, rest) = bytes.split_first_chunk()?;
                *bytes = rest;
                Some(<$number>::from_be_bytes(*number))
            }
        }
    )*};
}

number!(u8, u16, u32, u64);

/// The key of a table: a [`Part`], or a tuple of two or three parts.
pub trait Key: Sized {
    /// Appends the key.
    fn encode(&self, out: &mut Vec<u8>);
    /// Decodes a whole key.
    fn decode(bytes: &[u8]) -> Option<Self>;

    /// The key's bytes.
    fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(96);
        self.encode(&mut out);
        out
    }
}

fn take_separator(bytes: &mut &[u8]) -> Option<()> {
    let (first, rest) = bytes.split_first()?;
    *bytes = rest;
    (*first == SEPARATOR).then_some(())
}

macro_rules! single {
    ($($part:ty),*) => {$(
        impl Key for $part {
            fn encode(&self, out: &mut Vec<u8>) {
                Part::encode(self, out);
            }

            fn decode(mut bytes: &[u8]) -> Option<Self> {
                let part = Part::decode(&mut bytes)?;
                bytes.is_empty().then_some(part)
            }
        }
    )*};
}

single!(String, Namespace, Digest, u32, u64);

impl<A: Part, B: Part> Key for (A, B) {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
        out.push(SEPARATOR);
        self.1.encode(out);
    }

    fn decode(mut bytes: &[u8]) -> Option<Self> {
        let a = A::decode(&mut bytes)?;
        take_separator(&mut bytes)?;
        let b = B::decode(&mut bytes)?;
        bytes.is_empty().then_some((a, b))
    }
}

impl<A: Part, B: Part, C: Part> Key for (A, B, C) {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
        out.push(SEPARATOR);
        self.1.encode(out);
        out.push(SEPARATOR);
        self.2.encode(out);
    }

    fn decode(mut bytes: &[u8]) -> Option<Self> {
        let a = A::decode(&mut bytes)?;
        take_separator(&mut bytes)?;
        let b = B::decode(&mut bytes)?;
        take_separator(&mut bytes)?;
        let c = C::decode(&mut bytes)?;
        bytes.is_empty().then_some((a, b, c))
    }
}

/// The beginning of all keys in a range: the first parts of a tuple, or the beginning of a text.
pub trait Prefix<K> {
    /// Appends the beginning.
    fn encode_prefix(&self, out: &mut Vec<u8>);
}

impl Prefix<String> for str {
    fn encode_prefix(&self, out: &mut Vec<u8>) {
        encode_text(self, out);
    }
}

impl Prefix<String> for String {
    fn encode_prefix(&self, out: &mut Vec<u8>) {
        encode_text(self, out);
    }
}

impl<B: Part> Prefix<(String, B)> for str {
    fn encode_prefix(&self, out: &mut Vec<u8>) {
        encode_text(self, out);
        out.push(SEPARATOR);
    }
}

impl<B: Part, C: Part> Prefix<(String, B, C)> for str {
    fn encode_prefix(&self, out: &mut Vec<u8>) {
        encode_text(self, out);
        out.push(SEPARATOR);
    }
}

impl<A: Part, B: Part> Prefix<(A, B)> for A {
    fn encode_prefix(&self, out: &mut Vec<u8>) {
        self.encode(out);
        out.push(SEPARATOR);
    }
}

impl<A: Part, B: Part, C: Part> Prefix<(A, B, C)> for A {
    fn encode_prefix(&self, out: &mut Vec<u8>) {
        self.encode(out);
        out.push(SEPARATOR);
    }
}

impl<A: Part, B: Part, C: Part> Prefix<(A, B, C)> for (A, B) {
    fn encode_prefix(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
        out.push(SEPARATOR);
        self.1.encode(out);
        out.push(SEPARATOR);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn order_and_value_survive(
            a in ("[\\x00-\\x03a-c\u{e9}]{0,5}", "[\\x00-\\x03a-c]{0,5}", any::<u64>()),
            b in ("[\\x00-\\x03a-c\u{e9}]{0,5}", "[\\x00-\\x03a-c]{0,5}", any::<u64>()),
        ) {
            prop_assert_eq!(a.to_bytes().cmp(&b.to_bytes()), a.cmp(&b));
            prop_assert_eq!(<(String, String, u64)>::decode(&a.to_bytes()), Some(a.clone()));
            let mut prefix = Vec::new();
            Prefix::<(String, String, u64)>::encode_prefix(&a.0, &mut prefix);
            prop_assert_eq!(b.to_bytes().starts_with(&prefix), a.0 == b.0);
            let mut prefix = Vec::new();
            Prefix::<(String, String, u64)>::encode_prefix(&(a.0.clone(), a.1.clone()), &mut prefix);
            let same: &[u8] = &prefix;
            prop_assert_eq!(b.to_bytes().starts_with(same), (&a.0, &a.1) == (&b.0, &b.1));
        }

        #[test]
        fn any_bytes_decode_to_nothing_or_to_their_key(bytes in prop::collection::vec(0u8..4, 0..12)) {
            if let Some(key) = <(String, String)>::decode(&bytes) {
                prop_assert_eq!(key.to_bytes(), bytes);
            }
        }
    }

    #[test]
    fn typed_parts_are_their_text() {
        let namespace: Namespace = "moby".parse().unwrap();
        let digest = Digest::sha256(b"x");
        let bytes = (namespace.clone(), digest.clone()).to_bytes();
        assert_eq!(bytes, format!("moby\0{digest}").into_bytes());
        assert_eq!(<(Namespace, Digest)>::decode(&bytes), Some((namespace, digest)));
        assert_eq!(<(Namespace, Digest)>::decode(b"moby\0sha256:zz"), None);
    }
}
