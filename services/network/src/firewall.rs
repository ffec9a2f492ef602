//! The host's rules: one nf_tables table per address family, owned by this Gantry alone.
//!
//! What changes are elements of sets and maps; the rules themselves never do ([`rules`]). So publishing a port is one
//! element, and costs the same whether it is the first or the thousandth. Everything goes through [`Firewall::change`],
//! which keeps the wanted content beside the kernel's: when the two have drifted apart (somebody flushed the rules), the
//! table is replaced whole, in one transaction, and no packet ever sees it half. A table that is gone is put back within
//! seconds also when nothing changes: without it no port is published and no network closed to another.
//!
//! Rules of others are respected: nothing of theirs is touched, and what we accept they may still drop.

mod rules;

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use gantry_netlink::nft::{Batch, Element, Family, Nft};
use ipnet::IpNet;
use parking_lot::Mutex;

use crate::error::{Error, Result};
use crate::ports::Protocol;

/// What the names of all Gantrys' tables begin with.
const PREFIX: &str = "gantry";

/// One fact that the rules look up.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Entry {
    /// A bridge of ours.
    Bridge(String),
    /// Packets may go from the bridge to itself.
    Same(String),
    /// Packets may neither enter nor leave by the bridge.
    Internal(String),
    /// A subnet of one of our networks.
    Subnet(IpNet),
    /// A subnet whose packets leave under the host's address.
    Masquerade(IpNet),
    /// The host forwards packets of the family only for bridges.
    Closed(Family),
    /// A published port.
    Port {
        /// The host's address; unspecified for all.
        host: IpAddr,
        /// The transport protocol's number.
        protocol: u8,
        /// The host's port.
        port: u16,
        /// The container's end.
        to: SocketAddr,
    },
}

impl Entry {
    /// A published port.
    pub fn port(host: IpAddr, protocol: Protocol, port: u16, to: SocketAddr) -> Self {
        Entry::Port { host, protocol: protocol.number(), port, to }
    }

    fn is_v6(&self) -> bool {
        match self {
            Entry::Bridge(_) | Entry::Same(_) | Entry::Internal(_) => false,
            Entry::Subnet(net) | Entry::Masquerade(net) => net.addr().is_ipv6(),
            Entry::Closed(family) => *family == Family::Ip6,
            Entry::Port { host, .. } => host.is_ipv6(),
        }
    }

    /// The set that holds it in a family's table, and its elements there; nothing when it concerns the other family.
    fn elements(&self, family: Family) -> Option<(&'static str, Vec<Element>)> {
        let here = |address: IpAddr| address.is_ipv4() == (family == Family::Ip);
        match self {
            Entry::Bridge(name) => Some((rules::BRIDGES, vec![Element::new().interface(name)])),
            Entry::Same(name) => Some((rules::SAME, vec![Element::new().interface(name).interface(name)])),
            Entry::Internal(name) => Some((rules::INTERNAL, vec![Element::new().interface(name)])),
            Entry::Subnet(net) => here(net.addr()).then(|| (rules::SUBNETS, Element::range(*net))),
            Entry::Masquerade(net) => here(net.addr()).then(|| (rules::MASQUERADE, Element::range(*net))),
            Entry::Closed(closed) => {
                (*closed == family).then(|| (rules::CLOSED, vec![Element::new().family(family)]))
            }
            Entry::Port { host, protocol, port, to } if here(*host) => {
                let (set, key) = match host.is_unspecified() {
                    true => (rules::PORTS_ANY, Element::new()),
                    false => (rules::PORTS_AT, Element::new().address(*host)),
                };
                Some((set, vec![key.protocol(*protocol).port(*port).to(to.ip(), to.port())]))
            }
            Entry::Port { .. } => None,
        }
    }
}

/// The families that the rules which an earlier process left have closed ([`Entry::Closed`]).
pub fn closed(table: &str) -> Result<BTreeSet<Family>> {
    let mut nft = Nft::open().map_err(Error::kernel("open nf_tables"))?;
    let mut found = BTreeSet::new();
    for family in [Family::Ip, Family::Ip6] {
        if is_closed(&mut nft, family, table)? {
            found.insert(family);
        }
    }
    Ok(found)
}

