//! The directory that an entry goes into, opened step by step.
//!
//! Directories on the way are opened one part at a time and never through a symlink; where a part is one, the path so
//! far is resolved anew inside the root. The open ones are kept while the next entry has the same parents, as most do.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use gantry_rooted::{Dir, EntryKind, Root};

use super::extract::Mode;
use super::name::join;
use crate::{Error, Result};

struct Level {
    name: Vec<u8>,
    dir: Dir,
}

/// The open directories from the root down to the current one.
pub struct Directories<'r> {
    root: &'r Root,
    base: Dir,
    levels: Vec<Level>,
    mode: Mode,
    /// Directories made on the way to others, without an entry of their own so far.
    implied: BTreeSet<Vec<u8>>,
}

impl<'r> Directories<'r> {
    /// Begins at the root.
    pub fn new(root: &'r Root, mode: Mode) -> Result<Self> {
        let base = root.dir(Path::new(""))?;
        Ok(Self { root, base, levels: Vec::new(), mode, implied: BTreeSet::new() })
    }

    /// The root directory.
    pub fn base(&self) -> &Dir {
        &self.base
    }

    /// Opens the directory of these parts; what is missing is made, and noted as implied.
    pub fn enter(&mut self, parents: &[&[u8]]) -> Result<&Dir> {
        let common = self.levels.iter().zip(parents).take_while(|(level, part)| level.name == **part).count();
        self.levels.truncate(common);
        for depth in common..parents.len() {
            let dir = self.step(&parents[..=depth])?;
            self.levels.push(Level { name: parents[depth].to_vec(), dir });
        }
        Ok(self.current())
    }

    /// Opens the directory of these parts if it is there and is one; makes nothing.
    pub fn revisit(&mut self, parts: &[&[u8]]) -> Result<Option<&Dir>> {
        let common = self.levels.iter().zip(parts).take_while(|(level, part)| level.name == **part).count();
        self.levels.truncate(common);
        for part in &parts[common..] {
            match self.current().open_dir(OsStr::from_bytes(part)) {
                Ok(Some(dir)) => self.levels.push(Level { name: part.to_vec(), dir }),
                Ok(None) => return Ok(None),
                Err(error) if error.is_not_found() => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Some(self.current()))
    }

    /// Whether the current directory is the one of these parts.
    pub fn is_at(&self, parents: &[&[u8]]) -> bool {
        self.levels.len() == parents.len() && self.levels.iter().zip(parents).all(|(l, p)| l.name == **p)
    }

    /// The directory entered last.
    pub fn current(&self) -> &Dir {
        self.levels.last().map_or(&self.base, |level| &level.dir)
    }

    /// Says that a directory has an entry of its own after all.
    pub fn explain(&mut self, path: &[u8]) {
        self.implied.remove(path);
    }

    /// The directories without an entry of their own, parents first.
    pub fn into_implied(self) -> Vec<Vec<u8>> {
        self.implied.into_iter().collect()
    }

    fn step(&mut self, path: &[&[u8]]) -> Result<Dir> {
        let (name, _) = path.split_last().expect("a step has a part");
        let name = OsStr::from_bytes(name);
        let parent = self.current();
        match parent.open_dir(name) {
            Ok(Some(dir)) => return Ok(dir),
            Ok(None) => {}
            Err(error) if error.is_not_found() => {
                parent.make_dir(name, 0o755)?;
                let made = open(parent, name, path)?;
                if self.mode == Mode::Overlay {
                    self.implied.insert(join(path));
                }
                return Ok(made);
            }
            Err(error) => return Err(error.into()),
        }
        match parent.stat(name)? {
            Some(stat) if stat.kind == EntryKind::Symlink => {
                let full = join(path);
                match self.root.dir(Path::new(OsStr::from_bytes(&full))) {
                    Ok(dir) => Ok(dir),
                    // It may lead somewhere in the layers below.
                    Err(error) if error.is_not_found() && self.mode == Mode::Overlay => {
                        Err(Error::needs_lower(&full))
                    }
                    Err(error) => Err(error.into()),
                }
            }
            Some(stat) if stat.is_whiteout() && self.mode == Mode::Overlay => {
                // Removed below and made anew here: the directory hides what is below.
                parent.remove_file(name)?;
                parent.make_dir(name, 0o755)?;
                parent.set_xattr(name, OsStr::new(super::whiteout::OPAQUE), b"y")?;
                open(parent, name, path)
            }
            _ => Err(Error::hostile(&join(path), "a file stands where its directory should be")),
        }
    }
}

fn open(parent: &Dir, name: &OsStr, path: &[&[u8]]) -> Result<Dir> {
    parent.open_dir(name)?.ok_or_else(|| Error::hostile(&join(path), "its directory vanished"))
}
