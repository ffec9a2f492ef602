//! Compiles the `.proto` files without a system `protoc`.

use std::path::{Path, PathBuf};

use prost_types::FileDescriptorSet;
use prost_types::method_options::IdempotencyLevel;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR")?);
    let mut files = Vec::new();
    for package in ["containerd", "gantry", "google"] {
        collect(&root.join(package), &mut files)?;
    }
    files.sort();
    for file in &files {
        println!("cargo::rerun-if-changed={}", file.display());
    }

    let descriptors = protox::compile(&files, [&root])?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("descriptors.bin"), encode(&descriptors))?;
    std::fs::write(out.join("methods.rs"), methods(&descriptors))?;
    let mut config = prost_build::Config::new();
    config.enable_type_names();
    tonic_prost_build::configure()
        // `connect` is a method of some services: no constructor of that name.
        .build_transport(false)
        .bytes(".")
        .include_file("packages.rs")
        .compile_fds_with_config(descriptors, config)?;
    Ok(())
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    println!("cargo::rerun-if-changed={}", folder.display());
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "proto") {
            files.push(path);
        }
    }
    Ok(())
}

/// The table of all methods, by path: what the descriptors say of them, for those who do not read descriptors.
fn methods(descriptors: &FileDescriptorSet) -> String {
    let mut rows = Vec::new();
    for file in &descriptors.file {
        for service in &file.service {
            for method in &service.method {
                let effect = match method.options.as_ref().map(|options| options.idempotency_level()) {
                    Some(IdempotencyLevel::NoSideEffects) => "None",
                    Some(IdempotencyLevel::Idempotent) => "Repeatable",
                    Some(IdempotencyLevel::IdempotencyUnknown) | None => "Once",
                };
                let streams = method.client_streaming() || method.server_streaming();
                let path = format!("/{}.{}/{}", file.package(), service.name(), method.name());
                rows.push(format!(
                    "Method {{ path: {path:?}, effect: Effect::{effect}, streams: {streams} }},\n"
                ));
            }
        }
    }
    rows.sort();
    format!("pub static METHODS: [Method; {}] = [\n{}];\n", rows.len(), rows.concat())
}

fn encode(descriptors: &impl prost::Message) -> Vec<u8> {
    descriptors.encode_to_vec()
}
