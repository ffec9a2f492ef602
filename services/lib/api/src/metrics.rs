//! The metrics of all services as one text.
//!
//! Each service serves OpenMetrics at `/metrics` on its own socket, and labels every sample with its name. A text may
//! declare a metric only once, so the samples of each metric are merged.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use gantry_rpc::Channel;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::Body as _;
use tonic::codegen::http::Request;

use crate::terms;

/// The media type of the text.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// How long a service may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// The longest text of a service in bytes.
const LIMIT: usize = 4 << 20;

/// Collects the metrics of the services whose sockets are in `run`. Leaves out a service that does not answer.
/// `gantry_up` is 1 or 0 for each service.
pub async fn collect(run: &Path) -> String {
    let mut texts = Vec::new();
    let mut up = String::from("# HELP gantry_up Whether a service answers\n# TYPE gantry_up gauge\n");
    for service in gantry_descriptor::names() {
        let answer = tokio::time::timeout(PATIENCE, scrape(run, service)).await;
        let text = answer.ok().and_then(Result::ok);
        up.push_str(&format!("gantry_up{{service=\"{service}\"}} {}\n", u8::from(text.is_some())));
        texts.extend(text);
    }
    texts.push(up);
    merge(&texts)
}

/// The metrics of one service.
///
/// # Errors
///
/// `UNAVAILABLE` when the service does not answer.
pub async fn scrape(run: &Path, service: &'static str) -> Result<String, Status> {
    let channel = Channel::unix(service, run.join(format!("{service}.sock")), terms::of);
    let away = |error: &dyn std::fmt::Display| Status::unavailable(format!("metrics of {service}: {error}"));
    let request =
        Request::get("http://localhost/metrics").body(Body::empty()).expect("a constant request is valid");
    let response = channel.send(request).await?;
    if !response.status().is_success() {
        return Err(away(&response.status()));
    }
    let mut body = response.into_body();
    let mut bytes = Vec::new();
    while let Some(frame) = std::future::poll_fn(|cx| std::pin::Pin::new(&mut body).poll_frame(cx)).await {
        if let Some(data) = frame?.data_ref() {
            bytes.extend_from_slice(data);
        }
        if bytes.len() > LIMIT {
            return Err(away(&format_args!("longer than {LIMIT} bytes")));
        }
    }
    String::from_utf8(bytes).map_err(|_| away(&"not text"))
}

/// Merges texts, so that each metric is declared once, with all of its samples.
fn merge(texts: &[String]) -> String {
    #[derive(Default)]
    struct Family<'a> {
        declared: Vec<&'a str>,
        samples: Vec<&'a str>,
    }
    let mut families: BTreeMap<&str, Family<'_>> = BTreeMap::new();
    for text in texts {
        let mut name = "";
        for line in text.lines() {
            match line.strip_prefix("# ") {
                Some("EOF") => {}
                Some(declaration) => {
                    name = declaration.split(' ').nth(1).unwrap_or_default();
                    let family = families.entry(name).or_default();
                    if !family.declared.contains(&line) {
                        family.declared.push(line);
                    }
                }
                None => families.entry(name).or_default().samples.push(line),
            }
        }
    }
    let mut merged = String::new();
    for line in families.values().flat_map(|family| family.declared.iter().chain(&family.samples)) {
        merged.push_str(line);
        merged.push('\n');
    }
    merged.push_str("# EOF\n");
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_of_two_services_is_declared_once() {
        let text = |service: &str| {
            format!(
                "# HELP a_calls Calls.\n# TYPE a_calls counter\na_calls_total{{service=\"{service}\"}} 1\n# HELP b B.\n# TYPE b gauge\nb{{service=\"{service}\"}} 2\n# EOF\n"
            )
        };
        let merged = merge(&[text("x"), text("y")]);
        assert_eq!(
            merged,
            "# HELP a_calls Calls.\n# TYPE a_calls counter\na_calls_total{service=\"x\"} 1\na_calls_total{service=\"y\"} 1\n\
             # HELP b B.\n# TYPE b gauge\nb{service=\"x\"} 2\nb{service=\"y\"} 2\n# EOF\n"
        );
    }
}
