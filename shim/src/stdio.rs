//! A process's stdio. The shim stands between the container's pipes (or terminal) and
//! a log or FIFOs, so that clients and services come and go while the process runs.
//!
//! Invariant: the container's ends are only held by the container once it runs, so the
//! end of its output is seen; [`Stdio::drained`] resolves when all of it is delivered.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, fcntl_setpipe_size, pipe_with};
use rustix::termios::Winsize;
use tokio::io::unix::AsyncFd;
use tokio::sync::watch;

use crate::error::{Error, Result};
use crate::helper::ChildStdio;
use crate::stdio::hub::{Hub, Stream};
use crate::stdio::json_log::{JsonLog, LogFile};
use crate::stdio::sink::Sink;
use crate::stdio::target::Target;

pub mod attach;
pub mod clock;
pub mod hub;
pub mod json_log;
pub mod logger;
pub mod pump;
pub mod sink;
pub mod target;

/// What a client asked for.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    pub terminal: bool,
    pub stdin: String,
    pub stdout: String,
    pub stderr: String,
}

/// Who the stdio belongs to; loggers are told.
pub struct Owner<'a> {
    pub namespace: &'a str,
    pub container: &'a str,
}

/// The stdio of one process, from before it is started until after it has ended.
pub struct Stdio {
    terminal: bool,
    hub: Arc<Hub>,
    state: Mutex<State>,
    /// How many streams have not ended yet.
    open: watch::Sender<usize>,
}

#[derive(Default)]
struct State {
    stdin: Option<Arc<AsyncFd<OwnedFd>>>,
    master: Option<Arc<AsyncFd<OwnedFd>>>,
    /// Keeps a client's stdin FIFO from ending while no client has it open.
    stdin_holder: Option<OwnedFd>,
    stdin_source: Option<AsyncFd<OwnedFd>>,
    sinks: Vec<(Stream, Option<OwnedFd>, Sink)>,
    loggers: Vec<logger::Logger>,
}

/// A pipe's buffer: fewer, larger reads; allocated by the kernel only when filled.
const PIPE: usize = 256 * 1024;

impl Stdio {
    /// Opens what `wanted` names; also the container's ends, unless it gets a terminal.
    pub async fn open(wanted: &Wanted, owner: Owner<'_>) -> Result<(Arc<Self>, ChildStdio)> {
        let mut child = ChildStdio::default();
        let mut state = State::default();
        let target = Target::parse(&wanted.stdout)?;
        let attachable = target.is_attachable();
        if !wanted.stdin.is_empty() && !attachable {
            let path = Path::new(&wanted.stdin);
            state.stdin_source = Some(open_fifo(path, OFlags::RDONLY)?);
            state.stdin_holder = Some(open_fifo(path, OFlags::WRONLY)?.into_inner());
        }
        if !wanted.stdin.is_empty() && !wanted.terminal {
            let (reader, writer) = pipe()?;
            child.stdin = Some(reader);
            state.stdin = Some(Arc::new(watched(writer)?));
        }
        let mut open_stream = |stream: Stream, sink: Sink, state: &mut State| -> Result<()> {
            let source = if wanted.terminal {
                None
            } else {
                let (reader, writer) = pipe()?;
                match stream {
                    Stream::Stdout => child.stdout = Some(writer),
                    Stream::Stderr => child.stderr = Some(writer),
                }
                Some(reader)
            };
            state.sinks.push((stream, source, sink));
            Ok(())
        };
        let streams: &[(Stream, &str)] = if wanted.terminal {
            &[(Stream::Stdout, "stdout")]
        } else {
            &[(Stream::Stdout, "stdout"), (Stream::Stderr, "stderr")]
        };
        match &target {
            Target::None => {
                for (stream, _) in streams {
                    open_stream(*stream, Sink::Nowhere, &mut state)?;
                }
            }
            Target::JsonFile { path, rotation, attributes } => {
                let file = Arc::new(Mutex::new(LogFile::open(path, *rotation, attributes.clone())?));
                for (stream, name) in streams {
                    let sink = Sink::Log(JsonLog::new(file.clone(), name));
                    open_stream(*stream, sink, &mut state)?;
                }
            }
            Target::Binary { program, arguments } => {
                let (logger, inputs) = logger::start(program, arguments, &owner).await?;
                state.loggers.push(logger);
                if wanted.terminal {
                    let [input, _] = inputs;
                    open_stream(Stream::Stdout, Sink::writer(input)?, &mut state)?;
                } else {
                    // The logger reads the container's pipes itself.
                    let [stdout, stderr] = inputs;
                    child.stdout = Some(stdout);
                    child.stderr = Some(stderr);
                }
            }
            Target::Null | Target::Fifo(_) | Target::File(_) => {
                let uris = [&wanted.stdout, &wanted.stderr];
                for ((stream, _), uri) in streams.iter().zip(uris) {
                    match Target::parse(uri)? {
                        Target::Null if wanted.terminal => open_stream(*stream, Sink::Nowhere, &mut state)?,
                        Target::Null => {}
                        Target::Fifo(path) => open_stream(*stream, Sink::fifo(&path)?, &mut state)?,
                        Target::File(path) => open_stream(*stream, Sink::file(&path)?, &mut state)?,
                        _ => {
                            return Err(Error::Stdio {
                                uri: uri.clone(),
                                reason: "stderr goes where stdout goes".into(),
                            });
                        }
                    }
                }
            }
        }
        let stdio = Self {
            terminal: wanted.terminal,
            hub: Arc::default(),
            open: watch::Sender::new(state.sinks.len()),
            state: Mutex::new(state),
        };
        Ok((Arc::new(stdio), child))
    }

