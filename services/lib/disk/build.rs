//! Refuses the feature `bundled-rocksdb` without the environment variables that RocksDB's own build script needs for
//! it.

fn main() {
    println!("cargo:rerun-if-env-changed=ROCKSDB_COMPILE");
    let bundled = std::env::var_os("CARGO_FEATURE_BUNDLED_ROCKSDB").is_some();
    let compiled = std::env::var("ROCKSDB_COMPILE").is_ok_and(|value| value == "1" || value == "true");
    assert!(
        !bundled || compiled,
        "the feature bundled-rocksdb needs ROCKSDB_COMPILE=1 ROCKSDB_INCLUDE_DIR=rocksdb/include in the environment"
    );
}
