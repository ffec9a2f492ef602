//! Restores a backup.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use gantry_descriptor::keepers;

use super::{ABOUT, About, FORM, IDENTITY, copy_tree, data, set_aside, sync};
use crate::cmd::Session;
use crate::cmd::cp::{Plan, local};
use crate::output;
use crate::supervisor::{self, process};

/// Puts the records of a backup, and its data if it has any, in place. It never removes what is there.
pub async fn restore(session: &Session, source: &Path, force: bool) -> Result<()> {
    refuse_running(session).await?;
    let state = &session.roots.state;
    std::fs::create_dir_all(state).with_context(|| format!("create {}", state.display()))?;
    let stamp = chrono::Utc::now().format("%Y%m%dT%H%M%S%.3f").to_string();
    // The unpacked backup lies on the state's file system, and is removed afterwards.
    let unpacked = state.join(format!("restoring-{stamp}"));
    let folder = if source.is_dir() { source.to_path_buf() } else { unpack(source, &unpacked)? };
    let restored = put_in_place(state, &folder, &stamp, force);
    if folder == unpacked {
        let _ = std::fs::remove_dir_all(&unpacked);
    }
    restored?;
    sync(state)?;
    output::line("restored: `gantry up` goes on from here, and `gantry fsck` says what is missing")
}

async fn refuse_running(session: &Session) -> Result<()> {
    let mut running = Vec::new();
    for service in gantry_descriptor::names() {
        if process::serving(&session.roots.socket(service)).await.ok().flatten().is_some() {
            running.push(service);
        }
    }
    if supervisor::holder(&session.roots).is_some() {
        running.push("the supervisor");
    }
    if !running.is_empty() {
        bail!(
            "Gantry runs on {} ({}): `gantry down` ends it",
            session.roots.run.display(),
            running.join(", ")
        );
    }
    Ok(())
}

fn unpack(file: &Path, folder: &Path) -> Result<PathBuf> {
    let unpacked = || -> Result<()> {
        std::fs::create_dir_all(folder)?;
        local::unpack(File::open(file)?, &Plan::of_all(&folder.display().to_string()), true)
    };
    unpacked().with_context(|| format!("unpack {}", file.display()))?;
    Ok(folder.to_path_buf())
}

fn put_in_place(state: &Path, folder: &Path, stamp: &str, force: bool) -> Result<()> {
    let text =
        std::fs::read(folder.join(ABOUT)).with_context(|| format!("{} is no backup", folder.display()))?;
    let about: About = serde_json::from_slice(&text).with_context(|| format!("{ABOUT} of the backup"))?;
    if about.form != FORM {
        bail!("the backup has form {}, this program knows {FORM}: use a newer one", about.form);
    }
    if let Some(missing) = keepers().find(|service| !folder.join(service).join("db/CURRENT").is_file()) {
        bail!("the backup is not whole: it lacks the records of {missing}");
    }
    let parts: Vec<_> = data().filter(|part| about.data && folder.join(part).is_dir()).collect();
    let there = keepers().map(|service| state.join(service).join("db"));
    let there = there.chain(data().map(|part| state.join(part))).find(|path| holds_something(path));
    if let Some(path) = there.as_ref().filter(|_| !force) {
        bail!("{} is there already: with --force it is set aside", path.display());
    }
    for service in keepers() {
        let own = state.join(service);
        // A service with a user of its own must own the files, if it has run before.
        for name in ["db", "db.copy"] {
            told(set_aside(&own.join(name), stamp)?);
        }
        copy_tree(&folder.join(service).join("db"), &own.join("db"))?;
        if there.is_some() {
            // What the records do not name may be newer than they are, so it stays.
            std::fs::write(own.join("db.restored"), "")
                .with_context(|| format!("write below {}", own.display()))?;
        }
        let _ = std::fs::remove_file(own.join("refused"));
    }
    for part in parts {
        told(set_aside(&state.join(&part), stamp)?);
        copy_tree(&folder.join(&part), &state.join(&part))?;
    }
    std::fs::copy(folder.join(IDENTITY), state.join(IDENTITY)).context("copy its identity")?;
    Ok(())
}

fn told(aside: Option<PathBuf>) {
    if let Some(aside) = aside {
        output::note(format_args!("what was there is in {}", aside.display()));
    }
}

/// Whether there is anything to keep: every start makes empty directories.
fn holds_something(path: &Path) -> bool {
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).any(|path| !path.is_dir() || holds_something(&path))
}
