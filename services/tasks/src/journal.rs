//! The journal of a task: a text file in the bundle with the task's steps, and which of their events were published.
//!
//! `did KEY` is written when a step is about to happen or has happened, `told KEY` when `control` has received the
//! step's event. `ended PID STATUS SECONDS NANOS` says how init ended. After a restart the service publishes the
//! events of steps without `told`, so that `control` receives each event once. The journal lives as long as the
//! bundle, which a reboot removes together with the task.
//!
//! Lines are appended. When the file has become long, the service rewrites it without the lines of removed execs: the
//! execs of a health check would make it grow for years.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use prost_types::Timestamp;
use rustix::fs::{AtFlags, Mode, OFlags};

use crate::error::Error;
use crate::task::process::Exit;

/// The journal's name in a bundle.
pub const NAME: &str = "journal";
const NEW_NAME: &str = "journal.new";

/// The length in bytes at which the journal is rewritten.
const LONG: u64 = 64 * 1024;

/// One step in a task's life.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// The container is created.
    Create,
    /// The process (`""`: init) is started, or is about to be.
    Start(String),
    /// An exec was added.
    Exec(String),
    /// The process ended.
    Exit(String),
    /// An exec is removed. No event belongs to this step.
    ExecGone(String),
}

impl Step {
    fn encode(&self) -> String {
        match self {
            Step::Create => "create".to_owned(),
            Step::Start(exec) => format!("start {exec}"),
            Step::Exec(exec) => format!("exec {exec}"),
            Step::Exit(exec) => format!("exit {exec}"),
            Step::ExecGone(exec) => format!("exec-gone {exec}"),
        }
    }

    fn decode(text: &str) -> Option<Step> {
        let (word, exec) = text.split_once(' ').unwrap_or((text, ""));
        let exec = exec.to_owned();
        Some(match word {
            "create" => Step::Create,
            "start" => Step::Start(exec),
            "exec" => Step::Exec(exec),
            "exit" => Step::Exit(exec),
            "exec-gone" => Step::ExecGone(exec),
            _ => return None,
        })
    }
}

/// The open journal of a bundle. It stays valid when the bundle is renamed.
#[derive(Debug, Clone)]
// The lock keeps lines from being appended to a file that is being replaced.
pub struct Journal(Arc<Mutex<Open>>);

#[derive(Debug)]
struct Open {
    file: File,
    /// The length in bytes at which the journal is rewritten next.
    limit: u64,
}

impl Journal {
    /// Opens the journal of the bundle in `folder`. Creates it when it is missing. Removes the beginning of a line that a
    /// killed service has left, to which the next line would be appended.
    pub fn open(folder: &Path) -> Result<Journal, Error> {
        let path = folder.join(NAME);
        let mut options = File::options();
        let file = options.create(true).read(true).append(true).open(&path);
        let mut file = file.map_err(Error::io("open", &path))?;
        cut_half_line(&mut file).map_err(Error::io("mend", path))?;
        Ok(Journal(Arc::new(Mutex::new(Open { file, limit: LONG }))))
    }

    /// Notes a step.
    pub fn did(&self, step: &Step) {
        self.append("did", step);
        if matches!(step, Step::ExecGone(_)) {
            self.0.lock().shorten();
        }
    }

    /// Notes that a step's event was published.
    pub fn told(&self, step: &Step) {
        self.append("told", step);
    }

    /// Notes how init ended.
    pub fn ended(&self, pid: u32, exit: &Exit) {
        self.write(&ended_line(pid, exit));
    }

    fn append(&self, verb: &str, step: &Step) {
        self.write(&format!("{verb} {}\n", step.encode()));
    }

    /// Writes one line, whole or not at all.
    fn write(&self, line: &str) {
        if let Err(error) = self.0.lock().append(line) {
            tracing::warn!(%error, "a task's journal cannot be written; its events may repeat after a restart");
        }
    }
}

impl Open {
    fn append(&mut self, line: &str) -> io::Result<()> {
        let before = self.file.metadata()?.len();
        self.file.write_all(line.as_bytes()).inspect_err(|_| {
            // A full file system may have taken the beginning of the line, to which the next line would be appended.
            let _ = self.file.set_len(before);
        })
    }

    fn shorten(&mut self) {
        if self.file.metadata().map_or(0, |file| file.len()) <= self.limit {
            return;
        }
        match self.write_anew() {
            Ok(length) => self.limit = LONG.max(2 * length),
            // The old file stays in use. The next attempt is at twice its length.
            Err(error) => {
                self.limit *= 2;
                tracing::warn!(%error, "a task's journal cannot be written anew");
            }
        }
    }

