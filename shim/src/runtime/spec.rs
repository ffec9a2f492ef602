//! Resolves what a bundle's `config.json` leaves open until the root is mounted: the user's ids, `HOME`, the cgroup
//! path, the working directory.
//!
//! Works on plain JSON, so that fields that only other runtimes know stay. Writes the file only when something has
//! changed. Idempotent.

use std::fs;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

use gantry_cgroup::Scope;
use gantry_rooted::Root;
use oci_spec::runtime::{Box as Console, BoxBuilder};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use serde_json::{Map, Value, json};

use super::failure::StartFailure;
use super::user::{Accounts, User};
use super::{Exec, Failure, Subject, guard, subpath};

/// The annotation that names the user, `name|uid[:group|gid]`.
pub const USER_ANNOTATION: &str = "io.gantry.user";
/// The annotation with additional groups: names or numbers, separated by commas.
pub const GROUPS_ANNOTATION: &str = "io.gantry.groups";

/// A resolved spec, and what the helper needs of it.
pub struct Prepared {
    /// The whole spec, as the file has it now.
    pub spec: Value,
    pub uid: u32,
    pub terminal: bool,
    pub private_pids: bool,
    pub has_hooks: bool,
    pub console_size: Option<(u16, u16)>,
    pub groups: Option<String>,
}

/// Resolves the spec of a container that is about to be created. Its id is unique in its namespace only.
pub fn prepare(subject: &Subject, namespace: &str) -> Result<Prepared, StartFailure> {
    let path = subject.bundle.join("config.json");
    let bytes = fs::read(&path).map_err(|error| format!("read {}: {error}", path.display()))?;
    let mut spec: Value =
        serde_json::from_slice(&bytes).map_err(|error| format!("{}: {error}", path.display()))?;
    let before = spec.clone();

    let root = subject.bundle.join(text(&spec, "/root/path").unwrap_or("rootfs"));
    guard::check(&spec, &root)?;
    subpath::pin(&mut spec, &subject.bundle)?;
    let annotation = |name| spec.get("annotations").and_then(|all| all.get(name)?.as_str());
    let wanted =
        annotation(USER_ANNOTATION).or_else(|| text(&spec, "/process/user/username")).map(str::to_string);
    let groups = annotation(GROUPS_ANNOTATION).map(str::to_string);
    let cwd = text(&spec, "/process/cwd").unwrap_or("/").to_string();
    let mounts = spec.get("mounts").cloned().unwrap_or_default();
    if let Some(process) = spec.get_mut("process").and_then(Value::as_object_mut) {
        settle_process(process, &root, wanted.as_deref())?;
        if let Some(groups) = &groups {
            add_groups(process, &root, groups)?;
        }
    }
    make_directory(&root, &mounts, Path::new(&cwd));

    let foreign = subject.choice.binary.is_some();
    let asked = text(&spec, "/linux/cgroupsPath").unwrap_or_default();
    let cgroup = match Scope::path_of(asked) {
        Some(path) if !foreign => path,
        _ => cgroup_of(asked, namespace, &subject.id),
    };
    if let Some(linux) = spec.get_mut("linux").and_then(Value::as_object_mut) {
        linux.insert("cgroupsPath".into(), json!(cgroup));
    }
    if spec != before {
        write(&path, &spec)?;
    }
    Ok(Prepared {
        uid: spec.pointer("/process/user/uid").and_then(Value::as_u64).unwrap_or(0) as u32,
        terminal: spec.pointer("/process/terminal").and_then(Value::as_bool).unwrap_or(false),
        private_pids: has_private_pids(&spec),
        has_hooks: spec.get("hooks").and_then(Value::as_object).is_some_and(|all| !all.is_empty()),
        console_size: console_size(&spec),
        groups,
        spec,
    })
}

/// The cgroup that a spec asks for; one of the container's own when it asks for none.
fn cgroup_of(asked: &str, namespace: &str, id: &str) -> String {
    match asked {
        "" => format!("/gantry/{namespace}/{id}"),
        path => path.to_owned(),
    }
}

