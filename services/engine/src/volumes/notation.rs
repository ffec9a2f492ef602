//! Parses the notations for one mount: `-v`, `--mount`, `--tmpfs`.

use std::collections::BTreeSet;
use std::path::{Component, Path};

use gantry_api::engine::{Mount, MountPoint};
use gantry_rooted::clean;

use crate::error::{Error, Result};
use crate::names;
use crate::record::MountRecord;

/// Parses `source:destination[:mode]`, or `destination` alone.
pub(super) fn parse_bind(text: &str, driver: &str) -> Result<MountRecord> {
    let invalid = || Error::Invalid(format!("invalid volume specification: '{text}'"));
    let parts: Vec<&str> = text.split(':').collect();
    let (source, destination, mode) = match parts.as_slice() {
        [destination] => ("", *destination, ""),
        [source, destination] => (*source, *destination, ""),
        [source, destination, mode] => (*source, *destination, *mode),
        _ => return Err(invalid()),
    };
    if parts.len() > 1 && source.is_empty() {
        return Err(invalid());
    }
    let kind = if source.starts_with('/') { "bind" } else { "volume" };
    let within = |why: String| {
        Error::Invalid(format!(
            "invalid volume specification: '{text}': invalid mount config for type {kind:?}: {why}"
        ))
    };
    let destination = checked_destination(destination).map_err(|error| within(error.to_string()))?;
    let mut mount = MountRecord {
        point: MountPoint { destination, mode: mode.to_owned(), rw: true, ..Default::default() },
        ..Default::default()
    };
    let mut said = BTreeSet::new();
    for word in mode.split(',').filter(|word| !word.is_empty()) {
        let about = match word {
            "rw" => "access",
            "ro" => {
                mount.point.rw = false;
                "access"
            }
            "z" | "Z" => "label",
            "nocopy" => {
                mount.no_copy = true;
                "copy"
            }
            "consistent" | "cached" | "delegated" => "consistency",
            "private" | "rprivate" | "shared" | "rshared" | "slave" | "rslave" => {
                word.clone_into(&mut mount.point.propagation);
                "propagation"
            }
            _ => "",
        };
        // Each subject once: two words about the same subject contradict each other.
        if about.is_empty() || !said.insert(about) {
            return Err(Error::Invalid(format!("invalid mode: {mode}")));
        }
    }
    if kind == "bind" {
        if mount.no_copy {
            return Err(within("field VolumeOptions must not be specified".to_owned()));
        }
        mount.point.r#type = "bind".to_owned();
        mount.point.source = clean(source).display().to_string();
        mount.make_source = true;
        if mount.point.propagation.is_empty() {
            mount.point.propagation = "rprivate".to_owned();
        }
    } else {
        if !mount.point.propagation.is_empty() {
            return Err(within("field BindOptions must not be specified".to_owned()));
        }
        // Another driver may have its own rules for names.
        let local = driver.is_empty() || driver == super::driver::local::NAME;
        if local && source.len() == 1 {
            return Err(Error::Invalid(format!(
                "create {source}: volume name is too short, names should be at least two alphanumeric characters"
            )));
        }
        if !source.is_empty() && mode.is_empty() {
            mount.point.mode = "z".to_owned();
        }
        if local && !source.is_empty() && !names::is_valid(source) {
            return Err(Error::Invalid(format!(
                "create {source}: \"{source}\" includes invalid characters for a local volume name, only \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. If you intended to pass a host directory, use absolute path"
            )));
        }
        mount.point.r#type = "volume".to_owned();
        mount.point.name = source.to_owned();
        mount.point.driver = driver.to_owned();
    }
    Ok(mount)
}

