//! Lists of containers, which are asked for far more often than containers change.
//!
//! The last ones are kept, and the engine is asked each time whether there is a newer one.

use std::collections::HashMap;
use std::sync::Arc;

use gantry_proto::gantry::engine::v1::{ContainerSummary, ListRequest};
use parking_lot::Mutex;
use prost::Message;

use crate::error::Error;
use crate::peers::{ENGINE, Peers, of};

/// How many lists are kept. Clients ask for few: all containers, those that run, those of a project.
const KEPT: usize = 16;

/// The lists that were asked for lately.
#[derive(Debug, Default)]
pub struct Lists {
    /// By request, encoded.
    kept: Mutex<HashMap<Vec<u8>, List>>,
}

#[derive(Clone, Debug)]
struct List {
    generation: u64,
    containers: Arc<[ContainerSummary]>,
}

impl Lists {
    /// The containers as the engine lists them now.
    pub async fn get(&self, peers: &Peers, request: ListRequest) -> Result<Arc<[ContainerSummary]>, Error> {
        let key = request.encode_to_vec();
        let kept = self.kept.lock().get(&key).cloned();
        let newer_than = kept.as_ref().map_or(0, |list| list.generation);
        let request = ListRequest { newer_than, ..request };
        let answer = peers.containers().list(request).await.map_err(of(ENGINE))?.into_inner();
        if let Some(list) = kept.filter(|_| answer.unchanged) {
            return Ok(list.containers);
        }
        let containers: Arc<[_]> = answer.containers.into();
        if answer.generation != 0 {
            self.keep(key, List { generation: answer.generation, containers: Arc::clone(&containers) });
        }
        Ok(containers)
    }

    fn keep(&self, key: Vec<u8>, list: List) {
        let mut kept = self.kept.lock();
        if kept.len() >= KEPT && !kept.contains_key(&key) {
            // Those that are still asked for come again.
            kept.clear();
        }
        kept.insert(key, list);
    }
}
