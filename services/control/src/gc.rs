//! Garbage collection across services.
//!
//! A collection of one namespace, which never stops anybody's work:
//!
//! 1. it *begins* at every store: what a store makes or touches from then on survives its sweep;
//! 2. it *scans* every store into a graph, and marks what the roots reach;
//! 3. it *seals*: what is unreached is doomed;
//! 4. the stores *sweep* what is doomed, keepers before what they keep, each sparing
//!    what was made or touched since 1; what is spared spares all below it.
//!
//! Whoever writes a reference writes its record first and then *holds* what the
//! record refers to, before it acknowledges. Therefore a reference is either
//! scanned, or its hold arrives before the seal and is marked from like a root,
//! or it arrives after the seal: then it waits for the sweep and fails if what it
//! wants is gone. In none of these cases is a reference acknowledged that dangles.
//!
//! Where records were lost, what they kept looks like garbage. So the first collection after a loss makes a lease
//! that keeps everything that exists, until a user removes the lease.

pub mod graph;
mod hold;
pub mod schedule;
pub mod service;
pub mod store;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::time::SystemTime;

use futures::future::{join_all, try_join_all};
use gantry_api::gc::{Mark, Node, Resource, Swept};
use gantry_disk::KeyedLocks;
use gantry_failpoint::failpoint;
use gantry_types::Namespace;

use crate::error::Error;
use crate::leases::Records;
use graph::Graph;
use hold::{Active, Run};
use store::Store;

/// Within so many seconds all databases of a new Gantry are made.
const FIRST_START: u64 = 600;

/// The collector. Cheap to clone.
#[derive(Clone)]
pub struct Collector<S> {
    stores: Arc<Vec<S>>,
    leases: Records,
    active: Active,
    // One collection per namespace at a time.
    runs: KeyedLocks<Namespace>,
}

impl<S: Store> Collector<S> {
    /// A collector over these stores and leases.
    pub fn new(stores: Vec<S>, leases: Records) -> Collector<S> {
        Collector { stores: Arc::new(stores), leases, active: Active::default(), runs: KeyedLocks::new() }
    }

    /// Every namespace that has something to collect.
    pub async fn namespaces(&self) -> Result<BTreeSet<Namespace>, Error> {
        let known = try_join_all(self.stores.iter().map(S::namespaces)).await.map_err(Into::into)?;
        Ok(known.into_iter().flatten().chain(self.leases.namespaces()?).collect())
    }

    /// The namespaces of those stores that answer.
    pub async fn namespaces_known(&self) -> Result<BTreeSet<Namespace>, Error> {
        let known = join_all(self.stores.iter().map(S::namespaces)).await;
        Ok(known.into_iter().filter_map(Result::ok).flatten().chain(self.leases.namespaces()?).collect())
    }

    /// How many things of each type a namespace has.
    pub async fn census(&self, namespace: &Namespace) -> Result<BTreeMap<String, usize>, Error> {
        let mut census = BTreeMap::new();
        for node in self.scan(namespace).await? {
            *census.entry(node.resource.kind).or_default() += 1;
        }
        let leases = self.leases.list(namespace)?.len();
        if leases > 0 {
            census.insert("leases".to_owned(), leases);
        }
        Ok(census)
    }

    /// Collects one namespace and returns when its sweep is done.
    pub async fn collect(&self, namespace: &Namespace) -> Result<Swept, Error> {
        let _run = self.runs.lock(namespace.clone()).await;
        self.leases.expire(namespace, SystemTime::now()).await?;
        self.keep_what_was_lost(namespace).await?;
        let run = self.active.begin(namespace);
        let marks = try_join_all(self.stores.iter().map(|store| store.begin(namespace))).await;
        let marks = marks.map_err(Into::into)?;
        let mut graph = Graph::default();
        for node in self.scan(namespace).await?.into_iter().chain(self.lease_nodes(namespace)?) {
            graph.add(node);
        }
        let doomed = self.seal(namespace, &run, &mut graph).await?;
        failpoint!("control.collect.marked");
        let mut all = Swept::default();
        let mut spared = Vec::new();
        for mut wave in graph.waves(&doomed) {
            // One that was touched since the scan is spared, and spares what it keeps.
            let kept = graph.below(&spared);
            wave.retain(|resource| !kept.contains(resource));
            let outcome = self.sweep(namespace, &marks, &wave).await?;
            let removed: HashSet<&Resource> = outcome.removed.iter().collect();
            spared.extend(wave.into_iter().filter(|resource| !removed.contains(resource)));
            all.add(outcome);
            failpoint!("control.collect.swept");
        }
        Ok(all)
    }

    /// Everything that there is.
    async fn scan(&self, namespace: &Namespace) -> Result<Vec<Node>, Error> {
        let scans = try_join_all(self.stores.iter().map(|store| store.scan(namespace))).await;
        Ok(scans.map_err(Into::into)?.concat())
    }

    /// Makes a lease that keeps everything which the lost records of a service may have kept.
    async fn keep_what_was_lost(&self, namespace: &Namespace) -> Result<(), Error> {
        let mut conditions = vec![("control", self.leases.condition())];
        for store in self.stores.iter() {
            conditions.push((store.name(), store.condition().await?));
        }
        let made = conditions.iter().map(|(_, condition)| condition.made_at).filter(|made_at| *made_at != 0);
        let oldest = made.min().unwrap_or(0);
        for (service, condition) in conditions {
            // A first start makes all of them: one that came later has taken the place of one that is gone.
            let replaced = condition.made_at > oldest + FIRST_START;
            let lost_at = condition.lost_at.max(if replaced { condition.made_at } else { 0 });
            if lost_at == 0 || self.leases.is_kept_since(namespace, service, lost_at)? {
                continue;
            }
            let resources = self.scan(namespace).await?.into_iter().map(|node| node.resource);
            let lease = self.leases.keep_since(namespace, service, lost_at, resources).await?;
            tracing::warn!(
                %namespace,
                service,
                lease,
                "records were lost: what they may have kept has a lease"
            );
        }
        Ok(())
    }

