//! Log drivers that send lines elsewhere: their options, their wire format, and what is kept meanwhile.

use std::collections::BTreeMap;
use std::io::Read;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use gantry_tests::{Node, Side, eventually, sides};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(20);

/// The docker client's arguments for a driver and its options.
fn options(driver: &str, options: &[&str]) -> Vec<String> {
    let mut words = vec!["--log-driver".to_owned(), driver.to_owned()];
    for option in options {
        words.extend(["--log-opt".to_owned(), (*option).to_owned()]);
    }
    words
}

/// Runs a container to its end. Returns its id.
fn run(side: &Side, name: &str, logging: &[String], script: &str) -> String {
    let mut words = vec!["run", "--name", name, "-e", "FOO=bar", "-l", "a.b-c=label"];
    words.extend(logging.iter().map(String::as_str));
    words.extend(["busybox", "sh", "-c", script]);
    side.docker(&words).ok();
    side.docker(&["inspect", "-f", "{{.Id}}", name]).ok()
}

/// `count` datagrams.
fn datagrams(socket: &UdpSocket, count: usize) -> Vec<Vec<u8>> {
    socket.set_read_timeout(Some(PATIENCE)).expect("set");
    let mut buffer = vec![0; 65536];
    (0..count)
        .map(|_| {
            let length = socket.recv(&mut buffer).expect("a datagram");
            buffer[..length].to_vec()
        })
        .collect()
}

/// The bytes of a connection, until `is_whole` is true.
fn received(listener: &TcpListener, is_whole: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    let (mut stream, _) = listener.accept().expect("a connection");
    read_on(&mut stream, is_whole)
}

fn read_on(stream: &mut TcpStream, is_whole: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    stream.set_read_timeout(Some(PATIENCE)).expect("set");
    let (mut all, mut buffer) = (Vec::new(), vec![0; 65536]);
    while !is_whole(&all) {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => all.extend_from_slice(&buffer[..length]),
            Err(error) => panic!("{error} after {:?}", String::from_utf8_lossy(&all)),
        }
    }
    all
}

fn udp(side: &Side) -> (UdpSocket, String) {
    let socket = side.in_network(|| UdpSocket::bind("127.0.0.1:0").expect("bound"));
    let address = socket.local_addr().expect("an address").to_string();
    (socket, address)
}

fn tcp(side: &Side) -> (TcpListener, String) {
    let listener = side.in_network(|| TcpListener::bind("127.0.0.1:0").expect("bound"));
    let address = listener.local_addr().expect("an address").to_string();
    (listener, address)
}

fn has(all: &[u8], text: &str) -> bool {
    String::from_utf8_lossy(all).contains(text)
}

/// Replaces digits, so that times and process ids are equal.
fn faceless(text: &str) -> String {
    let mut out = String::new();
    for character in text.chars() {
        let character = if character.is_ascii_digit() { '0' } else { character };
        if character != '0' || !out.ends_with('0') {
            out.push(character);
        }
    }
    out
}

