//! `docker stats`: each field that clients use.

use gantry_tests::{Node, sides};
use serde_json::Value;

#[test]
fn each_figure_is_there() {
    let node = Node::start();
    for side in sides(&node) {
        let name = side.name("counted");
        side.docker(&["run", "-d", "--name", &name, "--memory", "64m", "busybox", "sleep", "1000"]).ok();
        let (status, stats) = side.api("GET", &format!("/containers/{name}/stats?stream=0"), "");
        assert_eq!(status, 200, "{}: {stats}", side.who);
        for pointer in [
            "/cpu_stats/cpu_usage/total_usage",
            "/cpu_stats/cpu_usage/usage_in_kernelmode",
            "/cpu_stats/cpu_usage/usage_in_usermode",
            "/cpu_stats/online_cpus",
            "/cpu_stats/system_cpu_usage",
            "/cpu_stats/throttling_data/periods",
            "/cpu_stats/throttling_data/throttled_periods",
            "/cpu_stats/throttling_data/throttled_time",
            "/precpu_stats/cpu_usage/total_usage",
            "/precpu_stats/system_cpu_usage",
            "/memory_stats/usage",
            "/memory_stats/stats/pgfault",
            "/networks/eth0/rx_bytes",
            "/networks/eth0/rx_dropped",
            "/networks/eth0/rx_errors",
            "/networks/eth0/rx_packets",
            "/networks/eth0/tx_bytes",
            "/networks/eth0/tx_dropped",
            "/networks/eth0/tx_errors",
            "/networks/eth0/tx_packets",
            "/num_procs",
        ] {
            let figure = stats.pointer(pointer).and_then(Value::as_u64);
            assert!(figure.is_some(), "{}: {pointer}: {stats}", side.who);
        }
        assert_eq!(stats["memory_stats"]["limit"], 64 << 20, "{}", side.who);
        assert_eq!(stats["pids_stats"]["current"], 1, "{}", side.who);
        assert_eq!(stats["name"], format!("/{name}"), "{}", side.who);
        // cgroup v1 has empty lists, v2 has no lists.
        let v1 = stats["cpu_stats"]["cpu_usage"]["percpu_usage"].is_array();
        for list in ["io_service_bytes_recursive", "io_merged_recursive", "sectors_recursive"] {
            assert_eq!(stats["blkio_stats"][list].is_array(), v1, "{}: {list}: {stats}", side.who);
        }
        for time in ["read", "preread"] {
            assert!(stats[time].as_str().is_some_and(|time| time.ends_with('Z')), "{}: {stats}", side.who);
        }
        side.docker(&["rm", "-f", &name]).ok();
        let (status, said) = side.api("GET", "/containers/nosuch/stats?stream=0", "");
        assert!(status == 404 && said["message"] == "No such container: nosuch", "{}: {said}", side.who);
    }
}
