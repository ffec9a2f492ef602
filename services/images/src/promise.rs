//! What the service promises of images, kept: orders in the words of `gantry-api` become calls of what does the work.

mod inspect;
mod manage;
mod records;
mod registries;
mod transfer;

use std::path::Path;

use gantry_api::events::Publisher;
use gantry_api::images::{Commit, CommitSpec};
use gantry_api::{Peers, Promise};
use gantry_distribution::Client;
use gantry_rpc::carry;
use gantry_types::{Digest, Namespace};
use tokio::sync::oneshot;

use crate::catalog::Catalog;
use crate::commit::{Committer, Order};
use crate::content::Content;
use crate::error::Error;
use crate::lease::Leases;
use crate::names::Names;
use crate::pull::Puller;
use crate::push::Pusher;
use crate::remove::Remover;
use crate::settings::{DEFAULT_SNAPSHOTTER, Settings};
use crate::snapshots::Snapshots;
use crate::store::Store;

/// Images for those who know them as Docker's users do. A cheap clone.
#[derive(Clone)]
pub struct Images {
    /// Pulls.
    pub(crate) puller: Puller,
    /// Pushes.
    pub(crate) pusher: Pusher,
    /// Removals.
    pub(crate) remover: Remover,
    /// Names.
    pub(crate) names: Names,
    /// Look-ups.
    pub(crate) catalog: Catalog,
    /// What keeps layers while they are unpacked.
    pub(crate) leases: Leases,
}

impl Images {
    /// Images whose records are in `state`, with these peers and settings.
    ///
    /// # Errors
    ///
    /// When the records cannot be opened, or a setting is not understood.
    pub(crate) fn open(
        state: &Path,
        peers: &Peers,
        events: Publisher,
        settings: &Settings,
    ) -> Result<Self, Error> {
        let remote = Client::new(settings.remote(state)?);
        let snapshotter = settings.snapshotter.as_deref().unwrap_or(DEFAULT_SNAPSHOTTER);
        let store = Store::open(state)?;
        let names = Names::new(store.clone(), peers, events);
        let snapshots = Snapshots::new(peers);
        let catalog = Catalog::new(store.clone(), Content::new(peers), snapshots, snapshotter);
        let leases = Leases::new(peers);
        Ok(Self {
            puller: Puller::new(remote.clone(), names.clone(), catalog.clone(), leases.clone()),
            pusher: Pusher::new(remote, store, catalog.clone()),
            remover: Remover::new(names.clone(), catalog.clone()),
            names,
            catalog,
            leases,
        })
    }

    /// The same without a service around it and without settings: for who proves what is promised.
    ///
    /// # Errors
    ///
    /// When the records cannot be opened.
    pub fn alone(state: &Path, peers: &Peers) -> Result<Self, Error> {
        let (events, publishing) = Publisher::new(peers);
        carry::start(publishing);
        Self::open(state, peers, events, &Settings::default())
    }
}

impl Promise for Images {
    type Error = Error;
}

impl Commit for Images {
    async fn commit_image(&self, namespace: &Namespace, spec: CommitSpec) -> Result<Digest, Error> {
        let order = Order::parse(spec)?;
        let committer = Committer {
            names: self.names.clone(),
            catalog: self.catalog.clone(),
            leases: self.leases.clone(),
        };
        let namespace = namespace.clone();
        // It is cleared away after, also when this future is dropped because the caller is gone.
        let (caller, gone) = oneshot::channel::<()>();
        let work = async move { committer.commit(&namespace, &order, async { drop(gone.await) }).await };
        let made = carry::to_its_end(work).await;
        drop(caller);
        made.unwrap_or(Err(Error::Cancelled))
    }
}
