//! Paths through a root and its mounts.

use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::*;

/// A directory that is removed with its value.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = PathBuf::from(format!("/dev/shm/gantry-view-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).expect("made");
        Self(path)
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn open(path: &Path) -> OwnedFd {
    rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).expect("opened")
}

/// A root with `data/vol` and `etc/one`, over which a directory and a file are mounted.
fn view(dir: &Path) -> View {
    for folder in ["root/data/vol", "root/etc", "volume/sub"] {
        std::fs::create_dir_all(dir.join(folder)).expect("made");
    }
    for (file, content) in [("root/etc/one", "covered"), ("root/x", "root"), ("volume/x", "volume")] {
        std::fs::write(dir.join(file), content).expect("written");
    }
    std::fs::write(dir.join("one"), "over").expect("written");
    let mut view = View::new(Root::open_path(&dir.join("root")).expect("opened")).expect("a view");
    assert!(view.mount(Path::new("/data/vol"), open(&dir.join("volume")), Access::Write).expect("put"));
    assert!(view.mount(Path::new("/etc/one"), open(&dir.join("one")), Access::Read).expect("put"));
    view
}

fn text(view: &View, path: &str) -> String {
    let bytes = view.read(Path::new(path)).unwrap_or_else(|error| panic!("{path}: {error:?}"));
    String::from_utf8(bytes).expect("text")
}

#[test]
fn symlinks_lead_from_mount_to_mount_and_never_out() {
    let dir = Scratch::new();
    let view = view(dir.path());
    let volume = dir.path().join("volume");
    for (target, link) in
        [("/x", "root-x"), ("../../x", "up"), ("/data/vol/sub/../x", "own"), ("../../../../../x", "far")]
    {
        symlink(target, volume.join(link)).expect("linked");
    }
    symlink("/data/vol", dir.path().join("root/link")).expect("linked");
    assert_eq!(text(&view, "/data/vol/x"), "volume");
    assert_eq!(text(&view, "/data/vol/root-x"), "root");
    assert_eq!(text(&view, "/data/vol/up"), "root");
    assert_eq!(text(&view, "/data/vol/far"), "root");
    assert_eq!(text(&view, "/link/own"), "volume");
    assert_eq!(text(&view, "/data/vol/../../etc/one"), "over");
    let found = view.find(Path::new("/link/root-x"), Last::Follow).expect("found");
    assert_eq!(found.path, Path::new("/x"));
    assert_eq!(view.find(Path::new("/link"), Last::Keep).expect("found").stat.kind, EntryKind::Symlink);
}

#[test]
fn what_is_missing_is_told_from_what_is_in_the_way() {
    let dir = Scratch::new();
    let view = view(dir.path());
    symlink("/no/such", dir.path().join("root/dangling")).expect("linked");
    symlink("loop", dir.path().join("root/loop")).expect("linked");
    match view.walk(Path::new("/dangling/x"), Last::Follow).expect("walked") {
        Walked::Missing(path) => assert_eq!(path, Path::new("/no/such/x")),
        Walked::Found(found) => panic!("{found:?}"),
    }
    for (path, errno) in [("/x/y", Errno::NOTDIR), ("/x/", Errno::NOTDIR), ("/loop", Errno::LOOP)] {
        let error = view.walk(Path::new(path), Last::Follow).expect_err(path);
        assert_eq!(error.raw_os_error(), Some(errno.raw_os_error()), "{path}");
    }
}

#[test]
fn directories_are_made_where_they_will_be_seen() {
    let dir = Scratch::new();
    let mut view = view(dir.path());
    view.create_dir_all(Path::new("/data/vol/a/b"), 0o755).expect("made");
    assert!(dir.path().join("volume/a/b").is_dir() && !dir.path().join("root/data/vol/a").exists());
    assert!(view.create_dir_all(Path::new("/etc/one/x"), 0o755).is_err());
    let volume = open(&dir.path().join("volume"));
    assert!(view.mount(Path::new("/data/vol"), volume, Access::Read).expect("put"));
    assert!(view.create_dir_all(Path::new("/data/vol/c"), 0o755).is_err());
    assert!(!view.mount(Path::new("/not/there"), open(dir.path()), Access::Write).expect("walked"));
}

#[test]
fn only_regular_files_are_opened() {
    let dir = Scratch::new();
    let view = view(dir.path());
    let root = Root::open_path(&dir.path().join("root")).expect("opened");
    root.mknod(Path::new("fifo"), EntryKind::Fifo, 0o600, 0).expect("made");
    assert!(view.read(Path::new("/fifo")).is_err());
    std::fs::File::create(dir.path().join("root/huge")).expect("made").set_len(1 << 30).expect("sized");
    assert!(view.read(Path::new("/huge")).is_err());
}

#[test]
fn a_racing_rename_never_leads_out() {
    let dir = Scratch::new();
    let view = view(dir.path());
    std::fs::write(dir.path().join("secret"), "outside").expect("written");
    let (volume, stop) = (dir.path().join("volume"), AtomicBool::new(false));
    symlink("../../..", volume.join("evil")).expect("linked");
    std::fs::create_dir(volume.join("good")).expect("made");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                for (from, to) in [("good", "spare"), ("evil", "good"), ("good", "evil"), ("spare", "good")] {
                    std::fs::rename(volume.join(from), volume.join(to)).expect("renamed");
                }
            }
        });
        for _ in 0..2000 {
            assert!(view.read(Path::new("/data/vol/good/secret")).is_err());
        }
        stop.store(true, Ordering::Relaxed);
    });
}
