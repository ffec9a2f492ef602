//! The rules, which never change, and the sets that they look up.
//!
//! ```text
//! prerouting -300  from a bridge to 127.0.0.0/8                           drop   (route_localnet must open nothing)
//! prerouting -100  to loopback                                            accept (only the host's own, in output)
//! output -100      to ::1                                                 accept (its source leads to no container)
//! both             to address . protocol . port @ports_at                 dnat
//!                  to this host, protocol . port @ports_any               dnat
//! postrouting 100  from 127.0.0.0/8 to a bridge                           masquerade  (the host's own loopback)
//!                  translated, from one of our subnets to a bridge        masquerade  (a container to a published port)
//!                  from @masquerade to anything but a bridge              masquerade
//! forward 0        established, related                                   accept
//!                  from . to @same                                        accept
//!                  from or to an @internal bridge                         drop
//!                  to a bridge, translated                                accept
//!                  to a bridge                                            drop   (networks are isolated)
//!                  @closed, neither from nor to a bridge of any Gantry    drop   (the host is no router)
//! ```

use gantry_netlink::nft::{
    Batch, Chain, Comparison, ConntrackKey, DESTINATION_TRANSLATED, ESTABLISHED_OR_RELATED, Expression,
    Family, Hook, HookPoint, MetaKey, Policy, Register, Set, Type, accept, drop, equals, matches,
};

/// Our bridges.
pub(super) const BRIDGES: &str = "bridges";
/// Pairs of a bridge and itself.
pub(super) const SAME: &str = "same";
/// Bridges of internal networks.
pub(super) const INTERNAL: &str = "internal";
/// All subnets.
pub(super) const SUBNETS: &str = "subnets";
/// Subnets that are masqueraded.
pub(super) const MASQUERADE: &str = "masquerade";
/// Ports published on all of the host's addresses.
pub(super) const PORTS_ANY: &str = "ports_any";
/// Ports published on one address.
pub(super) const PORTS_AT: &str = "ports_at";

/// The table's own family, while the host forwards packets only for bridges.
pub(super) const CLOSED: &str = "closed";

pub(super) const SETS: [&str; 8] =
    [BRIDGES, SAME, INTERNAL, SUBNETS, MASQUERADE, PORTS_ANY, PORTS_AT, CLOSED];

/// `RTN_LOCAL`: an address of this host.
const LOCAL: u32 = 2;

/// Replaces the table by one with all chains and rules, and with empty sets.
pub(super) fn table(batch: &mut Batch, family: Family, table: &str) {
    batch.replace_table(family, table);
    let address = [Type::address(family)];
    let to = [Type::address(family), Type::Port];
    let at = [Type::address(family), Type::Protocol, Type::Port];
    let set = |name, key, data, interval| Set { name, key, data, interval };
    for set in [
        set(BRIDGES, &[Type::Interface], &[], false),
        set(SAME, &[Type::Interface, Type::Interface], &[], false),
        set(INTERNAL, &[Type::Interface], &[], false),
        set(SUBNETS, &address, &[], true),
        set(MASQUERADE, &address, &[], true),
        set(PORTS_ANY, &[Type::Protocol, Type::Port], &to, false),
        set(PORTS_AT, &at, &to, false),
        set(CLOSED, &[Type::Family], &[], false),
    ] {
        batch.add_set(family, table, &set);
    }
    let chains = [
        ("raw", "filter", HookPoint::Prerouting, -300),
        ("prerouting", "nat", HookPoint::Prerouting, -100),
        ("output", "nat", HookPoint::Output, -100),
        ("postrouting", "nat", HookPoint::Postrouting, 100),
        ("forward", "filter", HookPoint::Forward, 0),
    ];
    for (name, kind, point, priority) in chains {
        let hook = Hook { point, priority, policy: Policy::Accept };
        batch.add_chain(family, table, &Chain { name, kind, hook: Some(hook) });
    }
    let mut add = |chain: &str, rule: Vec<Expression>| {
        batch.add_rule(family, table, chain, &rule);
    };

    if family == Family::Ip {
        add("raw", [from(BRIDGES), to_loopback(family), vec![drop()]].concat());
    }
    // If such a packet were translated first, the kernel would no longer refuse it: a neighbour that sends 127.0.0.1
    // to this host's hardware address would reach what is published for this host alone.
    add("prerouting", [to_loopback(family), vec![accept()]].concat());
    // Rejected at once, so that clients of `localhost` try 127.0.0.1 next.
    if family == Family::Ip6 {
        add("output", [to_loopback(family), vec![accept()]].concat());
    }
    for chain in ["prerouting", "output"] {
        add(chain, published_at(family));
        add(chain, published_anywhere(family));
    }
    if family == Family::Ip {
        add("postrouting", [from_loopback(), towards(BRIDGES), vec![Expression::Masquerade]].concat());
    }
    let translated = || matches(ConntrackKey::Status, DESTINATION_TRANSLATED).to_vec();
    let hairpin = [translated(), towards(BRIDGES), source_in(family, SUBNETS), vec![Expression::Masquerade]];
    add("postrouting", hairpin.concat());
    add(
        "postrouting",
        [source_in(family, MASQUERADE), not_towards(BRIDGES), vec![Expression::Masquerade]].concat(),
    );

    add("forward", [matches(ConntrackKey::State, ESTABLISHED_OR_RELATED).to_vec(), vec![accept()]].concat());
    let both = vec![
        Expression::Meta(MetaKey::InputName, Register(0)),
        Expression::Meta(MetaKey::OutputName, Register(4)),
        lookup(SAME, false),
        accept(),
    ];
    add("forward", both);
    add("forward", [from(INTERNAL), vec![drop()]].concat());
    add("forward", [towards(INTERNAL), vec![drop()]].concat());
    add("forward", [towards(BRIDGES), translated(), vec![accept()]].concat());
    add("forward", [towards(BRIDGES), vec![drop()]].concat());
    let closed = vec![Expression::Meta(MetaKey::Family, Register(0)), lookup(CLOSED, false)];
    let strange = [not_from(BRIDGES), other_group(MetaKey::InputGroup), other_group(MetaKey::OutputGroup)];
    add("forward", [closed, strange.concat(), vec![drop()]].concat());
}

