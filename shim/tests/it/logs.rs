//! Destinations of output: log files, FIFOs, files, logging programs.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use gantry_proto::containerd::task::v3 as task;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::shim::{Io, Place, eventually};

#[tokio::test]
async fn a_long_line_is_split_and_files_rotate() {
    let mut place = Place::new(&["sh", "-c", "head -c 3000000 /dev/zero; echo; echo end"]);
    // NUL bytes are written as six characters each.
    let io = Io {
        stdout: format!("json-file://{}?max-size=1m&max-file=50", place.log().display()),
        ..Io::default()
    };
    let mut client = place.run(&io).await;
    place.wait(&mut client, "").await;
    place.finish(&mut client).await;
    let mut texts = String::new();
    let mut files = 0;
    for number in (0..50).rev() {
        let path = match number {
            0 => place.log(),
            _ => place.log().with_extension(format!("log.{number}")),
        };
        if let Ok(text) = std::fs::read_to_string(path) {
            files += 1;
            texts.push_str(&text);
        }
    }
    assert!(files > 15, "{files} files");
    let entries: Vec<serde_json::Value> =
        texts.lines().map(|line| serde_json::from_str(line).expect("JSON lines")).collect();
    let all: String = entries.iter().map(|entry| entry["log"].as_str().expect("text")).collect();
    assert_eq!(all.len(), 3_000_005);
    assert!(all.ends_with("\0\nend\n"));
    assert!(entries.iter().all(|entry| entry["log"].as_str().expect("text").len() <= 16384));
}

#[tokio::test]
async fn a_container_that_writes_without_end_does_not_keep_its_shim_from_answering() {
    // Six times as much for the log to write as for the container.
    let mut place = Place::new(&["cat", "/dev/zero"]);
    let io = Io { stdout: format!("json-file://{}?max-size=1m", place.log().display()), ..Io::default() };
    let mut client = place.run(&io).await;
    eventually("it writes", || place.log().metadata().is_ok_and(|log| log.len() > 100_000)).await;
    for _ in 0..5 {
        let pids = client.pids(task::PidsRequest { id: place.id.clone() });
        tokio::time::timeout(Duration::from_secs(5), pids).await.expect("in time").expect("answered");
    }
    place.kill(&mut client, 9).await.expect("killed");
    place.wait(&mut client, "").await;
    place.finish(&mut client).await;
}

#[tokio::test]
async fn fifos_carry_stdio_until_closed() {
    let mut place = Place::new(&["sh", "-c", "cat; echo done >&2"]);
    let fifo = |name: &str| {
        let path = place.directory.path().join(name);
        let status = std::process::Command::new("mkfifo").arg(&path).status().expect("mkfifo");
        assert!(status.success());
        path.to_string_lossy().into_owned()
    };
    let io = Io { stdin: fifo("in"), stdout: fifo("out"), stderr: fifo("err"), ..Io::default() };
    let open = tokio::net::unix::pipe::OpenOptions::new();
    let mut stdout = open.open_receiver(&io.stdout).expect("a reader");
    let mut stderr = open.open_receiver(&io.stderr).expect("a reader");
    let mut client = place.run(&io).await;
    let mut stdin = open.open_sender(&io.stdin).expect("a writer");
    stdin.write_all(b"one ").await.expect("written");
    drop(stdin);
    // Another client may open the FIFO: the end of the first one is not the end of the input.
    let mut stdin = open.open_sender(&io.stdin).expect("a writer");
    stdin.write_all(b"two").await.expect("written");
    let request = gantry_proto::containerd::task::v3::CloseIoRequest {
        id: place.id.clone(),
        stdin: true,
        ..Default::default()
    };
    client.close_io(request).await.expect("closed");
    drop(stdin);
    assert_eq!(place.wait(&mut client, "").await, 0);
    place.finish(&mut client).await;
    let (mut out, mut err) = (String::new(), String::new());
    stdout.read_to_string(&mut out).await.expect("read");
    stderr.read_to_string(&mut err).await.expect("read");
    assert_eq!((out.as_str(), err.as_str()), ("one two", "done\n"));
}

#[tokio::test]
async fn a_logging_program_reads_the_output() {
    let mut place = Place::new(&["sh", "-c", "echo out; echo err >&2"]);
    let (logger, logged) = (place.directory.path().join("logger"), place.directory.path().join("logged"));
    let script = format!(
        "#!/bin/sh\nexec 5>&-\n{{ cat <&3; cat <&4; echo \"$CONTAINER_NAMESPACE $CONTAINER_ID $*\"; }} > {}\n",
        logged.display()
    );
    std::fs::write(&logger, script).expect("a logger");
    std::fs::set_permissions(&logger, std::fs::Permissions::from_mode(0o755)).expect("a mode");
    let io = Io { stdout: format!("binary://{}?key=value", logger.display()), ..Io::default() };
    let mut client = place.run(&io).await;
    place.wait(&mut client, "").await;
    place.finish(&mut client).await;
    let text = std::fs::read_to_string(logged).expect("a log");
    assert_eq!(text, format!("out\nerr\ntest {} key value\n", place.id));
}
