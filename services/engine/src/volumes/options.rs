//! Options of the local driver: `type`, `device` and `o`, as for mount(8), and `size`.

use std::collections::BTreeMap;
use std::net::{IpAddr, ToSocketAddrs};
use std::path::Path;

use gantry_mount::classic::Classic;

use crate::archive::words;
use crate::error::{Error, Result};

const KNOWN: [&str; 4] = ["type", "o", "device", "size"];
/// ENODEV: mount(2) does not know the file system type.
const NO_SUCH_DEVICE: i32 = 19;

/// The file system of a volume's content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSystem {
    kind: String,
    device: String,
    options: String,
}

/// Refuses options with which a volume of this name cannot be made. Not called for volumes that exist.
pub fn check<'a>(name: &str, options: impl IntoIterator<Item = (&'a String, &'a String)>) -> Result<()> {
    let options: BTreeMap<&str, &str> =
        options.into_iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    let invalid = |text: String| Err(Error::Invalid(format!("create {name}: {text}")));
    if let Some(unknown) = options.keys().find(|key| !KNOWN.contains(key)) {
        return invalid(format!("invalid option: {unknown:?}"));
    }
    if options.get("type") == Some(&"cifs")
        && let Some(device) = options.get("device")
    {
        if let Some(escape) = bad_escape(device) {
            let why = format!("parse {device:?}: invalid URL escape {escape:?}");
            return invalid(format!("error parsing mount device url: {why}"));
        }
        let port = host_of(device).and_then(|host| host.rsplit_once(':')).map_or("", |(_, port)| port);
        if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) {
            return invalid("port not allowed in CIFS device URL, include 'port' in 'o='".to_owned());
        }
    }
    if let Some(size) = options.get("size") {
        match crate::logs::kept::bytes_of(size) {
            None => return invalid(format!("invalid size: '{size}'")),
            Some(0) => {}
            // Gantry cannot limit the size of a directory.
            Some(_) => return invalid("quota size requested but no quota support".to_owned()),
        }
    }
    if ["type", "o", "device"].iter().any(|option| options.contains_key(option))
        && let Some(missing) = ["device", "type"].iter().find(|option| !options.contains_key(**option))
    {
        return invalid(format!("missing required option: {missing:?}"));
    }
    Ok(())
}

impl FileSystem {
    /// Reads a volume's options; `None` for a volume that is a plain directory.
    pub fn parse(options: &BTreeMap<String, String>) -> Option<FileSystem> {
        let option = |key: &str| options.get(key).cloned().unwrap_or_default();
        let (kind, device, options) = (option("type"), option("device"), option("o"));
        (!kind.is_empty() || !device.is_empty()).then_some(FileSystem { kind, device, options })
    }

    /// Whether the content is lost when the file system is unmounted.
    pub fn is_memory(&self) -> bool {
        matches!(self.kind.as_str(), "tmpfs" | "ramfs")
    }

    /// Mounts the file system, which may take as long as the network does. Names are resolved in the engine's network
    /// namespace.
    pub fn mount(&self, place: &Path) -> Result<()> {
        let failed =
            |why: String| Error::Path(format!("error while mounting volume '{}': {why}", place.display()));
        if self.device.is_empty() {
            return Err(failed("missing device in volume options".to_owned()));
        }
        let unresolved =
            |why: String| failed(format!("error resolving passed in network volume address: {why}"));
        let (device, options) = match self.kind.as_str() {
            "nfs" | "cifs" => self.resolved(address_of).map_err(unresolved)?,
            _ => (self.device.clone(), self.options.clone()),
        };
        let classic = Classic::parse(&options);
        classic.mount(&device, &self.kind, place).map_err(|error| {
            let mut asked = format!("mount {device}:{}", place.display());
            if !classic.flags.is_empty() {
                asked += &format!(", flags: {:#x}", classic.flags.bits());
            }
            if !classic.data.is_empty() {
                asked += &format!(", data: {}", without_password(&classic.data));
            }
            let why = error.io().map_or_else(|| error.to_string(), words);
            failed(format!("failed to mount local volume: {asked}: {why}{}", self.advice(&error)))
        })
    }

    /// Adds what the host lacks, for an errno that says little.
    fn advice(&self, error: &gantry_host::Error) -> String {
        match error.raw_os_error() {
            Some(NO_SUCH_DEVICE) => format!(" (this kernel has no file system {:?})", self.kind),
            _ => String::new(),
        }
    }

