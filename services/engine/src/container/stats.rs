//! The resource usage of a running container: the figures of its cgroup, which `tasks` gets from the shim, and those
//! of its network interfaces.

use std::collections::HashMap;

use gantry_api::engine::{Interface, Sample};

use super::Container;
use super::pinned::init_of;
use crate::blocking::blocking;
use crate::error::{Error, Result};
use crate::peers::Tasks;
use crate::time;

/// Clock ticks per second in the kernel's interface.
const TICKS: u64 = 100;

/// Takes one sample; `None` for a container that does not run.
pub(crate) async fn sample(tasks: &Tasks, container: &Container) -> Result<Option<Sample>> {
    let init = match init_of(tasks, container).await {
        Ok(init) => init,
        Err(Error::NotRunning(_)) => return Ok(None),
        Err(error) => return Err(error),
    };
    let Some(mut sample) = tasks.figures(container.task()).await? else { return Ok(None) };
    blocking(move || {
        sample.interfaces = interfaces(&String::from_utf8_lossy(&init.read("net/dev").unwrap_or_default()));
        let (system, cpus) = system_cpu(&read("/proc/stat"));
        sample.system_cpu = system;
        sample.online_cpus = cpus;
        let memory = memory_total(&read("/proc/meminfo"));
        if sample.memory_limit == 0 || sample.memory_limit > memory {
            sample.memory_limit = memory;
        }
        sample.read_at = time::now();
        Ok(Some(sample))
    })
    .await
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

/// The counters of each interface except `lo`.
fn interfaces(table: &str) -> HashMap<String, Interface> {
    let mut all = HashMap::new();
    for line in table.lines().skip(2) {
        let Some((name, numbers)) = line.split_once(':') else { continue };
        let numbers: Vec<u64> =
            numbers.split_whitespace().map(|number| number.parse().unwrap_or(0)).collect();
        let name = name.trim();
        if name == "lo" || numbers.len() < 12 {
            continue;
        }
        let counters = Interface {
            rx_bytes: numbers[0],
            rx_packets: numbers[1],
            rx_errors: numbers[2],
            rx_dropped: numbers[3],
            tx_bytes: numbers[8],
            tx_packets: numbers[9],
            tx_errors: numbers[10],
            tx_dropped: numbers[11],
        };
        all.insert(name.to_owned(), counters);
    }
    all
}

/// The time of all processors since boot, idle time included, in nanoseconds, and their number.
fn system_cpu(stat: &str) -> (u64, u32) {
    let total: u64 = stat
        .lines()
        .next()
        .into_iter()
        .flat_map(|line| line.split_whitespace().skip(1).take(7))
        .map(|ticks| ticks.parse::<u64>().unwrap_or(0))
        .sum();
    let processors = stat
        .lines()
        .filter(|line| {
            line.strip_prefix("cpu").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
        })
        .count();
    (total * (1_000_000_000 / TICKS), u32::try_from(processors).unwrap_or(1))
}

fn memory_total(meminfo: &str) -> u64 {
    meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))
        .and_then(|rest| rest.trim().trim_end_matches("kB").trim().parse::<u64>().ok())
        .map_or(0, |kilobytes| kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interfaces_are_read() {
        let table = "Inter-| Receive | Transmit\n face |bytes\n    lo: 1 1 0 0 0 0 0 0 1 1 0 0 0 0 0 0\n  eth0: 10 2 3 4 0 0 0 0 20 5 6 7 0 0 0 0\n";
        let all = interfaces(table);
        assert_eq!(all.len(), 1);
        assert_eq!((all["eth0"].rx_bytes, all["eth0"].tx_bytes, all["eth0"].tx_dropped), (10, 20, 7));
    }

    #[test]
    fn processor_time_is_summed() {
        assert_eq!(system_cpu("cpu  1 2 3 4 5 6 7 8 9 10\ncpu0 1\ncpu1 1\nintr 5\n"), (280_000_000, 2));
        assert_eq!(memory_total("MemTotal:  2 kB\n"), 2048);
    }
}
