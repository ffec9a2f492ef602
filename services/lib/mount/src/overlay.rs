//! Overlay's directories as types. Only this module parses and writes the options `lowerdir=`, `upperdir=` and
//! `workdir=` in containerd's form.

use std::path::{Path, PathBuf};

use crate::{Mount, options};

const LOWER: &str = "lowerdir";
const UPPER: &str = "upperdir";
const WORK: &str = "workdir";

/// An overlay mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overlay {
    /// The upper directory; without it the overlay is read-only.
    pub upper: Option<Upper>,
    /// The lower directories, the topmost first.
    pub lower: Vec<PathBuf>,
    /// All other options.
    pub options: Vec<String>,
}

/// The directories of a writable overlay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upper {
    /// The upper directory: the differences from the lower ones.
    pub files: PathBuf,
    /// The work directory: for overlay's own use, empty, and on the same file system.
    pub work: PathBuf,
}

impl Overlay {
    /// The overlay of a mount; `None` for another file system, and for an upper directory without a work directory or
    /// the reverse.
    pub fn of(mount: &Mount) -> Option<Self> {
        if mount.fs_type != "overlay" {
            return None;
        }
        let (mut lower, mut files, mut work, mut others) = (Vec::new(), None, None, Vec::new());
        for option in &mount.options {
            match option.split_once('=') {
                Some((LOWER, value)) => {
                    lower = options::split_layers(value).into_iter().map(PathBuf::from).collect();
                }
                Some((UPPER, value)) => files = Some(PathBuf::from(options::unescape(value))),
                Some((WORK, value)) => work = Some(PathBuf::from(options::unescape(value))),
                _ => others.push(option.clone()),
            }
        }
        let upper = match (files, work) {
            (None, None) => None,
            (files, work) => Some(Upper { files: files?, work: work? }),
        };
        Some(Self { upper, lower, options: others })
    }

    /// The same files read-only, so that they can be mounted a second time.
    #[must_use]
    pub fn read_only(mut self) -> Self {
        if let Some(upper) = self.upper.take() {
            self.lower.insert(0, upper.files);
        }
        self
    }
}

impl From<Overlay> for Mount {
    /// With the options in containerd's order.
    fn from(overlay: Overlay) -> Self {
        let mut words = Vec::new();
        if let Some(Upper { files, work }) = &overlay.upper {
            words.push(format!("{WORK}={}", escaped(work, &['\\'])));
            words.push(format!("{UPPER}={}", escaped(files, &['\\'])));
        }
        let lower: Vec<String> = overlay.lower.iter().map(|path| escaped(path, &['\\', ':'])).collect();
        words.push(format!("{LOWER}={}", lower.join(":")));
        words.extend(overlay.options);
        Self { fs_type: "overlay".into(), source: "overlay".into(), target: String::new(), options: words }
    }
}

/// A path with its special characters escaped.
fn escaped(path: &Path, special: &[char]) -> String {
    let mut text = String::new();
    for character in path.to_string_lossy().chars() {
        if special.contains(&character) {
            text.push('\\');
        }
        text.push(character);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mount(options: &[&str]) -> Mount {
        let options = options.iter().map(|option| (*option).to_owned()).collect();
        Mount { fs_type: "overlay".into(), source: "overlay".into(), options, ..Mount::default() }
    }

    #[test]
    fn what_is_read_is_what_was_written() {
        for options in [
            &["workdir=/w", "upperdir=/u", "lowerdir=/b:/a", "index=off", "userxattr"][..],
            &["lowerdir=/b\\:1:/a\\\\2", "index=off"],
            &["workdir=/w:1", "upperdir=/u\\\\2", "lowerdir=/a"],
        ] {
            let overlay = Overlay::of(&mount(options)).unwrap();
            assert_eq!(Mount::from(overlay), mount(options));
        }
        let overlay = Overlay::of(&mount(&["lowerdir=/b\\:1:/a"])).unwrap();
        assert_eq!(overlay.lower, [PathBuf::from("/b:1"), PathBuf::from("/a")]);
    }

    #[test]
    fn what_is_no_overlay_or_half_of_one_is_none() {
        assert_eq!(Overlay::of(&Mount::bind("/a", true)), None);
        assert_eq!(Overlay::of(&mount(&["upperdir=/u", "lowerdir=/a"])), None);
    }

    #[test]
    fn a_second_overlay_only_reads() {
        let overlay = Overlay::of(&mount(&["workdir=/w", "upperdir=/u", "lowerdir=/a:/b"])).unwrap();
        let read_only = overlay.read_only();
        assert_eq!(Mount::from(read_only.clone()), mount(&["lowerdir=/u:/a:/b"]));
        assert_eq!(read_only.clone().read_only(), read_only);
    }
}
