//! Compares records and kernel: finds objects with Gantry's marks and without a record, and objects that are recorded
//! and missing.

use std::collections::BTreeSet;
use std::fs;

use gantry_netlink::{Namespace, Route};

use crate::controller::Controller;
use crate::error::{Error, Result};
use crate::links;

/// An object without a record, or a record without its object.
#[derive(Clone, Debug)]
pub struct Stray {
    /// `netns`, `link`, `nft`, `record`.
    pub kind: &'static str,
    /// The object's name.
    pub name: String,
    /// What is wrong with it.
    pub detail: String,
    /// Whether it was repaired.
    pub repaired: bool,
}

impl Controller {
    /// Compares records and kernel. With `repair`, removes objects with Gantry's marks and without a record, and
    /// repairs the rules.
    pub fn check(&self, repair: bool) -> Result<Vec<Stray>> {
        let (namespaces, links) = self.unknown()?;
        let (used, namespaces): (Vec<_>, Vec<_>) =
            namespaces.into_iter().partition(|name| self.0.host.identity.is_used(name));
        let rules = self.0.host.firewall.check()?;
        let links_are_used = !used.is_empty();
        if repair {
            for name in &namespaces {
                let pin = self.0.host.identity.pin(name);
                // Under the lock, because a container of this id may have been started since the look.
                let state = self.0.state.lock();
                if state.netns(name).is_some() {
                    continue;
                }
                Namespace::unpin(&pin)
                    .map_err(Error::kernel(format!("remove stray network namespace {name}")))?;
            }
            if !links.is_empty() && !links_are_used {
                links::delete(&mut Route::open().map_err(Error::kernel("open rtnetlink"))?, links.clone());
            }
            if !rules.is_empty() {
                self.0.host.firewall.repair()?;
            }
        }
        let unknown = |kind, name, kept| {
            let detail =
                if kept { "no record knows it, but a task uses it: kept" } else { "no record knows it" };
            Stray { kind, name, detail: detail.to_owned(), repaired: repair && !kept }
        };
        let namespaces = namespaces.into_iter().map(|name| unknown("netns", name, false));
        let used = used.into_iter().map(|name| unknown("netns", name, true));
        let links = links.into_iter().map(|name| unknown("link", name, links_are_used));
        let name = || self.0.host.identity.table();
        let rules =
            rules.into_iter().map(|detail| Stray { kind: "nft", name: name(), detail, repaired: repair });
        Ok(namespaces.chain(used).chain(links).chain(rules).chain(self.incomplete()?).collect())
    }

    /// Recorded networks without their bridge, and recorded netns that are gone or lack an interface. Clients have to
    /// remove or detach them.
    fn incomplete(&self) -> Result<Vec<Stray>> {
        let links = self.0.host.route.lock().links().map_err(Error::kernel("list links"))?;
        let links: BTreeSet<String> = links.into_iter().map(|link| link.name).collect();
        let state = self.0.state.lock();
        let mut found = Vec::new();
        for network in state.list() {
            let interface = self.0.drivers.of(&network).ok().and_then(|driver| driver.interface(&network));
            if let Some(interface) = interface.filter(|interface| !links.contains(interface)) {
                let detail = format!("its interface {interface} is gone");
                let name = format!("network {}", network.name);
                found.push(Stray { kind: "record", name, detail, repaired: false });
            }
        }
        for netns in state.all_netns() {
            let pinned = Namespace::is_pinned(&self.0.host.identity.pin(&netns.id));
            let complete = netns
                .endpoints
                .iter()
                .all(|endpoint| endpoint.veth.is_empty() || links.contains(&endpoint.veth));
            let detail = match (pinned, complete) {
                (true, true) => continue,
                (false, _) => "its network namespace is gone",
                (true, false) => "an interface of it is gone",
            };
            found.push(Stray {
                kind: "record",
                name: format!("network namespace {}", netns.id),
                detail: detail.to_owned(),
                repaired: false,
            });
        }
        Ok(found)
    }

    /// Pins and links with Gantry's marks that no record has.
    fn unknown(&self) -> Result<(Vec<String>, Vec<String>)> {
        let io = |source| Error::Io { op: format!("list {}", self.0.host.identity.pins.display()), source };
        let mut pins = Vec::new();
        for entry in fs::read_dir(&self.0.host.identity.pins).map_err(io)? {
            pins.push(entry.map_err(io)?.file_name().to_string_lossy().into_owned());
        }
        let links = self.0.host.route.lock().links().map_err(Error::kernel("list links"))?;
        let state = self.0.state.lock();
        pins.retain(|name| state.netns(name).is_none());
        let (veths, bridges) = (state.veths(), state.bridges());
        let stray = |link: &gantry_netlink::Link| {
            let known = veths.contains(&link.name) || bridges.contains(&link.name);
            !known && self.0.drivers.all().any(|driver| driver.is_ours(link))
        };
        let links = links.into_iter().filter(stray).map(|link| link.name).collect();
        Ok((pins, links))
    }
}
