//! Mount options as text, in containerd's and OCI's spelling, which is that of mount(8).

use rustix::mount::MountAttrFlags;

use crate::{Attributes, Error, Recursive, Result};

/// The propagation of mounts and unmounts between mount namespaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Propagation {
    /// In neither direction.
    Private,
    /// In both directions.
    Shared,
    /// From the host only.
    Slave,
    /// Private, and it cannot be bound elsewhere.
    Unbindable,
}

/// Options, sorted by what the kernel does with them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// A bind mount, with or without the mounts below its source.
    pub bind: Option<Recursive>,
    /// Change the existing mount.
    pub remount: bool,
    /// Attributes of the mount.
    pub attributes: Attributes,
    /// Attributes of the mount and of all mounts below it (`rro`, `rnosuid`, …).
    pub recursive_attributes: Attributes,
    /// The propagation.
    pub propagation: Option<(Propagation, Recursive)>,
    /// The file system as a whole is read-only.
    pub read_only: bool,
    /// Flags of the file system as a whole, in the kernel's spelling.
    pub super_words: Vec<&'static str>,
    /// Options that the file system parses.
    pub data: Vec<(String, Option<String>)>,
}

/// The id maps of the files: `inside:outside:count,…`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ids {
    pub users: String,
    pub groups: String,
}

impl Options {
    /// Sorts options. Each option is an element of its own, because overlay's directories may have commas in their
    /// names. Refuses the options `uidmap=` and `gidmap=`: only a caller that makes a container may map ids.
    pub fn parse<S: AsRef<str>>(words: &[S]) -> Result<Self> {
        let mut options = Self {
            bind: None,
            remount: false,
            attributes: Attributes::NONE,
            recursive_attributes: Attributes::NONE,
            propagation: None,
            read_only: false,
            super_words: Vec::new(),
            data: Vec::new(),
        };
        for word in words {
            options.take(word.as_ref())?;
        }
        Ok(options)
    }

    /// As [`Self::parse`], with the id maps.
    pub(crate) fn parse_mapped(words: &[String]) -> Result<(Self, Option<Ids>)> {
        let (mut users, mut groups) = (None, None);
        let mut others = Vec::new();
        for word in words {
            match word.split_once('=') {
                Some(("uidmap", ranges)) => users = Some(ranges.to_owned()),
                Some(("gidmap", ranges)) => groups = Some(ranges.to_owned()),
                _ => others.push(word),
            }
        }
        let ids = match (users, groups) {
            (None, None) => None,
            (Some(users), Some(groups)) => Some(Ids { users, groups }),
            _ => {
                let reason = "uidmap and gidmap go together".to_owned();
                return Err(Error::Unmapped { object: words.join(","), reason });
            }
        };
        Ok((Self::parse(&others)?, ids))
    }

    /// The flags of the file system, as opposed to those of the mount.
    pub(crate) fn super_flags(&self) -> impl Iterator<Item = &'static str> {
        self.read_only.then_some("ro").into_iter().chain(self.super_words.iter().copied())
    }

    fn take(&mut self, word: &str) -> Result<()> {
        match word {
            "" | "defaults" | "rw" | "ro" if word != "ro" => {
                if word == "rw" {
                    self.attributes.turn(MountAttrFlags::MOUNT_ATTR_RDONLY, false);
                    self.read_only = false;
                }
            }
            "ro" => {
                self.attributes.turn(MountAttrFlags::MOUNT_ATTR_RDONLY, true);
                self.read_only = true;
            }
            "bind" => self.bind = Some(self.bind.unwrap_or(Recursive::No)),
            "rbind" => self.bind = Some(Recursive::Yes),
            "remount" => self.remount = true,
            "sync" | "async" | "dirsync" | "lazytime" | "nolazytime" | "mand" | "nomand" => {
                self.super_word(word)
            }
            "silent" | "loud" | "iversion" | "noiversion" => {}
            "loop" => return Err(Error::UnsupportedOption(word.to_owned())),
            _ if word.starts_with("uidmap=") || word.starts_with("gidmap=") => {
                return Err(Error::UnsupportedOption(word.to_owned()));
            }
            _ if self.take_propagation(word) || self.take_attribute(word) => {}
            _ => match word.split_once('=') {
                Some((key, value)) => self.data.push((key.to_owned(), Some(value.to_owned()))),
                None => self.data.push((word.to_owned(), None)),
            },
        }
        Ok(())
    }

    fn super_word(&mut self, word: &str) {
        const WORDS: [&str; 7] = ["sync", "async", "dirsync", "lazytime", "nolazytime", "mand", "nomand"];
        if let Some(known) = WORDS.into_iter().find(|known| *known == word) {
            self.super_words.push(known);
        }
    }

    fn take_propagation(&mut self, word: &str) -> bool {
        let (name, recursive) = match word.strip_prefix('r') {
            Some(name) => (name, Recursive::Yes),
            None => (word, Recursive::No),
        };
        let propagation = match name {
            "private" => Propagation::Private,
            "shared" => Propagation::Shared,
            "slave" => Propagation::Slave,
            "unbindable" => Propagation::Unbindable,
            _ => return false,
        };
        self.propagation = Some((propagation, recursive));
        true
    }

    fn take_attribute(&mut self, word: &str) -> bool {
        if turn(&mut self.attributes, word) {
            return true;
        }
        match word.strip_prefix('r') {
            Some("ro") => self.recursive_attributes.turn(MountAttrFlags::MOUNT_ATTR_RDONLY, true),
            Some("rw") => self.recursive_attributes.turn(MountAttrFlags::MOUNT_ATTR_RDONLY, false),
            Some(rest) => return turn(&mut self.recursive_attributes, rest),
            None => return false,
        }
        true
    }
}

