//! A real shim in a temporary run directory; the test takes the place of the daemon.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use gantry_proto::containerd::task::v3 as task;
use gantry_proto::containerd::task::v3::task_client::TaskClient;
use gantry_proto::gantry::rpc::v1::Reply;
use gantry_proto::gantry::shim::v1::{AttachReply, AttachRequest};
use hyper_util::rt::TokioIo;
use prost::Message;
use prost_types::Any;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tonic::transport::{Channel, Endpoint};

/// The path of the shim under test.
pub fn binary() -> String {
    std::env::var("GANTRY_SHIM").unwrap_or_else(|_| env!("CARGO_BIN_EXE_containerd-shim-gantry-v2").into())
}

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A container's bundle, and its shim once it is started. Dropping it cleans up.
pub struct Place {
    pub id: String,
    pub directory: tempfile::TempDir,
    pub bundle: PathBuf,
    pub spec: Value,
    pub shim: Option<u32>,
    /// The runtime's options.
    pub options: Option<Any>,
    /// The socket that receives events, and the environment variable that names it.
    pub events: Option<(&'static str, PathBuf)>,
    /// Old versions of crun fail where cgroup v2 is mounted beside v1.
    pub hide_unified: bool,
}

/// The stdio of an exec or init.
#[derive(Clone, Default)]
pub struct Io {
    pub terminal: bool,
    pub stdin: String,
    pub stdout: String,
    pub stderr: String,
}

impl Place {
    pub fn new(arguments: &[&str]) -> Self {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Self::named(format!("gantry-shim-test-{}-{number}", std::process::id()), arguments)
    }

    /// A place whose container has an id of 64 characters, as Docker's have.
    pub fn with_long_id(arguments: &[&str]) -> Self {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Self::named(
            format!("{:x<64}", format!("gantry-shim-test-{}-{number}-", std::process::id())),
            arguments,
        )
    }

