//! The columns that arguments of ps(1) select.
//!
//! The processes are always all of the container's. Options that select these (`-e`, `ax`, …) are accepted. Options
//! that select others, or a display that is not built here, are refused.

use crate::error::{Error, Result};

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Column {
    /// What the column shows, by the first of its names.
    pub(super) key: &'static str,
    pub(super) title: String,
}

/// Names for `-o`. Names with the same meaning form one list that begins with the column's key; each has its title.
const NAMES: &[&[(&str, &str)]] = &[
    &[("pid", "PID"), ("tgid", "TGID")],
    &[("ppid", "PPID")],
    &[("pgid", "PGID"), ("pgrp", "PGRP")],
    &[("sid", "SID"), ("sess", "SESS"), ("session", "SESS")],
    &[("tpgid", "TPGID")],
    &[("user", "USER"), ("euser", "EUSER"), ("uname", "USER")],
    &[("ruser", "RUSER")],
    &[("uid", "UID"), ("euid", "EUID")],
    &[("ruid", "RUID")],
    &[("gid", "GID"), ("egid", "EGID")],
    &[("rgid", "RGID")],
    &[("c", "C")],
    &[("%cpu", "%CPU"), ("pcpu", "%CPU")],
    &[("%mem", "%MEM"), ("pmem", "%MEM")],
    &[("rss", "RSS"), ("rssize", "RSS"), ("rsz", "RSZ")],
    &[("vsz", "VSZ"), ("vsize", "VSZ")],
    &[("sz", "SZ")],
    &[("tty", "TT"), ("tt", "TT"), ("tname", "TTY")],
    &[("stat", "STAT")],
    &[("state", "S"), ("s", "S")],
    &[("stime", "STIME"), ("start_time", "START"), ("bsdstart", "START")],
    &[("start", "STARTED")],
    &[("time", "TIME"), ("cputime", "TIME")],
    &[("bsdtime", "TIME")],
    &[("etime", "ELAPSED")],
    &[("etimes", "ELAPSED")],
    &[("nice", "NI"), ("ni", "NI")],
    &[("pri", "PRI")],
    &[("opri", "PRI")],
    &[("psr", "PSR")],
    &[("nlwp", "NLWP"), ("thcount", "THCNT")],
    &[("wchan", "WCHAN")],
    &[("f", "F"), ("flag", "F"), ("flags", "F")],
    &[("addr", "ADDR")],
    &[("comm", "COMMAND"), ("ucmd", "CMD"), ("ucomm", "COMMAND")],
    &[("args", "COMMAND"), ("command", "COMMAND"), ("cmd", "CMD")],
];

/// Columns of `-f` and its variants: names, with other titles after `=`.
const FULL: &str = "user=UID pid ppid c stime tname time cmd";
const EXTRA: &str = "user=UID pid ppid c sz rss psr stime tname time cmd";
const LONG: &str = "f s uid pid ppid c opri ni addr sz wchan tname time ucmd";
const LONG_RSS: &str = "s uid pid ppid c opri ni rss sz wchan tname time ucmd";
const JOBS: &str = "pid pgid sid tname time ucmd";
const FULL_JOBS: &str = "user=UID pid ppid pgid sid c stime tname time cmd";
const SHORT: &str = "pid tname time ucmd";
const BSD: &str = "pid tname stat bsdtime args";
const BSD_USER: &str = "user pid %cpu %mem vsz rss tname stat bsdstart bsdtime args";
const BSD_JOBS: &str = "ppid pid pgid sid tname tpgid stat uid bsdtime args";

/// Reads the arguments of ps(1); the default is `-ef`.
pub(super) fn columns(arguments: &str) -> Result<Vec<Column>> {
    let mut words = arguments.split_whitespace();
    let (mut asked, mut letters, mut bsd) = (Vec::new(), String::new(), false);
    let mut none = true;
    while let Some(word) = words.next() {
        none = false;
        let (dashed, group) = match word.strip_prefix('-') {
            Some(group) => (true, group),
            None => (false, word),
        };
        let format = group
            .strip_prefix("-format")
            .and_then(|rest| rest.strip_prefix('=').or(rest.is_empty().then_some("")));
        // `o` may end a group of letters (`-eo`, `axo`), and its list may follow without a space.
        let (flags, list) = match (format, group.split_once('o')) {
            (Some(list), _) if dashed => ("", Some(list)),
            (_, Some((flags, list))) => (flags, Some(list)),
            (_, None) => (group, None),
        };
        let known = if dashed { "eAadwfFljy" } else { "axwuj" };
        if let Some(unknown) = flags.chars().find(|letter| !known.contains(*letter)) {
            let (dash, unknown) = match (dashed, unknown) {
                (true, '-') => ("", word.to_owned()),
                (true, other) => ("-", other.to_string()),
                (false, other) => ("", other.to_string()),
            };
            return Err(refused(&format!("option {dash}{unknown} is not supported here")));
        }
        bsd |= !dashed;
        letters.push_str(flags);
        if let Some(list) = list {
            let list = if list.is_empty() { words.next().unwrap_or_default() } else { list };
            add(&mut asked, list)?;
        }
    }
    if asked.is_empty() {
        let has = |letter| letters.contains(letter);
        asked = match (bsd, has('f') || none) {
            (true, _) if has('u') => fixed(BSD_USER)?,
            (true, _) if has('j') => fixed(BSD_JOBS)?,
            (true, _) => fixed(BSD)?,
            _ if has('F') => fixed(EXTRA)?,
            _ if has('l') && has('y') => fixed(LONG_RSS)?,
            _ if has('l') => fixed(LONG)?,
            _ if has('y') => return Err(refused("modifier -y without format -l makes no sense")),
            (_, true) if has('j') => fixed(FULL_JOBS)?,
            (_, true) => fixed(FULL)?,
            _ if has('j') => fixed(JOBS)?,
            _ => fixed(SHORT)?,
        };
    }
    if !asked.iter().any(|column| column.title == "PID") {
        return Err(Error::Invalid("Couldn't find PID field in ps output".to_owned()));
    }
    Ok(asked)
}

