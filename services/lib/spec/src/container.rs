//! The parameters of a container, and its OCI spec.

use std::collections::HashMap;
use std::path::PathBuf;

use oci_spec::runtime::{
    Linux, LinuxNamespace, LinuxNamespaceBuilder, LinuxNamespaceType, RootBuilder, Spec, SpecBuilder,
};

use crate::{
    Confinement, Facts, Mount, Process, Resources, Result, RuntimeFiles, devices, mounts, process, resources,
    sysctls,
};

/// The annotation with the user, whom the shim looks up in the root.
pub const USER_ANNOTATION: &str = "io.gantry.user";
/// The annotation with additional groups, names or numbers, separated by commas; the shim looks them up in the root.
pub const GROUPS_ANNOTATION: &str = "io.gantry.groups";

/// The parameters of a container.
#[derive(Clone, Debug, Default)]
pub struct Container {
    /// Its first process.
    pub process: Process,
    /// Additional groups of that process, by name or number.
    pub groups: Vec<String>,
    /// How readily the kernel kills it for want of memory, from -1000 to 1000; 0: the default.
    pub oom_score_adj: i64,
    /// The program of the host that runs as init, and starts the process.
    pub init: Option<PathBuf>,
    /// The confinement of its processes.
    pub confinement: Confinement,
    /// Its limits.
    pub resources: Resources,
    /// The cgroup path below each hierarchy's root (see [`crate::cgroup`]).
    pub cgroup: PathBuf,
    /// Its namespaces.
    pub namespaces: Namespaces,
    /// Its host name, if it has a UTS namespace of its own.
    pub hostname: String,
    /// Its NIS domain; empty: the host's.
    pub domainname: String,
    /// The root is read-only.
    pub read_only_root: bool,
    /// Its `/dev/shm`.
    pub shm: Shm,
    /// The files that are mounted over `/etc`.
    pub files: Option<RuntimeFiles>,
    /// Further mounts, in any order.
    pub mounts: Vec<Mount>,
    /// Paths that it cannot see.
    pub masked_paths: Vec<String>,
    /// Paths that it cannot write.
    pub read_only_paths: Vec<String>,
    /// Kernel parameters; the runtime does not set those of the network namespace.
    pub sysctls: HashMap<String, String>,
    /// Annotations of the spec.
    pub annotations: HashMap<String, String>,
}

/// The source of a namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Namespace {
    /// A new one.
    #[default]
    Own,
    /// The host's.
    Host,
    /// The one at a path.
    Path(PathBuf),
}

/// The namespaces of a container; its mount namespace is always new.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Namespaces {
    /// The network namespace.
    pub network: Namespace,
    /// The PID namespace.
    pub pid: Namespace,
    /// The IPC namespace.
    pub ipc: Namespace,
    /// The UTS namespace.
    pub uts: Namespace,
    /// The cgroup namespace.
    pub cgroup: Namespace,
}

/// The `/dev/shm` of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shm {
    /// A tmpfs of its own, with this size in bytes.
    Own(i64),
    /// A bind mount of this directory.
    Bound(PathBuf),
    /// An ordinary directory.
    None,
}

impl Default for Shm {
    fn default() -> Shm {
        Shm::Own(mounts::DEFAULT_SHM)
    }
}

/// Makes the spec.
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
    // The library's default is a host name of its own.
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
