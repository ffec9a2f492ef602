//! What containers expose: ports, and runs of ports as some builders write them into images.

use super::validate::{host_ports, port_of};

/// Each port on its own: `7000-7001/TCP` is `7000/tcp` and `7001/tcp`. What is none stays as it is.
pub fn expand(exposed: &[String]) -> Vec<String> {
    let mut ports: Vec<String> = Vec::new();
    for text in exposed {
        let text = text.to_ascii_lowercase();
        let (run, protocol) = text.split_once('/').unwrap_or((&text, "tcp"));
        let each = match host_ports(run) {
            Ok((first @ 1.., last)) if port_of(&format!("{first}/{protocol}")).is_ok() => {
                (first..=last).map(|port| format!("{port}/{protocol}")).collect()
            }
            _ => vec![text],
        };
        for port in each {
            if !ports.contains(&port) {
                ports.push(port);
            }
        }
    }
    ports
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_single_ports() {
        let exposed = ["80", "7000-7002/TCP", "7001/tcp", "53/udp", "9-8/tcp", "x/tcp"].map(str::to_owned);
        assert_eq!(
            expand(&exposed),
            ["80/tcp", "7000/tcp", "7001/tcp", "7002/tcp", "53/udp", "9-8/tcp", "x/tcp"]
        );
    }
}
