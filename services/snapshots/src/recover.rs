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
    let findings = compare(store, Repair::Yes, Phase::Start)?;
    for driver in store.drivers() {
        driver.layout().discard_leftovers()?;
    }
    Ok(findings)
}

/// Compares directories with records while the service runs.
pub fn check(store: &Store, repair: Repair) -> Result<Vec<Finding>> {
    compare(store, repair, Phase::Serving)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Start,
    /// A directory without a record may belong to work in progress.
    Serving,
}

fn compare(store: &Store, repair: Repair, phase: Phase) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for driver in store.drivers() {
        let ids = driver.layout().ids()?;
        let records: HashMap<u64, (Scope, String, Record)> = store
            .all()?
            .into_iter()
            .filter(|(scope, _, _)| scope.snapshotter == driver.name())
            .map(|row| (row.2.id, row))
            .collect();
        let present: HashSet<u64> = ids.iter().copied().collect();
        let highest = present.iter().chain(records.keys()).max().copied().unwrap_or(0);
        store.reserve_ids(highest);

        for id in ids.iter().filter(|id| !records.contains_key(id)) {
            let path = driver.layout().snapshot(*id);
            if phase == Phase::Serving && !is_old(&path) {
                continue;
            }
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

/// Whether a directory is older than any operation takes between making it and recording it.
fn is_old(path: &std::path::Path) -> bool {
    const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);
    let changed = std::fs::metadata(path).and_then(|metadata| metadata.modified());
    changed.is_ok_and(|time| time.elapsed().is_ok_and(|age| age > PATIENCE))
}
