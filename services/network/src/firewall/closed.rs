//! The tables that close the host to everything but bridges ([`Entry::Closed`]): this Gantry's and those of other
//! Gantries.

use std::collections::BTreeSet;

use gantry_netlink::nft::{Family, Nft};

use super::rules;
use crate::error::{Error, Result};

#[cfg(doc)]
use super::Entry;

/// The prefix of every Gantry's tables.
const PREFIX: &str = "gantry";

/// The families that an earlier process of this Gantry has closed ([`Entry::Closed`]).
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

/// Whether a Gantry with another table has closed a family ([`Entry::Closed`]).
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
