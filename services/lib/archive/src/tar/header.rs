//! One header block, its numbers and its checksum.

use super::sparse::Map;
use super::{BLOCK, Error, Result};

/// A header block with a right checksum.
pub(super) struct Header<'b> {
    block: &'b [u8; BLOCK],
    offset: u64,
}

/// The three families of headers, which differ in the fields after the device numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    V7,
    Ustar,
    Gnu,
}

impl<'b> Header<'b> {
    /// Checks the sum of a block.
    pub(super) fn new(block: &'b [u8; BLOCK], offset: u64) -> Result<Self> {
        let header = Self { block, offset };
        let stored = header.number(148..156, "its checksum is no number")?;
        let (mut unsigned, mut signed) = (0u32, 0i32);
        for (at, byte) in block.iter().enumerate() {
            let byte = if (148..156).contains(&at) { b' ' } else { *byte };
            unsigned += u32::from(byte);
            signed += i32::from(byte.cast_signed());
        }
        // Early programs summed signed characters.
        if stored != u64::from(unsigned) && i64::try_from(stored) != Ok(i64::from(signed)) {
            return Err(header.refuse("its checksum is wrong"));
        }
        Ok(header)
    }

    fn refuse(&self, reason: &'static str) -> Error {
        Error::Header { offset: self.offset, reason }
    }

    pub(super) fn flag(&self) -> u8 {
        self.block[156]
    }

    pub(super) fn format(&self) -> Format {
        match &self.block[257..265] {
            b"ustar\x0000" => Format::Ustar,
            b"ustar  \0" => Format::Gnu,
            // POSIX leaves the version field to what older writers put there.
            magic if magic.starts_with(b"ustar\0") => Format::Ustar,
            _ => Format::V7,
        }
    }

    /// The name, after ustar's prefix.
    pub(super) fn name(&self) -> Vec<u8> {
        let name = text(&self.block[..100]);
        let prefix = if self.format() == Format::Ustar { text(&self.block[345..500]) } else { b"" };
        if prefix.is_empty() { name.to_vec() } else { [prefix, b"/", name].concat() }
    }

    pub(super) fn link(&self) -> Vec<u8> {
        text(&self.block[157..257]).to_vec()
    }

    pub(super) fn mode(&self) -> Result<u32> {
        let mode = self.number(100..108, "its mode is no number")?;
        u32::try_from(mode & 0o7777).map_err(|_| self.refuse("its mode is no number"))
    }

    pub(super) fn uid(&self) -> Result<u32> {
        self.id(108..116, "its owner is no user id")
    }

    pub(super) fn gid(&self) -> Result<u32> {
        self.id(116..124, "its group is no group id")
    }

    pub(super) fn size(&self) -> Result<u64> {
        self.length(124..136, "its size is no number")
    }

    pub(super) fn mtime(&self) -> Result<i64> {
        let reason = "its time is no number";
        let field = &self.block[136..148];
        match field[0] {
            0xff => {
                // Base 256 in two's complement: the last eight bytes of a negative time are enough.
                if field[1..4] != [0xff; 3] || field[4] & 0x80 == 0 {
                    return Err(self.refuse(reason));
                }
                Ok(i64::from_be_bytes(field[4..12].try_into().expect("the field has twelve bytes")))
            }
            _ => i64::try_from(self.number(136..148, reason)?).map_err(|_| self.refuse(reason)),
        }
    }

    pub(super) fn device(&self) -> Result<(u32, u32)> {
        if self.format() == Format::V7 {
            return Ok((0, 0));
        }
        let part = |range| self.id(range, "its device number is no number");
        Ok((part(329..337)?, part(337..345)?))
    }

    /// GNU's sparse fields: up to four segments, whether more blocks of segments follow, and the real size.
    pub(super) fn gnu_sparse(&self) -> Result<(Map, bool, u64)> {
        let segments =
            segments(&self.block[386..482]).ok_or_else(|| self.refuse("its sparse map is no map"))?;
        let real = self.length(483..495, "its real size is no number")?;
        Ok((segments, self.block[482] != 0, real))
    }

    fn length(&self, range: std::ops::Range<usize>, reason: &'static str) -> Result<u64> {
        match self.number(range, reason)? {
            // Larger than any file system allows: additions to it must not overflow.
            length if length > 1 << 60 => Err(self.refuse("its size is out of range")),
            length => Ok(length),
        }
    }

    fn id(&self, range: std::ops::Range<usize>, reason: &'static str) -> Result<u32> {
        u32::try_from(self.number(range, reason)?).map_err(|_| self.refuse(reason))
    }

    fn number(&self, range: std::ops::Range<usize>, reason: &'static str) -> Result<u64> {
        number(&self.block[range]).ok_or_else(|| self.refuse(reason))
    }
}

/// Offsets and lengths, twelve bytes each, up to the first empty pair.
pub(super) fn segments(field: &[u8]) -> Option<Map> {
    let mut found = Vec::new();
    for pair in field.chunks_exact(24) {
        if pair[0] == 0 && pair[12] == 0 {
            break;
        }
        found.push((number(&pair[..12])?, number(&pair[12..])?));
    }
    Some(found)
}

/// An octal number between spaces and zeros, or base 256 with the first bit set; not negative.
fn number(field: &[u8]) -> Option<u64> {
    if field[0] & 0x80 != 0 {
        if field[0] & 0x40 != 0 {
            return None;
        }
        let mut value = u64::from(field[0] & 0x3f);
        for byte in &field[1..] {
            value = value.checked_mul(256)?.checked_add(u64::from(*byte))?;
        }
        return Some(value);
    }
    let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
    let digits = field[..end].trim_ascii();
    let mut value = 0u64;
    for byte in digits {
        if !matches!(byte, b'0'..=b'7') {
            return None;
        }
        value = value.checked_mul(8)?.checked_add(u64::from(byte - b'0'))?;
    }
    Some(value)
}

fn text(field: &[u8]) -> &[u8] {
    let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
    &field[..end]
}
