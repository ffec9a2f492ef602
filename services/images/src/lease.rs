//! Leases that keep what arrives from being collected before an image refers to it.
//!
//! Each operation has a lease of its own. One that succeeds removes it, and those that earlier, interrupted
//! operations for the same image left; one that is interrupted leaves it, so that what arrived is still there when
//! it is tried again within a day. Leases that no operation will continue are ended at the next start
//! ([`crate::recover`]).

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use chrono::{SecondsFormat, Utc};
use gantry_api::Peers;
use gantry_api::leases::{self, Client, Collect, Inspect as _, Manage as _};
use gantry_rpc::{Code, Coded};
use gantry_types::filter::FilterSet;
use gantry_types::{Digest, Labels, Namespace, gc};
use parking_lot::Mutex;
use rand::Rng;

use crate::content::Owner;
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
    client: Client,
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

    fn labels(self) -> Labels {
        let mut labels = Labels::from([(PURPOSE.to_owned(), self.text())]);
        if let Self::Pull { target, .. } = self {
            labels.insert(TARGET.to_owned(), target.to_string());
        }
        labels
    }
}

impl<'a> Left<'a> {
    fn of(labels: &'a Labels) -> Option<Self> {
        Some(match labels.get(PURPOSE)?.strip_prefix(PULL) {
            Some(name) => Self::Pull { name, target: labels.get(TARGET).map(String::as_str) },
            None => Self::Once,
        })
    }
}

impl Leases {
    /// Leases of `control`.
    pub fn new(peers: &Peers) -> Self {
        Self { client: Client::new(peers), active: Arc::default() }
    }

    /// Begins a lease.
    pub async fn begin(&self, namespace: &Namespace, purpose: Purpose<'_>) -> Result<Lease, Error> {
        let id = format!("images-{:032x}", rand::rng().random::<u128>());
        let expires = (Utc::now() + LIFE).to_rfc3339_opts(SecondsFormat::Secs, true);
        let mut labels = purpose.labels();
        labels.insert(gc::EXPIRE.to_owned(), expires);
        self.active.lock().insert(id.clone());
        let owner = Owner { namespace: namespace.clone(), lease: Some(id.clone()) };
        let lease = Lease { leases: self.clone(), owner, id: id.clone(), purpose: purpose.text() };
        self.client.create(namespace, Some(&id), labels).await?;
        Ok(lease)
    }

    /// Ends the leases that interrupted operations with this purpose left: one that died after it had succeeded, too.
    pub async fn end_interrupted(&self, namespace: &Namespace, purpose: Purpose<'_>) -> Result<(), Error> {
        self.end(namespace, &purpose.text(), None).await
    }

    /// Ends the leases with this purpose that are not in use, and `own`.
    async fn end(&self, namespace: &Namespace, purpose: &str, own: Option<&str>) -> Result<(), Error> {
        let listed = self.list(namespace, &format!("labels.\"{PURPOSE}\"=={purpose:?}")).await?;
        let active = self.active.lock().clone();
        for lease in listed {
            if own == Some(lease.id.as_str()) || !active.contains(&lease.id) {
                self.delete(namespace, &lease.id).await?;
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
        let listed = self.list(namespace, &format!("labels.\"{PURPOSE}\"")).await?;
        let active = self.active.lock().clone();
        for lease in listed {
            let over = Left::of(&lease.labels).is_some_and(|left| is_over(left, lease.created_at));
            if over && !active.contains(&lease.id) {
                self.delete(namespace, &lease.id).await?;
            }
        }
        Ok(())
    }

    async fn list(&self, namespace: &Namespace, filter: &str) -> Result<Vec<leases::Lease>, Error> {
        Ok(self.client.list(namespace, &FilterSet::parse(&[filter])?).await?)
    }

    async fn delete(&self, namespace: &Namespace, id: &str) -> Result<(), Error> {
        match self.client.delete(namespace, id, Collect::Later).await {
            Err(failure) if failure.code() != Code::NotFound => Err(failure.into()),
            _ => Ok(()),
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
        self.leases.active.lock().remove(&self.id);
    }
}
