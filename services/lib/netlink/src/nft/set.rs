//! Sets and maps: keys of one or more typed parts, each padded to four bytes.

use std::net::IpAddr;

use super::Family;
use crate::message::{Message, octets};

/// Userdata for the `nft` tool, which the kernel only stores: the key is in native byte order (type 0, four bytes,
/// 1). Without it the tool prints the names of interfaces backwards.
const HOST_ORDER: [u8; 6] = [0, 4, 1, 0, 0, 0];
const INTERVAL: u32 = 4;
const MAP: u32 = 8;

/// The type of a part of a key. The numbers are those of the `nft` tool, so that it can list the sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// `ip`, `ip6`.
    Family = 2,
    /// An IPv4 address.
    Ipv4 = 7,
    /// An IPv6 address.
    Ipv6 = 8,
    /// `tcp`, `udp`, `sctp`.
    Protocol = 12,
    /// A port.
    Port = 13,
    /// An interface's name.
    Interface = 41,
}

impl Type {
    /// The type of addresses of a family.
    pub fn address(family: Family) -> Self {
        match family {
            Family::Ip => Type::Ipv4,
            Family::Ip6 => Type::Ipv6,
        }
    }

    /// The size in a concatenation, in bytes.
    fn size(self) -> u32 {
        match self {
            Type::Family | Type::Ipv4 | Type::Protocol | Type::Port => 4,
            Type::Ipv6 | Type::Interface => 16,
        }
    }

    /// The size alone, in bytes.
    fn alone(self) -> u32 {
        match self {
            Type::Family | Type::Protocol => 1,
            Type::Port => 2,
            other => other.size(),
        }
    }
}

fn type_number(parts: &[Type]) -> u32 {
    parts.iter().fold(0, |number, part| (number << 6) | *part as u32)
}

fn length(parts: &[Type]) -> u32 {
    match parts {
        [one] => one.alone(),
        many => many.iter().map(|part| part.size()).sum(),
    }
}

/// A set, or with `data` a map.
#[derive(Clone, Debug)]
pub struct Set<'a> {
    /// Its name.
    pub name: &'a str,
    /// The parts of the key.
    pub key: &'a [Type],
    /// The parts of the data; empty for a set.
    pub data: &'a [Type],
    /// The elements are ranges ([`Element::range`]).
    pub interval: bool,
}

impl Set<'_> {
    pub(super) fn encode(&self, table: &str, id: u32, message: &mut Message) {
        let mut flags = 0;
        if self.interval {
            flags |= INTERVAL;
        }
        if !self.data.is_empty() {
            flags |= MAP;
        }
        message.text(1, table).text(2, self.name).be32(3, flags);
        message.be32(4, type_number(self.key)).be32(5, length(self.key));
        if !self.data.is_empty() {
            message.be32(6, type_number(self.data)).be32(7, length(self.data));
        }
        message.be32(10, id);
        if self.key == [Type::Interface] {
            message.bytes(13, &HOST_ORDER);
        }
    }
}

/// An element: key bytes and, in a map, data bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Element {
    /// The key's parts.
    pub key: Vec<u8>,
    /// The data; empty in a set.
    pub data: Vec<u8>,
    /// The end of the range that the element before began.
    pub end: bool,
}

impl Element {
    /// An element with an empty key, to which the other methods add parts.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the key to a family; the key must have no other part.
    pub fn family(mut self, family: Family) -> Self {
        self.key.push(family.number());
        self
    }

    /// Adds an address to the key.
    pub fn address(mut self, address: IpAddr) -> Self {
        self.key.extend(octets(address));
        self
    }

    /// Adds a protocol number to a concatenated key.
    pub fn protocol(mut self, number: u8) -> Self {
        self.key.extend([number, 0, 0, 0]);
        self
    }

    /// Adds a port to a concatenated key.
    pub fn port(mut self, port: u16) -> Self {
        self.key.extend(port.to_be_bytes());
        self.key.extend([0, 0]);
        self
    }

    /// Adds an interface's name to the key.
    pub fn interface(mut self, name: &str) -> Self {
        self.key.extend(super::expression::ifname(name));
        self
    }

    /// Sets the data to address and port.
    pub fn to(mut self, address: IpAddr, port: u16) -> Self {
        self.data = octets(address);
        self.data.extend(port.to_be_bytes());
        self.data.extend([0, 0]);
        self
    }

    /// The two elements of an interval set for a subnet.
    pub fn range(net: ipnet::IpNet) -> Vec<Self> {
        let mut both = vec![Element::new().address(net.network())];
        let after = match net.broadcast() {
            IpAddr::V4(last) => u32::from(last).checked_add(1).map(|next| IpAddr::V4(next.into())),
            IpAddr::V6(last) => u128::from(last).checked_add(1).map(|next| IpAddr::V6(next.into())),
        };
        if let Some(after) = after {
            let mut end = Element::new().address(after);
            end.end = true;
            both.push(end);
        }
        both
    }
}

pub(super) fn encode_element(element: &Element, list: &mut Message) {
    list.nest(1, |nest| {
        if element.end {
            nest.be32(3, 1);
        }
        nest.nest(1, |key| {
            key.bytes(1, &element.key);
        });
        if !element.data.is_empty() {
            nest.nest(2, |data| {
                data.bytes(1, &element.data);
            });
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn concatenations_are_padded() {
        assert_eq!(length(&[Type::Ipv4, Type::Protocol, Type::Port]), 12);
        assert_eq!(length(&[Type::Port]), 2);
        let element = Element::new().protocol(6).port(8080).to("172.17.0.2".parse().unwrap(), 80);
        assert_eq!(element.key, [6, 0, 0, 0, 0x1f, 0x90, 0, 0]);
        assert_eq!(element.data, [172, 17, 0, 2, 0, 80, 0, 0]);
    }

    #[test]
    fn a_range_ends_after_its_last_address() {
        let both = Element::range("10.1.0.0/16".parse().unwrap());
        assert_eq!((both[1].key.as_slice(), both[1].end), (&[10u8, 2, 0, 0][..], true));
        assert_eq!(Element::range("255.255.0.0/16".parse().unwrap()).len(), 1);
    }
}