/// Resolves the user and `HOME` of an exec by the container's account files.
pub fn prepare_exec(exec: &mut Exec) -> Result<(), StartFailure> {
    if !exec.process.cwd().is_absolute() {
        return Err("Cwd must be an absolute path".into());
    }
    if exec.process.env().iter().flatten().any(|variable| variable.starts_with('=')) {
        return Err(super::launch::failed("invalid environment variable: name cannot be empty"));
    }
    let named = exec.user.take().or_else(|| exec.process.user().username().clone());
    let mut env = exec.process.env().clone().unwrap_or_default();
    let has_home = env.iter().any(|entry| entry.len() > 5 && entry.starts_with("HOME="));
    if named.is_none() && has_home && exec.groups.is_none() {
        return Ok(());
    }
    let accounts = Accounts::of_process(exec.init, exec.init_start)?;
    if let Some(named) = named {
        let found = accounts.resolve(&named)?;
        let mut user = exec.process.user().clone();
        user.set_uid(found.uid)
            .set_gid(found.gid)
            .set_additional_gids(Some(found.additional_gids))
            .set_username(None);
        exec.process.set_user(user);
    }
    if let Some(groups) = exec.groups.take() {
        let mut user = exec.process.user().clone();
        let mut gids = user.additional_gids().clone().unwrap_or_default();
        accounts.add_groups(&mut gids, &groups)?;
        user.set_additional_gids(Some(gids));
        exec.process.set_user(user);
    }
    if !has_home {
        env.retain(|entry| !entry.starts_with("HOME="));
        env.push(format!("HOME={}", accounts.home(exec.process.user().uid())));
        exec.process.set_env(Some(env));
    }
    Ok(())
}

/// The cgroup path of a bundle with a resolved spec.
pub fn cgroups_path(bundle: &Path) -> Result<String, Failure> {
    let spec: Value = super::read_json(&bundle.join("config.json"))?;
    text(&spec, "/linux/cgroupsPath")
        .map(str::to_string)
        .ok_or_else(|| format!("{}: no cgroupsPath", bundle.display()))
}

/// Adds groups to the process's groups, without duplicates.
fn add_groups(process: &mut Map<String, Value>, root: &Path, groups: &str) -> Result<(), StartFailure> {
    let accounts = Accounts::read(root)?;
    let user = process.entry("user").or_insert_with(|| json!({}));
    let mut gids: Vec<u32> = serde_json::from_value(user["additionalGids"].clone()).unwrap_or_default();
    accounts.add_groups(&mut gids, groups)?;
    user["additionalGids"] = json!(gids);
    Ok(())
}

fn settle_process(
    process: &mut Map<String, Value>,
    root: &Path,
    wanted: Option<&str>,
) -> Result<(), StartFailure> {
    let environment = process.get("env").and_then(Value::as_array);
    let has_home = environment.is_some_and(|entries| {
        entries.iter().filter_map(Value::as_str).any(|entry| entry.len() > 5 && entry.starts_with("HOME="))
    });
    if wanted.is_some() || !has_home {
        let accounts = Accounts::read(root)?;
        if let Some(wanted) = wanted {
            let User { uid, gid, additional_gids } = accounts.resolve(wanted)?;
            let user = process.entry("user").or_insert_with(|| json!({}));
            user["uid"] = json!(uid);
            user["gid"] = json!(gid);
            user["additionalGids"] = json!(additional_gids);
        }
        if !has_home {
            // libcontainer would ask the C library, which loads code from the container's root.
            let uid = process.get("user").and_then(|user| user.get("uid")).and_then(Value::as_u64);
            let home = accounts.home(uid.unwrap_or(0) as u32);
            let entries = process.entry("env").or_insert_with(|| json!([]));
            if let Some(entries) = entries.as_array_mut() {
                entries.retain(|entry| entry.as_str().is_none_or(|entry| !entry.starts_with("HOME=")));
                entries.push(json!(format!("HOME={home}")));
            }
        }
    }
    // When the key exists, libcontainer loads the seccomp filter after it has dropped the capabilities, which only
    // works with no new privileges.
    if process.get("noNewPrivileges") == Some(&Value::Bool(false)) {
        process.remove("noNewPrivileges");
    }
    Ok(())
}

/// Makes the working directory where the container will see it: in the root, or in the bind mount that covers it,
/// unless that is read-only. A failure shows when the program is started.
fn make_directory(root: &Path, mounts: &Value, cwd: &Path) {
    let covering = mounts
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|mount| {
            let below = cwd.strip_prefix(text(mount, "/destination")?).ok()?;
            Some((below.to_path_buf(), mount))
        })
        .min_by_key(|(below, _)| below.components().count());
    let (base, below) = match covering {
        Some((below, mount)) if guard::is_bind(mount) && !is_read_only(mount) => {
            (PathBuf::from(text(mount, "/source").unwrap_or_default()), below)
        }
        Some(_) => return,
        None => (root.to_path_buf(), cwd.strip_prefix("/").unwrap_or(cwd).to_path_buf()),
    };
    let Ok(base) = Root::open_path(&base) else {
        return;
    };
    let mut reached = PathBuf::from(".");
    for component in below.components() {
        let Component::Normal(name) = component else {
            continue;
        };
        let Some(name) = name.to_str() else { return };
        let Ok(parent) = base.open(&reached, OFlags::PATH | OFlags::DIRECTORY, Mode::empty()) else {
            return;
        };
        match make_one(&parent, name) {
            Ok(()) | Err(Errno::EXIST) => reached.push(name),
            Err(_) => return,
        }
    }
}

