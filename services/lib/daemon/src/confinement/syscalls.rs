//! System calls, by seccomp(2): a list of refused ones (EPERM).
//!
//! A list of refused calls, not of allowed ones: a service must not break when libc begins to use another call. The
//! kernel caches which calls are always allowed, so the filter costs nothing for them.

use std::collections::BTreeMap;

use gantry_descriptor::Family;
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, sock_filter,
};

/// Calls that no service needs: those on other processes' memory, the kernel's code, keys, clocks and power, and
/// those with a history of attacks.
const NEVER: &[libc::c_long] = &[
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_kcmp,
    libc::SYS_pidfd_getfd,
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_reboot,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_syslog,
    libc::SYS_vhangup,
    libc::SYS_chroot,
    libc::SYS_pivot_root,
    libc::SYS_personality,
    libc::SYS_open_by_handle_at,
    libc::SYS_fanotify_init,
    libc::SYS_lookup_dcookie,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_modify_ldt,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_uselib,
];

const MOUNTS: &[libc::c_long] = &[
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
];

const NAMESPACES: &[libc::c_long] = &[libc::SYS_setns, libc::SYS_unshare];

/// The flags of clone(2) that make namespaces; refused to a service that makes none.
const NEW_NAMESPACES: &[libc::c_int] = &[
    libc::CLONE_NEWNS,
    libc::CLONE_NEWCGROUP,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
];

const PROGRAMS: &[libc::c_long] = &[libc::SYS_execve, libc::SYS_execveat];

/// Installs the filter. Returns what this host does not support.
pub(super) fn apply(kept: &[Family]) -> Result<Option<String>, super::Error> {
    let Ok(arch) = TargetArch::try_from(std::env::consts::ARCH) else {
        return Ok(Some(format!("system calls are not filtered on {}", std::env::consts::ARCH)));
    };
    for program in programs(kept, arch)? {
        match seccompiler::apply_filter(&program) {
            Ok(()) => {}
            Err(seccompiler::Error::Prctl(error) | seccompiler::Error::Seccomp(error))
                if matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EINVAL)) =>
            {
                return Ok(Some("this kernel does not filter system calls".to_owned()));
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(None)
}

fn programs(kept: &[Family], arch: TargetArch) -> Result<Vec<BpfProgram>, BackendError> {
    let mut refused: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    let mut refuse = |calls: &[libc::c_long]| refused.extend(calls.iter().map(|call| (*call, Vec::new())));
    refuse(NEVER);
    for (family, calls) in
        [(Family::Mounts, MOUNTS), (Family::Namespaces, NAMESPACES), (Family::Programs, PROGRAMS)]
    {
        if !kept.contains(&family) {
            refuse(calls);
        }
    }
    let mut programs = Vec::new();
    if !kept.contains(&Family::Namespaces) {
        let asks_for = |flag: &libc::c_int| {
            let flag = u64::from(flag.cast_unsigned());
            let operator = SeccompCmpOp::MaskedEq(flag);
            SeccompRule::new(vec![SeccompCondition::new(0, SeccompCmpArgLen::Qword, operator, flag)?])
        };
        let rules = NEW_NAMESPACES.iter().map(asks_for).collect::<Result<_, _>>()?;
        refused.insert(libc::SYS_clone, rules);
        // The flags of clone3(2) are in memory, which a filter cannot read: ENOSYS makes libc use clone(2).
        programs.push(program([(libc::SYS_clone3, Vec::new())].into(), libc::ENOSYS, arch)?);
    }
    programs.push(program(refused, libc::EPERM, arch)?);
    Ok(programs)
}

fn program(
    rules: BTreeMap<i64, Vec<SeccompRule>>,
    errno: libc::c_int,
    arch: TargetArch,
) -> Result<BpfProgram, BackendError> {
    let refusal = SeccompAction::Errno(errno.cast_unsigned());
    let filter: BpfProgram = SeccompFilter::new(rules, SeccompAction::Allow, refusal, arch)?.try_into()?;
    Ok(if arch == TargetArch::x86_64 { without_x32(filter) } else { filter })
}

/// The filter extended by a check of the numbers of the x32 ABI, which are other names of the same calls: they fail.
fn without_x32(filter: BpfProgram) -> BpfProgram {
    const X32_BIT: u32 = 0x4000_0000;
    let instruction = |code, jt, jf, k| sock_filter { code, jt, jf, k };
    // Loads the call's number; skips the refusal when the bit is not set (linux/filter.h, linux/seccomp.h).
    let mut program = vec![
        instruction(0x20, 0, 0, 0),
        instruction(0x35, 0, 1, X32_BIT),
        instruction(0x06, 0, 0, 0x0005_0000 | libc::ENOSYS.cast_unsigned()),
    ];
    program.extend(filter);
    program
}
