//! The last steps before a program: closes what the program must not inherit, finds the program, and reports a failed
//! execve(2) to the helper.

#![allow(unsafe_code)]

use std::borrow::Cow;
use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::SigSet;
use oci_spec::runtime::{LinuxCapabilities, PosixRlimit, Process, Spec};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Access, AtFlags, CWD, FileType, Mode, OFlags, accessat, fchown, fstat};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::pty::OpenptFlags;
use rustix::thread::Uid;

use super::Failure;
use super::failure::{Cause, Stage, StartFailure};
use super::seccomp::Filter;
use libcontainer::syscall::syscall::create_syscall;
use libcontainer::workload::{Executor, ExecutorError, ExecutorValidationError};

/// The directories that are searched for a program when its environment has no `PATH`.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Takes ownership of the descriptor that the shim left open for this helper.
pub fn claim_descriptor(number: &str) -> Option<OwnedFd> {
    let number: i32 = number.parse().ok().filter(|number| *number > 2)?;
    // SAFETY: the descriptor is only looked at; an unopened one makes fcntl fail.
    let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
    rustix::io::fcntl_setfd(borrowed, rustix::io::FdFlags::CLOEXEC).ok()?;
    // SAFETY: it is open (fcntl succeeded), was left open for this process alone,
    // and nothing else in it knows the number.
    Some(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Resets what a program would inherit from this Rust program or from the shim.
pub fn reset_inherited() {
    // A program would inherit a signal that the services' parent ignores, as nohup does with SIGHUP; a shell cannot
    // even trap it. SIGPIPE stays ignored: the helper has to see a broken pipe as an error, because a hook may end
    // before it has read its input.
    (1..=64).filter(|signal| *signal != libc::SIGPIPE).for_each(act_by_default);
    // The mask is inherited too. A program whose signals are blocked cannot be stopped.
    let _ = SigSet::empty().thread_set_mask();
    rustix::process::umask(Mode::from_raw_mode(0o022));
    let _ = nix::unistd::setgroups(&[]);
    // The services may run with an adjustment that makes the kernel spare them; containers get the default.
    let _ = std::fs::write("/proc/self/oom_score_adj", "0");
}

/// Resets SIGPIPE, which the helper needs ignored and a program must not inherit.
pub fn reset_broken_pipes() {
    act_by_default(libc::SIGPIPE);
}

/// Calls the system call, because the C library keeps two real-time signals for itself.
fn act_by_default(signal: i32) {
    let default = [0_usize; 8];
    // SAFETY: all zeros are the default action, without flags or a mask, in what is larger than the kernel's struct;
    // no handler is involved. The kernel refuses SIGKILL and SIGSTOP.
    unsafe {
        libc::syscall(libc::SYS_rt_sigaction, signal, default.as_ptr(), std::ptr::null_mut::<usize>(), 8)
    };
}

/// Closes every descriptor but stdio and `kept`. Close-on-exec is not enough: a program or an interpreter named
/// `/proc/self/fd/<n>/../…` is looked up before execve(2) closes the descriptors, and the helper holds directories of
/// the host.
pub fn close_others(kept: BorrowedFd<'_>) -> Result<(), Failure> {
    let kept = kept.as_raw_fd().cast_unsigned();
    for (first, last) in [(3, kept.saturating_sub(1)), (3.max(kept + 1), u32::MAX)] {
        if first <= last && !close_range(first, last) {
            return Err(format!("close descriptors: {}", std::io::Error::last_os_error()));
        }
    }
    Ok(())
}

/// close_range(2), Linux 5.9. On older kernels, closes one by one the descriptors that a helper can have.
fn close_range(first: u32, last: u32) -> bool {
    // SAFETY: whoever calls this is about to become another program or to end, and uses none of
    // them any more.
    let done = unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
    if done == -1 && std::io::Error::last_os_error().raw_os_error() == Some(libc::ENOSYS) {
        for descriptor in first..=last.min(4096) {
            // SAFETY: as above; one that is not open makes close fail.
            unsafe { libc::close(descriptor.cast_signed()) };
        }
        return true;
    }
    done == 0
}

/// Gives a terminal's slave to the program's user.
pub fn give_terminal(master: &OwnedFd, uid: u32) {
    if uid != 0
        && let Ok(slave) = rustix::pty::ioctl_tiocgptpeer(master, OpenptFlags::RDWR | OpenptFlags::NOCTTY)
    {
        let _ = fchown(&slave, Some(Uid::from_raw(uid)), None);
    }
}

/// Gives the stdio pipes to the program's user, who may then open `/dev/stdout` and the like.
pub fn give_pipes(uid: u32) {
    let (stdin, stdout, stderr) = (std::io::stdin(), std::io::stdout(), std::io::stderr());
    for descriptor in [stdin.as_fd(), stdout.as_fd(), stderr.as_fd()] {
        let is_pipe =
            fstat(descriptor).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Fifo);
        if uid != 0 && is_pipe {
            let _ = fchown(descriptor, Some(Uid::from_raw(uid)), None);
        }
    }
}

/// Opens an output to `/dev/null` again, for writing: libcontainer has opened the container's null device read-only.
fn open_null() {
    let is_null = |descriptor: BorrowedFd<'_>| {
        fstat(descriptor).is_ok_and(|stat| {
            FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice
                && stat.st_rdev == rustix::fs::makedev(1, 3)
        })
    };
    let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let Ok(null) = rustix::fs::open("/dev/null", flags, Mode::empty()) else { return };
    // The container may have put another file there.
    if !is_null(null.as_fd()) {
        return;
    }
    if is_null(std::io::stdout().as_fd()) {
        let _ = rustix::stdio::dup2_stdout(&null);
    }
    if is_null(std::io::stderr().as_fd()) {
        let _ = rustix::stdio::dup2_stderr(&null);
    }
}

