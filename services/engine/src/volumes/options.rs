//! The local driver's options: `type`, `device` and `o`, as mount(8) takes them.

use std::collections::HashMap;

use crate::error::{Error, Result};

/// What a volume's content comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Its own directory.
    Directory,
    /// Another directory of the host.
    Bind(String),
    /// Memory; each container has a file system of its own.
    Tmpfs(Vec<String>),
}

/// Refuses options that a volume of this name cannot be made with. Those of volumes that exist were taken once.
pub fn check(name: &str, options: &HashMap<String, String>) -> Result<()> {
    let invalid = |text: String| Error::Invalid(format!("create {name}: {text}"));
    if ["type", "o", "device"].iter().any(|option| options.contains_key(*option))
        && let Some(missing) = ["device", "type"].iter().find(|option| !options.contains_key(**option))
    {
        return Err(invalid(format!("missing required option: {missing:?}")));
    }
    match Source::parse(options) {
        Err(Error::Invalid(text)) => Err(invalid(text)),
        parsed => parsed.map(drop),
    }
}

impl Source {
    /// Reads the options.
    pub fn parse(options: &HashMap<String, String>) -> Result<Source> {
        if let Some(unknown) =
            options.keys().find(|key| !matches!(key.as_str(), "type" | "o" | "device" | "size"))
        {
            return Err(Error::Invalid(format!("invalid option: {unknown:?}")));
        }
        let option = |key: &str| options.get(key).map(String::as_str).unwrap_or_default();
        if !option("size").is_empty() {
            return Err(Error::NotBuilt("quotas of volumes are not supported: option \"size\"".to_owned()));
        }
        let words: Vec<String> =
            option("o").split(',').filter(|word| !word.is_empty()).map(str::to_owned).collect();
        let bind = words.iter().any(|word| word == "bind" || word == "rbind");
        match (option("type"), option("device")) {
            ("", "") if words.is_empty() => Ok(Source::Directory),
            ("tmpfs", _) => {
                let mut all: Vec<String> = ["noexec", "nosuid", "nodev"].map(str::to_owned).to_vec();
                all.extend(words);
                Ok(Source::Tmpfs(all))
            }
            (_, "") => Err(Error::Invalid("missing device in volume options".to_owned())),
            ("" | "none" | "bind", device) if bind => {
                if device.starts_with('/') {
                    Ok(Source::Bind(device.to_owned()))
                } else {
                    Err(Error::Invalid(format!("volume device {device} is not an absolute path")))
                }
            }
            (kind, device) => Err(Error::NotBuilt(format!(
                "volumes of type {kind:?} are not supported (device {device}): use bind or tmpfs"
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(pairs: &[(&str, &str)]) -> Result<Source> {
        Source::parse(&pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect())
    }

    #[test]
    fn kinds_are_told_apart() {
        assert_eq!(parse(&[]).expect("valid"), Source::Directory);
        let bind = parse(&[("type", "none"), ("o", "bind"), ("device", "/srv")]);
        assert_eq!(bind.expect("valid"), Source::Bind("/srv".to_owned()));
        assert!(matches!(
            parse(&[("type", "tmpfs"), ("device", "tmpfs"), ("o", "size=1m")]),
            Ok(Source::Tmpfs(_))
        ));
    }

    #[test]
    fn a_device_needs_a_type_and_each_of_them_the_other() {
        let message = |pairs: &[(&str, &str)]| {
            let options = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
            check("v", &options).err().map(|error| error.to_string())
        };
        let missing = |option: &str| Some(format!("create v: missing required option: {option:?}"));
        assert_eq!(message(&[("type", "tmpfs")]), missing("device"));
        assert_eq!(message(&[("o", "size=1m")]), missing("device"));
        assert_eq!(message(&[("device", "/srv"), ("o", "bind")]), missing("type"));
        assert_eq!(message(&[("colour", "x")]), Some("create v: invalid option: \"colour\"".to_owned()));
        assert_eq!(message(&[("type", "none"), ("device", "/srv"), ("o", "bind")]), None);
        assert_eq!(message(&[]), None);
    }

    #[test]
    fn what_is_not_built_says_so() {
        assert!(matches!(
            parse(&[("type", "nfs"), ("o", "addr=h"), ("device", ":/x")]),
            Err(Error::NotBuilt(_))
        ));
        assert!(matches!(parse(&[("colour", "blue")]), Err(Error::Invalid(_))));
    }
}
