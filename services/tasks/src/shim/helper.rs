//! The two short runs of a shim's binary: `start`, which leaves the shim
//! running and prints where it is, and `delete`, which cleans up after a shim
//! that died.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use gantry_proto::containerd::task::v3::DeleteResponse;
use prost::Message;
use prost_types::Any;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::binary;
use super::bootstrap::Bootstrap;
use crate::error::Error;

const START_LIMIT: Duration = Duration::from_secs(20);
const DELETE_LIMIT: Duration = Duration::from_secs(20);

/// What every run of a shim's binary is told.
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
    /// The front socket, for shims that publish.
    pub front: PathBuf,
}

impl Helper {
    /// Starts the shim: one short process.
    pub async fn start(&self, options: Option<&Any>) -> Result<Bootstrap, Error> {
        let mut command = self.command("start", &[]);
        let input = options.map(Message::encode_to_vec).unwrap_or_default();
        let output = self.run(command.env("MAX_SHIM_VERSION", "3"), &input, START_LIMIT).await?;
        if !output.status.success() {
            return Err(self.failed(&output));
        }
        Bootstrap::parse(&output.stdout).map_err(|reason| Error::ShimStart { id: self.id.clone(), reason })
    }

    /// Removes what a dead shim left: kills what still runs, unmounts, removes cgroups.
    pub async fn delete(&self) -> Result<DeleteResponse, Error> {
        let bundle = self.bundle.to_string_lossy();
        let output = self.run(&mut self.command("delete", &["-bundle", &bundle]), &[], DELETE_LIMIT).await?;
        if !output.status.success() {
            return Err(self.failed(&output));
        }
        DeleteResponse::decode(output.stdout.as_slice())
            .map_err(|error| Error::ShimStart { id: self.id.clone(), reason: format!("delete: {error}") })
    }

    fn command(&self, action: &str, extra: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command.arg("-namespace").arg(&self.namespace).arg("-address").arg(&self.front);
        command.arg("-publish-binary").arg(std::env::current_exe().unwrap_or_default());
        command.arg("-id").arg(&self.id).args(extra).arg(action);
        command.current_dir(&self.bundle).env("NAMESPACE", &self.namespace).env("GRPC_ADDRESS", &self.front);
        // Ours takes an address for events for a sign of containerd, and answers that it speaks ttrpc. It
        // publishes nothing: this service does.
        if binary::is_ours(&self.binary) {
            command.env_remove("TTRPC_ADDRESS");
        } else {
            command.env("TTRPC_ADDRESS", with_suffix(&self.front, ".ttrpc")).env("GOMAXPROCS", "2");
        }
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command
    }

    async fn run(&self, command: &mut Command, input: &[u8], limit: Duration) -> Result<Output, Error> {
        command.stdin(if input.is_empty() { Stdio::null() } else { Stdio::piped() });
        let mut child = command.spawn().map_err(Error::io("run", &self.binary))?;
        if let Some(mut stdin) = child.stdin.take() {
            // A helper that does not read its options ends without them; its answer tells.
            let _ = stdin.write_all(input).await;
        }
        match tokio::time::timeout(limit, child.wait_with_output()).await {
            Ok(output) => output.map_err(Error::io("wait for", &self.binary)),
            Err(_) => Err(Error::ShimStart {
                id: self.id.clone(),
                reason: format!("{} said nothing for {} s", self.binary.display(), limit.as_secs()),
            }),
        }
    }

    fn failed(&self, output: &Output) -> Error {
        let said = [output.stderr.as_slice(), output.stdout.as_slice()]
            .iter()
            .map(|text| String::from_utf8_lossy(text).trim().to_owned())
            .filter(|text| !text.is_empty())
            .collect::<Vec<_>>()
            .join("; ");
        Error::ShimStart { id: self.id.clone(), reason: format!("{}: {said}", output.status) }
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
