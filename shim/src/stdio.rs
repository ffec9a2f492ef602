//! The stdio of a process. The shim stands between the container's pipes (or terminal) and a log or FIFOs, so that
//! clients and services come and go while the process runs.
//!
//! Invariant: once the container runs, only the container holds its ends, so that the shim sees the end of the
//! output. [`Stdio::drained`] resolves when all output is delivered.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, fcntl_setpipe_size, pipe_with};
use rustix::termios::Winsize;
use tokio::io::unix::AsyncFd;
use tokio::sync::watch;

use crate::error::{Error, Result};
use crate::helper::ChildStdio;
use crate::stdio::hub::{Framing, Hub, Stream};
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

/// The stdio that the client asked for.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    pub terminal: bool,
    pub stdin: String,
    pub stdout: String,
    pub stderr: String,
}

/// The owner of the stdio, which loggers get as arguments.
pub struct Owner<'a> {
    pub namespace: &'a str,
    pub container: &'a str,
}

/// The stdio of one process, from before its start until after its end.
pub struct Stdio {
    wanted: Wanted,
    target: Target,
    hub: Hub,
    state: Mutex<State>,
    input: watch::Sender<Input>,
    /// How many streams have not ended.
    open: watch::Sender<usize>,
}

/// The state of a process's input. Input that arrives before the process can take it waits.
#[derive(Clone)]
enum Input {
    Later,
    Open(Arc<AsyncFd<OwnedFd>>),
    Closed,
}

#[derive(Default)]
struct State {
    master: Option<Arc<AsyncFd<OwnedFd>>>,
    /// The terminal's size: columns, rows. Known before the terminal exists.
    size: Option<(u16, u16)>,
    /// Keeps a client's stdin FIFO from ending while no client has it open.
    stdin_holder: Option<OwnedFd>,
    /// A client's FIFO ends with its writers.
    stdin_ends: bool,
    sinks: Vec<(Stream, Option<OwnedFd>, Sink)>,
    loggers: Vec<logger::Logger>,
}

/// The size of a pipe's buffer, for fewer and larger reads. The kernel allocates it only when it is filled.
const PIPE: usize = 256 * 1024;

impl Stdio {
    /// The stdio that `wanted` names, not opened yet. Clients may attach from now on.
    pub fn new(wanted: &Wanted) -> Result<Arc<Self>> {
        let target = Target::parse(&wanted.stdout)?;
        let given = !wanted.stdin.is_empty() || wanted.terminal;
        let framing = if wanted.terminal { Framing::Raw } else { Framing::Frames };
        Ok(Arc::new(Self {
            wanted: wanted.clone(),
            target,
            hub: Hub::new(framing),
            state: Mutex::default(),
            input: watch::Sender::new(if given { Input::Later } else { Input::Closed }),
            open: watch::Sender::new(0),
        }))
    }