/// Parses a mount of `--mount`.
pub(super) fn parse_mount(asked: &Mount) -> Result<MountRecord> {
    let config =
        |text: String| Error::Invalid(format!("invalid mount config for type {:?}: {text}", asked.r#type));
    if asked.target.is_empty() {
        return Err(config("field Target must not be empty".to_owned()));
    }
    for (kind, given) in [
        ("Bind", asked.bind_options.is_some()),
        ("Volume", asked.volume_options.is_some()),
        ("Tmpfs", asked.tmpfs_options.is_some()),
    ] {
        if given && !kind.eq_ignore_ascii_case(&asked.r#type) {
            return Err(Error::Invalid(format!(
                "{kind}Options must not be specified on mount type {:?}",
                asked.r#type
            )));
        }
    }
    if !asked.image_subpath.is_empty() && asked.r#type != "image" {
        return Err(config("field ImageOptions must not be specified".to_owned()));
    }
    let destination = checked_destination(&asked.target).map_err(|error| config(error.to_string()))?;
    let mut mount = MountRecord {
        point: MountPoint {
            r#type: asked.r#type.clone(),
            destination,
            rw: !asked.read_only,
            ..Default::default()
        },
        ..Default::default()
    };
    match asked.r#type.as_str() {
        "bind" => {
            if asked.source.is_empty() {
                return Err(config("field Source must not be empty".to_owned()));
            }
            if !asked.source.starts_with('/') {
                return Err(config(format!(
                    "invalid mount path: '{}' mount path must be absolute",
                    asked.source
                )));
            }
            let options = asked.bind_options.clone().unwrap_or_default();
            if !matches!(
                options.propagation.as_str(),
                "" | "private" | "rprivate" | "shared" | "rshared" | "slave" | "rslave"
            ) {
                return Err(config(format!("invalid propagation mode: {}", options.propagation)));
            }
            mount.point.source = clean(&asked.source).display().to_string();
            mount.point.propagation =
                if options.propagation.is_empty() { "rprivate".to_owned() } else { options.propagation };
            mount.non_recursive = options.non_recursive;
            mount.make_source = options.create_mountpoint;
            mount.read_only_non_recursive = options.read_only_non_recursive;
            mount.read_only_force_recursive = options.read_only_force_recursive;
        }
        "volume" => {
            let options = asked.volume_options.clone().unwrap_or_default();
            if asked.source.is_empty() && asked.read_only {
                return Err(config("must not set ReadOnly mode when using anonymous volumes".to_owned()));
            }
            mount.point.name.clone_from(&asked.source);
            mount.point.driver.clone_from(&options.driver);
            mount.point.mode = "z".to_owned();
            mount.no_copy = options.no_copy;
            mount.volume_options = options.driver_options.into_iter().collect();
            mount.volume_labels = options.labels.into_iter().collect();
            if !is_local(Path::new(&options.subpath)) {
                return Err(config("subpath must be a relative path within the volume".to_owned()));
            }
            mount.subpath = options.subpath;
        }
        "tmpfs" => {
            if !asked.source.is_empty() {
                return Err(config("field Source must not be specified".to_owned()));
            }
            let options = asked.tmpfs_options.clone().unwrap_or_default();
            mount.options = tmpfs_defaults();
            if asked.read_only {
                mount.options.push("ro".to_owned());
            }
            if options.size_bytes > 0 {
                mount.options.push(format!("size={}", options.size_bytes));
            }
            if options.mode > 0 {
                mount.options.push(format!("mode={:o}", options.mode));
            }
            for option in options.options {
                let word = option.join("=");
                add_tmpfs_option(&mut mount.options, &word)
                    .map_err(|_| config(format!("invalid option: {word}")))?;
            }
        }
        "image" => {
            if asked.source.is_empty() {
                return Err(config("field Source must not be empty".to_owned()));
            }
            if !is_local(Path::new(&asked.image_subpath)) {
                return Err(config("subpath must be a relative path within the volume".to_owned()));
            }
            mount.point.name.clone_from(&asked.source);
            mount.point.rw = false;
            mount.point.propagation = "rprivate".to_owned();
            mount.subpath.clone_from(&asked.image_subpath);
        }
        _ => return Err(config("mount type unknown".to_owned())),
    }
    Ok(mount)
}

/// Adds a mount(8) option of a tmpfs and removes the options that it contradicts.
fn add_tmpfs_option(options: &mut Vec<String>, word: &str) -> Result<()> {
    const KNOWN: [&str; 25] = [
        "exec",
        "noexec",
        "suid",
        "nosuid",
        "dev",
        "nodev",
        "rw",
        "ro",
        "sync",
        "async",
        "atime",
        "noatime",
        "diratime",
        "nodiratime",
        "relatime",
        "norelatime",
        "strictatime",
        "nostrictatime",
        "size",
        "mode",
        "uid",
        "gid",
        "nr_inodes",
        "nr_blocks",
        "mpol",
    ];
    let key = word.split('=').next().unwrap_or(word);
    if !KNOWN.contains(&key) {
        return Err(Error::Invalid(format!("invalid tmpfs option {word:?}")));
    }
    let opposite = match key.strip_prefix("no") {
        Some(positive) => positive.to_owned(),
        None => format!("no{key}"),
    };
    options.retain(|option| *option != opposite && option.split('=').next() != Some(key));
    options.push(word.to_owned());
    Ok(())
}

