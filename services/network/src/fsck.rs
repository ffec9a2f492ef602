//! Records and kernel compared: what carries our marks without a record, and what is on record but not there.

use std::collections::BTreeSet;
use std::fs;

use gantry_netlink::{Namespace, Route};

use crate::controller::Controller;
use crate::error::{Error, Result};
use crate::links;

/// Something that belongs to nobody, or is missing.
#[derive(Clone, Debug)]
pub struct Stray {
    /// `netns`, `link`, `nft`, `record`.
    pub kind: &'static str,
    /// Which one.
    pub name: String,
    /// What is wrong with it.
    pub detail: String,
    /// Whether that was mended.
    pub repaired: bool,
}

impl Controller {
    /// Compares records and kernel; removes what carries our marks without a record, and mends the rules, if asked to.
    pub fn check(&self, repair: bool) -> Result<Vec<Stray>> {
        let (namespaces, links) = self.unknown()?;
        let (used, namespaces): (Vec<_>, Vec<_>) =
            namespaces.into_iter().partition(|name| self.0.host.identity.is_used(name));
        let rules = self.0.host.firewall.check()?;
        let links_are_used = !used.is_empty();
        if repair {
            for name in &namespaces {
                let pin = self.0.host.identity.pin(name);
                // Under the lock, for a container of this id may have been started since it was looked at.
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

    /// Networks on record whose bridge is gone, and network namespaces on record that are gone or lack an interface. They
    /// are their owner's to remove or detach.
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

    /// Pins and links of ours that no record knows.
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
