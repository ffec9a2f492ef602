//! System calls that are newer than a profile. The profile's author cannot have meant to refuse them. Programs try a
//! new call first, and an older one when the kernel answers that it does not have the new one (ENOSYS), but not when
//! they may not call it (EPERM).
//!
//! So the filter begins, for each of its architectures, with a check for numbers above the newest call that the
//! profile names (and libseccomp knows): those calls fail with ENOSYS. The check allows no call.

use std::collections::{BTreeMap, BTreeSet};

use libseccomp::{ScmpAction, ScmpArch, ScmpSyscall};
use oci_spec::runtime::LinuxSeccomp;

/// The offset of a call's number in `struct seccomp_data`, and of its architecture.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;

/// x32 has x86-64's architecture value, and this bit in its numbers.
const X32: u32 = 0x4000_0000;

/// The instructions to put before the filter of a profile. Empty when the profile allows calls that it does not name.
pub fn prelude(profile: &LinuxSeccomp, default: ScmpAction) -> Vec<u8> {
    if matches!(default, ScmpAction::Allow | ScmpAction::Log | ScmpAction::Trace(_) | ScmpAction::Notify) {
        return Vec::new();
    }
    let named = profile.architectures().iter().flatten().filter_map(|name| super::arch(*name));
    let mut ranges: BTreeMap<u32, BTreeSet<(u32, u32)>> = BTreeMap::new();
    for arch in named.chain([ScmpArch::native()]) {
        let Some((token, end)) = numbering(arch) else { continue };
        let names = profile.syscalls().iter().flatten().flat_map(|rule| rule.names());
        if let Some(newest) = names.filter_map(|name| number(name, arch, end)).max() {
            ranges.entry(token).or_default().insert((newest + 1, end));
        }
    }
    // From the last to the first, because each jump needs the length of what follows.
    let mut program = Vec::new();
    for (token, ranges) in ranges.iter().rev() {
        let mut block = instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, NUMBER);
        for (first, end) in ranges {
            block.extend(instruction(libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K, 0, 2, *first));
            block.extend(instruction(libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K, 1, 0, *end));
            let answer = libc::SECCOMP_RET_ERRNO | libc::ENOSYS.cast_unsigned();
            block.extend(instruction(libc::BPF_RET | libc::BPF_K, 0, 0, answer));
        }
        block.extend(instruction(libc::BPF_JMP | libc::BPF_JA, 0, 0, count(&program)));
        let other = u8::try_from(count(&block)).expect("an architecture has two ranges at most");
        let mut joined = instruction(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, other, *token);
        joined.append(&mut block);
        joined.append(&mut program);
        program = joined;
    }
    if !program.is_empty() {
        let load = instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, ARCHITECTURE);
        program.splice(0..0, load);
    }
    program
}

/// The kernel's value for an architecture (`AUDIT_ARCH_*`), and where its numbers end: above are private numbers,
/// those of another architecture, and the -1 of a call that a tracer has cancelled.
fn numbering(arch: ScmpArch) -> Option<(u32, u32)> {
    match arch {
        ScmpArch::X86 => Some((0x4000_0003, X32)),
        ScmpArch::X8664 => Some((0xC000_003E, X32)),
        ScmpArch::X32 => Some((0xC000_003E, X32 << 1)),
        ScmpArch::Arm => Some((0x4000_0028, 0x000F_0000)),
        ScmpArch::Aarch64 => Some((0xC000_00B7, X32)),
        ScmpArch::Riscv64 => Some((0xC000_00F3, X32)),
        ScmpArch::Ppc64Le => Some((0xC000_0015, X32)),
        ScmpArch::S390 => Some((0x0000_0016, X32)),
        ScmpArch::S390X => Some((0x8000_0016, X32)),
        // The architecture's machine is known under its own name.
        _ => None,
    }
}

/// The number of a call, if it is an ordinary one of the architecture.
fn number(name: &str, arch: ScmpArch, end: u32) -> Option<u32> {
    let call = ScmpSyscall::from_name_by_arch(name, arch).ok()?;
    // Numbers of calls that the architecture does not have are negative in libseccomp.
    let number = u32::try_from(i32::from(call)).ok()?;
    let number = if arch == ScmpArch::X32 { number | X32 } else { number };
    (number < end).then_some(number)
}

fn instruction(code: u32, jump_true: u8, jump_false: u8, operand: u32) -> Vec<u8> {
    let mut bytes = (code as u16).to_ne_bytes().to_vec();
    bytes.extend([jump_true, jump_false]);
    bytes.extend(operand.to_ne_bytes());
    bytes
}

fn count(program: &[u8]) -> u32 {
    (program.len() / 8) as u32
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::Filter;
    use serde_json::{Value, json};

    /// The errors of calls with these numbers in a thread with the profile's filter.
    fn answers(profile: Value, numbers: Vec<i64>) -> Vec<i32> {
        let filter = Filter::of(&profile, Path::new("/")).expect("compiled").expect("a filter");
        let calls = std::thread::spawn(move || {
            filter.install().expect("root may");
            let call = |number: i64| {
                // SAFETY: none of the tests' calls does anything with these arguments, or is let through.
                let done = unsafe { libc::syscall(number, -1i64, 0i64, 0i64, 0i64, 0i64, 0i64) };
                if done == -1 { std::io::Error::last_os_error().raw_os_error().unwrap_or(0) } else { 0 }
            };
            numbers.into_iter().map(call).collect()
        });
        calls.join().expect("the thread lives")
    }

    /// The calls that a thread needs to end.
    const NEEDED: [&str; 14] = [
        "brk",
        "close",
        "exit",
        "exit_group",
        "futex",
        "getrandom",
        "madvise",
        "mmap",
        "mprotect",
        "munmap",
        "rseq",
        "rt_sigprocmask",
        "sigaltstack",
        "write",
    ];

    #[test]
    fn calls_newer_than_the_profile_are_not_implemented() {
        let mut profile = json!({"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 1,
            "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32", "SCMP_ARCH_AARCH64"],
            "syscalls": [{"names": NEEDED, "action": "SCMP_ACT_ALLOW"},
                // pidfd_getfd is the newest call that the profile names; libseccomp does not know the other one.
                {"names": ["pidfd_getfd", "no_such_call"], "action": "SCMP_ACT_ERRNO", "errnoRet": 7}]});
        let calls = vec![libc::SYS_pidfd_getfd, libc::SYS_mkdirat, 439, 452, 4000, -1];
        let (refused, none) = (libc::EPERM, libc::ENOSYS);
        assert_eq!(answers(profile.clone(), calls.clone()), [7, refused, none, none, none, refused]);
        // A profile that allows what it does not name: the kernel answers.
        profile["defaultAction"] = json!("SCMP_ACT_ALLOW");
        assert_eq!(answers(profile, vec![439, 4000]), [libc::EFAULT, none]);
    }
}
