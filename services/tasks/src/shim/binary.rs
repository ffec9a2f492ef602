//! Finds the shim binary for a runtime's name.
//!
//! containerd's rule: the last two parts of `io.containerd.runc.v2` give `containerd-shim-runc-v2`, which is looked
//! up beside the daemon and in `PATH`; an absolute path is taken as it is. If `runc`'s own shim is not installed,
//! Gantry's shim is used, which implements the same contract.

use std::env;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::error::Error;

/// The runtime of containers that name none.
pub const DEFAULT_RUNTIME: &str = "io.containerd.gantry.v2";

const OURS: &str = "containerd-shim-gantry-v2";
const RUNC: &str = "containerd-shim-runc-v2";

/// Where shim binaries are looked for, in order.
#[derive(Debug, Clone)]
pub struct SearchPath(Vec<PathBuf>);

impl SearchPath {
    /// Beside the running program, then `PATH`.
    pub fn of_this_process() -> SearchPath {
        let mut folders = Vec::new();
        if let Some(folder) = env::current_exe().ok().and_then(|exe| exe.parent().map(Path::to_path_buf)) {
            folders.push(folder);
        }
        folders.extend(env::split_paths(&env::var_os("PATH").unwrap_or_default()));
        SearchPath(folders)
    }

    /// Only the given folders.
    pub fn only(folders: Vec<PathBuf>) -> SearchPath {
        SearchPath(folders)
    }

    fn find(&self, binary: &str) -> Option<PathBuf> {
        self.0.iter().map(|folder| folder.join(binary)).find(|path| is_executable(path))
    }

    /// The shim binary for `runtime`.
    pub fn resolve(&self, runtime: &str) -> Result<PathBuf, Error> {
        let runtime = if runtime.is_empty() { DEFAULT_RUNTIME } else { runtime };
        let missing =
            |binary: &str| Error::RuntimeMissing { runtime: runtime.to_owned(), binary: binary.to_owned() };
        if runtime.starts_with('/') {
            let path = PathBuf::from(runtime);
            return if is_executable(&path) { Ok(path) } else { Err(missing(runtime)) };
        }
        let binary = binary_name(runtime)?;
        match self.find(&binary) {
            Some(path) => Ok(path),
            None if binary == RUNC => self.find(OURS).ok_or_else(|| missing(&binary)),
            None => Err(missing(&binary)),
        }
    }
}

/// Whether `path` is Gantry's shim, which leaves publishing events to this service.
pub fn is_ours(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == OURS)
}

fn is_executable(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

fn binary_name(runtime: &str) -> Result<String, Error> {
    let mut parts = runtime.rsplit('.');
    match (parts.next(), parts.next()) {
        (Some(version), Some(name)) if !version.is_empty() && !name.is_empty() && !runtime.contains('/') => {
            Ok(format!("containerd-shim-{name}-{version}"))
        }
        _ => Err(Error::RuntimeName(runtime.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_containerd() {
        assert_eq!(binary_name("io.containerd.runc.v2").unwrap(), "containerd-shim-runc-v2");
        assert_eq!(binary_name("io.containerd.gantry.v2").unwrap(), OURS);
        assert!(binary_name("runc").is_err());
        assert!(binary_name("a/b.v2").is_err());
    }

    #[test]
    fn ours_serves_runc_where_runc_has_no_shim() {
        let folder = tempfile::tempdir().unwrap();
        let search = SearchPath::only(vec![folder.path().to_owned()]);
        assert!(matches!(search.resolve("io.containerd.runc.v2"), Err(Error::RuntimeMissing { .. })));
        let path = folder.path().join(OURS);
        std::fs::write(&path, "").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(search.resolve("io.containerd.runc.v2").unwrap(), path);
        assert_eq!(search.resolve("").unwrap(), path);
        assert!(search.resolve("io.containerd.kata.v2").is_err());
    }
}
