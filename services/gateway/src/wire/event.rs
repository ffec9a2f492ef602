//! Events, one JSON object a line.

use std::collections::BTreeMap;

use gantry_api::engine;
use serde::Serialize;

/// One event, with the three older fields that Docker still sends for containers and images.
#[derive(Debug, Serialize)]
pub struct Message {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub status: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub id: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub from: String,
    #[serde(rename = "Type")]
    pub kind: String,
    #[serde(rename = "Action")]
    pub action: String,
    #[serde(rename = "Actor")]
    pub actor: Actor,
    pub scope: &'static str,
    pub time: i64,
    #[serde(rename = "timeNano")]
    pub time_nano: i64,
}

#[derive(Debug, Serialize)]
pub struct Actor {
    #[serde(rename = "ID")]
    pub id: String,
    #[serde(rename = "Attributes")]
    pub attributes: BTreeMap<String, String>,
}

impl From<engine::Event> for Message {
    fn from(event: engine::Event) -> Self {
        let attributes: BTreeMap<_, _> = event.attributes.into_iter().collect();
        let (status, id, from) = match event.kind.as_str() {
            "container" => (
                event.action.clone(),
                event.actor_id.clone(),
                attributes.get("image").cloned().unwrap_or_default(),
            ),
            "image" => (event.action.clone(), event.actor_id.clone(), String::new()),
            _ => Default::default(),
        };
        Self {
            status,
            id,
            from,
            kind: event.kind,
            action: event.action,
            scope: "local",
            time: event.time.div_euclid(1_000_000_000),
            time_nano: event.time,
            actor: Actor { id: event.actor_id, attributes },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_older_fields_follow_the_type() {
        let event = |kind: &str| engine::Event {
            kind: kind.into(),
            action: "start".into(),
            actor_id: "abc".into(),
            attributes: [("image".to_owned(), "busybox".to_owned())].into(),
            time: 5_000_000_007,
            probe: true,
        };
        let text = |kind| serde_json::to_string(&Message::from(event(kind))).expect("json");
        assert_eq!(
            text("container"),
            r#"{"status":"start","id":"abc","from":"busybox","Type":"container","Action":"start","Actor":{"ID":"abc","Attributes":{"image":"busybox"}},"scope":"local","time":5,"timeNano":5000000007}"#
        );
        assert!(text("image").starts_with(r#"{"status":"start","id":"abc","Type":"image""#));
        assert!(text("network").starts_with(r#"{"Type":"network""#));
    }
}
