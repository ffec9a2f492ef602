//! Links on the default network: a container (the parent) knows another one (the child) by an alias.
//!
//! The default network has no name service. Instead the parent gets a line in its hosts file, which is updated when
//! the child starts with another address, and variables in the environment of its processes. The child is also found
//! by the name `parent/alias` while the parent exists. On other networks the name service answers aliases.
//!
//! The parent's record has its links; the children's further names are only in memory. If a child is removed, its
//! parent keeps the link and cannot be started any more.

use std::io::Read as _;
use std::path::PathBuf;

use gantry_api::engine::HostConfig;

use super::Container;
use super::files::{Files, put};
use super::hosts::{self, Line};
use super::mode::NetworkMode;
use super::network::DEFAULT;
use super::port::Port;
use crate::blocking::blocking;
use crate::containers::Containers;
use crate::error::{Error, Result};
use crate::record::{LinkRecord, Record};

/// Most bytes of a file that are read here, because containers can write any content.
const LONGEST: u64 = 1 << 20;

/// A name of a child from a link.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FurtherName {
    /// The parent's name.
    pub parent: String,
    /// The alias of the child in the parent.
    pub alias: String,
    /// The parent's id.
    pub parent_id: String,
}

/// A child as its parent sees it at a start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Linked {
    parent: String,
    alias: String,
    name: String,
    hostname: String,
    address: String,
    /// In the order of their variables.
    ports: Vec<Port>,
    env: Vec<String>,
}

/// Reads `name`, `name:alias`, or `/name:/parent/alias` as `docker inspect` shows it.
pub fn parse(text: &str) -> Result<(&str, &str)> {
    if text.is_empty() {
        return Err(Error::Refused("empty string specified for links".to_owned()));
    }
    let bad = || Error::Refused(format!("bad format for links: {text}"));
    let (name, alias) = match text.split_once(':') {
        None => (text, text),
        Some((_, alias)) if alias.contains(':') => return Err(bad()),
        Some((name, alias)) if name.starts_with('/') => (name, alias.rsplit('/').next().unwrap_or(alias)),
        Some(pair) => pair,
    };
    let name = name.trim_start_matches('/');
    if alias.is_empty() || alias.contains(char::is_whitespace) || alias.contains('=') {
        return Err(bad());
    }
    Ok((name, alias.trim_start_matches('/')))
}

impl Files {
    /// Writes a child's new address into its parents' files. Reading and writing the files is serialized, so that a
    /// parent that starts meanwhile gets the new address too.
    pub(crate) async fn tell_parents(&self, child: &Container) {
        let names = child.further_names();
        let address = child.life().netns().and_then(|netns| {
            let on = netns.endpoints.iter().find(|endpoint| endpoint.network_name == DEFAULT)?;
            on.ipv4.map(|own| own.address.to_string())
        });
        let Some(address) = address.filter(|_| !names.is_empty()) else { return };
        let _turn = self.hosts.lock().await;
        for name in names {
            let path = self.paths.files(&name.parent_id).hosts;
            let address = address.clone();
            let told = edit(path, move |text| hosts::moved(text, &name.alias, &address)).await;
            if let Err(error) = told {
                tracing::warn!(container = %child.id(), error = %gantry_rpc::chain(&error), "new address not told to who is linked to it");
            }
        }
    }

    /// Removes the link with the name `parent/alias`.
    pub(crate) async fn remove_link(&self, name: &str) -> Result<()> {
        self.containers.find(name)?;
        let Some((parent, alias)) = name.trim_start_matches('/').split_once('/') else {
            return Err(Error::Refused(
                "Conflict, cannot remove the default link name of the container".to_owned(),
            ));
        };
        let parent = self.containers.find(parent)?;
        let _turn = parent.operate().await;
        parent.refuse_if_removing()?;
        let record = parent.record();
        let mut changed = Record::clone(&record);
        changed.links.retain(|link| link.alias != alias);
        if changed.links.len() == record.links.len() {
            return Err(Error::NoSuchContainer(name.to_owned()));
        }
        self.containers.write(&parent, changed).await?;
        self.containers.rename_children(&record.links);
        if parent.life().has_process() {
            let _turn = self.hosts.lock().await;
            let path = self.paths.files(parent.id()).hosts;
            let alias = alias.to_owned();
            edit(path, move |text| hosts::without(text, &alias)).await?;
        }
        Ok(())
    }
}

