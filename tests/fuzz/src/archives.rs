//! Archives.

use std::io::Read;

use gantry_archive::tar::{BLOCK, LONGEST_NAME, Reader};

/// No entry is read further than this many bytes.
const ENOUGH: u64 = 1 << 20;

/// Reads a tar to its end or to an error.
pub fn tar(bytes: &[u8]) {
    let mut reader = Reader::new(bytes);
    while let Ok(Some(entry)) = reader.next_entry() {
        assert!(entry.path.len() <= LONGEST_NAME && entry.link.len() <= LONGEST_NAME);
        assert!(!entry.path.contains(&0) && !entry.link.contains(&0));
        if let Some(segments) = &entry.segments {
            let mut end = 0;
            for (offset, length) in segments {
                assert!(*offset >= end, "segments overlap");
                end = offset.checked_add(*length).expect("a segment ends");
            }
            assert!(end <= entry.size, "a segment leaves its file");
        }
        let mut content = reader.content().take(ENOUGH);
        if std::io::copy(&mut content, &mut std::io::sink()).is_err() {
            return;
        }
    }
}

/// Reads a pax header with these records, and a file after it.
pub fn pax(records: &[u8]) {
    let mut archive = Vec::new();
    for kind in [b'x', b'g'] {
        header(&mut archive, kind, records.len());
        archive.extend_from_slice(records);
        archive.resize(archive.len().next_multiple_of(BLOCK), 0);
        header(&mut archive, b'0', BLOCK);
        archive.extend_from_slice(&[b'1'; BLOCK]);
        archive.resize(archive.len() + 2 * BLOCK, 0);
        tar(&archive);
        archive.clear();
    }
}

fn header(archive: &mut Vec<u8>, kind: u8, size: usize) {
    let mut block = [0; BLOCK];
    block[..4].copy_from_slice(b"name");
    block[100..108].copy_from_slice(b"0000644\0");
    block[108..116].copy_from_slice(b"0000000\0");
    block[116..124].copy_from_slice(b"0000000\0");
    block[124..136].copy_from_slice(format!("{size:011o}\0").as_bytes());
    block[136..148].copy_from_slice(b"00000000000\0");
    block[148..156].copy_from_slice(b"        ");
    block[156] = kind;
    block[257..265].copy_from_slice(b"ustar\x0000");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    archive.extend_from_slice(&block);
}
