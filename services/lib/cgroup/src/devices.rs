//! The device rules of an OCI spec on cgroup v2, where a BPF program decides about each use of a device
//! (Documentation/admin-guide/cgroup-v2.rst, "Device controller").
//!
//! The kernel asks with a set of accesses: read, write, mknod. For each access the last rule that names it and the
//! device decides, as on v1. So the program goes through the rules backwards, and removes allowed accesses from the
//! set until none is left, or one is denied.

use std::path::Path;

use oci_spec::runtime::{LinuxDeviceCgroup, LinuxDeviceType};
use rustix::fs::{CWD, Mode, OFlags};

use crate::bpf::{self, Instruction};
use crate::limits::v1::ALWAYS_ALLOWED;
use crate::{Error, Result};

const MKNOD: i32 = 1;
const READ: i32 = 2;
const WRITE: i32 = 4;
const ALL: i32 = MKNOD | READ | WRITE;

const BLOCK: i32 = 1;
const CHARACTER: i32 = 2;

/// The registers: the context, then the values that are read from it.
const RESULT: u8 = 0;
const CONTEXT: u8 = 1;
const TYPE: u8 = 2;
const ACCESS: u8 = 3;
const MAJOR: u8 = 4;
const MINOR: u8 = 5;

/// A rule as the program compares it; `None` matches everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rule {
    allow: bool,
    kind: Option<i32>,
    major: Option<i32>,
    minor: Option<i32>,
    access: i32,
}

/// Allows the processes of the cgroup in `directory` the devices of the rules, and those that every container may
/// use. Without rules, allows every device.
pub fn confine(directory: &Path, rules: &[LinuxDeviceCgroup]) -> Result<()> {
    let mut parsed = rules.iter().map(Rule::of).collect::<Result<Vec<_>>>()?;
    if parsed.last().is_none_or(Rule::is_for_all) {
        return Ok(());
    }
    parsed.extend(ALWAYS_ALLOWED.iter().map(|text| Rule::parse(text)));
    let failed = |op, source| Error::Directory { directory: directory.into(), op, source };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let group = rustix::fs::openat(CWD, directory, flags, Mode::empty())
        .map_err(|errno| failed("open", errno.into()))?;
    let program = bpf::load_device_filter(&program(&parsed))
        .map_err(|error| failed("load the filter of devices", error))?;
    bpf::attach_device_filter(&group, &program).map_err(|error| failed("attach the filter of devices", error))
}

impl Rule {
    fn of(rule: &LinuxDeviceCgroup) -> Result<Self> {
        let kind = match rule.typ() {
            Some(LinuxDeviceType::B) => Some(BLOCK),
            Some(LinuxDeviceType::C | LinuxDeviceType::U) => Some(CHARACTER),
            None | Some(LinuxDeviceType::A) => None,
            Some(other) => return Err(Error::Device(format!("{other:?} is no type of device"))),
        };
        // A negative number matches any, as in the spec of runtimes.
        let number = |given: Option<i64>| match given.filter(|number| *number >= 0) {
            None => Ok(None),
            Some(number) => i32::try_from(number).map(Some).map_err(|_| Error::Device(number.to_string())),
        };
        let mut access = 0;
        for letter in rule.access().as_deref().unwrap_or("rwm").chars() {
            access |= match letter {
                'r' => READ,
                'w' => WRITE,
                'm' => MKNOD,
                other => return Err(Error::Device(format!("{other:?} is no access"))),
            };
        }
        Ok(Self {
            allow: rule.allow(),
            kind,
            major: number(rule.major())?,
            minor: number(rule.minor())?,
            access,
        })
    }

    /// Parses one of the built-in rules, `c 1:3 rwm`.
    fn parse(text: &str) -> Self {
        let mut words = text.split([' ', ':']);
        let kind = if words.next() == Some("b") { BLOCK } else { CHARACTER };
        let mut number = || words.next().and_then(|number| number.parse().ok());
        let (major, minor) = (number(), number());
        let access = if words.next() == Some("m") { MKNOD } else { ALL };
        Self { allow: true, kind: Some(kind), major, minor, access }
    }

    fn is_for_all(&self) -> bool {
        let Self { allow, kind, major, minor, access } = *self;
        allow && (kind, major, minor) == (None, None, None) && access == ALL
    }
}

