//! The stream of a read: pieces of a blob's file, each read on the blocking pool when the one before it was taken.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{self, Stream};
use gantry_proto::containerd::services::content::v1 as pb;
use tonic::Status;

use super::convert;
use crate::record::BlobInfo;
use crate::store::blocking;
use crate::{Error, Result};

const PIECE: u64 = 1 << 20;

/// What of a blob is to be read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Range {
    start: u64,
    end: u64,
}

impl Range {
    /// Containerd's rules: a size of 0, or one that reaches behind the end, means "to the end".
    pub(super) fn of(info: &BlobInfo, offset: i64, size: i64) -> Result<Self> {
        let start = u64::try_from(offset).unwrap_or(0);
        if start > info.size {
            return Err(Error::PastEnd { digest: info.digest.clone(), offset: start, size: info.size });
        }
        let size = u64::try_from(size).unwrap_or(0);
        let end = match start.checked_add(size) {
            Some(end) if size > 0 && end < info.size => end,
            _ => info.size,
        };
        Ok(Range { start, end })
    }
}

pub(super) fn pieces(
    file: File,
    path: PathBuf,
    range: Range,
) -> impl Stream<Item = Result<pb::ReadContentResponse, Status>> {
    let file = Arc::new(file);
    let path = Arc::new(path);
    stream::try_unfold(range.start, move |offset| {
        let (file, path) = (file.clone(), path.clone());
        async move {
            let length = (range.end - offset).min(PIECE);
            if length == 0 {
                return Ok(None);
            }
            let piece = blocking(move || {
                let mut buffer = vec![0; usize::try_from(length).expect("a piece fits into memory")];
                file.read_exact_at(&mut buffer, offset).map_err(Error::io("read", path.as_path()))?;
                Ok(Bytes::from(buffer))
            });
            let data = piece.await.map_err(gantry_rpc::status)?;
            Ok(Some((pb::ReadContentResponse { offset: convert::signed(offset), data }, offset + length)))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::SystemTime;

    #[test]
    fn ranges_follow_containerd() {
        let info = BlobInfo {
            digest: gantry_types::Digest::sha256(b""),
            size: 10,
            created_at: SystemTime::UNIX_EPOCH,
            updated_at: SystemTime::UNIX_EPOCH,
            labels: Default::default(),
        };
        for (offset, size, expected) in [
            (0, 0, Some((0, 10))),
            (0, 4, Some((0, 4))),
            (3, 4, Some((3, 7))),
            (3, 0, Some((3, 10))),
            (3, 99, Some((3, 10))),
            (3, i64::MAX, Some((3, 10))),
            (-5, -5, Some((0, 10))),
            (10, 0, Some((10, 10))),
            (11, 0, None),
        ] {
            let range = Range::of(&info, offset, size).ok().map(|range| (range.start, range.end));
            assert_eq!(range, expected, "{offset} {size}");
        }
    }
}
