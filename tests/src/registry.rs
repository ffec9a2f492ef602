//! Debian's `docker-registry`, in a node's network namespace.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::image::Image;
use crate::{Node, Outcome, eventually};

/// The access to a registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// Plain HTTP, without credentials.
    Open,
    /// TLS by a private authority, with the user `tester` and the password `secret`.
    Guarded,
}

/// A registry on 127.0.0.1:5000 of a node.
pub struct Registry {
    folder: TempDir,
    process: Child,
    netns: String,
    security: Security,
}

impl Registry {
    /// Its address.
    pub const ADDRESS: &'static str = "127.0.0.1:5000";

    /// Starts one, and returns when it answers.
    pub fn start(node: &Node, security: Security) -> Self {
        let folder = TempDir::with_prefix_in("gantry-registry-", "/dev/shm").expect("a temporary folder");
        let path = folder.path().display();
        let guard = match security {
            Security::Open => String::new(),
            Security::Guarded => {
                make_certificates(&folder);
                format!(
                    "  tls:\n    certificate: {path}/server.crt\n    key: {path}/server.key\n\
                     auth:\n  htpasswd:\n    realm: test\n    path: {path}/htpasswd\n"
                )
            }
        };
        let config = format!(
            "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {path}/data\n  delete:\n    enabled: true\n\
             http:\n  addr: {}\n{guard}",
            Self::ADDRESS
        );
        let file = folder.path().join("config.yml");
        std::fs::write(&file, config).expect("a file");
        let log = std::fs::File::create(folder.path().join("log")).expect("a file");
        let process = node
            .inside("docker-registry".as_ref())
            .arg("serve")
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("docker-registry is installed");
        let registry = Self { folder, process, netns: node.netns().to_owned(), security };
        eventually("the registry answers", Duration::from_secs(20), || {
            let outcome = registry.curl(&["-f", &registry.url("/v2/")]);
            if outcome.code == 0 { Ok(()) } else { Err(outcome.stderr) }
        });
        registry
    }

    /// The certificate of the private authority.
    pub fn authority(&self) -> PathBuf {
        self.folder.path().join("ca.crt")
    }

    /// Puts an image into a repository, under a tag.
    pub fn put(&self, repository: &str, tag: &str, image: &Image) {
        for (digest, bytes) in &image.blobs {
            let start = self
                .curl(&[
                    "-f",
                    "-D-",
                    "-o/dev/null",
                    "-XPOST",
                    &self.url(&format!("/v2/{repository}/blobs/uploads/")),
                ])
                .ok();
            let location = start
                .lines()
                .find_map(|line| {
                    line.split_once(": ").filter(|(name, _)| name.eq_ignore_ascii_case("location"))
                })
                .expect("an upload has a location")
                .1
                .trim()
                .to_owned();
            let file = self.file(bytes);
            let target = format!("{location}&digest={digest}");
            self.curl(&[
                "-f",
                "-XPUT",
                "-HContent-Type: application/octet-stream",
                "--data-binary",
                &file,
                &target,
            ])
            .ok();
        }
        let (media_type, bytes) = &image.manifest;
        let file = self.file(bytes);
        let target = self.url(&format!("/v2/{repository}/manifests/{tag}"));
        self.curl(&[
            "-f",
            "-XPUT",
            &format!("-HContent-Type: {media_type}"),
            "--data-binary",
            &file,
            &target,
        ])
        .ok();
    }

    /// Runs curl with the credentials of the registry.
    pub fn curl(&self, arguments: &[&str]) -> Outcome {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.netns, "curl", "-sS", "--noproxy", "*"]);
        if self.security == Security::Guarded {
            command.args(["-u", "tester:secret", "--cacert"]).arg(self.authority());
        }
        command.args(arguments);
        Outcome::of(command, b"")
    }

    /// The URL of a path.
    pub fn url(&self, path: &str) -> String {
        let scheme = if self.security == Security::Guarded { "https" } else { "http" };
        format!("{scheme}://{}{path}", Self::ADDRESS)
    }

    /// Its log: one line for each request.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    fn file(&self, bytes: &[u8]) -> String {
        let path = self.folder.path().join("body");
        std::fs::write(&path, bytes).expect("a file");
        format!("@{}", path.display())
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn make_certificates(folder: &TempDir) {
    let script = "
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=test-authority \
            -keyout ca.key -out ca.crt
        openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=127.0.0.1 \
            -keyout server.key -out server.csr
        printf 'subjectAltName=IP:127.0.0.1,DNS:localhost\\nbasicConstraints=CA:FALSE\\n' >server.ext
        openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile server.ext \
            -out server.crt
        htpasswd -Bbn tester secret >htpasswd
    ";
    let mut command = Command::new("bash");
    command.args(["-euc", script]).current_dir(folder.path());
    Outcome::of(command, b"").ok();
}
