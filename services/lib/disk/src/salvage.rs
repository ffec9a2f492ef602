//! The salvage of a database with lost records, after the operator has accepted the loss.
//!
//! It makes a new database from the copy, if that is undamaged; else from what RocksDB can still read; else from what
//! is readable of the copy. It sets the old database aside and does not remove it. It removes the file with the
//! operator's consent last: a service that is killed before that starts the salvage again. There is a moment without
//! a database, after the old one has left its path and before the new one takes it. The new one, complete and synced,
//! then has the path [`Place::ready`], and the next start moves it ([`resume`]).

use std::collections::BTreeSet;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use prost::Message;
use rocksdb::{IteratorMode, WriteBatch, WriteOptions};

use crate::copy::{self, Rows};
use crate::database::{LOST_KEY, META};
use crate::settings;
use crate::writer::Db;
use crate::{Error, Place, Result, atomic};

/// The source of the records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Copy,
    Database,
    Rest,
}

/// Replaces a database by what can be salvaged of it.
pub(crate) fn salvage(place: &Place) -> Result<()> {
    let (made, ready) = (place.made(), place.ready());
    remove(&made)?;
    remove(&ready)?;
    let copied = copy::rows(&place.copy())?;
    let whole = copied.as_ref().is_some_and(|(seen, _)| seen.whole && seen.sequence > 0);
    let readable = if whole { None } else { readable(place.dir(), &made)? };
    let (source, mut rows) = match (copied, readable) {
        (Some((_, rows)), _) if whole => (Source::Copy, rows),
        (_, Some(rows)) => (Source::Database, rows),
        (Some((_, rows)), None) => (Source::Rest, rows),
        (None, None) => (Source::Rest, Rows::new()),
    };
    let count = rows.keys().filter(|(table, _)| table != META).count();
    if source != Source::Copy {
        rows.insert((META.to_owned(), LOST_KEY.to_vec()), now().encode_to_vec());
    }
    fill(&made, rows)?;
    rename(&made, &ready)?;

    let aside = place.aside();
    if place.dir().exists() {
        rename(place.dir(), &aside)?;
    }
    rename(&ready, place.dir())?;
    // While the copy exists, it is ahead of the database: a start after a crash comes here again.
    if place.copy().exists() {
        let mut name = aside.as_os_str().to_owned();
        name.push(".copy");
        rename(&place.copy(), Path::new(&name))?;
    }
    let from = match source {
        Source::Copy => "their copy, which was whole",
        Source::Database => "what could be read of the database: the last ones may be missing",
        Source::Rest => "nothing but what could be read of their copy",
    };
    let aside =
        if aside.exists() { format!("; what there was is in {}", aside.display()) } else { String::new() };
    let report = format!("{count} records from {from}{aside}");
    tracing::warn!(database = %place.dir().display(), "records were lost and a person said to go on: {report}");
    atomic::write(place.repaired(), report)?;
    remove_file(&place.accept())
}

/// Continues an interrupted salvage: moves the new database to the path that the old one has left.
pub(crate) fn resume(place: &Place) -> Result<()> {
    let ready = place.ready();
    if place.dir().exists() || !ready.exists() {
        return Ok(());
    }
    atomic::write(place.repaired(), "what was read before the repair was cut short")?;
    rename(&ready, place.dir())
}

/// The records that RocksDB can read of a damaged database; `None` if there are none. Changes only a copy in
/// `scratch`.
fn readable(dir: &Path, scratch: &Path) -> Result<Option<Rows>> {
    if !dir.is_dir() {
        return Ok(None);
    }
    for repair in [false, true] {
        remove(scratch)?;
        duplicate(dir, scratch)?;
        if repair && Db::repair(&settings::salvage(), scratch).is_err() {
            break;
        }
        let rows = read(scratch);
        remove(scratch)?;
        match rows {
            Ok(rows) if !rows.is_empty() => return Ok(Some(rows)),
            Ok(_) => {}
            Err(error) => tracing::warn!(database = %dir.display(), %error, repair, "not readable"),
        }
    }
    Ok(None)
}

fn read(dir: &Path) -> std::result::Result<Rows, rocksdb::Error> {
    let options = settings::salvage();
    let names = Db::list_cf(&options, dir)?;
    let db = Db::open_cf(&options, dir, &names)?;
    let mut rows = Rows::new();
    for name in names {
        let Some(column) = db.cf_handle(&name) else { continue };
        for row in db.iterator_cf(&column, IteratorMode::Start) {
            // Rows after a damaged block cannot be reached.
            let Ok((key, value)) = row else { break };
            rows.insert((name.clone(), key.into()), value.into());
        }
    }
    Ok(rows)
}

/// Makes a database with these records.
fn fill(dir: &Path, rows: Rows) -> Result<()> {
    let fail = |op| move |source| Error::Database { op, path: dir.to_path_buf(), source };
    let mut names: BTreeSet<&str> = rows.keys().map(|(table, _)| table.as_str()).collect();
    names.insert(META);
    let db = Db::open_cf(&settings::database(), dir, &names).map_err(fail("make"))?;
    let mut batch = WriteBatch::default();
    for ((table, key), value) in &rows {
        if let Some(column) = db.cf_handle(table) {
            batch.put_cf(&column, key, value);
        }
    }
    let mut options = WriteOptions::default();
    options.set_sync(true);
    db.write_opt(batch, &options).map_err(fail("fill"))
}

fn duplicate(from: &Path, to: &Path) -> Result<()> {
    DirBuilder::new().mode(0o700).create(to).map_err(|e| Error::io("create", to, e))?;
    for entry in std::fs::read_dir(from).map_err(|e| Error::io("list", from, e))? {
        let entry = entry.map_err(|e| Error::io("list", from, e))?;
        if entry.file_name() == "LOCK" || !entry.file_type().is_ok_and(|kind| kind.is_file()) {
            continue;
        }
        std::fs::copy(entry.path(), to.join(entry.file_name()))
            .map_err(|e| Error::io("copy", entry.path(), e))?;
    }
    Ok(())
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn rename(from: &Path, to: &Path) -> Result<()> {
    std::fs::rename(from, to).map_err(|e| Error::io("rename", from, e))?;
    atomic::sync_dir(to.parent().unwrap_or(Path::new(".")))
}

fn remove(dir: &Path) -> Result<()> {
    match std::fs::remove_dir_all(dir) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::io("remove", dir, e)),
        _ => Ok(()),
    }
}

pub(crate) fn remove_file(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::io("remove", path, e)),
        _ => Ok(()),
    }
}
