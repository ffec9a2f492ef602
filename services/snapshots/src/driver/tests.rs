//! The mounts of each kind of snapshot, as containerd's clients expect them.

use super::*;
use crate::trash::Trash;

fn at(id: u64, kind: Kind, layers: &[u64]) -> Snapshot<'_> {
    Snapshot { id, kind, layers }
}

#[test]
fn overlay_mounts_have_containerd_s_order() {
    let base = tempfile::tempdir_in("/dev/shm").unwrap();
    let overlay = Overlay::open(base.path(), &Trash::start().unwrap()).unwrap();
    let root = base.path().join("overlayfs/snapshots");
    let root = root.display();
    let options = |id, kind, layers: &[u64]| overlay.mounts(at(id, kind, layers))[0].options.clone();
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
    assert_eq!(overlay.mounts(at(3, Kind::View, &[1]))[0].source, format!("{root}/1/fs"));
    assert_eq!(options(3, Kind::Active, &[]), ["rw", "rbind"]);
    assert_eq!(overlay.mounts(at(3, Kind::Active, &[]))[0].fs_type, "bind");
}

#[test]
fn native_snapshots_are_copies() {
    let base = tempfile::tempdir_in("/dev/shm").unwrap();
    let native = Native::open(base.path(), &Trash::start().unwrap()).unwrap();
    let files = |id| native.layout().fs(id);
    native.make(at(1, Kind::Active, &[])).unwrap();
    std::fs::write(files(1).join("file"), b"one").unwrap();
    native.make(at(2, Kind::Active, &[1])).unwrap();
    std::fs::write(files(2).join("file"), b"two").unwrap();
    assert_eq!(std::fs::read(files(1).join("file")).unwrap(), b"one");
    assert_eq!(native.mounts(at(3, Kind::View, &[1]))[0].source, files(1).display().to_string());
}

#[test]
fn what_a_start_finds_missing_is_not_made() {
    let base = tempfile::tempdir_in("/dev/shm").unwrap();
    let trash = Trash::start().unwrap();
    let drivers: [Box<dyn Driver>; 2] = [
        Box::new(Overlay::open(base.path(), &trash).unwrap()),
        Box::new(Native::open(base.path(), &trash).unwrap()),
    ];
    for driver in drivers {
        let (active, name) = (at(1, Kind::Active, &[]), driver.name());
        assert!(!driver.is_made(active), "{name}");
        driver.make(active).unwrap();
        assert!(driver.is_made(active), "{name}");
        assert!(driver.is_made(at(2, Kind::View, &[1])), "{name}: a view on others needs nothing");
        if driver.capabilities().layers == Layers::Stacked {
            std::fs::remove_dir(driver.layout().work(1)).unwrap();
            assert!(!driver.is_made(active), "{name}");
        }
    }
}