    /// Opens the stdio for a process that is about to be made. Returns the container's ends, or none for a terminal.
    pub async fn open(&self, owner: Owner<'_>) -> Result<ChildStdio> {
        let mut child = ChildStdio::default();
        let mut sinks = Vec::new();
        let wanted = &self.wanted;
        if !wanted.stdin.is_empty() && !wanted.terminal {
            let (reader, writer) = pipe()?;
            child.stdin = Some(reader);
            self.take_input(&Arc::new(watched(writer)?));
        }
        let mut open_stream = |stream: Stream, sink: Sink| -> Result<()> {
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
            sinks.push((stream, source, sink));
            Ok(())
        };
        let streams: &[(Stream, &str)] = if wanted.terminal {
            &[(Stream::Stdout, "stdout")]
        } else {
            &[(Stream::Stdout, "stdout"), (Stream::Stderr, "stderr")]
        };
        match &self.target {
            Target::None => {
                for (stream, _) in streams {
                    open_stream(*stream, Sink::Nowhere)?;
                }
            }
            Target::JsonFile { path, rotation, attributes } => {
                let file = Arc::new(Mutex::new(LogFile::open(path, *rotation, attributes.clone())?));
                for (stream, name) in streams {
                    open_stream(*stream, Sink::Log(JsonLog::new(file.clone(), name)))?;
                }
            }
            Target::Binary { program, arguments } => {
                let (logger, inputs) = logger::start(program, arguments, &owner).await?;
                self.lock().loggers.push(logger);
                if wanted.terminal {
                    let [input, _] = inputs;
                    open_stream(Stream::Stdout, Sink::writer(input)?)?;
                } else {
                    // The logger itself reads the container's pipes.
                    let [stdout, stderr] = inputs;
                    child.stdout = Some(stdout);
                    child.stderr = Some(stderr);
                }
            }
            Target::Null | Target::Fifo(_) | Target::File(_) => {
                let uris = [&wanted.stdout, &wanted.stderr];
                for ((stream, _), uri) in streams.iter().zip(uris) {
                    match Target::parse(uri)? {
                        Target::Null if wanted.terminal => open_stream(*stream, Sink::Nowhere)?,
                        Target::Null => {}
                        Target::Fifo(path) => open_stream(*stream, Sink::fifo(&path)?)?,
                        Target::File(path) => open_stream(*stream, Sink::file(&path)?)?,
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
        self.open.send_replace(sinks.len());
        self.lock().sinks = sinks;
        Ok(child)
    }

    /// Begins to move bytes. `master` is the terminal's, if the process has one.
    pub fn connect(self: &Arc<Self>, master: Option<OwnedFd>) -> Result<()> {
        let master = master.map(watched).transpose()?.map(Arc::new);
        let sinks = {
            let mut state = self.lock();
            state.master.clone_from(&master);
            std::mem::take(&mut state.sinks)
        };
        if let Some(master) = &master {
            if let Some(size) = self.size() {
                set_size(master, size)?;
            }
            self.take_input(master);
        }
        for (stream, source, sink) in sinks {
            let source = match source {
                Some(source) => Arc::new(watched(source)?),
                None => match &master {
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
        Ok(())
    }

    /// Begins to read a client's FIFO, for a process that is about to start. Not earlier: a client whose FIFO is read
    /// assumes that its process exists, and reports the end of its input only once.
    pub fn feed(self: &Arc<Self>) -> Result<()> {
        if !self.is_fed() {
            return Ok(());
        }
        let path = Path::new(&self.wanted.stdin);
        let source = open_fifo(path, OFlags::RDONLY)?;
        let holder = open_fifo(path, OFlags::WRONLY)?.into_inner();
        {
            let mut state = self.lock();
            state.stdin_holder = Some(holder).filter(|_| !state.stdin_ends);
        }
        let stdio = self.clone();
        tokio::spawn(async move {
            pump::feed(source, &stdio).await;
            if !stdio.is_terminal() {
                stdio.close_stdin();
            }
        });
        Ok(())
    }

    /// Whether the input comes from a client's FIFO.
    fn is_fed(&self) -> bool {
        !self.wanted.stdin.is_empty() && !self.target.is_attachable()
    }

    /// The attached clients.
    pub fn hub(&self) -> &Hub {
        &self.hub
    }

    /// Whether the process has a terminal.
    pub fn is_terminal(&self) -> bool {
        self.wanted.terminal
    }

    /// Waits for the process's input; `None` when the process takes no more.
    pub async fn stdin(&self) -> Option<Arc<AsyncFd<OwnedFd>>> {
        let mut input = self.input.subscribe();
        let input = input.wait_for(|input| !matches!(input, Input::Later)).await;
        match &*input.ok()? {
            Input::Open(stdin) => Some(stdin.clone()),
            Input::Later | Input::Closed => None,
        }
    }

    fn take_input(&self, stdin: &Arc<AsyncFd<OwnedFd>>) {
        self.input.send_if_modified(|input| {
            // The end of the input may have come before the input.
            let later = matches!(input, Input::Later);
            if later {
                *input = Input::Open(stdin.clone());
            }
            later
        });
    }

    /// Closes the process's input after the bytes that were written before. A client's FIFO is read to its end first.
    /// A terminal stays open.
    pub fn close_stdin(&self) {
        let mut state = self.lock();
        if self.is_fed() && !std::mem::replace(&mut state.stdin_ends, true) {
            state.stdin_holder = None;
        } else if !self.is_terminal() {
            self.input.send_replace(Input::Closed);
        }
    }

    /// Sets the terminal's size. A terminal that does not exist yet begins with it.
    pub fn resize(&self, columns: u16, rows: u16) -> Result<()> {
        let master = {
            let mut state = self.lock();
            state.size = Some((columns, rows));
            state.master.clone()
        };
        master.map_or(Ok(()), |master| set_size(&master, (columns, rows)))
    }

    /// The terminal's size, if a client has set it: columns, rows.
    pub fn size(&self) -> Option<(u16, u16)> {
        self.lock().size
    }

    /// Waits until all output is delivered, but not for ever: a stray process may hold a pipe open, or a client not
    /// read its FIFO.
    pub async fn drained(&self, patience: Duration) {
        let mut open = self.open.subscribe();
        let _ = tokio::time::timeout(patience, open.wait_for(|open| *open == 0)).await;
        let loggers = std::mem::take(&mut self.lock().loggers);
        for logger in loggers {
            logger.finish(patience).await;
        }
    }

    /// Closes everything, also when it was never connected. Attached clients get what is queued for them.
    pub fn shut(&self) {
        self.hub.end();
        self.input.send_replace(Input::Closed);
        self.open.send_replace(0);
        *self.lock() = State::default();
    }

    fn stream_ended(&self) {
        self.open.send_modify(|open| *open = open.saturating_sub(1));
        if *self.open.borrow() == 0 {
            self.hub.end();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

fn set_size(master: &AsyncFd<OwnedFd>, (columns, rows): (u16, u16)) -> Result<()> {
    let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    rustix::termios::tcsetwinsize(master.get_ref(), size).map_err(Error::errno("resize", "terminal"))
}

/// A pipe whose ends programs do not inherit; blocking, as programs expect.
fn pipe() -> Result<(OwnedFd, OwnedFd)> {
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).map_err(Error::errno("create", "pipe"))?;
    let _ = fcntl_setpipe_size(&writer, PIPE);
    Ok((reader, writer))
}

/// Makes the shim's end non-blocking and watches it.
fn watched(descriptor: OwnedFd) -> Result<AsyncFd<OwnedFd>> {
    crate::async_fd::watch(descriptor).map_err(Error::io("watch", "stdio"))
}

/// Opens a client's FIFO without waiting for the client.
fn open_fifo(path: &Path, mode: OFlags) -> Result<AsyncFd<OwnedFd>> {
    let flags = mode | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let opened = match rustix::fs::open(path, flags, Mode::empty()) {
        // The FIFO has no reader: opened for reading and writing, it always has one.
        Err(Errno::NXIO) => {
            let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC;
            rustix::fs::open(path, flags, Mode::empty())
        }
        other => other,
    };
    watched(opened.map_err(Error::errno("open", path))?)
}
