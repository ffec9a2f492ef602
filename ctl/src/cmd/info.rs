//! `gantry info`.

use anyhow::Result;
use gantry_api::images::{Inspect as _, Registries as _};
use serde_json::json;

use crate::cmd::{Session, said};
use crate::output::{self, Format};

pub async fn run(session: &Session) -> Result<()> {
    let engine = session.info().await?;
    let store = session.images();
    let images = store.images(&session.namespace(), &[]).await.map_err(said)?.len();
    let registries = store.registries().await.map_err(said)?;
    let kernel = read("/proc/sys/kernel/osrelease");
    let memory = memory();
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    if session.format == Format::Json {
        return output::json(&json!({
            "id": engine.id,
            "version": env!("CARGO_PKG_VERSION"),
            "containers": engine.containers,
            "running": engine.running,
            "paused": engine.paused,
            "stopped": engine.stopped,
            "images": images,
            "state": session.roots.state,
            "run": session.roots.run,
            "snapshotter": engine.snapshotter,
            "cgroup_version": engine.cgroup_version,
            "cgroup_driver": engine.cgroup_driver,
            "seccomp": engine.seccomp,
            "apparmor": engine.apparmor,
            "runtimes": engine.runtimes,
            "default_runtime": engine.default_runtime,
            "kernel": kernel,
            "processors": processors,
            "memory_bytes": memory,
            "registries": registries.iter().map(|registry| json!({
                "host": registry.host, "mirrors": registry.mirrors, "insecure": registry.insecure,
            })).collect::<Vec<_>>(),
            "warnings": engine.warnings,
        }));
    }
    let yes = |truth: bool| if truth { "yes" } else { "no" };
    let mut rows = vec![
        ("version", env!("CARGO_PKG_VERSION").to_owned()),
        ("id", engine.id),
        (
            "containers",
            format!(
                "{} ({} running, {} paused, {} stopped)",
                engine.containers, engine.running, engine.paused, engine.stopped
            ),
        ),
        ("images", images.to_string()),
        ("state", session.roots.state.display().to_string()),
        ("sockets", session.roots.run.display().to_string()),
        ("docker", format!("unix://{}", session.roots.run.join("docker.sock").display())),
        ("containerd", session.roots.run.join("containerd.sock").display().to_string()),
        ("snapshotter", engine.snapshotter),
        ("cgroups", format!("v{}, {}", engine.cgroup_version, engine.cgroup_driver)),
        ("seccomp", yes(engine.seccomp).to_owned()),
        ("apparmor", yes(engine.apparmor).to_owned()),
        ("runtimes", format!("{} (default {})", engine.runtimes.join(", "), engine.default_runtime)),
        ("kernel", kernel),
        ("processors", processors.to_string()),
        ("memory", output::bytes(memory)),
    ];
    for registry in &registries {
        let mut words = vec![registry.host.clone()];
        if !registry.mirrors.is_empty() {
            words.push(format!("mirrors {}", registry.mirrors.join(", ")));
        }
        if registry.insecure {
            words.push("insecure".to_owned());
        }
        rows.push(("registry", words.join("; ")));
    }
    rows.extend(engine.warnings.into_iter().map(|warning| ("warning", warning)));
    let rows: Vec<_> = rows.into_iter().map(|(name, value)| vec![name.to_owned(), value]).collect();
    output::write(output::columns(&rows).as_bytes())
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path).map(|text| text.trim().to_owned()).unwrap_or_default()
}

/// The machine's memory, bytes.
fn memory() -> u64 {
    let text = read("/proc/meminfo");
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).map_or(0, |kib| kib * 1024)
}