/// A pipe that carries the reason of a failed launch. A successful execve(2) closes it.
pub fn status_pipe() -> Result<(OwnedFd, OwnedFd), Failure> {
    pipe_with(PipeFlags::CLOEXEC).map_err(|errno| format!("pipe: {errno}"))
}

/// The longest reason in bytes: a pipe takes it at once and without a reader (pipe(7), `PIPE_BUF`).
const LONGEST: usize = 4096 - HEAD;
/// The bytes before the message: the cause and the error number.
const HEAD: usize = 5;

/// Writes the reason of a failed launch to a status pipe. The message contains program names, which may be long.
pub fn tell(status: impl AsFd, failure: &StartFailure) {
    let mut bytes = vec![failure.cause as u8];
    bytes.extend(failure.errno.to_le_bytes());
    bytes.extend(cut(&failure.message).as_bytes());
    let _ = rustix::io::write(status, &bytes);
}

/// Parses what [`tell`] has written.
fn told(bytes: &[u8]) -> StartFailure {
    let causes = [Cause::Other, Cause::NotFound, Cause::NotPermitted, Cause::NoSuchUser];
    let (head, words) = bytes.split_at_checked(HEAD).unwrap_or((&[][..], bytes));
    let cause = causes.into_iter().find(|cause| head.first() == Some(&(*cause as u8)));
    let errno = head.get(1..).and_then(|bytes| bytes.try_into().ok()).map_or(0, i32::from_le_bytes);
    let message = String::from_utf8_lossy(words).into_owned();
    StartFailure { message, cause: cause.unwrap_or(Cause::Other), errno, stage: Stage::Execute }
}

/// Cuts a reason that is too long in the middle: its end names the error.
fn cut(reason: &str) -> Cow<'_, str> {
    if reason.len() <= LONGEST {
        return Cow::Borrowed(reason);
    }
    let head = reason.floor_char_boundary(LONGEST / 2);
    let tail = reason.ceil_char_boundary(reason.len() - LONGEST / 4);
    Cow::Owned(format!("{}…{}", &reason[..head], &reason[tail..]))
}

/// How long the helper waits for the execve: less than its callers wait for the helper. A process of the container with the
/// same user can stop (SIGSTOP) the process that is being set up, and the helper would wait for ever.
const PATIENCE: Duration = Duration::from_secs(50);

/// Waits until the execve closes the other end of a status pipe, or the process has said why it failed.
pub fn await_launch(status: OwnedFd) -> Result<(), StartFailure> {
    await_launch_within(status, PATIENCE)
}

fn await_launch_within(status: OwnedFd, patience: Duration) -> Result<(), StartFailure> {
    let failed_to_wait = |errno: Errno| format!("wait for the program's start: {errno}");
    let timeout =
        Timespec { tv_sec: patience.as_secs().cast_signed(), tv_nsec: patience.subsec_nanos().into() };
    let mut news = [PollFd::new(&status, PollFlags::IN)];
    match rustix::io::retry_on_intr(|| poll(&mut news, Some(&timeout))).map_err(failed_to_wait)? {
        0 => {
            let seconds = patience.as_secs();
            Err(failed(format!("the program was not executed within {seconds} s")))
        }
        _ => {
            // The reason is written at once. Its writer may still have the pipe open.
            let mut reason = [0; LONGEST + HEAD];
            match rustix::io::read(&status, &mut reason).map_err(failed_to_wait)? {
                0 => Ok(()),
                length => Err(failed(told(&reason[..length]))),
            }
        }
    }
}

/// The reason that a failed launch has written so far. The container's process may live, and wait for ever.
pub fn told_so_far(status: OwnedFd) -> Result<(), StartFailure> {
    rustix::io::ioctl_fionbio(&status, true).map_err(|errno| format!("status pipe: {errno}"))?;
    let mut reason = [0; LONGEST + HEAD];
    match rustix::io::read(&status, &mut reason) {
        Ok(length) if length > 0 => Err(failed(told(&reason[..length]))),
        _ => Ok(()),
    }
}

