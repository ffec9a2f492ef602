//! Progress streams: one JSON object a line, each with `\r\n` at its end.

use bytes::Bytes;
use serde::Serialize;

/// One line of a progress stream. Unset members are omitted.
#[derive(Debug, Default, Serialize)]
pub struct Line {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    #[serde(rename = "progressDetail", skip_serializing_if = "Option::is_none")]
    pub detail: Option<Detail>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    #[serde(rename = "errorDetail", skip_serializing_if = "Option::is_none")]
    pub error_detail: Option<ErrorDetail>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aux: Option<PushResult>,
}

/// How far an action has come, in bytes.
#[derive(Debug, Default, Serialize)]
pub struct Detail {
    #[serde(skip_serializing_if = "super::is_default")]
    pub current: i64,
    #[serde(skip_serializing_if = "super::is_default")]
    pub total: i64,
}

#[derive(Debug, Serialize)]
pub struct ErrorDetail {
    #[serde(skip_serializing_if = "super::is_default")]
    pub code: u16,
    pub message: String,
}

/// What the last line of a push carries.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct PushResult {
    pub tag: String,
    pub digest: String,
    pub size: i64,
}

impl Line {
    /// A status of the whole action.
    pub fn status(text: impl Into<String>) -> Self {
        Self { status: Some(text.into()), ..Self::default() }
    }

    /// A status of one part, without numbers.
    pub fn part(id: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            status: Some(text.into()),
            id: Some(id.into()),
            detail: Some(Detail::default()),
            ..Self::default()
        }
    }

    /// A status of one part, with numbers.
    pub fn measured(id: impl Into<String>, text: impl Into<String>, current: i64, total: i64) -> Self {
        Self {
            progress: Some(bar(current, total)),
            detail: Some(Detail { current, total }),
            ..Self::part(id, text)
        }
    }

    /// Output of a build or load.
    pub fn stream(text: impl Into<String>) -> Self {
        Self { stream: Some(text.into()), ..Self::default() }
    }

    /// A failure after the stream has begun.
    pub fn failed(message: impl Into<String>) -> Self {
        let message = message.into();
        Self {
            error_detail: Some(ErrorDetail { code: 0, message: message.clone() }),
            error: Some(message),
            ..Self::default()
        }
    }

    /// A machine-readable result.
    pub fn aux(result: PushResult) -> Self {
        Self { detail: Some(Detail::default()), aux: Some(result), ..Self::default() }
    }

    /// The line as it is sent.
    pub fn encode(&self) -> Bytes {
        let mut bytes = serde_json::to_vec(self).unwrap_or_default();
        bytes.extend_from_slice(b"\r\n");
        bytes.into()
    }
}

/// The bar, which old clients print as it is: `[====>    ]  1.2MB/3MB`.
fn bar(current: i64, total: i64) -> String {
    if total <= 0 || current > total {
        return format!("{:>8}", size(current));
    }
    let done = usize::try_from(current.saturating_mul(100) / total / 2).unwrap_or(0).min(50);
    let mut text = "=".repeat(done);
    if done < 50 {
        text.push('>');
    }
    format!("[{text:<50}] {:>8}/{}", size(current), size(total))
}

/// A size with four digits, like `1.234MB`.
pub fn size(bytes: i64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "shown with four digits")]
    let mut value = bytes as f64;
    let units = ["B", "kB", "MB", "GB", "TB", "PB"];
    let mut unit = 0;
    while value >= 1000.0 && unit + 1 < units.len() {
        value /= 1000.0;
        unit += 1;
    }
    let decimals = match value {
        value if value >= 1000.0 => 0,
        value if value >= 100.0 => 1,
        value if value >= 10.0 => 2,
        _ => 3,
    };
    let text = format!("{value:.decimals$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text}{}", units[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_as_docker_writes_them() {
        let rows = [
            (
                Line { id: Some("latest".into()), ..Line::status("Pulling from library/x") },
                r#"{"status":"Pulling from library/x","id":"latest"}"#,
            ),
            (
                Line::part("abc", "Pull complete"),
                r#"{"status":"Pull complete","progressDetail":{},"id":"abc"}"#,
            ),
            (Line::stream("Loaded image: x:1\n"), r#"{"stream":"Loaded image: x:1\n"}"#),
            (Line::failed("no"), r#"{"errorDetail":{"message":"no"},"error":"no"}"#),
            (
                Line::aux(PushResult { tag: "1".into(), digest: "sha256:a".into(), size: 7 }),
                r#"{"progressDetail":{},"aux":{"Tag":"1","Digest":"sha256:a","Size":7}}"#,
            ),
        ];
        for (line, text) in rows {
            assert_eq!(line.encode(), format!("{text}\r\n"));
        }
    }

    #[test]
    fn figures() {
        let line = Line::measured("abc", "Downloading", 500_000, 1_000_000);
        let json: serde_json::Value = serde_json::from_slice(&line.encode()).expect("json");
        assert_eq!(json["progressDetail"], serde_json::json!({"current": 500_000, "total": 1_000_000}));
        assert_eq!(json["progress"], format!("[{:<50}]    500kB/1MB", format!("{}>", "=".repeat(25))));
        for (bytes, text) in
            [(0, "0B"), (999, "999B"), (1234, "1.234kB"), (12_345_678, "12.35MB"), (5_000_000_000, "5GB")]
        {
            assert_eq!(size(bytes), text);
        }
    }
}
