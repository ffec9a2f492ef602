//! Signals, by number or by name.

use std::fmt;
use std::str::FromStr;

use crate::{Error, Result};

/// The names of Linux's signals on all architectures of Gantry, from 1.
const NAMES: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE",
    "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ",
    "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];
const RTMIN: u32 = 34;
const RTMAX: u32 = 64;
/// Which real-time signals are named by their distance from either end.
const RTMIN_NAMES: std::ops::RangeInclusive<u32> = 1..=15;
const RTMAX_NAMES: std::ops::RangeInclusive<u32> = 1..=14;

/// A signal of Linux, or the null signal (0), which only checks whether a signal could be sent: kill(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signal(u32);

impl Signal {
    /// SIGKILL, which a process cannot catch.
    pub const KILL: Signal = Signal(9);
    /// SIGTERM, which asks a process to end.
    pub const TERM: Signal = Signal(15);

    /// The signal of a number; `None` beyond the last one.
    pub fn of(number: u32) -> Option<Signal> {
        (number <= RTMAX).then_some(Signal(number))
    }

    /// The number.
    pub fn number(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Signal {
    type Err = Error;

    /// Parses a number or a name, with or without `SIG`; refuses the null signal and those of the C library.
    fn from_str(text: &str) -> Result<Signal> {
        let invalid = || Error::Signal { value: text.to_owned() };
        if let Ok(number) = text.parse::<i64>() {
            // The C library uses 32 and 33.
            return match u32::try_from(number) {
                Ok(0) => Err(invalid()),
                Ok(number @ (1..32 | RTMIN..=RTMAX)) => Ok(Signal(number)),
                _ => Err(Error::NoSuchSignal { number }),
            };
        }
        let upper = text.to_ascii_uppercase();
        let name = upper.strip_prefix("SIG").unwrap_or(&upper);
        if let Some(at) = NAMES.iter().position(|known| *known == name) {
            return Ok(Signal(u32::try_from(at).unwrap_or(0) + 1));
        }
        let offset = |rest: &str, sign: char, names: std::ops::RangeInclusive<u32>| match rest {
            "" => Some(0),
            signed => signed.strip_prefix(sign)?.parse::<u32>().ok().filter(|number| names.contains(number)),
        };
        let number = match name {
            "IOT" => Some(6),
            "POLL" => Some(29),
            "CLD" => Some(17),
            _ => None,
        };
        let number = number
            .or_else(|| RTMIN.checked_add(offset(name.strip_prefix("RTMIN")?, '+', RTMIN_NAMES)?))
            .or_else(|| RTMAX.checked_sub(offset(name.strip_prefix("RTMAX")?, '-', RTMAX_NAMES)?));
        number.map(Signal).ok_or_else(invalid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_have_names_and_numbers() {
        for (text, number) in [
            ("KILL", 9),
            ("sigterm", 15),
            ("15", 15),
            ("SIGSYS", 31),
            ("RTMIN+3", 37),
            ("SIGRTMAX-1", 63),
            ("SIGRTMIN", 34),
        ] {
            assert_eq!(text.parse().ok(), Some(Signal(number)), "{text}");
        }
        assert_eq!(Signal::of(64).map(Signal::number), Some(64));
        assert_eq!(Signal::of(65), None);
        for text in [
            "",
            "0",
            "-1",
            "32",
            "65",
            "SIGNAL",
            "RTMIN+0",
            "RTMIN+16",
            "RTMIN-1",
            "RTMIN+4294967295",
            "RTMAX-15",
            "RTMIN\u{e9}",
        ] {
            assert!(text.parse::<Signal>().is_err(), "{text}");
        }
    }
}
