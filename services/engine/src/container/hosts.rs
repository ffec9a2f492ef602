//! The text of `/etc/hosts`: made whole at a start; while the container runs, single lines of ours come and go, and what
//! else it wrote there stays.

use gantry_api::network::Netns;

use crate::record::Record;

/// What every file begins with.
const BASE: &str = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::\tip6-localnet\nff00::\tip6-mcastprefix\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n";

/// The address that stands for the host, in what the user adds.
pub const HOST_GATEWAY: &str = "host-gateway";

/// A line: an address and its names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The address.
    pub address: String,
    /// One or more names, the first of which is the line's own.
    pub names: String,
}

impl Line {
    fn text(&self) -> String {
        format!("{}\t{}\n", self.address, self.names)
    }
}

/// The whole file.
pub fn whole(lines: &[Line]) -> String {
    lines.iter().fold(BASE.to_owned(), |text, line| text + &line.text())
}

/// What the user added; each of `gateways` for the address that stands for the host.
pub fn added(record: &Record, gateways: &[String]) -> Vec<Line> {
    let mut lines = Vec::new();
    for entry in &record.host.extra_hosts {
        let Some((name, address)) = entry.split_once([':', '=']) else { continue };
        let line = |address: &str| Line { address: address.to_owned(), names: name.to_owned() };
        match address.trim_start_matches('[').trim_end_matches(']') {
            HOST_GATEWAY => lines.extend(gateways.iter().map(|gateway| line(gateway))),
            address => lines.push(line(address)),
        }
    }
    lines
}

/// The container's own names at each of its addresses: the full one, and the short one where they differ.
pub fn own(record: &Record, netns: &Netns) -> Vec<Line> {
    let config = &record.config;
    let full = match config.domainname.as_str() {
        "" => config.hostname.clone(),
        domain => format!("{}.{domain}", config.hostname),
    };
    let names = match full.split_once('.') {
        Some((short, _)) => format!("{full} {short}"),
        None => full,
    };
    let addresses = netns.endpoints.iter().flat_map(|one| [one.ipv4, one.ipv6]).flatten();
    addresses.map(|own| Line { address: own.address.to_string(), names: names.clone() }).collect()
}

/// The file without some lines, and with others at its end.
pub fn changed(text: &str, gone: &[Line], new: &[Line]) -> String {
    let gone: Vec<String> = gone.iter().map(Line::text).collect();
    let kept = text.split_inclusive('\n').filter(|line| !gone.iter().any(|one| one == line));
    let mut text: String = kept.collect();
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    new.iter().fold(text, |text, line| text + &line.text())
}

/// The file with another address at the lines whose first name this is.
pub fn moved(text: &str, name: &str, address: &str) -> String {
    let line = |line: &str| match names_of(line, name) {
        Some(names) => format!("{address}\t{names}"),
        None => line.to_owned(),
    };
    text.split_inclusive('\n').map(line).collect()
}

/// The file without the lines whose first name this is.
pub fn without(text: &str, name: &str) -> String {
    text.split_inclusive('\n').filter(|line| names_of(line, name).is_none()).collect()
}

/// A line's names, if this is the first of them.
fn names_of<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let (_, names) = line.split_once('\t')?;
    (names.split_whitespace().next() == Some(name)).then_some(names)
}

#[cfg(test)]
mod tests {
    use gantry_api::network::{Address, Endpoint};

    use super::*;

    fn line(address: &str, names: &str) -> Line {
        Line { address: address.to_owned(), names: names.to_owned() }
    }

    #[test]
    fn the_container_has_its_full_and_its_short_name() {
        let address = Address { address: "172.17.0.2".parse().unwrap(), prefix: 16, gateway: None };
        let endpoint = Endpoint { ipv4: Some(address), ..Default::default() };
        let netns = Netns { endpoints: vec![endpoint], ..Default::default() };
        for (hostname, domain, names) in [
            ("web", "", "web"),
            ("web", "x.y", "web.x.y web"),
            ("a.b.c", "", "a.b.c a"),
            ("a.b.c", "x.y", "a.b.c.x.y a"),
        ] {
            let mut record = Record::default();
            record.config.hostname = hostname.to_owned();
            record.config.domainname = domain.to_owned();
            assert_eq!(own(&record, &netns), [line("172.17.0.2", names)]);
        }
    }

    #[test]
    fn the_host_has_all_gateways_of_the_default_network() {
        let mut record = Record::default();
        record.host.extra_hosts = vec!["db:10.0.0.1".to_owned(), "gw=host-gateway".to_owned()];
        let gateways = ["172.17.0.1".to_owned(), "fd00::1".to_owned()];
        let lines = [line("10.0.0.1", "db"), line("172.17.0.1", "gw"), line("fd00::1", "gw")];
        assert_eq!(added(&record, &gateways), lines);
    }

    #[test]
    fn single_lines_come_go_and_move() {
        let text = whole(&[line("10.0.0.1", "db d1"), line("10.0.0.2", "web")]) + "1.1.1.1\tmine";
        let moved = moved(&text, "db", "10.0.0.9");
        let changed = changed(&moved, &[line("10.0.0.2", "web")], &[line("10.0.0.3", "web")]);
        assert_eq!(changed, whole(&[]) + "10.0.0.9\tdb d1\n1.1.1.1\tmine\n10.0.0.3\tweb\n");
    }

    #[test]
    fn a_line_goes_by_its_first_name() {
        let text = "10.0.0.2\tdb 0123 store\n10.0.0.3\tweb db\n# db\n";
        assert_eq!(without(text, "db"), "10.0.0.3\tweb db\n# db\n");
    }
}
