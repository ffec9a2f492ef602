//! Values of options, as Docker's client reads them.

use gantry_docker::moment;

/// Bytes with a unit in powers of 1024: `512m`, `1.5GiB`.
pub fn bytes(text: &str) -> Result<i64, String> {
    let wrong = || format!("{text:?} is no size: a number with b, k, m, g or t is expected");
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = (&text[..end], text[end..].trim_start().to_lowercase());
    let number: f64 = number.parse().map_err(|_| wrong())?;
    let unit = unit.strip_suffix('b').map_or(unit.as_str(), |rest| rest.strip_suffix('i').unwrap_or(rest));
    let power = match unit {
        "" => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        "p" => 5,
        _ => return Err(wrong()),
    };
    let bytes = number * 1024_f64.powi(power);
    if bytes >= i64::MAX as f64 {
        return Err(wrong());
    }
    Ok(bytes as i64)
}

/// The same; or -1 for no limit.
pub fn bytes_or_unlimited(text: &str) -> Result<i64, String> {
    if text == "-1" { Ok(-1) } else { bytes(text) }
}

/// Processors, as nanoseconds in each second: `1.5`.
pub fn nano_cpus(text: &str) -> Result<i64, String> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let wrong = || format!("{text:?} is no number of processors");
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || (whole.is_empty() && fraction.is_empty()) {
        return Err(wrong());
    }
    if fraction.len() > 9 {
        return Err(format!("{text:?} is too precise: at most nine digits follow the point"));
    }
    let whole = if whole.is_empty() { "0" } else { whole };
    format!("{whole}{fraction:0<9}").parse().map_err(|_| wrong())
}

/// A duration in nanoseconds: `30s`, `1m30s`, `500ms`.
pub fn duration(text: &str) -> Result<i64, String> {
    match moment::parse_duration(text) {
        Some(nanos) if nanos == 0 || nanos >= 1_000_000 => Ok(nanos),
        Some(_) => Err(format!("{text:?} is less than 1ms")),
        None => Err(format!("{text:?} is no duration: as in 30s, 1m30s or 500ms")),
    }
}

/// A key and a value, split at the first `=`.
pub fn pair(text: &str, option: &str) -> anyhow::Result<(String, String)> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => anyhow::bail!("--{option} {text}: KEY=VALUE is expected"),
    }
}

/// Pairs; the last value of a key counts.
pub fn pairs<T: FromIterator<(String, String)>>(texts: &[String], option: &str) -> anyhow::Result<T> {
    texts.iter().map(|text| pair(text, option)).collect()
}

/// The fields of one line of CSV; a field in double quotes may have commas, and doubled quotes.
pub fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    let mut letters = line.chars().peekable();
    while let Some(letter) = letters.next() {
        let field = fields.last_mut().expect("there is one");
        match letter {
            '"' if quoted && letters.peek() == Some(&'"') => {
                letters.next();
                field.push('"');
            }
            '"' if quoted || field.is_empty() => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            other => field.push(other),
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        let rows = [
            ("0", 0),
            ("512", 512),
            ("6m", 6 << 20),
            ("6MB", 6 << 20),
            ("6MiB", 6 << 20),
            ("1.5g", 3 << 29),
            ("4 k", 4096),
            ("7b", 7),
        ];
        for (text, expected) in rows {
            assert_eq!(bytes(text), Ok(expected), "{text}");
        }
        for text in ["", "m", "6x", "-1", "6mm", "1.2.3", "99999999p"] {
            assert!(bytes(text).is_err(), "{text}");
        }
        assert_eq!(bytes_or_unlimited("-1"), Ok(-1));
    }

    #[test]
    fn processors() {
        let rows = [("1", 1_000_000_000), ("0.5", 500_000_000), (".25", 250_000_000), ("2.", 2_000_000_000)];
        for (text, expected) in rows {
            assert_eq!(nano_cpus(text), Ok(expected), "{text}");
        }
        for text in ["", ".", "x", "-1", "1e3", "0.1234567891"] {
            assert!(nano_cpus(text).is_err(), "{text}");
        }
    }

    #[test]
    fn durations() {
        assert_eq!(duration("1m30s"), Ok(90_000_000_000));
        assert_eq!(duration("0s"), Ok(0));
        for text in ["", "5", "1us", "-1s"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn commas_in_quotes() {
        assert_eq!(fields("a=1,b"), ["a=1", "b"]);
        assert_eq!(fields(r#"a,"o=x,y","q""r""#), ["a", "o=x,y", "q\"r"]);
    }
}
