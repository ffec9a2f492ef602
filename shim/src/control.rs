//! The messages between the shim and its runtime helper: JSON over a SEQPACKET socket pair, one message a packet,
//! with descriptors as ancillary data.
//!
//! ```text
//! create:  helper → Created | Failed;  shim → Start;  helper → Started | Failed
//! exec:    helper → Started | Failed
//! other:   helper → Done | Failed
//! ```
//!
//! A helper that reads end of file, because its shim is gone, ends the container that it has created and not started.
//! It touches no other container.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};
use serde::{Deserialize, Serialize};

use crate::runtime::failure::StartFailure;

/// A report of the helper.
#[derive(Debug, Serialize, Deserialize)]
pub enum Reply {
    /// The container exists and waits for `Start`. The packet carries the master of its terminal.
    Created(Created),
    /// The program runs. For an exec, the packet carries the master of its terminal.
    Started {
        pid: i32,
    },
    Done,
    Failed(StartFailure),
}

/// A created container.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Created {
    pub pid: i32,
    pub cgroups: Vec<PathBuf>,
    /// The container has a PID namespace of its own: its processes die with the init.
    pub private_pids: bool,
    /// Only the runtime can delete the container: the spec has hooks, or the runtime is a binary.
    pub delete_by_runtime: bool,
    /// The first size of the terminal: columns, rows.
    pub console_size: Option<(u16, u16)>,
    /// Additional groups of all processes, from the container's annotation.
    pub groups: Option<String>,
}

/// The shim's message to a helper that has created a container.
#[derive(Debug, Serialize, Deserialize)]
pub enum Order {
    Start,
}

/// The largest message in bytes; error texts are cut to a far shorter length.
const LIMIT: usize = 32 * 1024;

/// Sends one message, with a descriptor if there is one.
pub fn send<T: Serialize>(
    socket: impl AsFd,
    message: &T,
    descriptor: Option<BorrowedFd<'_>>,
) -> rustix::io::Result<()> {
    let bytes = serde_json::to_vec(message).expect("plain messages always serialize");
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    let descriptors: Vec<BorrowedFd<'_>> = descriptor.into_iter().collect();
    if !descriptors.is_empty() {
        ancillary.push(SendAncillaryMessage::ScmRights(&descriptors));
    }
    sendmsg(socket, &[IoSlice::new(&bytes)], &mut ancillary, SendFlags::NOSIGNAL).map(drop)
}

/// Receives one message; `None` when the other side has closed.
pub fn receive<T: for<'a> Deserialize<'a>>(
    socket: impl AsFd,
) -> rustix::io::Result<Option<(T, Option<OwnedFd>)>> {
    let mut bytes = vec![0; LIMIT];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let received = loop {
        let mut slices = [IoSliceMut::new(&mut bytes)];
        match recvmsg(&socket, &mut slices, &mut ancillary, RecvFlags::CMSG_CLOEXEC) {
            Err(Errno::INTR) => {}
            // The other side may have died before it read every message.
            Err(Errno::CONNRESET) => return Ok(None),
            other => break other?,
        }
    };
    if received.bytes == 0 {
        return Ok(None);
    }
    let message = serde_json::from_slice(&bytes[..received.bytes]).map_err(|_| Errno::BADMSG)?;
    let descriptor = receive_descriptor(&mut ancillary);
    Ok(Some((message, descriptor)))
}

/// Receives a descriptor and ignores the message with it (a console socket).
pub fn receive_console(socket: impl AsFd) -> rustix::io::Result<Option<OwnedFd>> {
    let mut bytes = [0; 4096];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut slices = [IoSliceMut::new(&mut bytes)];
    recvmsg(socket, &mut slices, &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
    Ok(receive_descriptor(&mut ancillary))
}

fn receive_descriptor(ancillary: &mut RecvAncillaryBuffer<'_>) -> Option<OwnedFd> {
    ancillary.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

    #[test]
    fn messages_and_descriptors_arrive_together() {
        let (ours, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
                .expect("a socket pair");
        let stdin = std::io::stdin();
        send(&ours, &Reply::Started { pid: 7 }, Some(stdin.as_fd())).expect("sent");
        let (reply, descriptor) = receive::<Reply>(&theirs).expect("received").expect("not at the end");
        assert!(matches!(reply, Reply::Started { pid: 7 }));
        assert!(descriptor.is_some());
        drop(ours);
        assert!(receive::<Reply>(&theirs).expect("end").is_none());
    }
}
