//! Links: bridges and veth pairs; what a link is set to and what it says about itself.

use std::os::fd::{AsFd, AsRawFd};

use ipnet::IpNet;

use super::{Route, RouteEntry, address, ifinfomsg, table};
use crate::abi::*;
use crate::error::{Error, Result};
use crate::mac::Mac;
use crate::message::{Attributes, Message, Reply, text_of, u32_of};
use crate::netns::Namespace;
use crate::socket::Described;

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
    /// What somebody noted on it, as in `ip link set alias`.
    pub alias: String,
    /// `bridge`, `veth`, …; empty for physical ones.
    pub kind: String,
    /// The group it is in; 0 unless somebody put it into another.
    pub group: u32,
    /// Administratively up.
    pub up: bool,
    /// Its MTU.
    pub mtu: u32,
}

/// A veth pair to make: one end here, on a bridge; the other straight inside a namespace.
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
    /// How the near end behaves as a bridge's port.
    pub port: Port,
}

/// How a link behaves as a bridge's port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Port {
    /// Does not reach other ports that are isolated too.
    pub isolated: bool,
    /// Packets may go back out of the port they came in by.
    pub hairpin: bool,
}

/// Refuses names that the kernel refuses, before they reach a path in /proc/sys.
pub fn check_name(name: &str) -> Result<()> {
    let bad = |c: char| c == '/' || c == ':' || c.is_whitespace() || c.is_control();
    if name.is_empty() || name.len() > 15 || name == "." || name == ".." || name.contains(bad) {
        return Err(Error::InterfaceName(name.to_owned()));
    }
    Ok(())
}

impl Route {
    /// Makes a bridge that is up. Its hardware address is set, so that it does not change with its ports'.
    ///
    /// # Errors
    /// `is_exists` when a link of the name is there.
    pub fn add_bridge(&mut self, name: &str, mac: Mac, mtu: u32) -> Result<()> {
        check_name(name)?;
        let mut message = Message::new(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &ifinfomsg(0, IFF_UP, IFF_UP));
        message.text(IFLA_IFNAME, name).bytes(IFLA_ADDRESS, &mac.0);
        if mtu != 0 {
            message.u32(IFLA_MTU, mtu);
        }
        message.nest(IFLA_LINKINFO, |info| {
            info.text(IFLA_INFO_KIND, "bridge");
        });
        self.send(vec![(message, format!("create bridge {name}"))])
    }

    /// Makes a veth pair in one request: the near end up, the far end down and never outside its namespace
    /// ([`Route::configure`] sets it up there).
    pub fn add_veth(&mut self, veth: &Veth<'_>) -> Result<()> {
        check_name(veth.name)?;
        check_name(veth.peer)?;
        let mut message = Message::new(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &ifinfomsg(0, IFF_UP, IFF_UP));
        message.text(IFLA_IFNAME, veth.name);
        if veth.mtu != 0 {
            message.u32(IFLA_MTU, veth.mtu);
        }
        if let Some(master) = veth.master {
            message.u32(IFLA_MASTER, master);
        }
        let namespace =
            u32::try_from(veth.namespace.as_fd().as_raw_fd()).expect("an open descriptor is not negative");
        message.nest(IFLA_LINKINFO, |info| {
            info.text(IFLA_INFO_KIND, "veth").nest(IFLA_INFO_DATA, |data| {
                data.nest(VETH_INFO_PEER, |peer| {
                    // Not up: the kernel refuses it before both ends know each other (ENOTCONN).
                    peer.raw(&ifinfomsg(0, 0, 0)).text(IFLA_IFNAME, veth.peer);
                    peer.bytes(IFLA_ADDRESS, &veth.mac.0).u32(IFLA_NET_NS_FD, namespace);
                    if veth.mtu != 0 {
                        peer.u32(IFLA_MTU, veth.mtu);
                    }
                });
            });
        });
        let mut requests = vec![(message, format!("create veth {}", veth.name))];
        if veth.port != Port::default() {
            requests.push(port(veth.name, veth.port));
        }
        self.send(requests)
    }

    /// Sets how a link behaves as a bridge's port.
    pub fn set_port(&mut self, name: &str, mode: Port) -> Result<()> {
        self.send(vec![port(name, mode)])
    }

    /// Makes the kernel act on changes of carrier that it has noticed but left to a worker: links that have just been
    /// set up carry packets when this returns. Before Linux 6.8 it does nothing.
    pub fn settle(&mut self, names: &[&str]) -> Result<()> {
        self.send(names.iter().map(|name| look(name)).collect())
    }

    /// Sets a link up.
    pub fn set_up(&mut self, index: u32) -> Result<()> {
        self.send(vec![up(index)])
    }

