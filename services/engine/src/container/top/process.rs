//! A process as proc(5) describes it, and its columns as ps(1) shows them.

use std::collections::HashMap;

/// Clock ticks per second in the kernel's interface.
const TICKS: u64 = 100;
/// KiB per page.
const PAGE: u64 = 4;
/// Width to which the columns of `-l` cut the wait channel.
const WCHAN_WIDTH: usize = 6;
const DAY: i64 = 24 * 3600;

/// Facts of the machine that columns are computed from.
pub(super) struct System {
    /// Seconds since the machine started.
    uptime: f64,
    /// Memory of the machine, KiB.
    memory: u64,
    users: HashMap<u32, String>,
    /// Present time, seconds since 1970.
    now: i64,
}

impl System {
    pub(super) fn read() -> System {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let users = read("/etc/passwd")
            .lines()
            .filter_map(|line| {
                let mut fields = line.split(':');
                let name = fields.next()?;
                Some((fields.nth(1)?.parse().ok()?, name.to_owned()))
            })
            .collect();
        let memory = read("/proc/meminfo")
            .lines()
            .find_map(|line| {
                line.strip_prefix("MemTotal:")?.trim().trim_end_matches("kB").trim().parse().ok()
            })
            .unwrap_or(1);
        let uptime = read("/proc/uptime")
            .split_whitespace()
            .next()
            .and_then(|seconds| seconds.parse().ok())
            .unwrap_or(0.0);
        System { uptime, memory, users, now: crate::time::now() / 1_000_000_000 }
    }

    fn user(&self, id: &str) -> String {
        let name = id.parse().ok().and_then(|id: u32| self.users.get(&id));
        name.map_or_else(|| id.to_owned(), Clone::clone)
    }
}

pub(super) struct Process {
    pub(super) pid: u32,
    comm: String,
    args: String,
    /// The fields of `/proc/<pid>/stat` from the state (field 3) on.
    stat: Vec<String>,
    /// Real and effective user id.
    uids: [String; 2],
    gids: [String; 2],
    /// Whether some of its memory is locked.
    locked: bool,
    wchan: String,
}

impl Process {
    /// Reads a process; `None` for one that has ended meanwhile.
    pub(super) fn read(pid: u32) -> Option<Process> {
        let read = |file: &str| std::fs::read_to_string(format!("/proc/{pid}/{file}")).ok();
        let stat = read("stat")?;
        // The name is in brackets and may contain any byte, also brackets.
        let (head, tail) = stat.rsplit_once(')')?;
        let comm = head.split_once('(')?.1.to_owned();
        let bytes = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let words: Vec<String> = bytes
            .split(|byte| *byte == 0)
            .filter(|word| !word.is_empty())
            .map(|word| String::from_utf8_lossy(word).into_owned())
            .collect();
        let status = read("status")?;
        let field = |key: &str| status.lines().find_map(|line| line.strip_prefix(key));
        let ids = |key: &str| {
            let mut ids = field(key)?.split_whitespace().map(str::to_owned);
            Some([ids.next()?, ids.next()?])
        };
        Some(Process {
            pid,
            args: if words.is_empty() { format!("[{comm}]") } else { words.join(" ") },
            comm,
            stat: tail.split_whitespace().map(str::to_owned).collect(),
            uids: ids("Uid:")?,
            gids: ids("Gid:")?,
            locked: field("VmLck:").is_some_and(|size| size.trim() != "0 kB"),
            wchan: read("wchan").unwrap_or_default(),
        })
    }

    /// A field by its number in proc(5).
    fn text(&self, field: usize) -> &str {
        self.stat.get(field - 3).map_or("", String::as_str)
    }

    fn number(&self, field: usize) -> i64 {
        self.text(field).parse().unwrap_or(0)
    }

    fn ticks(&self) -> u64 {
        u64::try_from(self.number(14) + self.number(15)).unwrap_or(0)
    }

    /// Seconds since the start of the process.
    fn age(&self, system: &System) -> f64 {
        (system.uptime - self.number(22) as f64 / TICKS as f64).max(0.0)
    }

    fn cpu_percent(&self, system: &System) -> f64 {
        let age = self.age(system);
        if age > 0.0 { self.ticks() as f64 / TICKS as f64 * 100.0 / age } else { 0.0 }
    }

    /// Resident memory, KiB.
    fn rss(&self) -> u64 {
        u64::try_from(self.number(24)).unwrap_or(0) * PAGE
    }

    /// Address space, KiB.
    fn vsz(&self) -> u64 {
        u64::try_from(self.number(23)).unwrap_or(0) / 1024
    }

