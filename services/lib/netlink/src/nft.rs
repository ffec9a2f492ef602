//! nf_tables: tables, chains, rules, sets and maps, changed in atomic batches.
//!
//! The kernel applies a [`Batch`] completely or not at all; packets meet either the old rules or the new ones. So
//! replacing a table in one batch (`replace_table`, then its whole content) leaves no gap. Translated flows keep
//! their translation, which is in the connection tracker.

mod batch;
mod expression;
mod set;

use std::collections::BTreeSet;
use std::time::Duration;

use crate::abi;
use crate::error::{Error, Result};
use crate::message::{Attributes, Message, text_of};
use crate::socket::{Socket, refusal};

pub use batch::{Batch, Chain, Hook, HookPoint, Policy};
pub use expression::{
    Comparison, ConntrackKey, DESTINATION_TRANSLATED, ESTABLISHED_OR_RELATED, Expression, MetaKey, Register,
    Verdict, accept, drop, equals, ifname, matches,
};
pub use set::{Element, Set, Type};

/// A table's address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    /// IPv4.
    Ip,
    /// IPv6.
    Ip6,
}

impl Family {
    pub(crate) fn number(self) -> u8 {
        match self {
            Family::Ip => abi::AF_INET,
            Family::Ip6 => abi::AF_INET6,
        }
    }
}

/// A socket to nf_tables in the namespace of the thread that opened it.
#[derive(Debug)]
pub struct Nft {
    socket: Socket,
}

impl Nft {
    /// Opens a socket in the calling thread's network namespace.
    pub fn open() -> Result<Self> {
        Ok(Nft { socket: Socket::open(abi::NETLINK_NETFILTER)? })
    }

    /// Applies a batch, completely or not at all.
    ///
    /// # Errors
    /// The first request that the kernel refused; nothing of the batch is applied.
    pub fn commit(&mut self, batch: &Batch) -> Result<()> {
        if batch.requests.is_empty() {
            return Ok(());
        }
        let begin = self.socket.next_sequence();
        let mut bytes = Vec::new();
        frame(abi::NFNL_MSG_BATCH_BEGIN).finish(begin, &mut bytes);
        let mut last = begin;
        for (index, (message, _)) in batch.requests.iter().enumerate() {
            let mut message = message.clone();
            if index + 1 == batch.requests.len() {
                message.add_flags(abi::NLM_F_ACK);
            }
            last = self.socket.next_sequence();
            message.finish(last, &mut bytes);
        }
        frame(abi::NFNL_MSG_BATCH_END).finish(self.socket.next_sequence(), &mut bytes);
        if bytes.len() > 64 * 1024 {
            self.socket.reserve(bytes.len() * 2)?;
        }
        self.socket.send(&bytes)?;
        let mut failure = None;
        loop {
            for reply in self.socket.receive()? {
                let Some(index) = reply.sequence.checked_sub(begin) else { continue };
                if reply.kind != abi::NLMSG_ERROR {
                    continue;
                }
                if let Some((source, detail)) = refusal(&reply) {
                    // Sequence 0 is the batch itself: the commit failed, or the process lacks the privilege.
                    let named = (index as usize).checked_sub(1).and_then(|index| batch.requests.get(index));
                    let what = named.map_or("commit nf_tables batch".to_owned(), |(_, what)| what.clone());
                    failure.get_or_insert(Error::Refused { what, detail, source });
                    if index == 0 {
                        return Err(failure.expect("just set"));
                    }
                }
                if reply.sequence == last {
                    return failure.map_or(Ok(()), Err);
                }
            }
        }
    }

    /// The names of the family's tables.
    pub fn tables(&mut self, family: Family) -> Result<Vec<String>> {
        let request = get(NFT_MSG_GETTABLE, family);
        let replies = self.socket.query(request, abi::NLM_F_DUMP, "list nf_tables tables")?;
        Ok(replies.iter().filter_map(|reply| reply.attributes(4).find_kind(1)).map(text_of).collect())
    }

    /// The elements of a set or map as (key, data) bytes; the ends of intervals are left out.
    ///
    /// The kernel rehashes a set soon after it has grown. A dump during that has some elements twice and may lack
    /// others, so it is repeated, for up to 100 ms. Blocks.
    ///
    /// # Errors
    /// `is_missing` without the table or set.
    pub fn elements(&mut self, family: Family, table: &str, set: &str) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        for _ in 0..50 {
            let listed = self.list_elements(family, table, set)?;
            if BTreeSet::from_iter(&listed).len() == listed.len() {
                return Ok(listed);
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(BTreeSet::from_iter(self.list_elements(family, table, set)?).into_iter().collect())
    }

    fn list_elements(&mut self, family: Family, table: &str, set: &str) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        let mut request = get(NFT_MSG_GETSETELEM, family);
        request.text(1, table).text(2, set);
        let replies =
            self.socket.query(request, abi::NLM_F_DUMP, &format!("list elements of {table} {set}"))?;
        let mut found = Vec::new();
        for reply in &replies {
            let Some(list) = reply.attributes(4).find_kind(3) else { continue };
            for (_, element) in Attributes::of(list) {
                let part = |kind| {
                    let nest = Attributes::of(element).find_kind(kind)?;
                    Attributes::of(nest).find_kind(1).map(<[u8]>::to_vec)
                };
                let flags =
                    Attributes::of(element).find_kind(3).and_then(|raw| raw.get(3).copied()).unwrap_or(0);
                if flags & 1 == 0
                    && let Some(key) = part(1)
                {
                    found.push((key, part(2).unwrap_or_default()));
                }
            }
        }
        Ok(found)
    }
}

pub(crate) const NFT_MSG_NEWTABLE: u16 = 0;
pub(crate) const NFT_MSG_GETTABLE: u16 = 1;
pub(crate) const NFT_MSG_DELTABLE: u16 = 2;
pub(crate) const NFT_MSG_NEWCHAIN: u16 = 3;
pub(crate) const NFT_MSG_NEWRULE: u16 = 6;
pub(crate) const NFT_MSG_NEWSET: u16 = 9;
pub(crate) const NFT_MSG_NEWSETELEM: u16 = 12;
pub(crate) const NFT_MSG_GETSETELEM: u16 = 13;
pub(crate) const NFT_MSG_DELSETELEM: u16 = 14;

/// `struct nfgenmsg`: family, version 0, resource id in network order.
pub(crate) fn request(kind: u16, flags: u16, family: Family) -> Message {
    Message::new((abi::NFNL_SUBSYS_NFTABLES << 8) | kind, flags, &[family.number(), 0, 0, 0])
}

fn get(kind: u16, family: Family) -> Message {
    request(kind, 0, family)
}

fn frame(kind: u16) -> Message {
    let resource = abi::NFNL_SUBSYS_NFTABLES.to_be_bytes();
    Message::new(kind, 0, &[abi::AF_UNSPEC, 0, resource[0], resource[1]])
}
