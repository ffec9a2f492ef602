//! `gantry top`.

use anyhow::Result;
use gantry_api::engine::containers::Inspect as _;
use serde_json::{Map, Value};

use crate::cmd::{Session, said};
use crate::output::{self, Format};

pub async fn run(session: &Session, container: &str, ps: &[String]) -> Result<()> {
    let ps_args = if ps.is_empty() { "-ef".to_owned() } else { ps.join(" ") };
    let top = session.containers().top(container, &ps_args).await.map_err(said)?;
    if session.format == Format::Json {
        let object = |values: &Vec<String>| -> Map<String, Value> {
            top.titles.iter().cloned().zip(values.iter().cloned().map(Value::from)).collect()
        };
        return output::json_lines(&top.processes.iter().map(object).collect::<Vec<_>>());
    }
    let mut rows = vec![top.titles];
    rows.extend(top.processes);
    output::write(output::columns(&rows).as_bytes())
}