    /// Begins to move bytes; `master` is the terminal, if the process has one.
    pub fn connect(self: &Arc<Self>, master: Option<OwnedFd>) -> Result<()> {
        let mut state = self.lock();
        if let Some(master) = master {
            state.master = Some(Arc::new(watched(master)?));
            state.stdin = state.master.clone();
        }
        for (stream, source, sink) in std::mem::take(&mut state.sinks) {
            let source = match source {
                Some(source) => Arc::new(watched(source)?),
                None => match &state.master {
                    Some(master) => master.clone(),
                    None => {
                        self.open.send_modify(|open| *open -= 1);
                        continue;
                    }
                },
            };
            let stdio = self.clone();
            tokio::spawn(async move {
                pump::run(source, stream, sink, &stdio.hub).await;
                stdio.stream_ended();
            });
        }
        if *self.open.borrow() == 0 {
            self.hub.end();
        }
        if let Some(source) = state.stdin_source.take() {
            let stdio = self.clone();
            tokio::spawn(async move {
                pump::feed(source, &stdio).await;
                if !stdio.terminal {
                    stdio.close_stdin();
                }
            });
        }
        Ok(())
    }

    /// Attached clients.
    pub fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    /// Whether the process has a terminal.
    pub fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// Where input for the process goes; none when it has none any more.
    pub fn stdin(&self) -> Option<Arc<AsyncFd<OwnedFd>>> {
        self.lock().stdin.clone()
    }

    /// Ends the process's input, after what was written to it before. A client's FIFO is
    /// read to its end first. A terminal stays open.
    pub fn close_stdin(&self) {
        let mut state = self.lock();
        if state.stdin_holder.take().is_none() && !self.terminal {
            state.stdin = None;
        }
    }

    /// Tells a terminal its size.
    pub fn resize(&self, columns: u16, rows: u16) -> Result<()> {
        let master = self.lock().master.clone();
        let Some(master) = master else {
            return Ok(());
        };
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        rustix::termios::tcsetwinsize(master.get_ref(), size).map_err(Error::errno("resize", "terminal"))
    }

    /// Waits until all output is delivered, but not for ever: a stray process may hold a
    /// pipe, or a client not read its FIFO.
    pub async fn drained(&self, patience: Duration) {
        let mut open = self.open.subscribe();
        let _ = tokio::time::timeout(patience, open.wait_for(|open| *open == 0)).await;
        let loggers = std::mem::take(&mut self.lock().loggers);
        for logger in loggers {
            logger.finish(patience).await;
        }
    }

    /// Gives everything up, also when it was never connected.
    pub fn shut(&self) {
        self.hub.end();
        *self.lock() = State::default();
    }

    fn stream_ended(&self) {
        self.open.send_modify(|open| *open = open.saturating_sub(1));
        if *self.open.borrow() == 0 {
            self.hub.end();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A pipe whose both ends are closed in programs; blocking, as programs expect.
fn pipe() -> Result<(OwnedFd, OwnedFd)> {
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).map_err(Error::errno("create", "pipe"))?;
    let _ = fcntl_setpipe_size(&writer, PIPE);
    Ok((reader, writer))
}

/// Makes our end of something non-blocking and watches it.
fn watched(descriptor: OwnedFd) -> Result<AsyncFd<OwnedFd>> {
    crate::watched::watch(descriptor).map_err(Error::io("watch", "stdio"))
}

/// Opens a client's FIFO without waiting for the client.
fn open_fifo(path: &Path, mode: OFlags) -> Result<AsyncFd<OwnedFd>> {
    let flags = mode | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let opened = match rustix::fs::open(path, flags, Mode::empty()) {
        // Nobody reads yet: opened for both, a FIFO always has a reader.
        Err(Errno::NXIO) => {
            let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC;
            rustix::fs::open(path, flags, Mode::empty())
        }
        other => other,
    };
    watched(opened.map_err(Error::errno("open", path))?)
}
