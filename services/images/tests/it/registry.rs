//! Debian's `docker-registry` in a process of its own, with its data under /dev/shm.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A running registry, which ends with this value.
pub struct Registry {
    process: Child,
    pub port: u16,
    _directory: TempDir,
}

/// User `ada`, password `lovelace`.
const HTPASSWD: &str = "ada:$2b$04$PQO77oVN0q/ZsnZ.9nqwCOvP0YEZPW59y2I7p/0nktm5Z59tn83re\n";

/// How a registry protects itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guard {
    Open,
    Password,
    /// TLS with the fixture's certificate of this name, and a password.
    Tls(&'static str),
}

/// Where the certificates of the tests are.
pub fn fixture(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/fixtures").join(name)
}

impl Registry {
    /// Starts a registry on a free port of 127.0.0.1, and waits until it answers.
    pub fn start(guard: Guard) -> Self {
        let directory = tempfile::tempdir_in("/dev/shm").expect("a directory");
        let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = free.local_addr().expect("bound").port();
        drop(free);
        let root = directory.path().display();
        let mut config = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage:\n  filesystem: {{rootdirectory: {root}/data}}\n  delete: {{enabled: true}}\nhttp:\n  addr: 127.0.0.1:{port}\n"
        );
        if let Guard::Tls(name) = guard {
            let (certificate, key) = (fixture(&format!("{name}.crt")), fixture(&format!("{name}.key")));
            config += &format!("  tls: {{certificate: {}, key: {}}}\n", certificate.display(), key.display());
        }
        if guard != Guard::Open {
            fs::write(directory.path().join("htpasswd"), HTPASSWD).expect("written");
            config += &format!("auth:\n  htpasswd: {{realm: tests, path: {root}/htpasswd}}\n");
        }
        let file = directory.path().join("config.yml");
        fs::write(&file, config).expect("written");
        let process = Command::new("docker-registry")
            .arg("serve")
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("Debian's package docker-registry is installed");
        let deadline = Instant::now() + Duration::from_secs(10);
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < deadline, "the registry does not answer");
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { process, port, _directory: directory }
    }

    /// Its name in references.
    pub fn domain(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