    /// Replaces the file by one without removed execs. Returns the new length.
    fn write_anew(&mut self) -> io::Result<u64> {
        let folder = self.folder()?;
        let open = |name, flags| {
            rustix::fs::openat(&folder, name, flags | OFlags::CLOEXEC, Mode::RUSR | Mode::WUSR)
                .map(File::from)
        };
        let mut text = String::new();
        open(NAME, OFlags::RDONLY)?.read_to_string(&mut text)?;
        let mut history = History::parse(&text);
        history.forget_gone();
        let text = history.encode();
        let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::TRUNC;
        let mut file = open(NEW_NAME, flags)?;
        file.write_all(text.as_bytes())?;
        rustix::fs::renameat(&folder, NEW_NAME, &folder, NAME)?;
        self.file = file;
        Ok(text.len() as u64)
    }

    /// The bundle's directory, also after it was renamed.
    fn folder(&self) -> io::Result<OwnedFd> {
        let path = std::fs::read_link(format!("/proc/self/fd/{}", self.file.as_raw_fd()))?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = rustix::fs::open(path.parent().unwrap_or(&path), flags, Mode::empty())?;
        let (own, there) =
            (rustix::fs::fstat(&self.file)?, rustix::fs::statat(&folder, NAME, AtFlags::SYMLINK_NOFOLLOW)?);
        // The bundle may have been renamed just now, and another bundle have taken its path.
        if (own.st_dev, own.st_ino) == (there.st_dev, there.st_ino) {
            Ok(folder)
        } else {
            Err(io::ErrorKind::NotFound.into())
        }
    }
}

/// Removes what follows the last line's end.
fn cut_half_line(file: &mut File) -> io::Result<()> {
    let mut text = Vec::new();
    file.read_to_end(&mut text)?;
    let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    match whole == text.len() {
        true => Ok(()),
        false => file.set_len(whole as u64),
    }
}

/// The content of a journal.
#[derive(Debug, Default, Clone)]
pub struct History {
    did: BTreeSet<Step>,
    told: BTreeSet<Step>,
    ended: Option<(u32, Exit)>,
}

impl History {
    /// Reads the journal of the bundle in `folder`; a missing one is empty.
    pub fn read(folder: &Path) -> History {
        History::parse(&std::fs::read_to_string(folder.join(NAME)).unwrap_or_default())
    }

    fn parse(text: &str) -> History {
        let mut history = History::default();
        for line in text.lines() {
            match line.split_once(' ').map(|(verb, rest)| (verb, Step::decode(rest))) {
                Some(("did", Some(step))) => {
                    if let Step::Exec(exec) = &step {
                        history.forget(exec);
                    }
                    history.did.insert(step);
                }
                Some(("told", Some(step))) => {
                    history.told.insert(step);
                }
                _ => {}
            }
            if let Some(ended) = line.strip_prefix("ended ").and_then(parse_ended) {
                history.ended = Some(ended);
            }
        }
        history
    }

    /// Forgets the exec of that name, because a new one begins.
    fn forget(&mut self, exec: &str) {
        for steps in [&mut self.did, &mut self.told] {
            steps.retain(|step| match step {
                Step::Start(of) | Step::Exec(of) | Step::Exit(of) | Step::ExecGone(of) => of != exec,
                Step::Create => true,
            });
        }
    }

    /// Forgets removed execs: no event of theirs is left to publish.
    fn forget_gone(&mut self) {
        let there = self.execs();
        for steps in [&mut self.did, &mut self.told] {
            steps.retain(|step| match step {
                Step::Start(of) | Step::Exec(of) | Step::Exit(of) | Step::ExecGone(of) => {
                    of.is_empty() || there.contains(of)
                }
                Step::Create => true,
            });
        }
    }

    /// The lines that read back as this history.
    fn encode(&self) -> String {
        // The line of an exec's addition comes first. Lines before it with the same name belong to an earlier exec.
        let (added, other): (Vec<_>, Vec<_>) =
            self.did.iter().partition(|step| matches!(step, Step::Exec(_)));
        let did = added.into_iter().chain(other).map(|step| format!("did {}\n", step.encode()));
        let told = self.told.iter().map(|step| format!("told {}\n", step.encode()));
        let ended = self.ended.as_ref().map(|(pid, exit)| ended_line(*pid, exit));
        did.chain(told).chain(ended).collect()
    }

    /// Whether the step happened or was about to happen.
    pub fn did(&self, step: &Step) -> bool {
        self.did.contains(step) || self.told(step)
    }

    /// Whether the step's event was published.
    pub fn told(&self, step: &Step) -> bool {
        self.told.contains(step)
    }

    /// The pid of init and how it ended.
    pub fn ended(&self) -> Option<&(u32, Exit)> {
        self.ended.as_ref()
    }

    /// The execs that were added and not removed.
    pub fn execs(&self) -> Vec<String> {
        let added = self.did.iter().filter_map(|step| match step {
            Step::Exec(exec) => Some(exec.clone()),
            _ => None,
        });
        added.filter(|exec| !self.did.contains(&Step::ExecGone(exec.clone()))).collect()
    }
}

fn ended_line(pid: u32, exit: &Exit) -> String {
    let at = exit.at.unwrap_or_default();
    format!("ended {pid} {} {} {}\n", exit.status, at.seconds, at.nanos)
}

