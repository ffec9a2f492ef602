//! `--volume`, `--mount` and `--tmpfs`.

use std::path::Path;

use anyhow::{Context, Result, bail};
use gantry_api::engine::{BindOptions, Mount, TmpfsOptions, VolumeOptions};
use gantry_docker::filters::truth;

use super::value::{bytes, fields, pair};

/// The mounts of `--volume`: binds and named volumes in the engine's form, and the targets of anonymous volumes. A
/// source that begins with a dot is relative to the working directory.
pub fn volumes(options: &[String]) -> Result<(Vec<String>, Vec<String>)> {
    let (mut binds, mut anonymous) = (Vec::new(), Vec::new());
    for text in options {
        match text.split_once(':') {
            None if text.is_empty() => bail!("--volume: it names nothing"),
            None => anonymous.push(text.clone()),
            Some((source, rest)) if source.starts_with('.') => {
                binds.push(format!("{}:{rest}", absolute(source)?));
            }
            Some(_) => binds.push(text.clone()),
        }
    }
    Ok((binds, anonymous))
}

fn absolute(path: &str) -> Result<String> {
    let path = std::path::absolute(Path::new(path)).with_context(|| format!("find {path}"))?;
    // By name alone, as a shell does.
    Ok(gantry_rooted::clean(path).display().to_string())
}

/// `TARGET[:OPTIONS]` of `--tmpfs`.
pub fn tmpfs(options: &[String]) -> impl Iterator<Item = (String, String)> {
    options.iter().map(|text| {
        let (target, options) = text.split_once(':').unwrap_or((text, ""));
        (target.to_owned(), options.to_owned())
    })
}

/// A mount by keys.
pub fn mount(text: &str) -> Result<Mount> {
    read(text).with_context(|| format!("--mount {text}"))
}

fn read(text: &str) -> Result<Mount> {
    let mut mount = Mount { r#type: "volume".to_owned(), ..Mount::default() };
    for field in fields(text) {
        let (key, value) = match field.split_once('=') {
            Some((key, value)) => (key.trim().to_lowercase(), Some(value)),
            None => (field.trim().to_lowercase(), None),
        };
        let flag = || match value.map(truth) {
            None => Ok(true),
            Some(Some(flag)) => Ok(flag),
            Some(None) => bail!("{field}: true or false is expected"),
        };
        match key.as_str() {
            "readonly" | "ro" => {
                mount.read_only = flag()?;
                continue;
            }
            "volume-nocopy" => {
                volume(&mut mount).no_copy = flag()?;
                continue;
            }
            "bind-nonrecursive" => {
                bind(&mut mount).non_recursive = flag()?;
                continue;
            }
            "bind-create-src" | "bind-create-mountpoint" => {
                bind(&mut mount).create_mountpoint = flag()?;
                continue;
            }
            _ => {}
        }
        let Some(value) = value else { bail!("{field:?}: KEY=VALUE is expected") };
        match key.as_str() {
            "type" => mount.r#type = value.to_lowercase(),
            "source" | "src" => mount.source = value.to_owned(),
            "target" | "dst" | "destination" => mount.target = value.to_owned(),
            "consistency" => mount.consistency = value.to_lowercase(),
            "bind-propagation" => bind(&mut mount).propagation = value.to_lowercase(),
            "bind-recursive" => match value {
                "enabled" => {}
                "disabled" => bind(&mut mount).non_recursive = true,
                "writable" => bind(&mut mount).read_only_non_recursive = true,
                "readonly" => bind(&mut mount).read_only_force_recursive = true,
                _ => bail!("{field}: enabled, disabled, writable or readonly is expected"),
            },
            "volume-subpath" => value.clone_into(&mut volume(&mut mount).subpath),
            "volume-driver" => value.clone_into(&mut volume(&mut mount).driver),
            "volume-label" => {
                let (key, value) = value.split_once('=').unwrap_or((value, ""));
                volume(&mut mount).labels.insert(key.to_owned(), value.to_owned());
            }
            "volume-opt" => {
                let (key, value) = pair(value, "volume-opt")?;
                volume(&mut mount).driver_options.insert(key, value);
            }
            "image-subpath" => value.clone_into(&mut mount.image_subpath),
            "tmpfs-size" => memory(&mut mount).size_bytes = bytes(value).map_err(anyhow::Error::msg)?,
            "tmpfs-mode" => {
                memory(&mut mount).mode =
                    u32::from_str_radix(value, 8).with_context(|| format!("{value:?} is no mode"))?;
            }
            _ => bail!("{key:?} is no key of a mount"),
        }
    }
    check(&mut mount)?;
    Ok(mount)
}

/// Refuses what the engine could not tell from something else.
fn check(mount: &mut Mount) -> Result<()> {
    if mount.target.is_empty() {
        bail!("it has no target");
    }
    let kind = mount.r#type.as_str();
    if !matches!(kind, "bind" | "volume" | "tmpfs" | "image") {
        bail!("{kind:?} is no type: bind, volume, tmpfs or image is expected");
    }
    for (kind, options) in [
        ("bind", mount.bind_options.is_some()),
        ("volume", mount.volume_options.is_some()),
        ("tmpfs", mount.tmpfs_options.is_some()),
        ("image", !mount.image_subpath.is_empty()),
    ] {
        if options && mount.r#type != kind {
            bail!("keys of {kind} in a mount of the type {}", mount.r#type);
        }
    }
    if mount.r#type == "bind" && mount.source.starts_with('.') {
        mount.source = absolute(&mount.source)?;
    }
    Ok(())
}

fn bind(mount: &mut Mount) -> &mut BindOptions {
    mount.bind_options.get_or_insert_default()
}

fn volume(mount: &mut Mount) -> &mut VolumeOptions {
    mount.volume_options.get_or_insert_default()
}

fn memory(mount: &mut Mount) -> &mut TmpfsOptions {
    mount.tmpfs_options.get_or_insert_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_by_keys() {
        let found = mount("type=bind,src=/a,dst=/b,readonly,bind-propagation=rslave").expect("a mount");
        assert_eq!((found.r#type.as_str(), found.source.as_str(), found.read_only), ("bind", "/a", true));
        assert_eq!(found.bind_options.expect("options").propagation, "rslave");
        let found = mount(r#"source=v,target=/b,"volume-opt=o=x,y",volume-nocopy"#).expect("a mount");
        let options = found.volume_options.expect("options");
        assert_eq!((options.driver_options["o"].as_str(), options.no_copy), ("x,y", true));
        let found = mount("type=tmpfs,target=/t,tmpfs-size=1m,tmpfs-mode=1770").expect("a mount");
        let options = found.tmpfs_options.expect("options");
        assert_eq!((options.size_bytes, options.mode), (1 << 20, 0o1770));
        for wrong in [
            "type=bind,src=/a",
            "type=floppy,target=/a",
            "target=/a,colour=red",
            "target=/a,readonly=maybe",
            "type=bind,target=/a,volume-nocopy",
            "target",
        ] {
            assert!(mount(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn volumes_by_their_source() {
        let options = ["/only", "./x/../y:/b:ro", "name:/c"].map(str::to_owned);
        let (binds, anonymous) = volumes(&options).expect("volumes");
        let here = std::env::current_dir().expect("somewhere").display().to_string();
        assert_eq!(binds, [format!("{here}/y:/b:ro"), "name:/c".to_owned()]);
        assert_eq!(anonymous, ["/only"]);
    }
}
