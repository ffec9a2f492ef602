//! The option `tag`: text with fields of the container, `{{.Name}}/{{.ID}}`.

use super::Facts;
use crate::error::{Error, Result};
use crate::names::short;

/// Replaces the fields by the container's facts.
///
/// # Errors
///
/// An unknown field, in Docker's words; any other action of Go's templates.
pub fn expand(template: &str, facts: &Facts) -> Result<String> {
    let mut text = String::new();
    let mut rest = template;
    while let Some((before, behind)) = rest.split_once("{{") {
        text += before;
        let Some((action, after)) = behind.split_once("}}") else {
            return Err(refused("template: log-tag:1: unclosed action".to_owned()));
        };
        let action = action.trim().trim_matches('-').trim();
        text += &match action {
            ".ID" => short(&facts.id).to_owned(),
            ".FullID" | ".ContainerID" => facts.id.clone(),
            ".Name" => facts.name.clone(),
            ".ContainerName" => format!("/{}", facts.name),
            // Docker cuts it after twelve characters, including the algorithm's name.
            ".ImageID" => facts.image_id.chars().take(12).collect(),
            ".ImageFullID" | ".ContainerImageID" => facts.image_id.clone(),
            ".ImageName" | ".ContainerImageName" => facts.image_name.clone(),
            ".DaemonName" => "docker".to_owned(),
            ".Command" => facts.command.clone(),
            ".Hostname" => facts.hostname.clone(),
            field if is_field(field) => {
                let at = template.len() - behind.len();
                return Err(refused(format!(
                    "template: log-tag:1:{at}: executing \"log-tag\" at <{field}>: can't evaluate field {} in type *logger.Info",
                    &field[1..]
                )));
            }
            other => {
                return Err(refused(format!(
                    "template: log-tag: {other:?} is not supported here: only fields are"
                )));
            }
        };
        rest = after;
    }
    Ok(text + rest)
}

fn is_field(text: &str) -> bool {
    text.strip_prefix('.').is_some_and(|name| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    })
}

fn refused(why: String) -> Error {
    Error::StartFailed { message: format!("failed to initialize logging driver: {why}"), exit_code: 128 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_put_in() {
        let facts = Facts {
            id: "0123456789abcdef".into(),
            name: "box".into(),
            image_id: "sha256:b52412d8".into(),
            image_name: "busybox".into(),
            command: "sh -c x".into(),
            ..Default::default()
        };
        let expanded = |template: &str| expand(template, &facts).map_err(|error| error.to_string());
        assert_eq!(expanded("{{.Name}}/{{ .ID }}-{{.ImageID}}"), Ok("box/0123456789ab-sha256:b5241".into()));
        assert_eq!(expanded("plain"), Ok("plain".into()));
        let bogus = expanded("{{.Bogus}}").expect_err("no field");
        assert!(bogus.ends_with("template: log-tag:1:2: executing \"log-tag\" at <.Bogus>: can't evaluate field Bogus in type *logger.Info"), "{bogus}");
        assert!(expanded("{{").expect_err("open").ends_with("template: log-tag:1: unclosed action"));
        assert!(expanded("{{range .}}").is_err());
    }
}
