//! Archives made by hand, by this crate's writer and by GNU tar.

use std::io::{Read, Write};

use gantry_rooted::Time;

use super::*;

/// A ustar header with this name, flag and size.
fn header(name: &str, flag: u8, size: &str) -> [u8; BLOCK] {
    let mut block = [0u8; BLOCK];
    block[..name.len()].copy_from_slice(name.as_bytes());
    block[100..107].copy_from_slice(b"0000644");
    block[108..115].copy_from_slice(b"0000000");
    block[116..123].copy_from_slice(b"0000000");
    block[124..124 + size.len()].copy_from_slice(size.as_bytes());
    block[136..147].copy_from_slice(b"00000000001");
    block[156] = flag;
    block[257..265].copy_from_slice(b"ustar\x0000");
    sum(&mut block);
    block
}

fn sum(block: &mut [u8; BLOCK]) {
    block[148..156].copy_from_slice(b"        ");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
}

fn padded(bytes: &[u8]) -> Vec<u8> {
    let mut padded = bytes.to_vec();
    padded.resize(bytes.len().next_multiple_of(BLOCK), 0);
    padded
}

fn pax(records: &str) -> Vec<u8> {
    [header("x", b'x', &format!("{:011o}", records.len())).to_vec(), padded(records.as_bytes())].concat()
}

fn long(flag: u8, name: &str) -> Vec<u8> {
    [
        header("././@LongLink", flag, &format!("{:011o}", name.len() + 1)).to_vec(),
        padded(&[name.as_bytes(), b"\0"].concat()),
    ]
    .concat()
}

/// Reads every entry with its content.
fn read(bytes: &[u8]) -> Result<Vec<(Entry, Vec<u8>)>> {
    // A small buffer, so that every boundary falls somewhere in an entry.
    let mut reader = Reader::new(std::io::BufReader::with_capacity(100, bytes));
    let mut found = Vec::new();
    while let Some(entry) = reader.next_entry()? {
        let mut data = Vec::new();
        loop {
            let more = reader.data()?;
            if more.is_empty() {
                break;
            }
            data.extend_from_slice(more);
        }
        found.push((entry, data));
    }
    Ok(found)
}

fn ended(parts: &[&[u8]]) -> Vec<u8> {
    [parts.concat(), vec![0; 2 * BLOCK]].concat()
}

#[test]
fn long_names_and_sizes_come_from_the_headers_before() {
    let name = "d/".repeat(80) + "file";
    let archive = ended(&[
        &long(b'L', &name),
        &header("short", b'0', "00000000003"),
        &padded(b"abc"),
        &pax("12 path=pax\n"),
        &header("other", b'0', "00000000000"),
        &header("plain", b'5', "00000000000"),
    ]);
    let found = read(&archive).unwrap();
    assert_eq!(found[0].0.path, name.as_bytes());
    assert_eq!(found[0].1, b"abc");
    assert_eq!(found[1].0.path, b"pax");
    assert_eq!((found[2].0.path.as_slice(), found[2].0.kind), (&b"plain"[..], Kind::Directory));
}

#[test]
fn a_pax_size_frames_the_entry_and_not_the_header_between() {
    // An attack on other readers: they apply the size of the `x` header to a GNU header after it.
    let archive = ended(&[
        &pax("13 size=1024\n"),
        &long(b'L', "name"),
        &header("short", b'0', "00000000003"),
        &padded(b"abc"),
    ]);
    assert!(matches!(read(&archive), Err(Error::Extended { .. })));
    let archive = ended(&[&pax("10 size=3\n"), &header("file", b'0', "00000000000"), &padded(b"abc")]);
    assert_eq!(read(&archive).unwrap()[0].1, b"abc");
}