    fn named(id: String, arguments: &[&str]) -> Self {
        let directory = tempfile::Builder::new().prefix("gs-").tempdir_in("/dev/shm").expect("a directory");
        let bundle = directory.path().join("run/bundles/test").join(&id);
        let root = bundle.join("rootfs");
        for name in ["bin", "etc", "proc", "dev", "sys", "tmp"] {
            fs::create_dir_all(root.join(name)).expect("a root");
        }
        fs::copy("/bin/busybox", root.join("bin/busybox")).expect("busybox-static is installed");
        for applet in [
            "sh", "cat", "echo", "sleep", "id", "stty", "true", "env", "pwd", "yes", "head", "grep", "kill",
            "tty", "ls", "dd", "unshare",
        ] {
            std::os::unix::fs::symlink("busybox", root.join("bin").join(applet)).expect("an applet");
        }
        fs::write(root.join("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\nweb:x:33:44:web:/srv:/bin/sh\n")
            .expect("passwd");
        fs::write(root.join("etc/group"), "root:x:0:\nweb:x:44:\nlog:x:55:web\n").expect("group");
        let spec = spec(&id, arguments);
        Self { id, directory, bundle, spec, shim: None, options: None, events: None, hide_unified: false }
    }

    pub fn root(&self) -> PathBuf {
        self.bundle.join("rootfs")
    }

    pub fn log(&self) -> PathBuf {
        self.directory.path().join("out.log")
    }

    pub fn json_log(&self) -> Io {
        Io { stdout: format!("json-file://{}", self.log().display()), ..Io::default() }
    }

    fn command(&self, words: &[&str], input: &[u8]) -> Output {
        let file = self.directory.path().join("stdin");
        fs::write(&file, input).expect("stdin");
        let mut command = if self.hide_unified {
            let script = "umount -l /sys/fs/cgroup/unified 2>/dev/null; exec \"$0\" \"$@\"";
            let mut command = Command::new("unshare");
            command.args(["-m", "--propagation", "private", "sh", "-c", script]).arg(binary());
            command
        } else {
            Command::new(binary())
        };
        command.args([
            "-namespace",
            "test",
            "-address",
            "/none",
            "-publish-binary",
            "/bin/true",
            "-id",
            &self.id,
        ]);
        command.args(words).current_dir(&self.bundle).env_remove("TTRPC_ADDRESS");
        command.envs(self.events.clone());
        command.stdin(fs::File::open(file).expect("stdin")).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.output().expect("the shim's binary runs")
    }

    /// Runs `start`. Returns its output.
    pub fn start_shim(&self, input: &[u8]) -> Vec<u8> {
        let output = self.try_start(input);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(output.stderr.is_empty());
        output.stdout
    }

    /// Runs `start`, which may fail.
    pub fn try_start(&self, input: &[u8]) -> Output {
        fs::write(self.bundle.join("config.json"), self.spec.to_string()).expect("a spec");
        self.command(&["start"], input)
    }

    /// Runs `delete`. Returns its answer.
    pub fn delete_dead(&self) -> task::DeleteResponse {
        let bundle = self.bundle.to_string_lossy().into_owned();
        let output = self.command(&["-bundle", &bundle, "delete"], &[]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        task::DeleteResponse::decode(output.stdout.as_slice()).expect("an answer")
    }

    /// Starts the shim and connects to it.
    pub async fn connect(&mut self) -> TaskClient<Channel> {
        let input = self.options.as_ref().map(Message::encode_to_vec).unwrap_or_default();
        let answer: Value = serde_json::from_slice(&self.start_shim(&input)).expect("JSON");
        // A daemon that receives every event is containerd; the socket takes both protocols.
        let containerd = matches!(self.events, Some(("TTRPC_ADDRESS", _)));
        let protocol = if containerd { "ttrpc" } else { "grpc" };
        assert_eq!((answer["version"].as_u64(), answer["protocol"].as_str()), (Some(3), Some(protocol)));
        let channel = dial(answer["address"].as_str().expect("an address")).await;
        let mut client = TaskClient::new(channel);
        let request = task::ConnectRequest { id: self.id.clone() };
        self.shim = Some(client.connect(request).await.expect("answered").into_inner().shim_pid);
        client
    }

    pub fn create_request(&self, io: &Io) -> task::CreateTaskRequest {
        task::CreateTaskRequest {
            id: self.id.clone(),
            bundle: self.bundle.to_string_lossy().into_owned(),
            terminal: io.terminal,
            stdin: io.stdin.clone(),
            stdout: io.stdout.clone(),
            stderr: io.stderr.clone(),
            options: self.options.clone(),
            ..Default::default()
        }
    }

    /// Creates and starts the container.
    pub async fn run(&mut self, io: &Io) -> TaskClient<Channel> {
        let mut client = self.connect().await;
        client.create(self.create_request(io)).await.expect("created");
        client.start(self.start_request("")).await.expect("started");
        client
    }

    pub fn start_request(&self, exec: &str) -> task::StartRequest {
        task::StartRequest { id: self.id.clone(), exec_id: exec.into() }
    }

    pub async fn wait(&self, client: &mut TaskClient<Channel>, exec: &str) -> u32 {
        let request = task::WaitRequest { id: self.id.clone(), exec_id: exec.into() };
        let waited = tokio::time::timeout(Duration::from_secs(20), client.wait(request)).await;
        waited.expect("ends in time").expect("answered").into_inner().exit_status
    }

    pub async fn kill(&self, client: &mut TaskClient<Channel>, signal: u32) -> Result<(), tonic::Status> {
        let request = task::KillRequest { id: self.id.clone(), signal, ..Default::default() };
        client.kill(request).await.map(drop)
    }

    pub async fn delete(
        &self,
        client: &mut TaskClient<Channel>,
        exec: &str,
    ) -> Result<task::DeleteResponse, tonic::Status> {
        let request = task::DeleteRequest { id: self.id.clone(), exec_id: exec.into() };
        client.delete(request).await.map(tonic::Response::into_inner)
    }

    pub async fn state(&self, client: &mut TaskClient<Channel>) -> task::StateResponse {
        let request = task::StateRequest { id: self.id.clone(), ..Default::default() };
        client.state(request).await.expect("a state").into_inner()
    }

    pub fn exec_request(&self, exec: &str, arguments: &[&str], io: &Io) -> task::ExecProcessRequest {
        let mut process = self.spec["process"].clone();
        process["args"] = json!(arguments);
        task::ExecProcessRequest {
            id: self.id.clone(),
            exec_id: exec.into(),
            terminal: io.terminal,
            stdin: io.stdin.clone(),
            stdout: io.stdout.clone(),
            stderr: io.stderr.clone(),
            spec: Some(Any {
                type_url: "types.containerd.io/opencontainers/runtime-spec/1/Process".into(),
                value: process.to_string().into_bytes(),
            }),
        }
    }

    /// Runs a command in the container. Returns its output and status.
    pub async fn exec(
        &self,
        client: &mut TaskClient<Channel>,
        exec: &str,
        arguments: &[&str],
    ) -> (String, u32) {
        let file = self.directory.path().join(format!("{exec}.out"));
        let io = Io {
            stdout: format!("file://{}", file.display()),
            stderr: format!("file://{}", file.display()),
            ..Io::default()
        };
        client.exec(self.exec_request(exec, arguments, &io)).await.expect("announced");
        client.start(self.start_request(exec)).await.expect("started");
        let status = self.wait(client, exec).await;
        self.delete(client, exec).await.expect("deleted");
        (fs::read_to_string(file).expect("output"), status)
    }

    /// Removes the container, ends the shim, and asserts that nothing is left.
    pub async fn finish(&mut self, client: &mut TaskClient<Channel>) {
        self.delete(client, "").await.expect("deleted");
        self.finish_shim(client).await;
    }

    /// Ends the shim after its container was removed.
    pub async fn finish_shim(&mut self, client: &mut TaskClient<Channel>) {
        self.assert_clean();
        let request = task::ShutdownRequest { id: self.id.clone(), now: false };
        client.shutdown(request).await.expect("shut down");
        let shim = self.shim.take().expect("a shim");
        until("the shim is gone", || !is_alive(shim));
        assert_eq!(fs::read_dir(self.directory.path().join("run/s")).expect("sockets").count(), 0);
    }

    /// Attaches to a process of the container.
    pub async fn attach(&self, request: AttachRequest) -> (AttachReply, UnixStream) {
        let mut stream = UnixStream::connect(self.bundle.join("attach.sock")).await.expect("connected");
        let bytes = request.encode_to_vec();
        stream.write_u32(bytes.len() as u32).await.expect("sent");
        stream.write_all(&bytes).await.expect("sent");
        let length = stream.read_u32().await.expect("a reply");
        let mut bytes = vec![0; length as usize];
        stream.read_exact(&mut bytes).await.expect("a reply");
        let reply = Reply::decode(bytes.as_slice()).expect("a reply");
        assert_eq!(reply.status.map_or(0, |status| status.code), 0);
        (AttachReply::decode(reply.detail).expect("a detail"), stream)
    }

    /// The entries of one stream in the log, joined.
    pub fn logged(&self, stream: &str) -> String {
        let text = fs::read_to_string(self.log()).unwrap_or_default();
        text.lines()
            .map(|line| serde_json::from_str::<Value>(line).expect("JSON lines"))
            .filter(|entry| entry["stream"] == stream)
            .map(|entry| entry["log"].as_str().expect("text").to_string())
            .collect()
    }

    pub fn cgroups(&self) -> Vec<PathBuf> {
        let hierarchies = fs::read_dir("/sys/fs/cgroup").expect("cgroups").flatten();
        hierarchies
            .map(|entry| entry.path().join(&self.id).join("container"))
            .chain([Path::new("/sys/fs/cgroup").join(&self.id).join("container")])
            .filter(|path| path.exists())
            .collect()
    }

    pub fn assert_clean(&self) {
        assert_eq!(self.cgroups(), Vec::<PathBuf>::new());
        assert!(!self.bundle.join("runtime").exists());
        let mounts = fs::read_to_string("/proc/self/mountinfo").expect("mounts");
        assert!(!mounts.contains(&self.id), "a mount is left on the host");
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(shim) = self.shim {
            if std::thread::panicking() {
                let log = fs::read_to_string(self.bundle.join("shim.log")).unwrap_or_default();
                eprintln!("shim.log of {}:\n{log}", self.id);
            }
            let _ = Command::new("kill").args(["-9", &shim.to_string()]).status();
            until("the shim is gone", || !is_alive(shim));
            let _ = self.command(&["-bundle", &self.bundle.to_string_lossy(), "delete"], &[]);
        }
        // The parent of the container's cgroup, which runtimes make and leave.
        for hierarchy in fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten() {
            let _ = fs::remove_dir(hierarchy.path().join(&self.id));
        }
        let _ = fs::remove_dir(Path::new("/sys/fs/cgroup").join(&self.id));
    }
}

/// Connects to a shim.
pub async fn dial(address: &str) -> Channel {
    let path = address.trim_start_matches("unix://").to_string();
    let connector = tower::service_fn(move |_| {
        let path = path.clone();
        async move { UnixStream::connect(path).await.map(TokioIo::new) }
    });
    Endpoint::from_static("http://shim").connect_with_connector(connector).await.expect("connected")
}

pub fn is_alive(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

/// Waits for a condition.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// As [`until`]; lets other tasks run.
pub async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub fn make_executable(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a mode");
}

fn spec(id: &str, arguments: &[&str]) -> Value {
    let capabilities = ["CAP_CHOWN", "CAP_SETUID", "CAP_SETGID", "CAP_KILL"];
    json!({
        "ociVersion": "1.0.2",
        "process": {
            "user": {"uid": 0, "gid": 0},
            "args": arguments,
            "env": ["PATH=/bin"],
            "cwd": "/",
            "capabilities": {"bounding": capabilities, "effective": capabilities, "permitted": capabilities},
        },
        "root": {"path": "rootfs"},
        "hostname": "test",
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev"]},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]},
            {"destination": "/dev/pts", "type": "devpts", "source": "devpts", "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]}
        ],
        "linux": {
            "cgroupsPath": format!("/{id}/container"),
            "resources": {"devices": [{"allow": false, "access": "rwm"}]},
            "namespaces": [{"type": "pid"}, {"type": "ipc"}, {"type": "uts"}, {"type": "mount"}, {"type": "network"}],
            "maskedPaths": ["/proc/kcore"],
            "readonlyPaths": ["/proc/sys"]
        }
    })
}
