//! The rows of container lists as JSON, kept from one list to the next.
//!
//! What a list shows of a container changes when the engine's summary of it does, and with time in one place only:
//! the words of its status ("Up 5 seconds"). So a row is written once for each summary, and lists copy it around those
//! words.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use gantry_docker::container::status;
use gantry_proto::gantry::engine::v1 as engine;
use parking_lot::Mutex;
use prost::Message;
use prost_types::Timestamp;

use crate::convert::container;
use crate::error::Error;
use crate::version::ApiVersion;
use crate::wire::container::Summary;

/// The words of a status are rarely longer.
const STATUS_ROOM: usize = 32;
/// How many rows are kept in any case, in each generation.
const SPARE: usize = 64;

/// The rows that lists have asked for lately.
#[derive(Debug, Default)]
pub struct Rows {
    kept: Mutex<Generations>,
}

impl Rows {
    /// The rows of a list of encoded [`engine::ContainerSummary`]s, for a client of `version`.
    pub fn of(&self, list: &[Bytes], version: ApiVersion) -> Result<Vec<Arc<Row>>, Error> {
        let rows = list.iter().map(|summary| self.row(summary, version)).collect::<Result<_, _>>()?;
        self.kept.lock().listed(list.len());
        Ok(rows)
    }

    fn row(&self, summary: &Bytes, version: ApiVersion) -> Result<Arc<Row>, Error> {
        if let Some(row) = self.kept.lock().get(&(version, summary.clone())) {
            return Ok(row);
        }
        let row = Arc::new(Row::new(decode(summary)?, version)?);
        // A copy: what came is a piece of the whole answer, and would keep that.
        let key = (version, Bytes::copy_from_slice(summary));
        self.kept.lock().young.insert(key, Arc::clone(&row));
        Ok(row)
    }
}

/// Rows as a JSON array, with a line end as Docker sends it.
pub fn json(rows: &[Arc<Row>], now: &Timestamp) -> Result<Vec<u8>, Error> {
    let length: usize = rows.iter().map(|row| row.text.len() + STATUS_ROOM).sum();
    let mut list = Vec::with_capacity(length + b"[]\n".len());
    list.push(b'[');
    for (index, row) in rows.iter().enumerate() {
        if index > 0 {
            list.push(b',');
        }
        row.write(now, &mut list)?;
    }
    list.extend_from_slice(b"]\n");
    Ok(list)
}

/// Reads a row of the engine's list.
pub fn decode(summary: &Bytes) -> Result<engine::ContainerSummary, Error> {
    engine::ContainerSummary::decode(&**summary)
        .map_err(|error| Error::internal(format!("cannot read what the engine listed: {error}")))
}

/// A row is made of this.
type Key = (ApiVersion, Bytes);

/// Rows that were asked for since the last change of generations, and those before. What no list asks for is gone after
/// two changes.
#[derive(Debug, Default)]
struct Generations {
    young: HashMap<Key, Arc<Row>>,
    old: HashMap<Key, Arc<Row>>,
}

impl Generations {
    fn get(&mut self, key: &Key) -> Option<Arc<Row>> {
        if let Some(row) = self.young.get(key) {
            return Some(Arc::clone(row));
        }
        let (key, row) = self.old.remove_entry(key)?;
        self.young.insert(key, Arc::clone(&row));
        Some(row)
    }

    /// Changes generations when most of the young ones were not in the list of this many rows.
    fn listed(&mut self, rows: usize) {
        if self.young.len() > 2 * rows + SPARE {
            self.old = std::mem::take(&mut self.young);
        }
    }
}

/// A row without the words of its status.
#[derive(Debug)]
pub struct Row {
    text: Vec<u8>,
    /// Where in the text the words go, between quotes.
    status_at: usize,
    /// What the words tell.
    state: engine::State,
}

