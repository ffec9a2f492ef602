//! The contract suite of tasks on the real shim and runtime: in the service itself, and through the socket. Needs
//! root, cgroups and busybox-static.

#![allow(clippy::disallowed_methods, reason = "the work of a test ends with it")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use gantry_api::Peers;
use gantry_api::tasks::records::Container;
use gantry_api::tasks::{Client, Inspect as _, Manage as _, Service, Wait as _, Whom, server};
use gantry_contract::tasks::{Machine, process};
use gantry_disk::Database;
use gantry_fakes::{Events, Serving};
use gantry_tasks::containers::{self, Containers};
use gantry_tasks::events;
use gantry_tasks::shim::binary::SearchPath;
use gantry_tasks::tasks::{Handle, Places, Tasks};
use gantry_types::{ContainerId, Namespace, ProcessId, Signal};
use prost_types::Any;
use serde_json::json;
use tempfile::TempDir;
use tokio::runtime::Handle as Runtime;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

/// Gives each test cgroups of its own.
static NEXT: AtomicU32 = AtomicU32::new(0);

/// The service under test, and what its containers need.
struct Real<T> {
    tasks: T,
    containers: Containers,
    root: PathBuf,
    cgroup: String,
}

impl<T: Service> Machine for Real<T> {
    type Tasks = T;

    fn tasks(&self) -> &T {
        &self.tasks
    }

    async fn container(&self, namespace: &Namespace, id: &ContainerId, arguments: &[&str]) {
        let spec = json!({
            "ociVersion": "1.0.2",
            "process": process(arguments),
            "root": {"path": self.root},
            "hostname": "test",
            "mounts": [
                {"destination": "/proc", "type": "proc", "source": "proc"},
                {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]},
            ],
            "linux": {
                "cgroupsPath": format!("/{}/{namespace}-{id}", self.cgroup),
                "namespaces": [{"type": "pid"}, {"type": "ipc"}, {"type": "uts"}, {"type": "mount"}],
            },
        });
        let spec = Any {
            type_url: "types.containerd.io/opencontainers/runtime-spec/1/Spec".to_owned(),
            value: spec.to_string().into_bytes(),
        };
        let container = Container::new(id, "io.containerd.gantry.v2", spec);
        self.containers.create(namespace, container).await.expect("recorded");
    }
}

/// The files of a test, which are removed with it.
struct World {
    folder: TempDir,
    tasks: Arc<Tasks>,
    stop: CancellationToken,
    cgroup: String,
    _control: Serving,
}

impl Drop for World {
    fn drop(&mut self) {
        let failed = std::thread::panicking();
        tokio::task::block_in_place(|| Runtime::current().block_on(self.end()));
        let of_test = |place: &Path| std::fs::remove_dir(place.join(&self.cgroup));
        let hierarchies = std::fs::read_dir("/sys/fs/cgroup").expect("cgroups").flatten();
        for place in hierarchies.map(|entry| entry.path()).chain([PathBuf::from("/sys/fs/cgroup")]) {
            let left = of_test(&place).is_err_and(|error| error.kind() != std::io::ErrorKind::NotFound);
            assert!(
                failed || !left || !place.is_dir(),
                "a container's cgroup is left in {}",
                place.display()
            );
        }
        let table = std::fs::read_to_string("/proc/self/mountinfo").expect("mounts");
        let folder = self.folder.path().display().to_string();
        assert!(failed || !table.contains(&folder), "a mount is left in {folder}");
    }
}

impl World {
    /// Removes all tasks, and waits for the end of their shims.
    async fn end(&self) {
        let handle = Handle::new(self.tasks.clone());
        let namespaces: BTreeSet<String> =
            self.tasks.all().iter().map(|task| task.namespace().to_owned()).collect();
        for namespace in namespaces {
            let namespace = namespace.parse().expect("a namespace");
            for task in handle.list(&namespace).await.unwrap_or_default() {
                let init = ProcessId::init(&task.id.container);
                let _ = handle.kill(&namespace, &init, Signal::KILL, Whom::All).await;
                let _ = tokio::time::timeout(Duration::from_secs(10), handle.wait(&namespace, &init)).await;
                let _ = handle.delete(&namespace, &init.container).await;
            }
        }
        self.stop.cancel();
        self.tasks.finish().await;
    }
}

/// The path of the shim's binary; builds it if it is missing.
fn shim() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        if let Some(shim) = std::env::var_os("GANTRY_SHIM") {
            return Path::new(&shim).parent().expect("a folder").to_owned();
        }
        let program = std::env::current_exe().expect("this program");
        let folder = program.ancestors().nth(2).expect("it is in deps").to_owned();
        if !folder.join("containerd-shim-gantry-v2").exists() {
            let built = Command::new(env!("CARGO")).args(["build", "--locked", "-p", "gantry-shim"]).status();
            assert!(built.expect("cargo runs").success(), "the shim is built");
        }
        folder
    })
}

async fn store() -> (Real<Handle>, World) {
    let folder = tempfile::tempdir_in("/dev/shm").expect("a directory");
    let (run, root) = (folder.path().join("run"), folder.path().join("root"));
    for path in ["bin", "etc", "proc", "dev"] {
        std::fs::create_dir_all(root.join(path)).expect("a root");
    }
    std::fs::create_dir_all(&run).expect("a directory");
    std::fs::copy("/bin/busybox", root.join("bin/busybox")).expect("busybox-static is installed");
    for applet in ["cat", "sh", "sleep"] {
        std::os::unix::fs::symlink("busybox", root.join("bin").join(applet)).expect("an applet");
    }
    std::fs::write(root.join("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n").expect("written");
    let control = gantry_fakes::routes(&run.join("control.sock"), Events::default().routes());

    let database = Database::open(folder.path().join("db"), &[containers::TABLE]).expect("a database");
    let containers = Containers::new(database);
    let stop = CancellationToken::new();
    let (publisher, courier) = events::queue(Peers::new(&run).channel("control"));
    tokio::spawn(courier.run(stop.clone()));
    let places = Places {
        bundles: run.join("bundles"),
        sandboxes: run.join("sandboxes"),
        front: run.join("containerd.sock"),
        search: SearchPath::only(vec![shim().to_owned()]),
    };
    let tasks = Tasks::new(places, containers.clone(), publisher, stop.clone());
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let cgroup = format!("gantry-tasks-test-{}-{number}", std::process::id());
    let real = Real { tasks: Handle::new(tasks.clone()), containers, root, cgroup: cgroup.clone() };
    (real, World { folder, tasks, stop, cgroup, _control: control })
}

async fn served() -> (Real<Client>, (Serving, World)) {
    let (Real { tasks, containers, root, cgroup }, world) = store().await;
    let run = world.folder.path().join("run");
    let serving = gantry_fakes::routes(&run.join("tasks.sock"), Routes::new(server::service(tasks)));
    let tasks = Client::new(&Peers::new(&run));
    (Real { tasks, containers, root, cgroup }, (serving, world))
}

mod on_the_store {
    gantry_contract::tasks!(super::store);
}

mod through_the_socket {
    gantry_contract::tasks!(super::served);
}
