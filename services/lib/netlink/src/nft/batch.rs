//! Batches: requests that are applied together.

use super::expression::Expression;
use super::set::{self, Element, Set};
use super::{
    Family, NFT_MSG_DELSETELEM, NFT_MSG_DELTABLE, NFT_MSG_NEWCHAIN, NFT_MSG_NEWRULE, NFT_MSG_NEWSET,
    NFT_MSG_NEWSETELEM, NFT_MSG_NEWTABLE, request,
};
use crate::abi::{NLM_F_APPEND, NLM_F_CREATE, NLM_F_EXCL};
use crate::socket::Described;

/// How many elements one request has: an attribute has less than 64 KiB.
const ELEMENTS: usize = 256;

/// Requests to nf_tables that are applied completely or not at all.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    pub(super) requests: Vec<Described>,
    serial: u32,
}

/// The hook at which a base chain is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HookPoint {
    /// The packet has arrived and is not routed yet.
    Prerouting = 0,
    /// The packet is for this host.
    Input = 1,
    /// The packet is forwarded by this host.
    Forward = 2,
    /// The packet is from this host.
    Output = 3,
    /// The packet is about to leave.
    Postrouting = 4,
}

/// The policy of a base chain for packets on which no rule has decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Leave the packet to other chains.
    Accept = 1,
    /// Drop the packet.
    Drop = 0,
}

/// Where a base chain is called.
#[derive(Clone, Copy, Debug)]
pub struct Hook {
    /// The hook.
    pub point: HookPoint,
    /// The order among the chains of the hook, lowest first.
    pub priority: i32,
    /// The policy.
    pub policy: Policy,
}

/// The parameters of a chain.
#[derive(Clone, Debug)]
pub struct Chain<'a> {
    /// Its name.
    pub name: &'a str,
    /// `filter` or `nat`.
    pub kind: &'a str,
    /// Its hook; `None` for a chain that is only jumped to.
    pub hook: Option<Hook>,
}

impl Batch {
    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the table, if it does not exist.
    pub fn add_table(&mut self, family: Family, table: &str) -> &mut Self {
        let mut message = request(NFT_MSG_NEWTABLE, NLM_F_CREATE, family);
        message.text(1, table).be32(2, 0);
        self.push(message, format!("create table {table}"))
    }

    /// Deletes the table with its content.
    pub fn delete_table(&mut self, family: Family, table: &str) -> &mut Self {
        let mut message = request(NFT_MSG_DELTABLE, 0, family);
        message.text(1, table);
        self.push(message, format!("delete table {table}"))
    }

    /// Replaces the table, whether or not it exists, by an empty one.
    pub fn replace_table(&mut self, family: Family, table: &str) -> &mut Self {
        self.add_table(family, table).delete_table(family, table).add_table(family, table)
    }

    /// Adds a chain.
    pub fn add_chain(&mut self, family: Family, table: &str, chain: &Chain<'_>) -> &mut Self {
        let mut message = request(NFT_MSG_NEWCHAIN, NLM_F_CREATE, family);
        message.text(1, table).text(3, chain.name);
        if let Some(hook) = chain.hook {
            message.nest(4, |nest| {
                nest.be32(1, hook.point as u32).bytes(2, &hook.priority.to_be_bytes());
            });
            message.be32(5, hook.policy as u32).text(7, chain.kind);
        }
        self.push(message, format!("create chain {table} {}", chain.name))
    }

    /// Appends a rule to a chain.
    pub fn add_rule(&mut self, family: Family, table: &str, chain: &str, rule: &[Expression]) -> &mut Self {
        let mut message = request(NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, family);
        message.text(1, table).text(2, chain).nest(4, |list| {
            for expression in rule {
                list.nest(1, |element| expression.encode(element));
            }
        });
        self.push(message, format!("add rule to {table} {chain}"))
    }

    /// Adds a set or map.
    pub fn add_set(&mut self, family: Family, table: &str, set: &Set<'_>) -> &mut Self {
        self.serial += 1;
        let mut message = request(NFT_MSG_NEWSET, NLM_F_CREATE | NLM_F_EXCL, family);
        set.encode(table, self.serial, &mut message);
        self.push(message, format!("create set {table} {}", set.name))
    }

    /// Adds elements to a set or map.
    ///
    /// An existing element with the same data stays as it is; one with other data fails the batch (`is_exists`).
    pub fn add_elements(
        &mut self,
        family: Family,
        table: &str,
        set: &str,
        elements: &[Element],
    ) -> &mut Self {
        self.elements(NFT_MSG_NEWSETELEM, NLM_F_CREATE, "add elements to", family, table, set, elements)
    }

    /// Deletes elements. A missing one fails the batch (`is_missing`).
    pub fn delete_elements(
        &mut self,
        family: Family,
        table: &str,
        set: &str,
        elements: &[Element],
    ) -> &mut Self {
        self.elements(NFT_MSG_DELSETELEM, 0, "delete elements of", family, table, set, elements)
    }

    #[allow(clippy::too_many_arguments)]
    fn elements(
        &mut self,
        kind: u16,
        flags: u16,
        verb: &str,
        family: Family,
        table: &str,
        name: &str,
        elements: &[Element],
    ) -> &mut Self {
        for chunk in elements.chunks(ELEMENTS) {
            let mut message = request(kind, flags, family);
            message.text(1, table).text(2, name).nest(3, |list| {
                for element in chunk {
                    set::encode_element(element, list);
                }
            });
            self.push(message, format!("{verb} {table} {name}"));
        }
        self
    }

    fn push(&mut self, message: crate::message::Message, what: String) -> &mut Self {
        self.requests.push((message, format!("nf_tables: {what}")));
        self
    }
}