/// A failure to start the program, in runc's words.
pub fn failed(reason: impl Into<StartFailure>) -> StartFailure {
    reason.into().within("unable to start container process")
}

/// The text of an error number that clients look for.
pub fn words(errno: Errno) -> String {
    nix::errno::Errno::from_raw(errno.raw_os_error()).desc().to_lowercase()
}

/// As [`words`], for an error of `gantry-rooted`.
pub fn words_of(error: &gantry_rooted::Error) -> String {
    match error.raw_os_error() {
        Some(number) => nix::errno::Errno::from_raw(number).desc().to_lowercase(),
        None => error.to_string(),
    }
}

/// Finds `program` as execvp(3) does, for the calling user in the current root.
pub fn find_program(program: &str, path: &str) -> Result<PathBuf, StartFailure> {
    let refused = |errno: Errno, why: &str| {
        StartFailure::of_errno(errno.raw_os_error(), format!("exec: {program:?}: {why}"))
    };
    if program.contains('/') {
        return match executable(Path::new(program)) {
            Ok(()) => Ok(PathBuf::from(program)),
            Err(errno @ (Errno::NOENT | Errno::NOTDIR)) => {
                Err(refused(errno, &format!("stat {program}: no such file or directory")))
            }
            Err(Errno::ISDIR) => Err(refused(Errno::ISDIR, "is a directory: permission denied")),
            Err(errno) => Err(refused(errno, &words(errno))),
        };
    }
    let mut denied = false;
    for directory in path.split(':') {
        let candidate = Path::new(if directory.is_empty() { "." } else { directory }).join(program);
        match executable(&candidate) {
            Ok(()) if !program.is_empty() => return Ok(candidate),
            Err(Errno::ACCESS) => denied = true,
            _ => {}
        }
    }
    Err(if denied {
        refused(Errno::ACCESS, "permission denied")
    } else {
        StartFailure::new(Cause::NotFound, format!("exec: {program:?}: executable file not found in $PATH"))
    })
}

fn executable(path: &Path) -> Result<(), Errno> {
    let stat = rustix::fs::stat(path)?;
    if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
        return Err(Errno::ISDIR);
    }
    accessat(CWD, path, Access::EXEC_OK, AtFlags::empty())
}

/// Finds and executes a process's program. Returns only on failure.
pub fn execute(process: &Process) -> StartFailure {
    let empty = Vec::new();
    let arguments = process.args().as_ref().unwrap_or(&empty);
    let environment = process.env().as_ref().unwrap_or(&empty);
    let Some(program) = arguments.first() else {
        return "exec: no command specified".into();
    };
    let path = environment.iter().rev().find_map(|entry| entry.strip_prefix("PATH=")).unwrap_or(DEFAULT_PATH);
    let found = match find_program(program, path) {
        Ok(found) => found,
        Err(reason) => return reason,
    };
    let strings = |list: &[String]| -> Result<Vec<CString>, std::ffi::NulError> {
        list.iter().map(|text| CString::new(text.as_bytes())).collect()
    };
    let (Ok(file), Ok(arguments), Ok(environment)) =
        (CString::new(found.as_os_str().as_bytes()), strings(arguments), strings(environment))
    else {
        return format!("exec: {program:?}: invalid argument: a NUL byte").into();
    };
    let Err(errno) = nix::unistd::execve(&file, &arguments, &environment);
    let words = format!("exec {}: {}", found.display(), errno.desc().to_lowercase());
    StartFailure::of_errno(errno as i32, words)
}

/// Privileges that a process gives up right before its program, because installing a filter needs them.
#[derive(Clone, Default)]
pub struct Confinement {
    /// Resource limits. They are set late because they are the program's: few open files would not do for the steps
    /// before it.
    pub limits: Vec<PosixRlimit>,
    /// The capabilities to keep; `None` keeps all.
    pub capabilities: Option<LinuxCapabilities>,
    pub no_new_privileges: bool,
    pub filter: Option<Filter>,
}

impl Confinement {
    /// Applies the confinement to the calling process, which cannot undo it.
    pub fn apply(&self) -> Result<(), Failure> {
        let system = create_syscall();
        let failed = |error: libcontainer::syscall::SyscallError| format!("capabilities: {error}");
        // A change of user has cleared the effective capabilities.
        libcontainer::capabilities::reset_effective(system.as_ref()).map_err(failed)?;
        for limit in &self.limits {
            system.set_rlimit(limit).map_err(|error| format!("rlimit {:?}: {error}", limit.typ()))?;
        }
        // Without no-new-privileges, installing a filter needs CAP_SYS_ADMIN; with it, the filter is installed as
        // late as possible.
        if let Some(filter) = self.filter.as_ref().filter(|_| !self.no_new_privileges) {
            filter.install()?;
        }
        if let Some(capabilities) = &self.capabilities {
            libcontainer::capabilities::drop_privileges(capabilities, system.as_ref()).map_err(failed)?;
        }
        if self.no_new_privileges {
            nix::sys::prctl::set_no_new_privs().map_err(|errno| format!("no new privileges: {errno}"))?;
            if let Some(filter) = &self.filter {
                filter.install()?;
            }
        }
        Ok(())
    }
}

