//! Records the errors that libcontainer logs. libcontainer's init process reports only the outermost message of a
//! failure and logs the rest, which would end with the process.
//!
//! The records go to a memfd, whose offset all forked processes share.

use std::fmt::Write;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::fs::MemfdFlags;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use super::failure::{Cause, StartFailure};

/// The recorded errors, for the helper to read.
pub struct Diagnosis {
    file: Option<Arc<OwnedFd>>,
}

impl Diagnosis {
    /// Begins to record the errors of this process and of the processes that it forks.
    pub fn begin() -> Self {
        let file = rustix::fs::memfd_create("diagnosis", MemfdFlags::CLOEXEC).ok().map(Arc::new);
        if let Some(file) = &file {
            // Fails only when a subscriber is set already, which then has the records.
            let _ = tracing::subscriber::set_global_default(Recorder { file: file.clone() });
        }
        Self { file }
    }

    /// The first recorded error, which is the one nearest to the cause.
    pub fn first(&self) -> Option<String> {
        let mut bytes = [0; 2000];
        let length = rustix::io::pread(self.file.as_ref()?, &mut bytes, 0).ok()?;
        let text = String::from_utf8_lossy(&bytes[..length]);
        text.lines().next().map(str::to_string).filter(|line| !line.is_empty())
    }
}

/// A failure of which only a message is known, from libcontainer or another runtime. This is the only place that
/// derives a cause from a message.
pub fn read(words: String) -> StartFailure {
    let lower = words.to_lowercase();
    let says = |any: &[&str]| any.iter().any(|one| lower.contains(one));
    let cause = if says(&["executable file not found", "no such file or directory", "not a directory"]) {
        Cause::NotFound
    } else if says(&["permission denied", "is a directory"]) {
        Cause::NotPermitted
    } else {
        Cause::Other
    };
    StartFailure::new(cause, words)
}

struct Recorder {
    file: Arc<OwnedFd>,
}

impl Subscriber for Recorder {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::ERROR && metadata.is_event()
    }

    fn event(&self, event: &Event<'_>) {
        let mut line = Line::default();
        event.record(&mut line);
        let mut text = line.message + &line.fields;
        text.retain(|character| character != '\n');
        text.push('\n');
        let _ = rustix::io::write(&*self.file, text.as_bytes());
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[derive(Default)]
struct Line {
    message: String,
    fields: String,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, ", {name}: {value:?}"),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_words_have_a_cause() {
        for (words, cause) in [
            ("mount /no/such: No such file or directory (os error 2)", Cause::NotFound),
            ("exec: \"x\": executable file not found in $PATH", Cause::NotFound),
            ("open /x: Permission denied", Cause::NotPermitted),
            ("failed to run prestart hooks", Cause::Other),
        ] {
            assert_eq!(read(words.to_string()).cause, cause, "{words}");
        }
    }
}
