//! On cgroup v1, puts a container into its cgroup instead of libcontainer. libcontainer writes `cgroup.procs`, and so
//! waits for an RCU grace period at each start (see [`gantry_cgroup::v1`]).
//!
//! 1. The helper makes the container's cgroup and joins it; processes that it forks are born there.
//! 2. In a mount namespace of its own, the helper unmounts the hierarchies. libcontainer then finds no controllers,
//!    and joins and limits nothing.
//! 3. When the init waits for its start, the helper returns to its own cgroup and mount namespace, writes the limits,
//!    and mounts the cgroups into the container.
//!
//! A helper that dies in between leaves a container without limits, which no client can start. The shim kills the
//! processes in the cgroup and removes it.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use gantry_cgroup::v1::{Group, Membership};
use gantry_cgroup::{ROOT, is_unified, limits};
use gantry_mount::{Recursive, attach_at, clone_at};
use gantry_rooted::Root;
use nix::mount::MsFlags;
use nix::sched::{CloneFlags, setns, unshare};
use oci_spec::runtime::LinuxResources;
use rustix::fs::{Mode, OFlags};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, UnmountFlags, fsconfig_create, fsconfig_set_string, fsmount,
    fsopen, unmount,
};
use serde_json::Value;

use super::init::Init;
use super::launch::words_of;
use super::libcontainer::chain;
use super::spec::text;
use super::{Failure, guard};

const TMPFS_MAGIC: u64 = 0x0102_1994;
const DIRECTORY: OFlags = OFlags::PATH.union(OFlags::DIRECTORY);

/// A container that is being placed.
pub struct Placement {
    group: Group,
    /// The helper's own cgroup.
    home: Group,
    resources: LinuxResources,
    view: Option<View>,
}

/// The cgroups as the container sees them: a tmpfs with a directory for each hierarchy.
struct View {
    destination: PathBuf,
    read_only: bool,
    /// The container's directories, as detached mounts.
    trees: Vec<(String, OwnedFd)>,
}

impl Placement {
    /// Joins the container's cgroup, and takes what this module does out of the spec for libcontainer. Returns `None`
    /// where libcontainer has to do it: on v2, where the spec mounts something below the container's view, or where
    /// the container sees the host's hierarchies, which this module hides.
    pub fn begin(spec: &mut Value) -> Result<Option<Self>, Failure> {
        if is_unified() || !is_tmpfs(ROOT) {
            return Ok(None);
        }
        let mounts = spec.get("mounts").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let wanted = mounts.iter().find(|mount| text(mount, "/type") == Some("cgroup"));
        let destination = wanted.and_then(|mount| text(mount, "/destination")).map(PathBuf::from);
        let covers = |mount: &Value| {
            let below = text(mount, "/destination").map(Path::new);
            destination
                .as_ref()
                .zip(below)
                .is_some_and(|(view, below)| below != view && below.starts_with(view))
        };
        if mounts.iter().any(|mount| covers(mount) || shows(mount)) {
            return Ok(None);
        }
        let resources = spec.pointer("/linux/resources").filter(|all| !all.is_null()).cloned();
        let resources = resources
            .map(serde_json::from_value)
            .transpose()
            .map_err(|error| format!("linux.resources: {error}"))?
            .unwrap_or_default();
        let path = text(spec, "/linux/cgroupsPath").ok_or("the spec has no cgroupsPath")?;
        let group = Group::make(path).map_err(|error| format!("make cgroup {path}: {error}"))?;
        let home = Group::current().map_err(|error| format!("the helper's own cgroup: {error}"))?;
        let view = match (wanted, destination) {
            (Some(mount), Some(destination)) => Some(View::prepare(mount, destination, &group)?),
            _ => None,
        };
        group.join().map_err(|error| format!("join cgroup {path}: {error}"))?;
        hide()?;
        if let Some(mounts) = spec.get_mut("mounts").and_then(Value::as_array_mut) {
            mounts.retain(|mount| text(mount, "/type") != Some("cgroup"));
        }
        if let Some(linux) = spec.get_mut("linux").and_then(Value::as_object_mut) {
            linux.remove("resources");
        }
        Ok(Some(Self { group, home, resources, view }))
    }

    /// Leaves the cgroup to the container of an init, with its limits and its view.
    pub fn finish(self, init: &Init) -> Result<(), Failure> {
        self.home.join().map_err(|error| format!("leave the container's cgroup: {error}"))?;
        let devices = self.resources.devices().as_deref().unwrap_or_default();
        limits::v1::apply(&self.group, &self.resources)
            .and_then(|()| limits::v1::apply_devices(&self.group, devices))
            .map_err(|error| chain(&error))?;
        self.view.map_or(Ok(()), |view| view.mount(init))
    }
}