/// Parses a destination and mount(8) options; Docker's defaults come first.
pub(super) fn parse_tmpfs(destination: &str, text: &str) -> Result<MountRecord> {
    let destination = checked_destination(destination)?;
    let mut options = tmpfs_defaults();
    for word in text.split(',').filter(|word| !word.is_empty()) {
        add_tmpfs_option(&mut options, word)?;
    }
    Ok(MountRecord {
        point: MountPoint {
            r#type: "tmpfs".to_owned(),
            rw: !options.iter().any(|option| option == "ro"),
            destination,
            ..Default::default()
        },
        options,
        hidden: true,
        ..Default::default()
    })
}

fn tmpfs_defaults() -> Vec<String> {
    ["noexec", "nosuid", "nodev"].map(str::to_owned).to_vec()
}

/// Whether a path cannot lead out of its base directory, apart from symlinks.
fn is_local(path: &Path) -> bool {
    let mut depth = 0;
    path.components().all(|part| {
        depth += match part {
            Component::Normal(_) => 1,
            Component::CurDir => 0,
            Component::ParentDir => -1,
            Component::RootDir | Component::Prefix(_) => return false,
        };
        depth >= 0
    })
}

/// Checks a path in a container: it must be absolute and not the root.
pub(super) fn checked_destination(text: &str) -> Result<String> {
    if !text.starts_with('/') {
        return Err(Error::Invalid(format!("invalid mount path: '{text}' mount path must be absolute")));
    }
    let path = clean(text);
    if path == Path::new("/") {
        return Err(Error::Invalid("invalid specification: destination can't be '/'".to_owned()));
    }
    Ok(path.display().to_string())
}

#[cfg(test)]
mod tests {
    use gantry_api::engine::VolumeOptions;

    use super::*;

    #[test]
    fn binds_and_volumes_are_told_apart() {
        let bind = parse_bind("/srv/../etc:/data:ro,rslave", "").expect("valid");
        assert_eq!((bind.point.r#type.as_str(), bind.point.source.as_str()), ("bind", "/etc"));
        assert_eq!((bind.point.rw, bind.point.propagation.as_str()), (false, "rslave"));
        let volume = parse_bind("data:/data:nocopy", "").expect("valid");
        assert_eq!((volume.point.r#type.as_str(), volume.no_copy), ("volume", true));
        let anonymous = parse_bind("/data", "").expect("valid");
        assert_eq!((anonymous.point.r#type.as_str(), anonymous.point.name.as_str()), ("volume", ""));
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "a:b:c:d",
            ":/x",
            "x:y",
            "xx:/",
            "xx:/y:banana",
            "in/valid:/y",
            "x:/y",
            "xx:/y:ro,rw",
            "xx:/y:z,Z",
            "xx:/y:rslave",
            "/xx:/y:nocopy",
        ] {
            assert!(parse_bind(text, "").is_err(), "{text}");
        }
    }

    #[test]
    fn tmpfs_options_replace_their_opposites() {
        let mount = parse_tmpfs("/t", "exec,size=1m,mode=1777").expect("valid");
        assert_eq!(mount.options, ["nosuid", "nodev", "exec", "size=1m", "mode=1777"]);
        assert!(parse_tmpfs("/t", "magic").is_err());
    }

    #[test]
    fn mount_subpaths_stay_inside() {
        let parse = |subpath: &str| {
            parse_mount(&Mount {
                r#type: "volume".to_owned(),
                source: "v".to_owned(),
                target: "/x".to_owned(),
                volume_options: Some(VolumeOptions { subpath: subpath.to_owned(), ..Default::default() }),
                ..Default::default()
            })
        };
        for outside in ["../out", "/out", "a/../../out"] {
            assert!(parse(outside).is_err(), "{outside}");
        }
        for inside in ["", "a", "./a", "a/..", "a/../b"] {
            assert!(parse(inside).is_ok(), "{inside}");
        }
    }
}