fn turn(attributes: &mut Attributes, word: &str) -> bool {
    match word {
        "nosuid" => attributes.turn(MountAttrFlags::MOUNT_ATTR_NOSUID, true),
        "suid" => attributes.turn(MountAttrFlags::MOUNT_ATTR_NOSUID, false),
        "nodev" => attributes.turn(MountAttrFlags::MOUNT_ATTR_NODEV, true),
        "dev" => attributes.turn(MountAttrFlags::MOUNT_ATTR_NODEV, false),
        "noexec" => attributes.turn(MountAttrFlags::MOUNT_ATTR_NOEXEC, true),
        "exec" => attributes.turn(MountAttrFlags::MOUNT_ATTR_NOEXEC, false),
        "nodiratime" => attributes.turn(MountAttrFlags::MOUNT_ATTR_NODIRATIME, true),
        "diratime" => attributes.turn(MountAttrFlags::MOUNT_ATTR_NODIRATIME, false),
        "nosymfollow" => attributes.turn(MountAttrFlags::MOUNT_ATTR_NOSYMFOLLOW, true),
        "symfollow" => attributes.turn(MountAttrFlags::MOUNT_ATTR_NOSYMFOLLOW, false),
        "noatime" => attributes.access_time(MountAttrFlags::MOUNT_ATTR_NOATIME),
        "relatime" | "atime" | "norelatime" | "nostrictatime" => {
            attributes.access_time(MountAttrFlags::MOUNT_ATTR_RELATIME);
        }
        "strictatime" => attributes.access_time(MountAttrFlags::MOUNT_ATTR_STRICTATIME),
        _ => return false,
    }
    true
}

/// Splits overlay's `lowerdir` at its colons; `\:` and `\\` are escapes.
pub(crate) fn split_layers(value: &str) -> Vec<String> {
    let mut layers = vec![String::new()];
    let mut characters = value.chars();
    while let Some(character) = characters.next() {
        let last = layers.last_mut().expect("the list starts with one layer and never shrinks");
        match character {
            ':' => layers.push(String::new()),
            '\\' => last.extend(characters.next()),
            other => last.push(other),
        }
    }
    layers.retain(|layer| !layer.is_empty());
    layers
}

/// Removes the escapes from the name of one directory.
pub(crate) fn unescape(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    let mut characters = value.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => text.extend(characters.next()),
            other => text.push(other),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlay_options_become_data_in_order() {
        let options =
            Options::parse(&["workdir=/w", "upperdir=/u", "lowerdir=/b:/a", "index=off", "userxattr"])
                .unwrap();
        assert_eq!(options.data[0], ("workdir".into(), Some("/w".into())));
        assert_eq!(options.data[4], ("userxattr".into(), None));
        assert!(options.bind.is_none() && options.attributes.is_empty());
    }

    #[test]
    fn later_words_win() {
        let options = Options::parse(&["ro", "rbind", "rw", "nosuid", "noatime", "strictatime"]).unwrap();
        assert_eq!(options.bind, Some(Recursive::Yes));
        assert!(!options.attributes.set.contains(MountAttrFlags::MOUNT_ATTR_RDONLY));
        assert!(options.attributes.clear.contains(MountAttrFlags::MOUNT_ATTR_RDONLY));
        assert!(options.attributes.set.contains(MountAttrFlags::MOUNT_ATTR_NOSUID));
        assert!(!options.read_only);
        assert!(options.attributes.set.contains(MountAttrFlags::MOUNT_ATTR_STRICTATIME));
        assert!(!options.attributes.set.contains(MountAttrFlags::MOUNT_ATTR_NOATIME));
    }

    #[test]
    fn recursive_words_are_not_mistaken_for_plain_ones() {
        let options = Options::parse(&["bind", "rro", "rslave", "relatime", "rnodev"]).unwrap();
        assert!(options.recursive_attributes.set.contains(MountAttrFlags::MOUNT_ATTR_RDONLY));
        assert!(options.recursive_attributes.set.contains(MountAttrFlags::MOUNT_ATTR_NODEV));
        assert_eq!(options.propagation, Some((Propagation::Slave, Recursive::Yes)));
        assert_eq!(options.bind, Some(Recursive::No));
        assert!(options.data.is_empty());
    }

    #[test]
    fn ids_are_told_apart_and_go_together() {
        let words = ["ro", "uidmap=0:1:2", "gidmap=0:3:4", "index=off"].map(str::to_owned);
        let (options, ids) = Options::parse_mapped(&words).unwrap();
        assert_eq!(ids, Some(Ids { users: "0:1:2".into(), groups: "0:3:4".into() }));
        assert_eq!(options.data, [("index".into(), Some("off".into()))]);
        assert!(Options::parse_mapped(&words[..2]).is_err() && Options::parse(&words).is_err());
        assert_eq!(Options::parse_mapped(&words[3..]).unwrap().1, None);
    }

    #[test]
    fn escaped_colons_stay_in_a_layer() {
        assert_eq!(split_layers("/top:/a\\:b:/c\\\\d"), ["/top", "/a:b", "/c\\d"]);
    }
}
