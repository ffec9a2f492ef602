//! Network namespaces made in advance: each takes the kernel most of a millisecond, which the start of a container
//! then need not wait for. They are anonymous until they are taken, and vanish with this process.

use std::sync::Arc;

use gantry_netlink::{Namespace, Route, or_missing, sysctl};
use parking_lot::Mutex;

use crate::error::{Error, Result};

/// How many namespaces are kept.
const SIZE: usize = 4;

/// A namespace with `lo` up, and a socket to configure it.
#[derive(Debug)]
pub struct Prepared {
    /// The namespace.
    pub namespace: Namespace,
    /// rtnetlink in the namespace.
    pub route: Route,
}

/// The namespaces made in advance. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct NetnsPool(Arc<Mutex<Vec<Prepared>>>);

impl NetnsPool {
    /// Takes a namespace; makes one when none is left. Blocks.
    pub fn take(&self) -> Result<Prepared> {
        let waiting = self.0.lock().pop();
        match waiting {
            Some(prepared) => Ok(prepared),
            None => make(),
        }
    }

    /// Makes the missing namespaces. Blocks.
    pub fn refill(&self) {
        while self.0.lock().len() < SIZE {
            match make() {
                Ok(prepared) => {
                    let mut waiting = self.0.lock();
                    if waiting.len() < SIZE {
                        waiting.push(prepared);
                    }
                }
                Err(error) => {
                    tracing::warn!(error = %gantry_rpc::chain(&error), "no network namespace could be made in advance");
                    return;
                }
            }
        }
    }
}

fn make() -> Result<Prepared> {
    let setup = || {
        let mut route = Route::open()?;
        let lo = route.index("lo")?;
        route.set_up(lo)?;
        // Interfaces get IPv6 when their network has it; `lo` keeps ::1. The kernel may have been booted without
        // IPv6.
        or_missing(sysctl::write("net/ipv6/conf/default/disable_ipv6", "1"))?;
        or_missing(sysctl::write("net/ipv6/conf/default/accept_dad", "0"))?;
        // As with Docker: a container's user may listen on any port, and ping.
        sysctl::write("net/ipv4/ip_unprivileged_port_start", "0")?;
        sysctl::write("net/ipv4/ping_group_range", "0 2147483647")?;
        Ok(route)
    };
    let failed = || Error::kernel("make a network namespace");
    let (namespace, route) = Namespace::create(setup).map_err(failed())?;
    Ok(Prepared { namespace, route: route.map_err(failed())? })
}
