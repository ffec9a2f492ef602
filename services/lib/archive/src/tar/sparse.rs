//! The maps of sparse files.

use std::io::BufRead;

use super::header::{self, Header};
use super::{BLOCK, Error, Reader, Result, pax};

/// How many segments a map may have.
const MOST_SEGMENTS: u64 = 1 << 16;

/// The data segments as (offset, length), in order and without overlap; a hole is between two of them.
pub(super) type Map = Vec<(u64, u64)>;

impl<R: BufRead> Reader<R> {
    /// The length of a file, and the map of a sparse one.
    pub(super) fn segments(
        &mut self,
        header: &Header<'_>,
        sparse: &pax::Sparse,
        stored: u64,
        offset: u64,
    ) -> Result<(u64, Option<Map>)> {
        let refuse = |reason: String| Error::Extended { offset, reason };
        let (map, real) = if header.flag() == b'S' {
            if !sparse.is_empty() {
                return Err(refuse("has a second sparse form".into()));
            }
            let (mut map, mut more, real) = header.gnu_sparse()?;
            while more {
                let block = self.block()?.ok_or(Error::Cut("a sparse map"))?;
                let found =
                    header::segments(&block[..504]).ok_or_else(|| refuse("has no sparse map".into()))?;
                if found.is_empty() {
                    return Err(refuse("has a sparse map that goes on with nothing".into()));
                }
                map.extend(found);
                more = block[504] != 0;
                if map.len() as u64 > MOST_SEGMENTS {
                    return Err(refuse("has a sparse map that is too long".into()));
                }
            }
            (map, real)
        } else if let Some(numbers) = &sparse.map {
            let map = pair(numbers).ok_or_else(|| refuse("has half a sparse map".into()))?;
            (map, sparse.real_size.ok_or_else(|| refuse("has a sparse map without a size".into()))?)
        } else if sparse.major == Some(1) && sparse.minor == Some(0) {
            let real = sparse.real_size.ok_or_else(|| refuse("has a sparse map without a size".into()))?;
            (self.leading_map(offset)?, real)
        } else if sparse.is_empty() {
            return Ok((stored, None));
        } else {
            // A name alone is refused too: only other readers take such a name for that of a sparse file.
            return Err(refuse("has a sparse form that is not known".into()));
        };
        check(&map, self.remaining, real).map_err(refuse)?;
        Ok((real, Some(map)))
    }

    /// Version 1.0: the map comes before the data, as lines of decimal numbers, padded to a block.
    fn leading_map(&mut self, offset: u64) -> Result<Map> {
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
                    None if number <= MOST_SEGMENTS => {
                        expected = Some(usize::try_from(number * 2).unwrap_or(0))
                    }
                    None => return Err(refuse("has a sparse map that is too long")),
                    Some(_) => numbers.push(number),
                }
            }
            if line.len() > 20 {
                return Err(refuse("has a sparse map that is no map"));
            }
            if expected == Some(numbers.len()) {
                return pair(&numbers).ok_or_else(|| refuse("has half a sparse map"));
            }
        }
    }
}

/// Checks that a map has `stored` bytes in all, stays within a file of `real` bytes and is not too long.
pub(super) fn check(map: &Map, stored: u64, real: u64) -> Result<(), String> {
    if map.len() as u64 > MOST_SEGMENTS {
        return Err("has a sparse map that is too long".to_owned());
    }
    let mut end = 0u64;
    let mut sum = 0u64;
    for (offset, length) in map {
        let next = offset.checked_add(*length).filter(|next| *offset >= end && *next <= real);
        end = next.ok_or("has a sparse map that overlaps or leaves the file")?;
        sum += length;
    }
    if sum == stored { Ok(()) } else { Err("has a sparse map that does not match its data".to_owned()) }
}

/// Pairs the numbers of versions 0.1 and 1.0.
pub(super) fn pair(numbers: &[u64]) -> Option<Map> {
    let (pairs, rest) = numbers.as_chunks::<2>();
    rest.is_empty().then(|| pairs.iter().map(|[offset, length]| (*offset, *length)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_stay_in_order_and_inside() {
        assert!(check(&vec![(0, 5), (10, 5), (20, 0)], 10, 20).is_ok());
        assert!(check(&vec![(0, 5), (4, 5)], 10, 20).is_err());
        assert!(check(&vec![(0, 5), (u64::MAX, 5)], 10, 20).is_err());
        assert!(check(&vec![(18, 5)], 5, 20).is_err());
        assert!(check(&vec![(0, 5)], 4, 20).is_err());
        assert_eq!(pair(&[1, 2, 3]), None);
    }
}
