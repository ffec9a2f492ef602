//! At the start: the leases of what ended with the process before this one, and will not be gone on with.
//!
//! A pull writes its image's name and then ends its lease. When the process dies between the two, the image is
//! complete, and the lease would keep its bytes after the image's removal. A pull that has not come that far keeps
//! its lease, and so what has arrived, until it is repeated or the lease expires. Archives are never gone on with.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use gantry_rpc::{Code, Coded, chain};
use gantry_types::{Digest, Namespace};

use crate::error::Error;
use crate::lease::{Leases, Left};
use crate::store::Store;

/// By name: what it points at, and since when.
type Names = HashMap<String, (Digest, SystemTime)>;

/// The names as the process before this one left them, by which its leases are judged.
pub struct Recovery {
    leases: Leases,
    names: Vec<(Namespace, Names)>,
}

impl Recovery {
    /// Reads the names, before any client can change them.
    pub fn new(store: &Store, leases: Leases) -> Result<Self, Error> {
        let mut namespaces = store.namespaces()?;
        // Docker's archives may have been the first that came.
        namespaces.insert(Namespace::moby());
        let mut names = Vec::new();
        for namespace in namespaces {
            let records = store.list(&namespace)?.into_iter();
            let records = records.map(|record| (record.name, (record.target.digest, record.updated)));
            names.push((namespace, records.collect()));
        }
        Ok(Self { leases, names })
    }

    /// Ends the leases. Waits for `control` where it is away.
    pub async fn run(self) {
        for (namespace, names) in self.names {
            let mut pause = Duration::from_millis(100);
            while let Err(error) =
                self.leases.end_those(&namespace, |left, made| is_over(&names, &left, made)).await
            {
                if error.code() != Code::Unavailable {
                    let error = chain(&error);
                    tracing::warn!(%namespace, error, "what earlier pulls kept stays until their leases expire");
                    break;
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(5));
            }
        }
    }
}

/// Whether no operation will continue what a lease was made for. The name points at a pull's target since after the
/// lease was made: the pull had succeeded. Since before: another platform of the same image was on its way.
fn is_over(names: &Names, left: &Left<'_>, made: SystemTime) -> bool {
    match left {
        Left::Once => true,
        Left::Pull { name, target } => {
            names.get(*name).is_some_and(|(digest, since)| *target == Some(digest.as_str()) && *since >= made)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_complete_or_never_continued_is_over() {
        let moment = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let (old, new) = (Digest::sha256(b"old"), Digest::sha256(b"new"));
        let names = Names::from([("a".to_owned(), (old.clone(), moment(10)))]);
        let over = |name, target: Option<&Digest>, made| {
            let left = Left::Pull { name, target: target.map(Digest::as_str) };
            is_over(&names, &left, moment(made))
        };
        assert!(over("a", Some(&old), 9), "its name was written");
        assert!(!over("b", Some(&old), 9), "its name was not");
        assert!(!over("a", Some(&new), 9), "the name still stands for what it did before");
        assert!(!over("a", Some(&old), 11), "another platform of what is there");
        assert!(!over("a", None, 9), "made by a version that did not say");
        assert!(is_over(&names, &Left::Once, moment(11)));
    }
}
