//! Drops privileges before the async runtime starts its threads, because capabilities belong to a thread
//! (capabilities(7)).

use caps::{CapSet, Capability, CapsHashSet};
use gantry_descriptor::Privileges;

/// Why privileges cannot be dropped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// capset(2) or prctl(2) failed.
    #[error("drop capabilities from the {set:?} set")]
    Capabilities {
        /// The set.
        set: CapSet,
        /// The kernel's error.
        #[source]
        source: caps::errors::CapsError,
    },
    /// prctl(PR_SET_NO_NEW_PRIVS) failed.
    #[error("set no_new_privs")]
    NoNewPrivileges(#[source] rustix::io::Errno),
}

/// Drops privileges of the calling thread, and of every thread that it starts later.
///
/// # Errors
///
/// When the kernel refuses: the service must not run with more privileges than it needs.
pub fn drop_to(privileges: &Privileges) -> Result<(), Error> {
    let Privileges::Only(kept) = privileges else { return Ok(()) };
    let available = read(CapSet::Permitted)?;
    let kept: CapsHashSet =
        kept.iter().copied().filter(|capability| available.contains(capability)).collect();

    // Reducing the bounding set needs CAP_SETPCAP, so it comes first.
    if available.contains(&Capability::CAP_SETPCAP) {
        for capability in read(CapSet::Bounding)?.difference(&kept) {
            caps::drop(None, CapSet::Bounding, *capability)
                .map_err(|source| Error::Capabilities { set: CapSet::Bounding, source })?;
        }
    }
    let inherited = CapsHashSet::new();
    for (set, value) in
        [(CapSet::Inheritable, &inherited), (CapSet::Effective, &kept), (CapSet::Permitted, &kept)]
    {
        caps::set(None, set, value).map_err(|source| Error::Capabilities { set, source })?;
    }
    rustix::thread::set_no_new_privs(true).map_err(Error::NoNewPrivileges)
}

fn read(set: CapSet) -> Result<CapsHashSet, Error> {
    caps::read(None, set).map_err(|source| Error::Capabilities { set, source })
}