#[test]
fn options_of_drivers_are_checked_when_a_container_is_made() {
    let node = Node::start();
    let udp = "gelf-address=udp://h:1";
    let tcp = "gelf-address=tcp://h:1";
    let rows: &[(&str, &[&str], &str)] = &[
        ("syslog", &["x=y"], "unknown log opt 'x' for syslog log driver"),
        ("fluentd", &["x=y"], "unknown log opt 'x' for fluentd log driver"),
        ("journald", &["x=y"], "unknown log opt 'x' for journald log driver"),
        ("gelf", &[udp, "x=y"], "unknown log opt \"x\" for gelf log driver"),
        ("syslog", &["syslog-address=unix:///no/such"], "stat /no/such: no such file or directory"),
        ("syslog", &["syslog-address=foo://x"], "unsupported scheme: 'foo'"),
        ("syslog", &["syslog-format=x"], "Invalid syslog format"),
        ("syslog", &["syslog-facility=x"], "invalid syslog facility"),
        ("syslog", &["cache-disabled=x"], "invalid value for option cache-disabled: x"),
        ("syslog", &["mode=x"], "logger: logging mode not supported: x"),
        (
            "syslog",
            &["max-buffer-size=1m"],
            "logger: max-buffer-size option is only supported with 'mode=non-blocking'",
        ),
        ("gelf", &[], "gelf-address is a required parameter"),
        ("gelf", &["gelf-address=http://x"], "gelf: endpoint needs to be TCP or UDP"),
        ("gelf", &["gelf-address=udp://h"], "gelf: please provide gelf-address as proto://host:port"),
        (
            "gelf",
            &[udp, "gelf-compression-type=x"],
            "unknown value \"x\" for log opt \"gelf-compression-type\" for gelf log driver",
        ),
        (
            "gelf",
            &[udp, "gelf-compression-level=11"],
            "unknown value \"11\" for log opt \"gelf-compression-level\" for gelf log driver",
        ),
        ("gelf", &[udp, "gelf-tcp-max-reconnect=1"], "\"gelf-tcp-max-reconnect\" is only valid for TCP"),
        ("gelf", &[tcp, "gelf-compression-type=gzip"], "compression is only supported on UDP"),
        (
            "gelf",
            &[tcp, "gelf-tcp-max-reconnect=-1"],
            "\"gelf-tcp-max-reconnect\" must be a positive integer",
        ),
        (
            "fluentd",
            &["fluentd-address=foo://x"],
            "invalid fluentd-address (foo://x): unsupported scheme: 'foo'",
        ),
        ("fluentd", &["fluentd-buffer-limit=x"], "invalid size: 'x'"),
        ("fluentd", &["fluentd-retry-wait=x"], "time: invalid duration \"x\""),
        ("fluentd", &["fluentd-max-retries=x"], "strconv.ParseUint: parsing \"x\": invalid syntax"),
        (
            "fluentd",
            &["fluentd-write-timeout=x"],
            "invalid value for fluentd-write-timeout: value must be a duration: time: invalid duration \"x\"",
        ),
        (
            "fluentd",
            &["fluentd-async-reconnect-interval=x"],
            "invalid value for fluentd-async-reconnect-interval: time: invalid duration \"x\"",
        ),
        (
            "fluentd",
            &["fluentd-read-timeout=1s"],
            "unknown log opt 'fluentd-read-timeout' for fluentd log driver",
        ),
        ("fluentd", &["fluentd-async=x"], "strconv.ParseBool: parsing \"x\": invalid syntax"),
        ("nosuch", &[], "error looking up logging plugin nosuch: plugin \"nosuch\" not found"),
    ];
    for side in sides(&node) {
        for (driver, options, words) in rows {
            let config: BTreeMap<&str, &str> =
                options.iter().map(|option| option.split_once('=').expect("a pair")).collect();
            let wanted = json!({
                "Image": "busybox", "HostConfig": {"LogConfig": {"Type": driver, "Config": config}},
            });
            let name = side.name("refused");
            let (status, body) =
                side.api("POST", &format!("/containers/create?name={name}"), &wanted.to_string());
            assert_ne!(status, 201, "{}: {driver} {options:?}", side.who);
            assert_eq!(body["message"], *words, "{}: {driver} {options:?}", side.who);
        }
    }
}

#[test]
fn a_receiver_that_is_away_fails_the_start() {
    let node = Node::start();
    node.permit(&["a log's receiver is away"]);
    let failed = "failed to create task for container: failed to initialize logging driver: ";
    let refused = "dial tcp 127.0.0.1:1: connect: connection refused";
    let gelf = format!("gelf: cannot connect to GELF endpoint: 127.0.0.1:1 {refused}");
    let bogus = "template: log-tag:1:2: executing \"log-tag\" at <.Bogus>: can't evaluate field Bogus in type *logger.Info";
    let rows: &[(&str, &[&str], &str)] = &[
        ("syslog", &["syslog-address=tcp://127.0.0.1:1"], refused),
        ("gelf", &["gelf-address=tcp://127.0.0.1:1"], &gelf),
        ("fluentd", &["fluentd-address=127.0.0.1:1"], refused),
        ("syslog", &["syslog-address=udp://127.0.0.1:1", "tag={{.Bogus}}"], bogus),
        ("syslog", &["syslog-address=udp://127.0.0.1:1", "tag={{"], "template: log-tag:1: unclosed action"),
    ];
    for side in sides(&node) {
        let name = side.name("away");
        for (driver, opts, words) in rows {
            let mut create = vec!["create".to_owned(), "--name".to_owned(), name.clone()];
            create.extend(options(driver, opts));
            create.extend(["busybox".to_owned(), "true".to_owned()]);
            side.docker(&create.iter().map(String::as_str).collect::<Vec<_>>()).ok();
            let (status, body) = side.api("POST", &format!("/containers/{name}/start"), "");
            assert_eq!(status, 500, "{}: {driver}: {body}", side.who);
            assert_eq!(body["message"], format!("{failed}{words}"), "{}: {driver}", side.who);
            side.docker(&["rm", &name]).ok();
        }
        // These drivers need no receiver.
        for (driver, opts) in
            [("gelf", "gelf-address=udp://127.0.0.1:1"), ("syslog", "syslog-address=udp://127.0.0.1:1")]
        {
            run(&side, &name, &options(driver, &[opts]), "echo kept");
            assert_eq!(side.docker(&["logs", &name]).ok(), "kept", "{}: {driver}", side.who);
            side.docker(&["rm", &name]).ok();
        }
        let asynchronous = options("fluentd", &["fluentd-address=127.0.0.1:1", "fluentd-async=true"]);
        run(&side, &name, &asynchronous, "echo kept");
        side.docker(&["rm", &name]).ok();
    }
}

