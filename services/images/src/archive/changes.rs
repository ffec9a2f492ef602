//! The Dockerfile instructions that an import may carry (`docker import -c`).

use serde_json::{Map, Value, json};

use crate::error::Error;

/// Applies instructions to an image's run configuration (`config` of the OCI image config).
pub fn apply(config: &mut Map<String, Value>, changes: &[String]) -> Result<(), Error> {
    for change in changes {
        let text = change.trim();
        if text.is_empty() {
            continue;
        }
        let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        one(config, &word.to_ascii_uppercase(), rest.trim()).ok_or_else(|| Error::Change(change.clone()))?;
    }
    Ok(())
}

fn one(config: &mut Map<String, Value>, instruction: &str, rest: &str) -> Option<()> {
    if rest.is_empty() {
        return None;
    }
    match instruction {
        "CMD" => {
            config.insert("Cmd".into(), command(rest)?);
        }
        "ENTRYPOINT" => {
            config.insert("Entrypoint".into(), command(rest)?);
        }
        "ENV" => {
            for (key, value) in pairs(rest)? {
                set_env(config, &key, &value);
            }
        }
        "LABEL" => {
            let labels = object(config, "Labels");
            for (key, value) in pairs(rest)? {
                labels.insert(key, Value::String(value));
            }
        }
        "EXPOSE" => {
            for port in words(rest)? {
                let (number, protocol) = port.split_once('/').unwrap_or((&port, "tcp"));
                let number: u16 = number.parse().ok()?;
                if !matches!(protocol, "tcp" | "udp" | "sctp") {
                    return None;
                }
                object(config, "ExposedPorts").insert(format!("{number}/{protocol}"), json!({}));
            }
        }
        "VOLUME" => {
            let paths = match array(rest) {
                Some(paths) => paths,
                None => words(rest)?,
            };
            for path in paths {
                if path.trim().is_empty() {
                    return None;
                }
                object(config, "Volumes").insert(path, json!({}));
            }
        }
        "USER" => {
            config.insert("User".into(), words(rest)?.into_iter().next()?.into());
        }
        "WORKDIR" => {
            let known = config.get("WorkingDir").and_then(Value::as_str).unwrap_or("/");
            let path = match rest.starts_with('/') {
                true => rest.to_owned(),
                false => format!("{}/{rest}", known.trim_end_matches('/')),
            };
            config.insert("WorkingDir".into(), path.into());
        }
        "STOPSIGNAL" => {
            config.insert("StopSignal".into(), rest.into());
        }
        "ONBUILD" => {
            let list = config.entry("OnBuild").or_insert_with(|| json!([]));
            list.as_array_mut()?.push(rest.into());
        }
        _ => return None,
    }
    Some(())
}

fn object<'a>(config: &'a mut Map<String, Value>, key: &str) -> &'a mut Map<String, Value> {
    let entry = config.entry(key).or_insert_with(|| json!({}));
    if !entry.is_object() {
        *entry = json!({});
    }
    entry.as_object_mut().expect("just made an object")
}

fn set_env(config: &mut Map<String, Value>, key: &str, value: &str) {
    let list = config.entry("Env").or_insert_with(|| json!([]));
    let Some(list) = list.as_array_mut() else { return };
    let wanted = Value::String(format!("{key}={value}"));
    let prefix = format!("{key}=");
    match list.iter_mut().find(|entry| entry.as_str().is_some_and(|entry| entry.starts_with(&prefix))) {
        Some(entry) => *entry = wanted,
        None => list.push(wanted),
    }
}

/// A JSON array of strings.
fn array(text: &str) -> Option<Vec<String>> {
    text.starts_with('[').then(|| serde_json::from_str(text).ok()).flatten()
}

/// The exec form as it is, the shell form under a shell.
fn command(text: &str) -> Option<Value> {
    match array(text) {
        Some(words) => Some(json!(words)),
        None if text.starts_with('[') && text.ends_with(']') => None,
        None => Some(json!(["/bin/sh", "-c", text])),
    }
}

/// `a=b c="d e"`, or the old `a b c` that sets one key.
fn pairs(text: &str) -> Option<Vec<(String, String)>> {
    let words = words(text)?;
    if !words.first()?.contains('=') {
        let (key, value) = text.split_once(char::is_whitespace)?;
        return Some(vec![(key.to_owned(), value.trim().to_owned())]);
    }
    words
        .into_iter()
        .map(|word| word.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned())))
        .collect()
}

/// Splits at blanks outside of quotes, and takes quotes and backslashes away.
fn words(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match (quote, character) {
            (Some('"') | None, '\\') => word.get_or_insert_default().push(characters.next()?),
            (Some(open), close) if open == close => quote = None,
            (None, '"' | '\'') => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            (None, blank) if blank.is_whitespace() => words.extend(word.take()),
            (_, other) => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(changes: &[&str]) -> Result<Value, Error> {
        let mut config = Map::new();
        let changes: Vec<String> = changes.iter().map(|change| (*change).to_owned()).collect();
        apply(&mut config, &changes).map(|()| Value::Object(config))
    }

    #[test]
    fn instructions_become_config() {
        let config = applied(&[
            "CMD [\"a\", \"b\"]",
            "env X=1 Y=\"two words\"",
            "ENV X 3 4",
            "EXPOSE 80 53/udp",
            "LABEL a.b='c d'",
            "VOLUME [\"/v\"]",
            "VOLUME /w /x",
            "USER 1:2",
            "WORKDIR /srv",
            "WORKDIR app",
            "STOPSIGNAL SIGQUIT",
        ]);
        assert_eq!(
            config.expect("valid"),
            json!({
                "Cmd": ["a", "b"], "Env": ["X=3 4", "Y=two words"], "ExposedPorts": {"80/tcp": {}, "53/udp": {}},
                "Labels": {"a.b": "c d"}, "Volumes": {"/v": {}, "/w": {}, "/x": {}}, "User": "1:2",
                "WorkingDir": "/srv/app", "StopSignal": "SIGQUIT",
            })
        );
        assert_eq!(
            applied(&["CMD [\"x\"]", "ENTRYPOINT run this"]).expect("valid"),
            json!({"Cmd": ["x"], "Entrypoint": ["/bin/sh", "-c", "run this"]}),
            "a command that was stated stays"
        );
    }

    #[test]
    fn others_are_refused() {
        for change in ["FROM x", "RUN x", "CMD", "EXPOSE many", "ENV X=\"open", "LABEL justkey", "CMD [a]"] {
            assert!(matches!(applied(&[change]), Err(Error::Change(_))), "{change}");
        }
    }
}
