//! Texts and JSON.

use std::borrow::Cow;

use gantry_docker::Filters;
use gantry_engine::logs::line;
use gantry_gateway::input::{self, Body};
use gantry_types::filter::{Fields, FilterSet};
use gantry_types::{Digest, Reference};

/// A user's image reference. The canonical form parses to the same reference; the familiar form may parse to another,
/// as with Docker (`docker.io/lib.io/x`).
pub fn reference(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let _ = text.parse::<Digest>();
    let Ok(reference) = Reference::parse_normalized(text) else { return };
    let (whole, _) = (reference.to_string(), reference.familiar());
    let again = Reference::parse_normalized(&whole);
    assert_eq!(again.as_ref().ok(), Some(&reference), "{whole:?} of {text:?}");
    let tagged = reference.clone().with_default_tag();
    assert!(tagged.tag().is_some() || tagged.digest().is_some());
    assert!(reference.without_tag_or_digest().tag().is_none());
}

/// A containerd filter, and Docker's form of filters.
pub fn filter(bytes: &[u8]) {
    struct Any;
    impl Fields for Any {
        fn field(&self, path: &[String]) -> Option<Cow<'_, str>> {
            path.first().map(|part| Cow::Owned(part.clone()))
        }
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(filters) = FilterSet::parse(&[text]) {
        let _ = filters.matches(&Any);
        assert_eq!(filters.texts().collect::<Vec<_>>(), [text]);
    }
    if let Ok(filters) = Filters::parse_any(text) {
        let _ = (filters.until(), filters.flag("dangling"));
    }
    let _ = input::target(&format!("/v1.51/images/json?filters={text}"));
    let _ = input::target(text);
}

/// A manifest, an index or a config of an image.
pub fn manifest(bytes: &[u8]) {
    gantry_images::input::document(bytes);
}

/// A line of a container's log. The fast parser agrees with a JSON parser.
pub fn log_line(bytes: &[u8]) {
    let bytes = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let parsed = line::parse(bytes);
    if let Ok(line) = &parsed {
        let mut text = Vec::new();
        line::unescape(line.log, &mut text);
        // An invalid escape becomes a replacement character of three bytes.
        assert!(text.len() <= 2 * line.log.len());
    }
    let Ok(json) = serde_json::from_slice::<serde_json::Value>(bytes) else { return };
    let Some(log) = json["log"].as_str() else { return };
    // No log has a repeated or escaped key.
    if bytes.windows(5).filter(|window| window == b"\"log\"").count() != 1 {
        return;
    }
    let known = json.as_object().into_iter().flatten().all(|(key, value)| match key.as_str() {
        "log" | "stream" | "time" => value.is_string(),
        "attrs" => value.is_object(),
        _ => true,
    });
    if known && let Ok(line) = parsed {
        let mut text = Vec::new();
        line::unescape(line.log, &mut text);
        assert_eq!(String::from_utf8_lossy(&text), log);
    }
}

/// The body of a request; its first byte chooses which. Also headers, and WebSocket frames.
pub fn body(bytes: &[u8]) {
    let Some((which, rest)) = bytes.split_first() else { return };
    match Body::ALL.get(usize::from(*which).checked_sub(usize::from(b'0')).unwrap_or(usize::MAX)) {
        Some(body) => drop(body.read(rest)),
        None if which % 2 == 0 => input::registry_auth(rest),
        None => input::websocket(rest),
    }
}
