//! Image records.

use std::time::SystemTime;

use gantry_api::images::records::{Collect, Inspect, Manage};
use gantry_api::images::{NewRecord, Record, RecordUpdate};
use gantry_rpc::Code;
use gantry_types::filter::FilterSet;
use gantry_types::{Digest, Namespace};

use super::Images;
use crate::Refused;

fn missing(name: &str) -> Refused {
    Refused::new(Code::NotFound, name, "no such record")
}

fn validate(record: &Record) -> Result<(), Refused> {
    let refuse = |reason| Err(Refused::new(Code::InvalidArgument, &record.name, reason));
    if record.name.is_empty() {
        return refuse("a name is required");
    }
    if record.target.media_type.is_empty() || record.target.size == 0 {
        return refuse("a target's media type and size are required");
    }
    if record.labels.validate().is_err() {
        return refuse("a label that cannot be one");
    }
    Ok(())
}

impl Inspect for Images {
    async fn record(&self, namespace: &Namespace, name: &str) -> Result<Record, Refused> {
        let record = self.state.lock().records.get(&(namespace.clone(), name.to_owned())).cloned();
        record.ok_or_else(|| missing(name))
    }

    async fn records(&self, namespace: &Namespace, filters: &FilterSet) -> Result<Vec<Record>, Refused> {
        let state = self.state.lock();
        let records = state.records.iter().filter(|((of, _), _)| of == namespace);
        Ok(records.map(|(_, record)| record).filter(|record| filters.matches(*record)).cloned().collect())
    }
}

impl Manage for Images {
    async fn create_record(&self, namespace: &Namespace, record: NewRecord) -> Result<Record, Refused> {
        let at = record.at.unwrap_or_else(SystemTime::now);
        let NewRecord { name, target, labels, .. } = record;
        let record = Record { name, target, labels, created: at, updated: at };
        validate(&record)?;
        let mut state = self.state.lock();
        let key = (namespace.clone(), record.name.clone());
        if state.records.contains_key(&key) {
            return Err(Refused::new(Code::AlreadyExists, &record.name, "there is such a record"));
        }
        state.records.insert(key, record.clone());
        Ok(record)
    }

    async fn update_record(
        &self,
        namespace: &Namespace,
        name: &str,
        update: RecordUpdate,
    ) -> Result<Record, Refused> {
        let mut state = self.state.lock();
        let known = state.records.get_mut(&(namespace.clone(), name.to_owned()));
        let known = known.ok_or_else(|| missing(name))?;
        let mut record = known.clone();
        let odd = |_| Refused::new(Code::InvalidArgument, name, "a label that cannot be one");
        update.apply(&mut record).map_err(odd)?;
        validate(&record)?;
        known.clone_from(&record);
        Ok(record)
    }

    async fn delete_record(
        &self,
        namespace: &Namespace,
        name: &str,
        expected: Option<&Digest>,
        _: Collect,
    ) -> Result<(), Refused> {
        let mut state = self.state.lock();
        let key = (namespace.clone(), name.to_owned());
        let known = state.records.get(&key).ok_or_else(|| missing(name))?;
        if expected.is_some_and(|expected| *expected != known.target.digest) {
            return Err(Refused::new(Code::NotFound, name, "it points elsewhere"));
        }
        state.records.remove(&key);
        Ok(())
    }
}
