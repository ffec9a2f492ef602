//! `gantry login` and `logout`: credentials where Docker's client keeps them, `$DOCKER_CONFIG/config.json` or
//! `~/.docker/config.json`, so that both know the same ones. Where that file names a helper program, the helper has them.

use std::io::{IsTerminal, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gantry_proto::gantry::images::v1::{Auth, LoginRequest};
use gantry_types::Reference;
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use serde_json::{Map, Value, json};
use tokio::io::AsyncWriteExt;

use crate::cli::command::Login;
use crate::cmd::Session;
use crate::output;

/// Docker's own registry as references name it, and as its credentials are kept.
const HUB: (&str, &str) = ("docker.io", "https://index.docker.io/v1/");
/// The name that says that a secret is an identity token.
const TOKEN: &str = "<token>";

/// Checks credentials at their registry, and keeps them.
pub async fn login(session: &Session, arguments: Login) -> Result<()> {
    let key = key(arguments.server.as_deref());
    let username = match arguments.username {
        Some(name) if name.is_empty() => bail!("--username is empty"),
        Some(name) => name,
        None => ask("Username: ")?,
    };
    let password = match arguments.password {
        Some(password) => {
            output::note("--password can be seen by others: --password-stdin is safer");
            password
        }
        None if arguments.password_stdin => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).context("read the password")?;
            text.trim_end_matches(['\n', '\r']).to_owned()
        }
        None => ask_secretly("Password: ")?,
    };
    if username.is_empty() || password.is_empty() {
        bail!("a user name and a password are needed");
    }
    let auth = Auth {
        username: username.clone(),
        password: password.clone(),
        server_address: key.clone(),
        ..Auth::default()
    };
    let request = session.request(LoginRequest { auth: Some(auth) });
    let token = session.peers.images().login(request).await?.into_inner().identity_token;
    let (username, secret) = if token.is_empty() { (username, password) } else { (TOKEN.to_owned(), token) };
    let mut config = Config::read()?;
    match config.helper(&key) {
        Some(helper) => {
            let entry = json!({ "ServerURL": key, "Username": username, "Secret": secret });
            ask_helper(&helper, "store", &entry.to_string()).await?;
        }
        None => {
            config.keep(&key, &username, &secret);
            config.write()?;
        }
    }
    output::line("Login Succeeded")
}

/// Forgets credentials.
pub fn logout(server: Option<&str>) -> Result<()> {
    let key = key(server);
    let mut config = Config::read()?;
    let helper = config.helper(&key);
    let forgotten = config.auths().is_some_and(|auths| auths.remove(&key).is_some());
    if let Some(helper) = &helper {
        let mut child = helper_command(helper, "erase");
        let mut child = child.spawn().with_context(|| format!("start {helper}"))?;
        child.stdin.take().expect("it is a pipe").write_all(key.as_bytes())?;
        child.wait()?;
    }
    if forgotten {
        config.write()?;
    }
    if !forgotten && helper.is_none() {
        bail!("not logged in to {key}");
    }
    output::line(format_args!("Removed login credentials for {key}"))
}

/// What is kept for the registry of an image, if anything is.
pub async fn credentials_for(image: &str) -> Result<Option<Auth>> {
    // What is no name is refused by who is asked for it.
    let Ok(reference) = Reference::parse_normalized(image) else { return Ok(None) };
    let key = key(Some(reference.domain()));
    let mut config = Config::read()?;
    if let Some(helper) = config.helper(&key) {
        let Ok(answer) = ask_helper(&helper, "get", &key).await else { return Ok(None) };
        let answer: Value =
            serde_json::from_str(&answer).with_context(|| format!("read what {helper} says"))?;
        let text = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
        return Ok(Some(auth(&key, text("Username"), text("Secret"))));
    }
    let Some(entry) = config.auths().and_then(|auths| auths.get(&key)) else { return Ok(None) };
    if let Some(token) = entry["identitytoken"].as_str().filter(|token| !token.is_empty()) {
        return Ok(Some(auth(&key, TOKEN.to_owned(), token.to_owned())));
    }
    let pair = entry["auth"].as_str().and_then(|text| STANDARD.decode(text).ok());
    let pair = pair.and_then(|pair| String::from_utf8(pair).ok());
    let pair = pair.as_deref().and_then(|pair| pair.split_once(':'));
    Ok(pair.map(|(name, password)| auth(&key, name.to_owned(), password.to_owned())))
}

fn auth(key: &str, username: String, secret: String) -> Auth {
    let mut auth = Auth { server_address: key.to_owned(), ..Auth::default() };
    if username == TOKEN {
        auth.identity_token = secret;
    } else {
        (auth.username, auth.password) = (username, secret);
    }
    auth
}

/// The name under which the credentials of a registry are kept.
fn key(server: Option<&str>) -> String {
    let server = server.unwrap_or(HUB.0);
    let host = server.strip_prefix("https://").or_else(|| server.strip_prefix("http://")).unwrap_or(server);
    let host = host.split('/').next().unwrap_or_default();
    match host {
        "" | "docker.io" | "index.docker.io" | "registry-1.docker.io" => HUB.1.to_owned(),
        host => host.to_owned(),
    }
}

/// Docker's client's settings, of which only credentials are ours.
struct Config {
    path: PathBuf,
    whole: Map<String, Value>,
}

