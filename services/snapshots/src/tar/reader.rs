//! Entries one after the other, and the bytes of each.

use std::io::BufRead;

use gantry_rooted::Time;

use super::header::{self, Header};
use super::pax::{self, Pax};
use super::{BLOCK, Error, LONGEST_NAME, Result, sparse};

/// The longest extended header, bytes.
const LONGEST_EXTENSION: u64 = 1 << 20;

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// Another name for an entry that came before.
    HardLink,
    /// A symlink.
    Symlink,
    /// A character device.
    CharDevice,
    /// A block device.
    BlockDevice,
    /// A directory.
    Directory,
    /// A named pipe.
    Fifo,
}

/// One entry, as the archive says it: nothing about its names has been checked but their length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: Kind,
    /// Where a link leads.
    pub link: Vec<u8>,
    /// Permission bits with setuid, setgid and sticky.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Last modification.
    pub mtime: Time,
    /// The file's length, holes included.
    pub size: u64,
    /// The device's major and minor number.
    pub device: (u32, u32),
    /// Extended attributes.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// Where the stored bytes of a sparse file belong; `None` for ordinary files.
    pub segments: Option<Vec<(u64, u64)>>,
}

/// Reads an archive.
pub struct Reader<R> {
    source: R,
    /// Bytes of the archive consumed so far.
    offset: u64,
    /// Stored bytes of the current entry not yet handed out.
    remaining: u64,
    /// Zero bytes behind them.
    padding: u64,
    /// Bytes handed out by the last [`Reader::data`], to be consumed by the next call.
    lent: usize,
}

/// Names that came in headers of their own.
#[derive(Default)]
struct Extensions {
    pax: Option<Pax>,
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
}

impl<R: BufRead> Reader<R> {
    /// Reads the archive that `source` yields.
    pub fn new(source: R) -> Self {
        Self { source, offset: 0, remaining: 0, padding: 0, lent: 0 }
    }

