//! Container lists, kept from one request to the next.
//!
//! Lists are asked for far more often than containers change. So the engine gives notice of changes, and a list is sent
//! again as long as no notice has come since the engine was asked for it.

use std::collections::HashMap;
use std::sync::Arc;

use gantry_proto::gantry::engine::v1 as engine;
use gantry_rpc::notice::{Receiver, Seen};
use parking_lot::Mutex;
use prost::Message;

use crate::error::Error;
use crate::moment;
use crate::peers::{ENGINE, Peers, of};
use crate::rows::{self, Row, Rows};
use crate::version::ApiVersion;

/// How many lists are kept. Clients ask for few: all containers, those that run, those of a project.
const KEPT: usize = 16;

/// The lists that were asked for lately.
#[derive(Debug, Default)]
pub struct Lists {
    rows: Rows,
    kept: Mutex<HashMap<Key, List>>,
    era: Mutex<Era>,
}

/// A list is the answer to this: a request, which is an encoded [`engine::ListRequest`], of a client of this version.
type Key = (ApiVersion, Vec<u8>);

#[derive(Debug)]
struct List {
    /// It is what the engine has in this era.
    era: u64,
    rows: Arc<[Arc<Row>]>,
}

impl Lists {
    /// A list of containers as a JSON array, for a client of `version`.
    pub async fn json(
        &self,
        peers: &Peers,
        request: engine::ListRequest,
        version: ApiVersion,
    ) -> Result<Vec<u8>, Error> {
        rows::json(&self.rows(peers, request, version).await?, &moment::now())
    }

    async fn rows(
        &self,
        peers: &Peers,
        request: engine::ListRequest,
        version: ApiVersion,
    ) -> Result<Arc<[Arc<Row>]>, Error> {
        // Before the engine is asked: a change meanwhile makes what is kept here too old, never too new.
        let era = if told_of(&request) { self.era(peers).await } else { None };
        let key = (version, request.encode_to_vec());
        if let Some(list) = self.kept.lock().get(&key).filter(|list| Some(list.era) == era) {
            return Ok(Arc::clone(&list.rows));
        }
        let answer = peers.containers().list(request).await.map_err(of(ENGINE))?.into_inner();
        let rows: Arc<[_]> = self.rows.of(&answer.containers, version)?.into();
        if let Some(era) = era {
            self.keep(key, List { era, rows: Arc::clone(&rows) });
        }
        Ok(rows)
    }

    fn keep(&self, key: Key, list: List) {
        let mut kept = self.kept.lock();
        if kept.len() >= KEPT && !kept.contains_key(&key) {
            // Those that are still asked for come again.
            kept.clear();
        }
        kept.insert(key, list);
    }

    /// The era now; none if the engine does not tell of its end.
    async fn era(&self, peers: &Peers) -> Option<u64> {
        let now = self.era.lock().now();
        if now.is_some() {
            return now;
        }
        match peers.changes().await {
            Ok(changes) => Some(self.era.lock().begin(changes)),
            Err(error) => {
                tracing::debug!(error = %gantry_rpc::chain(&error), "lists are not kept");
                None
            }
        }
    }
}

/// Whether the engine gives notice when the answer to a request changes: not of sizes, nor of what a name means.
fn told_of(request: &engine::ListRequest) -> bool {
    let named = |key: &str| matches!(key, "ancestor" | "before" | "since");
    !request.size && !request.filters.iter().any(|filter| named(&filter.key))
}

/// The time in which no container changes.
#[derive(Debug, Default)]
struct Era {
    number: u64,
    changes: Option<Receiver>,
}

impl Era {
    fn now(&mut self) -> Option<u64> {
        match self.changes.as_ref()?.look() {
            Seen::Nothing => {}
            Seen::Notice => self.number += 1,
            Seen::Gone => self.changes = None,
        }
        self.changes.is_some().then_some(self.number)
    }

    fn begin(&mut self, changes: Receiver) -> u64 {
        self.changes = Some(changes);
        self.number += 1;
        self.number
    }
}
