//! The folders of volumes, and what can be learned from the folders alone.
//!
//! A volume's content may be valuable even without its record. So a folder is removed only from `.removed`, where
//! only the removal of a volume puts it.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use prost::Message;

use crate::error::{Error, Result};
use crate::names;
use crate::record::VolumeRecord;
use crate::root::kernel;

const DATA: &str = "_data";
const RECORD: &str = "record";
const REMOVED: &str = ".removed";
/// Separates a volume's name, which cannot contain it, from the suffix that makes a name in `.removed` unique.
const SEPARATOR: char = '@';

/// All folders. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Folders {
    root: PathBuf,
}

/// A folder that is removed after its record.
#[derive(Debug)]
#[must_use = "it goes, or is put back"]
pub struct Condemned {
    home: PathBuf,
    /// Present path; `None` if there was no folder.
    now: Option<PathBuf>,
}

impl Folders {
    /// Makes the directories that contain all folders.
    pub fn open(root: PathBuf) -> Result<Folders> {
        let removed = root.join(REMOVED);
        std::fs::create_dir_all(&removed)
            .map_err(|source| Error::io("create directory", &removed, source))?;
        Ok(Folders { root })
    }

    /// A volume's folder.
    pub fn home(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// The path of a volume's content.
    pub fn data(&self, name: &str) -> PathBuf {
        self.home(name).join(DATA)
    }

    /// The names of all folders that could belong to a volume.
    pub fn names(&self) -> Result<Vec<String>> {
        let entries = list(&self.root)?;
        let own = |path: &PathBuf| path.is_dir();
        let name = |path: PathBuf| path.file_name()?.to_str().map(str::to_owned);
        Ok(entries.into_iter().filter(own).filter_map(name).filter(|name| names::is_valid(name)).collect())
    }

    /// Makes a volume's folder, durably, with a description. A folder that exists keeps its data.
    pub fn make(&self, volume: &VolumeRecord) -> Result<()> {
        let disk = |source| Error::Database { doing: "make a volume's folder", source };
        gantry_disk::atomic::create_dir_all(self.data(&volume.name)).map_err(disk)?;
        self.describe(volume)
    }

    /// Writes a copy of the volume's record into its folder. Not synced: it helps if the database is lost, not after
    /// a power failure.
    fn describe(&self, volume: &VolumeRecord) -> Result<()> {
        let path = self.home(&volume.name).join(RECORD);
        std::fs::write(&path, volume.encode_to_vec()).map_err(|source| Error::io("write", &path, source))
    }

    /// Describes a volume whose folder has no description yet.
    pub fn describe_once(&self, volume: &VolumeRecord) -> Result<()> {
        let home = self.home(&volume.name);
        if home.join(RECORD).exists() || !home.is_dir() { Ok(()) } else { self.describe(volume) }
    }

    /// The volumes whose folders are not `known`, from their descriptions. An empty folder without a description is
    /// removed.
    pub fn unrecorded(&self, known: impl Fn(&str) -> bool) -> Result<Vec<VolumeRecord>> {
        let mut found = Vec::new();
        for name in self.names()?.into_iter().filter(|name| !known(name)) {
            let home = self.home(&name);
            // Both calls fail if the directory is not empty.
            let _ = std::fs::remove_dir(home.join(DATA));
            if std::fs::remove_dir(&home).is_ok() {
                continue;
            }
            let mut volume = described(&home).unwrap_or_else(|| VolumeRecord {
                driver: super::driver::local::NAME.to_owned(),
                created_at: made_at(&home),
                ..VolumeRecord::default()
            });
            volume.name = name;
            self.make(&volume)?;
            found.push(volume);
        }
        Ok(found)
    }

    /// Moves a volume's folder into `.removed`, before its record is deleted.
    pub fn condemn(&self, name: &str) -> Result<Condemned> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let unique = format!("{name}{SEPARATOR}{now:x}-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let (home, away) = (self.home(name), self.root.join(REMOVED).join(unique));
        match std::fs::rename(&home, &away) {
            Ok(()) => {
                let condemned = Condemned { home, now: Some(away) };
                // Synced before the record is deleted: otherwise a power failure could bring the folder back without
                // its record, and recovery would take it for a volume.
                for directory in [self.root.join(REMOVED), self.root.clone()] {
                    gantry_disk::atomic::sync_dir(&directory)
                        .map_err(|source| Error::Database { doing: "move a volume away", source })?;
                }
                Ok(condemned)
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Condemned { home, now: None }),
            Err(source) => Err(Error::io("move away", &home, source)),
        }
    }

    /// Finishes the removals that a crash has interrupted. A folder whose record still exists is moved back.
    pub fn reprieve(&self, known: impl Fn(&str) -> bool) -> Result<()> {
        for path in list(&self.root.join(REMOVED))? {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let name = name.split_once(SEPARATOR).map_or("", |(name, _)| name);
            let home = self.home(name);
            if known(name) && !home.exists() {
                std::fs::rename(&path, &home).map_err(|source| Error::io("put back", &home, source))?;
            } else {
                remove(&path)?;
            }
        }
        Ok(())
    }
}

/// Removes a folder. A file system mounted at its `_data` is not part of it.
fn remove(folder: &Path) -> Result<()> {
    gantry_mount::detach_all(&folder.join(DATA)).map_err(kernel)?;
    gantry_rooted::tree::remove_tree(folder).map_err(kernel)
}

impl Condemned {
    /// For a volume that has been removed already.
    pub fn nothing() -> Condemned {
        Condemned { home: PathBuf::new(), now: None }
    }

