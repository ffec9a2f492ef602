//! The mounts of each kind of snapshot, as containerd's clients expect them.

use super::*;

fn drivers(name: &str) -> (std::path::PathBuf, Vec<Driver>) {
    let base = std::path::Path::new("/dev/shm").join(format!("gantry-driver-{name}-{}", std::process::id()));
    let drivers = Driver::all(&base, &Trash::start().unwrap()).unwrap();
    (base, drivers)
}

#[test]
fn overlay_mounts_have_containerd_s_order() {
    let (base, drivers) = drivers("order");
    let root = base.join("overlayfs/snapshots");
    let root = root.display();
    let overlay = &drivers[0];
    let options = |id, kind, layers: &[u64]| overlay.mounts(id, kind, layers)[0].options.clone();
    assert_eq!(
        options(3, Kind::Active, &[2, 1]),
        [
            format!("workdir={root}/3/work"),
            format!("upperdir={root}/3/fs"),
            format!("lowerdir={root}/2/fs:{root}/1/fs"),
            "index=off".to_owned()
        ]
    );
    assert_eq!(
        options(3, Kind::View, &[2, 1]),
        [format!("lowerdir={root}/2/fs:{root}/1/fs"), "index=off".into()]
    );
    assert_eq!(options(3, Kind::View, &[1]), ["ro", "rbind"]);
    assert_eq!(overlay.mounts(3, Kind::View, &[1])[0].source, format!("{root}/1/fs"));
    assert_eq!(options(3, Kind::Active, &[]), ["rw", "rbind"]);
    assert_eq!(overlay.mounts(3, Kind::Active, &[])[0].fs_type, "bind");
    std::fs::remove_dir_all(base).unwrap();
}

#[test]
fn native_snapshots_are_copies() {
    let (base, drivers) = drivers("native");
    let native = &drivers[1];
    native.make(1, Kind::Active, &[]).unwrap();
    std::fs::write(native.layout().fs(1).join("file"), b"one").unwrap();
    native.make(2, Kind::Active, &[1]).unwrap();
    std::fs::write(native.layout().fs(2).join("file"), b"two").unwrap();
    assert_eq!(std::fs::read(native.layout().fs(1).join("file")).unwrap(), b"one");
    assert_eq!(native.mounts(3, Kind::View, &[1])[0].source, native.layout().fs(1).display().to_string());
    std::fs::remove_dir_all(base).unwrap();
}
