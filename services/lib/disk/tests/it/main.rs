//! A database on a disk that fills up. Needs root, to mount a small file system.

#![allow(clippy::disallowed_methods, reason = "the work of a test ends with it")]

mod loss;

use gantry_disk::{Database, Table};

/// A tmpfs, unmounted when it is dropped.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount(bytes: u64) -> SmallDisk {
        let dir = tempfile::tempdir_in("/dev/shm").expect("a temporary directory");
        let options = std::ffi::CString::new(format!("size={bytes}")).expect("no zero byte");
        let flags = rustix::mount::MountFlags::empty();
        rustix::mount::mount("tmpfs", dir.path(), "tmpfs", flags, options.as_c_str())
            .expect("mounted: this needs root");
        SmallDisk(dir)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        rustix::mount::unmount(self.0.path(), rustix::mount::UnmountFlags::DETACH).expect("unmounted");
    }
}

#[tokio::test]
async fn a_full_disk_refuses_puts_takes_deletes_and_recovers() {
    let disk = SmallDisk::mount(64 << 20);
    let db = Database::open(disk.0.path().join("db"), &["table"]).unwrap();
    let table: Table<String, String> = db.table("table");
    let put = async |key: &str| {
        let mut batch = db.batch();
        batch.put(&table, &key.to_owned(), &"value".to_owned());
        batch.commit().await
    };
    put("before").await.unwrap();
    let filler = disk.0.path().join("filler");
    std::fs::write(&filler, vec![1; 64 << 20]).unwrap_err();

    let refused = put("full").await.unwrap_err();
    assert!(refused.is_disk_full(), "{refused}");
    let mut batch = db.batch();
    batch.delete(&table, &"before".to_owned());
    batch.commit().await.unwrap();

    std::fs::remove_file(&filler).unwrap();
    put("after").await.unwrap();
    let keys: Vec<_> = table.scan_all().unwrap().into_iter().map(|(key, _)| key).collect();
    assert_eq!(keys, ["after"]);
}