#[test]
fn syslog_s_lines_are_those_of_the_reference() {
    let node = Node::start();
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").expect("readable");
    let host = host.trim();
    for side in sides(&node) {
        let name = side.name("log");
        for (format, expected) in [
            ("", "<30>Nov 0 0:0:0 TAG[0]: out & é\n"),
            ("rfc3164", "<30>Nov 0 0:0:0 HOST TAG[0]: out & é\n"),
            ("rfc5424", "<30>1 0-0-0T0:0:0Z HOST TAG 0 TAG - out & é\n"),
            ("rfc5424micro", "<30>1 0-0-0T0:0:0.0Z HOST TAG 0 TAG - out & é\n"),
        ] {
            let (socket, address) = udp(&side);
            let address = format!("syslog-address=udp://{address}");
            let format_option = format!("syslog-format={format}");
            let mut opts = vec![address.as_str(), "tag=TAG"];
            if !format.is_empty() {
                opts.push(&format_option);
            }
            run(
                &side,
                &name,
                &options("syslog", &opts),
                "echo 'out & é'; sleep 0.3; echo err >&2; sleep 0.3; printf part",
            );
            let lines = datagrams(&socket, 3).into_iter().map(|line| String::from_utf8(line).expect("text"));
            let lines: Vec<String> = lines.map(|line| line.replace(host, "HOST")).collect();
            let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
            let plain = |line: &str| {
                let line = months.iter().fold(line.to_owned(), |line, month| line.replace(month, "Nov"));
                faceless(&line).replace("Nov  0", "Nov 0")
            };
            let of = |priority: &str, text: &str| {
                faceless(&expected.replace("<30>", priority).replace("out & é", text))
            };
            assert_eq!(plain(&lines[0]), of("<30>", "out & é"), "{}: {format}", side.who);
            assert!(lines[0].starts_with("<30>") && lines[1].starts_with("<27>"), "{}: {lines:?}", side.who);
            assert_eq!(plain(&lines[1]), of("<27>", "err"), "{}: {format}", side.who);
            assert_eq!(plain(&lines[2]), of("<30>", "part"), "{}: {format}", side.who);
            assert_eq!(side.docker(&["logs", &name]).stdout, "out & é\npart", "{}: read back", side.who);
            side.docker(&["rm", &name]).ok();
        }

        let (listener, address) = tcp(&side);
        let address = format!("syslog-address=tcp://{address}");
        let tag = "tag={{.Name}}/{{.ImageName}}/{{.ID}}/{{.DaemonName}}/{{.Command}}";
        let opts = [address.as_str(), "syslog-facility=local3", tag];
        let id = run(&side, &name, &options("syslog", &opts), "echo out");
        let line = received(&listener, |all| all.ends_with(b"\n"));
        let line = String::from_utf8(line).expect("text");
        let expected = format!("{name}/busybox/{}/docker/sh -c echo out[", &id[..12]);
        assert!(line.starts_with("<158>") && line.contains(&expected), "{}: {line}", side.who);
        assert!(line.ends_with("]: out\n"), "{}: {line}", side.who);
        side.docker(&["rm", &name]).ok();
    }
}

