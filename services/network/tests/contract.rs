//! The contract suite of network on the service, in a network namespace of its own and through its socket. Needs
//! root.

use std::thread::JoinHandle;
use std::time::Duration;

use gantry_api::Peers;
use gantry_api::network::{Client, Inspect};
use gantry_daemon::{Context, Roots, Service as _};
use gantry_netlink::{Namespace, Route};
use gantry_rpc::{Code, Coded};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// A host with the service; dropping it ends both.
struct Host {
    root: TempDir,
    shutdown: CancellationToken,
    service: Option<JoinHandle<()>>,
}

impl Drop for Host {
    fn drop(&mut self) {
        self.shutdown.cancel();
        if let Some(service) = self.service.take() {
            let _ = service.join();
        }
        for pin in std::fs::read_dir(self.root.path().join("run/netns")).into_iter().flatten().flatten() {
            let _ = Namespace::unpin(&pin.path());
        }
    }
}

async fn service() -> (Client, Host) {
    let root = tempfile::tempdir_in("/dev/shm").expect("a directory");
    let roots = Roots { state: root.path().join("state"), run: root.path().join("run") };
    let lo = || {
        let mut route = Route::open()?;
        let lo = route.index("lo")?;
        route.set_up(lo)
    };
    let (host, up) = Namespace::create(lo).expect("a network namespace");
    up.expect("lo is up");
    let claim = roots.claim("network").expect("claimed");
    let context = Context::for_test("network", roots.clone());
    let shutdown = context.shutdown().clone();
    let service = std::thread::spawn(move || {
        let _claim = claim;
        host.enter().expect("entered");
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(2).enable_all().build().expect("a runtime");
        runtime.block_on(gantry_network::Service::run(context)).expect("the service ends well");
        runtime.shutdown_timeout(Duration::from_secs(5));
    });
    let client = Client::new(&Peers::new(&roots.run));
    let host = Host { root, shutdown, service: Some(service) };
    for _ in 0..1000 {
        match client.networks().await {
            Err(error) if error.code() == Code::Unavailable => {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            outcome => {
                outcome.expect("the service answers");
                return (client, host);
            }
        }
    }
    panic!("the service did not come up");
}

gantry_contract::network!(service);
