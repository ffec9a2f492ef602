//! Mounts in the form of containerd's API: made detached, attached, detached again.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use gantry_rooted::Root;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{FsMountFlags, FsOpenFlags};

use crate::idmap::{self, Namespaces};
use crate::options::{self, Options};
use crate::place::{Place, attach_at, clone_tree, detach, set_propagation};
use crate::{Error, Recursive, Result, attributes, legacy};

/// A mount in the form of containerd's API.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Mount {
    /// The type of file system: `overlay`, `bind`, `tmpfs`, …
    pub fs_type: String,
    /// The source: a directory for binds, a name for virtual file systems.
    pub source: String,
    /// The target below the path of the whole list; empty: that path itself.
    pub target: String,
    /// The options, in the order of the request.
    pub options: Vec<String>,
}

/// Makes every mount of a list at `place`, in order; those with a `target` below it.
///
/// Unmounts the earlier ones after a failure.
pub fn mount_all(mounts: &[Mount], place: &Path) -> Result<()> {
    mount_each(mounts, place, None).map_err(|(_, error)| error)
}

/// As [`mount_all`]; also maps ids where the options ask for it, if the caller can make user namespaces. The error
/// names the mount that failed.
pub fn mount_each<'m>(
    mounts: &'m [Mount],
    place: &Path,
    namespaces: Option<Namespaces<'_>>,
) -> Result<(), (&'m Mount, Error)> {
    let mut done: Vec<PathBuf> = Vec::new();
    for mount in mounts {
        let at = Place::below(place, &mount.target);
        match at.and_then(|at| mount.mount_mapped(&at, namespaces).map(|()| at.path)) {
            Ok(at) => done.push(at),
            Err(error) => {
                for place in done.iter().rev() {
                    // The caller gets the first error. A busy mount goes with its last user.
                    let _ = detach(place);
                }
                return Err((mount, error));
            }
        }
    }
    Ok(())
}

/// Makes a list of mounts detached, and opens the root.
///
/// A list of several mounts needs Linux 6.15, which can attach mounts to a detached mount.
pub fn open_detached(mounts: &[Mount]) -> Result<OwnedFd> {
    let Some((first, rest)) = mounts.split_first() else {
        return Err(Error::Malformed { what: "list of mounts", text: "[]".into() });
    };
    let base = first.tree()?;
    for mount in rest {
        let tree = mount.tree()?;
        let root = Root::from_fd(base.try_clone().map_err(|e| Error::os("duplicate", "a mount", e))?);
        attach_at(tree, root.open(Path::new(&mount.target), OFlags::PATH, Mode::empty())?)?;
    }
    Ok(base)
}

impl Mount {
    /// A bind mount of a directory with the mounts below it.
    pub fn bind(source: impl Into<String>, writable: bool) -> Self {
        Self {
            fs_type: "bind".into(),
            source: source.into(),
            target: String::new(),
            options: vec![if writable { "rw" } else { "ro" }.into(), "rbind".into()],
        }
    }

    /// Mounts at `place`, as mount(2) with the same options does.
    ///
    /// With the option `remount`, changes the attributes of the existing mount instead.
    pub fn mount(&self, place: &Path) -> Result<()> {
        self.mount_mapped(&Place::named(place), None)
    }

    fn mount_mapped(&self, place: &Place, namespaces: Option<Namespaces<'_>>) -> Result<()> {
        let Some(namespaces) = namespaces else {
            return self.mount_with(&Options::parse(&self.options)?, place);
        };
        match Options::parse_mapped(&self.options)? {
            (options, None) => self.mount_with(&options, place),
            (options, Some(ids)) => idmap::mount(self, &options, place, &ids, namespaces),
        }
    }

    pub(crate) fn mount_with(&self, options: &Options, place: &Place) -> Result<()> {
        if options.remount {
            return self.remount(&place.path, options);
        }
        if options.bind.is_none() && self.fs_type == "overlay" && legacy::is_kernels() {
            return legacy::mount(self, options, &place.name());
        }
        match self.tree_with(options) {
            Ok(tree) => place.attach(tree.as_fd())?,
            Err(error) if legacy::is_wanted(&error) => {
                legacy::try_after(error, self, options, &place.name())?
            }
            Err(error) => return Err(error),
        }
        if let Some((propagation, recursive)) = options.propagation {
            set_propagation(&place.path, propagation, recursive)?;
        }
        Ok(())
    }

    /// Makes the mount detached, and opens its root (`O_PATH`).
    pub fn tree(&self) -> Result<OwnedFd> {
        self.tree_with(&Options::parse(&self.options)?)
    }

    fn tree_with(&self, options: &Options) -> Result<OwnedFd> {
        if self.is_bind(options) { self.bind_tree(options) } else { self.fs_tree(options) }
    }

