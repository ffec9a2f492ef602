//! The files of one container of the fake engine.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::{Read, Write};

use gantry_api::engine::{Change, ChangeKind, PathStat, PutSpec};
use gantry_archive::compression::Form;
use gantry_archive::tar::{Entry, Kind, Reader, Writer};
use gantry_rpc::Code;

use crate::Refused;

/// Most symlinks in the resolution of a path.
const MOST_LINKS: usize = 40;

/// The files by absolute path.
#[derive(Debug, Clone)]
pub(super) struct Files(BTreeMap<String, Node>);

#[derive(Debug, Clone, PartialEq)]
struct Node {
    /// The entry without its name.
    entry: Entry,
    data: Vec<u8>,
}

impl Node {
    fn new(kind: Kind, data: &[u8]) -> Self {
        let entry = Entry { size: data.len() as u64, ..Entry::new("", kind) };
        Self { entry, data: data.to_vec() }
    }

    fn link(&self) -> Option<String> {
        let is_link = self.entry.kind == Kind::Symlink;
        is_link.then(|| String::from_utf8_lossy(&self.entry.link).into_owned())
    }
}

impl Default for Files {
    /// The files of the image.
    fn default() -> Self {
        let directories = ["/", "/bin", "/etc", "/tmp"].map(|path| (path, Node::new(Kind::Directory, b"")));
        let passwd = ("/etc/passwd", Node::new(Kind::File, b"root:x:0:0:root:/root:/bin/sh\n"));
        Self(directories.into_iter().chain([passwd]).map(|(path, node)| (path.to_owned(), node)).collect())
    }
}

fn join(directory: &str, name: &str) -> String {
    format!("{}/{name}", directory.trim_end_matches('/'))
}

fn parent(path: &str) -> &str {
    match path.rsplit_once('/') {
        Some(("", _)) | None => "/",
        Some((parent, _)) => parent,
    }
}

fn invalid<T>(path: &str, reason: &'static str) -> Result<T, Refused> {
    Err(Refused::new(Code::InvalidArgument, path, reason))
}

/// Whether a symlink at the end of a path is followed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Last {
    Follow,
    Keep,
}

impl Files {
    /// Resolves a path; `None` if there is no file.
    fn resolve(&self, path: &str, last: Last) -> Option<String> {
        let mut ahead: VecDeque<String> = path.split('/').map(str::to_owned).collect();
        let (mut at, mut links) = ("/".to_owned(), 0);
        while let Some(name) = ahead.pop_front() {
            match name.as_str() {
                "" | "." => continue,
                ".." => {
                    at = parent(&at).to_owned();
                    continue;
                }
                _ => {}
            }
            let next = join(&at, &name);
            let node = self.0.get(&next)?;
            match node.link().filter(|_| last == Last::Follow || !ahead.is_empty()) {
                Some(link) => {
                    links += 1;
                    if links > MOST_LINKS {
                        return None;
                    }
                    if link.starts_with('/') {
                        at = "/".to_owned();
                    }
                    for part in link.split('/').rev() {
                        ahead.push_front(part.to_owned());
                    }
                }
                None => at = next,
            }
        }
        Some(at)
    }

    fn find(&self, path: &str) -> Result<String, Refused> {
        if path.is_empty() {
            return invalid(path, "a path is needed");
        }
        // A path that ends in a slash or `/.` follows a symlink.
        let last = if path.ends_with('/') || path.ends_with("/.") { Last::Follow } else { Last::Keep };
        let missing = || Refused::new(Code::NotFound, path, "no such file");
        self.resolve(path, last).ok_or_else(missing)
    }

    /// Describes a path.
    pub(super) fn stat(&self, path: &str) -> Result<PathStat, Refused> {
        let found = self.find(path)?;
        let node = &self.0[&found];
        let kind = match node.entry.kind {
            Kind::Directory => 1 << 31,
            Kind::Symlink => 1 << 27,
            _ => 0,
        };
        let link = node.link();
        let target = link.map(|link| self.resolve(path, Last::Follow).unwrap_or(link));
        Ok(PathStat {
            name: name_of(path).to_owned(),
            size: i64::try_from(node.entry.size).unwrap_or(i64::MAX),
            mode: kind | node.entry.mode & 0o777,
            mtime: node.entry.mtime.seconds.saturating_mul(1_000_000_000),
            link_target: target.unwrap_or_default(),
        })
    }

    /// The content at a path with everything below it, as a tar.
    pub(super) fn pack(&self, path: &str) -> Result<Vec<u8>, Refused> {
        let found = self.find(path)?;
        Ok(self.packed(&found, name_of(path)))
    }

    /// All files as a tar.
    pub(super) fn pack_all(&self) -> Vec<u8> {
        self.packed("/", "")
    }

    fn packed(&self, top: &str, name: &str) -> Vec<u8> {
        let mut archive = Writer::new(Vec::new());
        for (path, node) in &self.0 {
            let Some(below) = path.strip_prefix(top.trim_end_matches('/')) else { continue };
            if !below.is_empty() && !below.starts_with('/') || below == "/" {
                continue;
            }
            let slash = if node.entry.kind == Kind::Directory { "/" } else { "" };
            let path = format!("{}{below}{slash}", name.trim_end_matches('/'));
            let entry = Entry { path: path.trim_start_matches('/').into(), ..node.entry.clone() };
            archive.entry(&entry).and_then(|()| archive.write_all(&node.data)).expect("memory takes all");
        }
        archive.finish().expect("memory takes all")
    }

