//! Privileges, dropped before the runtime starts its threads (capabilities are
//! per thread, capabilities(7)).

use caps::{CapSet, Capability, CapsHashSet};
use gantry_descriptor::Privileges;

/// Why privileges could not be dropped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// capset(2) or prctl(2) refused.
    #[error("drop capabilities from the {set:?} set")]
    Capabilities {
        /// Which set.
        set: CapSet,
        /// What the kernel said.
        #[source]
        source: caps::errors::CapsError,
    },
    /// prctl(PR_SET_NO_NEW_PRIVS) refused.
    #[error("set no_new_privs")]
    NoNewPrivileges(#[source] rustix::io::Errno),
}

/// Reduces the calling thread, and every thread it starts later.
///
/// # Errors
///
/// When the kernel refuses: the service must not run with more than it should have.
pub fn drop_to(privileges: &Privileges) -> Result<(), Error> {
    let Privileges::Only(kept) = privileges else { return Ok(()) };
    let available = read(CapSet::Permitted)?;
    let kept: CapsHashSet =
        kept.iter().copied().filter(|capability| available.contains(capability)).collect();

    // The bounding set can only be reduced with CAP_SETPCAP: before the others.
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
