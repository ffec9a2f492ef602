//! The part of bpf(2) that a device filter needs: instructions, loading, attaching. Linux 4.15.

#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

const PROG_LOAD: libc::c_int = 5;
const PROG_ATTACH: libc::c_int = 8;
const PROG_TYPE_CGROUP_DEVICE: u32 = 15;
const CGROUP_DEVICE: u32 = 6;
/// Filters of other programs, such as systemd's, stay: each of them must allow an access.
const ALLOW_MULTI: u32 = 2;

/// `struct bpf_insn`.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instruction {
    code: u8,
    registers: u8,
    offset: i16,
    immediate: i32,
}

impl Instruction {
    const fn new(code: u8, destination: u8, source: u8, offset: i16, immediate: i32) -> Self {
        Self { code, registers: destination | (source << 4), offset, immediate }
    }

    /// `destination = *(u32 *)(source + offset)`
    pub const fn load(destination: u8, source: u8, offset: i16) -> Self {
        Self::new(0x61, destination, source, offset, 0)
    }

    /// `destination = value`
    pub const fn set(destination: u8, value: i32) -> Self {
        Self::new(0xb7, destination, 0, 0, value)
    }

    /// `destination &= value`, in 32 bits.
    pub const fn and(destination: u8, value: i32) -> Self {
        Self::new(0x54, destination, 0, 0, value)
    }

    /// `destination >>= bits`, in 32 bits.
    pub const fn shift_right(destination: u8, bits: i32) -> Self {
        Self::new(0x74, destination, 0, 0, bits)
    }

    /// Skips `over` instructions.
    pub const fn jump(over: i16) -> Self {
        Self::new(0x05, 0, 0, over, 0)
    }

    /// Skips `over` instructions if the register is not `value`.
    pub const fn jump_if_not(register: u8, value: i32, over: i16) -> Self {
        Self::new(0x55, register, 0, over, value)
    }

    /// Skips `over` instructions if the register has any bit of `bits`.
    pub const fn jump_if_any(register: u8, bits: i32, over: i16) -> Self {
        Self::new(0x45, register, 0, over, bits)
    }

    /// Ends with the value of the first register.
    pub const fn exit() -> Self {
        Self::new(0x95, 0, 0, 0, 0)
    }
}

#[cfg(test)]
impl Instruction {
    pub const fn code(self) -> u8 {
        self.code
    }

    pub const fn destination(self) -> usize {
        (self.registers & 0xf) as usize
    }

    pub const fn offset(self) -> i16 {
        self.offset
    }

    pub const fn immediate(self) -> i32 {
        self.immediate
    }
}

/// The beginning of `union bpf_attr` for BPF_PROG_LOAD; the rest is zero.
#[repr(C)]
struct Load {
    kind: u32,
    count: u32,
    instructions: u64,
    licence: u64,
}

/// `union bpf_attr` for BPF_PROG_ATTACH.
#[repr(C)]
struct Attach {
    target: u32,
    program: u32,
    kind: u32,
    flags: u32,
}

/// Loads a device filter, which the kernel verifies.
pub fn load_device_filter(code: &[Instruction]) -> io::Result<OwnedFd> {
    // The program calls none of the functions that only GPL programs may call.
    let licence = c"Apache-2.0";
    let request = Load {
        kind: PROG_TYPE_CGROUP_DEVICE,
        count: code.len() as u32,
        instructions: code.as_ptr() as u64,
        licence: licence.as_ptr() as u64,
    };
    let descriptor = call(PROG_LOAD, &request)?;
    // SAFETY: the kernel has just made this descriptor, close-on-exec, and no other code has it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// Attaches a filter to the cgroup in `group`: it decides for that cgroup and those below, as long as the cgroup
/// exists.
pub fn attach_device_filter(group: &OwnedFd, program: &OwnedFd) -> io::Result<()> {
    let number = |descriptor: &OwnedFd| descriptor.as_raw_fd().cast_unsigned();
    let request =
        Attach { target: number(group), program: number(program), kind: CGROUP_DEVICE, flags: ALLOW_MULTI };
    call(PROG_ATTACH, &request).map(drop)
}

fn call<T>(command: libc::c_int, request: &T) -> io::Result<i32> {
    // SAFETY: `request` is the beginning of bpf_attr for this command, of the size given; what it points to
    // outlives the call, which keeps no pointer.
    let result =
        unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_ref(request), size_of::<T>()) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result as i32) }
}
