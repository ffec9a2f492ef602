//! mount(2) with the options of an fstab line, for file systems that users name.

use std::ffi::CString;
use std::path::Path;

use rustix::mount::{MountFlags, MountPropagationFlags};

use crate::{Error, Result};

/// Options sorted for mount(2): flags, propagation, and the data that the file system parses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Classic {
    /// The flags of mount(2).
    pub flags: MountFlags,
    /// Set after the mount is made.
    pub propagation: MountPropagationFlags,
    /// The other options, separated by commas.
    pub data: String,
}

impl Classic {
    /// Sorts options that are separated by commas; an unknown option is for the file system.
    pub fn parse(text: &str) -> Self {
        let (mut flags, mut propagation) = (MountFlags::empty(), MountPropagationFlags::empty());
        let mut data = Vec::new();
        for word in text.split(',') {
            use MountPropagationFlags as Spread;
            let rec = Spread::REC;
            let (set, flag) = match word {
                "" | "defaults" => continue,
                "ro" => (true, MountFlags::RDONLY),
                "rw" => (false, MountFlags::RDONLY),
                "nosuid" => (true, MountFlags::NOSUID),
                "suid" => (false, MountFlags::NOSUID),
                "nodev" => (true, MountFlags::NODEV),
                "dev" => (false, MountFlags::NODEV),
                "noexec" => (true, MountFlags::NOEXEC),
                "exec" => (false, MountFlags::NOEXEC),
                "sync" => (true, MountFlags::SYNCHRONOUS),
                "async" => (false, MountFlags::SYNCHRONOUS),
                "dirsync" => (true, MountFlags::DIRSYNC),
                "mand" => (true, MountFlags::PERMIT_MANDATORY_FILE_LOCKING),
                "nomand" => (false, MountFlags::PERMIT_MANDATORY_FILE_LOCKING),
                "noatime" => (true, MountFlags::NOATIME),
                "atime" => (false, MountFlags::NOATIME),
                "nodiratime" => (true, MountFlags::NODIRATIME),
                "diratime" => (false, MountFlags::NODIRATIME),
                "relatime" => (true, MountFlags::RELATIME),
                "norelatime" => (false, MountFlags::RELATIME),
                "strictatime" => (true, MountFlags::STRICTATIME),
                "nostrictatime" => (false, MountFlags::STRICTATIME),
                "bind" => (true, MountFlags::BIND),
                "rbind" => (true, MountFlags::BIND.union(MountFlags::REC)),
                "private" | "rprivate" | "shared" | "rshared" | "slave" | "rslave" | "unbindable"
                | "runbindable" => {
                    let kind = match word.strip_prefix('r').unwrap_or(word) {
                        "private" => Spread::PRIVATE,
                        "shared" => Spread::SHARED,
                        "slave" => Spread::DOWNSTREAM,
                        _ => Spread::UNBINDABLE,
                    };
                    propagation |= if word.starts_with('r') { kind | rec } else { kind };
                    continue;
                }
                word => {
                    data.push(word);
                    continue;
                }
            };
            flags.set(flag, set);
        }
        Self { flags, propagation, data: data.join(",") }
    }

    /// Mounts `device` at `place`. A read-only bind takes two calls, because the kernel ignores the flag in the
    /// first.
    ///
    /// # Errors
    ///
    /// What the kernel reports; nothing is mounted then.
    pub fn mount(&self, device: &str, kind: &str, place: &Path) -> Result<()> {
        let data = CString::new(self.data.as_str())
            .map_err(|_| Error::Malformed { what: "mount options", text: self.data.clone() })?;
        rustix::mount::mount(device, place, kind, self.flags, Some(data.as_c_str()))
            .map_err(|e| Error::path("mount at", place, e))?;
        let read_only = MountFlags::BIND | MountFlags::RDONLY;
        let changed = match self.flags.contains(read_only) {
            true => rustix::mount::mount_remount(place, self.flags, data.as_c_str()),
            false => Ok(()),
        };
        let changed = changed.and_then(|()| match self.propagation.is_empty() {
            true => Ok(()),
            false => rustix::mount::mount_change(place, self.propagation),
        });
        changed.map_err(|e| {
            // The caller gets the first error, not that of the unmount.
            let _ = crate::detach(place);
            Error::path("change the mount at", place, e)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_sorted_by_who_reads_them() {
        let parsed = Classic::parse("addr=1.2.3.4,ro,nosuid,vers=4,,suid,rshared");
        assert_eq!(parsed.flags, MountFlags::RDONLY);
        assert_eq!(parsed.propagation, MountPropagationFlags::SHARED | MountPropagationFlags::REC);
        assert_eq!(parsed.data, "addr=1.2.3.4,vers=4");
        assert_eq!(Classic::parse("bind").flags.bits(), 0x1000);
        assert_eq!(Classic::parse("").data, "");
    }
}
