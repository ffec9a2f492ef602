//! The short runs of a shim's binary: `start`, which starts the shim and prints its address, `delete`, which cleans
//! up after a dead shim, and `-info`, which describes the runtime.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use gantry_daemon::open_files;
use gantry_proto::containerd::task::v3::DeleteResponse;
use gantry_proto::containerd::types::RuntimeInfo;
use gantry_rpc::carry;
use prost::Message;
use prost_types::Any;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::bootstrap::Bootstrap;
use super::{binary, place};
use crate::error::Error;

const START_LIMIT: Duration = Duration::from_secs(20);
const DELETE_LIMIT: Duration = Duration::from_secs(20);
const INFO_LIMIT: Duration = Duration::from_secs(10);

/// What a run of the binary becomes: a shim is moved into the scope of shims.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Becomes {
    Nothing,
    Shim,
}

/// The arguments of every run of a shim's binary.
#[derive(Debug, Clone)]
pub struct Helper {
    /// The shim's binary.
    pub binary: PathBuf,
    /// The containerd namespace.
    pub namespace: String,
    /// The container.
    pub id: String,
    /// Its bundle, the working directory.
    pub bundle: PathBuf,
    /// The front socket, for shims that publish events.
    pub front: PathBuf,
}

impl Helper {
    /// Starts the shim: one short process.
    pub async fn start(&self, options: Option<&Any>) -> Result<Bootstrap, Error> {
        let mut command = self.command("start", &[]);
        let input = options.map(Message::encode_to_vec).unwrap_or_default();
        let output =
            self.run(command.env("MAX_SHIM_VERSION", "3"), &input, START_LIMIT, Becomes::Shim).await?;
        if !output.status.success() {
            return Err(self.failed(&output));
        }
        Bootstrap::parse(&output.stdout).map_err(|reason| Error::ShimStart { id: self.id.clone(), reason })
    }

    /// Cleans up after a dead shim: kills its processes, unmounts its mounts, removes its cgroups.
    pub async fn delete(&self) -> Result<DeleteResponse, Error> {
        let bundle = self.bundle.to_string_lossy();
        let output = self
            .run(&mut self.command("delete", &["-bundle", &bundle]), &[], DELETE_LIMIT, Becomes::Nothing)
            .await?;
        if !output.status.success() {
            return Err(self.failed(&output));
        }
        DeleteResponse::decode(output.stdout.as_slice())
            .map_err(|error| Error::ShimStart { id: self.id.clone(), reason: format!("delete: {error}") })
    }

    /// Asks the binary to describe the runtime; `options` are the runtime's own, `id` is the runtime's name.
    pub async fn info(&self, options: Option<&Any>) -> Result<RuntimeInfo, Error> {
        let mut command = Command::new(&self.binary);
        command.arg("-info").current_dir(&self.bundle);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let input = options.map(Message::encode_to_vec).unwrap_or_default();
        let unclear = |reason: String| Error::RuntimeInfo { runtime: self.id.clone(), reason };
        let output = match self.run(&mut command, &input, INFO_LIMIT, Becomes::Nothing).await {
            Err(Error::ShimStart { reason, .. }) => return Err(unclear(reason)),
            output => output?,
        };
        if !output.status.success() {
            return Err(unclear(format!("{}: {}", output.status, said(&output))));
        }
        RuntimeInfo::decode(output.stdout.as_slice()).map_err(|error| unclear(error.to_string()))
    }

    fn command(&self, action: &str, extra: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command.arg("-namespace").arg(&self.namespace).arg("-address").arg(&self.front);
        command.arg("-publish-binary").arg(std::env::current_exe().unwrap_or_default());
        command.arg("-id").arg(&self.id).args(extra).arg(action);
        command.current_dir(&self.bundle).env("NAMESPACE", &self.namespace).env("GRPC_ADDRESS", &self.front);
        let events = with_suffix(&self.front, ".ttrpc");
        // Our shim takes an events address as a sign of containerd: it then answers that it speaks ttrpc, and
        // publishes every event. Here it has to publish only what no other process sees.
        if binary::is_ours(&self.binary) {
            command.env_remove("TTRPC_ADDRESS").env("GANTRY_EVENTS", events);
        } else {
            command.env("TTRPC_ADDRESS", events).env("GOMAXPROCS", "2");
        }
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command
    }