/// Executes a container's program for libcontainer. Differs from libcontainer's own executor in three ways: it sets
/// the exact environment of the spec, applies the filter and the capabilities given here, and writes the reason of a
/// failure to a status pipe.
#[derive(Clone)]
pub struct Launch {
    status: Arc<OwnedFd>,
    confinement: Confinement,
}

impl Launch {
    /// An executor that writes failures to `status`, the writing end of a status pipe.
    pub fn new(status: OwnedFd, confinement: Confinement) -> Self {
        Self { status: Arc::new(status), confinement }
    }

    fn fail(&self, reason: &StartFailure) {
        tell(&*self.status, reason);
    }
}

impl Executor for Launch {
    fn exec(&self, spec: &Spec) -> Result<(), ExecutorError> {
        let process = spec.process().as_ref().ok_or(ExecutorError::InvalidArg)?;
        open_null();
        reset_broken_pipes();
        let confined = close_others(self.status.as_fd()).and_then(|()| self.confinement.apply());
        let reason = match confined {
            Ok(()) => execute(process),
            Err(reason) => reason.into(),
        };
        self.fail(&reason);
        // SAFETY: ends the process without dropping what owns descriptors that are closed.
        unsafe { libc::_exit(255) }
    }

    // Runs in the container's root with the ids of the container's user, before the container counts as created.
    fn validate(&self, spec: &Spec) -> Result<(), ExecutorValidationError> {
        let process = spec.process().as_ref();
        let program =
            process.and_then(|process| process.args().as_ref()).and_then(|arguments| arguments.first());
        let Some(program) = program else {
            return Ok(());
        };
        let path = process
            .and_then(|process| process.env().as_ref())
            .and_then(|list| list.iter().rev().find_map(|entry| entry.strip_prefix("PATH=")))
            .unwrap_or(DEFAULT_PATH);
        find_program(program, path).map(drop).map_err(|reason| {
            self.fail(&reason);
            ExecutorValidationError::ArgValidationError(cut(&reason.message).into_owned())
        })
    }

    fn setup_envs(
        &self,
        _: std::collections::HashMap<String, String>,
    ) -> Result<(), libcontainer::workload::ExecutorSetEnvsError> {
        // `exec` passes the environment of the spec to execve(2).
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_or_missed_in_dockers_words() {
        assert_eq!(find_program("sh", "/nowhere:/bin"), Ok(PathBuf::from("/bin/sh")));
        let missed = |program: &str| {
            let failure = find_program(program, "/bin").expect_err("not to be run");
            (failure.cause, failure.message)
        };
        for (program, cause, words) in [
            ("no-such", Cause::NotFound, "exec: \"no-such\": executable file not found in $PATH"),
            ("/no/such", Cause::NotFound, "exec: \"/no/such\": stat /no/such: no such file or directory"),
            ("/etc", Cause::NotPermitted, "exec: \"/etc\": is a directory: permission denied"),
            ("/etc/passwd", Cause::NotPermitted, "exec: \"/etc/passwd\": permission denied"),
        ] {
            assert_eq!(missed(program), (cause, words.to_string()));
        }
    }

    #[test]
    fn a_failure_is_read_from_the_pipe_as_it_was_told() {
        let (reader, writer) = status_pipe().expect("a pipe");
        let failure = StartFailure::of_errno(libc::ENOTDIR, "exec /a/b: not a directory");
        tell(&writer, &failure);
        drop(writer);
        assert_eq!(await_launch(reader), Err(failed(failure.at(Stage::Execute))));
    }

    #[test]
    fn a_process_that_does_not_go_on_is_not_waited_for_for_ever() {
        let (reader, writer) = status_pipe().expect("a pipe");
        let late = await_launch_within(reader, Duration::from_millis(10)).expect_err("it was not executed");
        assert!(late.message.contains("not executed"), "{late}");

        // A process that has reported its error and does not end must not continue either.
        let (reader, stays) = status_pipe().expect("a pipe");
        let failure = StartFailure::of_errno(libc::ENOENT, "exec /x: no such file or directory");
        tell(&stays, &failure);
        assert_eq!(await_launch(reader), Err(failed(failure.at(Stage::Execute))));
        drop((writer, stays));
    }
}
