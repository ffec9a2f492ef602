//! Bringing directories in line with the records, at start and on request.
//!
//! The database is right about what it knows. A directory without a record that holds a layer, half a copy or nothing is
//! what a crash left of a snapshot that was never acknowledged: it goes. Any other one has lost its record, and holds what
//! a container wrote: it stays, and is told of. What was to be removed is in the trash before its record goes: where that
//! has stayed, it is put back. Where records were lost ([`gantry_disk::Database::lost_at`]) nothing goes.
//!
//! An active snapshot without its directories was acknowledged just before the
//! machine lost power: they are made again, empty as they were.
//!
//! A committed one without files has lost what only its image's layer can bring back. It goes, with the layers on top
//! of it, so that a pull finds the image not unpacked and unpacks it. Where a container's snapshot is on top, or what was
//! committed by hand, all that is below keeps its records, whose ids are known there: it counts as lost
//! ([`Store::is_lost`]) until a pull has the layer unpacked into its place.

use std::collections::{HashMap, HashSet};

use crate::Result;
use crate::driver::IdMap;
use crate::record::{Kind, Record, Scope};
use crate::store::{Store, blocking, make};

/// Something that records and disk do not agree on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// `directory` or `record`.
    pub kind: &'static str,
    /// The name of the snapshot.
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
pub async fn reconcile(store: &Store) -> Result<Vec<Finding>> {
    let restoring = store.clone();
    blocking(move || restore(&restoring)).await?;
    let findings = check(store, Repair::Yes).await?;
    let store = store.clone();
    blocking(move || store.drivers().iter().try_for_each(|driver| driver.layout().discard_leftovers()))
        .await?;
    Ok(findings)
}

/// Puts back what was being removed when the machine stopped, but was not; and takes note of what has its record.
fn restore(store: &Store) -> Result<()> {
    let rows = store.all()?;
    store.reserve_ids(rows.iter().map(|(_, _, record)| record.id).max().unwrap_or(0));
    for driver in store.drivers() {
        let own = rows.iter().filter(|(scope, _, _)| scope.snapshotter == driver.name());
        let ids: HashSet<u64> = own.map(|(_, _, record)| record.id).collect();
        // Nothing new has the id of what may still be in the trash at the next start.
        store.reserve_ids(driver.layout().restore(|id| ids.contains(&id))?);
        // Of any snapshotter: the directories of a backup may be marked too.
        ids.into_iter().try_for_each(|id| driver.layout().recorded(id))?;
    }
    Ok(())
}

/// Compares directories with records; may be called while the service runs.
pub async fn check(store: &Store, repair: Repair) -> Result<Vec<Finding>> {
    let looking = store.clone();
    let (mut findings, mut lost) = blocking(move || look(&looking, repair)).await?;
    // What is on top goes first.
    lost.sort_by_key(|(_, _, record)| std::cmp::Reverse(record.layers.len()));
    for (scope, name, record) in lost {
        let detail = match store.is_lost(&record) {
            true => "the files of the committed snapshot are missing: to be unpacked again",
            false => "files of what is below the committed snapshot are missing: to be unpacked again",
        };
        let repaired = repair == Repair::Yes && store.drop_lost(&scope, &name, record.id).await?;
        let name = format!("{}/{name}", scope.key());
        findings.push(Finding { kind: "record", name, detail: detail.into(), repaired });
    }
    Ok(findings)
}

type Row = (Scope, String, Record);

