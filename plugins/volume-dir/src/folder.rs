//! The folder of all volumes.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use gantry_plugin_sdk::volume::Volume;
use gantry_plugin_sdk::{Error, Result};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::name::Name;
use crate::options::Options;
use crate::{project, quota};

const DATA: &str = "data";
const RECORD: &str = "volume.json";
const NEW: &str = ".new-";
const REMOVED: &str = ".removed-";

/// The record of a volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    options: Options,
    /// The number of its project; 0 for a volume without a limit.
    project: u32,
    /// Time of creation, RFC 3339.
    created_at: String,
}

/// All volumes.
#[derive(Debug)]
pub struct Folder {
    root: PathBuf,
    /// Held while a volume is made or removed, one at a time. Guards names and projects.
    changing: Mutex<()>,
    next: AtomicU64,
    /// Held as long as this process lives (flock(2)), because two plugins in one folder could assign the same project
    /// twice.
    _lock: File,
}

impl Folder {
    /// Opens a folder, and finishes what an earlier process left half done.
    ///
    /// # Errors
    ///
    /// The path is no folder, cannot be written to, or is in use by another plugin.
    pub fn open(root: &Path) -> Result<Folder> {
        let root = root.canonicalize().map_err(|error| Error::about(root.display(), error))?;
        let lock = File::open(&root).map_err(|error| Error::about(root.display(), error))?;
        rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive).map_err(|error| {
            Error::about(root.display(), format!("another plugin has this folder: {error}"))
        })?;
        let folder = Folder { root, changing: Mutex::default(), next: AtomicU64::new(0), _lock: lock };
        for name in folder.entries()? {
            if name.starts_with(NEW) || name.starts_with(REMOVED) {
                folder.clear(&folder.root.join(name))?;
            }
        }
        Ok(folder)
    }

    /// Makes a volume. A volume that exists must have been made with the same options.
    pub fn create(&self, name: &Name, options: &Options) -> Result<()> {
        let _changing = self.changing.lock();
        if let Some(known) = self.record(name)? {
            return match known.options == *options {
                true => Ok(()),
                false => Err(Error::about(name, "the volume exists with other options")),
            };
        }
        let new = self.unique(NEW);
        let made = self.make(&new, options).and_then(|()| rename(&new, &self.home(name)));
        if let Err(error) = made {
            if let Err(left) = self.clear(&new) {
                tracing::warn!(folder = %new.display(), error = %left, "left until the next start");
            }
            return Err(error);
        }
        self.sync()
    }

    fn make(&self, new: &Path, options: &Options) -> Result<()> {
        let failed = |error: io::Error| Error::about(new.display(), error);
        fs::DirBuilder::new().mode(0o700).create(new).map_err(failed)?;
        let data = new.join(DATA);
        fs::create_dir(&data).map_err(failed)?;
        let mut record =
            Record { options: options.clone(), project: 0, created_at: chrono::Utc::now().to_rfc3339() };
        let opened = File::open(&data).map_err(failed)?;
        if options.is_limited() {
            record.project = project::choose(opened.as_fd(), &self.projects()?)?;
        }
        // The record with the project's number is on the disk before the project gets a limit.
        let text = serde_json::to_vec_pretty(&record).map_err(Error::new)?;
        let file = File::create(new.join(RECORD)).map_err(failed)?;
        io::Write::write_all(&mut &file, &text).and_then(|()| file.sync_all()).map_err(failed)?;
        if record.project != 0 {
            project::assign(opened.as_fd(), record.project, options)?;
        }
        if options.uid.is_some() || options.gid.is_some() {
            std::os::unix::fs::chown(&data, options.uid, options.gid).map_err(failed)?;
        }
        // Set after the creation, so that the process's umask does not change it.
        let mode = fs::Permissions::from_mode(options.mode.unwrap_or(0o755));
        fs::set_permissions(&data, mode).map_err(failed)?;
        opened.sync_all().map_err(failed)?;
        File::open(new).and_then(|folder| folder.sync_all()).map_err(failed)
    }

    /// Removes a volume with its content. Succeeds if there is none.
    pub fn remove(&self, name: &Name) -> Result<()> {
        let changing = self.changing.lock();
        if self.record(name)?.is_none() {
            return Ok(());
        }
        let away = self.unique(REMOVED);
        rename(&self.home(name), &away)?;
        self.sync()?;
        drop(changing);
        // From here on the volume no longer exists, even if the next step fails.
        if let Err(error) = self.clear(&away) {
            tracing::warn!(volume = %name, %error, "removed, and what was in it is left until the next start");
        }
        Ok(())
    }

    /// The path of a volume's content. Sets the volume's limit again, because a repair of the file system may have
    /// lost it.
    pub fn open_volume(&self, name: &Name) -> Result<PathBuf> {
        let record = self.record(name)?.ok_or_else(|| Error::about(name, "no such volume"))?;
        let data = self.home(name).join(DATA);
        if record.project != 0 {
            let opened = File::open(&data).map_err(|error| Error::about(name, error))?;
            if !quota::is_enforced(opened.as_fd()) {
                return Err(Error::about(
                    name,
                    "it has a limit, and its file system is mounted without prjquota",
                ));
            }
            project::assign(opened.as_fd(), record.project, &record.options)
                .map_err(|error| Error::about(name, error))?;
        }
        Ok(data)
    }

    /// The present state of a volume, with its usage if the file system counts it.
    pub fn look(&self, name: &Name) -> Result<Option<Volume>> {
        let Some(record) = self.record(name)? else { return Ok(None) };
        let data = self.home(name).join(DATA);
        let mut volume = Volume::at(name.as_str(), &data);
        volume.created_at = record.created_at;
        if record.project != 0
            && let Ok(opened) = File::open(&data)
            && let Ok(usage) = quota::usage(opened.as_fd(), record.project)
        {
            for (key, value) in [
                ("size", record.options.size),
                ("inodes", record.options.inodes),
                ("used", usage.space),
                ("usedInodes", usage.inodes),
                ("project", u64::from(record.project)),
            ] {
                volume.status.insert(key.to_owned(), value.into());
            }
        }
        Ok(Some(volume))
    }

    /// All volumes.
    pub fn list(&self) -> Result<Vec<Volume>> {
        let mut all = Vec::new();
        for name in self.names()? {
            if let Some(volume) = self.look(&name)? {
                all.push(Volume { status: serde_json::Map::new(), ..volume });
            }
        }
        Ok(all)
    }

    fn home(&self, name: &Name) -> PathBuf {
        self.root.join(name.as_str())
    }

    fn unique(&self, kind: &str) -> PathBuf {
        let (process, number) = (std::process::id(), self.next.fetch_add(1, Ordering::Relaxed));
        self.root.join(format!("{kind}{process}-{number}"))
    }

    fn entries(&self) -> Result<Vec<String>> {
        let failed = |error: io::Error| Error::about(self.root.display(), error);
        let entries =
            fs::read_dir(&self.root).map_err(failed)?.collect::<io::Result<Vec<_>>>().map_err(failed)?;
        Ok(entries.into_iter().filter_map(|entry| entry.file_name().into_string().ok()).collect())
    }

    /// Files that belong to no volume (`lost+found`) are ignored.
    fn names(&self) -> Result<Vec<Name>> {
        let mut names: Vec<Name> = self.entries()?.iter().filter_map(|name| Name::parse(name).ok()).collect();
        names.sort();
        Ok(names)
    }

    fn record(&self, name: &Name) -> Result<Option<Record>> {
        read(&self.home(name)).map_err(|error| Error::about(name, error))
    }

    /// The projects of all volumes, including those that are being removed.
    fn projects(&self) -> Result<BTreeSet<u32>> {
        let records =
            self.entries()?.into_iter().filter_map(|name| read(&self.root.join(name)).ok().flatten());
        Ok(records.map(|record| record.project).filter(|project| *project != 0).collect())
    }

    /// Removes a folder that is not or no longer a volume, and its limit.
    fn clear(&self, folder: &Path) -> Result<()> {
        let failed = |error: io::Error| Error::about(folder.display(), error);
        let project = read(folder).ok().flatten().map_or(0, |record| record.project);
        match fs::remove_dir_all(folder.join(DATA)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        if project != 0
            && let Err(error) = quota::limit(self._lock.as_fd(), project, 0, 0)
        {
            tracing::warn!(project, %error, "the limit of a project stays");
        }
        match fs::remove_dir_all(folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(error)),
            _ => Ok(()),
        }
    }

    fn sync(&self) -> Result<()> {
        self._lock.sync_all().map_err(|error| Error::about(self.root.display(), error))
    }
}