    /// Whether the mount is a bind, by its type or by an option.
    pub(crate) fn is_bind(&self, options: &Options) -> bool {
        options.bind.is_some() || self.fs_type == "bind"
    }

    pub(crate) fn bind_tree(&self, options: &Options) -> Result<OwnedFd> {
        let tree = clone_tree(Path::new(&self.source), options.bind.unwrap_or(Recursive::No))?;
        if !options.attributes.is_empty() {
            attributes::change(tree.as_fd(), &options.attributes, Recursive::No)?;
        }
        if !options.recursive_attributes.is_empty() {
            attributes::change(tree.as_fd(), &options.recursive_attributes, Recursive::Yes)?;
        }
        Ok(tree)
    }

    fn fs_tree(&self, options: &Options) -> Result<OwnedFd> {
        let context = rustix::mount::fsopen(self.fs_type.as_str(), FsOpenFlags::FSOPEN_CLOEXEC)
            .map_err(|e| Error::os("open file system", self.fs_type.clone(), e))?;
        let fail = |e: Errno| self.explain(context.as_fd(), e);
        if !self.source.is_empty() {
            rustix::mount::fsconfig_set_string(&context, "source", self.source.as_str()).map_err(fail)?;
        }
        for flag in options.super_flags() {
            rustix::mount::fsconfig_set_flag(&context, flag).map_err(fail)?;
        }
        let mut held = Vec::new();
        for (key, value) in &options.data {
            match value {
                Some(value)
                    if self.fs_type == "overlay"
                        && legacy::is_kernels()
                        && matches!(key.as_str(), "lowerdir" | "upperdir" | "workdir") =>
                {
                    held.extend(legacy::configure(context.as_fd(), key, value)?);
                }
                None => rustix::mount::fsconfig_set_flag(&context, key.as_str()).map_err(fail)?,
                Some(value) if self.fs_type == "overlay" => {
                    configure_overlay(context.as_fd(), key, value).map_err(fail)?;
                }
                Some(value) => {
                    rustix::mount::fsconfig_set_string(&context, key.as_str(), value.as_str())
                        .map_err(fail)?;
                }
            }
        }
        rustix::mount::fsconfig_create(&context).map_err(fail)?;
        drop(held);
        rustix::mount::fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, options.attributes.for_fsmount())
            .map_err(fail)
    }

    fn remount(&self, place: &Path, options: &Options) -> Result<()> {
        attributes::change_at(place, &options.attributes, Recursive::No)?;
        if !options.recursive_attributes.is_empty() {
            attributes::change_at(place, &options.recursive_attributes, Recursive::Yes)?;
        }
        if let Some((propagation, recursive)) = options.propagation {
            set_propagation(place, propagation, recursive)?;
        }
        Ok(())
    }

    /// Adds the messages in the context's log to an error number.
    fn explain(&self, context: BorrowedFd<'_>, errno: Errno) -> Error {
        let mut lines = Vec::new();
        let mut buffer = [0u8; 1024];
        while let Ok(count @ 1..) = rustix::io::read(context, &mut buffer) {
            let line = String::from_utf8_lossy(&buffer[..count]);
            // Each message begins with its level: `e `, `w ` or `i `.
            lines.push(line.trim_end().get(2..).unwrap_or_default().to_owned());
        }
        let source = io::Error::from(errno);
        if lines.is_empty() {
            return Error::Os { op: "mount", object: format!("{} ({})", self.fs_type, self.source), source };
        }
        Error::FileSystem { fs_type: self.fs_type.clone(), reason: lines.join("; "), source }
    }
}

/// The longest string value of `fsconfig(2)`, including the final zero.
pub(crate) const LONGEST_STRING: usize = 256;

/// Configures overlay's directories one by one; passes a path that is too long for a string as a descriptor (Linux
/// 6.13).
fn configure_overlay(context: BorrowedFd<'_>, key: &str, value: &str) -> rustix::io::Result<()> {
    match key {
        "lowerdir" => {
            for layer in options::split_layers(value) {
                set_directory(context, "lowerdir+", &layer)?;
            }
            Ok(())
        }
        "upperdir" | "workdir" => set_directory(context, key, &options::unescape(value)),
        _ => rustix::mount::fsconfig_set_string(context, key, value),
    }
}

fn set_directory(context: BorrowedFd<'_>, key: &str, path: &str) -> rustix::io::Result<()> {
    if path.len() < LONGEST_STRING {
        return rustix::mount::fsconfig_set_string(context, key, path);
    }
    let directory =
        rustix::fs::open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    rustix::mount::fsconfig_set_fd(context, key, directory)
}

#[cfg(test)]
mod tests;