impl View {
    fn prepare(mount: &Value, destination: PathBuf, group: &Group) -> Result<Self, Failure> {
        let options = mount.get("options").and_then(Value::as_array);
        let read_only = options.is_some_and(|options| options.iter().any(|option| option == "ro"));
        let clone = |membership: &Membership| {
            clone_at(&membership.directory, Recursive::No)
                .map(|tree| (membership.hierarchy.clone(), tree))
                .map_err(|error| format!("cgroup {}: {}", membership.hierarchy, words_of(&error)))
        };
        let trees = group.memberships.iter().map(clone).collect::<Result<_, _>>()?;
        Ok(Self { destination, read_only, trees })
    }

    /// Mounts the view in the namespace of an init whose program does not run yet.
    fn mount(self, init: &Init) -> Result<(), Failure> {
        let failed = |error: std::io::Error| format!("mount namespace of the container: {error}");
        let own = File::open("/proc/self/ns/mnt").map_err(failed)?;
        let theirs = init.mount_namespace().map_err(failed)?;
        let back = std::env::current_dir().map_err(failed)?;
        setns(&theirs, CloneFlags::CLONE_NEWNS).map_err(|errno| failed(errno.into()))?;
        let mounted = self.mount_here();
        setns(&own, CloneFlags::CLONE_NEWNS).map_err(|errno| failed(errno.into()))?;
        std::env::set_current_dir(back).map_err(failed)?;
        mounted.map_err(|error| format!("mount cgroups at {}: {error}", self.destination.display()))
    }

    /// Mounts the view in the calling process's namespace and root. Changes the working directory.
    fn mount_here(&self) -> std::io::Result<()> {
        let refused = gantry_mount::Error::into_io;
        let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID
            | MountAttrFlags::MOUNT_ATTR_NODEV
            | MountAttrFlags::MOUNT_ATTR_NOEXEC;
        let context = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
        fsconfig_set_string(&context, "mode", "755")?;
        fsconfig_create(&context)?;
        let tmpfs = fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)?;
        attach_at(&tmpfs, self.open().map_err(refused)?).map_err(refused)?;
        // Opened again: the path is the tmpfs now.
        let top = Root::from_fd(self.open().map_err(refused)?);
        for (hierarchy, tree) in &self.trees {
            let name = Path::new(hierarchy);
            rustix::fs::mkdirat(&top, name, Mode::from_raw_mode(0o755))?;
            attach_at(tree, top.open(name, DIRECTORY, Mode::empty()).map_err(refused)?).map_err(refused)?;
            self.seal(&top.open(name, DIRECTORY, Mode::empty()).map_err(refused)?)?;
            // Each controller of `cpu,cpuacct` is a name of the hierarchy too.
            for name in hierarchy.split(',').filter(|name| name != hierarchy) {
                rustix::fs::symlinkat(hierarchy.as_str(), &top, name)?;
            }
        }
        Ok(self.seal(&top)?)
    }

    fn open(&self) -> gantry_rooted::Result<OwnedFd> {
        Root::open_path(Path::new("/"))?.open(&self.destination, DIRECTORY, Mode::empty())
    }

    /// Sets the options of a mount, whose root is `directory`, to those that a container may have.
    fn seal(&self, directory: &impl AsFd) -> nix::Result<()> {
        nix::unistd::fchdir(directory)?;
        let mut flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
        if self.read_only {
            flags |= MsFlags::MS_RDONLY;
        }
        let here = Path::new(".");
        nix::mount::mount(None::<&str>, here, None::<&str>, MsFlags::MS_PRIVATE, None::<&str>)?;
        nix::mount::mount(
            None::<&str>,
            here,
            None::<&str>,
            MsFlags::MS_REMOUNT | MsFlags::MS_BIND | flags,
            None::<&str>,
        )
    }
}

/// Whether a bind shows the host's hierarchies, itself or by mounts below its source.
fn shows(mount: &Value) -> bool {
    let root = Path::new(ROOT);
    let source = text(mount, "/source").map(Path::new);
    guard::is_bind(mount) && source.is_some_and(|source| root.starts_with(source) || source.starts_with(root))
}

/// Unmounts the hierarchies, in a new mount namespace of the calling process.
fn hide() -> Result<(), Failure> {
    let hidden = || -> nix::Result<()> {
        unshare(CloneFlags::CLONE_NEWNS)?;
        let all = MsFlags::MS_PRIVATE | MsFlags::MS_REC;
        nix::mount::mount(None::<&str>, ROOT, None::<&str>, all, None::<&str>)?;
        unmount(ROOT, UnmountFlags::DETACH).map_err(|errno| nix::Error::from_raw(errno.raw_os_error()))?;
        // libcontainer recognizes v1 by the tmpfs here.
        nix::mount::mount(Some("tmpfs"), ROOT, Some("tmpfs"), MsFlags::MS_RDONLY, None::<&str>)
    };
    hidden().map_err(|errno| format!("hide {ROOT} from the runtime: {errno}"))
}

fn is_tmpfs(path: &str) -> bool {
    rustix::fs::statfs(path).is_ok_and(|stat| stat.f_type as u64 == TMPFS_MAGIC)
}
