//! Layers that are hostile, layers that remove, and a real tree with GNU tar as the judge.

use std::io::Write;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt};
use std::path::PathBuf;

use super::*;
use gantry_archive::tar::Writer;

struct Place {
    base: PathBuf,
}

impl Place {
    fn new(name: &str) -> Self {
        let base = Path::new("/dev/shm").join(format!("gantry-extract-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&base);
        std::fs::create_dir_all(base.join("root")).unwrap();
        Self { base }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.base.join("root").join(name)
    }

    fn extract(&self, mode: Mode, entries: &[Entry]) -> Result<Extracted> {
        let root = Root::open_path(&self.base.join("root")).unwrap();
        extract(archive(entries).as_slice(), &root, mode, &Cancel::default())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.base);
    }
}

fn archive(entries: &[Entry]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    for entry in entries {
        writer.entry(entry).unwrap();
        if entry.kind == Kind::File {
            writer.write_all(&vec![b'x'; usize::try_from(entry.size).unwrap()]).unwrap();
        }
    }
    writer.finish().unwrap()
}

fn entry(path: &str, kind: Kind, link: &str) -> Entry {
    Entry {
        path: path.as_bytes().to_vec(),
        kind,
        link: link.as_bytes().to_vec(),
        mode: 0o755,
        uid: 0,
        gid: 0,
        mtime: Time { seconds: 1000, nanos: 0 },
        size: if kind == Kind::File { 3 } else { 0 },
        device: (0, 0),
        xattrs: Vec::new(),
        segments: None,
    }
}

fn file(path: &str) -> Entry {
    entry(path, Kind::File, "")
}

#[test]
fn nothing_leaves_the_root() {
    let place = Place::new("leave");
    std::fs::write(place.base.join("outside"), b"safe").unwrap();
    let outside = place.base.join("outside").display().to_string();
    for mode in [Mode::Overlay, Mode::Merged] {
        for entries in [
            vec![file("../outside")],
            vec![file("/../outside")],
            vec![file("a/../../outside")],
            vec![entry("hard", Kind::HardLink, "../outside")],
            vec![entry("hard", Kind::HardLink, &outside)],
            vec![entry("hard", Kind::HardLink, "/")],
            vec![entry("dir", Kind::Directory, ""), entry("hard", Kind::HardLink, "dir")],
            vec![file("plain"), file("plain/below")],
            vec![entry("", Kind::Symlink, "x")],
        ] {
            let result = place.extract(mode, &entries);
            assert!(result.is_err(), "{mode:?} {:?}", String::from_utf8_lossy(&entries[0].path));
        }
        // A symlink may say anything; written through it is only what it leads to inside.
        let up = place.base.display().to_string();
        let through = [
            entry("etc", Kind::Directory, ""),
            entry("abs", Kind::Symlink, "/etc"),
            file("abs/made"),
            entry("rel", Kind::Symlink, "../../../../etc"),
            file("rel/too"),
            entry("file", Kind::Symlink, &outside),
            file("file"),
            entry("hole", Kind::Symlink, &up),
            entry("self", Kind::Symlink, "self"),
        ];
        place.extract(mode, &through).unwrap();
        assert!(place.path("etc/made").exists() && place.path("etc/too").exists());
        assert!(place.path("file").symlink_metadata().unwrap().is_file());
        let hole = place.extract(mode, &[entry("hole2", Kind::Symlink, &up), file("hole2/outside")]);
        assert!(hole.is_err());
        assert!(place.extract(mode, &[file("self/x")]).is_err());
        assert_eq!(std::fs::read(place.base.join("outside")).unwrap(), b"safe");
    }
}

#[test]
fn removals_become_marks_in_a_layer_and_are_done_in_a_tree() {
    let layer = [
        file("kept/new"),
        file("kept/.wh.old"),
        file("opaque/.wh..wh..opq"),
        file("opaque/own"),
        file(".wh..wh.plnk/123"),
        file("gone/.wh.dir"),
        file("gone/dir/again"),
    ];
    let place = Place::new("marks");
    place.extract(Mode::Overlay, &layer).unwrap();
    let mark = place.path("kept/old").symlink_metadata().unwrap();
    assert!(mark.file_type().is_char_device() && mark.rdev() == 0);
    let root = Root::open_path(&place.path("")).unwrap();
    let opaque = |path: &str| root.get_xattr(Path::new(path), OsStr::new(whiteout::OPAQUE)).unwrap();
    assert_eq!(opaque("opaque").as_deref(), Some(&b"y"[..]));
    assert_eq!(opaque("gone/dir").as_deref(), Some(&b"y"[..]));
    assert_eq!(opaque("kept"), None);
    assert!(place.path("gone/dir/again").exists() && !place.path(".wh..wh.plnk").exists());

    let place = Place::new("done");
    for old in ["kept", "opaque/sub", "gone/dir"] {
        std::fs::create_dir_all(place.path(old)).unwrap();
        std::fs::write(place.path(old).join("old"), b"").unwrap();
    }
    place.extract(Mode::Merged, &layer).unwrap();
    assert!(place.path("kept/new").exists() && !place.path("kept/old").exists());
    assert!(place.path("opaque/own").exists() && !place.path("opaque/sub").exists());
    assert!(place.path("gone/dir/again").exists() && !place.path("gone/dir/old").exists());
    for bad in [".wh.", ".wh...", "a/.wh...", ".wh.x/y"] {
        assert!(place.extract(Mode::Merged, &[file(bad)]).is_err(), "{bad}");
    }
}

#[test]
fn later_entries_replace_earlier_ones() {
    let place = Place::new("replace");
    let mut set = file("a");
    set.mode = 0o4711;
    set.uid = 12;
    let mut root = entry("./", Kind::Directory, "");
    root.mode = 0o1770;
    let mut late = entry("dir", Kind::Directory, "");
    late.mode = 0o2750;
    late.mtime = Time { seconds: 77, nanos: 5 };
    let entries = [
        entry("a", Kind::Directory, ""),
        file("a/below"),
        set,
        file("dir/x"),
        late,
        file("l"),
        entry("l", Kind::Symlink, "a"),
        root,
    ];
    let extracted = place.extract(Mode::Overlay, &entries).unwrap();
    let a = place.path("a").metadata().unwrap();
    assert_eq!((a.mode() & 0o7777, a.uid(), a.mtime()), (0o4711, 12, 1000));
    let dir = place.path("dir").metadata().unwrap();
    assert_eq!((dir.mode() & 0o7777, dir.mtime(), dir.mtime_nsec()), (0o2750, 77, 5));
    assert_eq!(std::fs::read_link(place.path("l")).unwrap(), Path::new("a"));
    assert_eq!(place.path("").metadata().unwrap().mode() & 0o7777, 0o1770);
    assert!(extracted.implied.is_empty());
}

#[test]
fn the_last_of_a_directory_s_entries_holds() {
    let place = Place::new("twice");
    let with = |path: &str, mode: u32, seconds: i64| Entry {
        mode,
        mtime: Time { seconds, nanos: 0 },
        ..entry(path, Kind::Directory, "")
    };
    let entries = [
        with("dir", 0o1777, 1),
        with("./", 0o1777, 2),
        file("dir/x"),
        with("dir", 0o750, 3),
        with("./", 0o755, 4),
    ];
    place.extract(Mode::Overlay, &entries).unwrap();
    let seen = |path: &str| {
        let found = place.path(path).metadata().unwrap();
        (found.mode() & 0o7777, found.mtime())
    };
    assert_eq!((seen("dir"), seen("")), ((0o750, 3), (0o755, 4)));
}

#[test]
fn a_directory_behind_a_link_gets_its_mode_and_time() {
    let place = Place::new("behind");
    let mut sticky = entry("var/run/lock", Kind::Directory, "");
    sticky.mode = 0o1777;
    let entries =
        [entry("run", Kind::Directory, ""), entry("var/run", Kind::Symlink, "/run"), sticky, file("run/x")];
    place.extract(Mode::Overlay, &entries).unwrap();
    let lock = place.path("run/lock").metadata().unwrap();
    assert_eq!((lock.mode() & 0o7777, lock.mtime()), (0o1777, 1000));
}

#[test]
fn names_that_lead_nowhere_are_the_archive_s_fault() {
    let place = Place::new("nowhere");
    let through = [file("plain"), entry("link", Kind::Symlink, "plain"), file("link/below")];
    for mode in [Mode::Overlay, Mode::Merged] {
        let error = place.extract(mode, &through).unwrap_err();
        assert_eq!(gantry_rpc::Coded::code(&error), gantry_rpc::Code::InvalidArgument, "{error:?}");
    }
}

#[test]
fn invented_directories_are_told() {
    let place = Place::new("implied");
    let extracted =
        place.extract(Mode::Overlay, &[file("usr/share/doc/x"), entry("usr", Kind::Directory, "")]).unwrap();
    assert_eq!(extracted.implied, [&b""[..], b"usr/share", b"usr/share/doc"]);
}

#[test]
fn what_lies_in_a_layer_below_is_asked_for() {
    let place = Place::new("lower");
    for entries in [
        vec![entry("hard", Kind::HardLink, "bin/sh")],
        vec![entry("link", Kind::Symlink, "/run"), file("link/x")],
        vec![file(".wh..wh..opq")],
    ] {
        assert!(matches!(place.extract(Mode::Overlay, &entries), Err(Error::NeedsLower(_))));
    }
}

#[test]
fn attributes_are_kept_but_not_overlay_s_own() {
    let place = Place::new("xattr");
    let mut with = file("f");
    with.xattrs = vec![
        (b"user.note".to_vec(), b"1".to_vec()),
        (b"trusted.overlay.redirect".to_vec(), b"/etc".to_vec()),
        (b"security.capability".to_vec(), b"\x01\0\0\x02\0\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0".to_vec()),
    ];
    with.uid = 33;
    place.extract(Mode::Overlay, &[with]).unwrap();
    let dir = Dir::open(&place.path("")).unwrap();
    let names: Vec<String> = dir
        .xattrs(OsStr::new("f"))
        .unwrap()
        .into_iter()
        .map(|(n, _)| n.to_string_lossy().into_owned())
        .collect();
    assert_eq!(names, ["security.capability", "user.note"]);
}

#[test]
fn a_real_tree_comes_out_as_gnu_tar_made_it() {
    let place = Place::new("gnu");
    let from = place.base.join("from");
    std::fs::create_dir_all(from.join("sub")).unwrap();
    std::fs::write(from.join("hello"), vec![b'a'; 70_000]).unwrap();
    std::fs::hard_link(from.join("hello"), from.join("sub/again")).unwrap();
    std::os::unix::fs::symlink("nowhere", from.join("soft")).unwrap();
    std::fs::write(from.join("n".repeat(200)), b"long").unwrap();
    let sparse = std::fs::File::create(from.join("sparse")).unwrap();
    sparse.write_all_at(b"start", 0).unwrap();
    sparse.write_all_at(b"middle", 5 << 20).unwrap();
    sparse.set_len(9 << 20).unwrap();
    let shell = |command: &str| {
        let output = std::process::Command::new("sh")
            .arg("-c")
            .arg(command)
            .current_dir(&place.base)
            .output()
            .unwrap();
        assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    shell(
        "cp -a /etc/. from/etc 2>/dev/null; mknod from/null c 1 3; mkfifo from/fifo; chmod 1777 from/sub; chown 5:6 from/soft -h",
    );
    let seen = "find . -printf '%P %y %m %U %G %s %T@ %l\\n' | grep -v '^ d' | sed -E '/ d /s/^(.* d [0-9]+ [0-9]+ [0-9]+) [0-9]+/\\1/' | sort; \
         find . -type f -print0 | sort -z | xargs -0 sha256sum";
    let expected = shell(&format!("cd from && {seen}"));
    for format in ["gnu", "posix", "gnu -S", "posix -S", "posix -S --sparse-version=0.1"] {
        std::fs::remove_dir_all(place.path("")).unwrap();
        std::fs::create_dir(place.path("")).unwrap();
        shell(&format!("tar -C from --format={format} -cf layer.tar ."));
        let bytes = std::fs::read(place.base.join("layer.tar")).unwrap();
        let root = Root::open_path(&place.path("")).unwrap();
        let extracted = extract(bytes.as_slice(), &root, Mode::Overlay, &Cancel::default()).unwrap();
        assert_eq!(extracted.diff_id, Digest::sha256(&bytes));
        let mut found = shell(&format!("cd root && {seen}"));
        let mut expected = expected.clone();
        if format.starts_with("gnu") {
            // That format has whole seconds only.
            let cut = |text: &str| {
                text.lines()
                    .map(|line| {
                        line.split(' ')
                            .map(|w| w.split_once('.').filter(|(s, _)| s.len() == 10).map_or(w, |(s, _)| s))
                            .collect::<Vec<_>>()
                            .join(" ")
                    })
                    .collect::<Vec<_>>()
                    .join("\n")
            };
            (found, expected) = (cut(&found), cut(&expected));
        }
        if found != expected {
            let different: Vec<_> =
                found.lines().zip(expected.lines()).filter(|(a, b)| a != b).take(5).collect();
            panic!("{format}: {different:#?}");
        }
        if format.contains("-S") {
            assert!(place.path("sparse").metadata().unwrap().blocks() < 1000, "{format} filled the holes");
        }
        let (a, b) = (place.path("hello").metadata().unwrap(), place.path("sub/again").metadata().unwrap());
        assert_eq!(a.ino(), b.ino());
    }
}

#[test]
fn a_full_disk_is_told_as_such() {
    let place = Place::new("full");
    let small = place.base.join("root");
    let mount = gantry_mount::Mount {
        fs_type: "tmpfs".into(),
        source: "tmpfs".into(),
        target: String::new(),
        options: vec!["size=1m".into()],
    };
    // The mount is detached: no other process sees it, and it ends with the test.
    let root = Root::from_fd(gantry_mount::open_detached(&[mount]).unwrap());
    let mut bomb = file("bomb");
    bomb.size = 64 << 20;
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&archive(&[bomb])).unwrap();
    let bytes = gzip.finish().unwrap();
    let error = extract(bytes.as_slice(), &root, Mode::Merged, &Cancel::default()).unwrap_err();
    assert!(error.is_out_of_space(), "{error:?}");
    assert_eq!(gantry_rpc::Coded::code(&error), gantry_rpc::Code::ResourceExhausted);
    assert!(gantry_rpc::chain(&error).contains("bomb"));
    assert!(std::fs::read_dir(small).unwrap().next().is_none());
}