    /// Sets a link up, gives it addresses and routes, and settles it ([`Route::settle`]), in one system call.
    pub fn configure(&mut self, index: u32, nets: &[IpNet], routes: &[RouteEntry]) -> Result<()> {
        let mut requests = vec![up(index)];
        requests.extend(nets.iter().map(|net| address::add(index, net)));
        requests.extend(routes.iter().map(table::replace));
        let settle = Message::new(RTM_GETLINK, 0, &ifinfomsg(index, 0, 0));
        requests.push((settle, format!("settle link {index}")));
        self.send(requests)
    }

    /// Notes a text on a link, for people and for recognising it later, and puts it into a group, for rules.
    pub fn set_mark(&mut self, index: u32, alias: &str, group: u32) -> Result<()> {
        let mut message = Message::new(RTM_SETLINK, 0, &ifinfomsg(index, 0, 0));
        message.text(IFLA_IFALIAS, alias).u32(IFLA_GROUP, group);
        self.send(vec![(message, format!("set alias and group of link {index}"))])
    }

    /// Deletes links by name, in one system call. Slow: the kernel waits about 20 ms for each.
    ///
    /// # Errors
    /// The first failure; the others are deleted all the same.
    pub fn delete_links<'a>(&mut self, names: impl IntoIterator<Item = &'a str>) -> Result<()> {
        let request = |name: &str| {
            let mut message = Message::new(RTM_DELLINK, 0, &ifinfomsg(0, 0, 0));
            message.text(IFLA_IFNAME, name);
            (message, format!("delete link {name}"))
        };
        self.send(names.into_iter().map(request).collect())
    }

    /// The link of a name, if it is there.
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
    /// `is_missing` when there is none.
    pub fn index(&mut self, name: &str) -> Result<u32> {
        self.link(name)?.map(|link| link.index).ok_or_else(|| Error::Refused {
            what: format!("find link {name}"),
            detail: None,
            source: std::io::Error::from_raw_os_error(rustix::io::Errno::NODEV.raw_os_error()),
        })
    }

    /// All links of the namespace.
    pub fn links(&mut self) -> Result<Vec<Link>> {
        let message = Message::new(RTM_GETLINK, 0, &ifinfomsg(0, 0, 0));
        let replies = self.socket.query(message, NLM_F_DUMP, "list links")?;
        Ok(replies.iter().filter_map(parse).collect())
    }
}

fn look(name: &str) -> Described {
    let mut message = Message::new(RTM_GETLINK, 0, &ifinfomsg(0, 0, 0));
    message.text(IFLA_IFNAME, name);
    (message, format!("find link {name}"))
}

fn port(name: &str, mode: Port) -> Described {
    let mut message = Message::new(RTM_NEWLINK, 0, &ifinfomsg(0, 0, 0));
    message.text(IFLA_IFNAME, name).nest(IFLA_LINKINFO, |info| {
        info.text(IFLA_INFO_SLAVE_KIND, "bridge").nest(IFLA_INFO_SLAVE_DATA, |data| {
            data.u8(IFLA_BRPORT_MODE, u8::from(mode.hairpin))
                .u8(IFLA_BRPORT_ISOLATED, u8::from(mode.isolated));
        });
    });
    (message, format!("set port {name}"))
}

fn up(index: u32) -> Described {
    let message = Message::new(RTM_SETLINK, 0, &ifinfomsg(index, IFF_UP, IFF_UP));
    (message, format!("set link {index} up"))
}

fn parse(reply: &Reply) -> Option<Link> {
    if reply.kind != RTM_NEWLINK {
        return None;
    }
    let mut link = Link {
        index: u32_of(reply.body.get(4..)?)?,
        name: String::new(),
        mac: None,
        master: None,
        alias: String::new(),
        kind: String::new(),
        group: 0,
        up: u32_of(reply.body.get(8..)?)? & IFF_UP != 0,
        mtu: 0,
    };
    for (kind, value) in reply.attributes(16) {
        match kind {
            IFLA_IFNAME => link.name = text_of(value),
            IFLA_ADDRESS => link.mac = <[u8; 6]>::try_from(value).ok().map(Mac),
            IFLA_IFALIAS => link.alias = text_of(value),
            IFLA_MASTER => link.master = u32_of(value),
            IFLA_MTU => link.mtu = u32_of(value)?,
            IFLA_GROUP => link.group = u32_of(value)?,
            IFLA_LINKINFO => {
                link.kind = Attributes::of(value).find_kind(IFLA_INFO_KIND).map(text_of).unwrap_or_default();
            }
            _ => {}
        }
    }
    Some(link)
}
