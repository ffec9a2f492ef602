//! The default paths that a container cannot see or cannot write.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::LazyLock;

/// Paths that a container cannot see.
pub fn hidden() -> Vec<String> {
    let mut paths: Vec<String> = [
        "/proc/asound",
        "/proc/acpi",
        "/proc/interrupts",
        "/proc/kcore",
        "/proc/keys",
        "/proc/latency_stats",
        "/proc/timer_list",
        "/proc/timer_stats",
        "/proc/sched_debug",
        "/proc/scsi",
        "/sys/firmware",
        "/sys/devices/virtual/powercap",
    ]
    .map(str::to_owned)
    .to_vec();
    paths.extend_from_slice(&THERMAL_THROTTLE);
    paths
}

/// The temperature interface of each processor, a side channel, in the order of processors.
static THERMAL_THROTTLE: LazyLock<Vec<String>> = LazyLock::new(|| {
    let entries = std::fs::read_dir("/sys/devices/system/cpu").into_iter().flatten().flatten();
    let number = |entry: std::fs::DirEntry| entry.file_name().to_str()?.strip_prefix("cpu")?.parse().ok();
    let processors: BTreeSet<u32> = entries.filter_map(number).collect();
    let paths = processors.iter().map(|cpu| format!("/sys/devices/system/cpu/cpu{cpu}/thermal_throttle"));
    paths.filter(|path| Path::new(path).exists()).collect()
});

/// Paths that a container cannot write.
pub fn read_only() -> Vec<String> {
    ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"].map(str::to_owned).to_vec()
}
