//! Links: bridges and veth pairs, their options and their state.

use std::os::fd::{AsFd, AsRawFd};

use ipnet::IpNet;
use netlink_packet_core::{
    NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NlasIterator, Parseable, ParseableParametrized,
};
use netlink_packet_route::link::{
    InfoBridgePort, InfoData, InfoKind, InfoPortData, InfoPortKind, InfoVeth, LinkAttribute, LinkFlags,
    LinkHeader, LinkInfo, LinkMessage, LinkMessageBuffer,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::{Route, RouteEntry, address, encode, table};
use crate::error::{Error, Result};
use crate::mac::Mac;
use crate::message::Reply;
use crate::netns::Namespace;
use crate::socket::Described;

/// `RTM_NEWLINK`: a message that describes a link.
const NEWLINK: u16 = 16;
/// `IFLA_LINKINFO`, parsed here: the library drops all of it when it cannot parse one part.
const LINKINFO: u16 = 18;
/// `IFLA_ADDRESS`, `IFLA_IFNAME`, `IFLA_MTU`, `IFLA_MASTER`, `IFLA_IFALIAS` and `IFLA_GROUP`, in rtnetlink(7).
const READ: [u16; 6] = [1, 3, 4, 10, 20, 27];

/// A link as the kernel describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its index, unique in its namespace.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Its hardware address, if it has one of six bytes.
    pub mac: Option<Mac>,
    /// The index of the bridge or bond it belongs to.
    pub master: Option<u32>,
    /// Its alias, as in `ip link set alias`.
    pub alias: String,
    /// `bridge`, `veth`, …; empty for physical ones.
    pub kind: String,
    /// Its group; 0 is the default.
    pub group: u32,
    /// It is administratively up.
    pub up: bool,
    /// Its MTU.
    pub mtu: u32,
}

/// A veth pair to make: one end here, on a bridge; the other in a namespace.
#[derive(Clone, Debug)]
pub struct Veth<'a> {
    /// The near end's name.
    pub name: &'a str,
    /// The bridge's index.
    pub master: Option<u32>,
    /// The far end's name inside the namespace.
    pub peer: &'a str,
    /// The far end's namespace.
    pub namespace: &'a Namespace,
    /// The far end's hardware address.
    pub mac: Mac,
    /// Both ends' MTU; the kernel's default when 0.
    pub mtu: u32,
    /// The options of the near end as a bridge port.
    pub port: Port,
}

/// The options of a bridge port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Port {
    /// It does not reach other isolated ports.
    pub isolated: bool,
    /// Packets may leave by the port through which they came.
    pub hairpin: bool,
}

/// Refuses the names that the kernel refuses, before they are part of a path in /proc/sys.
pub fn check_name(name: &str) -> Result<()> {
    let bad = |c: char| c == '/' || c == ':' || c.is_whitespace() || c.is_control();
    if name.is_empty() || name.len() > 15 || name == "." || name == ".." || name.contains(bad) {
        return Err(Error::InterfaceName(name.to_owned()));
    }
    Ok(())
}

