//! A batch: requests that are carried out together.

use super::expression::Expression;
use super::set::{self, Element, Set};
use super::{
    Family, NFT_MSG_DELSETELEM, NFT_MSG_DELTABLE, NFT_MSG_NEWCHAIN, NFT_MSG_NEWRULE, NFT_MSG_NEWSET,
    NFT_MSG_NEWSETELEM, NFT_MSG_NEWTABLE, request,
};
use crate::abi::{NLM_F_APPEND, NLM_F_CREATE, NLM_F_EXCL};
use crate::socket::Described;

/// How many elements go into one request: an attribute holds less than 64 KiB.
const ELEMENTS: usize = 256;

/// Requests to nf_tables that are carried out whole or not at all.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    pub(super) requests: Vec<Described>,
    serial: u32,
}

/// Where in a packet's way a base chain is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HookPoint {
    /// Arrived, not yet routed.
    Prerouting = 0,
    /// To this host.
    Input = 1,
    /// Through this host.
    Forward = 2,
    /// From this host.
    Output = 3,
    /// About to leave.
    Postrouting = 4,
}

/// What a base chain does with a packet that no rule decided on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Leave it to the chains of others.
    Accept = 1,
    /// Drop it.
    Drop = 0,
}

/// A base chain's place.
#[derive(Clone, Copy, Debug)]
pub struct Hook {
    /// The point.
    pub point: HookPoint,
    /// The order among chains there, lowest first.
    pub priority: i32,
    /// Its default.
    pub policy: Policy,
}

/// A chain to make.
#[derive(Clone, Debug)]
pub struct Chain<'a> {
    /// Its name.
    pub name: &'a str,
    /// `filter` or `nat`.
    pub kind: &'a str,
    /// Its place; none for a chain that is only jumped to.
    pub hook: Option<Hook>,
}

impl Batch {
    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes the table unless it is there.
    pub fn add_table(&mut self, family: Family, table: &str) -> &mut Self {
        let mut message = request(NFT_MSG_NEWTABLE, NLM_F_CREATE, family);
        message.text(1, table).be32(2, 0);
        self.push(message, format!("create table {table}"))
    }

    /// Deletes the table with all in it.
    pub fn delete_table(&mut self, family: Family, table: &str) -> &mut Self {
        let mut message = request(NFT_MSG_DELTABLE, 0, family);
        message.text(1, table);
        self.push(message, format!("delete table {table}"))
    }

    /// Makes the table anew, whether it was there or not.
    pub fn replace_table(&mut self, family: Family, table: &str) -> &mut Self {
        self.add_table(family, table).delete_table(family, table).add_table(family, table)
    }

    /// Makes a chain.
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

    /// Makes a set or map.
    pub fn add_set(&mut self, family: Family, table: &str, set: &Set<'_>) -> &mut Self {
        self.serial += 1;
        let mut message = request(NFT_MSG_NEWSET, NLM_F_CREATE | NLM_F_EXCL, family);
        set.encode(table, self.serial, &mut message);
        self.push(message, format!("create set {table} {}", set.name))
    }

    /// Adds elements to a set or map.
    ///
    /// An element that is there with the same data is left as it is; one with other data fails the batch (`is_exists`).
    pub fn add_elements(
        &mut self,
        family: Family,
        table: &str,
        set: &str,
        elements: &[Element],
    ) -> &mut Self {
        self.elements(NFT_MSG_NEWSETELEM, NLM_F_CREATE, "add elements to", family, table, set, elements)
    }

    /// Deletes elements. One that is not there fails the batch (`is_missing`).
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
