//! A netlink socket: sends requests, receives acknowledgements and dumps.

use std::io;

use rustix::net::sockopt;

use crate::abi;
use crate::error::{Error, Result};
use crate::message::{Attributes, Message, Reply, replies, text_of};

/// A request, and its description for errors.
pub type Described = (Message, String);

/// A netlink socket; it belongs to the network namespace of the thread that opened it.
#[derive(Debug)]
pub struct Socket {
    inner: netlink_sys::Socket,
    sequence: u32,
    buffer: Vec<u8>,
}

impl Socket {
    /// Opens a socket of a netlink protocol in the calling thread's network namespace.
    pub(crate) fn open(protocol: isize) -> Result<Self> {
        let failed = |op| move |source| Error::Socket { op, source };
        let mut inner = netlink_sys::Socket::new(protocol).map_err(failed("open"))?;
        inner.bind_auto().map_err(failed("bind"))?;
        // Extended acknowledgements have the kernel's messages; both options exist since Linux 4.12.
        inner.set_ext_ack(true).map_err(failed("extended acknowledgements"))?;
        inner.set_cap_ack(true).map_err(failed("capped acknowledgements"))?;
        Ok(Socket { inner, sequence: 0, buffer: Vec::with_capacity(64 * 1024) })
    }

    /// Makes room for a batch of `bytes` and for its acknowledgements.
    pub(crate) fn reserve(&self, bytes: usize) -> Result<()> {
        use std::os::fd::AsFd;
        let failed =
            |source: rustix::io::Errno| Error::Socket { op: "size the buffers", source: source.into() };
        let wanted = bytes.max(212_992);
        sockopt::set_socket_send_buffer_size_force(self.inner.as_fd(), wanted).map_err(failed)?;
        sockopt::set_socket_recv_buffer_size_force(self.inner.as_fd(), wanted * 2).map_err(failed)
    }

    pub(crate) fn next_sequence(&mut self) -> u32 {
        self.sequence = self.sequence.wrapping_add(1).max(1);
        self.sequence
    }

    pub(crate) fn send(&self, bytes: &[u8]) -> Result<()> {
        let sent = self.inner.send(bytes, 0).map_err(|source| Error::Socket { op: "send", source })?;
        if sent != bytes.len() {
            let source = io::Error::from(io::ErrorKind::WriteZero);
            return Err(Error::Socket { op: "send a whole batch", source });
        }
        Ok(())
    }

    pub(crate) fn receive(&mut self) -> Result<Vec<Reply>> {
        loop {
            self.buffer.clear();
            match self.inner.recv(&mut self.buffer, 0) {
                Ok(_) => return Ok(replies(&self.buffer)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(Error::Socket { op: "receive", source }),
            }
        }
    }

    /// Sends requests in one system call and waits for the acknowledgement of each.
    ///
    /// The kernel carries out every request, also after a failed one. Returns the first failure; "it exists" only
    /// when there is no other.
    pub fn transact(&mut self, requests: Vec<Described>) -> Result<()> {
        let first = self.sequence.wrapping_add(1).max(1);
        let mut bytes = Vec::new();
        let mut names = Vec::with_capacity(requests.len());
        for (mut message, what) in requests {
            message.add_flags(abi::NLM_F_ACK);
            message.finish(self.next_sequence(), &mut bytes);
            names.push(what);
        }
        self.send(&bytes)?;
        let mut waiting = names.len();
        let mut failure = None;
        while waiting > 0 {
            for reply in self.receive()? {
                let Some(index) = reply.sequence.checked_sub(first).map(|n| n as usize) else { continue };
                if reply.kind != abi::NLMSG_ERROR || index >= names.len() {
                    continue;
                }
                waiting -= 1;
                if let Some((source, detail)) = refusal(&reply) {
                    let error = Error::Refused { what: names[index].clone(), detail, source };
                    if failure.as_ref().is_none_or(|first: &Error| first.is_exists() && !error.is_exists()) {
                        failure = Some(error);
                    }
                }
            }
        }
        failure.map_or(Ok(()), Err)
    }

    /// Sends a request whose reply has objects: a dump, or one object and its acknowledgement.
    pub fn query(&mut self, message: Message, flags: u16, what: &str) -> Result<Vec<Reply>> {
        self.query_where(message, flags, what, |_| true)
    }

    /// [`Socket::query`] that keeps only some of the objects.
    pub(crate) fn query_where(
        &mut self,
        message: Message,
        flags: u16,
        what: &str,
        keep: impl Fn(&Reply) -> bool,
    ) -> Result<Vec<Reply>> {
        // A dump during which something has changed says so, and is repeated.
        for _ in 0..8 {
            let sequence = self.next_sequence();
            let mut request = message.clone();
            request.add_flags(flags);
            if flags & abi::NLM_F_DUMP != abi::NLM_F_DUMP {
                request.add_flags(abi::NLM_F_ACK);
            }
            let mut bytes = Vec::new();
            request.finish(sequence, &mut bytes);
            self.send(&bytes)?;
            let mut found = Vec::new();
            let mut interrupted = false;
            'answer: loop {
                for reply in self.receive()? {
                    if reply.sequence != sequence {
                        continue;
                    }
                    interrupted |= reply.flags & abi::NLM_F_DUMP_INTR != 0;
                    match reply.kind {
                        abi::NLMSG_DONE => break 'answer,
                        abi::NLMSG_ERROR => match refusal(&reply) {
                            Some((source, detail)) => {
                                return Err(Error::Refused { what: what.to_owned(), detail, source });
                            }
                            None => break 'answer,
                        },
                        _ if keep(&reply) => found.push(reply),
                        _ => {}
                    }
                }
            }
            if !interrupted {
                return Ok(found);
            }
        }
        Err(Error::Answer { what: format!("{what} (interrupted eight times)") })
    }
}

/// Parses an `NLMSG_ERROR`: `None` for an acknowledgement, else the error number and the kernel's message.
pub(crate) fn refusal(reply: &Reply) -> Option<(io::Error, Option<String>)> {
    let code = reply.body.get(..4).map_or(-71, |raw| i32::from_ne_bytes(raw.try_into().expect("four bytes")));
    if code == 0 {
        return None;
    }
    let mut detail = None;
    if reply.flags & abi::NLM_F_ACK_TLVS != 0 {
        let quoted = if reply.flags & abi::NLM_F_CAPPED != 0 {
            16
        } else {
            crate::message::u32_of(reply.body.get(4..).unwrap_or_default()).unwrap_or(16) as usize
        };
        let tail = reply.body.get(4 + quoted.next_multiple_of(4)..).unwrap_or_default();
        detail = Attributes::of(tail).find_kind(abi::NLMSGERR_ATTR_MSG).map(text_of);
    }
    Some((io::Error::from_raw_os_error(code.wrapping_neg()), detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_number_may_be_an_error() {
        for code in [i32::MIN, -17, 1, i32::MAX] {
            let reply =
                Reply { kind: abi::NLMSG_ERROR, flags: 0, sequence: 1, body: code.to_ne_bytes().into() };
            let (source, detail) = refusal(&reply).expect("it is no success");
            assert_eq!((source.raw_os_error(), detail), (Some(code.wrapping_neg()), None));
        }
    }
}