fn inflated(packed: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    match packed.first() {
        Some(0x1f) => flate2::read::GzDecoder::new(packed).read_to_end(&mut bytes).expect("gzip"),
        Some(0x78) => flate2::read::ZlibDecoder::new(packed).read_to_end(&mut bytes).expect("zlib"),
        _ => return packed.to_vec(),
    };
    bytes
}

#[test]
fn gelf_s_messages_are_those_of_the_reference() {
    let node = Node::start();
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").expect("readable");
    let script = "echo 'o<>&é'; echo; sleep 0.3; echo err >&2";
    for side in sides(&node) {
        let name = side.name("log");
        let message = |id: &str, text: &str, level: u8, time: &Value| {
            let (_, inspect) = side.api("GET", &format!("/containers/{name}/json"), "");
            let quoted = |text: &str| {
                let json = json!(text).to_string();
                json.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
            };
            format!(
                "{{\"version\":\"1.1\",\"host\":\"{}\",\"short_message\":{},\"timestamp\":{time},\"level\":{level},\
                 \"_FOO\":\"bar\",\"_a.b-c\":\"label\",\"_command\":{},\"_container_id\":\"{id}\",\
                 \"_container_name\":\"{name}\",\"_created\":{},\"_image_id\":{},\"_image_name\":\"busybox\",\
                 \"_tag\":\"{}\"}}",
                host.trim(),
                quoted(text),
                quoted(&format!("sh -c {script}")),
                inspect["Created"],
                inspect["Image"],
                &id[..12],
            )
        };
        let check = |id: &str, messages: &[String], what: &str| {
            for (got, (text, level)) in messages.iter().zip([("o<>&é", 6), ("err", 3)]) {
                let parsed: Value = serde_json::from_str(got).expect("JSON");
                assert_eq!(*got, message(id, text, level, &parsed["timestamp"]), "{}: {what}", side.who);
            }
        };
        for packing in ["", "none", "zlib"] {
            let (socket, address) = udp(&side);
            let address = format!("gelf-address=udp://{address}");
            let packed = format!("gelf-compression-type={packing}");
            let mut opts = vec![address.as_str(), "labels=a.b-c", "env=FOO"];
            if !packing.is_empty() {
                opts.push(&packed);
            }
            let id = run(&side, &name, &options("gelf", &opts), script);
            let got = datagrams(&socket, 2);
            let first = match packing {
                "" => 0x1f,
                "zlib" => 0x78,
                _ => b'{',
            };
            assert!(got.iter().all(|one| one[0] == first), "{}: {packing}", side.who);
            let texts: Vec<String> =
                got.iter().map(|one| String::from_utf8(inflated(one)).expect("text")).collect();
            check(&id, &texts, packing);
            side.docker(&["rm", &name]).ok();
        }
        let (listener, address) = tcp(&side);
        let address = format!("gelf-address=tcp://{address}");
        let opts = [address.as_str(), "labels=a.b-c", "env=FOO"];
        let id = run(&side, &name, &options("gelf", &opts), script);
        let all = received(&listener, |all| all.iter().filter(|byte| **byte == 0).count() == 2);
        let texts: Vec<String> = all
            .split(|byte| *byte == 0)
            .filter(|one| !one.is_empty())
            .map(|one| String::from_utf8(one.to_vec()).expect("text"))
            .collect();
        assert_eq!(texts.len(), 2, "{}", side.who);
        check(&id, &texts, "tcp");
        side.docker(&["rm", &name]).ok();
    }
}

/// Parses a MessagePack value, as far as Fluentd's messages need it; binary times are their nine bytes. `None`:
/// truncated.
fn unpack(bytes: &mut &[u8]) -> Option<Value> {
    fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = bytes.split_at_checked(count)?;
        *bytes = rest;
        Some(taken)
    }
    fn text(bytes: &mut &[u8], count: usize) -> Option<Value> {
        take(bytes, count).map(|text| json!(String::from_utf8_lossy(text)))
    }
    let first = take(bytes, 1)?[0];
    match first {
        0x80..=0x8f => {
            let mut map = serde_json::Map::new();
            for _ in 0..first & 0xf {
                let key = unpack(bytes)?.as_str().expect("text").to_owned();
                map.insert(key, unpack(bytes)?);
            }
            Some(map.into())
        }
        0x90..=0x9f => (0..first & 0xf).map(|_| unpack(bytes)).collect(),
        0xa0..=0xbf => text(bytes, usize::from(first & 0x1f)),
        0xd9 => {
            let count = usize::from(take(bytes, 1)?[0]);
            text(bytes, count)
        }
        0xda => {
            let count = take(bytes, 2)?;
            text(bytes, usize::from(u16::from_be_bytes([count[0], count[1]])))
        }
        0xd2 => Some(json!(i32::from_be_bytes(take(bytes, 4)?.try_into().expect("four")))),
        0xd7 => Some(json!(take(bytes, 9)?)),
        other => panic!("{other:#x} is not expected"),
    }
}

