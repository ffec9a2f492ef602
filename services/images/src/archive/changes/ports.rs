//! `EXPOSE` among the instructions: `[[ip:]host:]port[-port][/protocol]`, of which the container's part counts.

/// The ports, each as `port/protocol`.
pub fn parse(text: &str) -> Result<Vec<String>, String> {
    let (ports, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let protocol = protocol.to_ascii_lowercase();
    if !matches!(protocol.as_str(), "tcp" | "udp" | "sctp") {
        return Err(format!("Invalid proto: {protocol}"));
    }
    let (host, ports) = ports.rsplit_once(':').unwrap_or(("", ports));
    let invalid = || format!("Invalid containerPort: {ports}");
    let (first, last) = range(ports).ok_or_else(invalid)?;
    let host = host.rsplit(':').next().unwrap_or_default();
    if !host.is_empty() {
        let (low, high) = range(host).ok_or_else(|| format!("Invalid hostPort: {host}"))?;
        if last != first && high - low != last - first {
            return Err(format!("Invalid ranges specified for container and host Ports: {ports} and {host}"));
        }
    }
    Ok((first..=last).map(|port| format!("{port}/{protocol}")).collect())
}

fn range(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last).then_some((first, last))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn only_the_containers_ports_count() {
        for (text, ports) in [
            ("80", &["80/tcp"][..]),
            ("53/UDP", &["53/udp"]),
            ("7-9", &["7/tcp", "8/tcp", "9/tcp"]),
            ("127.0.0.1:8080:80", &["80/tcp"]),
        ] {
            assert_eq!(parse(text), Ok(ports.iter().map(ToString::to_string).collect()), "{text}");
        }
        for text in ["", "many", "9-7", "99999", "80/x", "1.2.3.4:80", "1-3:5-6"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
