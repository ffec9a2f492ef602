//! The host's rules: one nf_tables table per address family. Each Gantry has tables of its own.
//!
//! Only the elements of sets and maps change; the rules themselves never do (see [`rules`]). So publishing a port
//! adds one element, and the first port costs the same as the thousandth. Every change goes through
//! [`Firewall::change`], which keeps a copy of the wanted content. When the kernel's content differs from it (another
//! program has flushed the rules), the table is replaced in one transaction, so that no packet passes a table that is
//! half complete. Where a table is missing, it is put back within seconds even without a change: without it no port
//! is published, and networks are not isolated.
//!
//! Gantry changes no rules of other programs, and those may drop what Gantry's rules accept.

mod closed;
mod entry;
mod rules;

use std::collections::BTreeSet;

use gantry_netlink::nft::{Batch, Element, Family, Nft};
use parking_lot::Mutex;

use crate::error::{Error, Result};

pub use closed::{closed, closed_by_another};
pub use entry::{Entry, netns_entries, served};

/// The host's rules.
#[derive(Debug)]
pub struct Firewall {
    table: String,
    /// Guards the socket and the wanted content together. The kernel takes one transaction at a time anyway.
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    nft: Nft,
    content: BTreeSet<Entry>,
    /// The IPv6 table is made when a network needs it: until then the kernel does not track IPv6 packets.
    v6: bool,
    /// The tables were removed by [`Firewall::withdraw`]; only the next change puts them back.
    withdrawn: bool,
}

impl Firewall {
    /// Opens nf_tables. The tables of an earlier process stay until [`Firewall::restore`].
    pub fn open(table: String) -> Result<Self> {
        let nft = Nft::open().map_err(Error::kernel("open nf_tables"))?;
        let inner = Inner { nft, content: BTreeSet::new(), v6: false, withdrawn: false };
        Ok(Firewall { table, inner: Mutex::new(inner) })
    }

    /// Replaces the tables of an earlier process by tables with this content, in one transaction.
    pub fn restore(&self, content: BTreeSet<Entry>) -> Result<()> {
        let mut inner = self.inner.lock();
        inner.v6 = content.iter().any(Entry::is_v6);
        inner.content = content;
        inner.replace(&self.table)?;
        if inner.v6 { Ok(()) } else { inner.remove_table(Family::Ip6, &self.table) }
    }

    /// Removes and adds entries in one transaction, all or none. Removing an absent entry or adding a present one is
    /// no error.
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

    /// Puts the tables back if another program has removed them (`nft flush ruleset`). Returns whether it did.
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

    /// Removes the tables. The next change puts them back.
    pub fn withdraw(&self) -> Result<()> {
        let mut inner = self.inner.lock();
        inner.withdrawn = true;
        inner.remove_table(Family::Ip, &self.table)?;
        inner.remove_table(Family::Ip6, &self.table)
    }

    /// Replaces the tables by ones with the wanted content.
    pub fn repair(&self) -> Result<()> {
        self.inner.lock().replace(&self.table)
    }

    /// Compares the kernel's elements with the wanted ones. Returns one line for each difference.
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

    /// Removes the table of a family, if it exists.
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

/// Adds the entries to a batch, with one request per set.
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
