//! The records, for containerd's clients.

use std::time::SystemTime;

use gantry_api::images::records::{Collect, Inspect, Manage};
use gantry_api::images::{NewRecord, Record, RecordUpdate};
use gantry_types::filter::FilterSet;
use gantry_types::{Digest, Namespace};

use super::Images;
use crate::error::Error;

impl Inspect for Images {
    async fn record(&self, namespace: &Namespace, name: &str) -> Result<Record, Error> {
        self.names.store().get(namespace, name)
    }

    async fn records(&self, namespace: &Namespace, filters: &FilterSet) -> Result<Vec<Record>, Error> {
        let records = self.names.store().list(namespace)?;
        Ok(records.into_iter().filter(|record| filters.matches(record)).collect())
    }
}

impl Manage for Images {
    async fn create_record(&self, namespace: &Namespace, record: NewRecord) -> Result<Record, Error> {
        let at = record.at.unwrap_or_else(SystemTime::now);
        let NewRecord { name, target, labels, .. } = record;
        let record = Record { name, target, labels, created: at, updated: at };
        let record = self.names.create_ahead(namespace, record).await?;
        self.catalog.forget(namespace, &record.target.digest);
        Ok(record)
    }

    async fn update_record(
        &self,
        namespace: &Namespace,
        name: &str,
        update: RecordUpdate,
    ) -> Result<Record, Error> {
        let record = self.names.update_ahead(namespace, name, &update).await?;
        self.catalog.forget(namespace, &record.target.digest);
        Ok(record)
    }

    async fn delete_record(
        &self,
        namespace: &Namespace,
        name: &str,
        expected: Option<&Digest>,
        collect: Collect,
    ) -> Result<(), Error> {
        self.names.delete(namespace, name, expected).await?;
        if collect == Collect::Now {
            self.names.collect(namespace).await?;
        }
        Ok(())
    }
}
