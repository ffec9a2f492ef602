//! The text of `/etc/hosts`. It is written completely at a start. While the container runs, the engine adds and
//! removes single lines of its own and keeps everything else.

use gantry_api::network::Netns;

use crate::record::Record;

/// The lines at the beginning of every file.
const BASE: &str = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::\tip6-localnet\nff00::\tip6-mcastprefix\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n";

/// The word in the user's entries that stands for the host's address.
pub const HOST_GATEWAY: &str = "host-gateway";

/// A line: an address and its names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The address.
    pub address: String,
    /// One or more names; the first one identifies the line.
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

/// The user's entries; one that names `host-gateway` becomes a line for each of `gateways`.
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

/// Lines with the container's own names, one for each of its addresses.
pub fn own(record: &Record, netns: &Netns) -> Vec<Line> {
    let names = own_names(record);
    let addresses = netns.endpoints.iter().flat_map(|one| [one.ipv4, one.ipv6]).flatten();
    addresses.map(|own| Line { address: own.address.to_string(), names: names.clone() }).collect()
}

/// The full name, and the short name if it differs.
fn own_names(record: &Record) -> String {
    let config = &record.config;
    let full = match config.domainname.as_str() {
        "" => config.hostname.clone(),
        domain => format!("{}.{domain}", config.hostname),
    };
    match full.split_once('.') {
        Some((short, _)) => format!("{full} {short}"),
        None => full,
    }
}

/// The file without the lines `gone`, and with those of `new` that it does not have appended.
pub fn changed(text: &str, gone: &[Line], new: &[Line]) -> String {
    let gone: Vec<String> = gone.iter().map(Line::text).collect();
    with(text, |line| !gone.iter().any(|one| one == line), new)
}

/// The file with exactly the lines `own` for the container's own names, whatever addresses it had before. The user's
/// entries stay, also those with the same names.
pub fn settled(text: &str, record: &Record, own: &[Line]) -> String {
    let names = own_names(record);
    let by_user: Vec<Line> = added(record, &[]);
    let by_gateway = |entry: &String| {
        entry.split_once([':', '=']).is_some_and(|(name, to)| name == names && to == HOST_GATEWAY)
    };
    // The gateways' addresses are not known here, so any such line may be one of the user's entries.
    let any_may_be_the_user_s = record.host.extra_hosts.iter().any(by_gateway);
    let is_kept = |line: &str| match line.strip_suffix('\n').unwrap_or(line).split_once('\t') {
        Some((address, of)) if of == names => {
            let is = |one: &Line| one.address == address && one.names == names;
            any_may_be_the_user_s || own.iter().any(is) || by_user.iter().any(is)
        }
        _ => true,
    };
    with(text, is_kept, own)
}

/// The file with the lines that `is_kept` accepts, and with those of `new` that it does not have appended.
fn with(text: &str, is_kept: impl Fn(&str) -> bool, new: &[Line]) -> String {
    let mut text: String = text.split_inclusive('\n').filter(|line| is_kept(line)).collect();
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    for line in new.iter().map(Line::text) {
        if !text.split_inclusive('\n').any(|one| one == line) {
            text.push_str(&line);
        }
    }
    text
}

/// The file with a new address in the lines whose first name is `name`.
pub fn moved(text: &str, name: &str, address: &str) -> String {
    let line = |line: &str| match names_of(line, name) {
        Some(names) => format!("{address}\t{names}"),
        None => line.to_owned(),
    };
    text.split_inclusive('\n').map(line).collect()
}

/// The file without the lines whose first name is `name`.
pub fn without(text: &str, name: &str) -> String {
    text.split_inclusive('\n').filter(|line| names_of(line, name).is_none()).collect()
}

/// The names of a line, if `name` is the first of them.
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
    fn lines_of_former_addresses_go_and_the_user_s_stay() {
        let mut record = Record::default();
        record.config.hostname = "web".to_owned();
        record.host.extra_hosts = vec!["web:10.9.9.9".to_owned()];
        let kept = whole(&[line("10.9.9.9", "web"), line("10.0.0.7", "db web")]);
        let text = format!("{kept}10.0.0.2\tweb\n10.0.0.3\tweb\n1.1.1.1\tmine");
        let own = [line("10.0.0.3", "web"), line("10.0.0.4", "web")];
        let expected = format!("{kept}10.0.0.3\tweb\n1.1.1.1\tmine\n10.0.0.4\tweb\n");
        assert_eq!(settled(&text, &record, &own), expected);
        assert_eq!(settled(&expected, &record, &own), expected, "a second time changes nothing");
        record.host.extra_hosts = vec!["web=host-gateway".to_owned()];
        let text = whole(&[line("172.17.0.1", "web"), line("10.0.0.3", "web")]);
        assert_eq!(settled(&text, &record, &own[..1]), text, "it may be the gateway's");
    }

    #[test]
    fn a_line_goes_by_its_first_name() {
        let text = "10.0.0.2\tdb 0123 store\n10.0.0.3\tweb db\n# db\n";
        assert_eq!(without(text, "db"), "10.0.0.3\tweb db\n# db\n");
    }
}