/// Matches a bridge that belongs to no Gantry.
fn other_group(side: MetaKey) -> Vec<Expression> {
    let group = crate::driver::bridge::GROUP.to_ne_bytes().to_vec();
    vec![Expression::Meta(side, Register(0)), Expression::Compare(Register(0), Comparison::Different, group)]
}

fn lookup(set: &str, inverted: bool) -> Expression {
    Expression::In { set: set.to_owned(), key: Register(0), inverted }
}

fn from(set: &str) -> Vec<Expression> {
    vec![Expression::Meta(MetaKey::InputName, Register(0)), lookup(set, false)]
}

fn not_from(set: &str) -> Vec<Expression> {
    vec![Expression::Meta(MetaKey::InputName, Register(0)), lookup(set, true)]
}

fn towards(set: &str) -> Vec<Expression> {
    vec![Expression::Meta(MetaKey::OutputName, Register(0)), lookup(set, false)]
}

fn not_towards(set: &str) -> Vec<Expression> {
    vec![Expression::Meta(MetaKey::OutputName, Register(0)), lookup(set, true)]
}

/// The offsets of source and destination in the header, and the length of an address.
fn header(family: Family) -> (u32, u32, u32) {
    match family {
        Family::Ip => (12, 16, 4),
        Family::Ip6 => (8, 24, 16),
    }
}

fn source_in(family: Family, set: &str) -> Vec<Expression> {
    let (source, _, length) = header(family);
    vec![Expression::Network(source, length, Register(0)), lookup(set, false)]
}

fn from_loopback() -> Vec<Expression> {
    vec![Expression::Network(12, 1, Register(0)), equals(Register(0), &[127])]
}

fn to_loopback(family: Family) -> Vec<Expression> {
    let (_, destination, length) = header(family);
    match family {
        Family::Ip => vec![Expression::Network(destination, 1, Register(0)), equals(Register(0), &[127])],
        Family::Ip6 => {
            let address = std::net::Ipv6Addr::LOCALHOST.octets();
            vec![Expression::Network(destination, length, Register(0)), equals(Register(0), &address)]
        }
    }
}

fn published_at(family: Family) -> Vec<Expression> {
    let (_, destination, length) = header(family);
    let after = u8::try_from(length / 4).expect("one or four registers");
    vec![
        Expression::Network(destination, length, Register(0)),
        Expression::Meta(MetaKey::Transport, Register(after)),
        Expression::Transport(2, 2, Register(after + 1)),
        Expression::Map { map: PORTS_AT.to_owned(), key: Register(0), to: Register(0) },
        Expression::Dnat { family, address: Register(0), port: Register(after) },
    ]
}

fn published_anywhere(family: Family) -> Vec<Expression> {
    let (_, _, length) = header(family);
    let after = u8::try_from(length / 4).expect("one or four registers");
    vec![
        Expression::DestinationKind(Register(0)),
        Expression::Compare(Register(0), Comparison::Equal, LOCAL.to_ne_bytes().to_vec()),
        Expression::Meta(MetaKey::Transport, Register(0)),
        Expression::Transport(2, 2, Register(1)),
        Expression::Map { map: PORTS_ANY.to_owned(), key: Register(0), to: Register(0) },
        Expression::Dnat { family, address: Register(0), port: Register(after) },
    ]
}
