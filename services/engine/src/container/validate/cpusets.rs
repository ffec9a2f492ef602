//! Checks that the machine has the processors and memory nodes that a container asks for by number.

use std::collections::BTreeSet;

use gantry_api::engine::Resources;

use super::invalid;
use crate::error::Result;

/// The largest number that Docker accepts in a list.
const MOST: u32 = 8191;
/// Files in which the kernel lists the processors, most exact first: both cgroup hierarchies, then the machine.
const CPUS: [&str; 3] = [
    "/sys/fs/cgroup/cpuset.cpus.effective",
    "/sys/fs/cgroup/cpuset/cpuset.cpus",
    "/sys/devices/system/cpu/online",
];
const NODES: [&str; 3] = [
    "/sys/fs/cgroup/cpuset.mems.effective",
    "/sys/fs/cgroup/cpuset/cpuset.mems",
    "/sys/devices/system/node/online",
];

/// Refuses lists that cannot be read, and numbers that the machine does not have.
pub(super) fn check(resources: &Resources) -> Result<()> {
    for (asked, files, kind, what) in [
        (&resources.cpuset_cpus, CPUS, "cpus", "CPUs"),
        (&resources.cpuset_mems, NODES, "mems", "memory nodes"),
    ] {
        if asked.is_empty() {
            continue;
        }
        let Some(wanted) = numbers(asked) else {
            return Err(invalid(format!("Invalid value {asked} for cpuset {kind}: invalid format: {asked}")));
        };
        // If no file lists them, the start reports a number that is missing.
        let available = files.iter().find_map(|file| {
            let text = std::fs::read_to_string(file).ok()?.trim().to_owned();
            numbers(&text).filter(|there| !there.is_empty()).map(|there| (text, there))
        });
        if let Some((text, there)) = available
            && !wanted.is_subset(&there)
        {
            return Err(invalid(format!(
                "Requested {what} are not available - requested {asked}, available: {text}"
            )));
        }
    }
    Ok(())
}

/// Reads `0-2,7`; `None` for any other form.
fn numbers(list: &str) -> Option<BTreeSet<u32>> {
    let mut numbers = BTreeSet::new();
    if list.is_empty() {
        return Some(numbers);
    }
    for part in list.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (u32, u32) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        if first > last || last > MOST {
            return None;
        }
        numbers.extend(first..=last);
    }
    Some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read() {
        let read = |list: &str| numbers(list).map(|numbers| numbers.into_iter().collect::<Vec<_>>());
        assert_eq!(read("0-2,7"), Some(vec![0, 1, 2, 7]));
        assert_eq!(read("3"), Some(vec![3]));
        for nonsense in ["a", "2-1", "1-", "0,,1", "99999"] {
            assert_eq!(read(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn what_the_machine_does_not_have_is_refused() {
        let refused = |cpus: &str, mems: &str| {
            let resources = Resources {
                cpuset_cpus: cpus.to_owned(),
                cpuset_mems: mems.to_owned(),
                ..Default::default()
            };
            check(&resources).map_err(|error| error.to_string())
        };
        let cpus = refused("8000", "").expect_err("too many");
        assert!(
            cpus.starts_with("Requested CPUs are not available - requested 8000, available: 0"),
            "{cpus}"
        );
        let nodes = refused("", "8000").expect_err("too many");
        assert!(nodes.starts_with("Requested memory nodes are not available - requested 8000"), "{nodes}");
        let nonsense = refused("x", "").expect_err("no list");
        assert_eq!(nonsense, "Invalid value x for cpuset cpus: invalid format: x");
        assert_eq!(refused("0", "0"), Ok(()));
    }
}
