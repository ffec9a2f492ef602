//! What services may log at WARN and ERROR during a test; any other such line fails it.
//!
//! A warning says that something is odd, an error that the operator has to act: a test in which one is logged has met
//! more than it checks. Lines that tests cause all the time are in [`ALLOWED`], each with the reason. Lines that a
//! single test causes are permitted by that test ([`crate::Node::permit`]).

/// What any log may contain: a part of the line, and the reason.
const ALLOWED: &[(&str, &str)] = &[
    (", as ordered", "the test has ordered a point to fail"),
    ("is away: ", "the test has killed a service: that the others say so, and go on, is what it looks at"),
    (
        "killed a shim without a task",
        "tasks was killed in the middle of a removal, which the next one finishes",
    ),
    (
        "a folder without a record is a volume again",
        "the engine was killed between a volume's folder and its record",
    ),
    ("what a commit left stays until its lease expires", "control was killed before a lease could be ended"),
    ("what a removed image leaves is collected later", "control was killed while it collected"),
];

/// Lines at WARN or ERROR, and panics, that neither [`ALLOWED`] nor the test permits; each kind once.
///
/// `logs` are the lines of the services: time, level, module, message.
pub fn unlisted(logs: &str, permits: &[String]) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut kinds: Vec<String> = Vec::new();
    for line in logs.lines().filter(|line| is_odd(line)) {
        let allowed = ALLOWED.iter().any(|(part, _)| line.contains(part));
        if allowed || permits.iter().any(|part| line.contains(part.as_str())) {
            continue;
        }
        let kind = kind(line);
        if !kinds.contains(&kind) {
            kinds.push(kind);
            found.push(line.to_owned());
        }
    }
    found
}

fn is_odd(line: &str) -> bool {
    let level = line.split_whitespace().nth(1).unwrap_or_default();
    matches!(level, "WARN" | "ERROR") || line.starts_with("thread '") && line.contains("panicked")
}

/// A line without its time, and without numbers, ids and paths.
fn kind(line: &str) -> String {
    let words = line.split_whitespace().skip(1);
    let constant = |word: &&str| !word.contains(|c: char| c.is_ascii_digit() || matches!(c, '/' | '='));
    words.filter(constant).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOGS: &str = "--- engine.log\n\
        2026-01-01T00:00:00.000000Z  INFO gantry_engine: a WARN that is none\n\
        2026-01-01T00:00:00.000001Z  WARN gantry_engine::x: volume stays volume=a1\n\
        2026-01-01T00:00:00.000002Z  WARN gantry_engine::x: volume stays volume=b2\n\
        2026-01-01T00:00:00.000003Z ERROR gantry_engine::x: records are lost\n\
        thread 'main' panicked at src/x.rs:1:1:\n";

    #[test]
    fn each_kind_is_told_once_unless_it_is_permitted() {
        let found = unlisted(LOGS, &[]);
        assert_eq!(found.len(), 3, "{found:#?}");
        assert!(found[0].ends_with("volume=a1"));
        let permits = ["volume stays".to_owned(), "panicked at src/x.rs".to_owned()];
        let found = unlisted(LOGS, &permits);
        assert!(found.len() == 1 && found[0].contains("records are lost"), "{found:#?}");
    }

    #[test]
    fn every_reason_is_told() {
        for (part, reason) in ALLOWED {
            assert!(part.len() > 5 && reason.split_whitespace().count() > 3, "{part}: {reason}");
        }
    }
}
