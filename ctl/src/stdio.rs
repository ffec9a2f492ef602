//! Joins the terminal and the standard streams to a process in a container
//! through its shim's attach socket.

use std::io::{IsTerminal, Write};

use anyhow::{Context, Result, bail};
use gantry_api::engine::{AttachPoint, Streams};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use crate::cmd::said;
use crate::output;

/// Connects to a process before its start.
pub async fn connect(point: &AttachPoint, stdin: bool) -> Result<UnixStream> {
    let streams = Streams { stdin, stdout: true, stderr: true, stdin_once: point.stdin_once };
    Ok(point.connect(streams).await.map_err(said)?)
}

/// Copies both ways until the process's output has ended.
pub async fn copy(stream: UnixStream, tty: bool, stdin: bool) -> Result<()> {
    let (reader, writer) = stream.into_split();
    let _raw = if tty && stdin { Some(Raw::enter()?) } else { None };
    let input = stdin.then(|| tokio::spawn(feed(writer)));
    let result = if tty { print_raw(reader).await } else { print_frames(reader).await };
    if let Some(input) = input {
        input.abort();
    }
    result
}

/// The size of this process's terminal: rows and columns.
pub fn size() -> Option<(u32, u32)> {
    let size = tcgetwinsize(std::io::stdout()).ok()?;
    Some((size.ws_row.into(), size.ws_col.into()))
}

/// Reports each new size of this process's terminal. Never returns.
pub async fn resized<F: Future<Output = ()>>(tty: bool, tell: impl Fn(u32, u32) -> F) -> ! {
    let signals = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::window_change());
    if let (true, Ok(mut signals)) = (tty, signals) {
        while signals.recv().await.is_some() {
            if let Some((height, width)) = size() {
                tell(height, width).await;
            }
        }
    }
    std::future::pending().await
}

async fn feed(mut writer: tokio::net::unix::OwnedWriteHalf) {
    // Only the output's end ends this, not the input's.
    let _ = tokio::io::copy(&mut tokio::io::stdin(), &mut writer).await;
    let _ = writer.shutdown().await;
}

async fn print_raw(mut reader: impl tokio::io::AsyncRead + Unpin) -> Result<()> {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let count = reader.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        output::write(&buffer[..count])?;
    }
}

/// Prints Docker's multiplexed stream: `[type, 0, 0, 0, length (u32, big endian)]`, then the bytes.
pub async fn print_frames(mut reader: impl tokio::io::AsyncRead + Unpin) -> Result<()> {
    let mut header = [0; 8];
    let mut buffer = Vec::new();
    loop {
        match reader.read_exact(&mut header).await {
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(()),
            result => result?,
        };
        let [kind, _, _, _, a, b, c, d] = header;
        buffer.resize(u32::from_be_bytes([a, b, c, d]) as usize, 0);
        reader.read_exact(&mut buffer).await?;
        match kind {
            0 | 1 => output::write(&buffer)?,
            2 => std::io::stderr().lock().write_all(&buffer)?,
            3 => bail!("{}", String::from_utf8_lossy(&buffer)),
            other => bail!("a frame of the unknown type {other}"),
        }
    }
}

/// Keeps this process's terminal in raw mode until it is dropped.
struct Raw(Option<Termios>);

impl Raw {
    fn enter() -> Result<Self> {
        let terminal = std::io::stdin();
        if !terminal.is_terminal() {
            return Ok(Self(None));
        }
        let before = tcgetattr(&terminal).context("read the terminal's mode")?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(&terminal, OptionalActions::Now, &raw).context("set the terminal's mode")?;
        Ok(Self(Some(before)))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            // The terminal is gone, so nothing more can be done.
            let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, before);
        }
    }
}
