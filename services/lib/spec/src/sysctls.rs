//! Kernel parameters: the network service sets those of the network namespace, the runtime sets the others.

use std::collections::HashMap;

/// The kernel parameters of the network namespace: the requested ones, over two of Docker's.
pub fn of_network(asked: &HashMap<String, String>) -> HashMap<String, String> {
    let mut sysctls = HashMap::from([
        ("net.ipv4.ping_group_range".to_owned(), "0 2147483647".to_owned()),
        ("net.ipv4.ip_unprivileged_port_start".to_owned(), "0".to_owned()),
    ]);
    sysctls.extend(select(asked, is_of_network));
    sysctls
}

/// The kernel parameters that the runtime sets.
pub(crate) fn of_others(asked: &HashMap<String, String>) -> HashMap<String, String> {
    select(asked, |name| !is_of_network(name)).collect()
}

fn is_of_network(name: &str) -> bool {
    name.starts_with("net.")
}

fn select(
    asked: &HashMap<String, String>,
    wanted: impl Fn(&str) -> bool,
) -> impl Iterator<Item = (String, String)> {
    asked.iter().filter(move |(name, _)| wanted(name)).map(|(name, value)| (name.clone(), value.clone()))
}
