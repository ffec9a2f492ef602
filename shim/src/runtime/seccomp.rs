//! Seccomp filters. libseccomp takes some twenty milliseconds to compile Docker's default profile, so a compiled
//! program is kept, and used again for the same profile. libcontainer installs a filter in a container's init only,
//! so an exec takes the filter of the container.
//!
//! ```text
//! <run>/seccomp/<hash>              the profile's JSON, a NUL, flags, the program
//! <bundle>/runtime/seccomp.filter   flags, the program
//! ```
//!
//! Invariant: a kept program is only used when the whole profile beside it is the same, byte for byte; the hash is
//! only a file name. Only root can write to the directory.

#![allow(unsafe_code)]

mod newer;

use std::fs;
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};

use libseccomp::{ScmpAction, ScmpArch, ScmpArgCompare, ScmpCompareOp, ScmpFilterContext, ScmpSyscall};
use oci_spec::runtime::{
    Arch, LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArg, LinuxSeccompFilterFlag, LinuxSeccompOperator,
};
use serde_json::Value;

use super::{Failure, own_state};

/// The version of the compilation. A program that another version has compiled is not used.
const FORM: u32 = 2;

/// A compiled filter.
#[derive(Clone)]
pub struct Filter {
    flags: u32,
    program: Vec<u8>,
}

impl Filter {
    /// The filter of a profile, compiled now or kept. `None` for a profile with a listener, which only libcontainer
    /// serves.
    pub fn of(profile: &Value, bundle: &Path) -> Result<Option<Self>, Failure> {
        let text = profile.to_string();
        if text.contains("SCMP_ACT_NOTIFY") {
            return Ok(None);
        }
        // The program also depends on the version of the compiler.
        let key = format!("{} {FORM} {text}", env!("CARGO_PKG_VERSION"));
        let kept = kept_at(bundle, &key);
        if let Some(filter) = kept.as_ref().and_then(|path| Self::kept(path, &key)) {
            return Ok(Some(filter));
        }
        let profile: LinuxSeccomp =
            serde_json::from_value(profile.clone()).map_err(|error| format!("seccomp: {error}"))?;
        let filter = compile(&profile).map_err(|error| format!("seccomp: {error}"))?;
        if let Some(path) = kept {
            // A failure costs another compilation.
            let _ = filter.keep(&path, &key);
        }
        Ok(Some(filter))
    }

    /// Writes the filter to the bundle, for execs of the container.
    pub fn leave(&self, bundle: &Path) -> Result<(), Failure> {
        let path = left_at(bundle);
        fs::write(&path, self.to_bytes()).map_err(|error| format!("{}: {error}", path.display()))
    }

    /// The filter of a running container, if it has one.
    pub fn of_container(bundle: &Path) -> Result<Option<Self>, Failure> {
        if let Ok(bytes) = fs::read(left_at(bundle)) {
            return Self::from_bytes(&bytes).map(Some).ok_or_else(|| "seccomp: a torn filter".into());
        }
        let spec: Value = super::read_json(&bundle.join("config.json"))?;
        match spec.pointer("/linux/seccomp") {
            None | Some(Value::Null) => Ok(None),
            Some(profile) => Self::of(profile, bundle)?
                .map(Some)
                .ok_or_else(|| "a seccomp listener is not supported for exec".into()),
        }
    }

    /// Installs the filter in the calling process, which cannot remove it.
    pub fn install(&self) -> Result<(), Failure> {
        let instructions: Vec<libc::sock_filter> = self
            .program
            .chunks_exact(8)
            .map(|bytes| libc::sock_filter {
                code: u16::from_ne_bytes([bytes[0], bytes[1]]),
                jt: bytes[2],
                jf: bytes[3],
                k: u32::from_ne_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]),
            })
            .collect();
        let program =
            libc::sock_fprog { len: instructions.len() as u16, filter: instructions.as_ptr().cast_mut() };
        // SAFETY: the kernel reads `len` instructions from `filter`, which live until the call is over.
        let done = unsafe {
            libc::syscall(
                libc::SYS_seccomp,
                libc::SECCOMP_SET_MODE_FILTER,
                libc::c_ulong::from(self.flags),
                std::ptr::from_ref(&program),
            )
        };
        if done == 0 { Ok(()) } else { Err(format!("seccomp: {}", std::io::Error::last_os_error())) }
    }

    fn kept(path: &Path, key: &str) -> Option<Self> {
        let bytes = fs::read(path).ok()?;
        let rest = bytes.strip_prefix(key.as_bytes())?.strip_prefix(&[0])?;
        Self::from_bytes(rest)
    }

    fn keep(&self, path: &Path, key: &str) -> std::io::Result<()> {
        use std::os::unix::fs::DirBuilderExt;
        let directory = path.parent().unwrap_or(path);
        fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        let temporary = path.with_extension(std::process::id().to_string());
        let mut bytes = key.as_bytes().to_vec();
        bytes.push(0);
        bytes.extend(self.to_bytes());
        fs::write(&temporary, bytes)?;
        fs::rename(temporary, path)
    }

    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.flags.to_ne_bytes().to_vec();
        bytes.extend_from_slice(&self.program);
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (flags, program) = bytes.split_first_chunk()?;
        let whole = !program.is_empty() && program.len() % 8 == 0;
        whole.then(|| Self { flags: u32::from_ne_bytes(*flags), program: program.to_vec() })
    }
}