/// Whether another Gantry than the one with this table has closed a family ([`Entry::Closed`]).
pub fn closed_by_another(own: &str, family: Family) -> Result<bool> {
    let mut nft = Nft::open().map_err(Error::kernel("open nf_tables"))?;
    let tables = nft.tables(family).map_err(Error::kernel("look for other Gantrys' nf_tables tables"))?;
    for table in tables.iter().filter(|table| *table != own && table.starts_with(PREFIX)) {
        if is_closed(&mut nft, family, table)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn is_closed(nft: &mut Nft, family: Family, table: &str) -> Result<bool> {
    match nft.elements(family, table, rules::CLOSED) {
        Ok(elements) => Ok(!elements.is_empty()),
        Err(error) if error.is_missing() => Ok(false),
        Err(error) => Err(Error::kernel(format!("read nf_tables table {table}"))(error)),
    }
}

/// The host's rules.
#[derive(Debug)]
pub struct Firewall {
    table: String,
    /// Guards the socket and the wanted content together: the kernel takes one transaction at a time anyway.
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    nft: Nft,
    content: BTreeSet<Entry>,
    /// IPv6 packets are only tracked and looked at once a network needs it.
    v6: bool,
    /// The tables were taken away, and are not to be put back by themselves.
    withdrawn: bool,
}

impl Firewall {
    /// Puts the table in place with this content, replacing what a former process left, in one transaction.
    pub fn open(table: String, content: BTreeSet<Entry>) -> Result<Self> {
        let nft = Nft::open().map_err(Error::kernel("open nf_tables"))?;
        let v6 = content.iter().any(Entry::is_v6);
        let mut inner = Inner { nft, content, v6, withdrawn: false };
        inner.replace(&table)?;
        if !v6 {
            inner.remove_table(Family::Ip6, &table)?;
        }
        Ok(Firewall { table, inner: Mutex::new(inner) })
    }

    /// Removes and adds entries, all or none, in one transaction. Entries that are there already, or not there, are no error.
    pub fn change(&self, remove: &BTreeSet<Entry>, add: &BTreeSet<Entry>) -> Result<()> {
        let mut inner = self.inner.lock();
        let gone: Vec<Entry> =
            remove.difference(add).filter(|entry| inner.content.contains(entry)).cloned().collect();
        let new: Vec<Entry> = add.iter().filter(|entry| !inner.content.contains(entry)).cloned().collect();
        if gone.is_empty() && new.is_empty() {
            return Ok(());
        }
        for entry in &gone {
            inner.content.remove(entry);
        }
        inner.content.extend(new.iter().cloned());
        let done = if !inner.v6 && new.iter().any(Entry::is_v6) {
            inner.v6 = true;
            inner.replace(&self.table)
        } else {
            let mut batch = Batch::new();
            for family in inner.families() {
                fill(&mut batch, *family, &self.table, gone.iter(), Batch::delete_elements);
                fill(&mut batch, *family, &self.table, new.iter(), Batch::add_elements);
            }
            match inner.nft.commit(&batch) {
                Ok(()) => Ok(()),
                Err(error) => {
                    tracing::warn!(table = self.table, error = %gantry_rpc::chain(&error), "the host's rules had drifted; replacing them");
                    inner.replace(&self.table)
                }
            }
        };
        if done.is_err() {
            for entry in &new {
                inner.content.remove(entry);
            }
            inner.content.extend(gone);
        }
        done
    }

    /// Puts the tables back if somebody has removed them (`nft flush ruleset`); says whether that was so.
    pub fn put_back(&self) -> Result<bool> {
        let mut inner = self.inner.lock();
        if inner.withdrawn {
            return Ok(false);
        }
        for family in inner.families() {
            let failed = || Error::kernel(format!("look for nf_tables table {}", self.table));
            if !inner.nft.tables(*family).map_err(failed())?.contains(&self.table) {
                return inner.replace(&self.table).map(|()| true);
            }
        }
        Ok(false)
    }

    /// Takes the tables away. The next change puts them back.
    pub fn withdraw(&self) -> Result<()> {
        let mut inner = self.inner.lock();
        inner.withdrawn = true;
        inner.remove_table(Family::Ip, &self.table)?;
        inner.remove_table(Family::Ip6, &self.table)
    }

    /// Replaces the table by what it should hold.
    pub fn repair(&self) -> Result<()> {
        self.inner.lock().replace(&self.table)
    }

    /// Compares the kernel's elements with what they should be: one line for each difference.
    pub fn check(&self) -> Result<Vec<String>> {
        let mut inner = self.inner.lock();
        let mut found = Vec::new();
        for family in inner.families() {
            for set in rules::SETS {
                let wanted: BTreeSet<Vec<u8>> = inner
                    .content
                    .iter()
                    .filter_map(|entry| entry.elements(*family))
                    .filter(|(name, _)| *name == set)
                    .flat_map(|(_, elements)| elements)
                    .filter(|element| !element.end)
                    .map(|element| [element.key, element.data].concat())
                    .collect();
                let there = match inner.nft.elements(*family, &self.table, set) {
                    Ok(elements) => elements.into_iter().map(|(key, data)| [key, data].concat()).collect(),
                    Err(error) if error.is_missing() => BTreeSet::new(),
                    Err(error) => return Err(Error::kernel(format!("read set {set}"))(error)),
                };
                let (missing, extra) = (wanted.difference(&there).count(), there.difference(&wanted).count());
                if missing + extra > 0 {
                    found.push(format!(
                        "nf_tables set {} {set}: {missing} missing, {extra} unknown",
                        self.table
                    ));
                }
            }
        }
        Ok(found)
    }
}

impl Inner {
    fn families(&self) -> &'static [Family] {
        if self.v6 { &[Family::Ip, Family::Ip6] } else { &[Family::Ip] }
    }

    /// Removes the table of a family, if there is one.
    fn remove_table(&mut self, family: Family, table: &str) -> Result<()> {
        let failed = || Error::kernel(format!("delete nf_tables table {table}"));
        if !self.nft.tables(family).map_err(failed())?.iter().any(|left| left == table) {
            return Ok(());
        }
        let mut batch = Batch::new();
        batch.add_table(family, table).delete_table(family, table);
        self.nft.commit(&batch).map_err(failed())
    }

    fn replace(&mut self, table: &str) -> Result<()> {
        self.withdrawn = false;
        let mut batch = Batch::new();
        for family in self.families() {
            rules::table(&mut batch, *family, table);
            fill(&mut batch, *family, table, self.content.iter(), Batch::add_elements);
        }
        self.nft.commit(&batch).map_err(Error::kernel(format!("replace nf_tables table {table}")))
    }
}

type Verb = for<'a> fn(&'a mut Batch, Family, &str, &str, &[Element]) -> &'a mut Batch;

/// Adds the entries to a batch, one request per set.
fn fill<'a>(
    batch: &mut Batch,
    family: Family,
    table: &str,
    entries: impl Iterator<Item = &'a Entry>,
    verb: Verb,
) {
    let mut by_set: std::collections::BTreeMap<&'static str, Vec<Element>> = Default::default();
    for (set, elements) in entries.filter_map(|entry| entry.elements(family)) {
        by_set.entry(set).or_default().extend(elements);
    }
    for (set, elements) in by_set {
        verb(batch, family, table, set, &elements);
    }
}
