//! Leases that keep what arrives from being collected before an image refers to it.
//!
//! Each operation has a lease of its own. One that succeeds removes it, and those that earlier, interrupted
//! operations for the same image left; one that fails leaves it, so that what arrived is still there when it is
//! tried again within a day.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{SecondsFormat, Utc};
use gantry_api::Peers;
use gantry_api::ingest::Owner;
use gantry_proto::containerd::services::leases::v1 as pb;
use gantry_rpc::context;
use gantry_types::{Namespace, gc};
use rand::Rng;

use crate::error::Error;

/// On a lease: what it was made for.
const PURPOSE: &str = "gantry.io/images.purpose";
const LIFE: Duration = Duration::from_secs(24 * 3600);

/// Makes leases. A cheap clone.
#[derive(Clone, Debug)]
pub struct Leases {
    peers: Peers,
    /// Those in use in this process; guards single edits of the set.
    active: Arc<Mutex<HashSet<String>>>,
}

/// A lease in use. Dropped, it stays at `control` until it expires or is [finished](Lease::finish).
#[derive(Debug)]
pub struct Lease {
    leases: Leases,
    owner: Owner,
    id: String,
    purpose: String,
}

impl Leases {
    /// Leases of `control`.
    pub fn new(peers: Peers) -> Self {
        Self { peers, active: Arc::default() }
    }

    /// Begins a lease for `purpose` (an image's name, or the like).
    pub async fn begin(&self, namespace: &Namespace, purpose: &str) -> Result<Lease, Error> {
        let id = format!("images-{:032x}", rand::rng().random::<u128>());
        let expires = (Utc::now() + LIFE).to_rfc3339_opts(SecondsFormat::Secs, true);
        let labels =
            HashMap::from([(gc::EXPIRE.to_owned(), expires), (PURPOSE.to_owned(), purpose.to_owned())]);
        self.active.lock().expect("no holder of this lock panics").insert(id.clone());
        let owner = Owner { namespace: namespace.clone(), lease: Some(id.clone()) };
        let lease = Lease { leases: self.clone(), owner, id: id.clone(), purpose: purpose.to_owned() };
        let request = context::with_namespace(pb::CreateRequest { id, labels }, namespace);
        self.peers.leases().create(request).await.map_err(Error::peer("control", "create a lease"))?;
        Ok(lease)
    }

    /// Ends the leases that interrupted operations with this purpose left: one that died after it had succeeded, too.
    pub async fn end_interrupted(&self, namespace: &Namespace, purpose: &str) -> Result<(), Error> {
        self.end(namespace, purpose, None).await
    }

    /// Ends the leases with this purpose that are not in use, and `own`.
    async fn end(&self, namespace: &Namespace, purpose: &str, own: Option<&str>) -> Result<(), Error> {
        let mut client = self.peers.leases();
        let filters = vec![format!("labels.\"{PURPOSE}\"=={purpose:?}")];
        let request = context::with_namespace(pb::ListRequest { filters }, namespace);
        let listed = client.list(request).await.map_err(Error::peer("control", "list leases"))?.into_inner();
        let active = self.active.lock().expect("no holder of this lock panics").clone();
        for lease in listed.leases {
            if own != Some(lease.id.as_str()) && active.contains(&lease.id) {
                continue;
            }
            let delete = pb::DeleteRequest { id: lease.id, sync: false };
            match client.delete(context::with_namespace(delete, namespace)).await {
                Ok(_) => {}
                Err(status) if status.code() == tonic::Code::NotFound => {}
                Err(status) => return Err(Error::peer("control", "delete a lease")(status)),
            }
        }
        Ok(())
    }
}

impl Lease {
    /// What bytes are written under.
    pub fn owner(&self) -> &Owner {
        &self.owner
    }

    /// Ends the lease, and those of interrupted operations with the same purpose. What no image refers to may go.
    pub async fn finish(self) -> Result<(), Error> {
        self.leases.end(&self.owner.namespace, &self.purpose, Some(&self.id)).await
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.leases.active.lock().expect("no holder of this lock panics").remove(&self.id);
    }
}
