//! Runs an exec with system calls: joins the cgroup, enters the namespaces of the init with setns(2), clones into
//! them a child of the shim, sets up the process, and executes the program.
//!
//! libcontainer could run an exec, but without a seccomp filter. The helper has one thread, so the cloned child may
//! allocate memory before execve(2).

#![allow(unsafe_code)]

use std::fs;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use gantry_cgroup::v1::join_directory;
use gantry_cgroup::{Cgroup, is_unified};
use nix::sched::CloneFlags;
use nix::unistd::{Gid, Uid};
use oci_spec::runtime::Process;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::Winsize;

use super::failure::StartFailure;
use super::launch::{self, Confinement};
use super::seccomp::Filter;
use super::{Exec, Executed, Failure};

const NAMESPACES: [(&str, CloneFlags); 8] = [
    ("user", CloneFlags::CLONE_NEWUSER),
    ("mnt", CloneFlags::CLONE_NEWNS),
    ("pid", CloneFlags::CLONE_NEWPID),
    ("net", CloneFlags::CLONE_NEWNET),
    ("ipc", CloneFlags::CLONE_NEWIPC),
    ("uts", CloneFlags::CLONE_NEWUTS),
    ("cgroup", CloneFlags::CLONE_NEWCGROUP),
    ("time", CloneFlags::from_bits_retain(libc::CLONE_NEWTIME)),
];

/// Runs `request` in the container of `bundle`. Returns when the program has been executed.
pub fn exec(bundle: &Path, request: &Exec) -> Result<Executed, StartFailure> {
    let process = &request.process;
    let filter = Filter::of_container(bundle)?;
    let init = Pid::from_raw(request.init).ok_or("the container has no process")?;
    let pidfd = pidfd_open(init, PidfdFlags::empty())
        .map_err(|errno| format!("the container's init {}: {}", request.init, launch::words(errno)))?;
    // The descriptor is opened first: it still refers to the same process while the start time is compared.
    if crate::exit::start_time(request.init) != Some(request.init_start) {
        return Err(format!("the container's init {} has ended", request.init).into());
    }
    let foreign = foreign_namespaces(request.init)?;
    if let Some(adjustment) = process.oom_score_adj() {
        fs::write("/proc/self/oom_score_adj", adjustment.to_string())
            .map_err(|error| format!("oom_score_adj: {error}"))?;
    }
    join_cgroups(request)?;
    let user_namespace = foreign.contains(CloneFlags::CLONE_NEWUSER);
    if !user_namespace {
        launch::give_pipes(process.user().uid());
    }
    // Until the program runs, no process of the container may inspect this one.
    nix::sys::prctl::set_dumpable(false).map_err(|errno| format!("dumpable: {errno}"))?;
    nix::sched::setns(&pidfd, foreign)
        .map_err(|errno| format!("join the container's namespaces: {errno}"))?;

    let console = if process.terminal().unwrap_or(false) { Some(open_terminal(process)?) } else { None };
    let (status, writer) = launch::status_pipe()?;
    let slave = console.as_ref().map(|(_, slave)| slave);
    // SAFETY: as fork; this process has one thread, so the child finds every lock free.
    let pid = match unsafe { clone_sibling() }? {
        0 => {
            let reason = become_program(process, filter.as_ref(), slave, user_namespace, writer.as_fd());
            launch::tell(&writer, &reason);
            // SAFETY: ends the child without running the helper's exit handlers a second time.
            unsafe { libc::_exit(127) }
        }
        pid => pid,
    };
    drop(writer);
    let child = Pid::from_raw(pid).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
    launch::await_launch(status).inspect_err(|_| {
        // A stopped process could go on later and run the program, although the start has failed.
        let _ = child.map(|child| pidfd_send_signal(child, Signal::KILL));
    })?;
    Ok(Executed { pid, console: console.map(|(master, _)| master) })
}

/// Sets up the calling process and executes the program. Returns only on failure.
fn become_program(
    process: &Process,
    filter: Option<&Filter>,
    terminal: Option<&OwnedFd>,
    user_namespace: bool,
    status: BorrowedFd<'_>,
) -> StartFailure {
    match set_up(process, filter, terminal, user_namespace, status) {
        Ok(()) => launch::execute(process),
        Err(reason) => reason,
    }
}

