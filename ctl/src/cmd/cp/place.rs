//! Decides where a copy is unpacked, and what its first entry is called there. The rules are those of Docker's
//! client, which are cp(1)'s, with `/.` for the contents of a folder.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

/// The source of a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    pub path: String,
    /// The name of the first entry of its tar: `.` for the contents of a folder.
    pub base: String,
    /// The name for it instead, if a link led to it.
    pub called: Option<String>,
}

/// The destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub path: String,
    pub exists: bool,
    pub is_dir: bool,
}

/// How to unpack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The folder into which to unpack.
    pub folder: String,
    /// The name in the tar, and the name to give it instead.
    pub rename: Option<(String, String)>,
}

impl Source {
    pub fn named(path: &str) -> Self {
        Self { path: path.to_owned(), base: split(path).1, called: None }
    }

    /// Takes the target of a link, under the link's name.
    pub fn follow(&mut self, target: &str) {
        let parent = PathBuf::from(split(&self.path).0);
        let ending = if self.path.ends_with("/.") { "/." } else { "" };
        let target = format!("{}{ending}", parent.join(target).display());
        let called = (ending.is_empty()).then(|| self.base.clone());
        *self = Self { called, ..Self::named(&target) };
    }
}

impl Place {
    /// Looks at a local path. It follows links, as cp(1) does.
    pub fn here(path: &str) -> Result<Self> {
        let path = super::absolute(path)?;
        let found = std::fs::metadata(&path);
        let exists = found.is_ok();
        let is_dir = found.is_ok_and(|found| found.is_dir());
        let parent = split(&path).0;
        if !exists && !Path::new(&parent).is_dir() {
            bail!("{parent} is no directory: it has to be made first");
        }
        Ok(Self { path, exists, is_dir })
    }

    /// How to unpack something that is, or is not, a directory.
    pub fn plan(&self, source: &Source, is_dir: bool) -> Result<Plan> {
        let (parent, name) = split(&self.path);
        if self.exists && self.is_dir {
            let rename = source.called.as_ref().map(|called| (source.base.clone(), called.clone()));
            return Ok(Plan { folder: self.path.clone(), rename });
        }
        if self.exists && is_dir {
            bail!("cannot copy directory to {}, which is none", self.path);
        }
        if (self.path.ends_with('/') || self.path.ends_with("/.")) && !is_dir {
            bail!("no such directory: {}", self.path);
        }
        Ok(Plan { folder: parent, rename: Some((source.base.clone(), name)) })
    }
}

impl Plan {
    /// Unpacks everything under its own name.
    pub fn of_all(folder: &str) -> Self {
        Self { folder: folder.to_owned(), rename: None }
    }

    /// The name in the folder for an entry of the tar.
    pub fn name(&self, entry: &Path) -> PathBuf {
        let Some((from, to)) = &self.rename else { return entry.to_owned() };
        let plain: PathBuf =
            entry.components().filter(|part| !matches!(part, std::path::Component::CurDir)).collect();
        match from.as_str() {
            "." | "/" | "" => Path::new(to).join(plain),
            from => match plain.strip_prefix(from) {
                Ok(rest) if rest.as_os_str().is_empty() => PathBuf::from(to),
                Ok(rest) => Path::new(to).join(rest),
                Err(_) => plain,
            },
        }
    }
}

/// A path's folder, and its name there; `.` at the end is a name, too.
pub fn split(path: &str) -> (String, String) {
    let dot = path == "." || path.ends_with("/.");
    let mut clean = PathBuf::new();
    for part in Path::new(path).components() {
        match part {
            std::path::Component::ParentDir if clean.file_name().is_some() => drop(clean.pop()),
            std::path::Component::CurDir => {}
            part => clean.push(part),
        }
    }
    let text = if clean.as_os_str().is_empty() { ".".to_owned() } else { clean.display().to_string() };
    if dot {
        return (text, ".".to_owned());
    }
    match clean.file_name() {
        None => (text, "/".to_owned()),
        Some(name) => {
            let parent = clean.parent().filter(|parent| !parent.as_os_str().is_empty());
            let parent = parent.map_or_else(|| ".".to_owned(), |parent| parent.display().to_string());
            (parent, name.to_string_lossy().into_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(
        source: &str,
        is_dir: bool,
        path: &str,
        exists: bool,
        place_is_dir: bool,
    ) -> Option<(String, String)> {
        let place = Place { path: path.to_owned(), exists, is_dir: place_is_dir };
        let plan = place.plan(&Source::named(source), is_dir).ok()?;
        let first = if source.ends_with("/.") { "./x" } else { Path::new(source).file_name()?.to_str()? };
        Some((plan.folder.clone(), plan.name(Path::new(first)).display().to_string()))
    }

    #[test]
    fn copies_as_cp_does() {
        let answer = |folder: &str, name: &str| Some((folder.to_owned(), name.to_owned()));
        // Into a folder that exists.
        assert_eq!(plan("/a/file", false, "/b", true, true), answer("/b", "file"));
        assert_eq!(plan("/a/dir", true, "/b", true, true), answer("/b", "dir"));
        assert_eq!(plan("/a/dir/.", true, "/b", true, true), answer("/b", "./x"));
        // Over a file.
        assert_eq!(plan("/a/file", false, "/b/f", true, false), answer("/b", "f"));
        assert_eq!(plan("/a/dir", true, "/b/f", true, false), None);
        // To a name that is free.
        assert_eq!(plan("/a/file", false, "/b/new", false, false), answer("/b", "new"));
        assert_eq!(plan("/a/file", false, "/b/new/", false, false), None);
        assert_eq!(plan("/a/dir", true, "/b/new", false, false), answer("/b", "new"));
        assert_eq!(plan("/a/dir", true, "/b/new/", false, false), answer("/b", "new"));
        assert_eq!(plan("/a/dir/.", true, "/b/new", false, false), answer("/b", "new/x"));
    }

    #[test]
    fn links_keep_their_name() {
        let mut source = Source::named("/a/link");
        source.follow("../real");
        assert_eq!(split(&source.path), ("/".to_owned(), "real".to_owned()));
        assert_eq!(source.called.as_deref(), Some("link"));
        let place = Place { path: "/b".to_owned(), exists: true, is_dir: true };
        let plan = place.plan(&source, false).expect("a plan");
        assert_eq!(plan.name(Path::new("real")), Path::new("link"));
    }

    #[test]
    fn names_and_folders() {
        let rows = [
            ("/a/b", "/a", "b"),
            ("/a/b/", "/a", "b"),
            ("/a/b/.", "/a/b", "."),
            ("/a/../b", "/", "b"),
            ("/", "/", "/"),
            ("b", ".", "b"),
            (".", ".", "."),
        ];
        for (path, folder, name) in rows {
            assert_eq!(split(path), (folder.to_owned(), name.to_owned()), "{path}");
        }
    }
}
