//! A container as somebody wants it, and the specification that it makes.

use std::collections::HashMap;
use std::path::PathBuf;

use oci_spec::runtime::{
    Linux, LinuxNamespace, LinuxNamespaceBuilder, LinuxNamespaceType, RootBuilder, Spec, SpecBuilder,
};

use crate::{
    Confinement, Facts, Mount, Process, Resources, Result, RuntimeFiles, devices, mounts, process, resources,
    sysctls,
};

/// The annotation in which the shim finds the user to look up inside the root.
pub const USER_ANNOTATION: &str = "io.gantry.user";
/// The annotation in which the shim finds further groups, by name or number, separated by commas.
pub const GROUPS_ANNOTATION: &str = "io.gantry.groups";

/// What somebody wants to run.
#[derive(Clone, Debug, Default)]
pub struct Container {
    /// Its first process.
    pub process: Process,
    /// Further groups of that process, by name or number.
    pub groups: Vec<String>,
    /// How willingly the kernel ends it for want of memory, -1000 to 1000; 0: as it ends others.
    pub oom_score_adj: i64,
    /// The program on the host that is put before the process, as its init.
    pub init: Option<PathBuf>,
    /// What its processes may do.
    pub confinement: Confinement,
    /// Limits.
    pub resources: Resources,
    /// Where the cgroup is, below each hierarchy's root (see [`crate::cgroup`]).
    pub cgroup: PathBuf,
    /// Whose namespaces it is in.
    pub namespaces: Namespaces,
    /// Its name for itself, where it has a UTS namespace of its own.
    pub hostname: String,
    /// Empty: the host's.
    pub domainname: String,
    /// Nothing is written into the root.
    pub read_only_root: bool,
    /// What its `/dev/shm` is.
    pub shm: Shm,
    /// The files that are mounted over `/etc`.
    pub files: Option<RuntimeFiles>,
    /// What is mounted over the root beside all that, in any order.
    pub mounts: Vec<Mount>,
    /// Paths that are hidden.
    pub masked_paths: Vec<String>,
    /// Paths that cannot be written.
    pub read_only_paths: Vec<String>,
    /// Kernel parameters; those of the network are not the runtime's.
    pub sysctls: HashMap<String, String>,
    /// For whoever reads the specification.
    pub annotations: HashMap<String, String>,
}

/// Where a namespace comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Namespace {
    /// A new one.
    #[default]
    Own,
    /// The host's.
    Host,
    /// Another one, found at a path.
    Path(PathBuf),
}

/// The namespaces that may be somebody else's; that of mounts is always new.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Namespaces {
    /// Interfaces, addresses, ports.
    pub network: Namespace,
    /// Process ids.
    pub pid: Namespace,
    /// System V IPC and message queues.
    pub ipc: Namespace,
    /// The host's name.
    pub uts: Namespace,
    /// What is seen as the root of cgroups.
    pub cgroup: Namespace,
}

/// What a container's `/dev/shm` is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shm {
    /// A file system in memory of its own, of so many bytes.
    Own(i64),
    /// Somebody else's, bound from a path.
    Bound(PathBuf),
    /// A directory like any other.
    None,
}

impl Default for Shm {
    fn default() -> Shm {
        Shm::Own(mounts::DEFAULT_SHM)
    }
}

/// Makes the specification.
pub fn build(container: &Container, facts: &Facts) -> Result<Spec> {
    let confinement = &container.confinement;
    let capabilities = confinement.capabilities()?;

    let mut linux = Linux::default();
    linux.set_namespaces(Some(container.namespaces.oci()));
    linux.set_resources(Some(resources::linux_resources(
        &container.resources,
        confinement.privileged,
        facts,
    )?));
    linux.set_cgroups_path(Some(container.cgroup.clone()));
    linux.set_devices(Some(devices::nodes(&container.resources.devices, confinement.privileged)?));
    linux.set_sysctl(Some(sysctls::of_others(&container.sysctls)));
    linux.set_masked_paths(Some(container.masked_paths.clone()));
    linux.set_readonly_paths(Some(container.read_only_paths.clone()));
    linux.set_seccomp(confinement.seccomp(&capabilities, facts)?);
    linux.set_rootfs_propagation(mounts::rootfs_propagation(&container.mounts));

    let root = RootBuilder::default().path("rootfs").readonly(container.read_only_root).build()?;
    let mut spec = SpecBuilder::default()
        .version("1.0.2")
        .root(root)
        .mounts(mounts::all(container))
        .process(process::init_process(container, &capabilities, facts)?)
        .linux(linux)
        .annotations(annotations(container))
        .build()?;
    // The library's own default is a name of its own.
    spec.set_hostname(None);
    if container.namespaces.uts == Namespace::Own {
        spec.set_hostname(Some(container.hostname.clone()));
        if !container.domainname.is_empty() {
            spec.set_domainname(Some(container.domainname.clone()));
        }
    }
    Ok(spec)
}

impl Namespaces {
    fn oci(&self) -> Vec<LinuxNamespace> {
        let mut namespaces = vec![namespace(LinuxNamespaceType::Mount, None)];
        for (kind, wanted) in [
            (LinuxNamespaceType::Network, &self.network),
            (LinuxNamespaceType::Pid, &self.pid),
            (LinuxNamespaceType::Ipc, &self.ipc),
            (LinuxNamespaceType::Uts, &self.uts),
            (LinuxNamespaceType::Cgroup, &self.cgroup),
        ] {
            match wanted {
                Namespace::Host => {}
                Namespace::Own => namespaces.push(namespace(kind, None)),
                Namespace::Path(path) => namespaces.push(namespace(kind, Some(path.clone()))),
            }
        }
        namespaces
    }
}

fn namespace(kind: LinuxNamespaceType, path: Option<PathBuf>) -> LinuxNamespace {
    let builder = LinuxNamespaceBuilder::default().typ(kind);
    let builder = match path {
        Some(path) => builder.path(path),
        None => builder,
    };
    builder.build().expect("a namespace needs only its type")
}

fn annotations(container: &Container) -> HashMap<String, String> {
    let mut annotations = container.annotations.clone();
    annotations.insert(USER_ANNOTATION.to_owned(), container.process.user().to_owned());
    if !container.groups.is_empty() {
        annotations.insert(GROUPS_ANNOTATION.to_owned(), container.groups.join(","));
    }
    annotations
}

#[cfg(test)]
mod tests;