fn set_up(
    process: &Process,
    filter: Option<&Filter>,
    terminal: Option<&OwnedFd>,
    user_namespace: bool,
    status: BorrowedFd<'_>,
) -> Result<(), StartFailure> {
    let failed = |what: &'static str| move |error: nix::Error| format!("{what}: {error}");
    nix::unistd::setsid().map_err(failed("setsid"))?;
    if let Some(terminal) = terminal {
        rustix::process::ioctl_tiocsctty(terminal)
            .map_err(|errno| format!("controlling terminal: {errno}"))?;
        rustix::stdio::dup2_stdin(terminal)
            .and_then(|()| rustix::stdio::dup2_stdout(terminal))
            .and_then(|()| rustix::stdio::dup2_stderr(terminal))
            .map_err(|errno| format!("terminal: {errno}"))?;
    }
    if user_namespace {
        become_user(0, 0)?;
    }
    if let Some(profile) = process.apparmor_profile() {
        libcontainer::apparmor::apply_profile(profile).map_err(|error| error.to_string())?;
    }
    if let Some(umask) = process.user().umask() {
        rustix::process::umask(rustix::fs::Mode::from_raw_mode(umask));
    }
    // First as root: only root may enter some directories. The process tries again below as the user, who may enter
    // others.
    let arrived = nix::unistd::chdir(process.cwd());
    let groups: Vec<Gid> =
        process.user().additional_gids().iter().flatten().map(|gid| Gid::from_raw(*gid)).collect();
    if !user_namespace || !groups.is_empty() {
        nix::unistd::setgroups(&groups).map_err(failed("groups"))?;
    }
    let user = process.user();
    become_user(user.uid(), user.gid())?;
    if arrived.is_err() {
        nix::unistd::chdir(process.cwd()).map_err(|errno| {
            let cwd = process.cwd().display();
            let why = errno.desc().to_lowercase();
            let words = format!("chdir to cwd ({cwd:?}) set in config.json failed: {why}");
            StartFailure::of_errno(errno as i32, words)
        })?;
    }
    // The working directory must be inside the container's root: that of a descriptor leaked from the host shows as
    // unreachable.
    if !rustix::process::getcwd(Vec::new()).is_ok_and(|cwd| cwd.as_bytes().starts_with(b"/")) {
        return Err("the working directory is outside of the container".into());
    }
    launch::reset_broken_pipes();
    launch::close_others(status)?;
    let confinement = Confinement {
        limits: process.rlimits().clone().unwrap_or_default(),
        capabilities: process.capabilities().clone(),
        no_new_privileges: process.no_new_privileges() == Some(true),
        filter: filter.cloned(),
    };
    Ok(confinement.apply()?)
}

/// Sets the user id and the group id, and keeps the permitted capabilities.
fn become_user(uid: u32, gid: u32) -> Result<(), Failure> {
    let (user, group) = (Uid::from_raw(uid), Gid::from_raw(gid));
    nix::sys::prctl::set_keepcaps(true)
        .and_then(|()| nix::unistd::setresgid(group, group, group))
        .and_then(|()| nix::unistd::setresuid(user, user, user))
        .and_then(|()| nix::sys::prctl::set_keepcaps(false))
        .map_err(|errno| format!("user {uid}:{gid}: {errno}"))
}

/// The init's namespaces that differ from this process's. (Joining one's own user namespace is an error.)
fn foreign_namespaces(init: i32) -> Result<CloneFlags, Failure> {
    let mut foreign = CloneFlags::empty();
    for (name, flag) in NAMESPACES {
        let ours = fs::metadata(format!("/proc/self/ns/{name}"));
        let theirs = fs::metadata(format!("/proc/{init}/ns/{name}"));
        match (ours, theirs) {
            (Ok(ours), Ok(theirs)) if ours.ino() != theirs.ino() => foreign |= flag,
            (Ok(_), Ok(_)) | (Err(_), _) => {}
            (Ok(_), Err(error)) => return Err(format!("the container's init {init}: {error}")),
        }
    }
    Ok(foreign)
}

fn join_cgroups(request: &Exec) -> Result<(), Failure> {
    for directory in &request.cgroups {
        match join_directory(directory) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            // On v2 a cgroup whose controllers are enabled for children accepts no process. An init that manages
            // cgroups (systemd, a container engine) has moved into a child cgroup; the exec joins that one.
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) && is_unified() => {
                join_beside(request.init)?;
            }
            result => result.map_err(|error| format!("join {}: {error}", directory.display()))?,
        }
    }
    Ok(())
}

/// Joins the present cgroup of the container's init.
fn join_beside(init: i32) -> Result<(), Failure> {
    let group = Cgroup::of_process(init).map_err(|error| format!("the container's init {init}: {error}"))?;
    group.directories().iter().try_for_each(|directory| {
        join_directory(directory).map_err(|error| format!("join {}: {error}", directory.display()))
    })
}

/// Opens a terminal of the wanted size on the container's own devpts. Returns the master, and the slave as the user's
/// property.
fn open_terminal(process: &Process) -> Result<(OwnedFd, OwnedFd), Failure> {
    let uid = process.user().uid();
    let failed = |errno| format!("open a terminal: {}", launch::words(errno));
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).map_err(failed)?;
    unlockpt(&master).map_err(failed)?;
    // Through the master: this never follows a path in the container's /dev/pts.
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let slave = ioctl_tiocgptpeer(&master, flags).map_err(failed)?;
    if uid != 0 {
        let _ = rustix::fs::fchown(slave.as_fd(), Some(rustix::thread::Uid::from_raw(uid)), None);
    }
    if let Some(size) = process.console_size() {
        let size =
            Winsize { ws_row: size.height() as u16, ws_col: size.width() as u16, ws_xpixel: 0, ws_ypixel: 0 };
        rustix::termios::tcsetwinsize(&master, size).map_err(failed)?;
    }
    debug_assert!(slave.as_raw_fd() > 2);
    Ok((master, slave))
}

/// Forks with `CLONE_PARENT`: the new process is a child of the shim, which reaps it.
///
/// # Safety
///
/// As for fork(2) in a process with a single thread.
unsafe fn clone_sibling() -> Result<i32, Failure> {
    let no_pointer = std::ptr::null_mut::<libc::c_void>();
    // SAFETY: no new stack and no shared memory: the raw call behaves as fork(2). On x86-64 and
    // arm64 alike the first two arguments are the flags and the stack.
    let pid = unsafe {
        libc::syscall(
            libc::SYS_clone,
            libc::CLONE_PARENT | libc::SIGCHLD,
            no_pointer,
            no_pointer,
            no_pointer,
            no_pointer,
        )
    };
    match pid {
        -1 => Err(format!("clone: {}", std::io::Error::last_os_error())),
        pid => Ok(pid as i32),
    }
}