/// `count` events.
fn events(listener: &TcpListener, count: usize) -> Vec<Value> {
    let unpacked = |mut rest: &[u8]| (0..count).map(|_| unpack(&mut rest)).collect::<Option<Vec<_>>>();
    let all = received(listener, |all| unpacked(all).is_some());
    unpacked(&all).expect("whole")
}

#[test]
fn fluentd_s_events_are_those_of_the_reference() {
    let node = Node::start();
    for side in sides(&node) {
        let name = side.name("log");
        let (listener, address) = tcp(&side);
        let address = format!("fluentd-address={address}");
        let opts = [address.as_str(), "labels=a.b-c", "env=FOO"];
        let script = "echo out; sleep 0.3; echo err >&2; sleep 0.3; printf part";
        let id = run(&side, &name, &options("fluentd", &opts), script);
        let record = |source: &str, log: &str| {
            json!({
                "container_id": id, "container_name": format!("/{name}"), "source": source, "log": log,
                "a.b-c": "label", "FOO": "bar",
            })
        };
        let mut got = events(&listener, 3);
        assert!(
            got.iter().all(|event| event[0] == id[..12] && event[1].is_i64() && event[3] == json!({})),
            "{got:?}"
        );
        assert_eq!(got[0][2], record("stdout", "out"), "{}", side.who);
        assert_eq!(got[1][2], record("stderr", "err"), "{}", side.who);
        let part = got[2][2].as_object_mut().expect("a map");
        assert!(part.remove("partial_id").is_some_and(|id| id.as_str().is_some_and(|id| id.len() == 64)));
        let mut expected = record("stdout", "part");
        for (key, value) in [("partial_message", "true"), ("partial_ordinal", "1"), ("partial_last", "false")]
        {
            expected[key] = value.into();
        }
        assert_eq!(got[2][2], expected, "{}", side.who);
        side.docker(&["rm", &name]).ok();

        // A long line in its parts, with its time in nanoseconds.
        let (listener, address) = tcp(&side);
        let address = format!("fluentd-address=tcp://{address}");
        let opts = [address.as_str(), "fluentd-sub-second-precision=true", "tag=x.{{.Name}}"];
        run(&side, &name, &options("fluentd", &opts), "head -c 40000 /dev/zero | tr '\\0' x; echo");
        let got = events(&listener, 3);
        let pieces: Vec<_> = got
            .iter()
            .map(|event| {
                let log = event[2]["log"].as_str().map(str::len);
                (event[2]["partial_ordinal"].clone(), event[2]["partial_last"].clone(), log)
            })
            .collect();
        let piece = |ordinal: &str, last: &str, length| (json!(ordinal), json!(last), Some(length));
        let expected = [piece("1", "false", 16384), piece("2", "false", 16384), piece("3", "true", 7232)];
        assert_eq!(pieces, expected, "{}", side.who);
        assert!(got.iter().all(|event| event[2]["partial_id"] == got[0][2]["partial_id"]), "{}", side.who);
        assert!(
            got.iter().all(|event| event[0] == format!("x.{name}") && event[1].is_array()),
            "{}",
            side.who
        );
        side.docker(&["rm", &name]).ok();
    }
}

