//! `gantry login` and `logout`. Credentials are where Docker's client keeps them, in `$DOCKER_CONFIG/config.json` or
//! `~/.docker/config.json`, so that both tools use the same ones. If that file names a credential helper, the helper keeps them.

use std::io::{IsTerminal, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gantry_api::images::{Credentials, Registries as _};
use gantry_types::Reference;
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use serde_json::{Map, Value, json};
use tokio::io::AsyncWriteExt;

use crate::cli::command::Login;
use crate::cmd::{Session, said};
use crate::output;

/// Docker Hub's name in references, and its key among credentials.
const HUB: (&str, &str) = ("docker.io", "https://index.docker.io/v1/");
/// The user name with which the secret is an identity token.
const TOKEN: &str = "<token>";

/// Checks credentials at their registry, and stores them.
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
    let credentials = Credentials::Basic { username: username.clone(), password: password.clone() };
    session.images().login(&key, &credentials).await.map_err(said)?;
    let mut config = Config::read()?;
    match config.helper(&key) {
        Some(helper) => {
            let entry = json!({ "ServerURL": key, "Username": username, "Secret": password });
            ask_helper(&helper, "store", &entry.to_string()).await?;
        }
        None => {
            config.keep(&key, &username, &password);
            config.write()?;
        }
    }
    output::line("Login Succeeded")
}

/// Removes credentials.
pub fn logout(server: Option<&str>) -> Result<()> {
    let key = key(server);
    let mut config = Config::read()?;
    let helper = config.helper(&key);
    let forgotten = config.auths().is_some_and(|auths| auths.remove(&key).is_some());
    if let Some(helper) = &helper {
        erase(helper, &key)?;
    }
    if forgotten {
        config.write()?;
    }
    if !forgotten && helper.is_none() {
        bail!("not logged in to {key}");
    }
    output::line(format_args!("Removed login credentials for {key}"))
}

/// Tells a credential helper to remove the credentials of a registry.
fn erase(helper: &str, key: &str) -> Result<()> {
    let mut child = helper_command(helper, "erase").spawn().with_context(|| format!("start {helper}"))?;
    // A helper that does not read its input ends, and gives the reason.
    let _ = child.stdin.take().expect("it is a pipe").write_all(key.as_bytes());
    let output = child.wait_with_output()?;
    if !output.status.success() {
        bail!("{helper} does not forget {key}: {}", String::from_utf8_lossy(&output.stdout).trim());
    }
    Ok(())
}

/// The stored credentials for the registry of an image; anonymous if there are none.
pub async fn credentials_for(image: &str) -> Result<Credentials> {
    // The service refuses what is no valid name.
    let Ok(reference) = Reference::parse_normalized(image) else { return Ok(Credentials::Anonymous) };
    let key = key(Some(reference.domain()));
    let mut config = Config::read()?;
    if let Some(helper) = config.helper(&key) {
        let Ok(answer) = ask_helper(&helper, "get", &key).await else { return Ok(Credentials::Anonymous) };
        let answer: Value =
            serde_json::from_str(&answer).with_context(|| format!("read what {helper} says"))?;
        let text = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
        return Ok(credentials(text("Username"), text("Secret")));
    }
    let Some(entry) = config.auths().and_then(|auths| auths.get(&key)) else {
        return Ok(Credentials::Anonymous);
    };
    if let Some(token) = entry["identitytoken"].as_str().filter(|token| !token.is_empty()) {
        return Ok(Credentials::IdentityToken(token.to_owned()));
    }
    let pair = entry["auth"].as_str().and_then(|text| STANDARD.decode(text).ok());
    let pair = pair.and_then(|pair| String::from_utf8(pair).ok());
    let pair = pair.as_deref().and_then(|pair| pair.split_once(':'));
    let pair = pair.map(|(name, password)| credentials(name.to_owned(), password.to_owned()));
    Ok(pair.unwrap_or_default())
}

fn credentials(username: String, secret: String) -> Credentials {
    let nothing = String::new;
    match username == TOKEN {
        true => Credentials::of(nothing(), nothing(), secret, nothing()),
        false => Credentials::of(username, secret, nothing(), nothing()),
    }
}

/// The key under which a registry's credentials are stored.
fn key(server: Option<&str>) -> String {
    let server = server.unwrap_or(HUB.0);
    let host = server.strip_prefix("https://").or_else(|| server.strip_prefix("http://")).unwrap_or(server);
    let host = host.split('/').next().unwrap_or_default();
    match host {
        "" | "docker.io" | "index.docker.io" | "registry-1.docker.io" => HUB.1.to_owned(),
        host => host.to_owned(),
    }
}

/// The settings of Docker's client, of which this tool uses only the credentials.
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

    /// The credential helper of a registry.
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

    /// Writes the settings, readable by their owner only. A crash leaves the old ones.
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

/// A helper's answer.
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

/// Asks, without showing the answer.
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
    fn a_helper_that_does_not_forget_is_told_of() {
        use std::os::unix::fs::PermissionsExt;

        let helper = std::env::temp_dir().join(format!("gantry-helper-{}", std::process::id()));
        std::fs::write(&helper, "#!/bin/sh\necho the keychain is locked; exit 1\n").expect("written");
        std::fs::set_permissions(&helper, std::fs::Permissions::from_mode(0o755)).expect("executable");
        let name = helper.display().to_string();
        let refused = erase(&name, "registry.example").expect_err("it fails").to_string();
        std::fs::remove_file(&helper).expect("removed");
        assert_eq!(refused, format!("{name} does not forget registry.example: the keychain is locked"));
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