/// The program; it returns 1 to allow and 0 to deny.
fn program(rules: &[Rule]) -> Vec<Instruction> {
    let mut code = vec![
        // struct bpf_cgroup_dev_ctx: the access in the upper half, the type in the lower, then the numbers.
        Instruction::load(TYPE, CONTEXT, 0),
        Instruction::and(TYPE, 0xffff),
        Instruction::load(ACCESS, CONTEXT, 0),
        Instruction::shift_right(ACCESS, 16),
        Instruction::load(MAJOR, CONTEXT, 4),
        Instruction::load(MINOR, CONTEXT, 8),
    ];
    for rule in rules.iter().rev() {
        let conditions: Vec<(u8, i32)> = [(TYPE, rule.kind), (MAJOR, rule.major), (MINOR, rule.minor)]
            .into_iter()
            .filter_map(|(register, value)| Some((register, value?)))
            .collect();
        if conditions.is_empty() && !rule.allow && rule.access == ALL {
            // No earlier rule counts, and the kernel refuses programs with unreachable code.
            break;
        }
        let action = if rule.allow {
            vec![
                Instruction::and(ACCESS, !rule.access & ALL),
                Instruction::jump_if_not(ACCESS, 0, 2),
                Instruction::set(RESULT, 1),
                Instruction::exit(),
            ]
        } else {
            vec![
                Instruction::jump_if_any(ACCESS, rule.access, 1),
                Instruction::jump(2),
                Instruction::set(RESULT, 0),
                Instruction::exit(),
            ]
        };
        for (done, (register, value)) in conditions.iter().enumerate() {
            let over = conditions.len() - done - 1 + action.len();
            code.push(Instruction::jump_if_not(*register, *value, over as i16));
        }
        code.extend(action);
    }
    // Everything else is denied, as by v1's first rule.
    code.extend([Instruction::set(RESULT, 0), Instruction::exit()]);
    code
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs the program as the kernel would.
    fn run(code: &[Instruction], kind: i32, access: i32, major: i32, minor: i32) -> bool {
        let context = [(access << 16) | kind, major, minor];
        let mut registers = [0_i32; 11];
        let mut next = 0_usize;
        loop {
            let one = code[next];
            next += 1;
            let value = registers[one.destination()];
            let taken = match one.code() {
                0x61 => {
                    registers[one.destination()] = context[one.offset() as usize / 4];
                    false
                }
                0x54 => {
                    registers[one.destination()] = value & one.immediate();
                    false
                }
                0x74 => {
                    registers[one.destination()] = value >> one.immediate();
                    false
                }
                0xb7 => {
                    registers[one.destination()] = one.immediate();
                    false
                }
                0x05 => true,
                0x55 => value != one.immediate(),
                0x45 => value & one.immediate() != 0,
                0x95 => return registers[0] == 1,
                other => panic!("code {other:#x}"),
            };
            if taken {
                next = next.checked_add_signed(one.offset().into()).expect("within the program");
            }
        }
    }

    fn rule(text: &str) -> Rule {
        let (verb, rest) = text.split_once(' ').expect("a verb");
        let mut words = rest.split([' ', ':']);
        let kind = match words.next() {
            Some("b") => Some(BLOCK),
            Some("c") => Some(CHARACTER),
            _ => None,
        };
        let mut number = || words.next().and_then(|number| number.parse().ok());
        let (major, minor) = (number(), number());
        let letters = words.next().expect("an access");
        let bit = |letter, bit| if letters.contains(letter) { bit } else { 0 };
        let access = bit('r', READ) | bit('w', WRITE) | bit('m', MKNOD);
        Rule { allow: verb == "allow", kind, major, minor, access }
    }

    #[test]
    fn the_last_rule_decides_for_each_access() {
        let rules = ["deny a *:* rwm", "allow c 1:3 rw", "allow b 8:* r", "deny b 8:1 r", "deny c 1:3 w"];
        let code = program(&rules.map(rule));
        for (kind, access, major, minor, allowed) in [
            (CHARACTER, READ, 1, 3, true),
            (CHARACTER, WRITE, 1, 3, false),
            (CHARACTER, READ | WRITE, 1, 3, false),
            (CHARACTER, MKNOD, 1, 3, false),
            (CHARACTER, READ, 1, 5, false),
            (BLOCK, READ, 1, 3, false),
            (BLOCK, READ, 8, 0, true),
            (BLOCK, READ | WRITE, 8, 0, false),
            (BLOCK, READ, 8, 1, false),
        ] {
            assert_eq!(run(&code, kind, access, major, minor), allowed, "{kind} {access} {major}:{minor}");
        }
        let code = program(&["deny a *:* rwm", "allow a *:* r", "allow c 1:3 w"].map(rule));
        assert!(run(&code, CHARACTER, READ | WRITE, 1, 3), "two rules together");
    }

    #[test]
    fn what_every_container_may_use_is_read() {
        let all: Vec<Rule> = ALWAYS_ALLOWED.iter().map(|text| Rule::parse(text)).collect();
        let one = |text: &str| rule(&format!("allow {text}"));
        assert_eq!(all, ALWAYS_ALLOWED.map(one));
        assert!(rule("allow a *:* rwm").is_for_all());
        assert!(!rule("allow a *:* rw").is_for_all() && !rule("deny a *:* rwm").is_for_all());
    }

    #[test]
    fn no_code_is_never_reached() {
        let code = program(&["allow c 9:9 r", "deny a *:* rwm", "allow c 1:3 r"].map(rule));
        assert_eq!(code.len(), 6 + 3 + 4 + 2);
        assert!(!run(&code, CHARACTER, READ, 9, 9));
    }
}