fn is_read_only(mount: &Value) -> bool {
    let options = mount.get("options").and_then(Value::as_array).into_iter().flatten();
    let last = options.filter_map(Value::as_str).rfind(|word| matches!(*word, "ro" | "rw" | "rro"));
    last.is_some_and(|word| word != "rw")
}

fn make_one(parent: &OwnedFd, name: &str) -> rustix::io::Result<()> {
    rustix::fs::mkdirat(parent, name, Mode::from_raw_mode(0o755))
}

fn has_private_pids(spec: &Value) -> bool {
    spec.pointer("/linux/namespaces").and_then(Value::as_array).is_some_and(|namespaces| {
        namespaces.iter().any(|namespace| {
            text(namespace, "/type") == Some("pid") && text(namespace, "/path").unwrap_or_default().is_empty()
        })
    })
}

fn console_size(spec: &Value) -> Option<(u16, u16)> {
    let side = |name| spec.pointer(&format!("/process/consoleSize/{name}"))?.as_u64();
    Some((side("width")? as u16, side("height")? as u16)).filter(|size| *size != (0, 0))
}

/// A terminal's size from the shim's argument: `<columns>x<rows>`.
pub fn console_of(text: &str) -> Result<Console, Failure> {
    let side = |text: &str| text.parse::<u16>().ok();
    let (width, height) = text
        .split_once('x')
        .and_then(|(columns, rows)| Some((side(columns)?, side(rows)?)))
        .ok_or_else(|| format!("a terminal's size is <columns>x<rows>, not {text:?}"))?;
    let size = BoxBuilder::default().width(u64::from(width)).height(u64::from(height)).build();
    size.map_err(|error| error.to_string())
}

/// The string at a JSON pointer.
pub fn text<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer)?.as_str()
}

fn write(path: &Path, spec: &Value) -> Result<(), Failure> {
    let temporary = path.with_extension("new");
    let bytes = serde_json::to_vec(spec).expect("JSON values always serialize");
    crate::exit::private(&temporary)
        .and_then(|mut file| file.write_all(&bytes))
        .and_then(|()| fs::rename(&temporary, path))
        .map_err(|error| format!("write {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_gets_its_numbers_and_a_home_once() {
        let root = std::env::temp_dir().join(format!("gantry-spec-{}", std::process::id()));
        fs::create_dir_all(root.join("etc")).expect("a temporary root");
        fs::write(root.join("etc/passwd"), "web:x:7:8::/srv:/bin/sh\n").expect("passwd");
        let mut process = json!({"env": ["A=1", "HOME="], "noNewPrivileges": false})
            .as_object()
            .expect("an object")
            .clone();
        for _ in 0..2 {
            settle_process(&mut process, &root, Some("web")).expect("settled");
            assert_eq!(
                Value::Object(process.clone()),
                json!({"env": ["A=1", "HOME=/srv"], "user": {"uid": 7, "gid": 8, "additionalGids": [8]}})
            );
        }
        make_directory(&root, &json!([]), Path::new("/a/b/../c"));
        assert!(root.join("a/b/c").is_dir());
        let bound = |options: &[&str]| json!([{"destination": "/data", "type": "bind", "source": root.join("a"), "options": options}]);
        make_directory(&root, &bound(&["rbind", "ro"]), Path::new("/data/never"));
        assert!(!root.join("a/never").exists() && !root.join("data").exists());
        make_directory(&root, &bound(&["rbind", "rw"]), Path::new("/data/made"));
        assert!(root.join("a/made").is_dir());
        fs::remove_dir_all(&root).expect("removed");
    }

    #[test]
    fn containers_of_one_id_have_a_cgroup_each() {
        assert_eq!(cgroup_of("", "one", "web"), "/gantry/one/web");
        assert_ne!(cgroup_of("", "one", "web"), cgroup_of("", "two", "web"));
        assert_eq!(cgroup_of("/its/own", "one", "web"), "/its/own");
    }

    #[test]
    fn a_path_makes_a_namespace_shared() {
        let spec = |namespace| json!({"linux": {"namespaces": [namespace]}});
        assert!(has_private_pids(&spec(json!({"type": "pid"}))));
        assert!(!has_private_pids(&spec(json!({"type": "pid", "path": "/proc/1/ns/pid"}))));
        assert!(!has_private_pids(&json!({})));
    }
}
