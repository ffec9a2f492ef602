//! The cost of one container: milliseconds for each step, the shim's memory, and how fast output reaches the log.
//! `GANTRY_SHIM` names another binary to measure.

#[path = "../tests/it/shim.rs"]
#[allow(dead_code)]
mod shim;

use std::time::{Duration, Instant};

use gantry_proto::containerd::task::v3 as task;
use shim::{Io, Place};

const ROUNDS: usize = 30;

#[derive(Default)]
struct Samples(Vec<(&'static str, Vec<Duration>)>);

impl Samples {
    fn add(&mut self, step: &'static str, since: Instant) -> Instant {
        let now = Instant::now();
        match self.0.iter_mut().find(|(name, _)| *name == step) {
            Some((_, samples)) => samples.push(now - since),
            None => self.0.push((step, vec![now - since])),
        }
        now
    }

    fn print(&mut self) {
        for (step, samples) in &mut self.0 {
            samples.sort();
            let ms = |duration: Duration| duration.as_secs_f64() * 1000.0;
            let (median, least) = (samples[samples.len() / 2], samples[0]);
            println!("{step:24} {:8.2} ms (least {:.2})", ms(median), ms(least));
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut samples = Samples::default();
    // The directory of compiled filters is shared: on a real machine too, only the first container compiles its
    // filter.
    let filters = tempfile::tempdir_in("/dev/shm").expect("a directory");
    for _ in 0..ROUNDS {
        let mut place = Place::new(&["true"]);
        let kept = place.directory.path().join("run/seccomp");
        std::os::unix::fs::symlink(filters.path(), kept).expect("a link");
        if let Ok(seccomp) = std::env::var("GANTRY_SECCOMP") {
            let text = std::fs::read(seccomp).expect("a profile");
            place.spec["linux"]["seccomp"] = serde_json::from_slice(&text).expect("a profile");
        }
        if let Ok(binary) = std::env::var("GANTRY_OCI_RUNTIME") {
            let options =
                gantry_proto::containerd::runc::v1::Options { binary_name: binary, ..Default::default() };
            place.options = Some(gantry_proto::pack(&options));
        }
        let at = Instant::now();
        let mut client = place.connect().await;
        let at = samples.add("start of the shim", at);
        client.create(place.create_request(&place.json_log())).await.expect("created");
        let at = samples.add("create", at);
        client.start(place.start_request("")).await.expect("started");
        let at = samples.add("start", at);
        place.wait(&mut client, "").await;
        let at = samples.add("wait", at);
        place.delete(&mut client, "").await.expect("deleted");
        samples.add("delete", at);
        place.finish_shim(&mut client).await;
    }
    let mut place = Place::new(&["sleep", "1000"]);
    let mut client = place.run(&place.json_log()).await;
    for round in 0..ROUNDS {
        let exec = format!("e{round}");
        let at = Instant::now();
        client.exec(place.exec_request(&exec, &["true"], &Io::default())).await.expect("announced");
        let at = samples.add("exec", at);
        client.start(place.start_request(&exec)).await.expect("started");
        let at = samples.add("start of exec", at);
        place.wait(&mut client, &exec).await;
        let at = samples.add("wait for exec", at);
        client.delete(task::DeleteRequest { id: place.id.clone(), exec_id: exec }).await.expect("deleted");
        samples.add("delete of exec", at);
    }
    samples.print();
    println!("{}", memory(place.shim.expect("a shim")));
    place.kill(&mut client, 9).await.expect("killed");
    place.wait(&mut client, "").await;
    place.finish(&mut client).await;

    let line = "x".repeat(99);
    let script = format!("yes {line} | head -n 3000000");
    let mut place = Place::new(&["sh", "-c", &script]);
    let at = Instant::now();
    let mut client = place.run(&place.json_log()).await;
    place.wait(&mut client, "").await;
    place.delete(&mut client, "").await.expect("deleted");
    let seconds = at.elapsed().as_secs_f64();
    let stat =
        std::fs::read_to_string(format!("/proc/{}/stat", place.shim.expect("a shim"))).expect("a shim");
    let ticks: Vec<u64> =
        stat.split_whitespace().skip(13).take(2).map(|field| field.parse().expect("ticks")).collect();
    println!("300 MB of lines: {:.0} MB/s; the shim's ticks: {ticks:?}", 300.0 / seconds);
    println!("{}", memory(place.shim.expect("a shim")));
}

fn memory(pid: u32) -> String {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).expect("a shim");
    let fields: Vec<&str> = text
        .lines()
        .filter(|line| {
            line.starts_with("Pss:") || line.starts_with("Rss:") || line.starts_with("Private_Dirty:")
        })
        .collect();
    fields.join(", ").split_whitespace().collect::<Vec<_>>().join(" ")
}
