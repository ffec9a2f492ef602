//! The records of containers in the fake tasks service.

use std::time::SystemTime;

use gantry_api::tasks::records::{Container, Inspect, InvalidRecord, Manage, Record, Update};
use gantry_rpc::Code;
use gantry_types::filter::FilterSet;
use gantry_types::{ContainerId, Namespace};

use super::Tasks;
use super::state::State;
use crate::Refused;

fn invalid(error: &InvalidRecord) -> Refused {
    Refused::new(Code::InvalidArgument, error, "it cannot be recorded")
}

impl State {
    fn record(&mut self, namespace: &Namespace, id: &ContainerId) -> Result<&mut Record, Refused> {
        let missing = || Refused::new(Code::NotFound, id, "no such container");
        self.records.get_mut(&(namespace.clone(), id.clone())).ok_or_else(missing)
    }
}

impl Inspect for Tasks {
    async fn record(&self, namespace: &Namespace, id: &ContainerId) -> Result<Record, Refused> {
        self.edit(|state| state.record(namespace, id).cloned())
    }

    async fn records(&self, namespace: &Namespace, filters: &FilterSet) -> Result<Vec<Record>, Refused> {
        Ok(self.edit(|state| {
            let of_namespace = state.records.iter().filter(|((of, _), _)| of == namespace);
            of_namespace
                .map(|(_, record)| record)
                .filter(|record| filters.matches(*record))
                .cloned()
                .collect()
        }))
    }
}

impl Manage for Tasks {
    async fn create_record(&self, namespace: &Namespace, container: Container) -> Result<Record, Refused> {
        self.edit(|state| {
            let record = Record::new(container).map_err(|error| invalid(&error))?;
            let id = record.container.id.clone();
            let key = (namespace.clone(), id.clone());
            if state.records.contains_key(&key) {
                return Err(Refused::new(Code::AlreadyExists, id, "it is recorded"));
            }
            state.records.insert(key, record.clone());
            Ok(record)
        })
    }

    async fn update_record(
        &self,
        namespace: &Namespace,
        id: &ContainerId,
        update: Update,
    ) -> Result<Record, Refused> {
        self.edit(|state| {
            let record = state.record(namespace, id)?;
            if !update.is_empty() {
                record.container = update.applied_to(&record.container).map_err(|error| invalid(&error))?;
                record.updated = SystemTime::now();
            }
            Ok(record.clone())
        })
    }

    async fn delete_record(&self, namespace: &Namespace, id: &ContainerId) -> Result<(), Refused> {
        self.edit(|state| {
            state.record(namespace, id)?;
            state.records.remove(&(namespace.clone(), id.clone()));
            Ok(())
        })
    }
}