#[test]
fn what_is_ambiguous_is_refused() {
    let file = header("f", b'0', "00000000003");
    let mut wrong_sum = file;
    wrong_sum[0] = b'g';
    let mut negative = file;
    negative[124] = 0xff;
    sum(&mut negative);
    let mut huge = file;
    huge[124..136].copy_from_slice(b"\x80\0\0\x7f\xff\xff\xff\xff\xff\xff\xff\xff");
    sum(&mut huge);
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("checksum", ended(&[&wrong_sum, &padded(b"abc")])),
        ("negative size", ended(&[&negative])),
        ("size beyond all file systems", ended(&[&huge])),
        ("two pax headers", ended(&[&pax("12 path=pax\n"), &pax("12 path=pax\n"), &file, &padded(b"abc")])),
        ("two long names", ended(&[&long(b'L', "a"), &long(b'L', "b"), &file, &padded(b"abc")])),
        ("a header extending nothing", ended(&[&pax("12 path=pax\n")])),
        ("data cut", [file.to_vec(), b"ab".to_vec()].concat()),
        ("header cut", file[..100].to_vec()),
        ("unknown type", ended(&[&header("f", b'Z', "00000000000")])),
        ("one zero block", [vec![0; BLOCK], file.to_vec(), padded(b"abc")].concat()),
        ("name with a zero byte", ended(&[&pax("12 path=a\0b\n"), &file, &padded(b"abc")])),
        ("an extended header of 2 MiB", ended(&[&header("x", b'x', "00010000000")])),
        ("size for all", ended(&[&header("g", b'g', "00000000010"), &padded(b"9 size=5\n")])),
        ("a directory with data", ended(&[&header("d/", b'0', "00000000003"), &padded(b"abc")])),
        (
            "a directory whose data pax tells of",
            ended(&[&pax("12 size=512\n"), &header("d/", b'0', "00000000000"), &file]),
        ),
    ];
    for (what, archive) in cases {
        assert!(read(&archive).is_err(), "{what} was read");
    }
    assert!(read(b"").unwrap().is_empty());
    assert!(read(&ended(&[])).unwrap().is_empty());
}

#[test]
fn headers_without_end_are_refused() {
    let all = [header("g", b'g', "00000000015").to_vec(), padded(b"13 comment=x\n")].concat();
    let file = header("f", b'0', "00000000000");
    let chain = |count: usize| ended(&[&all.repeat(count), &file]);
    assert_eq!(read(&chain(64)).unwrap().len(), 1);
    let error = read(&chain(65)).unwrap_err();
    assert!(error.to_string().ends_with("is one of more than 64 in front of an entry"), "{error}");
    // The headers are counted anew after each entry.
    assert_eq!(read(&ended(&[&all.repeat(60), &file, &all.repeat(60), &file])).unwrap().len(), 2);
}

/// A file in GNU's own sparse form.
fn gnu_sparse(segments: &[(u64, u64)], real: u64, more: bool, stored: usize) -> [u8; BLOCK] {
    let mut block = header("sparse", b'S', &format!("{stored:011o}"));
    block[257..265].copy_from_slice(b"ustar  \0");
    for (at, (offset, length)) in segments.iter().enumerate() {
        let field = format!("{offset:011o}\0{length:011o}\0");
        block[386 + 24 * at..410 + 24 * at].copy_from_slice(field.as_bytes());
    }
    block[482] = u8::from(more);
    block[483..494].copy_from_slice(format!("{real:011o}").as_bytes());
    sum(&mut block);
    block
}

/// A file in pax's sparse version 1.0: its map comes before its data.
fn pax_sparse(map: &str, real: u64, data: &[u8]) -> Vec<u8> {
    let records = [("major", "1"), ("minor", "0"), ("name", "sparse"), ("realsize", &real.to_string())];
    let records: String = records
        .map(|(key, value)| {
            let rest = format!(" GNU.sparse.{key}={value}\n");
            format!("{}{rest}", rest.len() + 2)
        })
        .concat();
    let stored = [padded(map.as_bytes()), data.to_vec()].concat();
    let size = format!("{:011o}", stored.len());
    [pax(&records), header("GNUSparseFile.0/sparse", b'0', &size).to_vec(), padded(&stored)].concat()
}