    /// Marks until no hold came in between.
    async fn seal(
        &self,
        namespace: &Namespace,
        run: &Run,
        graph: &mut Graph,
    ) -> Result<Arc<HashSet<Resource>>, Error> {
        let mut looked = HashSet::new();
        loop {
            let held = run.held();
            // What was made since the scan is not in the graph, but what it refers to may be.
            let unknown: Vec<&Resource> = held
                .iter()
                .filter(|resource| !graph.contains(resource) && !looked.contains(*resource))
                .collect();
            for store in
                self.stores.iter().filter(|store| unknown.iter().any(|resource| store.owns(resource)))
            {
                for node in store.scan(namespace).await.map_err(Into::into)? {
                    graph.add(node);
                }
            }
            looked.extend(unknown.into_iter().cloned());
            let (doomed, known) = graph.unreached(&held);
            if let Some(doomed) = run.seal(held.len(), doomed, known) {
                return Ok(doomed);
            }
        }
    }

    async fn sweep(
        &self,
        namespace: &Namespace,
        marks: &[Mark],
        doomed: &[Resource],
    ) -> Result<Swept, Error> {
        let sweeps = self.stores.iter().zip(marks).map(|(store, mark)| async move {
            let own: Vec<Resource> = doomed.iter().filter(|resource| store.owns(resource)).cloned().collect();
            if own.is_empty() { Ok(Swept::default()) } else { store.sweep(namespace, *mark, own).await }
        });
        let mut all = Swept::default();
        let mut failure = None;
        for result in join_all(sweeps).await {
            match result {
                Ok(outcome) => all.add(outcome),
                Err(error) => failure = Some(error.into()),
            }
        }
        match failure {
            Some(error) => Err(error),
            None => Ok(all),
        }
    }

    fn lease_nodes(&self, namespace: &Namespace) -> Result<Vec<Node>, Error> {
        let mut nodes = Vec::new();
        for lease in self.leases.list(namespace)? {
            let resources = match self.leases.resources(namespace, &lease.id) {
                // Removed meanwhile.
                Err(Error::LeaseNotFound(_)) => continue,
                resources => resources?,
            };
            nodes.push(Node {
                resource: Resource::new("leases", lease.id),
                root: true,
                references: resources.iter().map(Resource::from).collect(),
                kept_by: Vec::new(),
                flat: lease.labels.contains_key(gantry_types::gc::FLAT),
            });
        }
        Ok(nodes)
    }

    /// Holds what a record refers to, which has been written but not acknowledged yet.
    pub async fn hold(&self, namespace: &Namespace, resources: &[Resource]) -> Result<(), Error> {
        let strangers = self.protect(namespace, resources).await;
        let mut missing = self.missing(namespace, resources).await?;
        if missing.is_empty()
            && let Some((strangers, doomed)) = strangers
        {
            missing = self.swept_below(namespace, &strangers, &doomed).await?;
        }
        if missing.is_empty() { Ok(()) } else { Err(Error::Gone(missing)) }
    }

    /// Keeps a collection under way from sweeping these, or waits out its sweep.
    /// Returns what the collection had never heard of, with what it doomed.
    pub async fn protect(
        &self,
        namespace: &Namespace,
        resources: &[Resource],
    ) -> Option<(Vec<Resource>, Arc<HashSet<Resource>>)> {
        let waited = self.active.hold(namespace, resources)?;
        waited.done.await;
        (!waited.strangers.is_empty()).then_some((waited.strangers, waited.doomed))
    }

    async fn missing(&self, namespace: &Namespace, resources: &[Resource]) -> Result<Vec<Resource>, Error> {
        let mut missing = Vec::new();
        let (leases, others): (Vec<_>, Vec<_>) =
            resources.iter().cloned().partition(|resource| resource.kind == "leases");
        for lease in leases {
            if !self.leases.contains(namespace, &lease.key)? {
                missing.push(lease);
            }
        }
        if let Some(odd) =
            others.iter().find(|resource| !self.stores.iter().any(|store| store.owns(resource)))
        {
            return Err(Error::Request(format!("{odd} is of a type that no store owns")));
        }
        let touches = self.stores.iter().filter_map(|store| {
            let own: Vec<Resource> = others.iter().filter(|resource| store.owns(resource)).cloned().collect();
            (!own.is_empty()).then(|| store.touch(namespace, own))
        });
        missing.extend(try_join_all(touches).await.map_err(Into::into)?.into_iter().flatten());
        Ok(missing)
    }

    /// What was swept of that which these refer to. They were made after the scan
    /// of a collection and held after its seal, so it knew nothing of them.
    async fn swept_below(
        &self,
        namespace: &Namespace,
        strangers: &[Resource],
        doomed: &HashSet<Resource>,
    ) -> Result<Vec<Resource>, Error> {
        let mut graph = Graph::default();
        for node in self.scan(namespace).await? {
            graph.add(node);
        }
        let wanted: Vec<Resource> =
            graph.below(strangers).into_iter().filter(|resource| doomed.contains(resource)).collect();
        self.missing(namespace, &wanted).await
    }
}

#[cfg(test)]
mod tests;
