//! Roots whose files appear with the ids of the container's user namespace.

use std::os::unix::fs::{MetadataExt, chown};
use std::path::Path;

use gantry_proto::containerd::task::v3 as task;
use gantry_proto::containerd::types::Mount;
use serde_json::json;

use crate::shim::Place;

const USERS: u32 = 100_000;
const GROUPS: u32 = 200_000;

/// A container with a user namespace and an empty root, and the directory of the files to mount there.
fn place(script: &str) -> (Place, std::path::PathBuf) {
    let mut place = Place::new(&["sh", "-c", script]);
    place.spec["linux"]["namespaces"].as_array_mut().expect("namespaces").push(json!({"type": "user"}));
    let mapping = |host: u32| json!([{"containerID": 0, "hostID": host, "size": 65_536}]);
    place.spec["linux"]["uidMappings"] = mapping(USERS);
    place.spec["linux"]["gidMappings"] = mapping(GROUPS);
    let files = place.directory.path().join("files");
    std::fs::rename(place.root(), &files).expect("moved");
    std::fs::create_dir(place.root()).expect("a root");
    (place, files)
}

async fn run(place: &mut Place, mount: Mount) -> String {
    let mut options = vec![format!("uidmap=0:{USERS}:65536"), format!("gidmap=0:{GROUPS}:65536")];
    options.extend(mount.options);
    let mount = Mount { options, ..mount };
    let io = place.json_log();
    let mut client = place.connect().await;
    let request = task::CreateTaskRequest { rootfs: vec![mount], ..place.create_request(&io) };
    client.create(request).await.expect("created");
    client.start(place.start_request("")).await.expect("started");
    assert_eq!(place.wait(&mut client, "").await, 0);
    place.finish(&mut client).await;
    place.logged("stdout")
}

fn owner(path: &Path) -> (u32, u32) {
    let stat = std::fs::metadata(path).expect("there");
    (stat.uid(), stat.gid())
}

#[tokio::test]
async fn an_overlay_shows_its_layers_with_the_container_s_ids() {
    let (mut place, files) = place("touch /new && chown 7:7 /own && stat -c %u:%g / /bin /new /theirs /own");
    let place_of = |name: &str| place.directory.path().join(name);
    let (top, upper, work) = (place_of("a:layer"), place_of("upper"), place_of("work"));
    for directory in [&top, &upper, &work] {
        std::fs::create_dir(directory).expect("a directory");
    }
    std::fs::write(top.join("theirs"), "").expect("a file");
    chown(top.join("theirs"), Some(5), Some(6)).expect("owned");
    std::fs::write(top.join("own"), "").expect("a file");
    chown(&upper, Some(USERS), Some(GROUPS)).expect("owned");
    let mount = Mount {
        r#type: "overlay".into(),
        source: "overlay".into(),
        options: vec![
            format!("workdir={}", work.display()),
            format!("upperdir={}", upper.display()),
            format!("lowerdir={}:{}", top.display().to_string().replace(':', "\\:"), files.display()),
            "index=off".into(),
        ],
        ..Default::default()
    };
    assert_eq!(run(&mut place, mount).await, "0:0\n0:0\n0:0\n5:6\n7:7\n");
    assert_eq!(owner(&upper.join("new")), (USERS, GROUPS));
    assert_eq!(owner(&upper.join("own")), (USERS + 7, GROUPS + 7));
    assert_eq!(owner(&top.join("own")), (0, 0), "nobody's file changes hands");
}

#[tokio::test]
async fn a_bound_root_keeps_its_owners_on_disk() {
    let (mut place, files) = place("touch /new && stat -c %u:%g / /new");
    let source = files.display().to_string();
    let mount = Mount {
        r#type: "bind".into(),
        source,
        options: vec!["rw".into(), "rbind".into()],
        ..Default::default()
    };
    assert_eq!(run(&mut place, mount).await, "0:0\n0:0\n");
    assert_eq!(owner(&files.join("new")), (0, 0));
}

#[tokio::test]
async fn a_map_that_is_none_is_refused() {
    for options in [vec!["uidmap=0:1:1"], vec!["uidmap=0:1", "gidmap=0:1:1"], vec!["uidmap=x", "gidmap=y"]] {
        let (mut place, files) = place("true");
        let options = [&options[..], &["rbind"]].concat().iter().map(ToString::to_string).collect();
        let source = files.display().to_string();
        let mount = Mount { r#type: "bind".into(), source, options, ..Default::default() };
        let mut client = place.connect().await;
        let request =
            task::CreateTaskRequest { rootfs: vec![mount], ..place.create_request(&place.json_log()) };
        client.create(request).await.expect_err("refused");
        place.assert_clean();
    }
}
