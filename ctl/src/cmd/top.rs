//! `gantry top`.

use anyhow::Result;
use gantry_proto::gantry::engine::v1::TopRequest;
use serde_json::{Map, Value};

use crate::cmd::Session;
use crate::output::{self, Format};

pub async fn run(session: &Session, container: String, ps: &[String]) -> Result<()> {
    let ps_args = if ps.is_empty() { "-ef".to_owned() } else { ps.join(" ") };
    let top = session.peers.containers().top(TopRequest { container, ps_args }).await?.into_inner();
    if session.format == Format::Json {
        let object = |values: &Vec<String>| -> Map<String, Value> {
            top.titles.iter().cloned().zip(values.iter().cloned().map(Value::from)).collect()
        };
        return output::json_lines(&top.processes.iter().map(|row| object(&row.values)).collect::<Vec<_>>());
    }
    let mut rows = vec![top.titles];
    rows.extend(top.processes.into_iter().map(|row| row.values));
    output::write(output::columns(&rows).as_bytes())
}
