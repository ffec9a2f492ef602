//! The three files that are mounted over `/etc`: hosts, hostname, resolv.conf.
//!
//! They are rewritten in place, because a container holds them by their inodes; each start writes them anew.

use std::fmt::Write as _;
use std::path::Path;

use gantry_proto::gantry::network::v1::Sandbox;

use super::Container;
use super::create::blocking;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::record::Record;
use crate::spec::RuntimeFiles;

/// Where user-defined networks answer names.
const NAME_SERVICE: &str = "127.0.0.11";
/// Used where the host has no name server that a container could reach.
const PUBLIC_SERVERS: [&str; 2] = ["8.8.8.8", "8.8.4.4"];
/// The host's, also where it only points to a local stub.
const HOST_RESOLV: [&str; 2] = ["/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"];

impl Engine {
    /// Writes the files of a container that is about to start. `sandbox` is `None` on the host's network.
    pub(crate) async fn write_files(&self, record: &Record, sandbox: Option<&Sandbox>) -> Result<()> {
        let files = self.paths.files(&record.id);
        let hosts = hosts(record, sandbox);
        let resolv = resolv_conf(record, sandbox, &host_resolv());
        let hostname = format!("{}\n", record.config.hostname);
        blocking(move || {
            put(&files.hosts, &hosts)?;
            put(&files.resolv_conf, &resolv)?;
            put(&files.hostname, &hostname)
        })
        .await
    }

    /// Brings the files of a running container up to date with its networks.
    pub(crate) async fn refresh_files(&self, container: &Container, sandbox: &Sandbox) -> Result<()> {
        self.write_files(&container.record(), Some(sandbox)).await
    }

    /// The files that a container gets: another's when it shares that one's network.
    pub(crate) fn files_of(&self, record: &Record) -> Result<RuntimeFiles> {
        match crate::spec::of_container(&record.host.network_mode) {
            Some(other) => Ok(self.paths.files(self.index.find(other)?.id())),
            None => Ok(self.paths.files(&record.id)),
        }
    }
}

/// In place: a container that runs sees the new content.
fn put(path: &Path, content: &str) -> Result<()> {
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

/// The words behind a keyword, for each line that begins with it.
fn words(resolv: &str, keyword: &str) -> Vec<Vec<String>> {
    resolv
        .lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            (words.next() == Some(keyword)).then(|| words.map(str::to_owned).collect())
        })
        .collect()
}

fn hosts(record: &Record, sandbox: Option<&Sandbox>) -> String {
    if sandbox.is_none() && record.host.extra_hosts.is_empty() {
        // On the host's network the host's own names hold.
        if let Ok(own) = std::fs::read_to_string("/etc/hosts") {
            return own;
        }
    }
    let mut text = String::from("127.0.0.1\tlocalhost\n");
    text.push_str("::1\tlocalhost ip6-localhost ip6-loopback\nfe00::\tip6-localnet\nff00::\tip6-mcastprefix\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n");
    let gateway = sandbox
        .and_then(|sandbox| sandbox.endpoints.first())
        .map(|endpoint| endpoint.ipv4_gateway.clone())
        .filter(|gateway| !gateway.is_empty());
    for entry in &record.host.extra_hosts {
        if let Some((name, address)) = entry.split_once([':', '=']) {
            let address = address.trim_start_matches('[').trim_end_matches(']');
            let address = match address {
                "host-gateway" => gateway.as_deref().unwrap_or("127.0.0.1"),
                given => given,
            };
            let _ = writeln!(text, "{address}\t{name}");
        }
    }
    let names = own_names(&record.config.hostname, &record.config.domainname);
    for endpoint in sandbox.iter().flat_map(|sandbox| &sandbox.endpoints) {
        for address in [&endpoint.ipv4_address, &endpoint.ipv6_address] {
            if !address.is_empty() {
                let _ = writeln!(text, "{address}\t{names}");
            }
        }
    }
    text
}

/// The full name and, where that has several parts, the first of them.
fn own_names(hostname: &str, domain: &str) -> String {
    let full = if domain.is_empty() { hostname.to_owned() } else { format!("{hostname}.{domain}") };
    match full.split_once('.') {
        Some((short, _)) => format!("{full} {short}"),
        None => full,
    }
}

fn resolv_conf(record: &Record, sandbox: Option<&Sandbox>, host: &str) -> String {
    let own = &record.host;
    let asked = !own.dns.is_empty() || !own.dns_search.is_empty() || !own.dns_options.is_empty();
    if sandbox.is_none() && !asked {
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
        sandbox.is_some_and(|sandbox| sandbox.endpoints.iter().any(|endpoint| endpoint.name_service));
    let servers = if name_service {
        if !options.iter().any(|option| option.starts_with("ndots:")) {
            options.push("ndots:0".to_owned());
        }
        vec![NAME_SERVICE.to_owned()]
    } else if !own.dns.is_empty() {
        own.dns.clone()
    } else {
        let mut reachable = servers(host);
        if sandbox.is_some() {
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
    use gantry_proto::gantry::network::v1::Endpoint;

    use super::*;

    fn sandbox(name_service: bool) -> Sandbox {
        let endpoint = Endpoint {
            ipv4_address: "172.17.0.2".to_owned(),
            ipv4_gateway: "172.17.0.1".to_owned(),
            name_service,
            ..Default::default()
        };
        Sandbox { endpoints: vec![endpoint], ..Default::default() }
    }

    fn record() -> Record {
        let mut record = Record::default();
        record.config.hostname = "web".to_owned();
        record
    }

    #[test]
    fn local_servers_are_no_use_in_a_container() {
        let text = resolv_conf(&record(), Some(&sandbox(false)), "nameserver 127.0.0.53\nsearch lan\n");
        assert_eq!(text, "nameserver 8.8.8.8\nnameserver 8.8.4.4\nsearch lan\n");
    }

    #[test]
    fn user_networks_have_the_name_service() {
        let text = resolv_conf(&record(), Some(&sandbox(true)), "nameserver 1.1.1.1\n");
        assert_eq!(text, "nameserver 127.0.0.11\noptions ndots:0\n");
    }

    #[test]
    fn the_hosts_network_has_the_hosts_file() {
        assert_eq!(resolv_conf(&record(), None, "nameserver 127.0.0.53\n"), "nameserver 127.0.0.53\n");
    }

    #[test]
    fn hosts_names_the_container_and_what_was_added() {
        let mut record = record();
        record.host.extra_hosts = vec!["db:10.0.0.1".to_owned(), "gw:host-gateway".to_owned()];
        let text = hosts(&record, Some(&sandbox(false)));
        assert!(text.contains("10.0.0.1\tdb\n172.17.0.1\tgw\n172.17.0.2\tweb\n"), "{text}");
    }
}
