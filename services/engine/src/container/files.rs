//! The three files that are mounted in `/etc`: hosts, hostname, resolv.conf.
//!
//! They are rewritten in place, because a container's mounts hold their inodes. Each start writes them completely.
//! While the container runs, the engine keeps the changes that the container makes.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use gantry_api::network::Netns;
use gantry_spec::RuntimeFiles;

use super::hosts::{self, Line};
use super::links;
use super::mode::NetworkMode;
use super::network::DEFAULT;
use crate::blocking::blocking;
use crate::containers::Containers;
use crate::error::{Error, Result};
use crate::paths::Paths;
use crate::peers::Networks;
use crate::record::Record;

/// The address of the name service on user-defined networks.
const NAME_SERVICE: &str = "127.0.0.11";
/// Used if the host has no name server that a container can reach.
const PUBLIC_SERVERS: [&str; 2] = ["8.8.8.8", "8.8.4.4"];
/// The host's files; the second one is used if the first only names a local stub resolver.
const HOST_RESOLV: [&str; 2] = ["/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"];

/// The files of containers. Cheap to clone.
#[derive(Clone)]
pub struct Files {
    pub(super) containers: Containers,
    networks: Networks,
    pub(super) paths: Paths,
    /// Held while lines about other containers are looked up and written into hosts files.
    pub(super) hosts: Arc<tokio::sync::Mutex<()>>,
}

impl Files {
    /// The files of these containers.
    pub fn new(containers: &Containers, networks: &Networks, paths: &Paths) -> Files {
        Files {
            containers: containers.clone(),
            networks: networks.clone(),
            paths: paths.clone(),
            hosts: Arc::default(),
        }
    }

    /// Makes a container's directory, unless it is there.
    pub(crate) fn make_directory(&self, record: &Record) -> Result<()> {
        let directory = self.paths.container(&record.id);
        std::fs::create_dir_all(&directory)
            .map_err(|source| Error::io("create directory", &directory, source))
    }

    /// Writes the files of a container that is about to start. `netns` is `None` for the host's network.
    pub(crate) async fn write(&self, record: &Record, netns: Option<&Netns>) -> Result<()> {
        let files = self.paths.files(&record.id);
        let gateways = self.host_gateways(record).await?;
        let resolv = resolv_conf(record, netns, &host_resolv());
        let hostname = format!("{}\n", record.config.hostname);
        // The lock is held so that a linked container whose address changes meanwhile updates these files afterwards.
        let _turn = if record.links.is_empty() { None } else { Some(self.hosts.lock().await) };
        let linked: Vec<Line> = self.containers.linked(record)?.iter().map(links::line).collect();
        let hosts = hosts_of(record, netns, &gateways, linked);
        blocking(move || {
            put(&files.hosts, &hosts)?;
            put(&files.resolv_conf, &resolv)?;
            put(&files.hostname, &hostname)
        })
        .await
    }

    /// Changes the files of a running container from its former networks to its present ones, and keeps what the
    /// container has changed.
    pub(crate) async fn refresh(&self, record: &Record, before: Option<&Netns>, after: &Netns) -> Result<()> {
        let own = |netns: &Netns| hosts::own(record, netns);
        let (old, new) = (before.map(own).unwrap_or_default(), own(after));
        let gone: Vec<Line> = old.iter().filter(|line| !new.contains(line)).cloned().collect();
        let new: Vec<Line> = new.into_iter().filter(|line| !old.contains(line)).collect();
        self.edit(record, before, after, move |text| hosts::changed(text, &gone, &new)).await
    }

    /// Brings the files of a running container in line with its present networks, after a change was interrupted.
    /// `before` has the networks that the container may have left, whose addresses are not known any more.
    pub(crate) async fn settle(&self, record: &Record, before: &Netns, after: &Netns) -> Result<()> {
        let (of, own) = (record.clone(), hosts::own(record, after));
        self.edit(record, Some(before), after, move |text| hosts::settled(text, &of, &own)).await
    }

    async fn edit(
        &self,
        record: &Record,
        before: Option<&Netns>,
        after: &Netns,
        hosts: impl FnOnce(&str) -> String + Send + 'static,
    ) -> Result<()> {
        let files = self.paths.files(&record.id);
        let host = host_resolv();
        let (old, new) = (resolv_conf(record, before, &host), resolv_conf(record, Some(after), &host));
        let _turn = self.hosts.lock().await;
        links::edit(files.hosts, hosts).await?;
        links::edit(files.resolv_conf, move |text| if text == old { new } else { text.to_owned() }).await
    }

    /// The addresses of the default network's gateways, if the container uses `host-gateway`.
    async fn host_gateways(&self, record: &Record) -> Result<Vec<String>> {
        if !record.host.extra_hosts.iter().any(|entry| entry.ends_with(hosts::HOST_GATEWAY)) {
            return Ok(Vec::new());
        }
        let network = self.networks.find(DEFAULT).await?;
        let subnets = network.ipam.subnets;
        let gateways: Vec<String> =
            subnets.into_iter().map(|one| one.gateway).filter(|one| !one.is_empty()).collect();
        if gateways.is_empty() {
            return Err(Error::Invalid("unable to derive the IP value for host-gateway".to_owned()));
        }
        Ok(gateways)
    }