/// Adds the columns of a list for `-o`. Everything after an `=` is the title.
fn add(columns: &mut Vec<Column>, list: &str) -> Result<()> {
    if list.is_empty() {
        return Err(refused("format specification must follow -o"));
    }
    let (names, title) = match list.split_once('=') {
        Some((names, title)) => (names, Some(title)),
        None => (list, None),
    };
    for name in names.split(',') {
        columns.push(column(name)?);
    }
    if let (Some(last), Some(title)) = (columns.last_mut(), title) {
        last.title = title.to_owned();
    }
    Ok(())
}

fn fixed(names: &str) -> Result<Vec<Column>> {
    let mut columns = Vec::new();
    names.split(' ').try_for_each(|name| add(&mut columns, name))?;
    Ok(columns)
}

fn column(name: &str) -> Result<Column> {
    let wanted = name.to_ascii_lowercase();
    for names in NAMES {
        if let Some((_, title)) = names.iter().find(|(known, _)| *known == wanted) {
            return Ok(Column { key: names[0].0, title: (*title).to_owned() });
        }
    }
    Err(refused(&format!("unknown user-defined format specifier \"{name}\"")))
}

fn refused(reason: &str) -> Error {
    Error::Invalid(format!("ps: error: {reason}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn titles(arguments: &str) -> String {
        let columns = columns(arguments).expect("valid");
        columns.into_iter().map(|column| column.title).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn formats_have_their_columns() {
        for (arguments, expected) in [
            ("-ef", "UID PID PPID C STIME TTY TIME CMD"),
            ("", "UID PID PPID C STIME TTY TIME CMD"),
            ("-e", "PID TTY TIME CMD"),
            ("ax", "PID TTY STAT TIME COMMAND"),
            ("aux", "USER PID %CPU %MEM VSZ RSS TTY STAT START TIME COMMAND"),
            ("-eF", "UID PID PPID C SZ RSS PSR STIME TTY TIME CMD"),
            ("-j", "PID PGID SID TTY TIME CMD"),
            ("-jf", "UID PID PPID PGID SID C STIME TTY TIME CMD"),
            ("-l", "F S UID PID PPID C PRI NI ADDR SZ WCHAN TTY TIME CMD"),
            ("-ely", "S UID PID PPID C PRI NI RSS SZ WCHAN TTY TIME CMD"),
            ("j", "PPID PID PGID SID TTY TPGID STAT UID TIME COMMAND"),
            ("-o pid,comm", "PID COMMAND"),
            ("-eo pid,args=WHAT", "PID WHAT"),
            ("axo pid", "PID"),
            ("-e -o pid -o cmd", "PID CMD"),
            ("--format=pid,ni", "PID NI"),
            ("--format pid,ni", "PID NI"),
        ] {
            assert_eq!(titles(arguments), expected, "{arguments}");
        }
    }

    #[test]
    fn what_cannot_be_shown_is_refused() {
        for (arguments, words) in [
            ("-o comm", "Couldn't find PID field in ps output"),
            // The title is `P,args`, and no column is named PID.
            ("-o pid=P,args", "Couldn't find PID field in ps output"),
            ("-o pid,magic", "ps: error: unknown user-defined format specifier \"magic\""),
            ("-o", "ps: error: format specification must follow -o"),
            ("-y", "ps: error: modifier -y without format -l makes no sense"),
            ("-p 1", "ps: error: option -p is not supported here"),
            ("axf", "ps: error: option f is not supported here"),
            ("--forest", "ps: error: option --forest is not supported here"),
            (";x", "ps: error: option ; is not supported here"),
        ] {
            assert_eq!(columns(arguments).expect_err(arguments).to_string(), words, "{arguments}");
        }
    }
}
