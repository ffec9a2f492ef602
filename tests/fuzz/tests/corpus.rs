//! The whole corpus, and random changes of it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use gantry_fuzz::{TARGETS, Target};

/// How many seconds each target runs with random inputs: `GANTRY_FUZZ_SECONDS`.
const SECONDS: f64 = 1.0;
/// How long an input may take at most, in an unoptimized build on a busy host.
const PATIENCE: Duration = Duration::from_secs(5);
/// The size of the whole corpus in bytes.
const LARGEST: usize = 1 << 20;

fn seeds(target: &Target) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = target.corpus();
    let files = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = files.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), std::fs::read(path).expect("a file"))).collect()
}

/// Reads an input; writes one that fails to a file.
fn read(target: &Target, input: &[u8], origin: &str) {
    let started = Instant::now();
    let done = catch_unwind(AssertUnwindSafe(|| (target.read)(input)));
    let took = started.elapsed();
    if done.is_err() || took > PATIENCE {
        let path = std::env::temp_dir().join(format!("gantry-fuzz-{}-{}", target.name, std::process::id()));
        std::fs::write(&path, input).expect("a file");
        panic!("{} fails, or takes {took:?}, with {} ({origin})", target.name, path.display());
    }
}

/// Pseudo-random numbers: Marsaglia's xorshift.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 16).expect("48 bits")
    }

    fn below(&mut self, end: usize) -> usize {
        self.next() % end.max(1)
    }

    /// Changes a few bytes of an input; some become those of `other`.
    fn change(&mut self, input: &mut Vec<u8>, other: &[u8], longest: usize) {
        const ODD: [&[u8]; 8] = [
            b"\0",
            b"\xff",
            b"\xff\xff\xff\xff",
            b"\x80\0\0\0",
            b"-1",
            b"99999999999999999999",
            b"\"",
            b"\\u",
        ];
        for _ in 0..=self.below(4) {
            let at = self.below(input.len() + 1);
            let end = (at + 1 + self.below(8)).min(input.len());
            match self.below(6) {
                0 if at < input.len() => input[at] ^= 1 << self.below(8),
                1 if at < input.len() => input[at] = self.next().to_le_bytes()[0],
                2 => drop(input.drain(at.min(end)..end)),
                3 => drop(input.splice(at..at, ODD[self.below(ODD.len())].iter().copied())),
                4 => {
                    let from = self.below(other.len() + 1);
                    let to = (from + self.below(64)).min(other.len());
                    drop(input.splice(at..at, other[from..to].iter().copied()));
                }
                _ => {
                    let again = input[at.min(end)..end].to_vec();
                    drop(input.splice(at..at, again));
                }
            }
        }
        input.truncate(longest);
    }
}

#[test]
fn the_corpus_is_small_and_every_target_has_one() {
    let mut size = 0;
    for target in TARGETS {
        let seeds = seeds(target);
        assert!(!seeds.is_empty(), "{} has no corpus", target.name);
        for (path, bytes) in &seeds {
            assert!(bytes.len() <= target.longest, "{} is too long", path.display());
            size += bytes.len();
        }
    }
    assert!(size <= LARGEST, "{size} bytes");
}

#[test]
fn what_was_met_before_is_read() {
    for target in TARGETS {
        for (path, bytes) in seeds(target) {
            read(target, &bytes, &path.display().to_string());
        }
    }
}

#[test]
#[ignore = "what it finds is up to chance: before a release, with GANTRY_FUZZ_SECONDS"]
fn what_comes_by_chance_is_read_or_refused() {
    let seconds =
        std::env::var("GANTRY_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(SECONDS);
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    for target in TARGETS {
        let seeds = seeds(target);
        let seed = u64::try_from(since.as_nanos()).unwrap_or(1) | 1;
        let mut chance = Chance(seed);
        let end = Instant::now() + Duration::from_secs_f64(seconds);
        while Instant::now() < end {
            let mut input = seeds[chance.below(seeds.len())].1.clone();
            let other = &seeds[chance.below(seeds.len())].1;
            chance.change(&mut input, other, target.longest);
            read(target, &input, &format!("seed {seed}"));
        }
    }
}
