//! The processes of a container, in the columns of ps(1).

use std::collections::{BTreeSet, HashMap};

use gantry_proto::gantry::engine::v1 as pb;

use super::create::blocking;
use crate::engine::Engine;
use crate::error::{Error, Result};

/// The kernel's clock ticks in a second, as it shows them to programs.
const TICKS: u64 = 100;

const FULL: &[&str] = &["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"];
const USER: &[&str] =
    &["USER", "PID", "%CPU", "%MEM", "VSZ", "RSS", "TTY", "STAT", "START", "TIME", "COMMAND"];

impl Engine {
    /// Lists processes as `ps` with these arguments would.
    pub async fn top(&self, name: &str, arguments: &str) -> Result<pb::TopResponse> {
        let container = self.index.find(name)?;
        container.running_pid()?;
        let columns = columns(arguments)?;
        let pids = self.peers.pids(container.id()).await?;
        let mut found: Vec<Process> =
            blocking(move || Ok(pids.into_iter().filter_map(Process::read).collect())).await?;
        // A number whose process has ended meanwhile may have been another's when it was read.
        let still: BTreeSet<u32> = self.peers.pids(container.id()).await?.into_iter().collect();
        found.retain(|process| still.contains(&process.pid));
        found.sort_by_key(|process| process.pid);
        let answer = blocking(move || {
            let system = System::read();
            let row = |process: &Process| pb::StringList {
                values: columns.iter().map(|column| process.column(&column.key, &system)).collect(),
            };
            let processes = found.iter().map(row).collect();
            let titles = columns.into_iter().map(|column| column.title).collect();
            Ok(pb::TopResponse { titles, processes })
        })
        .await?;
        self.publish_container(&container, "top", Default::default());
        Ok(answer)
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Column {
    key: String,
    title: String,
}

/// The columns that ps(1) arguments ask for.
fn columns(arguments: &str) -> Result<Vec<Column>> {
    let words: Vec<&str> = arguments.split_whitespace().collect();
    let fixed = |titles: &[&str]| {
        titles.iter().map(|title| Column { key: key_of(title), title: (*title).to_owned() }).collect()
    };
    let mut asked = Vec::new();
    let mut at = 0;
    while at < words.len() {
        // `o` may end a group of letters (`-eo`, `axo`), and its list may follow at once.
        let group = words[at].strip_prefix('-').unwrap_or(words[at]);
        let list = match group.split_once('o') {
            Some((letters, _))
                if !letters.bytes().all(|letter| letter.is_ascii_lowercase() || letter == b'A') =>
            {
                ""
            }
            Some((_, "")) => {
                at += 1;
                words.get(at).copied().unwrap_or_default()
            }
            Some((_, list)) => list,
            None => "",
        };
        for item in list.split(',').filter(|item| !item.is_empty()) {
            let (name, title) = item.split_once('=').unwrap_or((item, ""));
            let title = if title.is_empty() { title_of(name)? } else { title.to_owned() };
            asked.push(Column { key: key_of(name), title });
        }
        at += 1;
    }
    if !asked.is_empty() {
        if !asked.iter().any(|column| column.key == "pid") {
            return Err(Error::Invalid("Couldn't find PID field in ps output".to_owned()));
        }
        return Ok(asked);
    }
    let plain = words.join("");
    let bsd = !plain.starts_with('-') && plain.contains('u');
    if bsd {
        return Ok(fixed(USER));
    }
    if plain.is_empty() || plain.contains('f') {
        return Ok(fixed(FULL));
    }
    Ok(fixed(&["PID", "TTY", "TIME", "CMD"]))
}

/// One name for what ps(1) has several for.
fn key_of(name: &str) -> String {
    match name.to_ascii_lowercase().as_str() {
        "args" | "cmd" | "command" => "args",
        "comm" | "ucmd" | "ucomm" => "comm",
        "uid" | "user" | "uname" | "euser" | "ruser" => "user",
        "euid" | "ruid" => "uid",
        "c" => "c",
        "%cpu" | "pcpu" => "%cpu",
        "%mem" | "pmem" => "%mem",
        "rss" | "rssize" | "rsz" => "rss",
        "vsz" | "vsize" => "vsz",
        "tty" | "tt" | "tname" => "tty",
        "stat" | "state" | "s" => "stat",
        "stime" | "start" | "start_time" => "start",
        "time" | "cputime" => "time",
        "pgid" | "pgrp" => "pgid",
        "sid" | "sess" | "session" => "sid",
        "nice" | "ni" => "nice",
        "nlwp" | "thcount" => "nlwp",
        other => other,
    }
    .to_owned()
}

fn title_of(name: &str) -> Result<String> {
    let title = match key_of(name).as_str() {
        "args" if name == "cmd" => "CMD",
        "args" => "COMMAND",
        "comm" => "COMMAND",
        "user" if name == "uid" => "UID",
        "user" => "USER",
        "uid" => "EUID",
        "nice" => "NI",
        "start" => "STIME",
        key @ ("pid" | "ppid" | "pgid" | "sid" | "c" | "%cpu" | "%mem" | "rss" | "vsz" | "tty" | "stat"
        | "time" | "etime" | "nlwp") => return Ok(key.to_ascii_uppercase()),
        _ => return Err(Error::Invalid(format!("ps: unknown user-defined format specifier \"{name}\""))),
    };
    Ok(title.to_owned())
}

struct System {
    /// Seconds since the machine started.
    uptime: f64,
    memory: u64,
    users: HashMap<u32, String>,
    now: i64,
}

impl System {
    fn read() -> System {
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
}

struct Process {
    /// The fields of `/proc/<pid>/stat` from the state (field 3) on.
    stat: Vec<String>,
    pid: u32,
    comm: String,
    args: String,
    uid: u32,
}

impl Process {
    /// `None` for one that has ended meanwhile.
    fn read(pid: u32) -> Option<Process> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name stands in brackets and may contain any byte, brackets too.
        let (head, tail) = stat.rsplit_once(')')?;
        let comm = head.split_once('(')?.1.to_owned();
        let bytes = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let words: Vec<String> = bytes
            .split(|byte| *byte == 0)
            .filter(|word| !word.is_empty())
            .map(|word| String::from_utf8_lossy(word).into_owned())
            .collect();
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let uid = status
            .lines()
            .find_map(|line| line.strip_prefix("Uid:")?.split_whitespace().nth(1)?.parse().ok())?;
        let args = if words.is_empty() { format!("[{comm}]") } else { words.join(" ") };
        Some(Process { stat: tail.split_whitespace().map(str::to_owned).collect(), pid, comm, args, uid })
    }

    /// A field of proc(5)'s numbering.
    fn number(&self, field: usize) -> i64 {
        self.stat.get(field - 3).and_then(|text| text.parse().ok()).unwrap_or(0)
    }

    fn ticks(&self) -> u64 {
        u64::try_from(self.number(14) + self.number(15)).unwrap_or(0)
    }

    /// Seconds since it was started.
    fn age(&self, system: &System) -> f64 {
        system.uptime - self.number(22) as f64 / TICKS as f64
    }

    fn cpu_percent(&self, system: &System) -> f64 {
        let age = self.age(system);
        if age > 0.0 { self.ticks() as f64 / TICKS as f64 * 100.0 / age } else { 0.0 }
    }

    fn column(&self, key: &str, system: &System) -> String {
        let rss = u64::try_from(self.number(24)).unwrap_or(0) * 4;
        match key {
            "pid" => self.pid.to_string(),
            "ppid" => self.number(4).to_string(),
            "pgid" => self.number(5).to_string(),
            "sid" => self.number(6).to_string(),
            "user" => system.users.get(&self.uid).cloned().unwrap_or_else(|| self.uid.to_string()),
            "uid" => self.uid.to_string(),
            "c" => format!("{}", self.cpu_percent(system) as u64),
            "%cpu" => format!("{:.1}", self.cpu_percent(system)),
            "%mem" => format!("{:.1}", rss as f64 * 100.0 / system.memory as f64),
            "rss" => rss.to_string(),
            "vsz" => (self.number(23) / 1024).to_string(),
            "tty" => tty(self.number(7)),
            "stat" => self.stat.first().cloned().unwrap_or_default(),
            "start" => start(system.now - self.age(system) as i64, system.now),
            "time" => clock(self.ticks() / TICKS),
            "etime" => clock(self.age(system).max(0.0) as u64),
            "nice" => self.number(19).to_string(),
            "nlwp" => self.number(20).to_string(),
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
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// The hour within the last day, else the day.
fn start(at: i64, now: i64) -> String {
    let Some(time) = chrono::DateTime::from_timestamp(at, 0) else { return "?".to_owned() };
    let local = time.with_timezone(&chrono::Local);
    if now - at < 24 * 3600 { local.format("%H:%M").to_string() } else { local.format("%b%d").to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn titles(arguments: &str) -> Vec<String> {
        columns(arguments).expect("valid").into_iter().map(|column| column.title).collect()
    }

    #[test]
    fn the_usual_arguments_have_their_columns() {
        assert_eq!(titles("-ef"), FULL);
        assert_eq!(titles(""), FULL);
        assert_eq!(titles("aux"), USER);
        assert_eq!(titles("-o pid,comm"), ["PID", "COMMAND"]);
        assert_eq!(titles("-eo pid=P,args"), ["P", "COMMAND"]);
        assert_eq!(titles("axo pid"), ["PID"]);
        assert_eq!(titles("-e -o pid=P,args"), ["P", "COMMAND"]);
    }

    #[test]
    fn a_format_needs_the_pid_and_known_names() {
        assert!(columns("-o comm").is_err());
        assert!(columns("-o pid,magic").is_err());
    }

    #[test]
    fn this_process_can_be_shown() {
        let process = Process::read(std::process::id()).expect("it runs");
        let system = System::read();
        assert_eq!(process.column("pid", &system), std::process::id().to_string());
        assert!(!process.column("args", &system).is_empty());
    }
}