impl Containers {
    /// Takes the links of the default network out of a request, and resolves the containers that they name.
    pub(crate) fn take_links(&self, host: &mut HostConfig) -> Result<Vec<LinkRecord>> {
        let mut links: Vec<LinkRecord> = Vec::new();
        if !matches!(host.network_mode.as_str(), "bridge" | "none") {
            for link in &host.links {
                parse(link)?;
            }
            return Ok(links);
        }
        for text in std::mem::take(&mut host.links) {
            let (name, alias) = parse(&text)?;
            let missing =
                |error: Error| Error::Invalid(format!("could not get container for {name}: {error}"));
            let child = self.find(name).map_err(missing)?;
            let record = child.record();
            if NetworkMode::of(&record.host.network_mode) == NetworkMode::Host {
                return Err(conflict("host"));
            }
            let link =
                LinkRecord { child: record.id.clone(), name: record.name.clone(), alias: alias.to_owned() };
            match links.iter().find(|known| known.alias == alias) {
                Some(known) if known.child == link.child => {}
                Some(_) => {
                    return Err(Error::Invalid(format!("link alias {alias} is given to two containers")));
                }
                None => links.push(link),
            }
        }
        Ok(links)
    }

    /// The children of a container that is about to start. All must run on the default network.
    pub(crate) fn linked(&self, record: &Record) -> Result<Vec<Linked>> {
        if !record.networks.contains_key(DEFAULT) {
            return Ok(Vec::new());
        }
        record.links.iter().map(|link| self.linked_one(record, link)).collect()
    }

    fn linked_one(&self, parent: &Record, link: &LinkRecord) -> Result<Linked> {
        let not_running = |name: &str| Error::ChildNotRunning {
            child: name.to_owned(),
            parent: parent.name.clone(),
            alias: link.alias.clone(),
        };
        let child = self.find(&link.child).map_err(|_| not_running(&link.name))?;
        let record = child.record();
        let life = child.life();
        let netns = life.netns();
        let netns = netns.ok_or_else(|| not_running(&record.name))?;
        let endpoint = netns.endpoints.iter().find(|endpoint| endpoint.network_name == DEFAULT);
        let endpoint = endpoint.ok_or_else(|| {
            Error::Refused(format!("container {} not attached to default bridge network", record.id))
        })?;
        let mut ports: Vec<Port> =
            record.config.exposed_ports.iter().filter_map(|port| port.parse().ok()).collect();
        ports.sort();
        Ok(Linked {
            parent: parent.name.clone(),
            alias: link.alias.clone(),
            name: record.name.clone(),
            hostname: record.config.hostname.clone(),
            address: endpoint.ipv4.map(|own| own.address.to_string()).unwrap_or_default(),
            ports,
            env: record.config.env.clone(),
        })
    }

    /// The variables for execs in a container, from its children that run.
    pub(crate) fn link_variables(&self, record: &Record) -> Vec<String> {
        if !record.networks.contains_key(DEFAULT) {
            return Vec::new();
        }
        let linked = record.links.iter().filter_map(|link| self.linked_one(record, link).ok());
        linked.flat_map(|one| variables(&one)).collect()
    }

    /// Recomputes the further names of children, after their parents were created, removed or changed.
    pub(crate) fn rename_children(&self, links: &[LinkRecord]) {
        if links.is_empty() {
            return;
        }
        let parents: Vec<_> =
            self.all().iter().map(|one| one.record()).filter(|one| !one.links.is_empty()).collect();
        for link in links {
            let Ok(child) = self.find(&link.child) else { continue };
            let mut names: Vec<FurtherName> = parents
                .iter()
                .flat_map(|parent| parent.links.iter().map(move |link| (parent, link)))
                .filter(|(_, one)| one.child == link.child)
                .map(|(parent, link)| FurtherName {
                    parent: parent.name.clone(),
                    alias: link.alias.clone(),
                    parent_id: parent.id.clone(),
                })
                .collect();
            names.sort();
            child.set_further_names(names);
        }
    }
}

/// Changes a container's file in place, if `change` changes it. The caller must hold the lock for all of these files.
/// A file that the container has replaced by another kind, or made very long, is left alone.
pub(crate) async fn edit(path: PathBuf, change: impl FnOnce(&str) -> String + Send + 'static) -> Result<()> {
    blocking(move || {
        let file = match std::fs::File::open(&path) {
            Ok(file) => file,
            // The container was never started.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(Error::io("open", path, error)),
        };
        let mut bytes = Vec::new();
        file.take(LONGEST + 1).read_to_end(&mut bytes).map_err(|error| Error::io("read", &path, error))?;
        let Some(text) = String::from_utf8(bytes).ok().filter(|text| text.len() as u64 <= LONGEST) else {
            return Ok(());
        };
        let changed = change(&text);
        if changed == text { Ok(()) } else { put(&path, &changed) }
    })
    .await
}

/// The links as `docker inspect` of the parent shows them. `names` returns the children's present names.
pub(crate) fn shown(record: &Record, names: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let one = |link: &LinkRecord| {
        let name = names(&link.child).unwrap_or_else(|| link.name.clone());
        format!("/{name}:/{}/{}", record.name, link.alias)
    };
    record.links.iter().map(one).collect()
}

/// A child's line in its parent's hosts file.
pub(crate) fn line(linked: &Linked) -> Line {
    let mut names = format!("{} {}", linked.alias, linked.hostname);
    if linked.name != linked.alias {
        names = format!("{names} {}", linked.name);
    }
    Line { address: linked.address.clone(), names }
}