fn rename(from: &Path, to: &Path) -> Result<()> {
    fs::rename(from, to).map_err(|error| Error::about(to.display(), error))
}

/// The record in a volume's folder; `None` if there is none.
fn read(home: &Path) -> io::Result<Option<Record>> {
    let file = home.join(RECORD);
    match fs::symlink_metadata(&file) {
        Ok(found) if found.is_file() && found.size() < 1 << 16 => {}
        Ok(_) => return Err(io::Error::other(format!("{RECORD} is not the plugin's"))),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(error),
    }
    let record = serde_json::from_slice(&fs::read(file)?);
    record.map(Some).map_err(|error| io::Error::other(format!("{RECORD}: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::parse(text).expect("valid")
    }

    fn names(folder: &Folder) -> Vec<String> {
        folder.list().expect("listed").into_iter().map(|volume| volume.name).collect()
    }

    #[test]
    fn a_volume_is_made_once_and_removed_with_what_is_in_it() {
        let root = tempfile::tempdir().expect("a directory");
        let folder = Folder::open(root.path()).expect("opened");
        let options = Options { mode: Some(0o1777), ..Options::default() };
        folder.create(&name("a"), &options).expect("made");
        folder.create(&name("a"), &options).expect("found");
        assert!(folder.create(&name("a"), &Options::default()).is_err());
        let data = folder.open_volume(&name("a")).expect("there");
        assert_eq!(data.metadata().expect("there").mode() & 0o7777, 0o1777);
        fs::write(data.join("file"), "x").expect("written");
        assert_eq!(names(&folder), ["a"]);
        folder.remove(&name("a")).expect("removed");
        folder.remove(&name("a")).expect("gone");
        assert_eq!(folder.entries().expect("listed"), [""; 0]);
        assert!(folder.open_volume(&name("a")).is_err());
    }

    #[test]
    fn what_was_left_half_done_goes_and_all_else_stays() {
        let root = tempfile::tempdir().expect("a directory");
        let folder = Folder::open(root.path()).expect("opened");
        folder.create(&name("kept"), &Options::default()).expect("made");
        assert!(Folder::open(root.path()).is_err(), "one plugin at a time");
        drop(folder);
        for left in [".new-1-0/data", ".removed-1-1/data/deep", "lost+found"] {
            fs::create_dir_all(root.path().join(left)).expect("made");
        }
        let folder = Folder::open(root.path()).expect("opened again");
        let mut entries = folder.entries().expect("listed");
        entries.sort();
        assert_eq!(entries, ["kept", "lost+found"]);
        assert_eq!(names(&folder), ["kept"]);
    }

    #[test]
    fn a_limit_that_nobody_keeps_is_refused_and_leaves_nothing() {
        let root = tempfile::tempdir_in("/dev/shm").expect("a file system without project quotas");
        let folder = Folder::open(root.path()).expect("opened");
        let options = Options { size: 1 << 20, ..Options::default() };
        let why = folder.create(&name("a"), &options).expect_err("no quotas").to_string();
        assert!(why.contains("project quotas"), "{why}");
        assert_eq!(folder.entries().expect("listed"), [""; 0]);
    }
}
