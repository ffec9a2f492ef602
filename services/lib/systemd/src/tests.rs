//! The client with a fake systemd.

use std::os::unix::net::UnixListener;
use std::thread::JoinHandle;

use super::*;
use crate::message::answers::message;

/// Accepts one connection, and sends `answers` when it has received a call. Returns the call.
fn systemd(answers: Vec<Vec<u8>>) -> (tempfile::TempDir, std::path::PathBuf, JoinHandle<Vec<u8>>) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("private");
    let listener = UnixListener::bind(&path).expect("bound");
    let serving = std::thread::spawn(move || {
        let (stream, _) = listener.accept().expect("a client");
        let mut peer = Systemd { stream, serial: 0 };
        assert_eq!(
            (peer.line().expect("a line"), peer.line().expect("a line")),
            ("\0AUTH EXTERNAL".to_owned(), "DATA".to_owned())
        );
        peer.stream.write_all(b"DATA\r\nOK 0123\r\n").expect("sent");
        assert_eq!(peer.line().expect("a line"), "BEGIN");
        let mut call = vec![0; message::FIXED];
        peer.stream.read_exact(&mut call).expect("a call");
        let rest = message::rest(&call).expect("a header");
        call.resize(message::FIXED + rest, 0);
        peer.stream.read_exact(&mut call[message::FIXED..]).expect("a call");
        for answer in answers {
            peer.stream.write_all(&answer).expect("sent");
        }
        call
    });
    (folder, path, serving)
}

#[test]
fn a_scope_is_there_when_its_job_is_done() {
    let job = "/org/freedesktop/systemd1/job/7";
    let (_folder, path, serving) = systemd(vec![
        message(4, "JobRemoved", "", 0, &["/org/freedesktop/systemd1/job/6", "b.scope", "failed"]),
        message(2, "", "", 1, &[job]),
        message(4, "UnitNew", "", 0, &["a.scope", "/"]),
        message(4, "JobRemoved", "", 0, &[job, "a.scope", "done"]),
    ]);
    let mut systemd = Systemd::connect_to(&path).expect("connected");
    let properties = [
        ("PIDs", Value::Pids(vec![1, 2])),
        ("Delegate", Value::Bool(true)),
        ("MemoryMax", Value::Number(1 << 40)),
        ("Slice", Value::Text("system.slice".to_owned())),
        ("AllowedCPUs", Value::Bytes(vec![3])),
    ];
    systemd.start_scope("a.scope", &properties).expect("started");
    let call = Message::parse(&serving.join().expect("served")).expect("a message");
    assert_eq!((call.kind, call.member.as_str()), (Kind::Call, "StartTransientUnit"));
    assert_eq!(call.strings("ss"), ["a.scope", "fail"]);
}

#[test]
fn a_job_that_fails_is_told() {
    let (_folder, path, _serving) = systemd(vec![
        message(2, "", "", 1, &["/job/1"]),
        message(4, "JobRemoved", "", 0, &["/job/1", "a.scope", "failed"]),
    ]);
    let mut systemd = Systemd::connect_to(&path).expect("connected");
    let error = systemd.start_scope("a.scope", &[]).expect_err("failed");
    assert_eq!(error.to_string(), "systemd: a.scope: the job ended as failed");
}

#[test]
fn a_refusal_has_its_name_and_its_words() {
    let exists = "org.freedesktop.systemd1.UnitExists";
    let (_folder, path, _serving) = systemd(vec![message(3, "", exists, 1, &["Unit a.scope was loaded"])]);
    let mut systemd = Systemd::connect_to(&path).expect("connected");
    let error = systemd.set_properties("a.scope", &[]).expect_err("refused");
    assert!(error.is_unit_exists() && !error.is_no_such_unit(), "{error:?}");
    assert_eq!(error.to_string(), "systemd: Unit a.scope was loaded");
}

#[test]
fn a_unit_that_has_not_begun_is_known_by_its_words() {
    let arguments = "org.freedesktop.DBus.Error.InvalidArgs";
    let words = "Unit is not active, refusing.";
    let (_folder, path, _serving) = systemd(vec![message(3, "", arguments, 1, &[words])]);
    let mut systemd = Systemd::connect_to(&path).expect("connected");
    let error = systemd.attach("a.scope", &[1]).expect_err("refused");
    assert!(error.is_unit_inactive() && !error.is_unit_exists(), "{error:?}");
}

#[test]
fn an_array_s_length_leaves_its_padding_out() {
    let mut body = Body::default();
    body.text("abc").properties(&[("X", Value::Bool(true))]);
    let bytes = message::call(1, "M", "sa(sv)", &body);
    let tail = &bytes[bytes.len() - 32..];
    // "abc" takes 8 bytes with its length and its end; then 16 of the only property, from a multiple of 8 on.
    assert_eq!(&tail[..8], [3, 0, 0, 0, b'a', b'b', b'c', 0]);
    assert_eq!(&tail[8..12], [16, 0, 0, 0]);
    assert_eq!(&tail[16..], [1, 0, 0, 0, b'X', 0, 1, b'b', 0, 0, 0, 0, 1, 0, 0, 0]);
}
