//! containerd's shim-v2 command line: `-namespace NS -address SOCK -publish-binary BIN -id ID [-bundle DIR] [-debug]
//! start|delete`, `-v`, `-info`. The working directory is the bundle. The program prints its answer to stdout, and on
//! success writes nothing else.

use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::ExitCode;

use gantry_proto::containerd::types::{RuntimeInfo, RuntimeVersion};
use prost::Message;

use crate::error::{Error, Result};

mod delete;
mod start;

pub use start::socket_directory;

/// The name of this runtime in containerd.
const NAME: &str = "io.containerd.gantry.v2";

/// The command line.
#[derive(Debug, Default, PartialEq)]
pub struct Flags {
    pub namespace: String,
    pub id: String,
    pub bundle: Option<PathBuf>,
    pub version: bool,
    pub info: bool,
    pub action: Option<String>,
}

impl Flags {
    /// Parses Go's style of flags: one dash or two, the value behind `=` or in the next word.
    pub fn parse(words: &[String]) -> Result<Self> {
        let mut flags = Self::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let Some(flag) = word.strip_prefix('-') else {
                flags.action = Some(word.clone());
                continue;
            };
            let flag = flag.strip_prefix('-').unwrap_or(flag);
            let (name, given) = match flag.split_once('=') {
                Some((name, value)) => (name, Some(value.to_string())),
                None => (flag, None),
            };
            match name {
                "v" | "version" => flags.version = true,
                "info" => flags.info = true,
                "debug" => {}
                "namespace" | "id" | "bundle" | "address" | "publish-binary" | "socket" => {
                    let value = given
                        .or_else(|| words.next().cloned())
                        .ok_or_else(|| Error::InvalidArgument(format!("flag needs an argument: -{name}")))?;
                    match name {
                        "namespace" => flags.namespace = value,
                        "id" => flags.id = value,
                        "bundle" => flags.bundle = Some(PathBuf::from(value)),
                        _ => {}
                    }
                }
                _ => {
                    return Err(Error::InvalidArgument(format!("flag provided but not defined: -{name}")));
                }
            }
        }
        Ok(flags)
    }
}

/// Runs the command that the words name.
pub fn run(words: &[String]) -> ExitCode {
    match Flags::parse(words).and_then(|flags| act(&flags)) {
        Ok(answer) => {
            let mut stdout = std::io::stdout();
            match stdout.write_all(&answer).and_then(|()| stdout.flush()) {
                Ok(()) => ExitCode::SUCCESS,
                Err(_) => ExitCode::FAILURE,
            }
        }
        Err(error) => {
            eprintln!("containerd-shim-gantry-v2: {error}");
            ExitCode::FAILURE
        }
    }
}

fn act(flags: &Flags) -> Result<Vec<u8>> {
    if flags.version {
        let version = env!("CARGO_PKG_VERSION");
        return Ok(format!("containerd-shim-gantry-v2:\n  Version:  {version}\n").into_bytes());
    }
    if flags.info {
        let info = RuntimeInfo {
            name: NAME.into(),
            version: Some(RuntimeVersion {
                version: env!("CARGO_PKG_VERSION").into(),
                revision: String::new(),
            }),
            ..Default::default()
        };
        return Ok(info.encode_to_vec());
    }
    if flags.namespace.is_empty() {
        return Err(Error::InvalidArgument("shim namespace cannot be empty".into()));
    }
    if flags.id.is_empty() {
        return Err(Error::InvalidArgument("shim id cannot be empty".into()));
    }
    match flags.action.as_deref() {
        Some("start") => start::start(flags, &input()),
        Some("delete") => delete::delete(flags),
        Some(other) => Err(Error::InvalidArgument(format!("unknown action {other}"))),
        None => Err(Error::InvalidArgument("an action is missing: start or delete".into())),
    }
}

/// What the daemon has written to stdin; empty when stdin is a terminal or closed.
fn input() -> Vec<u8> {
    let mut bytes = Vec::new();
    let stdin = std::io::stdin();
    if !rustix::termios::isatty(stdin.as_fd()) {
        let _ = stdin.lock().take(4 << 20).read_to_end(&mut bytes);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_read_as_go_reads_them() {
        let words = "-namespace ns -address /a -publish-binary /b -id=x --debug -bundle /c start";
        let words: Vec<String> = words.split(' ').map(String::from).collect();
        let flags = Flags::parse(&words).expect("valid");
        assert_eq!(
            flags,
            Flags {
                namespace: "ns".into(),
                id: "x".into(),
                bundle: Some("/c".into()),
                action: Some("start".into()),
                ..Flags::default()
            }
        );
        assert!(Flags::parse(&["-nonsense".into()]).is_err());
        assert!(Flags::parse(&["-id".into()]).is_err());
    }
}
