//! Tests that unpack tars into directories of containers with volumes.

use ::tar::{Builder, EntryType, Header};
use gantry_rooted::{self as root, Last, Root, View};

use super::*;

fn tar_of(entries: &[(&str, EntryType, &str)]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for (name, kind, content) in entries {
        let mut header = Header::new_gnu();
        header.set_entry_type(*kind);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(7);
        if matches!(kind, EntryType::Symlink | EntryType::Link) {
            header.set_size(0);
            header.set_link_name(content).expect("short");
            set_name(&mut header, name);
            builder.append(&header, std::io::empty()).expect("appended");
        } else {
            header.set_size(content.len() as u64);
            set_name(&mut header, name);
            builder.append(&header, content.as_bytes()).expect("appended");
        }
    }
    builder.into_inner().expect("finished")
}

/// Sets the name in the header directly, so that names which the library refuses can be tested.
fn set_name(header: &mut Header, name: &str) {
    header.as_gnu_mut().expect("a GNU header").name[..name.len()].copy_from_slice(name.as_bytes());
    header.set_cksum();
}

fn place(dir: &Path, over: &[(&str, &Path, Access)]) -> Place {
    let mut view = View::new(Root::open_path(dir).expect("opened")).expect("a view");
    for (path, source, access) in over {
        let source = root::open_path(source).expect("opened");
        assert!(view.mount(Path::new(path), source, *access).expect("put"));
    }
    let covered = vec!["/proc".into()];
    Place { view, path: "/".into(), read_only_root: false, covered, _turn: None, _held: None }
}

fn put(place: Place, keep_kinds: bool, tar: &[u8]) -> Result<()> {
    let directory = place.view.find(&place.path, Last::Follow).expect("found");
    Target::new(place, directory, Manner { keep_kinds, ..Manner::default() })?.unpack(tar)
}

#[test]
fn root_files_arrive_with_their_directories() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let tar = tar_of(&[("a/b/../c", EntryType::Regular, "hello"), ("a/l", EntryType::Symlink, "c")]);
    put(place(dir.path(), &[]), true, &tar).expect("unpacked");
    assert_eq!(std::fs::read_to_string(dir.path().join("a/l")).expect("read"), "hello");
}

#[test]
fn nothing_leaves_the_root() {
    let outside = tempfile::tempdir().expect("a temporary directory");
    let dir = tempfile::tempdir().expect("a temporary directory");
    let away = outside.path().display().to_string();
    let dotted = tar_of(&[("a/../../x", EntryType::Regular, "out")]);
    let error = put(place(dir.path(), &[]), true, &dotted).expect_err("refused");
    assert_eq!(error.to_string(), "invalid entry name \"a/../../x\"");
    let through = tar_of(&[("link", EntryType::Symlink, &away), ("link/x", EntryType::Regular, "out")]);
    let _ = put(place(dir.path(), &[]), true, &through);
    assert_eq!(std::fs::read_dir(outside.path()).expect("listed").count(), 0);
    let linked = tar_of(&[("pw", EntryType::Link, "../../../../etc/passwd")]);
    assert!(put(place(dir.path(), &[]), true, &linked).is_err());
}

#[test]
fn root_what_is_mounted_gets_its_files_also_through_symlinks() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let volume = tempfile::tempdir().expect("a temporary directory");
    std::fs::create_dir_all(dir.path().join("data/vol")).expect("made");
    std::os::unix::fs::symlink("/data/vol", dir.path().join("link")).expect("linked");
    std::os::unix::fs::symlink("/elsewhere", volume.path().join("out")).expect("linked");
    let over = |access| place(dir.path(), &[("/data/vol", volume.path(), access)]);
    let tar = tar_of(&[
        ("data/vol/", EntryType::Directory, ""),
        ("data/vol/sub/x", EntryType::Regular, "in the volume"),
        ("data/volume", EntryType::Regular, "beside it"),
        ("link/y", EntryType::Regular, "in the volume"),
        ("link/out/z", EntryType::Regular, "in the root"),
    ]);
    put(over(Access::Write), true, &tar).expect("unpacked");
    for inside in ["sub/x", "y"] {
        let text = std::fs::read_to_string(volume.path().join(inside));
        assert_eq!(text.expect("read"), "in the volume");
    }
    assert_eq!(std::fs::read_to_string(dir.path().join("elsewhere/z")).expect("read"), "in the root");
    assert_eq!(std::fs::read_dir(dir.path().join("data/vol")).expect("listed").count(), 0);
    assert!(dir.path().join("data/volume").exists());
    let error = put(over(Access::Read), true, &tar).expect_err("refused");
    assert!(error.to_string().ends_with("read-only file system"), "{error}");
}

#[test]
fn what_is_mounted_is_never_replaced() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let elsewhere = tempfile::tempdir().expect("a temporary directory");
    for folder in ["data/vol", "etc", "proc/fs"] {
        std::fs::create_dir_all(dir.path().join(folder)).expect("made");
    }
    std::fs::create_dir(elsewhere.path().join("vol")).expect("made");
    for file in ["vol/kept", "hosts"] {
        std::fs::write(elsewhere.path().join(file), "kept").expect("written");
    }
    std::fs::write(dir.path().join("etc/hosts"), "").expect("written");
    let (volume, hosts) = (elsewhere.path().join("vol"), elsewhere.path().join("hosts"));
    for name in ["data/vol", "data", "etc/hosts", "etc", "proc"] {
        let over = [("/data/vol", &*volume, Access::Write), ("/etc/hosts", &*hosts, Access::Write)];
        let tar = tar_of(&[(name, EntryType::Regular, "new")]);
        let error = put(place(dir.path(), &over), false, &tar).expect_err(name);
        assert_eq!(error.to_string(), format!("RemoveAll {name}: device or resource busy"));
    }
    assert!(volume.join("kept").exists() && dir.path().join("proc/fs").exists());
    assert_eq!(std::fs::read_to_string(hosts).expect("read"), "kept");
}

#[test]
fn root_kinds_are_kept_when_asked() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    std::fs::create_dir(dir.path().join("d")).expect("made");
    let tar = tar_of(&[("d", EntryType::Regular, "x")]);
    assert!(put(place(dir.path(), &[]), true, &tar).is_err());
    put(place(dir.path(), &[]), false, &tar).expect("replaced");
    assert!(dir.path().join("d").is_file());
}

#[test]
fn root_blank_fields_are_zero() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut tar = tar_of(&[("x", EntryType::Regular, "blank")]);
    // Blanks out mode, owner, group, time and device. The checksum counts its own field as spaces.
    for range in [100..124, 136..156, 329..345] {
        tar[range].fill(b' ');
    }
    let sum: u32 = tar[..512].iter().map(|byte| u32::from(*byte)).sum();
    tar[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    put(place(dir.path(), &[]), true, &tar).expect("unpacked");
    assert_eq!(std::fs::read_to_string(dir.path().join("x")).expect("read"), "blank");
}

#[test]
fn root_compressed_tars_are_taken() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let tar = tar_of(&[("x", EntryType::Regular, "zipped")]);
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut encoder, &tar).expect("written");
    put(place(dir.path(), &[]), true, &encoder.finish().expect("finished")).expect("unpacked");
    assert_eq!(std::fs::read_to_string(dir.path().join("x")).expect("read"), "zipped");
    assert!(put(place(dir.path(), &[]), true, b"BZh91AY").is_err());
}
