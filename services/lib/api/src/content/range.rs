//! Parts of blobs.

/// A range of a blob's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Range {
    /// The first byte.
    pub start: u64,
    /// The number of bytes at most; `None`: to the end.
    pub length: Option<u64>,
}

impl Range {
    /// The whole blob.
    pub const ALL: Range = Range { start: 0, length: None };

    /// The range of a request by containerd's rules: an offset below 0 is 0, a size of 0 or below means "to the end".
    pub(super) fn of_request(offset: i64, size: i64) -> Self {
        let length = u64::try_from(size).ok().filter(|size| *size > 0);
        Self { start: u64::try_from(offset).unwrap_or(0), length }
    }

    /// The part of this range in a blob of `size` bytes; `None` when the range begins behind the end.
    pub fn within(self, size: u64) -> Option<std::ops::Range<u64>> {
        let end = self.length.and_then(|length| self.start.checked_add(length));
        (self.start <= size).then(|| self.start..end.unwrap_or(size).min(size))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_follow_containerd() {
        for (offset, size, expected) in [
            (0, 0, Some(0..10)),
            (0, 4, Some(0..4)),
            (3, 4, Some(3..7)),
            (3, 0, Some(3..10)),
            (3, 99, Some(3..10)),
            (3, i64::MAX, Some(3..10)),
            (-5, -5, Some(0..10)),
            (10, 0, Some(10..10)),
            (11, 0, None),
        ] {
            assert_eq!(Range::of_request(offset, size).within(10), expected, "{offset} {size}");
        }
        assert_eq!(Range { start: 3, length: Some(u64::MAX) }.within(10), Some(3..10));
    }
}
