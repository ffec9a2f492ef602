//! What an image's configuration says about containers made from it.

use std::collections::{BTreeMap, HashMap};

use gantry_api::engine::ContainerConfig;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The part of an OCI image configuration, with Docker's extensions, that containers inherit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ImageConfig {
    user: Option<String>,
    exposed_ports: Option<BTreeMap<String, serde_json::Value>>,
    env: Option<Vec<String>>,
    entrypoint: Option<Vec<String>>,
    cmd: Option<Vec<String>>,
    volumes: Option<BTreeMap<String, serde_json::Value>>,
    working_dir: Option<String>,
    labels: Option<HashMap<String, String>>,
    stop_signal: Option<String>,
    healthcheck: Option<ImageHealth>,
    shell: Option<Vec<String>>,
    on_build: Option<Vec<String>>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase", default)]
struct ImageHealth {
    test: Vec<String>,
    interval: i64,
    timeout: i64,
    start_period: i64,
    start_interval: i64,
    retries: i64,
}

#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    config: Option<ImageConfig>,
}

impl ImageConfig {
    /// The image configuration for an image made from a container with this configuration.
    pub fn of(config: &ContainerConfig) -> ImageConfig {
        let text = |text: &String| (!text.is_empty()).then(|| text.clone());
        let list = |list: &[String]| (!list.is_empty()).then(|| list.to_vec());
        let words = |words: &Option<Vec<String>>| words.as_deref().and_then(list);
        let keys = |keys: &[String]| {
            let map = keys.iter().map(|key| (key.clone(), serde_json::json!({}))).collect();
            (!keys.is_empty()).then_some(map)
        };
        ImageConfig {
            user: text(&config.user),
            exposed_ports: keys(&config.exposed_ports),
            env: list(&config.env),
            entrypoint: words(&config.entrypoint),
            cmd: words(&config.cmd),
            volumes: keys(&config.volumes),
            working_dir: text(&config.working_dir),
            labels: (!config.labels.is_empty()).then(|| config.labels.clone()),
            stop_signal: text(&config.stop_signal),
            healthcheck: config.healthcheck.as_ref().map(|health| ImageHealth {
                test: health.test.clone(),
                interval: health.interval,
                timeout: health.timeout,
                start_period: health.start_period,
                start_interval: health.start_interval,
                retries: health.retries,
            }),
            shell: list(&config.shell),
            on_build: list(&config.on_build),
        }
    }

    /// Serializes the configuration; empty fields are left out.
    pub fn to_json(&self) -> Vec<u8> {
        let whole = serde_json::to_value(self).expect("texts and numbers serialise");
        let said = whole.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
        let said: serde_json::Map<_, _> = said.map(|(key, value)| (key.clone(), value.clone())).collect();
        serde_json::to_vec(&said).expect("values serialise")
    }

    /// Parses an image's configuration.
    pub fn parse(json: &[u8]) -> Result<ImageConfig> {
        let document: Document = serde_json::from_slice(json)
            .map_err(|source| Error::Invalid(format!("image configuration: {source}")))?;
        Ok(document.config.unwrap_or_default())
    }

    /// Applies the user's configuration over the image's defaults.
    pub fn merge(&self, mut config: ContainerConfig) -> ContainerConfig {
        let text = |own: &mut String, image: &Option<String>| {
            if own.is_empty() {
                image.clone().unwrap_or_default().clone_into(own);
            }
        };
        text(&mut config.user, &self.user);
        text(&mut config.working_dir, &self.working_dir);
        text(&mut config.stop_signal, &self.stop_signal);
        if config.shell.is_empty() {
            config.shell = self.shell.clone().unwrap_or_default();
        }
        if config.on_build.is_empty() {
            config.on_build = self.on_build.clone().unwrap_or_default();
        }
        union(&mut config.exposed_ports, self.exposed_ports.iter().flat_map(BTreeMap::keys));
        union(&mut config.volumes, self.volumes.iter().flat_map(BTreeMap::keys));
        for (key, value) in self.labels.iter().flatten() {
            config.labels.entry(key.clone()).or_insert_with(|| value.clone());
        }
        config.env = merged_env(&config.env, self.env.as_deref().unwrap_or_default());
        self.merge_command(&mut config);
        self.merge_health(&mut config);
        config
    }