#[test]
fn sparse_files_keep_their_holes() {
    let data = [[1; 512], [2; 512]].concat();
    let gnu = [gnu_sparse(&[(512, 512), (4096, 512)], 1 << 20, false, 1024).to_vec(), data.clone()].concat();
    for archive in [gnu, pax_sparse("2\n512\n512\n4096\n512\n", 1 << 20, &data)] {
        let archive = ended(&[&archive]);
        let mut reader = Reader::new(archive.as_slice());
        let entry = reader.next_entry().unwrap().unwrap();
        assert_eq!((entry.path.as_slice(), entry.size), (&b"sparse"[..], 1 << 20));
        let file = tempfile::tempfile().unwrap();
        reader.write_to(&entry, &file).unwrap();
        let mut bytes = vec![0; 1 << 20];
        std::os::unix::fs::FileExt::read_exact_at(&file, &mut bytes, 0).unwrap();
        assert_eq!((bytes[511], bytes[512], bytes[1024], bytes[4096], bytes[4608]), (0, 1, 0, 2, 0));
        assert_eq!(file.metadata().unwrap().len(), 1 << 20);
        assert!(reader.next_entry().unwrap().is_none());
    }
}

#[test]
fn sparse_maps_that_lie_are_refused() {
    let data = [7; BLOCK];
    let mut endless = gnu_sparse(&[(0, 512)], 512, true, 512).to_vec();
    let mut nothing = [0; BLOCK];
    nothing[504] = 1;
    endless.extend(nothing.repeat(1000));
    let mut huge = gnu_sparse(&[(0, 512)], 512, false, 512);
    huge[483..495].copy_from_slice(b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff");
    sum(&mut huge);
    let gnu = |segments: &[(u64, u64)], real| {
        [gnu_sparse(segments, real, false, 512).to_vec(), data.to_vec()].concat()
    };
    let file = header("f", b'0', "00000000000").to_vec();
    let named = pax("26 GNU.sparse.name=sparse\n");
    for (what, archive) in [
        ("a name without a form", [named.clone(), file.clone()].concat()),
        ("a sparse directory", [named.clone(), header("d/", b'5', "00000000000").to_vec()].concat()),
        ("two forms", [named, gnu(&[(0, 512)], 512)].concat()),
        (
            "two sizes",
            [pax("21 GNU.sparse.size=1\n25 GNU.sparse.realsize=2\n22 GNU.sparse.map=0,0\n"), file].concat(),
        ),
        ("more than is stored", gnu(&[(0, 1024)], 4096)),
        ("less than is stored", gnu(&[(0, 100)], 4096)),
        ("behind the end", gnu(&[(4000, 512)], 4096)),
        ("overlapping", gnu(&[(0, 300), (200, 212)], 4096)),
        ("a map that goes on for ever", endless),
        ("a size beyond all file systems", [huge.to_vec(), data.to_vec()].concat()),
        ("a map that is cut", gnu_sparse(&[(0, 512)], 512, true, 512).to_vec()),
        ("a map longer than its data", pax_sparse(&format!("400\n{}", "1\n".repeat(255)), 4096, b"")),
        ("a map of too many", pax_sparse("65537\n", 4096, &data)),
        ("half a segment", pax_sparse("1\n0\n", 4096, &data)),
        ("a number that is none", pax_sparse("1\n-1\n512\n", 4096, &data)),
        ("a number without end", pax_sparse(&"1".repeat(512), 4096, &data)),
    ] {
        assert!(read(&ended(&[&archive])).is_err(), "{what} was read");
    }
}

#[test]
fn content_is_a_stream_whose_errors_are_the_archives() {
    let file = header("f", b'0', "00000000700");
    let whole = ended(&[&file, &padded(&[7; 448]), &file, &padded(&[8; 448])]);
    let mut reader = Reader::new(std::io::BufReader::with_capacity(100, whole.as_slice()));
    // The second way of reading continues where the first stops; the rest is skipped.
    reader.next_entry().unwrap().unwrap();
    assert_eq!(reader.data_up_to(10).unwrap().len(), 10);
    let mut bytes = [0; 400];
    reader.content().read_exact(&mut bytes).unwrap();
    assert_eq!(bytes, [7; 400]);
    assert_eq!(reader.data().unwrap()[0], 7);
    reader.next_entry().unwrap().unwrap();
    let mut bytes = Vec::new();
    reader.content().read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes, [8; 448]);
    assert!(reader.next_entry().unwrap().is_none());

    let cut = [file.to_vec(), vec![7; 100]].concat();
    let mut reader = Reader::new(cut.as_slice());
    reader.next_entry().unwrap().unwrap();
    let error = reader.content().read_to_end(&mut bytes).unwrap_err();
    assert!(error.get_ref().is_some_and(|inner| inner.is::<Error>()), "{error}");
}

