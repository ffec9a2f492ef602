//! The complete list of files with `unsafe` code.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The files, and what each needs it for.
const FILES: &[(&str, &str)] = &[
    ("plugins/volume-dir/src/quota.rs", "quotactl_fd(2), FS_IOC_FSSETXATTR"),
    ("services/lib/cgroup/src/bpf.rs", "bpf(2)"),
    ("services/lib/disk/src/file.rs", "fcntl(2), F_SETLEASE"),
    ("services/lib/host/src/memory.rs", "mallopt(3), malloc_trim(3)"),
    ("services/lib/mount/src/attributes.rs", "mount_setattr(2)"),
    ("services/lib/netlink/src/netns.rs", "unshare(2) of a thread"),
    ("services/lib/rpc/src/stream.rs", "descriptors that the event loop watches"),
    ("shim/src/async_fd.rs", "descriptors that the event loop watches"),
    ("shim/src/docker_init.rs", "signals of a container's first process"),
    ("shim/src/runtime/enter.rs", "clone(2) of an exec's process"),
    ("shim/src/runtime/launch.rs", "what a container's process does before execve(2)"),
    ("shim/src/runtime/seccomp.rs", "libseccomp"),
    ("shim/src/runtime/user_namespace.rs", "fork(2) of who makes a user namespace"),
    ("shim/src/signal.rs", "signals without a name"),
    ("shim/src/stdio/logger.rs", "descriptors of a logging program"),
];

pub(crate) fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).expect("a directory").flatten() {
        let path = entry.path();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            if entry.file_name() != "target" {
                sources(&path, found);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn it_is_only_where_the_list_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let mut files = Vec::new();
    for part in ["proto", "services", "plugins", "shim", "ctl", "tests"] {
        sources(&root.join(part), &mut files);
    }
    // Split, so that this file is not found.
    let word = ["allow(unsafe", "_code)"].concat();
    let allowing = files.into_iter().filter(|file| {
        std::fs::read_to_string(file).expect("a source").lines().any(|line| line.contains(&word))
    });
    let allowing: BTreeSet<String> =
        allowing.map(|file| file.strip_prefix(root).expect("below").display().to_string()).collect();
    let listed: BTreeSet<String> = FILES.iter().map(|(file, _)| (*file).to_owned()).collect();
    assert_eq!(allowing, listed);
}
