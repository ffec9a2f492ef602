//! The host's forwarding of packets, and its state before Gantry.
//!
//! Containers reach other hosts only while the kernel forwards packets (`net.ipv4.ip_forward` and its IPv6
//! counterpart), which is a setting of the whole host. A host that did not forward packets must not become a router
//! for its neighbours because of Gantry. So where Gantry switches forwarding on, its rules close forwarding
//! ([`Entry::Closed`]) to everything but bridges, and Gantry switches it off again when it withdraws.
//!
//! ```text
//! on    record → rules close → setting on
//! off   setting off → record → rules open
//! ```
//!
//! A crash between two steps leaves a host that forwards nothing, or only for bridges, and a record from which the
//! next start or withdrawal goes on. The record names the boot and the network namespace that it is about, because
//! another one has settings of its own. Of several Gantries in a namespace each closes it, and the last one to
//! withdraw switches forwarding off.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;

use gantry_netlink::nft::Family;
use gantry_netlink::sysctl;
use parking_lot::Mutex;

use crate::error::{Error, Result};
use crate::firewall::{self, Entry, Firewall};
use crate::record;
use crate::store::Store;

/// The key of the table's only row.
const KEY: &str = "forwarding";

/// The host's forwarding.
pub(crate) struct Forwarding {
    store: Store,
    /// The name of this Gantry's table.
    table: String,
    /// What this Gantry has switched on in this boot and namespace. Held during a change of the setting, of which the
    /// host has one.
    ours: Mutex<Ours>,
}

struct Ours {
    record: record::Forwarding,
    /// Families whose forwarding was on already, and not by a Gantry.
    theirs: BTreeSet<Family>,
}

impl Forwarding {
    /// Finds what an earlier process has switched on. Reads the rules in `table` too, before they are replaced: they
    /// tell it when the record is lost.
    pub(crate) fn open(store: &Store, table: String) -> Result<Self> {
        let here = here()?;
        let known = store.forwarding.get(&KEY.to_owned()).map_err(failed())?;
        let known = known.filter(|known| known.boot == here.boot && known.namespace == here.namespace);
        let ours = Ours { record: known.unwrap_or(here), theirs: BTreeSet::new() };
        let forwarding = Forwarding { store: store.clone(), table, ours: Mutex::new(ours) };
        let mut ours = forwarding.ours.lock();
        for family in firewall::closed(&forwarding.table)? {
            forwarding.note(&mut ours, family)?;
        }
        drop(ours);
        Ok(forwarding)
    }

    /// Switches off what this Gantry has switched on and no network needs. Blocks.
    pub(crate) fn keep(&self, needed: &BTreeSet<Family>) -> Result<()> {
        let mut ours = self.ours.lock();
        let idle = families(&ours.record).into_iter().filter(|family| !needed.contains(family)).collect();
        self.switch_off(&mut ours, idle)
    }

    /// Records durably that a family's forwarding was off.
    fn note(&self, ours: &mut Ours, family: Family) -> Result<()> {
        let mut record = ours.record.clone();
        match family {
            Family::Ip => record.ipv4 = true,
            Family::Ip6 => record.ipv6 = true,
        }
        if record == ours.record { Ok(()) } else { self.write(ours, record) }
    }

    /// The elements for the rules.
    pub(crate) fn entries(&self) -> BTreeSet<Entry> {
        families(&self.ours.lock().record).into_iter().map(Entry::Closed).collect()
    }

    /// Switches on the forwarding of these families. Blocks.
    pub(crate) fn allow(&self, families: &BTreeSet<Family>, firewall: &Firewall) -> Result<()> {
        families.iter().try_for_each(|family| self.switch_on(*family, firewall))
    }

    fn switch_on(&self, family: Family, firewall: &Firewall) -> Result<()> {
        let kernel = || Error::kernel("let packets through this host");
        let mut ours = self.ours.lock();
        let off = sysctl::read(setting(family)).map_err(kernel())? == "0";
        if !off && (ours.theirs.contains(&family) || families(&ours.record).contains(&family)) {
            return Ok(());
        }
        if !off && !firewall::closed_by_another(&self.table, family)? {
            ours.theirs.insert(family);
            return Ok(());
        }
        self.note(&mut ours, family)?;
        firewall.change(&BTreeSet::new(), &BTreeSet::from([Entry::Closed(family)]))?;
        if off {
            sysctl::write(setting(family), "1").map_err(kernel())?;
            tracing::info!(setting = setting(family), "forwarding switched on, for bridges alone");
        }
        Ok(())
    }

    /// Switches off what this Gantry has switched on, unless another Gantry needs it. Blocks.
    pub(crate) fn put_back(&self, firewall: &Firewall) -> Result<()> {
        let mut ours = self.ours.lock();
        ours.theirs.clear();
        let families = families(&ours.record);
        self.switch_off(&mut ours, families.clone())?;
        firewall.change(&families.into_iter().map(Entry::Closed).collect(), &BTreeSet::new())
    }

    fn switch_off(&self, ours: &mut Ours, families: Vec<Family>) -> Result<()> {
        if families.is_empty() {
            return Ok(());
        }
        let mut record = ours.record.clone();
        for family in families {
            if !firewall::closed_by_another(&self.table, family)? {
                let done = sysctl::ensure(setting(family), "0");
                done.map_err(Error::kernel("let packets through this host no longer"))?;
            }
            match family {
                Family::Ip => record.ipv4 = false,
                Family::Ip6 => record.ipv6 = false,
            }
        }
        self.write(ours, record)
    }

    fn write(&self, ours: &mut Ours, record: record::Forwarding) -> Result<()> {
        let mut batch = self.store.database.batch();
        batch.put(&self.store.forwarding, &KEY.to_owned(), &record);
        batch.commit_blocking().map_err(failed())?;
        ours.record = record;
        Ok(())
    }
}

fn setting(family: Family) -> &'static str {
    match family {
        Family::Ip => "net/ipv4/ip_forward",
        Family::Ip6 => "net/ipv6/conf/all/forwarding",
    }
}

fn families(record: &record::Forwarding) -> Vec<Family> {
    let both = [(record.ipv4, Family::Ip), (record.ipv6, Family::Ip6)];
    both.into_iter().filter_map(|(ours, family)| ours.then_some(family)).collect()
}

/// An empty record for the boot and the namespace of the calling thread.
fn here() -> Result<record::Forwarding> {
    let io = |path: &'static str| move |source| Error::Io { op: format!("read {path}"), source };
    let (boot, namespace) = ("/proc/sys/kernel/random/boot_id", "/proc/thread-self/ns/net");
    Ok(record::Forwarding {
        boot: fs::read_to_string(boot).map_err(io(boot))?.trim().to_owned(),
        namespace: fs::metadata(namespace).map_err(io(namespace))?.ino(),
        ..record::Forwarding::default()
    })
}

fn failed() -> impl FnOnce(gantry_disk::Error) -> Error {
    Error::disk("the host's forwarding")
}
