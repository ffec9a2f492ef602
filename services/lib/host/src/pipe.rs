//! Pipes and FIFOs, seen from their writing end.

use std::os::fd::AsFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::{Error, Result};

/// How many bytes were written and not read: FIONREAD of ioctl_pipe(2).
pub fn unread(end: impl AsFd) -> Result<usize> {
    let bytes = rustix::io::ioctl_fionread(end).map_err(|e| Error::os("FIONREAD", "pipe", e))?;
    Ok(usize::try_from(bytes).unwrap_or(usize::MAX))
}

/// Whether a process has the reading end open: POLLERR of poll(2). The content of a FIFO stays after its last reader,
/// while the FIFO is open for writing.
pub fn has_reader(end: impl AsFd) -> Result<bool> {
    let mut asked = [PollFd::new(&end, PollFlags::OUT)];
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut asked, Some(&at_once)).map_err(|e| Error::os("poll", "pipe", e))?;
    Ok(!asked[0].revents().contains(PollFlags::ERR))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unread_outlives_its_reader() {
        let (reader, writer) = rustix::pipe::pipe().expect("a pipe");
        rustix::io::write(&writer, b"four").expect("written");
        assert_eq!((unread(&writer).expect("asked"), has_reader(&writer).expect("asked")), (4, true));
        let mut byte = [0];
        rustix::io::read(&reader, &mut byte).expect("read");
        drop(reader);
        assert_eq!((unread(&writer).expect("asked"), has_reader(&writer).expect("asked")), (3, false));
    }
}