    /// Removes the folder.
    pub fn execute(mut self) -> Result<()> {
        match self.now.take() {
            Some(path) => remove(&path),
            None => Ok(()),
        }
    }
}

impl Drop for Condemned {
    fn drop(&mut self) {
        if let Some(path) = self.now.take()
            && let Err(error) = std::fs::rename(&path, &self.home)
        {
            tracing::warn!(folder = %self.home.display(), %error, "not put back, until the next start");
        }
    }
}

fn list(directory: &Path) -> Result<Vec<PathBuf>> {
    let fail = |source| Error::io("read directory", directory, source);
    std::fs::read_dir(directory).map_err(fail)?.map(|entry| Ok(entry.map_err(fail)?.path())).collect()
}

/// Reads a folder's description.
fn described(home: &Path) -> Option<VolumeRecord> {
    let volume = VolumeRecord::decode(std::fs::read(home.join(RECORD)).ok()?.as_slice()).ok()?;
    // An empty file decodes too, so the name is checked.
    (!volume.name.is_empty()).then_some(volume)
}

fn made_at(home: &Path) -> i64 {
    let modified = std::fs::metadata(home).and_then(|found| found.modified()).ok();
    let since = modified.and_then(|moment| moment.duration_since(UNIX_EPOCH).ok());
    since.and_then(|since| i64::try_from(since.as_nanos()).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn volume(name: &str) -> VolumeRecord {
        let labels = [("a".to_owned(), "b".to_owned())].into();
        VolumeRecord { name: name.to_owned(), driver: "local".to_owned(), labels, ..Default::default() }
    }

    #[test]
    fn a_folder_without_a_record_tells_what_it_was() {
        let root = tempfile::tempdir().expect("a directory");
        let folders = Folders::open(root.path().to_owned()).expect("opened");
        for name in ["described", "bare"] {
            folders.make(&volume(name)).expect("made");
            std::fs::write(folders.data(name).join("x"), "data").expect("written");
        }
        std::fs::remove_file(folders.home("bare").join(RECORD)).expect("there");
        std::fs::create_dir_all(folders.data("nothing")).expect("made");
        let mut found = folders.unrecorded(|name| name == "known").expect("listed");
        found.sort_by(|a, b| a.name.cmp(&b.name));
        assert_eq!(
            found.iter().map(|volume| volume.name.as_str()).collect::<Vec<_>>(),
            ["bare", "described"]
        );
        assert_eq!(found[1], volume("described"));
        assert_eq!(std::fs::read_to_string(folders.data("bare").join("x")).expect("kept"), "data");
        assert!(!folders.home("nothing").exists());
    }

    #[test]
    fn root_only_what_was_to_be_removed_and_has_no_record_goes() {
        let root = tempfile::tempdir().expect("a directory");
        let folders = Folders::open(root.path().to_owned()).expect("opened");
        for name in ["kept", "gone", "spared"] {
            folders.make(&volume(name)).expect("made");
        }
        // The state after a crash between the two steps.
        for name in ["kept", "gone"] {
            let mut condemned = folders.condemn(name).expect("moved");
            condemned.now = None;
        }
        drop(folders.condemn("spared").expect("moved"));
        folders.reprieve(|name| name == "kept").expect("done");
        let mut names = folders.names().expect("listed");
        names.sort_unstable();
        assert_eq!(names, ["kept", "spared"]);
        assert_eq!(list(&root.path().join(REMOVED)).expect("listed").len(), 0);
    }
}