impl Row {
    fn new(of: engine::ContainerSummary, version: ApiVersion) -> Result<Self, Error> {
        let state = of.state.clone().unwrap_or_default();
        let mut row =
            Summary { status: String::new(), ..container::summary(of, version, &Timestamp::default()) };
        let text = text(&row)?;
        // Labels may look like anything; but only the status makes these two differ.
        row.status.push('.');
        let status_at = text.iter().zip(self::text(&row)?).take_while(|(one, other)| **one == *other).count();
        Ok(Self { text, status_at, state })
    }

    fn write(&self, now: &Timestamp, list: &mut Vec<u8>) -> Result<(), Error> {
        let (before, after) = self.text.split_at(self.status_at);
        let words = text(&status(&self.state, now))?;
        list.extend_from_slice(before);
        list.extend_from_slice(&words[1..words.len() - 1]);
        list.extend_from_slice(after);
        Ok(())
    }
}

fn text(value: &impl serde::Serialize) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(value).map_err(crate::reply::not_encoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(id: &str, started: i64) -> engine::ContainerSummary {
        let labels = [("Status", ""), (r#"","Status":""#, r#"{"State":"running","Status":""}"#)];
        engine::ContainerSummary {
            id: id.to_owned(),
            state: Some(engine::State {
                status: engine::Status::Running.into(),
                started_at: Some(Timestamp { seconds: started, nanos: 0 }),
                ..engine::State::default()
            }),
            labels: labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
            annotations: [("Status".to_owned(), String::new())].into(),
            manifest_digest: "sha256:00".to_owned(),
            manifest_size: 1,
            ..engine::ContainerSummary::default()
        }
    }

    fn encoded(id: &str) -> Bytes {
        summary(id, 100).encode_to_vec().into()
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp { seconds, nanos: 0 }
    }

    #[test]
    fn a_kept_row_is_the_row_written_anew() {
        let rows = Rows::default();
        for version in [ApiVersion::v1(41), ApiVersion::v1(47), ApiVersion::CURRENT] {
            for now in [101, 105, 3700] {
                let anew = [summary("a", 100), summary("b", 100)];
                let anew = anew.map(|of| container::summary(of, version, &at(now)));
                let anew = serde_json::to_string(&anew).unwrap() + "\n";
                let list = rows.of(&[encoded("a"), encoded("b")], version).unwrap();
                assert_eq!(String::from_utf8(json(&list, &at(now)).unwrap()).unwrap(), anew);
            }
        }
        assert_eq!(json(&[], &at(1)).unwrap(), b"[]\n");
    }

    #[test]
    fn status_words_are_json() {
        let mut of = summary("a", 100);
        let health = engine::Health { status: r#""\"#.to_owned(), ..engine::Health::default() };
        of.state.get_or_insert_default().health = Some(health);
        let list = Rows::default().of(&[of.encode_to_vec().into()], ApiVersion::CURRENT).unwrap();
        let list: serde_json::Value = serde_json::from_slice(&json(&list, &at(101)).unwrap()).unwrap();
        assert_eq!(list[0]["Status"], r#"Up 1 second ("\)"#);
    }

    #[test]
    fn what_is_listed_stays_and_what_is_not_goes() {
        let rows = Rows::default();
        let kept = || {
            let kept = rows.kept.lock();
            kept.young.len() + kept.old.len()
        };
        let list = |of: &[Bytes]| rows.of(of, ApiVersion::CURRENT).unwrap();
        let stays = encoded("stays");
        list(std::slice::from_ref(&stays));
        let first = rows.row(&stays, ApiVersion::CURRENT).unwrap();
        for round in 0..10 {
            let others: Vec<_> = (0..100).map(|other| encoded(&format!("{round} {other}"))).collect();
            list(&others);
            list(std::slice::from_ref(&stays));
            assert!(kept() <= 2 * (100 + SPARE), "{} rows after round {round}", kept());
        }
        assert!(Arc::ptr_eq(&first, &rows.row(&stays, ApiVersion::CURRENT).unwrap()));
        assert!(rows.row(&Bytes::from_static(b"\xff"), ApiVersion::CURRENT).is_err());
    }
}