/// A child's variables for its parent.
pub(crate) fn variables(linked: &Linked) -> Vec<String> {
    let last = linked.alias.rsplit('/').next().unwrap_or(&linked.alias);
    let prefix = last.to_uppercase().replace('-', "_");
    let address = &linked.address;
    let url = |port: Port| format!("{}://{address}:{}", port.protocol, port.number);
    let name_of =
        |port: Port| format!("{prefix}_PORT_{}_{}", port.number, port.protocol.as_str().to_uppercase());
    let mut variables = Vec::new();
    if let Some(first) = linked.ports.first() {
        variables.push(format!("{prefix}_PORT={}", url(*first)));
    }
    for port in &linked.ports {
        let name = name_of(*port);
        variables.push(format!("{name}={}", url(*port)));
        variables.push(format!("{name}_ADDR={address}"));
        variables.push(format!("{name}_PORT={}", port.number));
        variables.push(format!("{name}_PROTO={}", port.protocol));
    }
    let runs = linked.ports.chunk_by(|one, next| next.follows(*one));
    for run in runs.filter(|run| run.len() > 1) {
        let (first, last) = (run[0], run[run.len() - 1]);
        let name = name_of(first);
        variables.push(format!("{name}_START={}", url(first)));
        variables.push(format!("{name}_PORT_START={}", first.number));
        variables.push(format!("{name}_END={}", url(last)));
        variables.push(format!("{name}_PORT_END={}", last.number));
    }
    variables.push(format!("{prefix}_NAME=/{}/{}", linked.parent, linked.alias));
    let own = linked.env.iter().filter_map(|one| one.split_once('='));
    // Variables that every image sets say nothing about the child.
    let own = own.filter(|(name, _)| !matches!(*name, "HOME" | "PATH"));
    variables.extend(own.map(|(name, value)| format!("{prefix}_ENV_{name}={value}")));
    variables
}

/// The error for links with a network mode that excludes them.
pub(crate) fn conflict(kind: &str) -> Error {
    let what = if kind == "host" { "host type networking" } else { "container type network" };
    Error::Invalid(format!(
        "conflicting options: {what} can't be used with links. This would result in undefined behavior"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::port::Protocol;

    #[test]
    fn links_are_read_in_all_their_forms() {
        for (text, read) in [
            ("db", Some(("db", "db"))),
            ("db:store", Some(("db", "store"))),
            ("/db:/web/store", Some(("db", "store"))),
            ("db:a/b", Some(("db", "a/b"))),
            (":a", Some(("", "a"))),
            ("", None),
            ("db:", None),
            ("a:b:c", None),
            ("db:x y", None),
        ] {
            assert_eq!(parse(text).ok(), read, "{text}");
        }
    }

    #[test]
    fn variables_tell_ports_runs_of_ports_and_the_environment() {
        let linked = Linked {
            parent: "web".to_owned(),
            alias: "my-db".to_owned(),
            name: "db".to_owned(),
            hostname: "0123".to_owned(),
            address: "172.17.0.3".to_owned(),
            ports: [(Protocol::Tcp, 80), (Protocol::Tcp, 81), (Protocol::Udp, 82)]
                .map(|(protocol, number)| Port { protocol, number })
                .to_vec(),
            env: ["PATH=/bin", "A=1=2"].map(str::to_owned).to_vec(),
        };
        assert_eq!(
            line(&linked),
            Line { address: "172.17.0.3".to_owned(), names: "my-db 0123 db".to_owned() }
        );
        let expected = "MY_DB_PORT=tcp://172.17.0.3:80
MY_DB_PORT_80_TCP=tcp://172.17.0.3:80
MY_DB_PORT_80_TCP_ADDR=172.17.0.3
MY_DB_PORT_80_TCP_PORT=80
MY_DB_PORT_80_TCP_PROTO=tcp
MY_DB_PORT_81_TCP=tcp://172.17.0.3:81
MY_DB_PORT_81_TCP_ADDR=172.17.0.3
MY_DB_PORT_81_TCP_PORT=81
MY_DB_PORT_81_TCP_PROTO=tcp
MY_DB_PORT_82_UDP=udp://172.17.0.3:82
MY_DB_PORT_82_UDP_ADDR=172.17.0.3
MY_DB_PORT_82_UDP_PORT=82
MY_DB_PORT_82_UDP_PROTO=udp
MY_DB_PORT_80_TCP_START=tcp://172.17.0.3:80
MY_DB_PORT_80_TCP_PORT_START=80
MY_DB_PORT_80_TCP_END=tcp://172.17.0.3:81
MY_DB_PORT_80_TCP_PORT_END=81
MY_DB_NAME=/web/my-db
MY_DB_ENV_A=1=2";
        assert_eq!(variables(&linked).join("\n"), expected);
    }
}
