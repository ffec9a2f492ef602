//! Bringing directories in line with the records, at start and on request.
//!
//! The database is right. A directory without a record is what a crash left of a snapshot that was never acknowledged,
//! or of one that was removed: it goes. An active snapshot without its directories was acknowledged just before the
//! machine lost power: they are made again, empty as they were. A committed one without files cannot be helped here:
//! it is told.

use std::collections::{HashMap, HashSet};

use crate::Result;
use crate::record::{Kind, Record, Scope};
use crate::store::Store;

/// Something that records and disk do not agree on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// `directory` or `record`.
    pub kind: &'static str,
    /// Which.
    pub name: String,
    /// What is wrong with it.
    pub detail: String,
    /// Whether it was put right.
    pub repaired: bool,
}

/// Whether findings are only told or also put right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repair {
    /// Put right.
    Yes,
    /// Only told.
    No,
}

/// Reconciles everything. At the start, before anything else is served.
pub fn reconcile(store: &Store) -> Result<Vec<Finding>> {
    let findings = check(store, Repair::Yes)?;
    for driver in store.drivers() {
        driver.layout().discard_leftovers()?;
    }
    Ok(findings)
}

/// Compares directories with records; may be called while the service runs.
pub fn check(store: &Store, repair: Repair) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for driver in store.drivers() {
        // In this order: a directory that is seen is being made, or has its record by the time records are read.
        let ids = driver.layout().ids()?;
        let making = store.being_made();
        let records: HashMap<u64, (Scope, String, Record)> = store
            .all()?
            .into_iter()
            .filter(|(scope, _, _)| scope.snapshotter == driver.name())
            .map(|row| (row.2.id, row))
            .collect();
        let present: HashSet<u64> = ids.iter().copied().collect();
        let highest = present.iter().chain(records.keys()).max().copied().unwrap_or(0);
        store.reserve_numbers(highest);

        for id in ids.iter().filter(|id| !records.contains_key(id) && !making.contains(id)) {
            let path = driver.layout().snapshot(*id);
            if repair == Repair::Yes {
                driver.layout().discard(*id)?;
            }
            findings.push(Finding {
                kind: "directory",
                name: path.display().to_string(),
                detail: "no snapshot has it".into(),
                repaired: repair == Repair::Yes,
            });
        }
        for (scope, name, record) in records.values() {
            let kind = record.kind();
            let whole = !driver.has_directory(kind, &record.layers)
                || (driver.layout().fs(record.id).is_dir()
                    && (kind != Kind::Active
                        || driver.name() != "overlayfs"
                        || driver.layout().work(record.id).is_dir()));
            if whole {
                continue;
            }
            let repaired = repair == Repair::Yes && kind != Kind::Committed;
            if repaired {
                driver.make(record.id, kind, &record.layers)?;
            }
            findings.push(Finding {
                kind: "record",
                name: format!("{}/{name}", scope.key()),
                detail: format!("the files of the {} snapshot are missing", kind.word()),
                repaired,
            });
        }
    }
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_being_made_is_no_stray_however_long_it_takes() {
        let base = tempfile::tempdir_in("/dev/shm").unwrap();
        let (store, _uncounted) = Store::open(base.path()).unwrap();
        let number = store.next_number();
        let driver = &store.drivers()[0];
        driver.make(number.id(), Kind::Active, &[]).unwrap();
        let directory = driver.layout().snapshot(number.id());
        let hour = std::time::Duration::from_secs(3600);
        let long_ago = std::time::SystemTime::now() - hour;
        std::fs::File::open(&directory).unwrap().set_modified(long_ago).unwrap();
        assert!(check(&store, Repair::Yes).unwrap().is_empty());
        assert!(directory.exists());
        drop(number);
        assert_eq!(check(&store, Repair::Yes).unwrap().len(), 1);
        assert!(!directory.exists());
    }
}
