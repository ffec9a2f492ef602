//! The seccomp profile of a container.
//!
//! The default profile returns EPERM for every call that it does not name. A base list is allowed always; some calls
//! are allowed only with harmless arguments; others only with the capability that the kernel requires too, so that
//! the filter does not undo a capability of `--cap-add`.

mod syscalls;

use std::collections::BTreeSet;

use oci_spec::runtime::{
    Arch, LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArg, LinuxSeccompArgBuilder, LinuxSeccompBuilder,
    LinuxSeccompOperator, LinuxSyscall, LinuxSyscallBuilder,
};
use serde::Deserialize;

use self::syscalls::ALLOWED;
use crate::{Error, Result};

const EPERM: u32 = 1;
const ENOSYS: u32 = 38;
/// Namespace flags of `clone(2)`: CLONE_NEW{NS,CGROUP,UTS,IPC,USER,PID,NET}.
const CLONE_NAMESPACES: u64 = 0x7E02_0000;
const AF_VSOCK: u64 = 40;
/// Execution domains without an effect on security: Linux, its 32-bit and legacy variants, and the query.
const PERSONALITIES: [u64; 5] = [0, 0x8, 0x2_0000, 0x2_0008, 0xffff_ffff];

/// Calls that need one of these capabilities; names without `CAP_`.
const GATED: &[(&str, &[&str])] = &[
    (
        "SYS_ADMIN",
        &[
            "bpf",
            "clone",
            "clone3",
            "fanotify_init",
            "fsconfig",
            "fsmount",
            "fsopen",
            "fspick",
            "lookup_dcookie",
            "mount",
            "mount_setattr",
            "move_mount",
            "open_tree",
            "perf_event_open",
            "quotactl",
            "quotactl_fd",
            "setdomainname",
            "sethostname",
            "setns",
            "syslog",
            "umount",
            "umount2",
            "unshare",
        ],
    ),
    ("SYS_BOOT", &["reboot"]),
    ("SYS_CHROOT", &["chroot"]),
    ("SYS_MODULE", &["delete_module", "finit_module", "init_module"]),
    ("SYS_PACCT", &["acct"]),
    (
        "SYS_PTRACE",
        &["kcmp", "pidfd_getfd", "process_madvise", "process_vm_readv", "process_vm_writev", "ptrace"],
    ),
    ("SYS_RAWIO", &["ioperm", "iopl"]),
    ("SYS_TIME", &["clock_settime", "clock_settime64", "settimeofday", "stime"]),
    ("SYS_TTY_CONFIG", &["vhangup"]),
    ("SYS_NICE", &["get_mempolicy", "mbind", "set_mempolicy", "set_mempolicy_home_node"]),
    ("SYSLOG", &["syslog"]),
    ("BPF", &["bpf"]),
    ("PERFMON", &["perf_event_open"]),
    ("DAC_READ_SEARCH", &["open_by_handle_at"]),
];

/// The default profile of a container with `capabilities` (names with `CAP_`).
pub fn default_profile(capabilities: &BTreeSet<String>) -> LinuxSeccomp {
    let has = |name: &str| capabilities.contains(&format!("CAP_{name}"));
    let mut rules = vec![
        allow(ALLOWED),
        // Safe since Linux 4.8: a tracer can no longer change a call after the filter has allowed it.
        allow(&["ptrace", "process_vm_readv", "process_vm_writev"]),
        allow_when(&["socket"], arg(0, LinuxSeccompOperator::ScmpCmpNe, AF_VSOCK, None)),
    ];
    rules.extend(
        PERSONALITIES.iter().map(|domain| {
            allow_when(&["personality"], arg(0, LinuxSeccompOperator::ScmpCmpEq, *domain, None))
        }),
    );
    if cfg!(any(target_arch = "x86_64", target_arch = "x86")) {
        rules.push(allow(&["arch_prctl", "modify_ldt"]));
    } else if cfg!(target_arch = "aarch64") {
        rules.push(allow(&[
            "arm_fadvise64_64",
            "arm_sync_file_range",
            "breakpoint",
            "cacheflush",
            "set_tls",
            "sync_file_range2",
        ]));
    }
    for (capability, calls) in GATED {
        if has(capability) {
            rules.push(allow(calls));
        }
    }
    if !has("SYS_ADMIN") {
        rules.push(allow_when(
            &["clone"],
            arg(0, LinuxSeccompOperator::ScmpCmpMaskedEq, CLONE_NAMESPACES, Some(0)),
        ));
        // The flags are behind a pointer, which a filter cannot read: on ENOSYS, libc falls back to clone.
        rules.push(
            LinuxSyscallBuilder::default()
                .names(vec!["clone3".to_owned()])
                .action(LinuxSeccompAction::ScmpActErrno)
                .errno_ret(ENOSYS)
                .build()
                .expect("every field of the rule is set"),
        );
    }
    LinuxSeccompBuilder::default()
        .default_action(LinuxSeccompAction::ScmpActErrno)
        .default_errno_ret(EPERM)
        .architectures(architectures())
        .syscalls(rules)
        .build()
        .expect("every field of the profile is set")
}

