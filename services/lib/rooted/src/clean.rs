//! Paths as they are written.

use std::path::{Component, Path, PathBuf};

/// An absolute path without `.`, `..` and doubled slashes: `..` takes the part before it away by name alone, and does not lead
/// out of the root. What is relative is taken for relative to the root. No file system is asked.
pub fn clean(path: impl AsRef<Path>) -> PathBuf {
    let mut clean = PathBuf::from("/");
    for part in path.as_ref().components() {
        match part {
            Component::Normal(name) => clean.push(name),
            Component::ParentDir => drop(clean.pop()),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_and_slashes_go_and_the_root_is_not_left() {
        for (path, expected) in [
            ("", "/"),
            ("a", "/a"),
            ("/a/./b//c/", "/a/b/c"),
            ("/a/../../b", "/b"),
            ("../..", "/"),
            ("/.", "/"),
        ] {
            assert_eq!(clean(path), Path::new(expected), "{path}");
        }
    }
}
