//! Mounts that libcontainer cannot make. The helper makes them in the container's mount namespace after libcontainer
//! has created the container, while its program waits for the start: a directory of the host as `/dev`, into which
//! libcontainer would write devices, and binds with private propagation.

use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use gantry_mount::{
    Attributes, Propagation, Recursive, attach, change_attributes_at, clone_tree, set_propagation,
};
use gantry_rooted::{EntryKind, Root, kind_of};
use nix::sched::{CloneFlags, setns};
use rustix::fs::{major, minor};
use serde_json::{Value, json};

use super::init::Init;
use super::launch::words_of;
use super::spec::text;
use super::{Failure, guard};

const DEV: &str = "/dev";

/// The steps to take after the container was created.
pub struct After {
    dev: Option<Dev>,
    /// The binds that propagate nothing to or from the host, with or without the mounts below.
    private: Vec<(PathBuf, Recursive)>,
    /// The spec, when the mount table has to be checked for mounts on /proc.
    nested: Option<Value>,
}

/// A directory of the host that becomes the container's `/dev`.
struct Dev {
    tree: OwnedFd,
    read_only: bool,
    /// The other mounts below `/dev`.
    inner: Vec<PathBuf>,
}

impl After {
    /// Takes the mounts that libcontainer must not make out of the spec.
    pub fn begin(spec: &mut Value) -> Result<Self, Failure> {
        let nested = guard::is_nested(spec).then(|| spec.clone());
        let private = guard::mounts(spec)
            .filter(|mount| guard::is_bind(mount))
            .filter_map(|mount| Some((PathBuf::from(text(mount, "/destination")?), privacy(mount)?)))
            .collect();
        settle_root(spec);
        Ok(Self { dev: Dev::take(spec)?, private, nested })
    }

    /// Takes the steps in the mount namespace of the container's init.
    pub fn finish(self, init: &Init) -> Result<(), Failure> {
        let failed = |error: std::io::Error| format!("mount namespace of the container: {error}");
        if let Some(spec) = &self.nested {
            guard::verify(spec, &init.read("mountinfo").map_err(failed)?)?;
        }
        let own = File::open("/proc/self/ns/mnt").map_err(failed)?;
        let theirs = init.mount_namespace().map_err(failed)?;
        let back = std::env::current_dir().map_err(failed)?;
        // From here until the helper returns to its own namespace, every path is in the container's root.
        setns(&theirs, CloneFlags::CLONE_NEWNS).map_err(|errno| failed(errno.into()))?;
        let done = self.finish_here();
        setns(&own, CloneFlags::CLONE_NEWNS).map_err(|errno| failed(errno.into()))?;
        std::env::set_current_dir(back).map_err(failed)?;
        done
    }

    fn finish_here(&self) -> Result<(), Failure> {
        if let Some(dev) = &self.dev {
            dev.mount().map_err(|error| format!("mount on {DEV}: {error}"))?;
        }
        for (place, recursive) in &self.private {
            let done = set_propagation(place, Propagation::Private, *recursive);
            match done.map_err(gantry_mount::Error::into_io) {
                // Another mount covers the target, or a symbolic link has led elsewhere: the container does not see a
                // mount there.
                Ok(()) => {}
                Err(error) if matches!(error.raw_os_error(), Some(libc::EINVAL | libc::ENOENT)) => {}
                Err(error) => return Err(format!("make {} private: {error}", place.display())),
            }
        }
        Ok(())
    }
}

/// How far a bind is to be private; `None` when it is shared or a slave.
fn privacy(mount: &Value) -> Option<Recursive> {
    let mut recursive = Recursive::Yes;
    for option in mount.get("options").and_then(Value::as_array).into_iter().flatten() {
        match option.as_str() {
            Some("private") => recursive = Recursive::No,
            Some("shared" | "rshared" | "slave" | "rslave" | "unbindable" | "runbindable") => return None,
            _ => {}
        }
    }
    Some(recursive)
}

/// libcontainer knows the propagation words without the `r`, and makes them recursive.
fn settle_root(spec: &mut Value) {
    let Some(propagation) = spec.pointer_mut("/linux/rootfsPropagation") else { return };
    if let Some(plain) = propagation.as_str().and_then(|word| word.strip_prefix('r')) {
        *propagation = json!(plain);
    }
}