    /// The state with the flags of ps(1).
    fn stat(&self) -> String {
        let nice = self.number(19);
        [
            (self.text(3), true),
            ("<", nice < 0),
            ("N", nice > 0),
            ("L", self.locked),
            ("s", self.text(6) == self.pid.to_string()),
            ("l", self.number(20) > 1),
            ("+", self.text(8) == self.text(5)),
        ]
        .into_iter()
        .filter_map(|(mark, holds)| holds.then_some(mark))
        .collect()
    }

    fn wchan(&self) -> &str {
        if matches!(self.wchan.as_str(), "" | "0") { "-" } else { &self.wchan }
    }

    /// The text of a column, by its key.
    pub(super) fn column(&self, key: &str, system: &System) -> String {
        let started = system.now - self.age(system) as i64;
        match key {
            "pid" => self.pid.to_string(),
            "ppid" => self.text(4).to_owned(),
            "pgid" => self.text(5).to_owned(),
            "sid" => self.text(6).to_owned(),
            "tpgid" => self.text(8).to_owned(),
            "user" => system.user(&self.uids[1]),
            "ruser" => system.user(&self.uids[0]),
            "uid" => self.uids[1].clone(),
            "ruid" => self.uids[0].clone(),
            "gid" => self.gids[1].clone(),
            "rgid" => self.gids[0].clone(),
            "c" => format!("{}", (self.cpu_percent(system) as u64).min(99)),
            "%cpu" => format!("{:.1}", self.cpu_percent(system)),
            "%mem" => format!("{:.1}", self.rss() as f64 * 100.0 / system.memory as f64),
            "rss" => self.rss().to_string(),
            "vsz" => self.vsz().to_string(),
            "sz" => (self.vsz() / PAGE).to_string(),
            "tty" => tty(self.number(7)),
            "stat" => self.stat(),
            "state" => self.text(3).to_owned(),
            "stime" => start(started, system.now),
            "start" => start_to_the_second(started, system.now),
            "time" => clock(self.ticks() / TICKS),
            "bsdtime" => format!("{}:{:02}", self.ticks() / TICKS / 60, self.ticks() / TICKS % 60),
            "etime" => elapsed(self.age(system) as u64),
            "etimes" => (self.age(system) as u64).to_string(),
            "nice" => self.text(19).to_owned(),
            "pri" => (39 - self.number(18)).to_string(),
            "opri" => (60 + self.number(18)).to_string(),
            "psr" => self.text(39).to_owned(),
            "nlwp" => self.text(20).to_owned(),
            "wchan" => self.wchan().chars().take(WCHAN_WIDTH).collect(),
            "f" => ((self.number(9) >> 6) & 7).to_string(),
            "addr" => "-".to_owned(),
            "comm" => self.comm.clone(),
            _ => self.args.clone(),
        }
    }
}

fn tty(device: i64) -> String {
    let device = u64::try_from(device).unwrap_or(0);
    let (major, minor) = ((device >> 8) & 0xfff, (device & 0xff) | ((device >> 12) & 0xfff00));
    match major {
        0 => "?".to_owned(),
        4 => format!("tty{minor}"),
        136..=143 => format!("pts/{}", (major - 136) * 256 + minor),
        _ => "?".to_owned(),
    }
}

fn clock(seconds: u64) -> String {
    let clock = format!("{:02}:{:02}:{:02}", seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    match seconds / 86400 {
        0 => clock,
        days => format!("{days}-{clock}"),
    }
}

/// As [`clock`], without hours if they are 0.
fn elapsed(seconds: u64) -> String {
    if seconds < 3600 { format!("{:02}:{:02}", seconds / 60, seconds % 60) } else { clock(seconds) }
}

/// Start time: hours and minutes within the last day, else the day.
fn start(at: i64, now: i64) -> String {
    local(at, if now - at < DAY { "%H:%M" } else { "%b%d" })
}

/// Start time: hours, minutes and seconds within the last day, else the day.
fn start_to_the_second(at: i64, now: i64) -> String {
    local(at, if now - at < DAY { "%H:%M:%S" } else { "%b %d" })
}

fn local(at: i64, format: &str) -> String {
    let time = chrono::DateTime::from_timestamp(at, 0);
    time.map_or_else(|| "?".to_owned(), |time| time.with_timezone(&chrono::Local).format(format).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_can_be_shown() {
        let process = Process::read(std::process::id()).expect("it runs");
        let system = System::read();
        let shown = |key| process.column(key, &system);
        assert_eq!(shown("pid"), std::process::id().to_string());
        assert!(!shown("args").is_empty());
        assert!(shown("stat").contains('l'), "{}", shown("stat"));
        let own = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self").expect("it runs"));
        assert_eq!(shown("uid"), own.to_string());
    }

    #[test]
    fn times_as_ps_has_them() {
        assert_eq!(clock(3_661), "01:01:01");
        assert_eq!(clock(90_061), "1-01:01:01");
        assert_eq!((elapsed(61), elapsed(3_600)), ("01:01".to_owned(), "01:00:00".to_owned()));
    }
}