#[test]
fn lines_wait_for_a_receiver_and_for_the_engine() {
    let node = Node::start();
    node.permit(&["a log's receiver is away"]);
    let side = &sides(&node)[0];
    let name = side.name("log");
    let (listener, address) = tcp(side);
    let logging = options("syslog", &[&format!("syslog-address=tcp://{address}"), "tag=t"]);
    let mut words = vec!["run", "-d", "--name", name.as_str()];
    words.extend(logging.iter().map(String::as_str));
    words.extend([
        "busybox",
        "sh",
        "-c",
        "i=0; while [ $i -lt 60 ]; do echo line $i; i=$((i+1)); sleep 0.1; done",
    ]);
    side.docker(&words).ok();
    let (mut stream, _) = listener.accept().expect("a connection");
    let first = read_on(&mut stream, |all| has(all, ": line 5\n"));
    // The receiver closes, the engine is killed, and both come back.
    drop((stream, listener));
    node.kill_service("engine");
    side.docker(&["wait", &name]).ok();
    let again = side.in_network(|| {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match TcpListener::bind(&address) {
                Ok(listener) => return listener,
                Err(error) => assert!(Instant::now() < deadline, "{error}"),
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    let rest = received(&again, |all| has(all, ": line 59\n"));
    let all = [first, rest].concat();
    let text = String::from_utf8_lossy(&all);
    let missing: Vec<_> = (0..60).filter(|number| !text.contains(&format!(": line {number}\n"))).collect();
    // Messages that the kernel had accepted for the closed receiver are lost, as with any driver.
    assert!(missing.iter().all(|number| (6..12).contains(number)), "missing {missing:?}");
    assert_eq!(side.docker(&["logs", &name]).ok().lines().count(), 60);
}

#[test]
fn a_cache_that_is_disabled_is_not_read() {
    let node = Node::start();
    for side in sides(&node) {
        let name = side.name("log");
        let (socket, address) = udp(&side);
        let address = format!("syslog-address=udp://{address}");
        let opts = [address.as_str(), "cache-disabled=true", "mode=non-blocking", "max-buffer-size=1m"];
        run(&side, &name, &options("syslog", &opts), "echo out");
        assert_eq!(datagrams(&socket, 1).len(), 1, "{}", side.who);
        let (status, body) = side.api("GET", &format!("/containers/{name}/logs?stdout=1"), "");
        assert_eq!(status, 501, "{}: {body}", side.who);
        assert_eq!(body["message"], "configured logging driver does not support reading", "{}", side.who);
        side.docker(&["rm", &name]).ok();
    }
}

#[test]
fn what_a_container_said_last_is_sent_before_it_removes_itself() {
    let node = Node::start();
    for side in sides(&node) {
        let (listener, address) = tcp(&side);
        let logging = options("syslog", &[&format!("syslog-address=tcp://{address}"), "tag=t"]);
        let mut words = vec!["run", "--rm"];
        words.extend(logging.iter().map(String::as_str));
        words.extend(["busybox", "seq", "1", "2000"]);
        side.docker(&words).ok();
        let all = received(&listener, |all| all.ends_with(b": 2000\n"));
        assert_eq!(all.iter().filter(|byte| **byte == b'\n').count(), 2000, "{}", side.who);
    }
}

/// A receiver with a certificate of its own, which asks for the client's. It writes what it receives to a file.
struct Secured {
    process: Child,
    address: String,
    got: PathBuf,
}

impl Secured {
    fn start(side: &Side, folder: &Path) -> Secured {
        let script = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=receiver \
            -addext subjectAltName=IP:127.0.0.1 -keyout key.pem -out cert.pem";
        let made =
            Command::new("sh").args(["-c", script]).current_dir(folder).output().expect("openssl runs");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let (listener, address) = tcp(side);
        drop(listener);
        let got = folder.join("got");
        let mut command = Command::new("openssl");
        command.args(["s_server", "-quiet", "-accept", &address, "-cert", "cert.pem", "-key", "key.pem"]);
        command.args(["-CAfile", "cert.pem", "-Verify", "1", "-verify_return_error"]).current_dir(folder);
        command
            .stdin(Stdio::piped())
            .stdout(std::fs::File::create(&got).expect("made"))
            .stderr(Stdio::null());
        let process = side.in_network(|| command.spawn().expect("it runs"));
        eventually("it listens", PATIENCE, || {
            let connected = side.in_network(|| TcpStream::connect(&address));
            connected.map(drop).map_err(|error| error.to_string())
        });
        Secured { process, address, got }
    }

    /// What has arrived since the last call.
    fn line(&self) -> String {
        let mut line = String::new();
        eventually("a line comes", PATIENCE, || {
            line = std::fs::read_to_string(&self.got).expect("text");
            if line.is_empty() { Err("nothing".to_owned()) } else { Ok(()) }
        });
        let file = std::fs::File::options().write(true).open(&self.got).expect("there");
        file.set_len(0).expect("emptied");
        line.trim_start_matches('\0').to_owned()
    }
}

impl Drop for Secured {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn syslog_goes_over_tls_to_whom_it_is_meant_for() {
    let node = Node::start();
    for side in sides(&node) {
        let name = side.name("log");
        let folder = node.root().join(side.who);
        std::fs::create_dir(&folder).expect("made");
        let receiver = Secured::start(&side, &folder);
        let address = format!("syslog-address=tcp+tls://{}", receiver.address);
        let file = |option: &str, name: &str| format!("syslog-tls-{option}={}", folder.join(name).display());
        let (ca, cert, key) = (file("ca-cert", "cert.pem"), file("cert", "cert.pem"), file("key", "key.pem"));
        let own = [address.as_str(), cert.as_str(), key.as_str(), "tag=TAG"];
        let with = |more: &[&str]| options("syslog", &[&own, more].concat());

        // Docker frames only the newer format.
        for (form, expected) in [
            ("rfc5424", "0 <30>1 0-0-0T0:0:0Z HOST TAG 0 TAG - out\n"),
            ("rfc3164", "<30>Nov 0 0:0:0 HOST TAG[0]: out\n"),
        ] {
            run(&side, &name, &with(&[&ca, &format!("syslog-format={form}")]), "echo out");
            let line = receiver.line();
            let host = std::fs::read_to_string("/proc/sys/kernel/hostname").expect("readable");
            let line = faceless(&line.replace(host.trim(), "HOST"));
            let month = line.find("<0>").map(|at| line[at + 3..].chars().take(3).collect::<String>());
            let line = if form == "rfc3164" { line.replace(&month.expect("a month"), "Nov") } else { line };
            assert_eq!(line.replace("Nov  0", "Nov 0"), faceless(expected), "{}: {form}", side.who);
            side.docker(&["rm", &name]).ok();
        }
        // The option is on, whatever its value.
        run(&side, &name, &with(&["syslog-tls-skip-verify=false"]), "echo unverified");
        assert!(receiver.line().ends_with("unverified\n"), "{}", side.who);
        side.docker(&["rm", &name]).ok();

        let no_file = format!("{}/none", folder.display());
        let not_there =
            format!("could not read CA certificate \"{no_file}\": open {no_file}: no such file or directory");
        let no_key = format!("Could not load X509 key pair: open {no_file}: no such file or directory");
        let no_certificate = "failed to append certificates from PEM file: \"/etc/passwd\"";
        for (more, words) in [
            (vec![], "tls: "),
            (vec![format!("syslog-tls-ca-cert={no_file}")], not_there.as_str()),
            (vec!["syslog-tls-ca-cert=/etc/passwd".to_owned()], no_certificate),
            (
                vec![ca.clone(), format!("syslog-tls-cert={no_file}"), format!("syslog-tls-key={no_file}")],
                &no_key,
            ),
        ] {
            let logging = with(&more.iter().map(String::as_str).collect::<Vec<_>>());
            let mut words_of_all = vec!["run", "--name", &name];
            words_of_all.extend(logging.iter().map(String::as_str));
            words_of_all.extend(["busybox", "true"]);
            // The client takes a missing file for a missing program.
            let code = if words.contains("no such file") { 127 } else { 125 };
            let said = side.docker(&words_of_all).fails(code);
            let expected = format!("failed to initialize logging driver: {words}");
            assert!(said.contains(&expected), "{}: {more:?}: {said}", side.who);
            side.docker(&["rm", &name]).ok();
        }
        // The receiver's authority is not trusted.
        let unknown = options("fluentd", &[&format!("fluentd-address=tls://{}", receiver.address)]);
        let mut words = vec!["run", "--name", &name];
        words.extend(unknown.iter().map(String::as_str));
        words.extend(["busybox", "true"]);
        let said = side.docker(&words).fails(125);
        assert!(said.contains("failed to initialize logging driver: tls: "), "{}: {said}", side.who);
        side.docker(&["rm", &name]).ok();
    }
}