impl Dev {
    /// Replaces a bind on `/dev` by a tmpfs, because libcontainer makes devices in what is mounted there.
    fn take(spec: &mut Value) -> Result<Option<Self>, Failure> {
        let bound = |mount: &Value| text(mount, "/destination") == Some(DEV) && guard::is_bind(mount);
        let Some(mount) = guard::mounts(spec).find(|mount| bound(mount)).cloned() else { return Ok(None) };
        let source = text(&mount, "/source").unwrap_or_default().to_string();
        let has = |word: &str| {
            mount
                .get("options")
                .and_then(Value::as_array)
                .is_some_and(|all| all.iter().any(|one| one == word))
        };
        let recursive = if has("rbind") { Recursive::Yes } else { Recursive::No };
        let tree = clone_tree(Path::new(&source), recursive)
            .map_err(|error| format!("mount {source} on {DEV}: {}", words_of(&error)))?;
        check_null(&tree).map_err(|reason| format!("mount {source} on {DEV}: {reason}"))?;
        let inner = guard::mounts(spec)
            .filter_map(|mount| text(mount, "/destination").map(PathBuf::from))
            .filter(|place| place.starts_with(DEV) && place != Path::new(DEV))
            .collect();
        let terminals = Path::new(&source).join("pts");
        let terminal = spec.pointer("/process/terminal") == Some(&Value::Bool(true)) && terminals.is_dir();
        if let Some(mounts) = spec.get_mut("mounts").and_then(Value::as_array_mut) {
            for mount in mounts.iter_mut().filter(|mount| bound(mount)) {
                *mount = json!({"destination": DEV, "type": "tmpfs", "source": "tmpfs",
                    "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]});
            }
            if terminal {
                // The container sees its terminal among those of the bind.
                mounts.push(json!({"destination": "/dev/pts", "type": "bind", "source": terminals,
                    "options": ["rbind"]}));
            }
        }
        Ok(Some(Self { tree, read_only: has("ro"), inner }))
    }

    /// Covers `/dev`, and mounts the other mounts below it again.
    fn mount(&self) -> std::io::Result<()> {
        let refused = gantry_mount::Error::into_io;
        let inner: Vec<(&PathBuf, OwnedFd)> = self
            .inner
            .iter()
            .map(|place| clone_tree(place, Recursive::Yes).map(|tree| (place, tree)))
            .collect::<Result<_, _>>()
            .map_err(refused)?;
        attach(&self.tree, Path::new(DEV)).map_err(refused)?;
        for (place, tree) in inner {
            if !place.exists() {
                match kind_of(&tree).map_err(refused)? {
                    EntryKind::Directory => fs::create_dir_all(place)?,
                    _ => drop(File::create(place)?),
                }
            }
            attach(&tree, place).map_err(refused)?;
        }
        if self.read_only {
            let read_only = change_attributes_at(Path::new(DEV), &Attributes::READ_ONLY, Recursive::No);
            read_only.map_err(refused)?;
        }
        Ok(())
    }
}

/// Requires a null device: without it no path can be masked, and programs have no empty stdin.
fn check_null(dev: &OwnedFd) -> Result<(), Failure> {
    let dev = dev.try_clone().map_err(|error| error.to_string())?;
    let stat = Root::from_fd(dev).stat(Path::new("null"));
    let stat = stat.map_err(|error| format!("open /dev/null: {}", words_of(&error)))?;
    let is_null = EntryKind::from_mode(stat.st_mode) == Some(EntryKind::CharDevice)
        && (major(stat.st_rdev), minor(stat.st_rdev)) == (1, 3);
    if is_null { Ok(()) } else { Err("its null is not the null device".into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binds_are_private_unless_they_say_otherwise() {
        let how_far = |options: &[&str]| privacy(&json!({ "options": options }));
        assert_eq!(how_far(&["rbind", "ro"]), Some(Recursive::Yes));
        assert_eq!(how_far(&["rbind", "rprivate"]), Some(Recursive::Yes));
        assert_eq!(how_far(&["bind", "private"]), Some(Recursive::No));
        assert_eq!(how_far(&["rbind", "rslave"]), None);
        assert_eq!(how_far(&["rshared"]), None);
    }

    #[test]
    fn the_roots_propagation_is_said_in_libcontainers_words() {
        for (given, known) in [("rslave", "slave"), ("shared", "shared"), ("rprivate", "private")] {
            let mut spec = json!({"linux": {"rootfsPropagation": given}});
            settle_root(&mut spec);
            assert_eq!(spec["linux"]["rootfsPropagation"], known);
        }
    }

    #[test]
    fn a_directory_without_a_null_device_is_no_dev() {
        let mut spec = json!({"mounts": [{"destination": "/dev", "type": "bind", "source": "/proc"}]});
        assert!(Dev::take(&mut spec).is_err());
    }
}