    /// The paths of a container's files: its own, or those of the container whose network namespace it shares,
    /// directly or through others.
    pub(crate) fn of(&self, record: &Record) -> Result<RuntimeFiles> {
        let NetworkMode::Container(other) = NetworkMode::of(&record.host.network_mode) else {
            return Ok(self.paths.files(&record.id));
        };
        let mut owner = self.containers.find(other)?.record();
        while let NetworkMode::Container(other) = NetworkMode::of(&owner.host.network_mode) {
            owner = self.containers.find(other)?.record();
        }
        Ok(self.paths.files(&owner.id))
    }
}

/// The hosts file of a container that is about to start.
fn hosts_of(record: &Record, netns: Option<&Netns>, gateways: &[String], linked: Vec<Line>) -> String {
    if netns.is_none() && record.host.extra_hosts.is_empty() {
        // On the host's network, the file also has the host's own names.
        if let Ok(own) = std::fs::read_to_string("/etc/hosts") {
            return own;
        }
    }
    let own = netns.map(|netns| hosts::own(record, netns)).unwrap_or_default();
    hosts::whole(&[hosts::added(record, gateways), linked, own].concat())
}

/// Writes in place, so that a running container sees the new content.
pub(super) fn put(path: &Path, content: &str) -> Result<()> {
    std::fs::write(path, content).map_err(|source| Error::io("write", path, source))
}

fn host_resolv() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let first = read(HOST_RESOLV[0]);
    let only_stub = servers(&first).iter().all(|server| server.starts_with("127.0.0.53"));
    if only_stub && !servers(&first).is_empty() {
        let real = read(HOST_RESOLV[1]);
        if !servers(&real).is_empty() {
            return real;
        }
    }
    first
}

fn servers(resolv: &str) -> Vec<String> {
    words(resolv, "nameserver").into_iter().flat_map(|line| line.into_iter().next()).collect()
}

/// For each line that begins with a keyword, the words after it.
fn words(resolv: &str, keyword: &str) -> Vec<Vec<String>> {
    resolv
        .lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            (words.next() == Some(keyword)).then(|| words.map(str::to_owned).collect())
        })
        .collect()
}

fn resolv_conf(record: &Record, netns: Option<&Netns>, host: &str) -> String {
    let own = &record.host;
    let asked = !own.dns.is_empty() || !own.dns_search.is_empty() || !own.dns_options.is_empty();
    if netns.is_none() && !asked {
        return host.to_owned();
    }
    let search: Vec<String> = if own.dns_search.is_empty() {
        words(host, "search").pop().unwrap_or_default()
    } else {
        own.dns_search.iter().filter(|domain| *domain != ".").cloned().collect()
    };
    let mut options: Vec<String> =
        if own.dns_options.is_empty() { words(host, "options").concat() } else { own.dns_options.clone() };
    let name_service =
        netns.is_some_and(|netns| netns.endpoints.iter().any(|endpoint| endpoint.name_service));
    let servers = if name_service {
        if !options.iter().any(|option| option.starts_with("ndots:")) {
            options.push("ndots:0".to_owned());
        }
        vec![NAME_SERVICE.to_owned()]
    } else if !own.dns.is_empty() {
        own.dns.clone()
    } else {
        let mut reachable = servers(host);
        if netns.is_some() {
            reachable.retain(|server| !server.starts_with("127.") && server != "::1");
        }
        if reachable.is_empty() { PUBLIC_SERVERS.map(str::to_owned).to_vec() } else { reachable }
    };
    let mut text = String::new();
    for server in servers {
        let _ = writeln!(text, "nameserver {server}");
    }
    if !search.is_empty() {
        let _ = writeln!(text, "search {}", search.join(" "));
    }
    if !options.is_empty() {
        let _ = writeln!(text, "options {}", options.join(" "));
    }
    text
}

#[cfg(test)]
mod tests {
    use gantry_api::network::{Address, Endpoint};

    use super::*;

    fn netns(name_service: bool) -> Netns {
        let gateway = "172.17.0.1".parse().ok();
        let address = Address { address: "172.17.0.2".parse().expect("an address"), prefix: 16, gateway };
        let endpoint = Endpoint { ipv4: Some(address), name_service, ..Default::default() };
        Netns { endpoints: vec![endpoint], ..Default::default() }
    }

    fn record() -> Record {
        let mut record = Record::default();
        record.config.hostname = "web".to_owned();
        record
    }

    #[test]
    fn local_servers_are_no_use_in_a_container() {
        let text = resolv_conf(&record(), Some(&netns(false)), "nameserver 127.0.0.53\nsearch lan\n");
        assert_eq!(text, "nameserver 8.8.8.8\nnameserver 8.8.4.4\nsearch lan\n");
    }

    #[test]
    fn user_networks_have_the_name_service() {
        let text = resolv_conf(&record(), Some(&netns(true)), "nameserver 1.1.1.1\n");
        assert_eq!(text, "nameserver 127.0.0.11\noptions ndots:0\n");
    }

    #[test]
    fn the_hosts_network_has_the_hosts_file() {
        assert_eq!(resolv_conf(&record(), None, "nameserver 127.0.0.53\n"), "nameserver 127.0.0.53\n");
    }
}
