//! What a restart of the service finds.

use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use gantry_proto::containerd::services::tasks::v1 as pb;
use gantry_proto::gantry::gc::v1::FsckRequest;
use gantry_tasks::bundle::Bundle;
use tonic::Code;

use crate::shim::FakeShim;
use crate::world::{World, eventually};

/// A process that looks like the shim of `id`, with a child. Both end when it is dropped.
struct Lookalike(Child);

impl Lookalike {
    fn start(world: &World, id: &str, socket: &Path) -> Lookalike {
        let command = Command::new(Self::binary(world));
        Self::run(command, "sleep 1000 & wait", world, id, socket)
    }

    /// Starts one without a child in a PID namespace of its own, like a process in a container.
    async fn start_in_a_container(world: &World, id: &str, socket: &Path) -> Lookalike {
        let mut command = Command::new("unshare");
        command.args(["--pid", "--fork", "--kill-child"]).arg(Self::binary(world));
        command.stdin(std::process::Stdio::piped());
        let container = Self::run(command, "read line", world, id, socket);
        let exe = format!("/proc/{}/exe", container.child().await);
        let binary = Self::binary(world);
        let runs = || std::fs::read_link(&exe).is_ok_and(|exe| exe == binary).then_some(());
        eventually("it runs", runs).await;
        container
    }

    fn binary(world: &World) -> PathBuf {
        let folder = world.shims().join("lookalike");
        let binary = folder.join("containerd-shim-gantry-v2");
        if !binary.exists() {
            std::fs::create_dir_all(folder).unwrap();
            std::fs::copy("/bin/sh", &binary).unwrap();
        }
        binary
    }

    fn run(mut command: Command, script: &str, world: &World, id: &str, socket: &Path) -> Lookalike {
        command.args(["-c", script, "-id", id, "-namespace", "test", "-socket"]).arg(socket);
        Lookalike(command.current_dir(world.bundle(id)).spawn().unwrap())
    }

    /// The pid of the child.
    async fn child(&self) -> String {
        let pid = self.0.id();
        let children = || std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
        eventually("it has a child", || (!children().is_empty()).then_some(())).await;
        children().trim().to_owned()
    }

    fn lives(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }
}