fn parse_ended(text: &str) -> Option<(u32, Exit)> {
    let mut numbers = text.split(' ');
    let pid = numbers.next()?.parse().ok()?;
    let status = numbers.next()?.parse().ok()?;
    let seconds = numbers.next()?.parse().ok()?;
    let nanos = numbers.next()?.parse().ok()?;
    Some((pid, Exit { status, at: Some(Timestamp { seconds, nanos }) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_reads_back() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!History::read(folder.path()).did(&Step::Create));
        let journal = Journal::open(folder.path()).unwrap();
        journal.told(&Step::Create);
        journal.did(&Step::Start(String::new()));
        for exec in ["a", "b"] {
            journal.did(&Step::Exec(exec.into()));
        }
        journal.did(&Step::ExecGone("a".into()));
        let exit = Exit { status: 137, at: Some(Timestamp { seconds: 5, nanos: 6 }) };
        journal.ended(9, &exit);
        let history = History::read(folder.path());
        assert!(history.did(&Step::Create) && history.told(&Step::Create));
        assert!(history.did(&Step::Start(String::new())) && !history.told(&Step::Start(String::new())));
        assert_eq!(history.execs(), ["b"]);
        assert_eq!(history.ended(), Some(&(9, exit)));
    }

    #[test]
    fn an_exec_may_take_the_name_of_one_that_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(folder.path()).unwrap();
        let (exec, exit) = (Step::Exec("e".into()), Step::Exit("e".into()));
        journal.did(&exec);
        journal.told(&exit);
        journal.did(&Step::ExecGone("e".into()));
        journal.did(&exec);
        let history = History::read(folder.path());
        assert_eq!(history.execs(), ["e"]);
        assert!(!history.told(&exit));
    }

    #[test]
    fn a_journal_does_not_grow_with_execs_that_are_gone() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("c");
        std::fs::create_dir(&folder).unwrap();
        let journal = Journal::open(&folder).unwrap();
        journal.told(&Step::Create);
        journal.did(&Step::Exec("stays".into()));
        journal.did(&Step::Start("stays".into()));
        journal.told(&Step::Exec("stays".into()));
        let aside = root.path().join(".c.1");
        for number in 0..5000 {
            let exec = format!("check-{number}");
            journal.did(&Step::Exec(exec.clone()));
            journal.told(&Step::Exit(exec.clone()));
            journal.did(&Step::ExecGone(exec));
            if number == 2500 {
                std::fs::rename(&folder, &aside).unwrap();
            }
        }
        journal.ended(9, &Exit { status: 0, at: None });
        assert!(std::fs::metadata(aside.join(NAME)).unwrap().len() < 2 * LONG);
        let history = History::read(&aside);
        assert_eq!(history.execs(), ["stays"]);
        assert!(history.told(&Step::Create) && history.told(&Step::Exec("stays".into())));
        assert!(history.did(&Step::Start("stays".into())) && history.ended().is_some());
    }

    /// A file system of one page, which is unmounted when this is dropped.
    struct Small(tempfile::TempDir);

    impl Small {
        fn mount() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let mounted = std::process::Command::new("mount")
                .args(["-t", "tmpfs", "-o", "size=4k", "tmpfs"])
                .arg(folder.path())
                .status();
            assert!(mounted.unwrap().success());
            Small(folder)
        }
    }

    impl Drop for Small {
        fn drop(&mut self) {
            let _ = std::process::Command::new("umount").arg(self.0.path()).status();
        }
    }

    mod root_full {
        use super::*;

        #[test]
        fn a_line_that_found_no_room_does_not_swallow_the_next() {
            let small = Small::mount();
            let journal = Journal::open(small.0.path()).unwrap();
            journal.told(&Step::Create);
            // There is only room for the beginning of the last line.
            let mut number = 0;
            while std::fs::metadata(small.0.path().join(NAME)).unwrap().len() < 4096 - 40 {
                journal.did(&Step::Exec(format!("e{number:03}")));
                number += 1;
            }
            journal.did(&Step::Exec("x".repeat(100)));
            journal.did(&Step::Start(String::new()));
            let history = History::read(small.0.path());
            assert!(history.told(&Step::Create) && history.did(&Step::Start(String::new())));
            assert_eq!(history.execs().len(), number);
        }
    }

    #[test]
    fn a_torn_line_is_skipped() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(NAME), "told create\nfoo\ndid st").unwrap();
        let history = History::read(folder.path());
        assert!(history.told(&Step::Create) && !history.did(&Step::Start(String::new())));
    }

    #[test]
    fn a_torn_line_does_not_swallow_what_follows() {
        let folder = tempfile::tempdir().unwrap();
        for torn in ["", "told cre", "told create\ndid st", "told create\n"] {
            std::fs::write(folder.path().join(NAME), torn).unwrap();
            Journal::open(folder.path()).unwrap().did(&Step::Exec("e".into()));
            let history = History::read(folder.path());
            assert_eq!(history.execs(), ["e"], "{torn:?}");
            assert_eq!(history.told(&Step::Create), torn.contains("create\n"), "{torn:?}");
        }
    }
}