/// Tells what is wrong, and the committed snapshots that are not whole.
fn look(store: &Store, repair: Repair) -> Result<(Vec<Finding>, Vec<Row>)> {
    let (mut findings, mut lost) = (Vec::new(), Vec::new());
    for driver in store.drivers() {
        // In this order: a directory that is seen is being made, or has its record by the time records are read.
        let ids = driver.layout().ids()?;
        let making = store.pending_ids();
        let records: HashMap<u64, Row> = store
            .all()?
            .into_iter()
            .filter(|(scope, _, _)| scope.snapshotter == driver.name())
            .map(|row| (row.2.id, row))
            .collect();
        let present: HashSet<u64> = ids.iter().copied().collect();
        let highest = present.iter().chain(records.keys()).max().copied().unwrap_or(0);
        store.reserve_ids(highest);

        for id in ids.iter().filter(|id| !records.contains_key(id) && !making.contains(id)) {
            let path = driver.layout().snapshot(*id);
            let leftover = store.database().lost_at().is_none() && driver.layout().is_leftover(*id);
            let repaired = repair == Repair::Yes && leftover;
            if repaired {
                driver.layout().discard(*id)?;
            }
            let detail = match leftover {
                true => "no snapshot has it",
                false => {
                    "no snapshot has it: it may hold what a container wrote, and stays until somebody removes it"
                }
            };
            findings.push(Finding {
                kind: "directory",
                name: path.display().to_string(),
                detail: detail.into(),
                repaired,
            });
        }
        for (_, _, record) in records.values().filter(|(_, _, record)| record.kind() == Kind::Committed) {
            store.look_for_files(&**driver, record.id);
        }
        for (scope, name, record) in records.values() {
            let kind = record.kind();
            if kind == Kind::Committed {
                continue;
            }
            if driver.is_made(record.snapshot()) {
                continue;
            }
            // One on top of what is lost has to wait for that.
            let repaired = repair == Repair::Yes && !store.is_lost_below(record);
            if repaired {
                let map = IdMap::of(&record.labels)?;
                make(&**driver, record.snapshot(), map.as_ref())?;
            }
            findings.push(Finding {
                kind: "record",
                name: format!("{}/{name}", scope.key()),
                detail: format!("the files of the {} snapshot are missing", kind.word()),
                repaired,
            });
        }
        lost.extend(records.into_values().filter(|(_, _, record)| {
            record.kind() == Kind::Committed && (store.is_lost(record) || store.is_lost_below(record))
        }));
    }
    Ok((findings, lost))
}

#[cfg(test)]
mod tests {
    use gantry_types::Labels;

    use super::*;
    use crate::driver::Snapshot;

    #[tokio::test]
    async fn what_is_being_made_is_no_stray_however_long_it_takes() {
        let base = tempfile::tempdir_in("/dev/shm").unwrap();
        let (store, _uncounted) = crate::app::open(base.path(), &Default::default()).unwrap();
        let id = store.next_id();
        let driver = &store.drivers()[0];
        driver.make(Snapshot { id: id.get(), kind: Kind::Active, layers: &[] }).unwrap();
        let directory = driver.layout().snapshot(id.get());
        let hour = std::time::Duration::from_secs(3600);
        let long_ago = std::time::SystemTime::now() - hour;
        std::fs::File::open(&directory).unwrap().set_modified(long_ago).unwrap();
        assert!(check(&store, Repair::Yes).await.unwrap().is_empty());
        assert!(directory.exists());
        drop(id);
        assert_eq!(check(&store, Repair::Yes).await.unwrap().len(), 1);
        assert!(!directory.exists());
    }

    #[tokio::test]
    async fn only_layers_go_when_files_are_lost_and_a_start_gets_over_it() {
        let base = tempfile::tempdir_in("/dev/shm").unwrap();
        let (store, _uncounted) = crate::app::open(base.path(), &Default::default()).unwrap();
        let driver = &store.drivers()[0];
        let scope = Scope { namespace: "test".parse().unwrap(), snapshotter: driver.name().into() };
        let layer = async |name: &str, parent: &str| {
            let id = store.next_id();
            driver.make(Snapshot { id: id.get(), kind: Kind::Committed, layers: &[] }).unwrap();
            let labels = Labels::from([("containerd.io/snapshot.ref", name)]);
            assert!(store.commit_unpacked(&scope, name, id.get(), parent, labels).await.unwrap());
        };
        layer("base", "").await;
        layer("layer", "base").await;
        store.prepare(&scope, Kind::Active, "key", "base", Labels::new()).await.unwrap();
        store.commit(&scope, "by hand", "key", Labels::new(), "").await.unwrap();
        store.prepare(&scope, Kind::Active, "box", "base", Labels::new()).await.unwrap();
        for key in ["base", "box"] {
            let id = store.stat(&scope, key).unwrap().id;
            std::fs::remove_dir_all(driver.layout().snapshot(id)).unwrap();
        }
        let names = |store: &Store| -> Vec<String> {
            store.list(&scope, &Default::default()).unwrap().into_iter().map(|(name, _)| name).collect()
        };
        assert_eq!(check(&store, Repair::No).await.unwrap().len(), 4);
        assert_eq!(names(&store).len(), 4);
        let findings = reconcile(&store).await.unwrap();
        assert_eq!(findings.iter().filter(|finding| finding.repaired).count(), 1, "{findings:?}");
        assert_eq!(names(&store), ["base", "box", "by hand"]);
        for key in ["box", "by hand"] {
            store.remove(&scope, key).await.unwrap();
        }
        assert_eq!(reconcile(&store).await.unwrap().len(), 1);
        assert!(names(&store).is_empty());
        assert!(reconcile(&store).await.unwrap().is_empty());
    }
}
