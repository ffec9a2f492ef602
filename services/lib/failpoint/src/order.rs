//! The order for a failpoint, and its execution.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::LazyLock;
use std::time::Duration;
use std::{env, fs, io, thread};

use crate::Fault;

/// The environment variable with the directory of orders.
pub const FOLDER: &str = "GANTRY_FAILPOINTS";

/// Carries out the order for a point.
///
/// # Errors
///
/// The ordered one.
pub fn reach(point: &'static str) -> Result<(), Fault> {
    match take(point) {
        Some(Action::Error) => Err(Fault(point)),
        Some(Action::Delay(time)) => {
            thread::sleep(time);
            Ok(())
        }
        Some(Action::Kill) => die(),
        None => Ok(()),
    }
}

/// Carries out the order for a point in a function that cannot fail.
///
/// # Panics
///
/// When the order is an error.
pub fn pass(point: &'static str) {
    reach(point).expect("no point that is infallible is ordered to fail");
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    /// The process ends as by SIGKILL.
    Kill,
    /// The function returns the error.
    Error,
    /// The function, and its thread, wait this long.
    Delay(Duration),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    /// How many times the point is passed before the order is carried out.
    After(u32),
    Always,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Order {
    action: Action,
    when: When,
}

impl FromStr for Order {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let number = |word: &str| word.parse::<u32>().map_err(|error| format!("{text:?}: {error}"));
        let (action, rest) = match words.as_slice() {
            ["kill", rest @ ..] => (Action::Kill, rest),
            ["error", rest @ ..] => (Action::Error, rest),
            ["delay", time, rest @ ..] => (Action::Delay(Duration::from_millis(number(time)?.into())), rest),
            _ => return Err(format!("{text:?} is no order")),
        };
        let when = match rest {
            [] => When::After(0),
            ["always"] => When::Always,
            ["at", nth] => When::After(number(nth)?.saturating_sub(1)),
            _ => return Err(format!("{text:?} is no order")),
        };
        Ok(Self { action, when })
    }
}

/// The order for a point, if it is to be carried out now.
fn take(point: &str) -> Option<Action> {
    static ORDERS: LazyLock<Option<PathBuf>> = LazyLock::new(|| env::var_os(FOLDER).map(PathBuf::from));
    take_in(ORDERS.as_deref()?, point)
}

fn take_in(folder: &Path, point: &str) -> Option<Action> {
    let path = folder.join(point);
    let text = match fs::read_to_string(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        text => text.unwrap_or_else(|error| panic!("{}: {error}", path.display())),
    };
    let Order { action, when } = text.parse().unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let reached = folder.join(format!("{point}.reached"));
    match when {
        // Of several threads at the point, the one that renames the order carries it out.
        When::After(0) => fs::rename(path, reached).ok().map(|()| action),
        When::After(times) => {
            let order = text.replace(&format!("at {}", times + 1), &format!("at {times}"));
            fs::write(&path, order).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            None
        }
        When::Always => {
            fs::write(&reached, text).unwrap_or_else(|error| panic!("{}: {error}", reached.display()));
            Some(action)
        }
    }
}

fn die() -> ! {
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    loop {
        thread::park();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_carried_out_once() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(take_in(folder.path(), "a.b"), None);
        fs::write(folder.path().join("a.b"), "error").unwrap();
        assert_eq!(take_in(folder.path(), "a"), None);
        assert_eq!(take_in(folder.path(), "a.b"), Some(Action::Error));
        assert_eq!(take_in(folder.path(), "a.b"), None);
        assert!(folder.path().join("a.b.reached").exists());
    }

    #[test]
    fn an_order_may_wait_or_stay() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a"), "delay 20 at 3").unwrap();
        let taken: Vec<_> = (0..4).map(|_| take_in(folder.path(), "a").is_some()).collect();
        assert_eq!(taken, [false, false, true, false]);
        fs::write(folder.path().join("b"), "kill always").unwrap();
        assert!((0..2).all(|_| take_in(folder.path(), "b") == Some(Action::Kill)));
    }

    #[test]
    fn what_is_no_order_is_refused() {
        for text in ["", "die", "delay", "delay x", "kill sometimes", "error at", "error at x"] {
            assert!(text.parse::<Order>().is_err(), "{text}");
        }
    }
}
