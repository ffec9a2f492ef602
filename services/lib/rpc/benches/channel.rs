//! The cost of a call over a [`Channel`] and over tonic's own channel, measured in turn with one server in a process
//! of its own. The difference is the cost of deadlines, cancellation, trace and caller.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use gantry_rpc::{Channel, socket, terms};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::body::Body;
use tonic::client::GrpcService;
use tonic::transport::{Endpoint, Server};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

const SERVER: &str = "GANTRY_BENCH_SERVER";
/// How many calls between services it takes to create, start, wait for and remove a container on a bridge (from
/// `gantry metrics`, before and after).
const CALLS_A_CONTAINER: f64 = 32.0;
const ROUNDS: usize = 40;
const CALLS: usize = 250;

fn main() {
    // As services have it.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime");
    match std::env::var_os(SERVER) {
        Some(path) => runtime.block_on(serve(Path::new(&path))),
        None => runtime.block_on(measure()),
    }
}

async fn serve(path: &Path) {
    let (_, health) = tonic_health::server::health_reporter();
    let incoming = UnixListenerStream::new(socket::bind(path, 0o600).expect("bound"));
    Server::builder().add_service(health).serve_with_incoming(incoming).await.expect("served");
}

async fn measure() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("s.sock");
    let itself = std::env::current_exe().expect("this program");
    let mut server = std::process::Command::new(itself).env(SERVER, &path).spawn().expect("a server");
    while !path.exists() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let (mut ours, mut theirs) = (Samples::new("gantry"), Samples::new("tonic"));
    for _ in 0..ROUNDS {
        ours.take(Channel::unix("bench", path.clone(), terms::open)).await;
        theirs.take(tonic_channel(path.clone())).await;
    }
    let added = (ours.print() - theirs.print()) * CALLS_A_CONTAINER / 1000.0;
    println!("the difference is {added:.2} ms a container");
    server.kill().and_then(|()| server.wait()).expect("ended");
}

fn tonic_channel(path: PathBuf) -> tonic::transport::Channel {
    let connector = tower::service_fn(move |_| {
        let path = path.clone();
        async move { UnixStream::connect(path).await.map(TokioIo::new) }
    });
    Endpoint::from_static("http://localhost").connect_with_connector_lazy(connector)
}

struct Samples {
    name: &'static str,
    first: Vec<Duration>,
    further: Vec<Duration>,
    processor: Duration,
}

impl Samples {
    fn new(name: &'static str) -> Self {
        Self { name, first: Vec::new(), further: Vec::new(), processor: Duration::ZERO }
    }

    /// One call that connects, and those over the existing connection.
    async fn take<T>(&mut self, channel: T)
    where
        T: GrpcService<Body>,
        T::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
        T::ResponseBody: http_body::Body<Data = bytes::Bytes> + Send + 'static,
        <T::ResponseBody as http_body::Body>::Error: Into<Box<dyn std::error::Error + Send + Sync>> + Send,
    {
        let mut client = HealthClient::new(channel);
        let before = processor();
        for call in 0..=CALLS {
            let at = Instant::now();
            client.check(HealthCheckRequest::default()).await.expect("an answer");
            if call == 0 { &mut self.first } else { &mut self.further }.push(at.elapsed());
        }
        self.processor += processor() - before;
    }

    /// Prints the medians in microseconds. Returns the median of a call.
    fn print(&mut self) -> f64 {
        let middle = |samples: &mut Vec<Duration>| {
            samples.sort();
            samples[samples.len() / 2].as_secs_f64() * 1e6
        };
        let calls = u32::try_from(ROUNDS * (CALLS + 1)).expect("few");
        let (first, further) = (middle(&mut self.first), middle(&mut self.further));
        let processor = (self.processor / calls).as_secs_f64() * 1e6;
        println!(
            "{:8} a call {further:6.1} µs, the first {first:6.1} µs (medians); processor time in the client {processor:5.1} µs",
            self.name,
        );
        further
    }
}

/// The processor time of this process's threads (`/proc/PID/schedstat`, proc(5)).
fn processor() -> Duration {
    let threads = std::fs::read_dir("/proc/self/task").expect("threads").flatten();
    let used =
        threads.map(|thread| std::fs::read_to_string(thread.path().join("schedstat")).unwrap_or_default());
    let nanos = used.filter_map(|text| text.split(' ').next()?.parse::<u64>().ok());
    Duration::from_nanos(nanos.sum())
}
