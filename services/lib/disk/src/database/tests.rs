use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

#[derive(Clone, PartialEq, prost::Message)]
struct Record {
    #[prost(string, tag = "1")]
    text: String,
    #[prost(uint64, tag = "2")]
    number: u64,
}

type Records = Table<(String, String), Record>;

fn dir() -> tempfile::TempDir {
    let base = if Path::new("/dev/shm").is_dir() { PathBuf::from("/dev/shm") } else { std::env::temp_dir() };
    tempfile::tempdir_in(base).unwrap()
}

fn record(number: u64) -> Record {
    Record { text: format!("record {number}"), number }
}

fn key(a: &str, b: &str) -> (String, String) {
    (a.into(), b.into())
}

fn open(dir: &Path) -> (Database, Records) {
    let db = Database::open(dir.join("db"), &["records", "others"]).unwrap();
    let table = db.table("records");
    (db, table)
}

/// The files of a database as a kill leaves them: not closed.
fn copy_as_if_crashed(from: &Path) -> tempfile::TempDir {
    let to = dir();
    std::fs::create_dir(to.path().join("db")).unwrap();
    for entry in std::fs::read_dir(from.join("db")).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name() != "LOCK" {
            std::fs::copy(entry.path(), to.path().join("db").join(entry.file_name())).unwrap();
        }
    }
    std::fs::copy(from.join("db.copy"), to.path().join("db.copy")).unwrap();
    to
}

#[tokio::test]
async fn what_was_committed_is_there_after_a_crash_and_after_a_close() {
    let dir = dir();
    let (db, table) = open(dir.path());
    let mut batch = db.batch();
    batch.put(&table, &key("a", "1"), &record(1)).put(&table, &key("a", "2"), &record(2));
    batch.commit().await.unwrap();
    let mut batch = db.batch();
    batch.delete(&table, &key("a", "1"));
    batch.commit().await.unwrap();
    db.batch().put(&table, &key("a", "3"), &record(3));

    let crashed = copy_as_if_crashed(dir.path());
    drop((db, table));
    for path in [crashed.path(), dir.path()] {
        let (_db, table) = open(path);
        assert_eq!(table.scan_all().unwrap(), vec![(key("a", "2"), record(2))]);
        assert_eq!(table.get(&key("a", "2")).unwrap(), Some(record(2)));
        assert!(!table.contains(&key("a", "1")).unwrap());
    }
}

