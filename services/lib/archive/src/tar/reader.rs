//! Reads one entry after the other, and their content.

use std::io::BufRead;

use gantry_rooted::Time;

use super::extensions::Extensions;
use super::header::Header;
use super::pax::Pax;
use super::{BLOCK, Content, Entry, Error, Kind, LONGEST_NAME, Result};

/// The longest extended header in bytes.
const LONGEST_EXTENSION: u64 = 1 << 20;
/// How many headers an entry may have before it: otherwise global headers could follow each other without end.
const MOST_EXTENSIONS: usize = 64;

/// Reads an archive.
pub struct Reader<R> {
    pub(super) source: R,
    /// How many bytes of the archive are consumed.
    pub(super) offset: u64,
    /// How many stored bytes of the current entry were not handed out.
    pub(super) remaining: u64,
    /// How many zero bytes follow them.
    padding: u64,
    /// How many bytes the last [`Reader::data`] handed out; the next call consumes them.
    lent: usize,
}

impl<R: BufRead> Reader<R> {
    /// Reads the archive in `source`.
    pub fn new(source: R) -> Self {
        Self { source, offset: 0, remaining: 0, padding: 0, lent: 0 }
    }

    /// The next entry; `None` at the end of the archive. Skips the rest of the current entry.
    pub fn next_entry(&mut self) -> Result<Option<Entry>> {
        while !self.data()?.is_empty() {}
        self.skip(self.padding, "the padding of an entry")?;
        self.padding = 0;
        let mut extensions = Extensions::default();
        for _ in 0..=MOST_EXTENSIONS {
            let offset = self.offset;
            let Some(block) = self.block()? else {
                return if extensions.is_empty() { Ok(None) } else { Err(Error::Cut("an extended header")) };
            };
            if block.iter().all(|byte| *byte == 0) {
                return self.end(offset, &extensions);
            }
            let header = Header::new(&block, offset)?;
            match header.flag() {
                b'x' => {
                    let bytes = self.extension(header.size()?, offset)?;
                    let pax = Pax::parse(&bytes).map_err(|reason| Error::Extended { offset, reason })?;
                    extensions.set_pax(pax).map_err(|reason| Error::Extended { offset, reason })?;
                }
                b'g' => {
                    let bytes = self.extension(header.size()?, offset)?;
                    Pax::check_global(&bytes).map_err(|reason| Error::Extended { offset, reason })?;
                }
                flag @ (b'L' | b'K') => {
                    let bytes = self.extension(header.size()?, offset)?;
                    extensions.set_long(flag, bytes).map_err(|reason| Error::Extended { offset, reason })?;
                }
                _ => return self.entry(&header, extensions, offset).map(Some),
            }
        }
        let reason = format!("is one of more than {MOST_EXTENSIONS} in front of an entry");
        Err(Error::Extended { offset: self.offset, reason })
    }

    /// More of the current entry's stored bytes; empty when there are no more.
    pub fn data(&mut self) -> Result<&[u8]> {
        self.data_up_to(u64::MAX)
    }

    /// Like [`Reader::data`], but at most `limit` bytes.
    pub fn data_up_to(&mut self, limit: u64) -> Result<&[u8]> {
        self.settle();
        if self.remaining == 0 {
            return Ok(&[]);
        }
        let bytes = self.source.fill_buf()?;
        if bytes.is_empty() {
            return Err(Error::Cut("a file"));
        }
        let length = bytes.len().min(usize::try_from(self.remaining.min(limit)).unwrap_or(usize::MAX));
        self.lent = length;
        self.remaining -= length as u64;
        Ok(&bytes[..length])
    }

