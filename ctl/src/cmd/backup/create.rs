//! Makes a backup.

use std::ffi::OsString;
use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use futures::future::join_all;
use gantry_api::Failure;
use gantry_api::records::Client;
use gantry_descriptor::keepers;

use super::{ABOUT, About, FORM, HALF, IDENTITY, SNAPSHOTS, copy_tree, data, sync};
use crate::cmd::Session;
use crate::cmd::cp::{Plan, local};
use crate::output;

/// How long all copies may take. If this process dies, services wait no longer for it.
const PAUSE: Duration = Duration::from_secs(10);

/// Writes a backup, with the bytes that records refer to if the user wants them.
pub async fn create(session: &Session, destination: &Path, data: bool) -> Result<()> {
    let packed = destination.extension().is_some_and(|end| end == "tar");
    if packed && data {
        bail!(
            "{}: a backup with data goes into a directory: tar files do not keep all that belongs to layers",
            destination.display()
        );
    }
    if destination.exists() && (packed || std::fs::read_dir(destination)?.next().is_some()) {
        bail!("{} is there already", destination.display());
    }
    // A file is packed from a directory beside it, which is no larger than the records.
    let folder = if packed { beside(destination) } else { destination.to_path_buf() };
    let made = fill(session, &folder, data).await.and_then(|()| match packed {
        true => pack(&folder, destination),
        false => sync(&folder),
    });
    if packed || made.is_err() {
        // The first failure is the one to report.
        let _ = std::fs::remove_dir_all(&folder);
    }
    made?;
    output::line(destination.display())
}

fn beside(file: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(file.file_name().unwrap_or_default());
    name.push(format!(".{}", std::process::id()));
    file.with_file_name(name)
}

async fn fill(session: &Session, folder: &Path, with_data: bool) -> Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
    let moment = chrono::Utc::now().to_rfc3339();
    let (copies, things) = copy_all(session, &moment).await?;
    for (service, copy) in keepers().zip(&copies) {
        let taken = copy_tree(copy, &folder.join(service).join("db"));
        let removed = std::fs::remove_dir_all(copy).with_context(|| format!("remove {}", copy.display()));
        taken.and(removed)?;
    }
    let state = &session.roots.state;
    std::fs::copy(state.join(IDENTITY), folder.join(IDENTITY)).context("copy this Gantry's identity")?;
    if with_data {
        for thing in things {
            let (from, to) =
                (state.join(&thing.part).join(&thing.name), folder.join(&thing.part).join(&thing.name));
            copy(&from, &to)?;
            if thing.is_bare && to.is_dir() {
                std::fs::write(to.join(HALF), "").with_context(|| format!("mark {}", to.display()))?;
            }
        }
    }
    let about = About { form: FORM, gantry: env!("CARGO_PKG_VERSION").to_owned(), moment, data: with_data };
    std::fs::write(folder.join(ABOUT), serde_json::to_vec_pretty(&about)?).context("write what the backup is")
}

/// The entries of a directory of [`data`].
struct Thing {
    part: String,
    name: OsString,
    /// Whether it is a snapshot's directory that needed no record at that moment. It may have had none: what a container writes
    /// before it is copied must not count as the files of a snapshot that lost its record.
    is_bare: bool,
}

/// Makes all services copy their databases at one moment; returns where the copies are, and the entries of data at that moment
/// of which the records may speak.
async fn copy_all(session: &Session, moment: &str) -> Result<(Vec<PathBuf>, Vec<Thing>)> {
    let records: Vec<_> = keepers().map(|service| Client::new(&session.peers, service)).collect();
    let pauses =
        records.iter().map(|records| async move { records.pause(moment, PAUSE).await.map_err(refusal) });
    let paused: Result<Vec<_>> = join_all(pauses).await.into_iter().collect();
    let copied = match paused {
        Ok(_) => {
            let copies =
                records.iter().map(|records| async move { records.copy(moment).await.map_err(refusal) });
            let copies: Result<Vec<_>> = join_all(copies).await.into_iter().collect();
            copies.and_then(|copies| Ok((copies, things(&session.roots.state)?)))
        }
        Err(error) => Err(error),
    };
    // A service that does not get this call goes on by itself.
    join_all(records.iter().map(|records| async move {
        let _ = records.resume(moment).await;
    }))
    .await;
    copied
}

/// Lists the entries of which records may speak.
fn things(state: &Path) -> Result<Vec<Thing>> {
    let mut found = Vec::new();
    for part in data() {
        let path = state.join(&part);
        let entries = match std::fs::read_dir(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            entries => entries.with_context(|| format!("list {}", path.display()))?,
        };
        for entry in entries {
            let name = entry.with_context(|| format!("list {}", path.display()))?.file_name();
            // A name with a dot is a volume or container that is being removed.
            if !name.as_encoded_bytes().starts_with(b".") {
                let is_bare = part.ends_with(SNAPSHOTS) && is_bare(&path.join(&name));
                found.push(Thing { part: part.clone(), name, is_bare });
            }
        }
    }
    Ok(found)
}

/// Whether a snapshot's directory needs no record, because it is empty or half made.
fn is_bare(snapshot: &Path) -> bool {
    let empty = std::fs::read_dir(snapshot.join("fs")).is_ok_and(|mut entries| entries.next().is_none());
    empty || snapshot.join(HALF).exists()
}

/// Copies a tree or a file, unless it is gone.
fn copy(from: &Path, to: &Path) -> Result<()> {
    if from.is_dir() {
        return copy_tree(from, to);
    }
    let copied = std::fs::create_dir_all(to.with_file_name("")).and_then(|()| std::fs::copy(from, to));
    match copied {
        Err(error) if error.kind() == ErrorKind::NotFound && !from.exists() => Ok(()),
        copied => copied.map(drop).with_context(|| format!("copy {}", from.display())),
    }
}

fn refusal(failure: Failure) -> anyhow::Error {
    anyhow::anyhow!("{} does not copy its records: {}", failure.service, failure.status.message())
}

fn pack(folder: &Path, file: &Path) -> Result<()> {
    let packed = || -> Result<()> {
        let target = File::create_new(file)?;
        let all = local::Found::at(&folder.join(".").display().to_string(), false)?;
        local::pack_into(&target, &all, &Plan::of_all(""))?;
        Ok(target.sync_all()?)
    };
    packed().with_context(|| format!("write {}", file.display()))
}