    /// An entrypoint of the user (also `[""]`, which means none) drops the image's command. A command without
    /// entrypoint keeps the image's entrypoint.
    fn merge_command(&self, config: &mut ContainerConfig) {
        let asked = |list: &Option<Vec<String>>| list.as_ref().is_some_and(|list| !list.is_empty());
        if asked(&config.entrypoint) {
            if config.entrypoint.as_ref().is_some_and(|list| *list == [""]) {
                config.entrypoint = None;
            }
            return;
        }
        let list = |values: &Option<Vec<String>>| values.clone().filter(|values| !values.is_empty());
        if !asked(&config.cmd) {
            config.cmd = list(&self.cmd);
        }
        config.entrypoint = list(&self.entrypoint);
    }

    fn merge_health(&self, config: &mut ContainerConfig) {
        let Some(image) = &self.healthcheck else { return };
        let own = config.healthcheck.get_or_insert_default();
        if own.test.is_empty() {
            own.test.clone_from(&image.test);
        }
        for (value, inherited) in [
            (&mut own.interval, image.interval),
            (&mut own.timeout, image.timeout),
            (&mut own.start_period, image.start_period),
            (&mut own.start_interval, image.start_interval),
            (&mut own.retries, image.retries),
        ] {
            if *value == 0 {
                *value = inherited;
            }
        }
    }
}

/// The user's variables, followed by the image's variables that the user has not set.
fn merged_env(own: &[String], image: &[String]) -> Vec<String> {
    let name = |variable: &String| variable.split('=').next().unwrap_or_default().to_owned();
    let known: std::collections::HashSet<String> = own.iter().map(name).collect();
    let mut env = own.to_vec();
    env.extend(image.iter().filter(|variable| !known.contains(&name(variable))).cloned());
    // A variable that the user set twice counts once.
    gantry_spec::environment::merge(Vec::new(), &env)
}

fn union<'a>(own: &mut Vec<String>, image: impl Iterator<Item = &'a String>) {
    for value in image {
        if !own.contains(value) {
            own.push(value.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image() -> ImageConfig {
        ImageConfig::parse(
            br#"{"architecture":"amd64","os":"linux","config":{"Env":["A=image","B=image"],"Entrypoint":["/entry"],
                "Cmd":["serve"],"ExposedPorts":{"80/tcp":{}},"Volumes":{"/data":{}},"WorkingDir":"/app",
                "Labels":{"team":"blue"},"Healthcheck":{"Test":["CMD","true"],"Retries":5}}}"#,
        )
        .expect("a valid document")
    }

    fn list(words: &[&str]) -> Option<Vec<String>> {
        Some(words.iter().map(|word| (*word).to_owned()).collect())
    }

    #[test]
    fn what_is_left_out_comes_from_the_image() {
        let config = image().merge(ContainerConfig { env: vec!["A=own".to_owned()], ..Default::default() });
        assert_eq!(config.env, ["A=own", "B=image"]);
        assert_eq!(config.entrypoint, list(&["/entry"]));
        assert_eq!(config.cmd, list(&["serve"]));
        assert_eq!(config.exposed_ports, ["80/tcp"]);
        assert_eq!(config.working_dir, "/app");
        assert_eq!(config.healthcheck.map(|check| check.retries), Some(5));
    }

    #[test]
    fn a_command_keeps_the_entrypoint_and_an_entrypoint_drops_the_command() {
        let with_cmd = image().merge(ContainerConfig { cmd: list(&["once"]), ..Default::default() });
        assert_eq!((with_cmd.entrypoint, with_cmd.cmd), (list(&["/entry"]), list(&["once"])));
        let with_entry = image().merge(ContainerConfig { entrypoint: list(&["/own"]), ..Default::default() });
        assert_eq!((with_entry.entrypoint, with_entry.cmd), (list(&["/own"]), None));
        let reset = image().merge(ContainerConfig {
            entrypoint: list(&[""]),
            cmd: list(&["sh"]),
            ..Default::default()
        });
        assert_eq!((reset.entrypoint, reset.cmd), (None, list(&["sh"])));
    }

    #[test]
    fn an_image_may_say_nothing() {
        let empty = ImageConfig::parse(br#"{"config":null}"#).expect("valid");
        assert_eq!(empty, ImageConfig::default());
        assert!(ImageConfig::parse(b"[").is_err());
    }
}