/// Parses an inline profile in Docker's format, which adds `archMap` and capability conditions to OCI's.
pub fn parse(json: &str, capabilities: &BTreeSet<String>) -> Result<LinuxSeccomp> {
    let profile: Profile = serde_json::from_str(json).map_err(|source| Error::SeccompProfile { source })?;
    profile.resolve(capabilities)
}

fn architectures() -> Vec<Arch> {
    if cfg!(target_arch = "x86_64") {
        vec![Arch::ScmpArchX86_64, Arch::ScmpArchX86, Arch::ScmpArchX32]
    } else if cfg!(target_arch = "aarch64") {
        vec![Arch::ScmpArchAarch64, Arch::ScmpArchArm]
    } else {
        vec![Arch::ScmpArchNative]
    }
}

fn rule(names: Vec<String>, args: Vec<LinuxSeccompArg>) -> LinuxSyscall {
    let builder = LinuxSyscallBuilder::default().names(names).action(LinuxSeccompAction::ScmpActAllow);
    let builder = if args.is_empty() { builder } else { builder.args(args) };
    builder.build().expect("every field of the rule is set")
}

fn allow(names: &[&str]) -> LinuxSyscall {
    rule(names.iter().map(|name| (*name).to_owned()).collect(), Vec::new())
}

fn allow_when(names: &[&str], arg: LinuxSeccompArg) -> LinuxSyscall {
    rule(names.iter().map(|name| (*name).to_owned()).collect(), vec![arg])
}

