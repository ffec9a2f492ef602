//! Finds where the last N lines begin, by counting backwards from the end, block by block, over all files of a log.

use std::io;
use std::os::unix::fs::FileExt;

use super::generations::Generation;

const BLOCK: u64 = 64 * 1024;

/// The place where reading begins: an index into the generations (oldest first) and an offset in that file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// Index of the file.
    pub generation: usize,
    /// Offset in the file, bytes.
    pub offset: u64,
}

/// Finds the start of the last `lines` lines. A line without its end is not counted.
pub fn find(generations: &[Generation], lines: u64) -> io::Result<Start> {
    let mut wanted = lines;
    for (index, generation) in generations.iter().enumerate().rev() {
        let length = generation.file.metadata()?.len();
        if wanted == 0 {
            // No past lines: begin after the last whole line of the youngest file.
            let offset = last_line_end(generation, length)?;
            return Ok(Start { generation: index, offset });
        }
        match backwards(generation, length, &mut wanted)? {
            Some(offset) => return Ok(Start { generation: index, offset }),
            None if wanted == 0 => return Ok(Start { generation: index, offset: 0 }),
            None => {}
        }
    }
    Ok(Start { generation: 0, offset: 0 })
}

/// The end of the last whole line.
fn last_line_end(generation: &Generation, length: u64) -> io::Result<u64> {
    let mut block = vec![0; BLOCK as usize];
    let mut end = length;
    while end > 0 {
        let start = end.saturating_sub(BLOCK);
        let slice = &mut block[..(end - start) as usize];
        generation.file.read_exact_at(slice, start)?;
        if let Some(at) = memchr::memrchr(b'\n', slice) {
            return Ok(start + at as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

/// Counts line ends backwards. Returns the offset after the line end before the wanted lines, or `None` when the file
/// has no more lines than wanted; `wanted` is then reduced by the lines found.
fn backwards(generation: &Generation, length: u64, wanted: &mut u64) -> io::Result<Option<u64>> {
    let mut block = vec![0; BLOCK as usize];
    let mut end = last_line_end(generation, length)?;
    if end == 0 {
        return Ok(None);
    }
    // The newline at the file's end ends the last line, so the count starts before it.
    end -= 1;
    *wanted -= 1;
    while end > 0 {
        let start = end.saturating_sub(BLOCK);
        let slice = &mut block[..(end - start) as usize];
        generation.file.read_exact_at(slice, start)?;
        for at in memchr::memrchr_iter(b'\n', slice) {
            if *wanted == 0 {
                return Ok(Some(start + at as u64 + 1));
            }
            *wanted -= 1;
        }
        end = start;
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::super::generations;
    use super::*;

    fn log(files: &[&str]) -> (tempfile::TempDir, Vec<Generation>) {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("x.log");
        for (age, text) in files.iter().rev().enumerate() {
            let name = if age == 0 { path.clone() } else { dir.path().join(format!("x.log.{age}")) };
            std::fs::write(name, text).expect("written");
        }
        let all = generations::open_all(&path).expect("opened");
        (dir, all)
    }

    #[test]
    fn counts_back_within_one_file() {
        let (_dir, all) = log(&["a\nb\nc\n"]);
        assert_eq!(find(&all, 1).ok(), Some(Start { generation: 0, offset: 4 }));
        assert_eq!(find(&all, 2).ok(), Some(Start { generation: 0, offset: 2 }));
        assert_eq!(find(&all, 3).ok(), Some(Start { generation: 0, offset: 0 }));
        assert_eq!(find(&all, 9).ok(), Some(Start { generation: 0, offset: 0 }));
        assert_eq!(find(&all, 0).ok(), Some(Start { generation: 0, offset: 6 }));
    }

    #[test]
    fn counts_back_over_files() {
        let (_dir, all) = log(&["a\nb\n", "c\nd\n"]);
        assert_eq!(find(&all, 2).ok(), Some(Start { generation: 1, offset: 0 }));
        assert_eq!(find(&all, 3).ok(), Some(Start { generation: 0, offset: 2 }));
    }

    #[test]
    fn a_line_being_written_does_not_count() {
        let (_dir, all) = log(&["a\nb\nhalf"]);
        assert_eq!(find(&all, 1).ok(), Some(Start { generation: 0, offset: 2 }));
        assert_eq!(find(&all, 0).ok(), Some(Start { generation: 0, offset: 4 }));
    }

    #[test]
    fn an_empty_log_has_a_beginning() {
        let (_dir, all) = log(&[""]);
        assert_eq!(find(&all, 5).ok(), Some(Start { generation: 0, offset: 0 }));
    }
}
