//! The Dockerfile instructions that an import or a commit may carry (`-c`).

mod health;
mod ports;
mod words;

use serde_json::{Map, Value, json};

use crate::error::Error;

const SIGNALS: [&str; 33] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE",
    "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ",
    "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS", "IOT", "POLL",
];

/// Applies instructions to an image's run configuration (`config` of the OCI image config).
pub fn apply(config: &mut Map<String, Value>, changes: &[String]) -> Result<(), Error> {
    // An entrypoint drops a command that was there before, not one that is stated beside it.
    let mut states_command = false;
    for text in joined(changes) {
        let text = text.trim();
        let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        let word = word.to_ascii_uppercase();
        one(config, &word, rest.trim()).map_err(Error::Change)?;
        states_command |= word == "CMD";
        if word == "ENTRYPOINT" && !states_command {
            config.remove("Cmd");
        }
    }
    Ok(())
}

/// The instructions: a line that ends with a backslash goes on in the next one; empty ones and comments are none.
fn joined(lines: &[String]) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    let mut goes_on = false;
    for line in lines.iter().map(|line| line.trim_end()) {
        let start = line.trim_start();
        if start.is_empty() || start.starts_with('#') {
            continue;
        }
        let (text, more) = match line.strip_suffix('\\') {
            Some(text) => (text, true),
            None => (line, false),
        };
        match all.last_mut().filter(|_| goes_on) {
            Some(begun) => begun.push_str(text),
            None => all.push(text.to_owned()),
        }
        goes_on = more;
    }
    all
}

fn one(config: &mut Map<String, Value>, instruction: &str, rest: &str) -> Result<(), String> {
    let requires = |what: &str| Err(format!("{instruction} requires {what}"));
    let env = config.get("Env").and_then(Value::as_array).into_iter().flatten();
    let env: Vec<String> = env.filter_map(Value::as_str).map(str::to_owned).collect();
    match (instruction, rest) {
        ("ENV" | "LABEL" | "EXPOSE" | "VOLUME" | "ONBUILD", "") => return requires("at least one argument"),
        ("USER" | "WORKDIR" | "STOPSIGNAL", "") => return requires("exactly one argument"),
        ("CMD", rest) => set_command(config, "Cmd", rest),
        ("ENTRYPOINT", rest) => set_command(config, "Entrypoint", rest),
        ("ENV", rest) => {
            for (key, value) in pairs(instruction, rest, &env)? {
                set_env(config, &key, &value);
            }
        }
        ("LABEL", rest) => {
            for (key, value) in pairs(instruction, rest, &env)? {
                object(config, "Labels").insert(key, Value::String(value));
            }
        }
        ("EXPOSE", rest) => {
            for word in rest.split_whitespace() {
                for port in words::expand(word, &env)?.split_whitespace() {
                    for port in ports::parse(port)? {
                        object(config, "ExposedPorts").insert(port, json!({}));
                    }
                }
            }
        }
        ("VOLUME", rest) => {
            let paths = array(rest).unwrap_or_else(|| rest.split_whitespace().map(str::to_owned).collect());
            if paths.is_empty() {
                return requires("at least one argument");
            }
            for path in paths {
                let path = words::expand(&path, &env)?;
                if path.trim().is_empty() {
                    return Err("VOLUME specified can not be an empty string".to_owned());
                }
                object(config, "Volumes").insert(path, json!({}));
            }
        }
        ("USER", rest) => drop(config.insert("User".into(), words::expand(rest, &env)?.into())),
        ("WORKDIR", rest) => {
            let path = words::expand(rest, &env)?;
            let known = config.get("WorkingDir").and_then(Value::as_str).unwrap_or("/");
            let path = match path.starts_with('/') {
                true => path,
                false => format!("{}/{path}", known.trim_end_matches('/')),
            };
            config.insert("WorkingDir".into(), path.into());
        }
        ("STOPSIGNAL", rest) => {
            let signal = words::expand(rest, &env)?;
            if !is_signal(&signal) {
                return Err(format!("invalid signal: {signal}"));
            }
            config.insert("StopSignal".into(), signal.into());
        }
        ("HEALTHCHECK", rest) => drop(config.insert("Healthcheck".into(), health::parse(rest)?)),
        ("ONBUILD", rest) => {
            let trigger = rest.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
            match trigger.as_str() {
                "ONBUILD" => return Err("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed".to_owned()),
                "MAINTAINER" | "FROM" => {
                    return Err(format!("{trigger} isn't allowed as an ONBUILD trigger"));
                }
                _ => list(config, "OnBuild").push(rest.into()),
            }
        }
        (other, _) => return Err(format!("{other} is not a valid change command")),
    }
    Ok(())
}

fn object<'a>(config: &'a mut Map<String, Value>, key: &str) -> &'a mut Map<String, Value> {
    let entry = config.entry(key).or_insert_with(|| json!({}));
    if !entry.is_object() {
        *entry = json!({});
    }
    entry.as_object_mut().expect("just made an object")
}

