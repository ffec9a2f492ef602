//! The confinement of a service: Landlock limits files and TCP, seccomp limits system calls.
//!
//! Both apply to the calling thread and to every thread that it starts later, and cannot be undone. So they are set
//! before the async runtime is made. Where the kernel lacks one of them, the service logs it once and runs without.
//!
//! A process under Landlock may not change mounts, whatever the rules say: a service that mounts has only the system
//! call filter. A service whose child processes must be free has neither.

mod files;
mod syscalls;
mod watch;

use std::path::{Path, PathBuf};

pub use files::{Files, Tcp};
use gantry_descriptor::{Descriptor, Family, Network};
pub(crate) use watch::{Watched, replaced};

use crate::Roots;

/// The confinement of a service.
#[derive(Debug, Clone, Default)]
pub struct Confinement {
    /// The additional families of system calls that it may use; `None` for no filter.
    kept: Option<Vec<Family>>,
    files: Option<Files>,
}

/// Why a service cannot be confined.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel refused the Landlock rules.
    #[error("confine files")]
    Files(#[from] landlock::RulesetError),
    /// The kernel refused the seccomp filter.
    #[error("filter system calls")]
    Filter(#[from] seccompiler::Error),
    /// The filter cannot be compiled.
    #[error("make a filter of system calls")]
    Compile(#[from] seccompiler::BackendError),
}

/// The result of confining.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// What the kernel does not support, for the log.
    pub(crate) missing: Vec<String>,
    /// Files after whose replacement the service has to restart.
    pub(crate) watched: Vec<Watched>,
}

impl Confinement {
    /// The confinement of a service whose settings name files and ports.
    pub(crate) fn of(service: &Descriptor, roots: &Roots, named: Files) -> Self {
        use gantry_descriptor::{Confinement, Files as Other};
        let files = Files::of(roots, service.name).beside(named);
        let files = match service.confinement {
            Confinement::None => return Self::default(),
            Confinement::Calls(kept, _) => return Self::keeping(kept),
            Confinement::Files(Other::These(paths)) => files.read(paths),
            Confinement::Files(Other::ReachingHosts) => files.reaching_hosts(),
        };
        let connects = service.network == Network::Connects;
        Self::keeping(&[]).only(if connects { files.tcp(Tcp::Connect) } else { files })
    }

    /// A filter that allows these families beside the common calls.
    fn keeping(families: &[Family]) -> Self {
        Self { kept: Some(families.to_vec()), files: None }
    }

    /// Allows only these files.
    fn only(self, files: Files) -> Self {
        Self { files: Some(files), ..self }
    }

    /// Allows TCP connections too.
    pub(crate) fn connecting(mut self) -> Self {
        self.files = self.files.map(Files::connecting);
        self
    }

    /// Confines the calling thread, and every thread that it starts later.
    pub(crate) fn apply(&self) -> Result<Outcome, Error> {
        let mut outcome = Outcome::default();
        if let Some(files) = &self.files {
            outcome.missing.extend(files.apply()?);
            outcome.watched = files.watched();
        }
        if let Some(kept) = &self.kept {
            outcome.missing.extend(syscalls::apply(kept)?);
        }
        Ok(outcome)
    }
}

impl Files {
    /// The service's own state, the directory of sockets, and the files that any process reads.
    fn of(roots: &Roots, service: &str) -> Self {
        Self::default().write([roots.state_of(service), roots.run.clone()]).write(["/dev/null"]).read([
            "/proc",
            "/sys/devices/system/cpu",
            "/dev/urandom",
        ])
    }

    /// The files for resolving names and verifying certificates.
    fn reaching_hosts(self) -> Self {
        let variable = |name| std::env::var_os(name).map(PathBuf::from);
        let resolver = "/etc/resolv.conf";
        // A generated resolv.conf is replaced in its own directory: the rule is for that directory.
        let generated = std::fs::canonicalize(resolver).ok().filter(|path| !path.starts_with("/etc"));
        let generated = generated.as_deref().and_then(Path::parent).map(Path::to_owned);
        self.read([resolver, "/etc/hosts", "/etc/nsswitch.conf", "/etc/host.conf", "/etc/gai.conf"])
            .read(["/etc/services", "/etc/protocols", "/etc/ld.so.cache", "/lib", "/lib64", "/usr/lib"])
            .read(["/etc/ssl", "/etc/pki", "/etc/ca-certificates", "/usr/share/ca-certificates"])
            .read(["/usr/local/share/ca-certificates"])
            .read([generated, variable("SSL_CERT_FILE"), variable("SSL_CERT_DIR")].into_iter().flatten())
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use landlock::{ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, Ruleset, RulesetAttr, Scope};

    use super::*;

    /// Landlock and seccomp apply to a thread: each test confines one of its own. Prints what the kernel does not
    /// support.
    fn confined(confinement: Confinement, missing: &[&str], work: impl FnOnce() + Send + 'static) {
        let missing: Vec<_> = missing.iter().map(|&text| text.to_owned()).collect();
        let thread = std::thread::spawn(move || {
            rustix::thread::set_no_new_privs(true).expect("it can always be set");
            let outcome = confinement.apply().expect("confined");
            assert_eq!(outcome.missing, missing);
            work();
        });
        thread.join().expect("the assertions hold");
    }

    /// Whether the running kernel supports this version of Landlock: a version that it does not support is an error.
    fn landlock_has(version: ABI) -> bool {
        let rules = || {
            let rules = Ruleset::default().set_compatibility(CompatLevel::HardRequirement);
            let rules = rules.handle_access(AccessFs::from_all(version))?;
            let net = AccessNet::from_all(version);
            let rules = if net.is_empty() { rules } else { rules.handle_access(net)? };
            let scope = Scope::from_all(version);
            if scope.is_empty() { Ok(rules) } else { rules.scope(scope) }
        };
        rules().is_ok()
    }

    #[test]
    fn only_the_service_s_own_files_are_reached() {
        let folder = tempfile::tempdir().expect("a folder");
        let roots = Roots { state: folder.path().join("state"), run: folder.path().join("run") };
        let other = roots.state_of("engine");
        for path in [roots.state_of("content"), other.clone(), roots.run.clone()] {
            std::fs::create_dir_all(path).expect("made");
        }
        let files = Files::of(&roots, "content");
        let missing: &[&str] = match (landlock_has(ABI::V1), landlock_has(ABI::V6)) {
            (false, _) => &["this kernel has no Landlock: files and TCP are not confined"],
            (true, false) => &["this kernel's Landlock knows only some of the rules about files and TCP"],
            (true, true) => &[],
        };
        confined(Confinement::default().only(files), missing, move || {
            if !landlock_has(ABI::V1) {
                return;
            }
            let refused = |path: &Path| std::fs::File::open(path).map_err(|error| error.kind()).err();
            assert_eq!(refused(Path::new("/etc/shadow")), Some(ErrorKind::PermissionDenied));
            assert_eq!(refused(&other), Some(ErrorKind::PermissionDenied));
            let (one, two) = (roots.state_of("content").join("a/one"), roots.state_of("content").join("two"));
            std::fs::create_dir(roots.state_of("content").join("a")).expect("its own");
            std::fs::write(&one, "bytes").expect("its own");
            if landlock_has(ABI::V2) {
                std::fs::hard_link(&one, &two).expect("across its directories");
                std::fs::rename(&two, roots.state_of("content").join("a/two")).expect("back");
            }
            std::os::unix::net::UnixListener::bind(roots.run.join("content.sock")).expect("a socket");
            std::fs::read_to_string("/proc/self/statm").expect("what every process reads");
            let tcp = std::net::TcpListener::bind("127.0.0.1:0").map_err(|error| error.kind()).err();
            assert_eq!(tcp, landlock_has(ABI::V4).then_some(ErrorKind::PermissionDenied));
        });
    }

    #[test]
    fn a_service_that_reaches_no_hosts_outlives_the_machine_s_upgrades() {
        let roots = Roots { state: "/var/lib/gantry".into(), run: "/run/gantry".into() };
        let outcome = Files::of(&roots, "content").watched();
        let replaced = outcome.iter().find(|watched| watched.path().starts_with("/etc"));
        assert_eq!(replaced, None, "to be replaced by a package");
    }

    #[test]
    fn families_that_are_not_kept_are_refused() {
        use rustix::io::Errno;

        confined(Confinement::keeping(&[]), &[], || {
            let unmounted = rustix::mount::unmount("/nowhere", rustix::mount::UnmountFlags::empty());
            assert_eq!(unmounted, Err(Errno::PERM));
            let started = std::process::Command::new("/bin/true").status().expect_err("no programs");
            assert_eq!(started.kind(), ErrorKind::PermissionDenied);
            std::thread::spawn(|| {}).join().expect("threads are everybody's");
            let own = std::fs::File::open("/proc/self/ns/net").expect("a namespace");
            let joined = rustix::thread::move_into_link_name_space(std::os::fd::AsFd::as_fd(&own), None);
            assert_eq!(joined, Err(Errno::PERM));
        });
        confined(Confinement::keeping(&[Family::Mounts, Family::Programs]), &[], || {
            let unmounted = rustix::mount::unmount("/nowhere", rustix::mount::UnmountFlags::empty());
            assert_eq!(unmounted, Err(Errno::NOENT));
            assert!(std::process::Command::new("/bin/true").status().expect("programs").success());
        });
    }
}