#[test]
fn cut_and_twisted_archives_end_in_an_error_not_in_a_panic() {
    let archive = ended(&[
        &pax("12 path=pax\n"),
        &header("f", b'0', "00000000700"),
        &padded(&[7; 448]),
        &long(b'K', "target"),
        &header("l", b'2', "00000000000"),
    ]);
    for length in 0..archive.len() {
        let _ = read(&archive[..length]);
    }
    let mut seed = 1u32;
    for _ in 0..3000 {
        let mut twisted = archive.clone();
        for _ in 0..3 {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let at = seed as usize % twisted.len();
            twisted[at] = (seed >> 24) as u8;
        }
        let _ = read(&twisted);
    }
}

#[test]
fn what_we_write_gnu_tar_lists_and_we_read_again() {
    let entry = |path: &str, kind| Entry {
        path: path.as_bytes().to_vec(),
        kind,
        link: Vec::new(),
        mode: 0o4755,
        uid: 5_000_000,
        gid: 7,
        mtime: Time { seconds: 1_700_000_000, nanos: 123_456_789 },
        size: 0,
        device: (0, 0),
        xattrs: Vec::new(),
        segments: None,
    };
    let long_name = "a/".repeat(120) + "\u{e4}";
    let mut file = Entry { size: 5, ..entry(&long_name, Kind::File) };
    file.xattrs.push((b"user.x".to_vec(), b"1\n=2".to_vec()));
    let mut odd = file.clone();
    // pax can write these two attributes only as the same one.
    odd.xattrs.extend([(b"user.y=1".to_vec(), Vec::new()), (b"user.y=2".to_vec(), Vec::new())]);
    let link = Entry { link: long_name.clone().into_bytes(), ..entry("link", Kind::HardLink) };
    let device = Entry { device: (10, 200), ..entry("dev", Kind::CharDevice) };
    let old = Entry { mtime: Time { seconds: -2, nanos: 750_000_000 }, ..entry("old", Kind::Fifo) };
    let mut writer = Writer::new(Vec::new());
    for entry in [&odd, &link, &device, &old] {
        writer.entry(entry).unwrap();
        if entry.kind == Kind::File {
            writer.write_all(b"hello").unwrap();
        }
    }
    let archive = writer.finish().unwrap();
    let found = read(&archive).unwrap();
    let entries: Vec<Entry> = found.iter().map(|(entry, _)| entry.clone()).collect();
    assert_eq!(entries, [file, link, device, old]);
    assert_eq!(found[0].1, b"hello");

    let path = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(path.path(), &archive).unwrap();
    let output = std::process::Command::new("tar").arg("-tf").arg(path.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.stdout.iter().filter(|byte| **byte == b'\n').count(), 4);
}
