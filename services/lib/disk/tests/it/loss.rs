//! A database with lost records: what it reports, and how it goes on.

use std::path::{Path, PathBuf};
use std::time::Duration;

use gantry_disk::{Database, Error, Place, Schema, Table};

const SCHEMA: Schema = Schema { tables: &["table"], migrations: &[] };

struct World {
    folder: tempfile::TempDir,
    place: Place,
}

impl World {
    /// A database with a hundred records whose process was killed.
    fn killed() -> World {
        let folder = tempfile::tempdir_in("/dev/shm").expect("a temporary directory");
        let killed = tempfile::tempdir_in("/dev/shm").expect("a temporary directory");
        let db = Database::open_with(folder.path().join("db"), SCHEMA).expect("opened");
        let table: Table<String, String> = db.table("table");
        for number in (0..100).chain(0..50) {
            let mut batch = db.batch();
            batch.put(&table, &key(number), &"value".repeat(20));
            batch.commit_blocking().expect("written");
        }
        duplicate(folder.path(), killed.path());
        drop((db, table));
        World { place: Place::new(killed.path().join("db")), folder: killed }
    }

    fn open(&self) -> Result<Database, Error> {
        Database::open_with(self.place.dir(), SCHEMA)
    }

    fn refusal(&self) -> String {
        match self.open() {
            Err(error @ Error::Lost { .. }) => {
                let remedy = gantry_types::Remedy::of(&error).expect("a remedy");
                format!("{error}: {remedy}")
            }
            Err(other) => panic!("another error: {other}"),
            Ok(_) => panic!("opened"),
        }
    }

    /// The only log with content.
    fn log(&self) -> PathBuf {
        let entries =
            std::fs::read_dir(self.place.dir()).expect("listed").flatten().map(|entry| entry.path());
        let logs = entries.filter(|path| path.extension().is_some_and(|end| end == "log"));
        let mut full: Vec<_> = logs.filter(|path| path.metadata().expect("there").len() > 0).collect();
        assert_eq!(full.len(), 1);
        full.remove(0)
    }
}

fn key(number: u32) -> String {
    format!("{number:03}")
}

fn duplicate(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).expect("listed").flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            std::fs::create_dir(&target).expect("made");
            duplicate(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("copied");
        }
    }
}

fn count(db: &Database) -> usize {
    db.table::<String, String>("table").scan_all().expect("read").len()
}

#[test]
fn a_kill_loses_nothing() {
    let world = World::killed();
    let db = world.open().expect("opened");
    assert_eq!((count(&db), db.lost_at()), (100, None));
}

#[test]
fn a_torn_tail_that_was_never_acknowledged_is_cut_off() {
    let world = World::killed();
    let log = world.log();
    let mut bytes = std::fs::read(&log).expect("read");
    let whole = bytes.len();
    // The part of a record that reached the disk; the next page is empty.
    bytes.extend([1, 2, 3, 4, 200, 0, 1, 9, 9, 9]);
    bytes.resize(whole + 4096, 0);
    std::fs::write(&log, bytes).expect("written");
    let db = world.open().expect("opened");
    assert_eq!((count(&db), db.lost_at()), (100, None));
    assert!(world.folder.path().join("db.torn").exists());
}

#[test]
fn a_log_that_is_damaged_or_cut_short_anywhere_is_told_and_nothing_is_lost() {
    let length = World::killed().log().metadata().expect("there").len();
    for step in 0..12 {
        let at = length * step / 12;
        for cut in [true, false] {
            let world = World::killed();
            let log = world.log();
            let mut bytes = std::fs::read(&log).expect("read");
            match cut {
                true => bytes.truncate(usize::try_from(at).expect("small")),
                false => bytes[usize::try_from(at).expect("small")] ^= 0x40,
            }
            std::fs::write(&log, bytes).expect("written");
            let refusal = world.refusal();
            assert!(refusal.contains("gantry fsck --repair"), "{refusal}");
            assert_eq!(world.refusal(), refusal, "the same again");

            world.place.give_up().expect("written");
            let db = world.open().expect("opened");
            assert_eq!((count(&db), db.lost_at()), (100, None), "byte {at} {cut}");
            assert!(world.place.repaired().exists() && !world.place.accept().exists());
            drop(db);
            assert_eq!(count(&world.open().expect("opened")), 100);
        }
    }
}

#[test]
fn a_database_that_is_gone_comes_back_from_its_copy() {
    let world = World::killed();
    std::fs::remove_dir_all(world.place.dir()).expect("removed");
    assert!(world.refusal().contains("are gone, but their copy is there"));
    world.place.give_up().expect("written");
    let db = world.open().expect("opened");
    assert_eq!((count(&db), db.lost_at()), (100, None));
}