impl Drop for Lookalike {
    fn drop(&mut self) {
        // Kills the child first: then the lookalike has no process to wait for, and ends.
        let pid = self.0.id();
        let children =
            std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        for child in children.split_ascii_whitespace() {
            let _ = Command::new("kill").arg(child).status();
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn what_happened_meanwhile_is_told_once() {
    let mut world = World::new().await;
    let shims = [world.running("ends").await, world.running("stays").await];
    world.exec("ends", "e").await.unwrap();
    world.start("ends", "e").await.unwrap();
    assert_eq!(world.events(8).await.len(), 8);
    world.stop_service().await;
    shims[0].end("e", 0);
    shims[0].end("", 3);
    world.start_service().await;
    assert_eq!(world.events(10).await[8..], ["/tasks/exit e 0", "/tasks/exit ends 3"]);
    let request = world.request(pb::WaitRequest { container_id: "ends".into(), exec_id: String::new() });
    assert_eq!(world.peers.tasks().wait(request).await.unwrap().into_inner().exit_status, 3);

    world.stop_service().await;
    world.start_service().await;
    assert_eq!(world.events(10).await.len(), 10);
    shims[1].end("", 0);
    assert_eq!(world.events(11).await[10..], ["/tasks/exit stays 0"]);
    let request = world.request(pb::DeleteTaskRequest { container_id: "ends".into() });
    assert_eq!(world.peers.tasks().delete(request).await.unwrap().into_inner().exit_status, 3);
}

#[tokio::test]
async fn an_exec_that_failed_to_start_has_an_end_and_no_event_of_it() {
    let mut world = World::new().await;
    let shim = world.running("c").await;
    world.exec("c", "missing").await.unwrap();
    world.start("c", "missing").await.unwrap_err();
    assert_eq!(world.events(4).await.len(), 4);
    let wait = || pb::WaitRequest { container_id: "c".into(), exec_id: "missing".into() };
    for restarted in [false, true] {
        if restarted {
            world.stop_service().await;
            world.start_service().await;
        }
        let mut tasks = world.peers.tasks();
        let waiting = tasks.wait(world.request(wait()));
        let ended = tokio::time::timeout(std::time::Duration::from_secs(10), waiting).await;
        assert_eq!(ended.expect("it ends").unwrap().into_inner().exit_status, 127, "{restarted}");
    }
    let delete = pb::DeleteProcessRequest { container_id: "c".into(), exec_id: "missing".into() };
    world.peers.tasks().delete_process(world.request(delete)).await.unwrap();
    shim.end("", 0);
    assert_eq!(world.events(5).await[3..], ["/tasks/exec-added", "/tasks/exit c 0"]);
}

#[tokio::test]
async fn a_shim_that_died_meanwhile_is_cleaned_up_after() {
    let mut world = World::new().await;
    let shim = world.running("c").await;
    world.events(3).await;
    world.stop_service().await;
    shim.die();
    world.start_service().await;
    assert_eq!(world.events(5).await[3..], ["/tasks/exit c 137", "/tasks/delete"]);
    let request = world.request(pb::GetRequest { container_id: "c".into(), ..Default::default() });
    assert_eq!(world.peers.tasks().get(request).await.unwrap_err().code(), Code::NotFound);
    eventually("the bundle is gone", || (!world.bundle("c").exists()).then_some(())).await;
}

#[tokio::test]
async fn a_shim_that_answers_with_an_error_keeps_its_container() {
    let mut world = World::new().await;
    let shim = world.running("c").await;
    world.events(3).await;
    world.stop_service().await;
    shim.set_unwell(true);
    world.start_service().await;
    assert!(world.bundle("c").exists());
    shim.set_unwell(false);
    shim.end("", 4);
    assert_eq!(world.events(4).await[3..], ["/tasks/exit c 4"]);
}

#[tokio::test]
async fn events_wait_for_control() {
    let mut world = World::new().await;
    world.container("c").await;
    let _shim = FakeShim::start(&world.shims(), "c");
    world.events(1).await;
    world.stop_control();
    world.create("c").await.unwrap();
    world.start("c", "").await.unwrap();
    // A shim that died before it reported the exit.
    world.stop_service().await;
    world.start_service().await;
    assert_eq!(world.topics().len(), 1);
    world.start_control();
    assert_eq!(world.events(3).await, ["/containers/create", "/tasks/create", "/tasks/start"]);
}

#[tokio::test]
async fn a_bundle_without_a_shim_goes() {
    let mut world = World::new().await;
    world.stop_service().await;
    std::fs::create_dir_all(world.bundle("half")).unwrap();
    std::fs::write(world.bundle("half").join("config.json"), "{}").unwrap();
    world.start_service().await;
    eventually("the bundle is gone", || (!world.bundle("half").exists()).then_some(())).await;
    assert!(world.topics().is_empty());
}

#[tokio::test]
async fn a_shim_without_a_bundle_is_killed_unless_a_container_runs_in_it() {
    let mut world = World::new().await;
    world.stop_service().await;
    std::fs::create_dir_all(world.bundle("gone")).unwrap();
    let mut shim = Lookalike::start(&world, "gone", &world.shims().join("gone.sock"));
    let process = format!("/proc/{}", shim.child().await);
    std::fs::remove_dir(world.bundle("gone")).unwrap();
    world.start_service().await;
    let pid = shim.0.id().to_string();
    for repair in [false, true] {
        let request = world.request(FsckRequest { repair, ..Default::default() });
        let strays = world.peers.fsck("tasks").check(request).await.unwrap().into_inner().strays;
        assert!(matches!(&strays[..], [stray] if stray.name == pid && !stray.repaired), "{strays:?}");
    }
    assert!(shim.lives() && Path::new(&process).exists());

    Command::new("kill").arg(process.rsplit('/').next().unwrap()).status().unwrap();
    eventually("the shim is gone", || (!shim.lives()).then_some(())).await;
}

#[tokio::test]
async fn a_container_that_looks_like_a_shim_has_nothing_removed() {
    let mut world = World::new().await;
    world.stop_service().await;
    std::fs::create_dir_all(world.bundle("gone")).unwrap();
    let named = world.shims().join("somebodys.sock");
    drop(std::os::unix::net::UnixListener::bind(&named).unwrap());
    let container = Lookalike::start_in_a_container(&world, "gone", &named).await;
    let process = format!("/proc/{}", container.child().await);
    std::fs::remove_dir(world.bundle("gone")).unwrap();
    world.start_service().await;
    let request = world.request(FsckRequest { repair: true, ..Default::default() });
    let strays = world.peers.fsck("tasks").check(request).await.unwrap().into_inner().strays;
    assert!(strays.is_empty(), "{strays:?}");
    assert!(Path::new(&process).exists() && named.exists());
}

#[tokio::test]
async fn a_container_runs_on_whatever_its_bundle_has_lost() {
    let mut world = World::new().await;
    let fake = world.running("c").await;
    world.events(3).await;
    world.stop_service().await;
    let mut shim = Lookalike::start(&world, "c", &world.shims().join("c.sock"));
    shim.child().await;
    std::fs::remove_file(world.bundle("c").join("bootstrap.json")).unwrap();
    world.start_service().await;
    assert!(shim.lives(), "its shim says where it listens");
    let get = || pb::GetRequest { container_id: "c".into(), ..Default::default() };
    world.peers.tasks().get(world.request(get())).await.unwrap();

    world.stop_service().await;
    let (socket, kept) = (world.shims().join("c.sock"), world.shims().join("kept"));
    std::fs::rename(&socket, &kept).unwrap();
    world.start_service().await;
    assert!(shim.lives() && world.bundle("c").exists());
    std::fs::rename(&kept, &socket).unwrap();
    let request = world.request(FsckRequest { repair: true, ..Default::default() });
    let strays = world.peers.fsck("tasks").check(request).await.unwrap().into_inner().strays;
    assert!(matches!(&strays[..], [stray] if stray.repaired), "{strays:?}");
    fake.end("", 4);
    assert_eq!(world.events(4).await[3..], ["/tasks/exit c 4"]);
}

#[tokio::test]
async fn a_shim_whose_bundle_cannot_be_read_is_left_alone() {
    for unreadable in ["journal", "bootstrap.json"] {
        let mut world = World::new().await;
        let fake = world.running("c").await;
        world.events(3).await;
        world.stop_service().await;
        let socket = world.shims().join("c.sock");
        let mut shim = Lookalike::start(&world, "c", &socket);
        // The shim of a group: "first" is its first container, whose bundle is removed before that of "c".
        std::fs::create_dir_all(world.bundle("first")).unwrap();
        let mut group = Lookalike::start(&world, "first", &socket);
        std::fs::remove_dir(world.bundle("first")).unwrap();
        let (path, kept) = (world.bundle("c").join(unreadable), world.shims().join("kept"));
        std::fs::rename(&path, &kept).unwrap();
        std::fs::create_dir(&path).unwrap();
        world.start_service().await;
        assert!(shim.lives() && group.lives(), "{unreadable}");

        // When the reason is gone, the next recovery finds the task.
        std::fs::remove_dir(&path).unwrap();
        std::fs::rename(&kept, &path).unwrap();
        let request = world.request(FsckRequest { repair: true, ..Default::default() });
        let strays = world.peers.fsck("tasks").check(request).await.unwrap().into_inner().strays;
        assert!(matches!(&strays[..], [stray] if stray.repaired && stray.kind == "directory"), "{strays:?}");
        assert!(shim.lives() && group.lives(), "{unreadable}");
        fake.end("", 4);
        assert_eq!(world.events(4).await[3..], ["/tasks/exit c 4"]);
    }
}

#[test]
fn what_is_still_mounted_in_a_bundle_outlives_it() {
    let folder = tempfile::tempdir_in("/dev/shm").unwrap();
    let root = folder.path().join("root");
    std::fs::create_dir(&root).unwrap();
    std::fs::write(root.join("file"), "a container's").unwrap();
    let bundles = folder.path().join("bundles");
    let bundle = Bundle::create(&bundles, "test", "c", b"{}", Path::new("/bin/true")).unwrap();
    let place = bundle.folder().join("rootfs");
    let mounted = Command::new("mount").arg("--bind").arg(&root).arg(place).status().unwrap();
    assert!(mounted.success());
    let aside = bundle.set_aside().unwrap();
    let removed = aside.remove();
    // In case the mount is left.
    let _ = Command::new("umount").arg("-l").arg(aside.folder().join("rootfs")).output();
    removed.unwrap();
    assert!(!aside.folder().exists());
    assert_eq!(std::fs::read_to_string(root.join("file")).unwrap(), "a container's");
}
