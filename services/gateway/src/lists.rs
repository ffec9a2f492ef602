//! Lists of containers, which are asked for far more often than containers change.
//!
//! The last ones are kept as rows that only have to be written, and the engine is asked each time whether there is a newer
//! list.

use std::collections::HashMap;
use std::sync::Arc;

use gantry_proto::gantry::engine::v1::ListRequest;
use parking_lot::Mutex;
use prost::Message;

use crate::convert::container;
use crate::error::Error;
use crate::peers::{ENGINE, Peers, of};
use crate::version::ApiVersion;
use crate::wire::container::Summary;

/// How many lists are kept. Clients ask for few: all containers, those that run, those of a project.
const KEPT: usize = 16;

/// The lists that were asked for lately.
#[derive(Debug, Default)]
pub struct Lists {
    kept: Mutex<HashMap<Key, List>>,
}

/// A request, encoded, and for whom the rows are.
type Key = (Vec<u8>, ApiVersion);

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
        request: ListRequest,
        version: ApiVersion,
    ) -> Result<Arc<[Summary]>, Error> {
        let key = (request.encode_to_vec(), version);
        let kept = self.kept.lock().get(&key).cloned();
        let newer_than = kept.as_ref().map_or(0, |list| list.generation);
        let request = ListRequest { newer_than, ..request };
        let answer = peers.containers().list(request).await.map_err(of(ENGINE))?.into_inner();
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
            // Those that are still asked for come again.
            kept.clear();
        }
        kept.insert(key, list);
    }
}