#[test]
fn damaged_files_of_the_database_are_damage() {
    for name in ["CURRENT", "MANIFEST", "sst"] {
        let world = World::killed();
        // Replayed records go to a table file.
        drop(world.open().expect("opened"));
        let entries =
            std::fs::read_dir(world.place.dir()).expect("listed").flatten().map(|entry| entry.path());
        let file = entries
            .filter(|path| path.file_name().is_some_and(|found| found.to_string_lossy().contains(name)))
            .max_by_key(|path| path.metadata().expect("there").len())
            .expect("there");
        let mut bytes = std::fs::read(&file).expect("read");
        let middle = bytes.len() / 3;
        bytes[middle] ^= 0xff;
        std::fs::write(&file, bytes).expect("written");
        let refusal = world.refusal();
        assert!(refusal.contains("are damaged"), "{name}: {refusal}");
        world.place.give_up().expect("written");
        assert_eq!(count(&world.open().expect("opened")), 100, "{name}");
    }
}

#[test]
fn without_a_copy_what_can_be_read_is_kept_and_the_loss_remembered() {
    let world = World::killed();
    let log = world.log();
    let mut bytes = std::fs::read(&log).expect("read");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&log, bytes).expect("written");
    std::fs::remove_file(world.place.copy()).expect("there");
    assert!(world.refusal().contains("gantry backup restore"));
    world.place.give_up().expect("written");
    let db = world.open().expect("opened");
    assert!((20..100).contains(&count(&db)), "{}", count(&db));
    assert!(db.lost_at().is_some());
    drop(db);
    assert!(world.open().expect("opened").lost_at().is_some());
}

#[test]
fn a_salvage_that_was_killed_between_its_renames_goes_on() {
    let world = World::killed();
    let beside = |end: &str| world.folder.path().join(format!("db.{end}"));
    // A kill after the old database has left its path and before the new one has taken it.
    std::fs::remove_file(world.place.copy()).expect("there");
    std::fs::create_dir(beside("ready")).expect("made");
    duplicate(world.place.dir(), &beside("ready"));
    std::fs::rename(world.place.dir(), beside("lost-1")).expect("renamed");
    world.place.give_up().expect("written");
    let db = world.open().expect("opened");
    assert_eq!(count(&db), 100);
    assert!(world.place.repaired().exists() && !world.place.accept().exists() && !beside("ready").exists());
}

#[test]
fn a_database_is_not_new_while_what_it_speaks_of_is_there() {
    let folder = tempfile::tempdir_in("/dev/shm").expect("a temporary directory");
    let things = folder.path().join("things");
    std::fs::create_dir(&things).expect("made");
    let open = || Database::open_beside(folder.path().join("db"), SCHEMA, std::slice::from_ref(&things));
    drop(open().expect("a new one"));
    std::fs::create_dir(things.join("thing")).expect("made");
    drop(open().expect("an old one"));
    std::fs::remove_dir_all(folder.path().join("db")).expect("removed");
    std::fs::remove_file(folder.path().join("db.copy")).expect("removed");
    assert!(matches!(open(), Err(Error::Lost { .. })));
    Place::new(folder.path().join("db")).give_up().expect("written");
    assert!(open().expect("opened").lost_at().is_some());
}

#[test]
fn an_older_database_in_its_place_is_told() {
    let world = World::killed();
    let older = World::killed();
    let db = world.open().expect("opened");
    let mut batch = db.batch();
    batch.put(&db.table("table"), &"more".to_owned(), &String::new());
    batch.commit_blocking().expect("written");
    drop(db);
    std::fs::remove_dir_all(world.place.dir()).expect("removed");
    std::fs::create_dir(world.place.dir()).expect("made");
    duplicate(older.place.dir(), world.place.dir());
    assert!(world.refusal().contains("lack the last 1 changes"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_a_moment_has_what_was_acknowledged_and_nothing_more() {
    let world = tokio::task::spawn_blocking(World::killed).await.expect("killed");
    let db = world.open().expect("opened");
    let table: Table<String, String> = db.table("table");
    db.pause("now", Duration::from_secs(20)).await.expect("paused");
    let later = tokio::spawn({
        let (db, table) = (db.clone(), table.clone());
        async move {
            let mut batch = db.batch();
            batch.put(&table, &"later".to_owned(), &String::new());
            batch.commit().await
        }
    });
    let copy = world.folder.path().join("taken");
    tokio::task::block_in_place(|| db.checkpoint("now", &copy)).expect("copied");
    assert!(!later.is_finished());
    assert!(matches!(db.checkpoint("then", &copy), Err(Error::NotPaused { .. })));
    db.resume("now");
    later.await.expect("joined").expect("written");
    assert!(matches!(db.checkpoint("now", &copy), Err(Error::NotPaused { .. })));
    assert_eq!((count(&db), count(&Database::open_with(copy, SCHEMA).expect("opened"))), (101, 100));

    db.pause("short", Duration::from_millis(1)).await.expect("paused");
    let mut batch = db.batch();
    batch.delete(&table, &"later".to_owned());
    batch.commit().await.expect("it goes on by itself");
}