impl Config {
    fn read() -> Result<Self> {
        let folder = match std::env::var_os("DOCKER_CONFIG").filter(|folder| !folder.is_empty()) {
            Some(folder) => PathBuf::from(folder),
            None => PathBuf::from(std::env::var_os("HOME").unwrap_or_else(|| "/root".into())).join(".docker"),
        };
        let path = folder.join("config.json");
        let whole = match std::fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text).with_context(|| format!("read {}", path.display()))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Map::new(),
            Err(error) => return Err(error).with_context(|| format!("read {}", path.display())),
        };
        Ok(Self { path, whole })
    }

    /// The program that has the credentials of a registry.
    fn helper(&self, key: &str) -> Option<String> {
        let own = self.whole.get("credHelpers").and_then(|helpers| helpers[key].as_str());
        let helper = own.or_else(|| self.whole.get("credsStore").and_then(Value::as_str));
        helper.filter(|name| !name.is_empty()).map(|name| format!("docker-credential-{name}"))
    }

    fn auths(&mut self) -> Option<&mut Map<String, Value>> {
        self.whole.get_mut("auths").and_then(Value::as_object_mut)
    }

    fn keep(&mut self, key: &str, username: &str, secret: &str) {
        let entry = if username == TOKEN {
            json!({ "auth": STANDARD.encode(format!("{TOKEN}:")), "identitytoken": secret })
        } else {
            json!({ "auth": STANDARD.encode(format!("{username}:{secret}")) })
        };
        let auths = self.whole.entry("auths").or_insert_with(|| json!({}));
        if !auths.is_object() {
            *auths = json!({});
        }
        auths[key] = entry;
    }

    /// Writes them, for their owner alone. A crash leaves the old ones.
    fn write(&self) -> Result<()> {
        let write = || {
            if let Some(folder) = self.path.parent() {
                std::fs::create_dir_all(folder)?;
            }
            let part = self.path.with_added_extension("part");
            let mut options = std::fs::OpenOptions::new();
            let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&part)?;
            file.write_all(&serde_json::to_vec_pretty(&self.whole)?)?;
            file.sync_all()?;
            std::fs::rename(&part, &self.path)
        };
        write().with_context(|| format!("write {}", self.path.display()))
    }
}

fn helper_command(helper: &str, verb: &str) -> std::process::Command {
    let mut command = std::process::Command::new(helper);
    command.arg(verb);
    command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
    command
}

/// What a helper answers.
async fn ask_helper(helper: &str, verb: &str, input: &str) -> Result<String> {
    let mut child = tokio::process::Command::from(helper_command(helper, verb))
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("start {helper}"))?;
    let mut stdin = child.stdin.take().expect("it is a pipe");
    stdin.write_all(input.as_bytes()).await?;
    drop(stdin);
    let output = child.wait_with_output().await?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        bail!("{helper}: {}", said.trim());
    }
    Ok(said)
}

fn ask(prompt: &str) -> Result<String> {
    if !std::io::stdin().is_terminal() {
        bail!("there is no terminal to ask at: give --username and --password-stdin");
    }
    eprint!("{prompt}");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    Ok(line.trim().to_owned())
}

/// Asks without showing the answer.
fn ask_secretly(prompt: &str) -> Result<String> {
    let terminal = std::io::stdin();
    if !terminal.is_terminal() {
        bail!("there is no terminal to ask at: give --password-stdin");
    }
    let before = tcgetattr(&terminal)?;
    let mut silent = before.clone();
    silent.local_modes.remove(LocalModes::ECHO);
    tcsetattr(&terminal, OptionalActions::Now, &silent)?;
    let answer = ask(prompt);
    tcsetattr(&terminal, OptionalActions::Now, &before)?;
    eprintln!();
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registries_by_the_names_that_docker_keeps_them_under() {
        let rows = [
            (None, HUB.1),
            (Some("docker.io"), HUB.1),
            (Some("https://index.docker.io/v1/"), HUB.1),
            (Some("registry.example"), "registry.example"),
            (Some("http://localhost:5000/v2/"), "localhost:5000"),
        ];
        for (server, expected) in rows {
            assert_eq!(key(server), expected);
        }
    }

    #[test]
    fn what_else_is_in_the_file_stays() {
        let path = std::env::temp_dir().join(format!("gantry-login-{}/config.json", std::process::id()));
        let mut config = Config { path: path.clone(), whole: Map::new() };
        config.whole.insert("psFormat".to_owned(), "x".into());
        config.keep("r:1", "me", "se:cret");
        config.keep("r:2", TOKEN, "abc");
        config.write().expect("written");
        let text = std::fs::read_to_string(&path).expect("there");
        let whole: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(whole["psFormat"], "x");
        assert_eq!(whole["auths"]["r:1"]["auth"], STANDARD.encode("me:se:cret"));
        assert_eq!(whole["auths"]["r:2"]["identitytoken"], "abc");
        assert_eq!(config.helper("r:1"), None);
        config.whole.insert("credsStore".to_owned(), "pass".into());
        assert_eq!(config.helper("r:1").as_deref(), Some("docker-credential-pass"));
        std::fs::remove_dir_all(path.parent().expect("a folder")).expect("removed");
    }
}