    /// The directory into which a tar can be unpacked.
    pub(super) fn place(&self, path: &str) -> Result<String, Refused> {
        if path.is_empty() {
            return invalid(path, "a path is needed");
        }
        let missing = || Refused::new(Code::NotFound, path, "no such directory");
        let found = self.resolve(path, Last::Follow).ok_or_else(missing)?;
        match self.0[&found].entry.kind {
            Kind::Directory => Ok(found),
            _ => invalid(path, "it is no directory"),
        }
    }

    /// Unpacks a tar. Entries before an invalid one stay.
    pub(super) fn unpack(
        &mut self,
        directory: &str,
        archive: &[u8],
        spec: &PutSpec,
        owner: Option<(u32, u32)>,
    ) -> Result<(), Refused> {
        let broken = |_| Refused::new(Code::InvalidArgument, &spec.path, "the archive is broken");
        let plain = Form::decoded(archive).map_err(|_| broken(()))?;
        let mut reader = Reader::new(std::io::BufReader::new(plain));
        while let Some(entry) = reader.next_entry().map_err(|_| broken(()))? {
            let name = String::from_utf8_lossy(&entry.path).into_owned();
            if entry.segments.is_some() {
                return Err(Refused::new(Code::Unimplemented, name, "a fake takes no sparse files"));
            }
            let mut data = Vec::new();
            reader.content().read_to_end(&mut data).map_err(|_| broken(()))?;
            self.put(directory, &name, Node { entry: plain_entry(entry, owner), data }, spec)?;
        }
        Ok(())
    }

    fn put(&mut self, directory: &str, name: &str, node: Node, spec: &PutSpec) -> Result<(), Refused> {
        let parts: Vec<&str> = name.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
        if parts.contains(&"..") {
            return Err(Refused::new(Code::Internal, name, "it leads out of the directory"));
        }
        let Some((last, parents)) = parts.split_last() else { return Ok(()) };
        let mut at = directory.to_owned();
        for part in parents {
            let next = join(&at, part);
            at = match self.resolve(&next, Last::Follow) {
                Some(found) => found,
                None => {
                    self.0.insert(next.clone(), Node::new(Kind::Directory, b""));
                    next
                }
            };
        }
        let path = join(&at, last);
        let becomes = node.entry.kind == Kind::Directory;
        if let Some(old) = self.0.get(&path) {
            let was = old.entry.kind == Kind::Directory;
            if was != becomes {
                if spec.no_overwrite_dir_non_dir {
                    return Err(Refused::new(
                        Code::Internal,
                        name,
                        "a directory has to stay one, and a file too",
                    ));
                }
                let below = format!("{path}/");
                self.0.retain(|known, _| !known.starts_with(&below));
            }
        }
        let node = match node.entry.kind {
            Kind::HardLink => {
                let target = join(directory, &String::from_utf8_lossy(&node.entry.link));
                let missing = || Refused::new(Code::InvalidArgument, name, "a link to nothing");
                self.0.get(&target).cloned().ok_or_else(missing)?
            }
            _ => node,
        };
        self.0.insert(path, node);
        Ok(())
    }

    /// The differences from the image.
    pub(super) fn changes(&self) -> Vec<Change> {
        let image = Files::default();
        let paths: BTreeSet<&String> = self.0.keys().chain(image.0.keys()).collect();
        let mut changes = BTreeMap::new();
        for path in paths {
            let kind = match (image.0.get(path), self.0.get(path)) {
                (None, _) => ChangeKind::Added,
                (Some(_), None) => ChangeKind::Deleted,
                (Some(old), Some(new)) if old != new => ChangeKind::Modified,
                _ => continue,
            };
            // A directory of the image counts as changed if its content has changed.
            let directory = parent(path);
            if directory != "/" && image.0.contains_key(directory) {
                changes.entry(directory.to_owned()).or_insert(ChangeKind::Modified);
            }
            changes.insert(path.clone(), kind);
        }
        changes.into_iter().map(|(path, kind)| Change { path, kind }).collect()
    }

    /// Bytes that differ from the image.
    pub(super) fn size(&self) -> i64 {
        let image = Files::default();
        let own = self.0.iter().filter(|(path, node)| image.0.get(*path) != Some(node));
        i64::try_from(own.map(|(_, node)| node.data.len()).sum::<usize>()).unwrap_or(i64::MAX)
    }
}

fn plain_entry(entry: Entry, owner: Option<(u32, u32)>) -> Entry {
    let (uid, gid) = owner.unwrap_or((entry.uid, entry.gid));
    Entry { path: Vec::new(), uid, gid, ..entry }
}

/// The last part of a path as Docker names it: `/` for the root.
fn name_of(path: &str) -> &str {
    match path.trim_end_matches('/') {
        "" => "/",
        rest => rest.rsplit('/').next().unwrap_or(rest),
    }
}
