//! A user namespace with several ranges of ids. libcontainer would call newuidmap(1) for it, which asks `/etc/subuid`
//! what even root may map, and would not notice its failure. So the helper makes the namespace, and libcontainer
//! joins it.

#![allow(unsafe_code)]

use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Pid, fork};
use rustix::pipe::{PipeFlags, pipe_with};
use serde_json::{Value, json};

use super::Failure;

/// Makes the namespace of a spec with several ranges, and lets the spec join it. The namespace exists while the
/// descriptor is open or a process is in it.
pub fn prepare(spec: &mut Value) -> Result<Option<OwnedFd>, Failure> {
    let Some(linux) = spec.get_mut("linux").and_then(Value::as_object_mut) else { return Ok(None) };
    let count = |name| linux.get(name).and_then(Value::as_array).map_or(0, Vec::len);
    if count("uidMappings") <= 1 && count("gidMappings") <= 1 {
        return Ok(None);
    }
    let namespaces = linux.get("namespaces").and_then(Value::as_array).into_iter().flatten();
    let is_wanted = |namespace: &Value| {
        namespace["type"] == "user" && namespace["path"].as_str().unwrap_or_default().is_empty()
    };
    let Some(at) = namespaces.clone().position(is_wanted) else { return Ok(None) };
    let (uids, gids) = (lines(linux.remove("uidMappings"))?, lines(linux.remove("gidMappings"))?);
    let namespace = make(&uids, &gids)?;
    linux["namespaces"][at]["path"] = json!(format!("/proc/self/fd/{}", namespace.as_raw_fd()));
    Ok(Some(namespace))
}

/// The ranges in the form of user_namespaces(7): first id inside, first id outside, count.
fn lines(mappings: Option<Value>) -> Result<String, Failure> {
    let mut lines = String::new();
    for mapping in mappings.as_ref().and_then(Value::as_array).into_iter().flatten() {
        let number = |name: &str| {
            mapping[name].as_u64().ok_or_else(|| format!("linux: an id mapping has no {name}: {mapping}"))
        };
        lines += &format!("{} {} {}\n", number("containerID")?, number("hostID")?, number("size")?);
    }
    Ok(lines)
}

/// Makes a namespace with these maps, in the form of user_namespaces(7). A child process makes it, and waits until it
/// is opened.
pub fn make(uids: &str, gids: &str) -> Result<OwnedFd, Failure> {
    let failed = |what: &str, error: &dyn std::fmt::Display| format!("user namespace: {what}: {error}");
    let (ready, tell) = pipe_with(PipeFlags::CLOEXEC).map_err(|errno| failed("pipe", &errno))?;
    // SAFETY: the child makes system calls only, whatever other threads may have locked.
    let maker = match unsafe { fork() }.map_err(|errno| failed("fork", &errno))? {
        ForkResult::Child => {
            drop(ready);
            let outcome = unshare(CloneFlags::CLONE_NEWUSER);
            let _ = rustix::io::write(&tell, &[outcome.map_or_else(|errno| errno as i32 as u8, |()| 0)]);
            loop {
                // SAFETY: pause(2) touches no memory. The parent kills.
                unsafe { libc::pause() };
            }
        }
        ForkResult::Parent { child } => child,
    };
    drop(tell);
    let opened = (|| {
        let mut errno = [0];
        match rustix::io::read(&ready, &mut errno) {
            Ok(1) if errno[0] == 0 => {}
            Ok(1) => return Err(failed("unshare", &nix::errno::Errno::from_raw(errno[0].into()))),
            _ => return Err(failed("unshare", &"the process that makes it has ended")),
        }
        let file = |name: &str| format!("/proc/{maker}/{name}");
        fs::write(file("uid_map"), uids).map_err(|error| failed("uid_map", &error))?;
        fs::write(file("gid_map"), gids).map_err(|error| failed("gid_map", &error))?;
        fs::File::open(file("ns/user")).map(OwnedFd::from).map_err(|error| failed("open", &error))
    })();
    end(maker);
    opened
}

fn end(process: Pid) {
    // The process is our child: its pid is not reused before it is waited for.
    let _ = kill(process, Signal::SIGKILL);
    let _ = waitpid(process, None);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_written_as_the_kernel_reads_them() {
        let mappings = json!([
            {"containerID": 0, "hostID": 1000, "size": 1},
            {"containerID": 1, "hostID": 100_000, "size": 65_536}
        ]);
        assert_eq!(lines(Some(mappings)), Ok("0 1000 1\n1 100000 65536\n".into()));
        assert!(lines(Some(json!([{"containerID": 0}]))).is_err());
    }

    #[test]
    fn one_range_is_left_to_the_runtime() {
        let mapping = json!([{"containerID": 0, "hostID": 1000, "size": 1}]);
        let mut spec = json!({"linux": {"uidMappings": mapping, "gidMappings": mapping,
            "namespaces": [{"type": "user"}]}});
        let before = spec.clone();
        assert!(prepare(&mut spec).expect("nothing to do").is_none());
        assert_eq!(spec, before);
    }
}
