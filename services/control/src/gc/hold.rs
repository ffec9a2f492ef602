//! Holds against collections under way.
//!
//! ```text
//! marking ──seal──> sweeping ──> over
//! ```
//!
//! While a collection marks, holds are noted and marked from like roots. Once it
//! has sealed, a hold on what is doomed, or on what the collection has never
//! heard of, waits until the sweep is over.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use futures::future::BoxFuture;
use gantry_api::gc::Resource;
use gantry_types::Namespace;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

#[derive(Debug)]
enum Stage {
    Marking { held: HashSet<Resource> },
    Sweeping { doomed: Arc<HashSet<Resource>>, known: HashSet<Resource> },
}

#[derive(Debug)]
struct Collection {
    stage: Stage,
    over: CancellationToken,
}

/// The collections under way, by namespace. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Active {
    // Guards the map; never held over an await.
    collections: Arc<Mutex<HashMap<Namespace, Collection>>>,
}

/// A collection under way. Over when dropped.
#[derive(Debug)]
pub struct Run {
    active: Active,
    namespace: Namespace,
}

/// What a hold after the seal must do.
pub struct Wait {
    /// Resolves when the sweep is over.
    pub done: BoxFuture<'static, ()>,
    /// What the collection had never heard of.
    pub strangers: Vec<Resource>,
    /// What it doomed.
    pub doomed: Arc<HashSet<Resource>>,
}

impl Active {
    /// Begins a collection. There is none of that namespace yet.
    pub fn begin(&self, namespace: &Namespace) -> Run {
        let collection =
            Collection { stage: Stage::Marking { held: HashSet::new() }, over: CancellationToken::new() };
        self.collections.lock().insert(namespace.clone(), collection);
        Run { active: self.clone(), namespace: namespace.clone() }
    }

    /// Whether the sweep under way is to remove this.
    pub fn dooms(&self, namespace: &Namespace, resource: &Resource) -> bool {
        let collections = self.collections.lock();
        let stage = collections.get(namespace).map(|collection| &collection.stage);
        matches!(stage, Some(Stage::Sweeping { doomed, .. }) if doomed.contains(resource))
    }

    /// Holds: `None` when that needs no waiting.
    pub fn hold(&self, namespace: &Namespace, resources: &[Resource]) -> Option<Wait> {
        let mut collections = self.collections.lock();
        let collection = collections.get_mut(namespace)?;
        match &mut collection.stage {
            Stage::Marking { held } => {
                held.extend(resources.iter().cloned());
                None
            }
            Stage::Sweeping { doomed, known } => {
                let strangers: Vec<Resource> =
                    resources.iter().filter(|resource| !known.contains(*resource)).cloned().collect();
                if strangers.is_empty() && !resources.iter().any(|resource| doomed.contains(resource)) {
                    return None;
                }
                let over = collection.over.clone();
                let done = Box::pin(async move { over.cancelled().await });
                Some(Wait { done, strangers, doomed: doomed.clone() })
            }
        }
    }
}

impl Run {
    /// What is held so far.
    pub fn held(&self) -> HashSet<Resource> {
        match self.active.collections.lock().get(&self.namespace).map(|collection| &collection.stage) {
            Some(Stage::Marking { held }) => held.clone(),
            _ => HashSet::new(),
        }
    }

    /// Seals, if no hold has come since there were `marked` of them.
    pub fn seal(
        &self,
        marked: usize,
        doomed: HashSet<Resource>,
        known: HashSet<Resource>,
    ) -> Option<Arc<HashSet<Resource>>> {
        let mut collections = self.active.collections.lock();
        let collection = collections.get_mut(&self.namespace)?;
        if matches!(&collection.stage, Stage::Marking { held } if held.len() != marked) {
            return None;
        }
        let doomed = Arc::new(doomed);
        collection.stage = Stage::Sweeping { doomed: doomed.clone(), known };
        Some(doomed)
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if let Some(collection) = self.active.collections.lock().remove(&self.namespace) {
            collection.over.cancel();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    fn set(keys: &[&str]) -> HashSet<Resource> {
        keys.iter().map(|key| Resource::new("content", *key)).collect()
    }

    fn of(key: &str) -> [Resource; 1] {
        [Resource::new("content", key)]
    }

    #[test]
    fn a_hold_before_the_seal_is_marked_and_one_after_it_waits() {
        let (active, ns) = (Active::default(), Namespace::moby());
        assert!(active.hold(&ns, &of("a")).is_none());
        let run = active.begin(&ns);
        assert!(run.held().is_empty());
        assert!(active.hold(&ns, &of("a")).is_none());
        assert!(run.seal(0, set(&["a"]), set(&["a", "b"])).is_none(), "a hold came in between");
        assert_eq!(run.held(), set(&["a"]));
        assert!(run.seal(1, set(&["c"]), set(&["a", "b", "c"])).is_some());
        assert!(active.hold(&ns, &of("b")).is_none(), "reached");
        let doomed = active.hold(&ns, &of("c")).unwrap();
        let stranger = active.hold(&ns, &of("new")).unwrap();
        assert!(doomed.strangers.is_empty());
        assert_eq!(stranger.strangers, of("new"));
        let mut done = doomed.done;
        assert!((&mut done).now_or_never().is_none());
        drop(run);
        assert!(done.now_or_never().is_some() && stranger.done.now_or_never().is_some());
        assert!(active.hold(&ns, &of("c")).is_none());
    }
}