    /// The rest of the current entry's stored bytes as a stream.
    pub fn content(&mut self) -> Content<'_, R> {
        self.settle();
        Content::new(self)
    }

    /// Consumes the bytes that were handed out.
    fn settle(&mut self) {
        self.source.consume(self.lent);
        self.offset += self.lent as u64;
        self.lent = 0;
    }

    /// Returns the source, for the bytes after the archive.
    pub fn into_source(mut self) -> R {
        self.settle();
        self.source
    }

    fn entry(&mut self, header: &Header<'_>, extensions: Extensions, offset: u64) -> Result<Entry> {
        let Extensions { pax, path, link } = extensions;
        let pax = pax.unwrap_or_default();
        let mut path = pax.path.or(path).unwrap_or_else(|| header.name());
        let link = pax.link.or(link).unwrap_or_else(|| header.link());
        if let Some(name) = pax.sparse.name.clone() {
            path = name;
        }
        let refuse = |reason| Error::Header { offset, reason };
        if path.len() > LONGEST_NAME || link.len() > LONGEST_NAME {
            return Err(refuse("its name is too long"));
        }
        let size = || pax.size.map_or_else(|| header.size(), Ok);
        let kind = match header.flag() {
            // V7 wrote directories like this.
            b'0' | 0 | b'7' if path.ends_with(b"/") => match size()? {
                0 => Kind::Directory,
                _ => return Err(refuse("it is a directory with data")),
            },
            b'0' | 0 | b'7' | b'S' => Kind::File,
            b'1' => Kind::HardLink,
            b'2' => Kind::Symlink,
            b'3' => Kind::CharDevice,
            b'4' => Kind::BlockDevice,
            b'5' => Kind::Directory,
            b'6' => Kind::Fifo,
            flag => {
                return Err(Error::Type {
                    name: String::from_utf8_lossy(&path).into_owned(),
                    flag: flag.into(),
                });
            }
        };
        // Only files have content. Other kinds ignore the size field, in which old writers put a link's size.
        let stored = if kind == Kind::File { size()? } else { 0 };
        self.remaining = stored;
        self.padding = stored.next_multiple_of(BLOCK as u64) - stored;
        let (size, segments) = match kind {
            Kind::File => self.segments(header, &pax.sparse, stored, offset)?,
            _ if pax.sparse.is_empty() => (0, None),
            _ => return Err(refuse("it is sparse, but no file")),
        };
        Ok(Entry {
            kind,
            link,
            mode: header.mode()?,
            uid: pax.uid.map_or_else(|| header.uid(), Ok)?,
            gid: pax.gid.map_or_else(|| header.gid(), Ok)?,
            mtime: match pax.mtime {
                Some(time) => time,
                None => Time { seconds: header.mtime()?, nanos: 0 },
            },
            size,
            device: header.device()?,
            xattrs: pax.xattrs,
            segments,
            path,
        })
    }

    /// The archive ends with two zero blocks. The second one may be missing at the end of the file.
    fn end(&mut self, offset: u64, extensions: &Extensions) -> Result<Option<Entry>> {
        if !extensions.is_empty() {
            return Err(Error::Cut("an extended header"));
        }
        match self.block()? {
            Some(block) if block.iter().any(|byte| *byte != 0) => {
                Err(Error::Header { offset, reason: "a single zero block stands between entries" })
            }
            _ => Ok(None),
        }
    }

    fn extension(&mut self, size: u64, offset: u64) -> Result<Vec<u8>> {
        if size > LONGEST_EXTENSION {
            let reason = format!("is longer than {LONGEST_EXTENSION} bytes");
            return Err(Error::Extended { offset, reason });
        }
        let size = usize::try_from(size).expect("limited above");
        let mut bytes = vec![0; size];
        self.read(&mut bytes, "an extended header")?;
        self.skip((size.next_multiple_of(BLOCK) - size) as u64, "an extended header")?;
        Ok(bytes)
    }

    /// The next block; `None` if the bytes end before it.
    pub(super) fn block(&mut self) -> Result<Option<[u8; BLOCK]>> {
        if self.source.fill_buf()?.is_empty() {
            return Ok(None);
        }
        let mut block = [0; BLOCK];
        self.read(&mut block, "a header")?;
        Ok(Some(block))
    }

    fn read(&mut self, mut target: &mut [u8], what: &'static str) -> Result<()> {
        while !target.is_empty() {
            let bytes = self.source.fill_buf()?;
            if bytes.is_empty() {
                return Err(Error::Cut(what));
            }
            let length = bytes.len().min(target.len());
            target[..length].copy_from_slice(&bytes[..length]);
            target = &mut target[length..];
            self.source.consume(length);
            self.offset += length as u64;
        }
        Ok(())
    }

    fn skip(&mut self, mut count: u64, what: &'static str) -> Result<()> {
        while count > 0 {
            let available = self.source.fill_buf()?.len();
            if available == 0 {
                return Err(Error::Cut(what));
            }
            let length = available.min(usize::try_from(count).unwrap_or(usize::MAX));
            self.source.consume(length);
            self.offset += length as u64;
            count -= length as u64;
        }
        Ok(())
    }
}
