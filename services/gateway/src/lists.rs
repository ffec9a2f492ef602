//! Lists of containers. Clients ask for them far more often than containers change.
//!
//! The gateway keeps the last lists as rows that it only has to write, and asks the engine each time whether there is a newer list.

use std::collections::HashMap;
use std::sync::Arc;

use gantry_api::engine::ListQuery;
use gantry_api::engine::containers::Inspect as _;
use parking_lot::Mutex;

use crate::convert::container;
use crate::error::Error;
use crate::peers::{Peers, failed};
use crate::version::ApiVersion;
use crate::wire::container::Summary;

/// How many lists to keep. Clients ask for few: all containers, the running ones, those of a project.
const KEPT: usize = 16;

/// The lists that clients asked for lately.
#[derive(Debug, Default)]
pub struct Lists {
    kept: Mutex<HashMap<Key, List>>,
}

/// What was asked for, and what the rows depend on besides.
type Key = (ListQuery, ApiVersion);

#[derive(Clone, Debug)]
struct List {
    generation: u64,
    rows: Arc<[Summary]>,
}

impl Lists {
    /// The containers as the engine lists them now.
    pub async fn get(
        &self,
        peers: &Peers,
        query: ListQuery,
        version: ApiVersion,
    ) -> Result<Arc<[Summary]>, Error> {
        let key = (query, version);
        let kept = self.kept.lock().get(&key).cloned();
        let newer_than = kept.as_ref().map_or(0, |list| list.generation);
        let query = ListQuery { newer_than, ..key.0.clone() };
        let answer = peers.containers().containers(query).await.map_err(failed)?;
        if let Some(list) = kept.filter(|_| answer.unchanged) {
            return Ok(list.rows);
        }
        let rows: Arc<[_]> =
            answer.containers.into_iter().map(|of| container::summary(of, version)).collect();
        if answer.generation != 0 {
            self.keep(key, List { generation: answer.generation, rows: Arc::clone(&rows) });
        }
        Ok(rows)
    }

    fn keep(&self, key: Key, list: List) {
        let mut kept = self.kept.lock();
        if kept.len() >= KEPT && !kept.contains_key(&key) {
            // A list that clients still use is soon here again.
            kept.clear();
        }
        kept.insert(key, list);
    }
}
