//! A table: records of one kind, ordered by key.

use std::marker::PhantomData;
use std::sync::Arc;

use prost::Message;
use rocksdb::{Direction, IteratorMode, ReadOptions};

use crate::database::Shared;
use crate::{Error, Key, Prefix, Result};

/// A typed view of one table of a [`crate::Database`]. Cheap to clone. Reads see every commit that has returned,
/// never wait for writers, and take microseconds, so async code may call them.
pub struct Table<K, V> {
    shared: Arc<Shared>,
    name: &'static str,
    types: PhantomData<fn() -> (K, V)>,
}

impl<K, V> Clone for Table<K, V> {
    fn clone(&self) -> Self {
        Table { shared: self.shared.clone(), name: self.name, types: PhantomData }
    }
}

impl<K: Key, V: Message + Default> Table<K, V> {
    pub(crate) fn new(shared: Arc<Shared>, name: &'static str) -> Self {
        Table { shared, name, types: PhantomData }
    }

    /// The table's name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Reads one record.
    pub fn get(&self, key: &K) -> Result<Option<V>> {
        let bytes = key.to_bytes();
        let found = self.shared.db.get_pinned_cf(&self.shared.column(self.name), &bytes);
        let value = found.map_err(|source| self.shared.error("read", source))?;
        value.map(|value| self.decode_value(&bytes, &value)).transpose()
    }

    /// Whether there is a record.
    pub fn contains(&self, key: &K) -> Result<bool> {
        let found = self.shared.db.get_pinned_cf(&self.shared.column(self.name), key.to_bytes());
        Ok(found.map_err(|source| self.shared.error("read", source))?.is_some())
    }

    /// Reads all records whose key begins with `prefix` (the first parts of a tuple, or the beginning of a text), in
    /// order.
    pub fn scan<P: Prefix<K> + ?Sized>(&self, prefix: &P) -> Result<Vec<(K, V)>> {
        self.iter(prefix).collect()
    }

    /// Reads all records, in order.
    pub fn scan_all(&self) -> Result<Vec<(K, V)>> {
        self.walk(Vec::new()).collect()
    }

    /// [`Table::scan`], one record after the other, all as of this moment.
    pub fn iter<P: Prefix<K> + ?Sized>(
        &self,
        prefix: &P,
    ) -> impl Iterator<Item = Result<(K, V)>> + '_ + use<'_, K, V, P> {
        let mut start = Vec::new();
        prefix.encode_prefix(&mut start);
        self.walk(start)
    }

    /// [`Table::scan_all`], one record after the other, all as of this moment.
    pub fn iter_all(&self) -> impl Iterator<Item = Result<(K, V)>> + '_ {
        self.walk(Vec::new())
    }

    /// Reads the keys of all records, in order, as of this moment; also of records that do not decode.
    pub fn keys(&self) -> impl Iterator<Item = Result<K>> + '_ {
        self.raw(Vec::new()).map(|record| self.decode_key(&record?.0))
    }

    fn walk(&self, prefix: Vec<u8>) -> impl Iterator<Item = Result<(K, V)>> + '_ + use<'_, K, V> {
        self.raw(prefix).map(|record| {
            let (key, value) = record?;
            Ok((self.decode_key(&key)?, self.decode_value(&key, &value)?))
        })
    }

    fn raw(&self, prefix: Vec<u8>) -> impl Iterator<Item = Result<Raw>> + '_ + use<'_, K, V> {
        let mut options = ReadOptions::default();
        if let Some(end) = after(&prefix) {
            options.set_iterate_upper_bound(end);
        }
        let mode = IteratorMode::From(&prefix, Direction::Forward);
        let records = self.shared.db.iterator_cf_opt(&self.shared.column(self.name), options, mode);
        records.map(|record| record.map_err(|source| self.shared.error("scan", source)))
    }

    fn decode_key(&self, key: &[u8]) -> Result<K> {
        K::decode(key).ok_or_else(|| self.corrupt(key, "the key does not decode".into()))
    }

    fn decode_value(&self, key: &[u8], value: &[u8]) -> Result<V> {
        V::decode(value).map_err(|error| self.corrupt(key, error.to_string()))
    }

    fn corrupt(&self, key: &[u8], reason: String) -> Error {
        Error::Corrupt { table: self.name, key: key.escape_ascii().to_string(), reason }
    }
}

/// A record's key and value as they are stored.
type Raw = (Box<[u8]>, Box<[u8]>);

/// The least key that is greater than all keys beginning with `prefix`; `None` if there is none.
fn after(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    Some(end)
}

#[cfg(test)]
mod tests {
    use super::after;

    #[test]
    fn the_end_of_a_range_is_just_behind_it() {
        assert_eq!(after(b""), None);
        assert_eq!(after(b"ab"), Some(b"ac".to_vec()));
        assert_eq!(after(b"a\xff\xff"), Some(b"b".to_vec()));
        assert_eq!(after(b"\xff"), None);
    }
}
