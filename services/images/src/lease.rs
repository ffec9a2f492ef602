//! Leases that keep what arrives from being collected before an image refers to it.
//!
//! Each operation has a lease of its own. One that succeeds removes it, and those that earlier, interrupted
//! operations for the same image left; one that is interrupted leaves it, so that what arrived is still there when
//! it is tried again within a day. What nobody will continue is ended at the next start ([`crate::recover`]).

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use chrono::{SecondsFormat, Utc};
use gantry_api::Peers;
use gantry_api::ingest::Owner;
use gantry_proto::containerd::services::leases::v1 as pb;
use gantry_rpc::context;
use gantry_types::{Digest, Namespace, gc};
use rand::Rng;

use crate::error::Error;

/// On a lease: what it was made for.
const PURPOSE: &str = "gantry.io/images.purpose";
/// On a pull's lease: the digest that its name is to point at.
const TARGET: &str = "gantry.io/images.target";
/// How the purpose of a pull begins; the image's name follows.
const PULL: &str = "pull ";
const LIFE: Duration = Duration::from_secs(24 * 3600);

/// What a lease is for.
#[derive(Clone, Copy, Debug)]
pub enum Purpose<'a> {
    /// To bring `target` under a name: cut short, the next pull of that name goes on with it.
    Pull { name: &'a str, target: &'a Digest },
    /// To do something that is never gone on with.
    Once(&'a str),
}

/// What a lease was for, as it stands on the lease.
#[derive(Debug, PartialEq, Eq)]
pub enum Left<'a> {
    /// A pull of `name`; older ones do not say their target.
    Pull { name: &'a str, target: Option<&'a str> },
    /// Something that is never gone on with.
    Once,
}

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

impl Purpose<'_> {
    /// What leases for the same have in common.
    fn text(self) -> String {
        match self {
            Self::Pull { name, .. } => format!("{PULL}{name}"),
            Self::Once(what) => what.to_owned(),
        }
    }

    fn labels(self) -> HashMap<String, String> {
        let mut labels = HashMap::from([(PURPOSE.to_owned(), self.text())]);
        if let Self::Pull { target, .. } = self {
            labels.insert(TARGET.to_owned(), target.to_string());
        }
        labels
    }
}

impl<'a> Left<'a> {
    fn of(labels: &'a HashMap<String, String>) -> Option<Self> {
        Some(match labels.get(PURPOSE)?.strip_prefix(PULL) {
            Some(name) => Self::Pull { name, target: labels.get(TARGET).map(String::as_str) },
            None => Self::Once,
        })
    }
}

impl Leases {
    /// Leases of `control`.
    pub fn new(peers: Peers) -> Self {
        Self { peers, active: Arc::default() }
    }

    /// Begins a lease.
    pub async fn begin(&self, namespace: &Namespace, purpose: Purpose<'_>) -> Result<Lease, Error> {
        let id = format!("images-{:032x}", rand::rng().random::<u128>());
        let expires = (Utc::now() + LIFE).to_rfc3339_opts(SecondsFormat::Secs, true);
        let mut labels = purpose.labels();
        labels.insert(gc::EXPIRE.to_owned(), expires);
        self.active.lock().expect("no holder of this lock panics").insert(id.clone());
        let owner = Owner { namespace: namespace.clone(), lease: Some(id.clone()) };
        let lease = Lease { leases: self.clone(), owner, id: id.clone(), purpose: purpose.text() };
        let request = context::with_namespace(pb::CreateRequest { id, labels }, namespace);
        self.peers.leases().create(request).await.map_err(Error::peer("control", "create a lease"))?;
        Ok(lease)
    }

    /// Ends the leases that interrupted operations with this purpose left: one that died after it had succeeded, too.
    pub async fn end_interrupted(&self, namespace: &Namespace, purpose: Purpose<'_>) -> Result<(), Error> {
        self.end(namespace, &purpose.text(), None).await
    }

    /// Ends the leases with this purpose that are not in use, and `own`.
    async fn end(&self, namespace: &Namespace, purpose: &str, own: Option<&str>) -> Result<(), Error> {
        let listed = self.list(namespace, format!("labels.\"{PURPOSE}\"=={purpose:?}")).await?;
        let active = self.active.lock().expect("no holder of this lock panics").clone();
        for lease in listed {
            if own == Some(lease.id.as_str()) || !active.contains(&lease.id) {
                self.delete(namespace, lease.id).await?;
            }
        }
        Ok(())
    }

    /// Ends those leases of this service that are not in use, and for which `is_over` says so by what they were for
    /// and when they were made.
    pub async fn end_those(
        &self,
        namespace: &Namespace,
        is_over: impl Fn(Left<'_>, SystemTime) -> bool,
    ) -> Result<(), Error> {
        let listed = self.list(namespace, format!("labels.\"{PURPOSE}\"")).await?;
        let active = self.active.lock().expect("no holder of this lock panics").clone();
        for lease in listed {
            let over = Left::of(&lease.labels)
                .is_some_and(|left| is_over(left, crate::record::moment(lease.created_at)));
            if over && !active.contains(&lease.id) {
                self.delete(namespace, lease.id).await?;
            }
        }
        Ok(())
    }

    async fn list(&self, namespace: &Namespace, filter: String) -> Result<Vec<pb::Lease>, Error> {
        let request = context::with_namespace(pb::ListRequest { filters: vec![filter] }, namespace);
        let listed =
            self.peers.leases().list(request).await.map_err(Error::peer("control", "list leases"))?;
        Ok(listed.into_inner().leases)
    }

    async fn delete(&self, namespace: &Namespace, id: String) -> Result<(), Error> {
        let request = context::with_namespace(pb::DeleteRequest { id, sync: false }, namespace);
        match self.peers.leases().delete(request).await {
            Ok(_) => Ok(()),
            Err(status) if status.code() == tonic::Code::NotFound => Ok(()),
            Err(status) => Err(Error::peer("control", "delete a lease")(status)),
        }
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