fn list<'a>(config: &'a mut Map<String, Value>, key: &str) -> &'a mut Vec<Value> {
    let entry = config.entry(key).or_insert_with(|| json!([]));
    if !entry.is_array() {
        *entry = json!([]);
    }
    entry.as_array_mut().expect("just made an array")
}

fn set_env(config: &mut Map<String, Value>, key: &str, value: &str) {
    let list = list(config, "Env");
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

fn command(first: &str, words: Vec<String>) -> Value {
    json!([&[first.to_owned()], &words[..]].concat())
}

/// The exec form as it is, the shell form under a shell.
fn set_command(config: &mut Map<String, Value>, key: &str, text: &str) {
    let words = match array(text) {
        Some(words) => words,
        None if text.is_empty() && key == "Entrypoint" => Vec::new(),
        None => {
            let shell = ["/bin/sh", "-c"].map(str::to_owned).into_iter();
            shell.chain((!text.is_empty()).then(|| text.to_owned())).collect()
        }
    };
    match words.is_empty() {
        true => drop(config.remove(key)),
        false => drop(config.insert(key.to_owned(), json!(words))),
    }
}

/// `a=b c="d e"`, or the old `a b c` that sets one key.
fn pairs(instruction: &str, text: &str, env: &[String]) -> Result<Vec<(String, String)>, String> {
    let expanded = |(name, value): (&str, &str)| {
        let name = words::expand(name, env)?;
        match name.is_empty() {
            true => Err(format!("{instruction} names can not be blank")),
            false => Ok((name, words::expand(value, env)?)),
        }
    };
    let words = words::split(text);
    if words.first().is_some_and(|first| !first.contains('=')) {
        let pair = text.split_once(char::is_whitespace);
        let (name, value) = pair.ok_or_else(|| format!("{instruction} must have two arguments"))?;
        return Ok(vec![expanded((name, value.trim()))?]);
    }
    let pair = |word: &String| match word.split_once('=') {
        Some(pair) => expanded(pair),
        None => Err(format!("Syntax error - can't find = in {word:?}. Must be of the form: name=value")),
    };
    words.iter().map(pair).collect()
}

fn is_signal(text: &str) -> bool {
    if let Ok(number) = text.parse::<u32>() {
        return (1..=64).contains(&number);
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let near = |end: &str, sign: char, most: u8| {
        name.strip_prefix(end).is_some_and(|offset| {
            let number = offset.strip_prefix(sign).and_then(|digits| digits.parse::<u8>().ok());
            offset.is_empty() || number.is_some_and(|number| (1..=most).contains(&number))
        })
    };
    SIGNALS.contains(&name) || near("RTMIN", '+', 15) || near("RTMAX", '-', 14)
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
    fn a_backslash_goes_on_in_the_next_line() {
        let lines = ["ENV A=1 \\", "# between", "  B=2\\", "3", "", "USER x\\"].map(str::to_owned);
        assert_eq!(joined(&lines), ["ENV A=1   B=23", "USER x"]);
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
        let mut config = Map::from_iter([("Cmd".to_owned(), json!(["inherited"]))]);
        apply(&mut config, &["ENTRYPOINT [\"run\"]".to_owned()]).expect("valid");
        assert_eq!(Value::Object(config), json!({"Entrypoint": ["run"]}), "one that was inherited goes");
        assert_eq!(
            applied(&["ENV A=1", "ENV B=$A C=\"${A}x\"", "EXPOSE 8$A", "# nothing"]).expect("valid"),
            json!({"Env": ["A=1", "B=1", "C=1x"], "ExposedPorts": {"81/tcp": {}}})
        );
        assert_eq!(
            applied(&["HEALTHCHECK --interval=5s --retries=2 CMD curl x", "HEALTHCHECK CMD [\"a\"]"])
                .expect("valid"),
            json!({"Healthcheck": {"Test": ["CMD", "a"]}}),
            "the last one counts"
        );
    }

    #[test]
    fn others_are_refused() {
        for (change, words) in [
            ("FROM x", "FROM is not a valid change command"),
            ("RUN x", "RUN is not a valid change command"),
            ("EXPOSE many", "Invalid containerPort: many"),
            ("ENV X=\"open", "unexpected end of statement while looking for matching double-quote"),
            ("LABEL justkey", "LABEL must have two arguments"),
            ("LABEL =x", "LABEL names can not be blank"),
            ("ENV A=1 B", "can't find = in \"B\""),
            ("WORKDIR", "WORKDIR requires exactly one argument"),
            ("VOLUME []", "VOLUME requires at least one argument"),
            ("STOPSIGNAL 9 8", "invalid signal: 9 8"),
            ("HEALTHCHECK --interval=5 CMD x", "time: missing unit in duration \"5\""),
            ("ONBUILD ONBUILD x", "Chaining ONBUILD"),
        ] {
            let error = applied(&[change]).expect_err(change).to_string();
            assert!(error.contains(words), "{change}: {error}");
        }
    }
}
