//! The expressions of rules: instructions of a small register machine.

use crate::message::Message;

use super::Family;

/// A 32-bit register, 0 to 15.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Register(pub u8);

impl Register {
    fn number(self) -> u32 {
        debug_assert!(self.0 < 16, "there are sixteen registers");
        8 + u32::from(self.0)
    }
}

/// Facts about a packet besides its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetaKey {
    /// The name of the input interface.
    InputName = 6,
    /// The name of the output interface.
    OutputName = 7,
    /// The network protocol: `ip` or `ip6`.
    Family = 15,
    /// The transport protocol.
    Transport = 16,
    /// The group of the input interface.
    InputGroup = 21,
    /// The group of the output interface.
    OutputGroup = 22,
}

/// Facts of the connection tracker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConntrackKey {
    /// new, established, related, invalid.
    State = 0,
    /// Flags, among them whether the flow is translated.
    Status = 2,
}

/// `ct state established,related`.
pub const ESTABLISHED_OR_RELATED: u32 = 2 | 4;
/// `ct status dnat`.
pub const DESTINATION_TRANSLATED: u32 = 0x20;

/// How two values are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// Continues when they are equal.
    Equal = 0,
    /// Continues when they are different.
    Different = 1,
}

/// The verdict on a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// This table accepts it.
    Accept,
    /// It is dropped.
    Drop,
}

/// An expression of a rule.
#[derive(Clone, Debug)]
pub enum Expression {
    /// Loads a fact about the packet.
    Meta(MetaKey, Register),
    /// Loads bytes of the network header: offset, length.
    Network(u32, u32, Register),
    /// Loads bytes of the transport header: offset, length.
    Transport(u32, u32, Register),
    /// Loads a fact of the connection tracker.
    Conntrack(ConntrackKey, Register),
    /// Loads the type of the destination address (`RTN_LOCAL` = 2).
    DestinationKind(Register),
    /// Masks a register.
    Mask(Register, Vec<u8>),
    /// Compares a register.
    Compare(Register, Comparison, Vec<u8>),
    /// Continues when the register is in the set.
    In {
        /// The set.
        set: String,
        /// The key.
        key: Register,
        /// Continues when it is not in the set.
        inverted: bool,
    },
    /// Continues when the register is a key of the map, and loads its data.
    Map {
        /// The map.
        map: String,
        /// The key.
        key: Register,
        /// The register for the data.
        to: Register,
    },
    /// Loads a value.
    Load(Register, Vec<u8>),
    /// Translates the destination to the address and port in these registers.
    Dnat {
        /// The address's family.
        family: Family,
        /// The register with the address.
        address: Register,
        /// The register with the port.
        port: Register,
    },
    /// Translates the source to the address of the output interface.
    Masquerade,
    /// Ends the rule.
    Verdict(Verdict),
}

/// `accept`
pub fn accept() -> Expression {
    Expression::Verdict(Verdict::Accept)
}

/// `drop`
pub fn drop() -> Expression {
    Expression::Verdict(Verdict::Drop)
}

/// `register == value`
pub fn equals(register: Register, value: &[u8]) -> Expression {
    Expression::Compare(register, Comparison::Equal, value.to_vec())
}

/// Continues when one of the bits is set: the three expressions for a conntrack fact.
pub fn matches(key: ConntrackKey, bits: u32) -> [Expression; 3] {
    let register = Register(0);
    [
        Expression::Conntrack(key, register),
        Expression::Mask(register, bits.to_ne_bytes().to_vec()),
        Expression::Compare(register, Comparison::Different, vec![0; 4]),
    ]
}

/// An interface's name as the kernel compares it: 16 bytes, padded with zeros.
pub fn ifname(name: &str) -> [u8; 16] {
    let mut raw = [0; 16];
    let length = name.len().min(15);
    raw[..length].copy_from_slice(&name.as_bytes()[..length]);
    raw
}

impl Expression {
    pub(super) fn encode(&self, element: &mut Message) {
        let mut put = |name: &str, fill: &dyn Fn(&mut Message)| {
            element.text(1, name).nest(2, |data| fill(data));
        };
        match self {
            Expression::Meta(key, to) => put("meta", &|data| {
                data.be32(1, to.number()).be32(2, *key as u32);
            }),
            Expression::Network(offset, length, to) => put("payload", &|data| {
                data.be32(1, to.number()).be32(2, 1).be32(3, *offset).be32(4, *length);
            }),
            Expression::Transport(offset, length, to) => put("payload", &|data| {
                data.be32(1, to.number()).be32(2, 2).be32(3, *offset).be32(4, *length);
            }),
            Expression::Conntrack(key, to) => put("ct", &|data| {
                data.be32(1, to.number()).be32(2, *key as u32);
            }),
            Expression::DestinationKind(to) => put("fib", &|data| {
                data.be32(1, to.number()).be32(2, 3).be32(3, 2);
            }),
            Expression::Mask(register, mask) => put("bitwise", &|data| {
                let length = u32::try_from(mask.len()).expect("a mask is at most 16 bytes");
                data.be32(1, register.number()).be32(2, register.number()).be32(3, length);
                data.nest(4, |nest| {
                    nest.bytes(1, mask);
                });
                data.nest(5, |nest| {
                    nest.bytes(1, &vec![0; mask.len()]);
                });
            }),
            Expression::Compare(register, comparison, value) => put("cmp", &|data| {
                data.be32(1, register.number()).be32(2, *comparison as u32).nest(3, |nest| {
                    nest.bytes(1, value);
                });
            }),
            Expression::In { set, key, inverted } => put("lookup", &|data| {
                data.text(1, set).be32(2, key.number()).be32(5, u32::from(*inverted));
            }),
            Expression::Map { map, key, to } => put("lookup", &|data| {
                data.text(1, map).be32(2, key.number()).be32(3, to.number());
            }),
            Expression::Load(to, value) => put("immediate", &|data| {
                data.be32(1, to.number()).nest(2, |nest| {
                    nest.bytes(1, value);
                });
            }),
            Expression::Dnat { family, address, port } => {
                put("nat", &|data| nat(data, 1, *family, *address, *port))
            }
            Expression::Masquerade => put("masq", &|_| {}),
            Expression::Verdict(verdict) => put("immediate", &|data| {
                data.be32(1, 0).nest(2, |nest| {
                    nest.nest(2, |code| match verdict {
                        Verdict::Drop => {
                            code.be32(1, 0);
                        }
                        Verdict::Accept => {
                            code.be32(1, 1);
                        }
                    });
                });
            }),
        }
    }
}

fn nat(data: &mut Message, kind: u32, family: Family, address: Register, port: Register) {
    data.be32(1, kind).be32(2, u32::from(family.number()));
    data.be32(3, address.number()).be32(5, port.number());
}