fn left_at(bundle: &Path) -> PathBuf {
    own_state(bundle).join("seccomp.filter")
}

/// The path of a kept program beside Gantry's bundles; `None` for the bundle of another daemon.
fn kept_at(bundle: &Path, key: &str) -> Option<PathBuf> {
    let bundles = bundle.parent()?.parent().filter(|bundles| bundles.ends_with("bundles"))?;
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in key.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    Some(bundles.parent()?.join("seccomp").join(format!("{hash:016x}")))
}

fn compile(profile: &LinuxSeccomp) -> Result<Filter, Failure> {
    let failed = |error: libseccomp::error::SeccompError| error.to_string();
    let default = action(profile.default_action(), profile.default_errno_ret());
    let mut context = ScmpFilterContext::new(default).map_err(failed)?;
    for architecture in profile.architectures().iter().flatten() {
        if let Some(architecture) = arch(*architecture) {
            context.add_arch(architecture).map_err(failed)?;
        }
    }
    for rule in profile.syscalls().iter().flatten() {
        let action = action(rule.action(), rule.errno_ret());
        if action == default {
            continue;
        }
        let conditions = rule.args().as_deref().unwrap_or_default();
        for name in rule.names() {
            // A kernel that does not know the call cannot run it.
            let Ok(call) = ScmpSyscall::from_name(name) else {
                continue;
            };
            if conditions.is_empty() {
                context.add_rule(action, call).map_err(failed)?;
            } else if repeats(conditions) {
                // libseccomp compares each argument once in a rule. As with runc, each condition then becomes a rule
                // of its own.
                for condition in conditions {
                    let condition = [compare(condition)];
                    context.add_rule_conditional(action, call, &condition).map_err(failed)?;
                }
            } else {
                let conditions: Vec<_> = conditions.iter().map(compare).collect();
                context.add_rule_conditional(action, call, &conditions).map_err(failed)?;
            }
        }
    }
    let mut program = newer::prelude(profile, default);
    program.extend(export(&context)?);
    Ok(Filter {
        flags: profile.flags().iter().flatten().fold(0, |flags, flag| flags | flag_bit(*flag)),
        program,
    })
}

fn export(context: &ScmpFilterContext) -> Result<Vec<u8>, Failure> {
    let memory = rustix::fs::memfd_create("seccomp", rustix::fs::MemfdFlags::CLOEXEC)
        .map_err(|errno| errno.to_string())?;
    context.export_bpf(&memory).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    let mut file = fs::File::from(memory);
    file.rewind().and_then(|()| file.read_to_end(&mut bytes)).map_err(|error| error.to_string())?;
    Ok(bytes)
}

fn repeats(conditions: &[LinuxSeccompArg]) -> bool {
    let mut seen = std::collections::BTreeSet::new();
    !conditions.iter().all(|condition| seen.insert(condition.index()))
}