fn arg(index: usize, op: LinuxSeccompOperator, value: u64, value_two: Option<u64>) -> LinuxSeccompArg {
    let builder = LinuxSeccompArgBuilder::default().index(index).op(op).value(value);
    let builder = match value_two {
        Some(two) => builder.value_two(two),
        None => builder,
    };
    builder.build().expect("every field of the argument is set")
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Profile {
    default_action: LinuxSeccompAction,
    default_errno_ret: Option<u32>,
    #[serde(default)]
    architectures: Vec<Arch>,
    #[serde(default)]
    arch_map: Vec<ArchMap>,
    #[serde(default)]
    syscalls: Vec<ProfileRule>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ArchMap {
    architecture: Arch,
    #[serde(default)]
    sub_architectures: Option<Vec<Arch>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ProfileRule {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    names: Option<Vec<String>>,
    action: LinuxSeccompAction,
    #[serde(default)]
    errno_ret: Option<u32>,
    #[serde(default)]
    args: Option<Vec<ProfileArg>>,
    #[serde(default)]
    includes: Condition,
    #[serde(default)]
    excludes: Condition,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ProfileArg {
    index: usize,
    value: u64,
    #[serde(default)]
    value_two: u64,
    op: LinuxSeccompOperator,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Condition {
    caps: Option<Vec<String>>,
    arches: Option<Vec<String>>,
    min_kernel: Option<String>,
}

impl Profile {
    fn resolve(self, capabilities: &BTreeSet<String>) -> Result<LinuxSeccomp> {
        if !self.architectures.is_empty() && !self.arch_map.is_empty() {
            return Err(Error::SeccompArchitectures);
        }
        let native = architectures()[0];
        let mut arches = self.architectures;
        for map in self.arch_map.into_iter().filter(|map| map.architecture == native) {
            arches.push(map.architecture);
            arches.extend(map.sub_architectures.unwrap_or_default());
        }
        let mut rules = Vec::with_capacity(self.syscalls.len());
        for entry in self.syscalls {
            if !entry.includes.included(capabilities) || entry.excludes.excluded(capabilities) {
                continue;
            }
            let names: Vec<String> = entry.name.into_iter().chain(entry.names.unwrap_or_default()).collect();
            if names.is_empty() {
                continue;
            }
            let args: Vec<LinuxSeccompArg> = entry
                .args
                .unwrap_or_default()
                .into_iter()
                .map(|given| arg(given.index, given.op, given.value, Some(given.value_two)))
                .collect();
            let mut resolved = rule(names, args);
            resolved.set_action(entry.action);
            resolved.set_errno_ret(entry.errno_ret);
            rules.push(resolved);
        }
        let builder = LinuxSeccompBuilder::default()
            .default_action(self.default_action)
            .architectures(arches)
            .syscalls(rules);
        let builder = match self.default_errno_ret {
            Some(errno) => builder.default_errno_ret(errno),
            None => builder,
        };
        Ok(builder.build()?)
    }
}

impl Condition {
    fn included(&self, capabilities: &BTreeSet<String>) -> bool {
        let caps = self.caps.as_deref().unwrap_or_default();
        let arches = self.arches.as_deref().unwrap_or_default();
        caps.iter().all(|cap| capabilities.contains(cap))
            && (arches.is_empty() || arches.iter().any(|arch| arch == go_arch()))
            && self.min_kernel.as_deref().is_none_or(kernel_at_least)
    }

    fn excluded(&self, capabilities: &BTreeSet<String>) -> bool {
        let caps = self.caps.as_deref().unwrap_or_default();
        let arches = self.arches.as_deref().unwrap_or_default();
        caps.iter().any(|cap| capabilities.contains(cap))
            || arches.iter().any(|arch| arch == go_arch())
            || self.min_kernel.as_deref().is_some_and(kernel_at_least)
    }
}

fn go_arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn kernel_at_least(wanted: &str) -> bool {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    version_pair(&release) >= version_pair(wanted)
}

fn version_pair(text: &str) -> (u32, u32) {
    let mut numbers = text.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caps(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| format!("CAP_{name}")).collect()
    }

    fn allows(profile: &LinuxSeccomp, call: &str) -> bool {
        profile.syscalls().as_ref().is_some_and(|rules| {
            rules.iter().any(|rule| {
                rule.action() == LinuxSeccompAction::ScmpActAllow
                    && rule.args().is_none()
                    && rule.names().iter().any(|name| name == call)
            })
        })
    }

    #[test]
    fn mount_needs_sys_admin() {
        assert!(!allows(&default_profile(&caps(&[])), "mount"));
        assert!(allows(&default_profile(&caps(&["SYS_ADMIN"])), "mount"));
    }

    #[test]
    fn clone3_answers_enosys_without_sys_admin() {
        let profile = default_profile(&caps(&["SYS_CHROOT"]));
        let rules = profile.syscalls().clone().unwrap_or_default();
        let clone3 = rules.iter().find(|rule| rule.names().contains(&"clone3".to_owned()));
        assert_eq!(clone3.and_then(|rule| rule.errno_ret()), Some(ENOSYS));
        assert!(allows(&profile, "chroot"));
    }

    #[test]
    fn inline_profile_honours_conditions() {
        let json = r#"{"defaultAction":"SCMP_ACT_ERRNO","archMap":[{"architecture":"SCMP_ARCH_X86_64","subArchitectures":["SCMP_ARCH_X86"]}],
            "syscalls":[{"names":["read"],"action":"SCMP_ACT_ALLOW","args":[]},
                        {"names":["mount"],"action":"SCMP_ACT_ALLOW","includes":{"caps":["CAP_SYS_ADMIN"]}}]}"#;
        let profile = parse(json, &caps(&[])).expect("a valid profile");
        assert!(allows(&profile, "read"));
        assert!(!allows(&profile, "mount"));
    }

    #[test]
    fn broken_profile_is_refused() {
        assert!(parse("{", &caps(&[])).is_err());
        assert!(parse(r#"{"defaultAction":"nonsense"}"#, &caps(&[])).is_err());
    }
}
