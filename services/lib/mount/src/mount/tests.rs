//! Tests with real mounts. They need root, and change no mount table of the host.

use super::*;

fn scratch(name: &str) -> PathBuf {
    let base = Path::new("/dev/shm").join(format!("gantry-host-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&base);
    std::fs::create_dir_all(&base).unwrap();
    base
}

/// Directories `fs`, `work` and layers `l0`… on a file system that can hold overlay's upper directory.
fn overlay(base: &Path, layers: usize) -> Mount {
    let names: Vec<String> =
        (0..layers).rev().map(|n| base.join(format!("l{n}")).display().to_string()).collect();
    for directory in ["fs", "work"].into_iter().map(|d| base.join(d)).chain(names.iter().map(PathBuf::from)) {
        std::fs::create_dir_all(directory).unwrap();
    }
    Mount {
        fs_type: "overlay".into(),
        source: "overlay".into(),
        target: String::new(),
        options: vec![
            format!("workdir={}/work", base.display()),
            format!("upperdir={}/fs", base.display()),
            format!("lowerdir={}", names.join(":")),
            "index=off".into(),
        ],
    }
}

#[test]
fn root_a_detached_overlay_is_writable_and_in_no_table() {
    let base = scratch("detached");
    let mount = overlay(&base, 2);
    std::fs::write(base.join("l0/below"), b"lower").unwrap();
    let tree = open_detached(&[mount]).unwrap();
    let root = Root::from_fd(tree);
    assert_eq!(root.read(Path::new("/below")).unwrap(), b"lower");
    let file =
        root.open(Path::new("new"), OFlags::CREATE | OFlags::WRONLY, Mode::from_raw_mode(0o600)).unwrap();
    drop(file);
    assert!(base.join("fs/new").exists());
    let table = crate::table::read().unwrap();
    assert!(
        !table
            .iter()
            .any(|entry| { entry.super_options.iter().any(|o| o.contains(&*base.to_string_lossy())) })
    );
    drop(root);
    std::fs::remove_dir_all(base).unwrap();
}

#[test]
fn root_more_layers_than_fit_a_page_of_options_are_mounted() {
    let base = scratch(&"deep".repeat(12));
    let mount = overlay(&base, 100);
    assert!(mount.options.iter().map(String::len).sum::<usize>() > 8000);
    drop(open_detached(&[mount]).unwrap());
    std::fs::remove_dir_all(base).unwrap();
}

#[test]
fn root_a_read_only_bind_refuses_writers() {
    let base = scratch("bind");
    std::fs::create_dir_all(base.join("fs")).unwrap();
    let root =
        Root::from_fd(open_detached(&[Mount::bind(base.join("fs").display().to_string(), false)]).unwrap());
    let error = root.create_dir(Path::new("x"), 0o755).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EROFS));
    drop(root);
    std::fs::remove_dir_all(base).unwrap();
}

#[test]
fn root_the_kernels_own_reason_is_told() {
    let base = scratch("reason");
    let mut mount = overlay(&base, 1);
    mount.options.push("no_such_option=1".into());
    let error = mount.tree().unwrap_err();
    assert!(
        matches!(&error, Error::FileSystem { reason, .. } if reason.contains("no_such_option")),
        "{error:?}"
    );
    std::fs::remove_dir_all(base).unwrap();
}