    /// The next entry; the data of the one before is skipped. `None` at the end of the archive.
    pub fn next_entry(&mut self) -> Result<Option<Entry>> {
        while !self.data()?.is_empty() {}
        self.skip(self.padding, "the padding of an entry")?;
        self.padding = 0;
        let mut extensions = Extensions::default();
        loop {
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
    }

    /// More of the current entry's stored bytes; empty when there are no more.
    pub fn data(&mut self) -> Result<&[u8]> {
        self.data_up_to(u64::MAX)
    }

    /// Like [`Reader::data`], but at most this many bytes.
    pub fn data_up_to(&mut self, limit: u64) -> Result<&[u8]> {
        self.source.consume(self.lent);
        self.offset += self.lent as u64;
        self.lent = 0;
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

    /// Gives the source back, to be read to its end.
    pub fn into_source(mut self) -> R {
        self.source.consume(self.lent);
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
        let kind = match header.flag() {
            // How V7 wrote directories.
            b'0' | 0 | b'7' if path.ends_with(b"/") => match header.size()? {
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
        // Only files have data; what other kinds carry in the field (old writers put a link's size there) means nothing.
        let stored = if kind == Kind::File { pax.size.map_or_else(|| header.size(), Ok)? } else { 0 };
        self.remaining = stored;
        self.padding = stored.next_multiple_of(BLOCK as u64) - stored;
        let (size, segments) = match kind {
            Kind::File => self.segments(header, &pax.sparse, stored, offset)?,
            _ => (0, None),
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

    /// A file's length, and where its stored bytes belong if it is sparse.
    fn segments(
        &mut self,
        header: &Header<'_>,
        sparse: &pax::Sparse,
        stored: u64,
        offset: u64,
    ) -> Result<(u64, Option<sparse::Map>)> {
        let refuse = |reason: String| Error::Extended { offset, reason };
        let (map, real) = if header.flag() == b'S' {
            let (mut map, mut more, real) = header.gnu_sparse()?;
            while more {
                let block = self.block()?.ok_or(Error::Cut("a sparse map"))?;
                let found =
                    header::segments(&block[..504]).ok_or_else(|| refuse("has no sparse map".into()))?;
                map.extend(found);
                more = block[504] != 0;
                if map.len() > 1 << 16 {
                    return Err(refuse("has a sparse map that is too long".into()));
                }
            }
            (map, real)
        } else if let Some(numbers) = &sparse.map {
            let map = sparse::pair(numbers).ok_or_else(|| refuse("has half a sparse map".into()))?;
            (map, sparse.real_size.ok_or_else(|| refuse("has a sparse map without a size".into()))?)
        } else if sparse.major == Some(1) && sparse.minor == Some(0) {
            let real = sparse.real_size.ok_or_else(|| refuse("has a sparse map without a size".into()))?;
            (self.leading_map(offset)?, real)
        } else if sparse.real_size.is_some() || sparse.major.is_some() {
            return Err(refuse("has a sparse form that is not known".into()));
        } else {
            return Ok((stored, None));
        };
        sparse::check(&map, self.remaining, real).map_err(refuse)?;
        Ok((real, Some(map)))
    }

    /// Form 1.0: the map stands in front of the data, as lines of decimal numbers, padded to a block.
    fn leading_map(&mut self, offset: u64) -> Result<sparse::Map> {
        let refuse = |reason: &str| Error::Extended { offset, reason: reason.to_owned() };
        let mut numbers: Vec<u64> = Vec::new();
        let mut line = Vec::new();
        let mut expected: Option<usize> = None;
        loop {
            if self.remaining < BLOCK as u64 {
                return Err(refuse("has a sparse map longer than its data"));
            }
            let block = self.block()?.ok_or(Error::Cut("a sparse map"))?;
            self.remaining -= BLOCK as u64;
            for byte in block {
                if expected == Some(numbers.len()) {
                    break;
                }
                if byte != b'\n' {
                    line.push(byte);
                    continue;
                }
                let number = pax::number(&line).ok_or_else(|| refuse("has a sparse map that is no map"))?;
                line.clear();
                match expected {
                    None if number <= 1 << 16 => expected = Some(usize::try_from(number * 2).unwrap_or(0)),
                    None => return Err(refuse("has a sparse map that is too long")),
                    Some(_) => numbers.push(number),
                }
            }
            if line.len() > 20 {
                return Err(refuse("has a sparse map that is no map"));
            }
            if expected == Some(numbers.len()) {
                return sparse::pair(&numbers).ok_or_else(|| refuse("has half a sparse map"));
            }
        }
    }

    /// The archive ends with two zero blocks; the second may be missing at the end of the bytes.
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
            return Err(Error::Extended { offset, reason: format!("has {size} bytes") });
        }
        let size = usize::try_from(size).expect("limited above");
        let mut bytes = vec![0; size];
        self.read(&mut bytes, "an extended header")?;
        self.skip((size.next_multiple_of(BLOCK) - size) as u64, "an extended header")?;
        Ok(bytes)
    }

    /// The next block; `None` if the bytes end before it.
    fn block(&mut self) -> Result<Option<[u8; BLOCK]>> {
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

impl Extensions {
    fn is_empty(&self) -> bool {
        self.pax.is_none() && self.path.is_none() && self.link.is_none()
    }

    fn set_pax(&mut self, pax: Pax) -> std::result::Result<(), String> {
        if self.path.is_some() || self.link.is_some() {
            return Err("follows a GNU long name".to_owned());
        }
        match self.pax.replace(pax) {
            Some(_) => Err("follows another one".to_owned()),
            None => Ok(()),
        }
    }

    fn set_long(&mut self, flag: u8, mut bytes: Vec<u8>) -> std::result::Result<(), String> {
        if self.pax.is_some() {
            return Err("is a GNU long name behind a pax header".to_owned());
        }
        while bytes.last() == Some(&0) {
            bytes.pop();
        }
        if bytes.contains(&0) || bytes.is_empty() || bytes.len() > LONGEST_NAME {
            return Err("has a long name that is no name".to_owned());
        }
        let slot = if flag == b'L' { &mut self.path } else { &mut self.link };
        match slot.replace(bytes) {
            Some(_) => Err("gives a second long name".to_owned()),
            None => Ok(()),
        }
    }
}