    async fn run(
        &self,
        command: &mut Command,
        input: &[u8],
        limit: Duration,
        becomes: Becomes,
    ) -> Result<Output, Error> {
        command.stdin(Stdio::piped());
        let mut child = command.spawn().map_err(Error::io("run", &self.binary))?;
        // Before the helper's input ends: until then the helper starts no process that would inherit our limit.
        if let Some(Err(error)) = child.id().map(open_files::hand_on) {
            tracing::warn!(container = self.id, %error, "a shim keeps this service's limit of open files");
        }
        if becomes == Becomes::Shim
            && gantry_systemd::is_running()
            && let Some(pid) = child.id()
        {
            self.settle(pid).await;
        }
        let stdin = child.stdin.take();
        let tell = async {
            if let Some(mut stdin) = stdin {
                // A helper that does not read its options ends without them. Its output says so.
                let _ = stdin.write_all(input).await;
            }
        };
        let talk = async { tokio::join!(tell, child.wait_with_output()) };
        match tokio::time::timeout(limit, talk).await {
            Ok(((), output)) => output.map_err(Error::io("wait for", &self.binary)),
            Err(_) => Err(Error::ShimStart {
                id: self.id.clone(),
                reason: format!("{} said nothing for {} s", self.binary.display(), limit.as_secs()),
            }),
        }
    }

    /// Moves a shim out of the cgroup of this service's unit.
    async fn settle(&self, pid: u32) {
        let settled = carry::blocking(move || place::settle(pid)).await;
        if let Some(Err(error)) = settled {
            let error = gantry_rpc::chain(&error);
            tracing::warn!(container = self.id, error, "a shim stays in this service's unit");
        }
    }

    fn failed(&self, output: &Output) -> Error {
        Error::ShimStart { id: self.id.clone(), reason: format!("{}: {}", output.status, said(output)) }
    }
}

fn said(output: &Output) -> String {
    [output.stderr.as_slice(), output.stdout.as_slice()]
        .iter()
        .map(|text| String::from_utf8_lossy(text).trim().to_owned())
        .filter(|text| !text.is_empty())
        .collect::<Vec<_>>()
        .join("; ")
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    use super::*;

    fn helper() -> Helper {
        let path = || PathBuf::from("/");
        Helper { binary: path(), namespace: "ns".into(), id: "c".into(), bundle: path(), front: path() }
    }

    fn program(words: &[&str]) -> Command {
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command
    }

    #[tokio::test]
    async fn a_helper_that_does_not_read_is_not_waited_for() {
        let options = vec![0; 1 << 20];
        let limit = Duration::from_millis(100);
        let run = helper().run(&mut program(&["sleep", "100"]), &options, limit, Becomes::Nothing).await;
        assert!(matches!(run, Err(Error::ShimStart { .. })), "{run:?}");
    }

    #[tokio::test]
    async fn a_helper_may_answer_before_it_has_read() {
        let options = vec![b'x'; 1 << 20];
        let script = "head -c 1000000 /dev/zero; cat";
        let output = helper()
            .run(&mut program(&["sh", "-c", script]), &options, START_LIMIT, Becomes::Nothing)
            .await
            .unwrap();
        assert_eq!(output.stdout.len(), 1_000_000 + options.len());
    }

    #[tokio::test]
    async fn shims_begin_with_the_limit_of_open_files_that_the_service_began_with() {
        let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
        setrlimit(Resource::Nofile, Rlimit { current: Some(777), maximum }).unwrap();
        open_files::raise().unwrap();
        assert_eq!(getrlimit(Resource::Nofile).current, maximum);
        let script = "cat; sh -c 'ulimit -Sn; ulimit -Hn'";
        let output = helper()
            .run(&mut program(&["sh", "-c", script]), &[], START_LIMIT, Becomes::Nothing)
            .await
            .unwrap();
        let maximum = maximum.map_or("unlimited".to_owned(), |maximum| maximum.to_string());
        assert_eq!(String::from_utf8_lossy(&output.stdout), format!("777\n{maximum}\n"));
    }
}