impl Route {
    /// Makes a bridge that is up. Sets its hardware address, so that it does not change with its ports.
    ///
    /// # Errors
    /// `is_exists` when a link of the name exists.
    pub fn add_bridge(&mut self, name: &str, mac: Mac, mtu: u32) -> Result<()> {
        check_name(name)?;
        let mut link = up(0);
        link.attributes = vec![named(name), LinkAttribute::Address(mac.0.to_vec())];
        link.attributes.extend(mtu_of(mtu));
        link.attributes.push(LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::Bridge)]));
        self.send(vec![create(link, format!("create bridge {name}"))])
    }

    /// Makes a veth pair in one request: the near end up, the far end down and never outside of its namespace
    /// ([`Route::configure`] sets it up there).
    pub fn add_veth(&mut self, veth: &Veth<'_>) -> Result<()> {
        check_name(veth.name)?;
        check_name(veth.peer)?;
        // Not up: the kernel refuses that until both ends are connected (ENOTCONN).
        let mut peer = LinkMessage::default();
        peer.attributes = vec![
            named(veth.peer),
            LinkAttribute::Address(veth.mac.0.to_vec()),
            LinkAttribute::NetNsFd(veth.namespace.as_fd().as_raw_fd()),
        ];
        peer.attributes.extend(mtu_of(veth.mtu));
        let mut link = up(0);
        link.attributes = vec![named(veth.name)];
        link.attributes.extend(mtu_of(veth.mtu));
        link.attributes.extend(veth.master.map(LinkAttribute::Controller));
        link.attributes.push(LinkAttribute::LinkInfo(vec![
            LinkInfo::Kind(InfoKind::Veth),
            LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(peer))),
        ]));
        let mut requests = vec![create(link, format!("create veth {}", veth.name))];
        if veth.port != Port::default() {
            requests.push(port(veth.name, veth.port));
        }
        self.send(requests)
    }

    /// Sets the options of a bridge port.
    pub fn set_port(&mut self, name: &str, mode: Port) -> Result<()> {
        self.send(vec![port(name, mode)])
    }

    /// Makes the kernel process changes of carrier that it has left to a worker: links that were just set up carry
    /// packets when this returns. Does nothing before Linux 6.8.
    pub fn settle(&mut self, names: &[&str]) -> Result<()> {
        self.send(names.iter().map(|name| look(name)).collect())
    }

    /// Sets a link up.
    pub fn set_up(&mut self, index: u32) -> Result<()> {
        self.send(vec![set(up(index), format!("set link {index} up"))])
    }

    /// Sets a link up, adds addresses and routes, and settles it ([`Route::settle`]), in one system call.
    pub fn configure(&mut self, index: u32, nets: &[IpNet], routes: &[RouteEntry]) -> Result<()> {
        let mut requests = vec![set(up(index), format!("set link {index} up"))];
        requests.extend(nets.iter().map(|net| address::add(index, net)));
        requests.extend(routes.iter().map(table::replace));
        let settle = encode(&RouteNetlinkMessage::GetLink(numbered(index)), 0);
        requests.push((settle, format!("settle link {index}")));
        self.send(requests)
    }

    /// Moves a link to a network namespace, where it has another name, is down and has no addresses.
    pub fn move_link(&mut self, index: u32, namespace: &Namespace, name: &str) -> Result<()> {
        check_name(name)?;
        let mut link = numbered(index);
        link.attributes = vec![LinkAttribute::NetNsFd(namespace.as_fd().as_raw_fd()), named(name)];
        self.send(vec![set(link, format!("move link {index} to another namespace as {name}"))])
    }

    /// Sets the hardware address of a link that is down.
    pub fn set_mac(&mut self, index: u32, mac: Mac) -> Result<()> {
        let mut link = numbered(index);
        link.attributes = vec![LinkAttribute::Address(mac.0.to_vec())];
        self.send(vec![set(link, format!("set the hardware address of link {index}"))])
    }

    /// Sets a link's alias, for people and to recognize the link later, and its group, for rules.
    pub fn set_mark(&mut self, index: u32, alias: &str, group: u32) -> Result<()> {
        let mut link = numbered(index);
        link.attributes = vec![LinkAttribute::IfAlias(alias.to_owned()), LinkAttribute::Group(group)];
        self.send(vec![set(link, format!("set alias and group of link {index}"))])
    }

    /// Deletes links by name in one system call. Slow: the kernel takes about 20 ms for each.
    ///
    /// # Errors
    /// The first failure; the other links are deleted.
    pub fn delete_links<'a>(&mut self, names: impl IntoIterator<Item = &'a str>) -> Result<()> {
        let request = |name: &str| {
            let mut link = LinkMessage::default();
            link.attributes.push(named(name));
            (encode(&RouteNetlinkMessage::DelLink(link), 0), format!("delete link {name}"))
        };
        self.send(names.into_iter().map(request).collect())
    }

    /// The link of a name, if it exists.
    pub fn link(&mut self, name: &str) -> Result<Option<Link>> {
        check_name(name)?;
        let (message, what) = look(name);
        match self.socket.query(message, 0, &what) {
            Ok(replies) => Ok(replies.iter().find_map(parse)),
            Err(error) if error.is_missing() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The index of the link of a name.
    ///
    /// # Errors
    /// `is_missing` without such a link.
    pub fn index(&mut self, name: &str) -> Result<u32> {
        self.link(name)?.map(|link| link.index).ok_or_else(|| Error::Refused {
            what: format!("find link {name}"),
            detail: None,
            source: std::io::Error::from_raw_os_error(rustix::io::Errno::NODEV.raw_os_error()),
        })
    }

    /// All links of the namespace.
    pub fn links(&mut self) -> Result<Vec<Link>> {
        let request = RouteNetlinkMessage::GetLink(LinkMessage::default());
        let replies = self.socket.query(encode(&request, 0), NLM_F_DUMP, "list links")?;
        Ok(replies.iter().filter_map(parse).collect())
    }
}

fn look(name: &str) -> Described {
    let mut link = LinkMessage::default();
    link.attributes.push(named(name));
    (encode(&RouteNetlinkMessage::GetLink(link), 0), format!("find link {name}"))
}

fn port(name: &str, mode: Port) -> Described {
    let data = vec![InfoBridgePort::HairpinMode(mode.hairpin), InfoBridgePort::Isolated(mode.isolated)];
    let mut link = LinkMessage::default();
    link.attributes = vec![
        named(name),
        LinkAttribute::LinkInfo(vec![
            LinkInfo::PortKind(InfoPortKind::Bridge),
            LinkInfo::PortData(InfoPortData::BridgePort(data)),
        ]),
    ];
    (encode(&RouteNetlinkMessage::NewLink(link), 0), format!("set port {name}"))
}

fn create(link: LinkMessage, what: String) -> Described {
    (encode(&RouteNetlinkMessage::NewLink(link), NLM_F_CREATE | NLM_F_EXCL), what)
}

fn set(link: LinkMessage, what: String) -> Described {
    (encode(&RouteNetlinkMessage::SetLink(link), 0), what)
}

/// A message about the link with an index.
fn numbered(index: u32) -> LinkMessage {
    let mut link = LinkMessage::default();
    link.header.index = index;
    link
}

/// A message about a link that is up; index 0 for a new one.
fn up(index: u32) -> LinkMessage {
    let mut link = numbered(index);
    link.header.flags = LinkFlags::Up;
    link.header.change_mask = LinkFlags::Up;
    link
}

fn named(name: &str) -> LinkAttribute {
    LinkAttribute::IfName(name.to_owned())
}

/// `None` for 0, the kernel's default.
fn mtu_of(mtu: u32) -> Option<LinkAttribute> {
    (mtu != 0).then_some(LinkAttribute::Mtu(mtu))
}

pub(super) fn parse(reply: &Reply) -> Option<Link> {
    if reply.kind != NEWLINK {
        return None;
    }
    let body = LinkMessageBuffer::new_checked(reply.body.as_slice()).ok()?;
    let header = LinkHeader::parse(&body).ok()?;
    let mut link = Link {
        index: header.index,
        name: String::new(),
        mac: None,
        master: None,
        alias: String::new(),
        kind: String::new(),
        group: 0,
        up: header.flags.contains(LinkFlags::Up),
        mtu: 0,
    };
    for attribute in body.attributes().map_while(|attribute| attribute.ok()) {
        if attribute.kind() == LINKINFO {
            link.kind = kind(attribute.value());
        }
        // The library panics at some of the others when they are too short.
        if !READ.contains(&attribute.kind()) {
            continue;
        }
        match LinkAttribute::parse_with_param(&attribute, AddressFamily::Unspec) {
            Ok(LinkAttribute::IfName(name)) => link.name = name,
            Ok(LinkAttribute::Address(bytes)) => link.mac = <[u8; 6]>::try_from(bytes).ok().map(Mac),
            Ok(LinkAttribute::IfAlias(alias)) => link.alias = alias,
            Ok(LinkAttribute::Controller(index)) => link.master = Some(index),
            Ok(LinkAttribute::Mtu(mtu)) => link.mtu = mtu,
            Ok(LinkAttribute::Group(group)) => link.group = group,
            _ => {}
        }
    }
    Some(link)
}

fn kind(info: &[u8]) -> String {
    let mut parts = NlasIterator::new(info).map_while(|part| part.ok());
    parts.find_map(|part| InfoKind::parse(&part).ok()).map(|kind| kind.to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An attribute: length, type, value, padding.
    fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        let length = u16::try_from(value.len() + 4).unwrap();
        let mut bytes = [length.to_ne_bytes(), kind.to_ne_bytes()].concat();
        bytes.extend_from_slice(value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    #[test]
    fn what_a_newer_kernel_says_of_a_link_hides_nothing_else() {
        let mut body = vec![0; 16];
        body[4..8].copy_from_slice(&7u32.to_ne_bytes());
        // An operational state and statistics with lengths of no existing kernel, and unknown options of a bridge.
        body.extend(attribute(16, &[1, 2, 3]));
        body.extend(attribute(23, &[0; 3]));
        let info = [attribute(1, b"bridge\0"), attribute(2, &attribute(5, &[9]))].concat();
        body.extend(attribute(LINKINFO, &info));
        body.extend(attribute(3, b"br0\0"));
        let reply = Reply { kind: NEWLINK, flags: 0, sequence: 1, body };
        let link = parse(&reply).unwrap();
        assert_eq!((link.index, link.name.as_str(), link.kind.as_str()), (7, "br0", "bridge"));
    }
}