#[tokio::test]
async fn what_is_committed_soon_comes_before_what_is_committed_later() {
    let dir = dir();
    let (db, table) = open(dir.path());
    for number in 1..=50 {
        let mut soon = db.batch();
        soon.put(&table, &key("a", "1"), &record(number));
        soon.commit_soon().await.unwrap();
        let mut later = db.batch();
        later.put(&table, &key("a", "2"), &record(number));
        later.commit().await.unwrap();
        let crashed = copy_as_if_crashed(dir.path());
        let (_db, after) = open(crashed.path());
        assert_eq!(after.get(&key("a", "1")).unwrap(), Some(record(number)));
    }
    let mut batch = db.batch();
    batch.delete(&table, &key("a", "1"));
    batch.commit_soon().await.unwrap();
    drop((db, table));
    let (_db, table) = open(dir.path());
    assert_eq!(table.get(&key("a", "1")).unwrap(), None, "a close waits for it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_commits_all_arrive() {
    let dir = dir();
    let (db, table) = open(dir.path());
    let tasks: Vec<_> = (0..200)
        .map(|n| {
            let (db, table) = (db.clone(), table.clone());
            tokio::spawn(async move {
                let mut batch = db.batch();
                batch.put(&table, &key("n", &format!("{n:04}")), &record(n));
                batch.commit().await.unwrap();
                assert_eq!(table.get(&key("n", &format!("{n:04}"))).unwrap(), Some(record(n)));
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let numbers: Vec<u64> = table.scan("n").unwrap().into_iter().map(|(_, r)| r.number).collect();
    assert_eq!(numbers, (0..200).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_scan_stays_within_its_prefix() {
    let dir = dir();
    let (db, table) = open(dir.path());
    let mut batch = db.batch();
    for (a, b) in [("a", "x"), ("a", "y"), ("a\0", "x"), ("ab", "x"), ("", "a")] {
        batch.put(&table, &key(a, b), &record(0));
    }
    batch.commit().await.unwrap();
    let keys: Vec<_> = table.scan("a").unwrap().into_iter().map(|(k, _)| k).collect();
    assert_eq!(keys, vec![key("a", "x"), key("a", "y")]);
    assert_eq!(table.scan("").unwrap().len(), 1);
    assert_eq!(table.scan_all().unwrap().len(), 5);
    let all: Vec<_> = table.scan_all().unwrap().into_iter().map(|(k, _)| k).collect();
    assert_eq!(table.keys().collect::<Result<Vec<_>>>().unwrap(), all);
    let others: Table<String, Record> = db.table("others");
    assert!(others.scan_all().unwrap().is_empty());
}

#[tokio::test]
async fn a_second_open_is_refused() {
    let dir = dir();
    let (_db, _table) = open(dir.path());
    assert!(matches!(Database::open(dir.path().join("db"), &["records"]), Err(Error::Io { op: "lock", .. })));
}

fn number_them(db: &Database, batch: &mut Batch) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let table: Records = db.table("records");
    for (key, mut record) in table.scan_all()? {
        record.number += 100;
        batch.put(&table, &key, &record);
    }
    Ok(())
}

fn fail(_: &Database, batch: &mut Batch) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    assert!(batch.is_empty());
    Err("no".into())
}

#[tokio::test]
async fn migrations_run_once_and_newer_databases_are_refused() {
    let dir = dir();
    let (db, table) = open(dir.path());
    let mut batch = db.batch();
    batch.put(&table, &key("a", "1"), &record(1));
    batch.commit().await.unwrap();
    drop((db, table));

    let broken = Schema { tables: &["records"], migrations: &[number_them, fail] };
    assert!(matches!(
        Database::open_with(dir.path().join("db"), broken),
        Err(Error::Migration { from: 2, .. })
    ));
    let second = Schema { tables: &["records"], migrations: &[number_them] };
    for _ in 0..2 {
        let db = Database::open_with(dir.path().join("db"), second).unwrap();
        let table: Records = db.table("records");
        assert_eq!(table.get(&key("a", "1")).unwrap().unwrap().number, 101);
    }
    let refused = Database::open(dir.path().join("db"), &["records"]);
    assert!(matches!(refused, Err(Error::NewerSchema { found: 2, known: 1, .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    /// Random batches, compared with a map; the database is closed or crashes between them.
    #[test]
    fn a_database_is_a_map(
        batches in prop::collection::vec(
            (prop::collection::vec(("[a-c\\x00]{0,2}", "[a-c]{0,2}", prop::option::of(0u64..9)), 1..6), 0u8..3),
            1..8,
        ),
    ) {
        let mut dir = dir();
        let mut model = BTreeMap::new();
        let (mut db, mut table) = open(dir.path());
        for (changes, fate) in batches {
            let mut batch = db.batch();
            for (a, b, value) in changes {
                let key = (a, b);
                match value {
                    Some(number) => {
                        batch.put(&table, &key, &record(number));
                        model.insert(key, record(number));
                    }
                    None => {
                        batch.delete(&table, &key);
                        model.remove(&key);
                    }
                }
            }
            batch.commit_blocking().unwrap();
            match fate {
                0 => {}
                1 => {
                    drop((db, table));
                    (db, table) = open(dir.path());
                }
                _ => {
                    let crashed = copy_as_if_crashed(dir.path());
                    drop((db, table));
                    dir = crashed;
                    (db, table) = open(dir.path());
                }
            }
            let expected: Vec<_> = model.clone().into_iter().collect();
            prop_assert_eq!(table.scan_all().unwrap(), expected);
        }
        drop((db, table, dir));
    }
}
