//! `HEALTHCHECK` among the instructions.

use gantry_docker::moment;
use serde_json::{Map, Value, json};

use super::{array, command};

/// The check as it stands in an image's configuration.
pub fn parse(text: &str) -> Result<Value, String> {
    let mut rest = text;
    let mut health = Map::new();
    while let Some(option) = rest.strip_prefix("--") {
        let (option, after) = option.split_once(char::is_whitespace).unwrap_or((option, ""));
        rest = after.trim_start();
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        let key = match name {
            "interval" => "Interval",
            "timeout" => "Timeout",
            "start-period" => "StartPeriod",
            "start-interval" => "StartInterval",
            "retries" => {
                let retries: i32 = value
                    .parse()
                    .map_err(|_| format!("strconv.ParseInt: parsing {value:?}: invalid syntax"))?;
                if retries < 0 {
                    return Err(format!("--retries cannot be negative ({retries})"));
                }
                health.insert("Retries".to_owned(), retries.into());
                continue;
            }
            _ => return Err(format!("unknown flag: --{name}")),
        };
        let length = nanoseconds(value)?;
        if (1..1_000_000).contains(&length) {
            return Err(format!("Interval {name:?} cannot be less than 1ms"));
        }
        health.insert(key.to_owned(), length.into());
    }
    health.retain(|_, value| *value != 0);
    let (kind, rest) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let rest = rest.trim();
    let test = match (kind.to_ascii_uppercase().as_str(), rest) {
        ("", _) => return Err("HEALTHCHECK requires at least one argument".to_owned()),
        ("NONE", "") => json!(["NONE"]),
        ("NONE", _) => return Err("HEALTHCHECK NONE takes no arguments".to_owned()),
        ("CMD", "" | "[]") => return Err("Missing command after HEALTHCHECK CMD".to_owned()),
        ("CMD", rest) => match array(rest) {
            Some(words) => command("CMD", words),
            None => command("CMD-SHELL", vec![rest.to_owned()]),
        },
        (other, _) => return Err(format!("Unknown type {other:?} in HEALTHCHECK (try CMD)")),
    };
    health.insert("Test".to_owned(), test);
    Ok(Value::Object(health))
}

fn nanoseconds(text: &str) -> Result<u64, String> {
    match moment::parse_duration(text) {
        Some(length) => u64::try_from(length).map_err(|_| format!("time: invalid duration {text:?}")),
        None if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) => {
            Err(format!("time: missing unit in duration {text:?}"))
        }
        None => Err(format!("time: invalid duration {text:?}")),
    }
}
