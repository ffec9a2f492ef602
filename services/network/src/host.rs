//! What network drivers use on the host: rtnetlink, the rules, forwarding, and the names and marks of this Gantry.

use gantry_netlink::Route;
use parking_lot::Mutex;

use crate::firewall::Firewall;
use crate::forwarding::Forwarding;
use crate::identity::Identity;
use crate::links::Deleter;

/// The host's side of all networks.
pub(crate) struct Host {
    /// rtnetlink in the host's network namespace. One socket is enough: the kernel has one lock for all of them.
    pub(crate) route: Mutex<Route>,
    pub(crate) firewall: Firewall,
    pub(crate) forwarding: Forwarding,
    pub(crate) identity: Identity,
    pub(crate) deleter: Deleter,
}