    /// Returns device and options with the server's address in place of its name, because the kernel does not resolve
    /// names.
    fn resolved(
        &self,
        resolve: impl Fn(&str) -> std::result::Result<IpAddr, String>,
    ) -> std::result::Result<(String, String), String> {
        let address = self.options.split(',').find_map(|word| word.strip_prefix("addr="));
        if let Some(name) = address.filter(|name| !name.is_empty()) {
            if name.parse::<IpAddr>().is_ok() {
                return Ok((self.device.clone(), self.options.clone()));
            }
            let found = resolve(name)?;
            let options = self.options.replacen(&format!("addr={name}"), &format!("addr={found}"), 1);
            return Ok((self.device.clone(), options));
        }
        match host_of(&self.device).filter(|host| self.kind == "cifs" && !host.is_empty()) {
            Some(name) => {
                let found = resolve(name)?;
                Ok((self.device.replacen(name, &found.to_string(), 1), self.options.clone()))
            }
            None => Ok((self.device.clone(), self.options.clone())),
        }
    }
}

/// Resolves a name, to an IPv4 address if it has one.
fn address_of(name: &str) -> std::result::Result<IpAddr, String> {
    if let Ok(address) = name.parse() {
        return Ok(address);
    }
    let found = (name, 0).to_socket_addrs().map_err(|error| format!("lookup {name}: {error}"))?;
    let all: Vec<IpAddr> = found.map(|address| address.ip()).collect();
    let found = all.iter().find(|address| address.is_ipv4()).or(all.first());
    found.copied().ok_or_else(|| format!("lookup {name}: no such host"))
}

/// The server in `//server/share`.
fn host_of(device: &str) -> Option<&str> {
    let rest = device.split_once("//")?.1;
    let authority = rest.split('/').next().unwrap_or(rest);
    Some(authority.rsplit('@').next().unwrap_or(authority))
}

fn bad_escape(text: &str) -> Option<&str> {
    let at = text.match_indices('%').map(|(at, _)| at).find(|at| {
        let digits = text.as_bytes().get(at + 1..at + 3);
        !digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    })?;
    Some(text.get(at..at + 3).unwrap_or(&text[at..]))
}

fn without_password(data: &str) -> String {
    let hidden = |word: &str| match word.split_once('=') {
        Some((key @ ("password" | "pass"), _)) => format!("{key}=********"),
        _ => word.to_owned(),
    };
    data.split(',').map(hidden).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_device_needs_a_type_and_each_of_them_the_other() {
        let message =
            |pairs: &[(&str, &str)]| check("v", &options(pairs)).err().map(|error| error.to_string());
        let said = |text: &str| Some(format!("create v: {text}"));
        let missing = |option: &str| said(&format!("missing required option: {option:?}"));
        assert_eq!(message(&[("type", "tmpfs")]), missing("device"));
        assert_eq!(message(&[("o", "size=1m")]), missing("device"));
        assert_eq!(message(&[("device", "/srv"), ("o", "bind")]), missing("type"));
        assert_eq!(message(&[("colour", "x")]), said("invalid option: \"colour\""));
        assert_eq!(message(&[("type", "none"), ("device", "/srv"), ("o", "bind")]), None);
        assert_eq!(message(&[]), None);
        assert_eq!(message(&[("size", "0")]), None);
        assert_eq!(message(&[("size", "10m")]), said("quota size requested but no quota support"));
        assert_eq!(message(&[("size", "x")]), said("invalid size: 'x'"));
        let port = "port not allowed in CIFS device URL, include 'port' in 'o='";
        assert_eq!(message(&[("type", "cifs"), ("device", "//h:99/x")]), said(port));
        let escape = "error parsing mount device url: parse \"//%zz/x\": invalid URL escape \"%zz\"";
        assert_eq!(message(&[("type", "cifs"), ("device", "//%zz/x")]), said(escape));
    }

    #[test]
    fn names_of_servers_become_addresses() {
        let resolved = |kind: &str, device: &str, o: &str| {
            let elsewhere = FileSystem::parse(&options(&[("type", kind), ("device", device), ("o", o)]));
            elsewhere.expect("elsewhere").resolved(|name| match name {
                "server" => Ok("10.0.0.1".parse().expect("an address")),
                other => Err(format!("lookup {other}: no such host")),
            })
        };
        let both = |device: &str, o: &str| Ok((device.to_owned(), o.to_owned()));
        assert_eq!(resolved("nfs", ":/x", "addr=server,vers=4"), both(":/x", "addr=10.0.0.1,vers=4"));
        assert_eq!(resolved("nfs", ":/x", "addr=1.2.3.4"), both(":/x", "addr=1.2.3.4"));
        assert_eq!(resolved("nfs", "server:/x", ""), both("server:/x", ""));
        assert_eq!(resolved("cifs", "//server/x", "vers=3"), both("//10.0.0.1/x", "vers=3"));
        assert_eq!(resolved("nfs", ":/x", "addr=other"), Err("lookup other: no such host".to_owned()));
    }

    #[test]
    fn passwords_are_not_told() {
        assert_eq!(without_password("username=u,password=p"), "username=u,password=********");
    }
}