fn compare(condition: &LinuxSeccompArg) -> ScmpArgCompare {
    let operator = match condition.op() {
        LinuxSeccompOperator::ScmpCmpNe => ScmpCompareOp::NotEqual,
        LinuxSeccompOperator::ScmpCmpLt => ScmpCompareOp::Less,
        LinuxSeccompOperator::ScmpCmpLe => ScmpCompareOp::LessOrEqual,
        LinuxSeccompOperator::ScmpCmpEq => ScmpCompareOp::Equal,
        LinuxSeccompOperator::ScmpCmpGe => ScmpCompareOp::GreaterEqual,
        LinuxSeccompOperator::ScmpCmpGt => ScmpCompareOp::Greater,
        // In OCI's condition the mask is the first value, and the second is compared with the masked argument.
        // (libcontainer 0.7.0 swaps them, which forbids every clone(2) under Docker's default profile.)
        LinuxSeccompOperator::ScmpCmpMaskedEq => {
            let datum = condition.value_two().unwrap_or(0);
            return ScmpArgCompare::new(
                condition.index() as u32,
                ScmpCompareOp::MaskedEqual(condition.value()),
                datum,
            );
        }
    };
    ScmpArgCompare::new(condition.index() as u32, operator, condition.value())
}

fn action(action: LinuxSeccompAction, errno: Option<u32>) -> ScmpAction {
    let errno = errno.map_or(libc::EPERM, |errno| errno as i32);
    match action {
        LinuxSeccompAction::ScmpActKill | LinuxSeccompAction::ScmpActKillThread => ScmpAction::KillThread,
        LinuxSeccompAction::ScmpActKillProcess => ScmpAction::KillProcess,
        LinuxSeccompAction::ScmpActTrap => ScmpAction::Trap,
        LinuxSeccompAction::ScmpActErrno => ScmpAction::Errno(errno),
        LinuxSeccompAction::ScmpActTrace => ScmpAction::Trace(errno as u16),
        LinuxSeccompAction::ScmpActAllow => ScmpAction::Allow,
        LinuxSeccompAction::ScmpActNotify => ScmpAction::Notify,
        LinuxSeccompAction::ScmpActLog => ScmpAction::Log,
    }
}

/// The architectures that Gantry runs on; others do not occur on these machines.
fn arch(arch: Arch) -> Option<ScmpArch> {
    match arch {
        Arch::ScmpArchNative => Some(ScmpArch::Native),
        Arch::ScmpArchX86 => Some(ScmpArch::X86),
        Arch::ScmpArchX86_64 => Some(ScmpArch::X8664),
        Arch::ScmpArchX32 => Some(ScmpArch::X32),
        Arch::ScmpArchArm => Some(ScmpArch::Arm),
        Arch::ScmpArchAarch64 => Some(ScmpArch::Aarch64),
        Arch::ScmpArchRiscv64 => Some(ScmpArch::Riscv64),
        Arch::ScmpArchPpc64le => Some(ScmpArch::Ppc64Le),
        Arch::ScmpArchS390 => Some(ScmpArch::S390),
        Arch::ScmpArchS390x => Some(ScmpArch::S390X),
        _ => None,
    }
}

/// `SECCOMP_FILTER_FLAG_*`.
fn flag_bit(flag: LinuxSeccompFilterFlag) -> u32 {
    match flag {
        LinuxSeccompFilterFlag::SeccompFilterFlagTsync => 1,
        LinuxSeccompFilterFlag::SeccompFilterFlagLog => 1 << 1,
        LinuxSeccompFilterFlag::SeccompFilterFlagSpecAllow => 1 << 2,
        LinuxSeccompFilterFlag::SeccompFilterFlagWaitKillableRecv => 1 << 5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_kept_program_is_used_for_its_own_profile_only() {
        let run = tempfile::tempdir().expect("a directory");
        let bundle = run.path().join("bundles/ns/x");
        let profile = json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
            {"names": ["mkdir", "no_such_call"], "action": "SCMP_ACT_ERRNO"}]});
        let compiled = Filter::of(&profile, &bundle).expect("compiled").expect("a filter");
        let kept =
            fs::read_dir(run.path().join("seccomp")).expect("kept").next().expect("one").expect("one").path();
        assert_eq!(Filter::of(&profile, &bundle).expect("kept").expect("a filter").program, compiled.program);
        // A program of the same name for another profile: it is not used.
        fs::write(&kept, b"other\0\0\0\0\0\x06\0\0\0\0\0\xff\x7f").expect("written");
        assert_eq!(
            Filter::of(&profile, &bundle).expect("compiled").expect("a filter").program,
            compiled.program
        );
        let listener = json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
            {"names": ["mkdir"], "action": "SCMP_ACT_NOTIFY"}]});
        assert!(Filter::of(&listener, &bundle).expect("known").is_none());
    }
}
