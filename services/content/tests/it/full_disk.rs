//! A disk that fills up. Needs root, for a small file system of its own.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use gantry_proto::containerd::services::content::v1 as pb;
use gantry_rpc::context;
use gantry_types::Digest;
use tonic::Code;

use crate::harness::*;

/// A tmpfs that is gone when the test is.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount() -> (SmallDisk, tempfile::TempDir) {
        let dir = tempfile::tempdir_in("/dev/shm").expect("a temporary directory");
        let status =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=80m", "tmpfs"]).arg(dir.path()).status();
        assert!(status.expect("mount(8)").success(), "mounting needs root");
        (SmallDisk(dir.path().to_owned()), dir)
    }

    /// Leaves less than the database keeps in reserve.
    fn fill(&self) -> PathBuf {
        let path = self.0.join("filler");
        let mut file = File::create(&path).expect("created");
        while file.write_all(&[1; 1 << 20]).is_ok() {}
        let length = file.metadata().expect("there").len();
        file.set_len(length.saturating_sub(8 << 20)).expect("truncated");
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let status = Command::new("umount").arg("--lazy").arg(&self.0).status();
        assert!(status.expect("umount(8)").success());
        std::fs::remove_dir(&self.0).expect("removed");
    }
}

#[tokio::test]
async fn root_a_commit_that_the_disk_refuses_leaves_its_bytes_to_the_ingest() {
    let (disk, dir) = SmallDisk::mount();
    let content = Content::start_in(dir).await;
    let bytes = pattern(1 << 20);
    let (digest, size) = (Digest::sha256(&bytes), bytes.len() as i64);
    for reference in ["given-up", "repeated"] {
        let mut stream = content.write(&moby(), None).await;
        stream.ask(stat(reference)).await.unwrap();
        stream.ask(write(0, &bytes)).await.unwrap();
        stream.close().await;
    }
    let commit_of = async |reference: &str| {
        let mut stream = content.write(&moby(), None).await;
        let request = commit(size, size, Some(&digest));
        stream.ask(pb::WriteContentRequest { r#ref: reference.to_owned(), total: 0, ..request }).await
    };
    let filler = disk.fill();
    for reference in ["given-up", "repeated"] {
        assert_eq!(commit_of(reference).await.unwrap_err().code(), Code::ResourceExhausted);
        assert!(content.files("blobs").is_empty(), "the bytes would outlive the ingest");
    }
    for data in content.files("ingest") {
        assert_eq!(std::fs::metadata(data).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let abort = context::with_namespace(pb::AbortRequest { r#ref: "given-up".into() }, &moby());
    content.client().abort(abort).await.unwrap();
    assert_eq!(content.files("ingest").len(), 1);

    std::fs::remove_file(filler).unwrap();
    commit_of("repeated").await.unwrap();
    assert_eq!(content.read(&moby(), &digest, 0, 0).await.unwrap(), bytes);
    assert!(content.files("ingest").is_empty());
}
